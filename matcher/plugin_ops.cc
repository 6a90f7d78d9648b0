// SPDX-License-Identifier: Apache-2.0
// The table of plugin operators, one declaration a line in the manner of a rule file's `op`:
//   Name(operand: type, optional?: type, rest*: type) -> (result: type, …) {attribute: kind = …}
// `!` after a kind marks a required attribute. Types: F a float type (one per node), Q an 8-bit
// integer, A any type, else the element type. What is not required and has no default is so in
// TensorRT too.
#include "matcher/plugin_ops.h"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <onnx/defs/schema.h>

#include "matcher/plugin_inference.h"
#include "runtime/check.h"

namespace rulec {

namespace {

struct Declaration {
  const char* domain;
  const char* text;
};

// clang-format off
constexpr Declaration declarations[] = {
  {"", "BatchedNMS_TRT(boxes: F, scores: F) -> (num_detections: int32, nmsed_boxes: F, nmsed_scores: F, nmsed_classes: F)"
       " {shareLocation: int!, backgroundLabelId: int!, numClasses: int!, topK: int!, keepTopK: int!, scoreThreshold: float!,"
       " iouThreshold: float!, isNormalized: int, clipBoxes: int = 1, scoreBits: int = 16, caffeSemantics: int = 1}"},
  {"", "BatchedNMSDynamic_TRT(boxes: F, scores: F) -> (num_detections: int32, nmsed_boxes: F, nmsed_scores: F, nmsed_classes: F)"
       " {shareLocation: int!, backgroundLabelId: int!, numClasses: int!, topK: int!, keepTopK: int!, scoreThreshold: float!,"
       " iouThreshold: float!, isNormalized: int, clipBoxes: int = 1, scoreBits: int = 16, caffeSemantics: int = 1}"},
  {"", "EfficientNMS_TRT(boxes: F, scores: F, anchors?: F) -> (num_detections: int32, detection_boxes: F, detection_scores: F, detection_classes: int32)"
       " {score_threshold: float!, iou_threshold: float!, max_output_boxes: int!, background_class: int!, score_activation: int!,"
       " box_coding: int!, class_agnostic: int = 0}"},
  {"", "EfficientNMS_ONNX_TRT(boxes: F, scores: F) -> (nms_indices: int32)"
       " {score_threshold: float!, iou_threshold: float!, max_output_boxes_per_class: int!, center_point_box: int!}"},
  {"", "NMS_TRT(loc: F, conf: F, prior: F) -> (detections: F, keep_count: F)"
       " {shareLocation: int!, varianceEncodedInTarget: int!, backgroundLabelId: int!, numClasses: int!, topK: int!, keepTopK: int!,"
       " confidenceThreshold: float!, nmsThreshold: float!, inputOrder: ints = [0 2 1], confSigmoid: int!, isNormalized: int!,"
       " codeType: int = 3, scoreBits: int = 16, isBatchAgnostic: int = 1}"},
  {"", "NMSDynamic_TRT(loc: F, conf: F, prior: F) -> (detections: F, keep_count: F)"
       " {shareLocation: int!, varianceEncodedInTarget: int!, backgroundLabelId: int!, numClasses: int!, topK: int!, keepTopK: int!,"
       " confidenceThreshold: float!, nmsThreshold: float!, inputOrder: ints = [0 2 1], confSigmoid: int!, isNormalized: int!,"
       " codeType: int = 3, scoreBits: int = 16, isBatchAgnostic: int = 1}"},
  {"", "GridAnchor_TRT() -> (anchors*: float)"
       " {minSize: float = 0.2, maxSize: float = 0.95, aspectRatios: floats!, featureMapShapes: ints!, variance: floats!, numLayers: int = 6}"},
  {"", "GridAnchorRect_TRT() -> (anchors*: float)"
       " {minSize: float = 0.2, maxSize: float = 0.95, aspectRatios: floats!, featureMapShapes: ints!, variance: floats!, numLayers: int = 6}"},
  {"", "FlattenConcat_TRT(inputs*: F) -> (output: F) {axis: int!, ignoreBatch: int!}"},
  {"", "ResizeNearest_TRT(input: F) -> (output: F) {scale: float!}"},
  {"", "InstanceNormalization_TRT(input: F, scale?: float, bias?: float) -> (output: F)"
       " {epsilon: float = 1e-5, scales: floats, bias: floats, relu: int = 0, alpha: float = 0}"},
  {"", "DisentangledAttention_TRT(c2c: F, c2p: F, p2c: F) -> (output: F) {factor: float!, span: int!}"},
  {"", "ROIAlign_TRT(X: F, rois: F, batch_indices: int32) -> (Y: F)"
       " {coordinate_transformation_mode: int = 1, mode: int = 1, output_height: int = 1, output_width: int = 1,"
       " sampling_ratio: int = 0, spatial_scale: float = 1}"},
  {"", "PyramidROIAlign_TRT(rois: F, maps*: F) -> (output: F)"
       " {pooled_size: int = 7, image_size: ints, fpn_scale: int = 224, sampling_ratio: int = 0, roi_coords_absolute: int = 1,"
       " roi_coords_swap: int = 0, roi_coords_plusone: int = 0, roi_coords_transform: int = 2}"},
  {"", "CropAndResize(image: F, rois: F) -> (output: F) {crop_width: int!, crop_height: int!}"},
  {"", "CropAndResizeDynamic(image: F, rois: F) -> (output: F) {crop_width: int!, crop_height: int!}"},
  {"", "GroupNormalizationPlugin(input: F, scale: F, bias: F) -> (output: F) {eps: float = 1e-5, num_groups: int!}"},
  {"", "ModulatedDeformConv2d(x: F, offset: F, mask: F, weight: F, bias?: F) -> (output: F)"
       " {stride: ints!, padding: ints!, dilation: ints!, group: int!, deformable_group: int!}"},
  {"com.microsoft", "Gelu(X: F) -> (Y: F)"},
  {"com.microsoft", "FastGelu(X: F, bias?: F) -> (Y: F)"},
  {"com.microsoft", "QuickGelu(X: F) -> (Y: F) {alpha: float = 1.702}"},
  {"com.microsoft", "BiasGelu(A: F, B: F) -> (C: F)"},
  {"com.microsoft", "BiasAdd(X: F, bias: F, skip: F) -> (Y: F)"},
  {"com.microsoft", "BiasSplitGelu(X: F, bias: F) -> (Y: F)"},
  {"com.microsoft", "Inverse(X: F) -> (Y: F)"},
  {"com.microsoft", "FusedConv(X: F, W: F, B?: F, Z?: F) -> (Y: F)"
       " {auto_pad: string = NOTSET, dilations: ints, group: int = 1, kernel_shape: ints, pads: ints, strides: ints,"
       " activation: string, activation_params: floats}"},
  {"com.microsoft", "FusedMatMul(A: F, B: F) -> (Y: F)"
       " {alpha: float = 1, transA: int = 0, transB: int = 0, transBatchA: int = 0, transBatchB: int = 0}"},
  {"com.microsoft", "TransposeMatMul(A: F, B: F) -> (Y: F) {alpha: float = 1, transA: int = 0, transB: int = 0}"},
  {"com.microsoft", "FusedGemm(A: F, B: F, C?: F) -> (Y: F)"
       " {alpha: float = 1, beta: float = 1, transA: int = 0, transB: int = 0, activation: string, activation_alpha: float,"
       " activation_beta: float, activation_gamma: float}"},
  {"com.microsoft", "SkipLayerNormalization(input: F, skip: F, gamma: F, beta?: F, bias?: F) ->"
       " (output: F, mean?: float, inv_std_var?: float, input_skip_bias_sum?: F) {epsilon: float = 1e-12}"},
  {"com.microsoft", "SkipSimplifiedLayerNormalization(input: F, skip: F, gamma: F, bias?: F) ->"
       " (output: F, mean?: float, inv_std_var?: float, input_skip_bias_sum?: F) {epsilon: float = 1e-12}"},
  {"com.microsoft", "EmbedLayerNormalization(input_ids: int32, segment_ids?: int32, word_embedding: F, position_embedding: F,"
       " segment_embedding?: F, gamma: F, beta: F, mask?: int32, position_ids?: int32) ->"
       " (output: F, mask_index?: int32, embedding_sum?: F) {epsilon: float = 1e-12, mask_index_type: int = 0}"},
  {"com.microsoft", "Attention(input: F, weights: F, bias?: F, mask_index?: int32, past?: F, attention_bias?: F, past_sequence_length?: int32)"
       " -> (output: F, present?: F)"
       " {num_heads: int!, unidirectional: int = 0, qkv_hidden_sizes: ints, mask_filter_value: float = -10000, scale: float,"
       " do_rotary: int = 0, rotary_embedding_dim: int = 0, past_present_share_buffer: int}"},
  {"com.microsoft", "MultiHeadAttention(query: F, key?: F, value?: F, bias?: F, key_padding_mask?: int32, attention_bias?: F,"
       " past_key?: F, past_value?: F) -> (output: F, present_key?: F, present_value?: F)"
       " {num_heads: int!, unidirectional: int = 0, mask_filter_value: float = -10000, scale: float}"},
  {"com.microsoft", "QLinearAdd(A: Q, A_scale: float, A_zero_point?: Q, B: Q, B_scale: float, B_zero_point?: Q, C_scale: float, C_zero_point?: Q) -> (C: Q)"},
  {"com.microsoft", "QLinearMul(A: Q, A_scale: float, A_zero_point?: Q, B: Q, B_scale: float, B_zero_point?: Q, C_scale: float, C_zero_point?: Q) -> (C: Q)"},
  {"com.microsoft", "QLinearSigmoid(X: Q, X_scale: float, X_zero_point?: Q, Y_scale: float, Y_zero_point?: Q) -> (Y: Q)"},
  {"com.microsoft", "QLinearLeakyRelu(X: Q, X_scale: float, X_zero_point?: Q, Y_scale: float, Y_zero_point?: Q) -> (Y: Q) {alpha: float = 0.01}"},
  {"com.microsoft", "QLinearGlobalAveragePool(X: Q, x_scale: float, x_zero_point: Q, y_scale: float, y_zero_point: Q) -> (Y: Q) {channels_last: int = 0}"},
  {"com.microsoft", "QLinearConcat(Y_scale: float, Y_zero_point: Q, inputs*: A) -> (Y: Q) {axis: int!}"},
  {"com.microsoft", "QuantizeLinear(x: F, y_scale: F, y_zero_point?: A) -> (y: A) {axis: int}"},
  {"com.microsoft", "DequantizeLinear(x: A, x_scale: F, x_zero_point?: A) -> (y: F) {axis: int}"},
};
// clang-format on

// Reads one declaration. A mistake in the table is ours: RULEC_CHECK.
class DeclarationReader {
 public:
  explicit DeclarationReader(const Declaration& declaration)
      : left_(declaration.text), domain_(declaration.domain) {}

  onnx::OpSchema read() {
    const std::string name(word());
    onnx::OpSchema schema(name, "plugin_ops.cc", 0);
    schema.SetDomain(domain_).SinceVersion(1);
    schema.SetDoc("");
    operands(schema, true);
    expect("->");
    operands(schema, false);
    if (accept("{")) attributes(schema);
    if (domain_.empty()) {  // what TensorRT's parser reads on every plugin node
      schema.Attr("plugin_version", "", onnx::AttributeProto::STRING, std::string("1"));
      schema.Attr("plugin_namespace", "", onnx::AttributeProto::STRING, std::string());
    }
    if (floats_) {
      schema.TypeConstraint(
          "F", {"tensor(float)", "tensor(float16)", "tensor(bfloat16)", "tensor(double)"}, "");
    }
    if (bytes_) schema.TypeConstraint("Q", {"tensor(uint8)", "tensor(int8)"}, "");
    for (const std::string& any : any_) {
      schema.TypeConstraint(any, onnx::OpSchema::all_tensor_types(), "");
    }
    schema.TypeAndShapeInferenceFunction(plugin_inference(domain_, name));
    return schema;
  }

 private:
  void spaces() {
    while (left_.starts_with(' '))
      left_.remove_prefix(1);
  }
  bool accept(std::string_view token) {
    spaces();
    if (!left_.starts_with(token)) return false;
    left_.remove_prefix(token.size());
    return true;
  }
  void expect(std::string_view token) { RULEC_CHECK(accept(token)); }
  std::string_view word() {
    spaces();
    const std::size_t end = std::min(left_.find_first_of(" :,()[]{}?*!="), left_.size());
    const std::string_view found = left_.substr(0, end);
    left_.remove_prefix(end);
    return found;
  }

  void operands(onnx::OpSchema& schema, bool inputs) {
    expect("(");
    for (int index = 0; !accept(")"); ++index) {
      std::string name(word());
      const bool optional = accept("?"), variadic = accept("*");
      expect(":");
      std::string type(word());
      accept(",");
      if (type == "F") {
        floats_ = true;
      } else if (type == "Q") {
        bytes_ = true;
      } else if (type == "A") {
        type += std::to_string(any_.size());
        any_.push_back(type);
      } else {
        type = "tensor(" + type + ")";
      }
      const auto option = optional   ? onnx::OpSchema::Optional
                          : variadic ? onnx::OpSchema::Variadic
                                     : onnx::OpSchema::Single;
      if (inputs) {
        schema.Input(index, std::move(name), "", std::move(type), option, !variadic);
      } else {
        schema.Output(index, std::move(name), "", std::move(type), option, !variadic);
      }
    }
  }

  void attributes(onnx::OpSchema& schema) {
    using onnx::AttributeProto;
    while (!accept("}")) {
      std::string name(word());
      expect(":");
      const std::string_view kind = word();
      const bool required = accept("!");
      const auto type = kind == "int"      ? AttributeProto::INT
                        : kind == "float"  ? AttributeProto::FLOAT
                        : kind == "string" ? AttributeProto::STRING
                        : kind == "ints"   ? AttributeProto::INTS
                                           : AttributeProto::FLOATS;
      if (!accept("=")) {
        schema.Attr(std::move(name), "", type, required);
      } else if (type == AttributeProto::INT) {
        schema.Attr(std::move(name), "", type,
                    std::int64_t{std::atoll(std::string(word()).c_str())});
      } else if (type == AttributeProto::FLOAT) {
        schema.Attr(std::move(name), "", type, std::strtof(std::string(word()).c_str(), nullptr));
      } else if (type == AttributeProto::STRING) {
        schema.Attr(std::move(name), "", type, std::string(word()));
      } else {
        std::vector<std::int64_t> all;
        expect("[");
        while (!accept("]"))
          all.push_back(std::atoll(std::string(word()).c_str()));
        schema.Attr(std::move(name), "", type, all);
      }
      accept(",");
    }
  }

  std::string_view left_;
  std::string domain_;
  bool floats_ = false, bytes_ = false;
  std::vector<std::string> any_;
};

}  // namespace

static void register_all() {
  try {
    onnx::OpSchemaRegistry::Schema("Relu");  // ONNX registers its own when first asked
    auto& domains = onnx::OpSchemaRegistry::DomainToVersionRange::Instance();
    if (!domains.Map().contains("com.microsoft")) domains.AddDomainToVersion("com.microsoft", 1, 1);
    for (const Declaration& declaration : declarations) {
      onnx::RegisterSchema(DeclarationReader(declaration).read(), 0, false, true);
    }
  } catch (const std::exception&) {
    RULEC_CHECK(false);  // the table is at fault
  }
}

bool is_plugin_operator(std::string_view type) {
  return std::any_of(std::begin(declarations), std::end(declarations), [&](const Declaration& d) {
    const std::string_view text = d.text;
    return d.domain[0] == '\0' && text.substr(0, text.find('(')) == type;
  });
}

void register_plugin_operators() {
  static std::once_flag once;
  std::call_once(once, register_all);
}

}  // namespace rulec
