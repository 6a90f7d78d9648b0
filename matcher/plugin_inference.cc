// SPDX-License-Identifier: Apache-2.0
#include "matcher/plugin_inference.h"

#include <span>
#include <vector>

#include <onnx/defs/shape_inference.h>

namespace rulec {

using onnx::InferenceContext;
using onnx::TensorShapeProto;

static std::int64_t integer(InferenceContext& ctx, const char* name, std::int64_t otherwise) {
  return onnx::getAttribute(ctx, name, otherwise);
}

// Dimension `axis` of an operand, unknown where it is not known.
static TensorShapeProto::Dimension dim_of(InferenceContext& ctx, std::size_t input, int axis) {
  if (onnx::hasInputShape(ctx, input)) {
    const TensorShapeProto& shape = onnx::getInputShape(ctx, input);
    if (axis < shape.dim_size()) return shape.dim(axis);
  }
  return {};
}

static TensorShapeProto::Dimension size(std::int64_t value) {
  TensorShapeProto::Dimension dim;
  if (value >= 0) dim.set_dim_value(value);
  return dim;
}

static void set(InferenceContext& ctx, std::size_t output, int dtype,
                const std::vector<TensorShapeProto::Dimension>& dims) {
  if (output >= ctx.getNumOutputs()) return;
  onnx::updateOutputElemType(ctx, output, dtype);
  TensorShapeProto shape;
  for (const auto& dim : dims)
    *shape.add_dim() = dim;
  onnx::updateOutputShape(ctx, output, shape);
}

static int element_type(InferenceContext& ctx, std::size_t input) {
  const auto* const type = ctx.getInputType(input);
  return type != nullptr && type->has_tensor_type() ? type->tensor_type().elem_type()
                                                    : onnx::TensorProto::UNDEFINED;
}

static void nms(InferenceContext& ctx, const char* kept, bool count_has_column, int class_type) {
  const auto batch = dim_of(ctx, 0, 0);
  const auto rows = size(integer(ctx, kept, -1));
  const int type = element_type(ctx, 0);
  if (type == onnx::TensorProto::UNDEFINED) return;
  if (count_has_column) {
    set(ctx, 0, onnx::TensorProto::INT32, {batch, size(1)});
  } else {
    set(ctx, 0, onnx::TensorProto::INT32, {batch});
  }
  set(ctx, 1, type, {batch, rows, size(4)});
  set(ctx, 2, type, {batch, rows});
  set(ctx, 3, class_type == onnx::TensorProto::UNDEFINED ? type : class_type, {batch, rows});
}

static void batched_nms(InferenceContext& ctx) {
  nms(ctx, "keepTopK", false, onnx::TensorProto::UNDEFINED);
}
static void batched_nms_dynamic(InferenceContext& ctx) {
  nms(ctx, "keepTopK", true, onnx::TensorProto::UNDEFINED);
}
static void efficient_nms(InferenceContext& ctx) {
  nms(ctx, "max_output_boxes", true, onnx::TensorProto::INT32);
}

static void efficient_nms_onnx(InferenceContext& ctx) {
  const auto batch = dim_of(ctx, 0, 0);
  const std::int64_t kept = integer(ctx, "max_output_boxes_per_class", -1);
  const bool known =
      batch.has_dim_value() && kept >= 0 && batch.dim_value() < INT32_MAX && kept < INT32_MAX;
  set(ctx, 0, onnx::TensorProto::INT32, {size(known ? batch.dim_value() * kept : -1), size(3)});
}

static void detection_output(InferenceContext& ctx) {
  const auto batch = dim_of(ctx, 0, 0);
  const int type = element_type(ctx, 0);
  if (type == onnx::TensorProto::UNDEFINED) return;
  set(ctx, 0, type, {batch, size(1), size(integer(ctx, "keepTopK", -1)), size(7)});
  set(ctx, 1, type, {batch, size(1), size(1), size(1)});
}

static void grid_anchor(InferenceContext& ctx, bool rectangles) {
  std::vector<std::int64_t> maps;
  onnx::getRepeatedAttribute(ctx, "featureMapShapes", maps);
  std::vector<float> ratios;
  onnx::getRepeatedAttribute(ctx, "aspectRatios", ratios);
  for (std::size_t layer = 0; layer < ctx.getNumOutputs(); ++layer) {
    const std::size_t at = rectangles ? 2 * layer : layer;
    std::int64_t count = -1;
    if (at + (rectangles ? 1 : 0) < maps.size()) {
      const std::int64_t h = maps[at], w = rectangles ? maps[at + 1] : h;
      // The first layer uses three boxes a cell, the others one more than there are ratios.
      const auto boxes =
          layer == 0 ? std::int64_t{3} : static_cast<std::int64_t>(ratios.size()) + 1;
      if (h > 0 && w > 0 && h < 65536 && w < 65536) count = h * w * boxes * 4;
    }
    set(ctx, layer, onnx::TensorProto::FLOAT, {size(2), size(count), size(1)});
  }
}

static void grid_anchor_square(InferenceContext& ctx) {
  grid_anchor(ctx, false);
}
static void grid_anchor_rect(InferenceContext& ctx) {
  grid_anchor(ctx, true);
}

static void crop_and_resize(InferenceContext& ctx) {
  const int type = element_type(ctx, 0);
  if (type == onnx::TensorProto::UNDEFINED) return;
  set(ctx, 0, type,
      {dim_of(ctx, 0, 0), dim_of(ctx, 1, 1), dim_of(ctx, 0, 1),
       size(integer(ctx, "crop_height", -1)), size(integer(ctx, "crop_width", -1))});
}

static void resize_nearest(InferenceContext& ctx) {
  onnx::propagateElemTypeFromInputToOutput(ctx, 0, 0);
  const auto* const attribute = ctx.getAttribute("scale");
  if (attribute == nullptr || !onnx::hasInputShape(ctx, 0)) return;
  TensorShapeProto shape = onnx::getInputShape(ctx, 0);
  for (int axis = std::max(0, shape.dim_size() - 2); axis < shape.dim_size(); ++axis) {
    auto* const dim = shape.mutable_dim(axis);
    const double scaled = dim->has_dim_value() && dim->dim_value() < INT32_MAX
                              ? static_cast<double>(dim->dim_value()) * attribute->f()
                              : -1;
    *dim = size(scaled >= 0 && scaled < 1e15 ? static_cast<std::int64_t>(scaled) : -1);
  }
  onnx::updateOutputShape(ctx, 0, shape);
}

static void element_type_only(InferenceContext& ctx) {
  onnx::propagateElemTypeFromInputToOutput(ctx, 0, 0);
}

static void like_first(InferenceContext& ctx) {
  onnx::propagateElemTypeFromInputToOutput(ctx, 0, 0);
  if (onnx::hasInputShape(ctx, 0)) onnx::propagateShapeFromInputToOutput(ctx, 0, 0);
}

// y of DequantizeLinear has the scale's type.
static void dequantize(InferenceContext& ctx) {
  onnx::propagateElemTypeFromInputToOutput(ctx, 1, 0);
  if (onnx::hasInputShape(ctx, 0)) onnx::propagateShapeFromInputToOutput(ctx, 0, 0);
}

static void quantize(InferenceContext& ctx) {
  if (ctx.getNumInputs() > 2 && ctx.getInputType(2) != nullptr) {
    onnx::propagateElemTypeFromInputToOutput(ctx, 2, 0);
  } else {
    onnx::updateOutputElemType(ctx, 0, onnx::TensorProto::UINT8);
  }
  if (onnx::hasInputShape(ctx, 0)) onnx::propagateShapeFromInputToOutput(ctx, 0, 0);
}

static void broadcast_two(InferenceContext& ctx, std::size_t a, std::size_t b) {
  onnx::propagateElemTypeFromInputToOutput(ctx, a, 0);
  if (onnx::hasInputShape(ctx, a) && onnx::hasInputShape(ctx, b)) {
    onnx::bidirectionalBroadcastShapeInference(
        onnx::getInputShape(ctx, a), onnx::getInputShape(ctx, b), *onnx::getOutputShape(ctx, 0));
  }
}
static void qlinear_binary(InferenceContext& ctx) {
  broadcast_two(ctx, 0, 3);
}

onnx::InferenceFunction plugin_inference(std::string_view domain, std::string_view type) {
  struct Entry {
    std::string_view type;
    void (*infer)(InferenceContext&);
  };
  static constexpr Entry plugins[] = {
      {"BatchedNMS_TRT", batched_nms},
      {"BatchedNMSDynamic_TRT", batched_nms_dynamic},
      {"EfficientNMS_TRT", efficient_nms},
      {"EfficientNMS_ONNX_TRT", efficient_nms_onnx},
      {"NMS_TRT", detection_output},
      {"NMSDynamic_TRT", detection_output},
      {"GridAnchor_TRT", grid_anchor_square},
      {"GridAnchorRect_TRT", grid_anchor_rect},
      {"CropAndResize", crop_and_resize},
      {"CropAndResizeDynamic", crop_and_resize},
      {"ResizeNearest_TRT", resize_nearest},
      {"InstanceNormalization_TRT", like_first},
      {"GroupNormalizationPlugin", like_first},
      {"DisentangledAttention_TRT", like_first},
  };
  static constexpr Entry microsoft[] = {
      {"Gelu", like_first},
      {"FastGelu", like_first},
      {"QuickGelu", like_first},
      {"BiasGelu", like_first},
      {"BiasAdd", like_first},
      {"Inverse", like_first},
      {"SkipLayerNormalization", like_first},
      {"SkipSimplifiedLayerNormalization", like_first},
      {"QLinearAdd", qlinear_binary},
      {"QLinearMul", qlinear_binary},
      {"QLinearSigmoid", like_first},
      {"QLinearLeakyRelu", like_first},
      {"DequantizeLinear", dequantize},
      {"QuantizeLinear", quantize},
      {"QLinearConcat", nullptr},
      {"EmbedLayerNormalization", nullptr},
  };
  const auto find = [type](std::span<const Entry> entries) -> onnx::InferenceFunction {
    for (const Entry& entry : entries) {
      if (entry.type != type) continue;
      if (entry.infer == nullptr) return [](InferenceContext&) {};
      return entry.infer;
    }
    return element_type_only;
  };
  return domain.empty() ? find(plugins) : find(microsoft);
}

}  // namespace rulec
