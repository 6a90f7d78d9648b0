// SPDX-License-Identifier: Apache-2.0
#pragma once

// AttributeProto and AttributeValue, both ways. Nested graphs are the caller's business.

#include <functional>
#include <optional>

#include "matcher/onnx_tensor.h"

namespace rulec {

struct DecodedAttribute {
  std::string_view name;
  // Nothing for graphs, which are still bytes, and for kinds that a Model does not have.
  std::optional<AttributeValue> value;
  bool is_graph = false, is_graphs = false;
  std::vector<std::string_view> graphs;
  bool plain = true;  // encoding the value gives the bytes back
};

Result<DecodedAttribute> decode_attribute(std::string_view bytes, TensorHome& home);

using EncodeGraph = std::function<wire::Writer(GraphId)>;
// Large tensors are referred to: the attribute outlives the writer.
wire::Writer encode_attribute(const Attribute& attribute, const EncodeGraph& graph);

}  // namespace rulec
