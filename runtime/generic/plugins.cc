// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "runtime/generic/elements.h"
#include "runtime/generic/families.h"
#include "runtime/generic/operands.h"

// TensorRT's other plugins (tensorrt.md §2.5 and §2.6); the NMS ones are in plugins_nms.cc.
namespace rulec::generic {

static std::vector<double> floats(const Call& call, std::string_view attribute) {
  const auto* list = call.attributes.get<std::vector<float>>(attribute);
  return list != nullptr ? std::vector<double>(list->begin(), list->end()) : std::vector<double>();
}

// Boxes and variances of one layer of a single-shot detector, `[2, H·W·P·4, 1]`. The plugin
// computes in single precision, save for the halving of width and height.
static Tensor grid_anchors(std::int64_t height, std::int64_t width,
                           const std::vector<std::pair<float, float>>& sizes,
                           const std::vector<double>& variance) {
  const std::int64_t priors = height * width * static_cast<std::int64_t>(sizes.size());
  Tensor out = Tensor::allocate(DType::F32, {2, priors * 4, 1});
  auto* box = out.mutable_data<float>();
  const float step_x = 1.0F / static_cast<float>(width);
  const float step_y = 1.0F / static_cast<float>(height);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      const float cy = static_cast<float>(y) * step_y + 0.5F * step_y;
      const float cx = static_cast<float>(x) * step_x + 0.5F * step_x;
      for (const auto& [w, h] : sizes) {
        const double dx = 0.5 * static_cast<double>(w), dy = 0.5 * static_cast<double>(h);
        *box++ = static_cast<float>(static_cast<double>(cx) - dx);
        *box++ = static_cast<float>(static_cast<double>(cy) - dy);
        *box++ = static_cast<float>(static_cast<double>(cx) + dx);
        *box++ = static_cast<float>(static_cast<double>(cy) + dy);
      }
    }
  }
  for (std::int64_t i = 0; i < priors * 4; ++i) {
    *box++ = static_cast<float>(variance[static_cast<std::size_t>(i % 4)]);
  }
  return out;
}

static Result<Outputs> grid_anchor(const Call& call) {
  const bool rectangular = call.type == "GridAnchorRect_TRT";
  const float low = call.attributes.number("minSize", 0.2F);
  const float high = call.attributes.number("maxSize", 0.95F);
  const std::int64_t layers = call.attributes.integer("numLayers", 6);
  const std::vector<double> ratios = floats(call, "aspectRatios");
  const std::vector<double> variance = floats(call, "variance");
  const Integers maps = call.attributes.integers("featureMapShapes");
  if (layers < 2) {
    return make_error("numLayers is {}: the scales of fewer than 2 layers are not defined", layers);
  }
  if (ratios.size() < 3 || variance.size() != 4 ||
      static_cast<std::int64_t>(maps.size()) != layers * (rectangular ? 2 : 1)) {
    return make_error(
        "it needs 3 or more aspectRatios (has {}), 4 variances ({}), and {} "
        "featureMapShapes ({})",
        ratios.size(), variance.size(), layers * (rectangular ? 2 : 1), maps.size());
  }
  const auto scale = [&](std::int64_t k) {
    return k == layers
               ? 1.0F
               : low + (high - low) * static_cast<float>(k) / static_cast<float>(layers - 1);
  };
  Outputs out;
  for (std::int64_t k = 0; k < layers; ++k) {
    std::vector<std::pair<float, float>> sizes;
    const auto add = [&](float s, double ratio) {
      const float root = std::sqrt(static_cast<float>(ratio));
      sizes.emplace_back(s * root, s / root);
    };
    if (k == 0) {
      add(0.1F, ratios[0]);
      add(scale(0), ratios[1]);
      add(scale(0), ratios[2]);
    } else {
      for (double ratio : ratios)
        add(scale(k), ratio);
      const double next = k + 1 == layers ? 1.0 : static_cast<double>(scale(k + 1));
      add(static_cast<float>(std::sqrt(static_cast<double>(scale(k)) * next)), 1.0);
    }
    const auto at = static_cast<std::size_t>(k);
    const std::int64_t h = rectangular ? maps[2 * at] : maps[at];
    const std::int64_t w = rectangular ? maps[2 * at + 1] : maps[at];
    if (h < 1 || w < 1 || h > 1 << 16 || w > 1 << 16) {
      return make_error("feature map {} is {}×{}", k, h, w);
    }
    out.push_back(grid_anchors(h, w, sizes, variance));
  }
  return out;
}

static Result<Outputs> flatten_concat(const Call& call) {
  std::vector<Tensor> parts;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    if (!call.has(i) || !call.inputs[i]->is_tensor() || call.tensor(i).rank() == 0) {
      return make_error("operand {} is not a batch of tensors", i);
    }
    const Tensor& in = call.tensor(i);
    if (in.dim(0) != call.tensor(0).dim(0) || in.dtype() != call.tensor(0).dtype()) {
      return make_error("operands 0 and {} differ in batch or element type", i);
    }
    parts.push_back(
        in.reshaped({in.dim(0), element_count(std::span(in.shape()).subspan(1)), 1, 1}));
  }
  return one(concatenated(parts, 1));
}

static Result<Outputs> resize_nearest(const Call& call) {
  const Tensor& in = call.tensor(0);
  const float scale = call.attributes.number("scale", 0);
  if (in.rank() < 3 || !(scale > 0) || scale > 1e6F) {
    return make_error("scale {} of {}", scale, to_string(in.shape()));
  }
  Tensor out = in;
  for (std::size_t axis : {in.rank() - 2, in.rank() - 1}) {
    const auto length = static_cast<std::int64_t>(static_cast<float>(in.dim(axis)) * scale);
    Integers indices;
    for (std::int64_t i = 0; i < length; ++i) {
      const auto source = static_cast<std::int64_t>(static_cast<float>(i) / scale);
      indices.push_back(std::min(source, in.dim(axis) - 1));
    }
    out = take(out, axis, indices);
  }
  return one(std::move(out));
}

static Result<Outputs> instance_normalization(const Call& call) {
  const Tensor& in = call.tensor(0);
  if (in.rank() < 3 || !is_float(in.dtype())) {
    return make_error("{}{} has no instances", name(in.dtype()), to_string(in.shape()));
  }
  const auto per_channel = [&](std::size_t index, std::string_view attribute) {
    return call.has(index) && call.inputs[index]->is_tensor() ? call.tensor(index).numbers()
                                                              : floats(call, attribute);
  };
  const std::vector<double> scales = per_channel(1, "scales"), bias = per_channel(2, "bias");
  const auto channels = static_cast<std::size_t>(in.dim(1));
  if (scales.size() != channels || bias.size() != channels) {
    return make_error("{} scales and {} biases for {} channels", scales.size(), bias.size(),
                      channels);
  }
  const auto epsilon = static_cast<double>(call.attributes.number("epsilon", 1e-5F));
  const bool relu = call.attributes.integer("relu", 0) != 0;
  const auto alpha = static_cast<double>(call.attributes.number("alpha", 0));
  const auto pixels = static_cast<std::size_t>(element_count(std::span(in.shape()).subspan(2)));
  std::vector<double> values = in.numbers();
  for (std::size_t plane = 0; pixels > 0 && plane * pixels < values.size(); ++plane) {
    const std::span<double> part(values.data() + plane * pixels, pixels);
    double mean = 0, variance = 0;
    for (double v : part)
      mean += v;
    mean /= static_cast<double>(pixels);
    for (double v : part)
      variance += (v - mean) * (v - mean);
    variance /= static_cast<double>(pixels);
    const double factor = scales[plane % channels] / std::sqrt(variance + epsilon);
    for (double& v : part) {
      v = (v - mean) * factor + bias[plane % channels];
      if (relu && v < 0) v *= alpha;
    }
  }
  return one(from_numbers(in.dtype(), in.shape(), values));
}

std::span<const KernelEntry> plugin_kernels() {
  static const KernelEntry entries[] = {
      {"", "FlattenConcat_TRT", flatten_concat},
      {"", "GridAnchorRect_TRT", grid_anchor, 0},
      {"", "GridAnchor_TRT", grid_anchor, 0},
      {"", "InstanceNormalization_TRT", instance_normalization},
      {"", "ResizeNearest_TRT", resize_nearest},
  };
  return entries;
}

}  // namespace rulec::generic
