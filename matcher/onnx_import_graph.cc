// SPDX-License-Identifier: Apache-2.0
// A GraphProto (or a function's body) into a Model: first every value gets its name, then operands
// and attributes follow. Fields that a Model does not have are kept as bytes.
#include <algorithm>
#include <functional>
#include <span>

#include "matcher/onnx_attribute.h"
#include "matcher/onnx_importer.h"
#include "matcher/onnx_type.h"

namespace rulec {

using wire::Field;
using wire::Kind;

// Protobuf's own readers stop at a nesting of 100 messages, three for each graph.
static constexpr int deepest_graph = 64;
// Attributes that do not re-encode to their bytes are kept in both forms up to this size.
static constexpr std::size_t kept_attribute = 1 << 16;
// Nodes of which the names are read before they are looked up: enough to bridge memory's delay.
static constexpr std::size_t at_once = 16;

static bool is_string(const Field& field) {
  return field.kind == Kind::Bytes;
}

ValueId ImportScope::find(const Model& model, const NameKey& name) const {
  for (const ImportScope* scope = this; scope != nullptr; scope = scope->outer) {
    if (const ValueId found = scope->names.find(model, name)) return found;
  }
  return {};
}

// "node `conv1` (Conv, number 3 of graph `main`)"
std::string describe_node(const Model& model, NodeId id) {
  const GraphNode& it = model.node(id);
  std::size_t number = 1;
  for (NodeId at = model.previous_node(id); at; at = model.previous_node(at))
    ++number;
  const std::string where =
      fmt::format("number {} of graph `{}`", number, model.graph(it.graph).name);
  if (it.name.empty()) return fmt::format("{} node, {}", it.type, where);
  return fmt::format("node `{}` ({}, {})", it.name, it.type, where);
}

std::string Importer::place(NodeId id) const {
  return describe_node(model_, id);
}

bool Importer::define(ImportScope& scope, std::string_view name, ValueId id) {
  bool added = false;
  ValueId& known = *scope.names.enter(model_, NameKey(name), id, added);
  if (added) return true;
  // Some exporters repeat Constant nodes; ONNX Runtime takes the last, and so do we.
  const auto is_constant = [this](ValueId value) {
    const NodeId producer = model_.value(value).producer;
    return producer && model_.node(producer).type == "Constant" &&
           model_.node(producer).domain.empty();
  };
  if (is_constant(known) && is_constant(id)) {
    repeated_.push_back(std::exchange(known, id));
    return true;
  }
  const auto by = [this](ValueId value) -> std::string {
    const GraphValue& it = model_.value(value);
    if (it.producer) return "by " + place(it.producer);
    return it.is_input ? "as a graph input" : "as an initializer";
  };
  return fail("value `{}` is defined twice: {} and {}", name, by(known), by(id));
}

// A ValueInfoProto. `into` keeps its own name, and its type where the message has none.
bool Importer::value_info(std::string_view bytes, std::string_view& name, GraphValue& into) {
  wire::Reader reader(bytes);
  Field field;
  while (reader.next(field)) {
    if (field.number == 1 && is_string(field)) {
      name = field.bytes;
    } else if (field.number == 2 && is_string(field)) {
      std::optional<Type> type = decode_type(field.bytes);
      if (!type) return fail("the type of value `{}` is broken", name);
      if (field.bytes.empty() || encode_type(*type).joined() != field.bytes)
        into.leftover.edit() += field.whole;
      into.type = std::move(*type);
    } else if (field.number == 4 && is_string(field)) {
      if (!decode_metadata(field.bytes, into.metadata.edit())) {
        return fail("the metadata of value `{}` is broken", name);
      }
    } else {
      into.leftover.edit() += field.whole;
    }
  }
  return !reader.failed() || fail("a ValueInfoProto is broken");
}

bool Importer::inputs(const GraphParts& parts, ImportScope& scope) {
  for (const std::string_view bytes : parts.inputs) {
    GraphValue info;
    std::string_view name;
    if (!value_info(bytes, name, info)) return false;
    if (name.empty()) return fail("an input of graph `{}` has no name", parts.name);
    const ValueId id = model_.add_input(scope.graph, std::string(name), std::move(info.type));
    model_.value(id).leftover = std::move(info.leftover);
    model_.value(id).metadata = std::move(info.metadata);
    if (!define(scope, name, id)) return false;
  }
  for (const std::string_view name : parts.input_names) {
    if (!define(scope, name, model_.add_input(scope.graph, std::string(name), {}))) return false;
  }
  return true;
}

bool Importer::initializers(const GraphParts& parts, ImportScope& scope) {
  const auto add = [&](std::string_view name, Tensor tensor, ValueId& id) {
    id = scope.names.find(model_, NameKey(name));
    if (!id) {
      id = model_.add_initializer(scope.graph, std::string(name), std::move(tensor));
      return define(scope, name, id);
    }
    if (model_.value(id).initializer) {
      return fail("initializer `{}` is defined twice", name);
    }
    // Listed among the inputs too: a default.
    model_.value(id).initializer = std::make_shared<const Tensor>(std::move(tensor));
    model_.graph(scope.graph).initializers.push_back(id);
    return true;
  };
  for (const std::string_view bytes : parts.initializers) {
    auto decoded = decode_tensor(bytes, home_);
    if (!decoded) {
      std::string_view name;
      wire::Reader reader(bytes);
      Field field;
      while (reader.next(field)) {
        if (field.number == 8) name = field.bytes;
      }
      return fail("initializer `{}`: {}", name, decoded.error().message);
    }
    if (decoded->name.empty()) return fail("an initializer of graph `{}` has no name", parts.name);
    ValueId id;
    if (!add(decoded->name, std::move(decoded->tensor), id)) return false;
    if (decoded->plain) continue;
    TensorSource source{.tensor = model_.value(id).initializer.get(),
                        .name = std::string(decoded->name),
                        .bytes = bytes,
                        .external = std::move(decoded->external)};
    model_.value(id).source = std::make_shared<const TensorSource>(std::move(source));
  }
  for (const std::string_view bytes : parts.sparse) {
    auto decoded = decode_sparse(bytes, home_);
    if (!decoded) return fail("graph `{}`: {}", parts.name, decoded.error().message);
    if (decoded->name.empty()) {
      return fail("a sparse initializer of graph `{}` has no name", parts.name);
    }
    ValueId id;
    Type type = Type::tensor(decoded->tensor.values.dtype(), decoded->tensor.shape);
    if (!add(decoded->name, {}, id)) return false;
    GraphValue& value = model_.value(id);
    if (!value.is_input) value.type = std::move(type);
    value.initializer = nullptr;
    value.sparse_initializer = std::make_shared<const SparseTensor>(std::move(decoded->tensor));
  }
  return true;
}

// A NodeProto without its operands and attributes: those are the second pass's.
struct Importer::ReadNode {
  NewNode made;
  std::string leftover;
};

bool Importer::read_node(std::string_view bytes, const GraphParts& parts, ReadNode& read) {
  NewNode& made = read.made;
  made.output_count = 0;
  wire::Reader reader(bytes);
  Field field;
  while (reader.next(field)) {
    if (field.number >= 1 && field.number <= 9 && !is_string(field)) {
      return fail("a NodeProto of graph `{}` is encoded wrongly", parts.name);
    }
    switch (field.number) {
      case 1:
      case 5:
        break;
      case 2:
        made.output_names.emplace_back(field.bytes);
        break;
      case 3:
        made.name = field.bytes;
        break;
      case 4:
        made.type = field.bytes;
        break;
      case 7:
        made.domain = field.bytes;
        break;
      case 8:
        made.overload = field.bytes;
        break;
      case 9:
        if (!decode_metadata(field.bytes, made.metadata)) {
          return fail("the metadata of node `{}` is broken", made.name);
        }
        break;
      default:
        read.leftover += field.whole;
    }
  }
  return !reader.failed() || fail("a NodeProto of graph `{}` is broken", parts.name);
}

bool Importer::define_node(ReadNode& read, ImportScope& scope) {
  const NodeId id = model_.add_node(scope.graph, std::move(read.made));
  GraphNode& node = model_.node(id);
  node.leftover = std::move(read.leftover);
  if (node.type.empty()) return fail("{}: it has no operator type", place(id));
  const auto imported = [&](const auto& import) { return node.domain == import.first; };
  if (std::none_of(imports_->begin(), imports_->end(), imported) &&
      !local_functions_.contains({node.domain.str(), node.type.str()})) {
    return fail("{}: its operator's domain `{}` has no opset_import in the model; add one",
                place(id), node.domain.empty() ? "ai.onnx" : node.domain.str());
  }
  for (const ValueId output : node.outputs) {
    if (output && !define(scope, model_.value(output).name, output)) return false;
  }
  return true;
}

// First pass: nodes with their outputs.
bool Importer::define_nodes(const GraphParts& parts, ImportScope& scope) {
  const std::span<const std::string_view> all(parts.nodes);
  std::vector<ReadNode> read;
  for (std::size_t begin = 0; begin < all.size(); begin += at_once) {
    read.clear();
    for (const std::string_view bytes : all.subspan(begin, std::min(at_once, all.size() - begin))) {
      ReadNode& node = read.emplace_back();
      if (!read_node(bytes, parts, node)) return false;
      for (const std::string& output : node.made.output_names)
        scope.names.expect(NameKey(output));
      model_.expect(node.made);
    }
    for (ReadNode& node : read) {
      if (!define_node(node, scope)) return false;
    }
  }
  return true;
}

// Second pass: operands and attributes.
bool Importer::resolve_nodes(const GraphParts& parts, const ImportScope& scope, NodeId first,
                             int depth) {
  struct Ends {
    std::size_t operands, attributes;
  };
  const std::span<const std::string_view> all(parts.nodes);
  NodeId id = first;
  std::vector<NameKey> names;
  std::vector<std::string_view> attributes;
  std::vector<Ends> nodes;  // where in these lists their parts end
  std::vector<ValueId> operands;
  for (std::size_t begin = 0; begin < all.size(); begin += at_once) {
    names.clear();
    attributes.clear();
    nodes.clear();
    for (const std::string_view bytes : all.subspan(begin, std::min(at_once, all.size() - begin))) {
      wire::Reader reader(bytes);
      Field field;
      while (reader.next(field)) {
        if (field.number == 1) {
          scope.names.expect(names.emplace_back(field.bytes));
        } else if (field.number == 5) {
          attributes.push_back(field.bytes);
        }
      }
      nodes.push_back({names.size(), attributes.size()});
    }
    Ends at{0, 0};
    for (const Ends& end : nodes) {
      operands.clear();
      for (; at.operands < end.operands; ++at.operands) {
        const NameKey& name = names[at.operands];
        operands.push_back(name.text.empty() ? ValueId{} : scope.find(model_, name));
        if (!name.text.empty() && !operands.back()) {
          return fail("{}: its input `{}` is given by no node, initializer or graph input",
                      place(id), name.text);
        }
      }
      for (; at.attributes < end.attributes; ++at.attributes) {
        if (!attribute(attributes[at.attributes], id, scope, depth)) return false;
      }
      model_.resize_inputs(id, operands.size());
      for (std::size_t i = 0; i < operands.size(); ++i) {
        if (operands[i]) model_.set_input(id, i, operands[i]);
      }
      id = model_.next_node(id);
    }
  }
  return true;
}

bool Importer::attribute(std::string_view bytes, NodeId node, const ImportScope& scope, int depth) {
  auto decoded = decode_attribute(bytes, home_);
  if (!decoded) return fail("{}: {}", place(node), decoded.error().message);
  if (model_.node(node).attributes.has(decoded->name)) {
    return fail("{}: it has attribute `{}` twice", place(node), decoded->name);
  }
  if (!decoded->is_graph && !decoded->is_graphs) {
    GraphNode& it = model_.node(node);
    if (!decoded->plain && (!decoded->value || bytes.size() <= kept_attribute)) {
      wire::Writer kept;
      kept.bytes(5, bytes);
      it.leftover.edit() += kept.joined();
    }
    if (decoded->value) it.attributes.set(decoded->name, std::move(*decoded->value));
    return true;
  }
  std::vector<GraphId> graphs;
  for (const std::string_view graph : decoded->graphs) {
    graphs.push_back(model_.add_graph("", node));
    if (!graph_message(graph, graphs.back(), &scope, depth + 1)) return false;
  }
  Attributes& attributes = model_.node(node).attributes;
  if (decoded->is_graph) {
    attributes.set(decoded->name, graphs.front());
  } else {
    attributes.set(decoded->name, std::move(graphs));
  }
  return true;
}

bool Importer::outputs(const GraphParts& parts, ImportScope& scope) {
  std::vector<ValueId> all;
  const auto add = [&](std::string_view name) {
    all.push_back(scope.find(model_, NameKey(name)));
    return all.back() || fail("output `{}` of graph `{}` is given by no node, initializer or input",
                              name, parts.name);
  };
  for (const std::string_view bytes : parts.outputs) {
    GraphValue info;
    std::string_view name;
    if (!value_info(bytes, name, info) || !add(name)) return false;
    GraphValue& value = model_.value(all.back());
    if (value.graph != scope.graph) continue;
    if (value.type.kind == Type::Kind::Unknown) value.type = std::move(info.type);
    if (value.leftover.empty()) value.leftover = std::move(info.leftover);
    if (value.metadata.empty()) value.metadata = std::move(info.metadata);
  }
  for (const std::string_view name : parts.output_names) {
    if (!add(name)) return false;
  }
  model_.set_outputs(scope.graph, std::move(all));
  for (const std::string_view bytes : parts.value_info) {
    GraphValue info;
    std::string_view name;
    if (!value_info(bytes, name, info)) return false;
    const ValueId known = scope.names.find(model_, NameKey(name));
    if (!known) {  // of a value that is not there: kept, means nothing
      wire::Writer kept;
      kept.bytes(13, bytes);
      model_.graph(scope.graph).leftover += kept.joined();
      continue;
    }
    GraphValue& value = model_.value(known);
    if (value.type.kind == Type::Kind::Unknown) value.type = std::move(info.type);
    if (value.leftover.empty()) value.leftover = std::move(info.leftover);
    if (value.metadata.empty()) value.metadata = std::move(info.metadata);
    model_.graph(scope.graph).value_info.push_back(known);
  }
  return true;
}

bool Importer::graph_parts(const GraphParts& parts, GraphId id, const ImportScope* outer,
                           int depth) {
  ImportScope scope{.graph = id, .outer = outer};
  const std::size_t nodes = parts.nodes.size();
  const std::size_t values = parts.inputs.size() + parts.initializers.size() + nodes + nodes / 8;
  scope.names.reserve(values);
  model_.reserve(nodes, values);
  if (!inputs(parts, scope) || !initializers(parts, scope) || !define_nodes(parts, scope)) {
    return false;
  }
  return resolve_nodes(parts, scope, model_.first_node(id), depth) && outputs(parts, scope);
}

bool Importer::graph_message(std::string_view bytes, GraphId id, const ImportScope* outer,
                             int depth) {
  if (depth > deepest_graph) return fail("graphs are nested more than {} deep", deepest_graph);
  GraphParts parts;
  std::vector<Metadata> metadata;
  std::string leftover;
  wire::Reader reader(bytes);
  Field field;
  while (reader.next(field)) {
    std::vector<std::string_view>* list = nullptr;
    switch (field.number) {
      case 1:
        list = &parts.nodes;
        break;
      case 2:
        if (is_string(field)) parts.name = field.bytes;
        continue;
      case 5:
        list = &parts.initializers;
        break;
      case 11:
        list = &parts.inputs;
        break;
      case 12:
        list = &parts.outputs;
        break;
      case 13:
        list = &parts.value_info;
        break;
      case 15:
        list = &parts.sparse;
        break;
      case 16:
        if (!is_string(field) || !decode_metadata(field.bytes, metadata)) {
          return fail("the metadata of graph `{}` is broken", parts.name);
        }
        continue;
      default:
        leftover += field.whole;
        continue;
    }
    if (!is_string(field)) return fail("field {} of a GraphProto is no message", field.number);
    list->push_back(field.bytes);
  }
  if (reader.failed()) return fail("a GraphProto is broken or cut short");
  GraphInfo& info = model_.graph(id);
  info.name = parts.name;
  info.metadata = std::move(metadata);
  info.leftover = std::move(leftover);
  return graph_parts(parts, id, outer, depth);
}

}  // namespace rulec
