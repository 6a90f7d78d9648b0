// SPDX-License-Identifier: Apache-2.0
#pragma once

// The small nodes between a template's port and the model around it: layout (Transpose), unit
// dimensions (Reshape), element type (Cast), and the model's own padding behind the last detection
// (Where). Found by comparing types or tensors; the same description computes and emits.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "matcher/graph.h"
#include "matcher/rule.h"
#include "runtime/result.h"

namespace rulec {

// Applied in this order; what is empty does nothing.
struct Adaptor {
  std::vector<std::int64_t> perm;
  std::optional<Shape> shape;  // at most one -1
  DType cast = DType::Undefined;

  bool empty() const { return perm.empty() && !shape && cast == DType::Undefined; }
};

// "Transpose [0,3,1,2], Cast to f32"; empty for none.
std::string to_string(const Adaptor& adaptor);

// Dimensions without the ones.
Shape without_units(std::span<const std::int64_t> shape);

// Ways to see a tensor of shape `from` as one of shape `to`, plainest first: as it is, by unit
// dimensions, and, for rank 4 and `any_layout`, by NHWC/NCHW exchanges.
std::vector<Adaptor> adaptors_between(const Shape& from, const Shape& to, bool any_layout);

Tensor transpose(const Tensor& tensor, std::span<const std::int64_t> perm);
Tensor apply(const Adaptor& adaptor, const Tensor& tensor);

// Emits nodes one after the other into a graph, typed, with names from a hint and metadata.
class NodeWriter {
 public:
  NodeWriter(Model& model, GraphId graph, NodeId before, std::string hint,
             std::vector<Metadata> metadata)
      : model_(model),
        graph_(graph),
        before_(before),
        hint_(std::move(hint)),
        metadata_(std::move(metadata)) {}

  ValueId constant(Tensor tensor);
  // One result, of the given type.
  ValueId node(std::string type, std::vector<ValueId> inputs, std::vector<Attribute> attributes,
               Type result);
  ValueId adapt(ValueId value, const Adaptor& adaptor);
  // rows[b, k, …] where k < count[b], else `padding`; none where it is not known how many rows.
  ValueId pad_rows(ValueId rows, ValueId count, double padding);

  const std::vector<NodeId>& made() const { return made_; }

 private:
  Model& model_;
  GraphId graph_;
  NodeId before_;
  std::string hint_;
  std::vector<Metadata> metadata_;
  std::vector<NodeId> made_;
};

}  // namespace rulec
