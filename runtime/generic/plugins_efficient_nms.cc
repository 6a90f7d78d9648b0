// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "runtime/generic/elements.h"
#include "runtime/generic/operands.h"
#include "runtime/generic/plugins_nms.h"

// TensorRT's EfficientNMS: all classes of an image in one order.
namespace rulec::generic {
namespace {

struct EfficientNms {
  double score_threshold = 0.5, iou_threshold = 0.5;
  std::int64_t most = 100, background = -1;
  bool sigmoid = false, centers = false, agnostic = false;
  std::int64_t per_class = -1;  // a bound for each class, where there is one
};

struct Detection {
  double score;
  std::int64_t box, label;
  Corners corners;
};

}  // namespace

static Corners ordered(const Corners& box) {
  return {std::min(box[0], box[2]), std::min(box[1], box[3]), std::max(box[0], box[2]),
          std::max(box[1], box[3])};
}

static double efficient_iou(const Corners& a, const Corners& b) {
  const auto area = [](const Corners& box) {
    const double w = box[2] - box[0], h = box[3] - box[1];
    return w > 0 && h > 0 ? w * h : 0;
  };
  const double both = area(
      {std::max(a[0], b[0]), std::max(a[1], b[1]), std::min(a[2], b[2]), std::min(a[3], b[3])});
  const double either = area(a) + area(b) - both;
  return both > 0 && either > 0 ? both / either : 0;
}

// One image: `corners` gives the box of an element, `raw` the score before activation.
template <typename Raw, typename CornersAt>
static std::vector<Detection> efficient_nms_image(const EfficientNms& nms, DType dtype,
                                                  std::int64_t boxes, std::int64_t classes, Raw raw,
                                                  CornersAt corners) {
  constexpr double cleared = -32768;
  constexpr std::size_t candidates_at_most = 5000;
  const auto logit = [](double p) { return p <= 0 ? cleared : std::log(p / (1 - p)); };
  const double exact = nms.sigmoid ? logit(nms.score_threshold) : nms.score_threshold;
  const double threshold = from_numbers(dtype, {}, std::vector{exact}).number(0);
  const bool dense = nms.sigmoid ? threshold < logit(0.007) : threshold < 0.007;
  std::vector<Entry> entries;
  for (std::int64_t i = 0; i < boxes * classes; ++i) {
    const double score = raw(i);
    if (score >= threshold && i % classes != nms.background) {
      entries.push_back({score, i});
    } else if (dense) {
      entries.push_back({cleared, i});  // stays, and may be emitted when too few boxes are good
    }
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.score > b.score; });
  if (entries.size() > candidates_at_most) entries.resize(candidates_at_most);
  std::vector<Detection> kept;
  std::vector<std::int64_t> count(static_cast<std::size_t>(classes), 0);
  for (const Entry& entry : entries) {
    if (static_cast<std::int64_t>(kept.size()) >= nms.most) break;
    const std::int64_t label = entry.index % classes;
    if (nms.per_class >= 0 && count[static_cast<std::size_t>(label)] >= nms.per_class) continue;
    const Corners box = corners(entry.index);
    const bool suppressed = std::any_of(kept.begin(), kept.end(), [&](const Detection& other) {
      return (nms.agnostic || other.label == label) &&
             efficient_iou(ordered(other.corners), ordered(box)) >= nms.iou_threshold;
    });
    if (suppressed) continue;
    ++count[static_cast<std::size_t>(label)];
    kept.push_back({entry.score, entry.index / classes, label, box});
  }
  return kept;
}

static Corners from_center(const Corners& c) {
  return {c[0] - c[2] / 2, c[1] - c[3] / 2, c[0] + c[2] / 2, c[1] + c[3] / 2};
}

// The fused decoder: a box relative to its anchor.
static Corners relative_to(const Corners& anchor, const Corners& t, bool centers) {
  if (!centers) return {t[0] + anchor[0], t[1] + anchor[1], t[2] + anchor[2], t[3] + anchor[3]};
  return {t[0] * anchor[2] + anchor[0], t[1] * anchor[3] + anchor[1], anchor[2] * std::exp(t[2]),
          anchor[3] * std::exp(t[3])};
}

static Result<EfficientNms> efficient_nms_of(const Call& call, std::string_view most,
                                             std::string_view coding) {
  EfficientNms nms;
  auto score = required_number(call, "score_threshold");
  if (!score) return score.error();
  auto iou = required_number(call, "iou_threshold");
  if (!iou) return iou.error();
  auto count = required_integer(call, most);
  if (!count) return count.error();
  auto centers = flag(call, coding, 0);
  if (!centers) return centers.error();
  nms.score_threshold = *score;
  nms.iou_threshold = *iou;
  nms.most = *count;
  nms.centers = *centers;
  if (nms.score_threshold < 0 || !(nms.iou_threshold > 0) || nms.most < 1) {
    return make_error("thresholds {} and {} or the limit {} are out of range", nms.score_threshold,
                      nms.iou_threshold, nms.most);
  }
  return nms;
}

static Status check_boxes(const Tensor& boxes, const Tensor& scores) {
  const bool fits = scores.rank() == 3 && (boxes.rank() == 3 || boxes.rank() == 4) &&
                    boxes.shape().back() == 4 && boxes.dim(0) == scores.dim(0) &&
                    boxes.dim(1) == scores.dim(1) &&
                    (boxes.rank() == 3 || boxes.dim(2) == 1 || boxes.dim(2) == scores.dim(2)) &&
                    is_float(boxes.dtype()) && boxes.dtype() == scores.dtype();
  if (fits) return Done{};
  return make_error("boxes {}{} and scores {}{} do not fit [N,B,4] and [N,B,C]",
                    name(boxes.dtype()), to_string(boxes.shape()), name(scores.dtype()),
                    to_string(scores.shape()));
}

Result<Outputs> run_efficient_nms(const Call& call) {
  const Tensor& boxes = call.tensor(0);
  const Tensor& scores = call.tensor(1);
  auto nms = efficient_nms_of(call, "max_output_boxes", "box_coding");
  if (!nms) return nms.error();
  nms->background = call.attributes.integer("background_class", -1);
  auto sigmoid = flag(call, "score_activation", 0);
  if (!sigmoid) return sigmoid.error();
  auto agnostic = flag(call, "class_agnostic", 0);
  if (!agnostic) return agnostic.error();
  nms->sigmoid = *sigmoid;
  nms->agnostic = *agnostic;
  if (auto fine = check_boxes(boxes, scores); !fine) return fine.error();
  const std::int64_t images = scores.dim(0), count = scores.dim(1), classes = scores.dim(2);
  const std::int64_t per_box = boxes.rank() == 4 ? boxes.dim(2) : 1;
  const bool anchored = call.has(2);
  std::vector<double> anchors;
  if (anchored) {
    const Shape& shape = call.tensor(2).shape();
    if (shape.size() != 3 || (shape[0] != 1 && shape[0] != images) || shape[1] != count ||
        shape[2] != 4) {
      return make_error("anchors {} do not fit {} boxes", to_string(shape), count);
    }
    anchors = call.tensor(2).numbers();
  }
  const std::vector<double> box = boxes.numbers(), score = scores.numbers();
  const std::int64_t most = nms->most;
  Tensor counts = Tensor::zeros(DType::I32, {images, 1});
  Tensor labels = Tensor::zeros(DType::I32, {images, most});
  std::vector<double> out_boxes(static_cast<std::size_t>(images * most * 4), 0.0);
  std::vector<double> out_scores(static_cast<std::size_t>(images * most), 0.0);
  for (std::int64_t n = 0; n < images; ++n) {
    const auto corners = [&](std::int64_t element) {
      const std::int64_t k = element / classes, c = element % classes;
      Corners four;
      std::copy_n(box.begin() + ((n * count + k) * per_box + (per_box > 1 ? c : 0)) * 4, 4,
                  four.begin());
      if (anchored) {
        Corners anchor;
        const std::int64_t set = call.tensor(2).dim(0) == 1 ? 0 : n;
        std::copy_n(anchors.begin() + (set * count + k) * 4, 4, anchor.begin());
        four = relative_to(anchor, four, nms->centers);
      }
      return nms->centers ? from_center(four) : four;
    };
    const auto raw = [&](std::int64_t element) {
      return score[static_cast<std::size_t>(n * count * classes + element)];
    };
    const auto kept = efficient_nms_image(*nms, boxes.dtype(), count, classes, raw, corners);
    counts.mutable_data<std::int32_t>()[n] = static_cast<std::int32_t>(kept.size());
    for (std::size_t i = 0; i < kept.size(); ++i) {
      const std::int64_t row = n * most + static_cast<std::int64_t>(i);
      std::copy_n(kept[i].corners.begin(), 4, out_boxes.begin() + row * 4);
      out_scores[static_cast<std::size_t>(row)] =
          nms->sigmoid ? 1 / (1 + std::exp(-kept[i].score)) : kept[i].score;
      labels.mutable_data<std::int32_t>()[row] = static_cast<std::int32_t>(kept[i].label);
    }
  }
  Outputs out;
  out.push_back(std::move(counts));
  out.push_back(from_numbers(boxes.dtype(), {images, most, 4}, out_boxes));
  out.push_back(from_numbers(boxes.dtype(), {images, most}, out_scores));
  out.push_back(std::move(labels));
  return out;
}

// What TensorRT 8.0 to 8.4 made of NonMaxSuppression: a fixed number of rows whatever the number
// of classes, filled by repeating the last one.
Result<Outputs> run_efficient_nms_onnx(const Call& call) {
  const Tensor& boxes = call.tensor(0);
  const Tensor& scores = call.tensor(1);
  auto nms = efficient_nms_of(call, "max_output_boxes_per_class", "center_point_box");
  if (!nms) return nms.error();
  if (auto fine = check_boxes(boxes, scores); !fine) return fine.error();
  const std::int64_t images = scores.dim(0), count = scores.dim(1), classes = scores.dim(2);
  const std::int64_t rows = images * nms->most;
  nms->per_class = nms->most;
  nms->most = nms->most * std::max<std::int64_t>(classes, 1);
  const std::vector<double> box = boxes.numbers(), score = scores.numbers();
  const std::int64_t per_box = boxes.rank() == 4 ? boxes.dim(2) : 1;
  Tensor out = Tensor::allocate(DType::I32, {rows, 3});
  auto* to = out.mutable_data<std::int32_t>();
  std::fill_n(to, rows * 3, -1);
  std::int64_t at = 0;
  for (std::int64_t n = 0; n < images; ++n) {
    const auto corners = [&](std::int64_t element) {
      const std::int64_t k = element / classes, c = element % classes;
      Corners four;
      std::copy_n(box.begin() + ((n * count + k) * per_box + (per_box > 1 ? c : 0)) * 4, 4,
                  four.begin());
      return nms->centers ? from_center(four) : four;
    };
    const auto raw = [&](std::int64_t element) {
      return score[static_cast<std::size_t>(n * count * classes + element)];
    };
    for (const Detection& kept :
         efficient_nms_image(*nms, boxes.dtype(), count, classes, raw, corners)) {
      if (at == rows) break;
      to[at * 3] = static_cast<std::int32_t>(n);
      to[at * 3 + 1] = static_cast<std::int32_t>(kept.label);
      to[at * 3 + 2] = static_cast<std::int32_t>(kept.box);
      ++at;
    }
  }
  for (std::int64_t row = std::max<std::int64_t>(at, 1); at > 0 && row < rows; ++row) {
    std::copy_n(to + (at - 1) * 3, 3, to + row * 3);
  }
  return one(std::move(out));
}

}  // namespace rulec::generic
