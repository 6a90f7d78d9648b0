// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/generic/elements.h"
#include "runtime/generic/families.h"
#include "runtime/generic/operands.h"

namespace rulec::generic {
namespace {

struct Box {
  double low[2], high[2], area;
};

}  // namespace

static Box box_of(const double* values, bool center) {
  Box box;
  if (center) {  // x, y, width, height
    for (int i = 0; i < 2; ++i) {
      box.low[i] = values[i] - values[i + 2] / 2;
      box.high[i] = values[i] + values[i + 2] / 2;
    }
  } else {  // two opposite corners
    for (int i = 0; i < 2; ++i) {
      box.low[i] = std::min(values[i], values[i + 2]);
      box.high[i] = std::max(values[i], values[i + 2]);
    }
  }
  box.area = (box.high[0] - box.low[0]) * (box.high[1] - box.low[1]);
  return box;
}

static bool overlaps(const Box& a, const Box& b, double threshold) {
  const double h = std::min(a.high[0], b.high[0]) - std::max(a.low[0], b.low[0]);
  const double w = std::min(a.high[1], b.high[1]) - std::max(a.low[1], b.low[1]);
  if (!(h > 0) || !(w > 0)) return false;
  const double both = h * w;
  const double either = a.area + b.area - both;
  return a.area > 0 && b.area > 0 && either > 0 && both / either > threshold;
}

static Result<Outputs> non_max_suppression(const Call& call) {
  const Tensor& boxes = call.tensor(0);
  const Tensor& scores = call.tensor(1);
  if (boxes.rank() != 3 || boxes.dim(2) != 4 || scores.rank() != 3 ||
      scores.dim(0) != boxes.dim(0) || scores.dim(2) != boxes.dim(1)) {
    return make_error("boxes {} and scores {} do not fit: [N,K,4] and [N,C,K] are needed",
                      to_string(boxes.shape()), to_string(scores.shape()));
  }
  auto most = integer_operand(call, 2, 0);
  if (!most) return most.error();
  auto iou = number_operand(call, 3, 0);
  if (!iou) return iou.error();
  auto least = number_operand(call, 4, 0);
  if (!least) return least.error();
  const bool any_score = !call.has(4);
  const bool center = call.attributes.integer("center_point_box", 0) != 0;
  const std::int64_t batches = boxes.dim(0), count = boxes.dim(1), classes = scores.dim(1);
  const std::vector<double> corners = boxes.numbers(), score = scores.numbers();

  Integers selected;
  std::vector<Box> all(static_cast<std::size_t>(count));
  Integers order;
  std::vector<Box> kept;
  for (std::int64_t n = 0; n<batches&& * most> 0; ++n) {
    for (std::int64_t k = 0; k < count; ++k) {
      all[static_cast<std::size_t>(k)] = box_of(corners.data() + (n * count + k) * 4, center);
    }
    for (std::int64_t c = 0; c < classes; ++c) {
      const double* row = score.data() + (n * classes + c) * count;
      order.clear();
      for (std::int64_t k = 0; k < count; ++k) {
        if (any_score ? !std::isnan(row[k]) : row[k] > *least) order.push_back(k);
      }
      // Descending; of equal scores the lower index first, since the sort is stable.
      std::stable_sort(order.begin(), order.end(),
                       [row](std::int64_t a, std::int64_t b) { return row[a] > row[b]; });
      kept.clear();
      for (std::int64_t k : order) {
        if (static_cast<std::int64_t>(kept.size()) >= *most) break;
        const Box& box = all[static_cast<std::size_t>(k)];
        const bool suppressed = std::any_of(
            kept.begin(), kept.end(), [&](const Box& other) { return overlaps(box, other, *iou); });
        if (suppressed) continue;
        kept.push_back(box);
        selected.insert(selected.end(), {n, c, k});
      }
    }
  }
  return one(
      Tensor::of<std::int64_t>({static_cast<std::int64_t>(selected.size() / 3), 3}, selected));
}

namespace {

// A sampling point: four neighbours and their bilinear weights.
struct Sample {
  std::int64_t at[4] = {0, 0, 0, 0};
  double weight[4] = {0, 0, 0, 0};
};

}  // namespace

static Sample sample_at(double y, double x, std::int64_t height, std::int64_t width) {
  Sample sample;
  if (!(y >= -1 && y <= static_cast<double>(height) && x >= -1 &&
        x <= static_cast<double>(width))) {
    return sample;  // outside: weights 0
  }
  const auto split = [](double& v, std::int64_t length, std::int64_t& low, std::int64_t& high) {
    v = std::max(v, 0.0);
    low = static_cast<std::int64_t>(v);
    high = low + 1;
    if (low >= length - 1) {
      low = high = length - 1;
      v = static_cast<double>(low);
    }
  };
  std::int64_t y0, y1, x0, x1;
  split(y, height, y0, y1);
  split(x, width, x0, x1);
  const double ly = y - static_cast<double>(y0), lx = x - static_cast<double>(x0);
  return {{y0 * width + x0, y0 * width + x1, y1 * width + x0, y1 * width + x1},
          {(1 - ly) * (1 - lx), (1 - ly) * lx, ly * (1 - lx), ly * lx}};
}

static Result<Outputs> roi_align(const Call& call) {
  const Tensor& in = call.tensor(0);
  const Tensor& rois = call.tensor(1);
  const Tensor& batch = call.tensor(2);
  const Attributes& attributes = call.attributes;
  const std::string_view transformation = attributes.text(
      "coordinate_transformation_mode", call.opset < 16 ? "output_half_pixel" : "half_pixel");
  const bool half_pixel = transformation == "half_pixel";
  const bool maximum = attributes.text("mode", "avg") == "max";
  const std::int64_t out_h = attributes.integer("output_height", 1);
  const std::int64_t out_w = attributes.integer("output_width", 1);
  const std::int64_t ratio = attributes.integer("sampling_ratio", 0);
  const auto spatial_scale = static_cast<double>(attributes.number("spatial_scale", 1));
  if (in.rank() != 4 || rois.rank() != 2 || rois.dim(1) != 4 || batch.size() != rois.dim(0) ||
      out_h < 1 || out_w < 1 || in.dim(2) < 1 || in.dim(3) < 1) {
    return make_error("data {}, rois {} and {} batch indices do not fit", to_string(in.shape()),
                      to_string(rois.shape()), batch.size());
  }
  auto image = wrapped_indices(batch, in.dim(0));
  if (!image) return image.error();
  const std::int64_t channels = in.dim(1), height = in.dim(2), width = in.dim(3);
  const Shape shape = {rois.dim(0), channels, out_h, out_w};
  if (auto fine = check_shape(shape); !fine) return fine.error();
  const std::vector<double> data = in.numbers(), corners = rois.numbers();
  std::vector<double> out(static_cast<std::size_t>(element_count(shape)));
  const double offset = half_pixel ? 0.5 : 0;
  for (std::int64_t r = 0; r < rois.dim(0); ++r) {
    const double* roi = corners.data() + r * 4;
    const double x0 = roi[0] * spatial_scale - offset, y0 = roi[1] * spatial_scale - offset;
    double w = roi[2] * spatial_scale - offset - x0, h = roi[3] * spatial_scale - offset - y0;
    if (!half_pixel) {  // a malformed region counts as 1×1
      w = std::max(w, 1.0);
      h = std::max(h, 1.0);
    }
    const double bin_h = h / static_cast<double>(out_h), bin_w = w / static_cast<double>(out_w);
    if (!(std::abs(bin_h) < 1e6 && std::abs(bin_w) < 1e6)) {
      return make_error("region {} is not finite or too large", r);
    }
    const std::int64_t grid_h = ratio > 0 ? ratio : static_cast<std::int64_t>(std::ceil(bin_h));
    const std::int64_t grid_w = ratio > 0 ? ratio : static_cast<std::int64_t>(std::ceil(bin_w));
    const auto points = static_cast<double>(std::max<std::int64_t>(grid_h * grid_w, 1));
    for (std::int64_t ph = 0; ph < out_h; ++ph) {
      for (std::int64_t pw = 0; pw < out_w; ++pw) {
        std::vector<Sample> samples;
        for (std::int64_t iy = 0; iy < grid_h; ++iy) {
          for (std::int64_t ix = 0; ix < grid_w; ++ix) {
            const double y = y0 + static_cast<double>(ph) * bin_h +
                             (static_cast<double>(iy) + 0.5) * bin_h / static_cast<double>(grid_h);
            const double x = x0 + static_cast<double>(pw) * bin_w +
                             (static_cast<double>(ix) + 0.5) * bin_w / static_cast<double>(grid_w);
            samples.push_back(sample_at(y, x, height, width));
          }
        }
        for (std::int64_t c = 0; c < channels; ++c) {
          const double* plane =
              data.data() + ((*image)[static_cast<std::size_t>(r)] * channels + c) * height * width;
          double result = 0;
          bool first = true;
          for (const Sample& sample : samples) {
            double sum = 0, best = 0;
            for (int i = 0; i < 4; ++i) {
              const double part = sample.weight[i] * plane[sample.at[i]];
              sum += part;
              best = i == 0 ? part : std::max(best, part);
            }
            // ONNX's maximum is over the weighted neighbours, not over interpolated values.
            result = !maximum ? result + sum : first ? best : std::max(result, best);
            first = false;
          }
          out[static_cast<std::size_t>(((r * channels + c) * out_h + ph) * out_w + pw)] =
              maximum ? result : result / points;
        }
      }
    }
  }
  return one(from_numbers(in.dtype(), shape, out));
}

std::span<const KernelEntry> detection_kernels() {
  static const KernelEntry entries[] = {
      {"", "NonMaxSuppression", non_max_suppression, 2},
      {"", "RoiAlign", roi_align, 3},
  };
  return entries;
}

}  // namespace rulec::generic
