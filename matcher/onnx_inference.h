// SPDX-License-Identifier: Apache-2.0
#pragma once

// Inference of types over a whole Model, node by node: the class behind infer_types (onnx_io.h),
// private to onnx_infer.cc and to onnx_node_view.cc, through whose eyes ONNX's functions see a
// node.
//
//   Inference(model, warnings, nullptr).run();

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <onnx/defs/schema.h>

#include "matcher/graph.h"
#include "matcher/op_table.h"

namespace rulec {

// The function that is being inferred, and what its caller gave.
struct Call {
  const Function* function = nullptr;
  const Attributes* arguments = nullptr;
  int depth = 0;
};

using Propagated = std::unordered_map<std::uint32_t, onnx::TensorShapeProto>;

class Inference {
 public:
  Inference(Model& model, std::vector<std::string>& warnings, const OpTable* ops)
      : model_(model), warnings_(warnings), ops_(ops) {}
  void run();
  void graph(GraphId id, const Call& call);
  // Adds what is inferred to what is known; on contradiction the inferred wins, save for the
  // interface of the model.
  void learn(ValueId id, Type inferred);

  Model& model() { return model_; }
  Propagated& propagated() { return propagated_; }

 private:
  void node(NodeId id, const Call& call);
  bool infer(NodeId id, const Call& call, const onnx::OpSchema& schema);
  bool infer_function(NodeId id, const Function& function, const Call& call);
  std::int64_t opset(std::string_view domain, const Call& call) const;
  void infer_declared(NodeId id, int version);
  void warn(NodeId id, std::string_view what);
  void name_unknown_dims(Type& type);

  Model& model_;
  std::vector<std::string>& warnings_;
  const OpTable* ops_;  // only where rule files declare operators
  Propagated propagated_;
  std::uint64_t next_symbol_ = 0;
  int standard_opset_ = 0;
};

}  // namespace rulec
