// SPDX-License-Identifier: Apache-2.0
#pragma once

// A node of a Model as ONNX's inference functions want to see it, and as its propagation of
// computed shapes does. Messages are made only of what is asked for. Not the inference: that is
// onnx_inference.h.
//
//   NodeView view(inference, node, call);
//   schema.GetTypeAndShapeInferenceFunction()(view);
//   Type type = from_proto(*view.getOutputType(0));

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <onnx/defs/schema.h>
#include <onnx/shape_inference/implementation.h>

#include "matcher/onnx_inference.h"

namespace rulec {

// Operands whose numbers decide a shape are short: nothing longer is handed over.
inline constexpr std::int64_t longest_operand = 1024;

// Why a node must not be handed to ONNX's inference function, which trusts its schema; empty: it
// may.
std::string misfit(const onnx::OpSchema& schema, const GraphNode& node);

class NodeView : public onnx::InferenceContext {
 public:
  NodeView(Inference& all, NodeId id, const Call& call);

  const onnx::AttributeProto* getAttribute(const std::string& name) const override;
  std::size_t getNumInputs() const override { return inputs_.size(); }
  const onnx::TypeProto* getInputType(std::size_t index) const override;
  bool hasInput(std::size_t index) const override {
    return index < inputs_.size() && static_cast<bool>(it().inputs[index]);
  }
  const onnx::TensorProto* getInputData(std::size_t index) const override;
  const onnx::SparseTensorProto* getInputSparseData(std::size_t) const override { return nullptr; }
  const onnx::TensorShapeProto* getSymbolicInput(std::size_t index) const override;
  std::size_t getNumOutputs() const override { return outputs_.size(); }
  onnx::TypeProto* getOutputType(std::size_t index) override;
  bool hasOutput(std::size_t index) override {
    return index < outputs_.size() && static_cast<bool>(it().outputs[index]);
  }
  onnx::GraphInferencer* getGraphAttributeInferencer(const std::string& name) override;

  bool all_inputs_known() const;

 private:
  const Model& model() const { return all_.model(); }
  const GraphNode& it() const { return model().node(id_); }
  const AttributeValue* resolve(const AttributeValue& value) const;

  Inference& all_;
  NodeId id_;
  Call call_;
  std::vector<std::unique_ptr<onnx::TypeProto>> inputs_;
  std::vector<onnx::TypeProto> outputs_;
  mutable std::vector<std::unique_ptr<onnx::TensorProto>> data_;
  mutable std::unordered_map<std::string, std::unique_ptr<onnx::AttributeProto>> attributes_;
  std::vector<std::unique_ptr<onnx::GraphInferencer>> bodies_;
};

// The same node for ONNX's propagation of shapes that are computed.
class NodeData : public onnx::DataPropagationContext {
 public:
  NodeData(NodeView& view, Inference& all, NodeId id) : view_(view), all_(all), id_(id) {}

  const onnx::AttributeProto* getAttribute(const std::string& name) const override {
    return view_.getAttribute(name);
  }
  std::size_t getNumInputs() const override { return view_.getNumInputs(); }
  const onnx::TypeProto* getInputType(std::size_t index) const override {
    return view_.getInputType(index);
  }
  std::size_t getNumOutputs() const override { return view_.getNumOutputs(); }
  const onnx::TypeProto* getOutputType(std::size_t index) const override {
    return view_.getOutputType(index);
  }
  const onnx::TensorShapeProto* getInputData(std::size_t index) override;
  void addOutputData(std::size_t index, onnx::TensorShapeProto&& data) override;

 private:
  NodeView& view_;
  Inference& all_;
  NodeId id_;
  std::vector<std::unique_ptr<onnx::TensorShapeProto>> made_;
};

}  // namespace rulec
