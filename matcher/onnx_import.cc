// SPDX-License-Identifier: Apache-2.0
// A ModelProto's bytes into a Model, in two passes over each graph: the first defines every value,
// the second resolves operands and enters nested graphs, which see the names around them. Fields
// that a Model does not have are kept as bytes.
#include <algorithm>
#include <queue>
#include <set>
#include <unordered_map>

#include "matcher/file.h"
#include "matcher/file_kind.h"
#include "matcher/onnx_attribute.h"
#include "matcher/onnx_io.h"
#include "matcher/onnx_order.h"
#include "matcher/onnx_type.h"

namespace rulec {

// Protobuf's own readers stop at a nesting of 100 messages, three for each graph.
static constexpr int deepest_graph = 64;
// Attributes that do not re-encode to their bytes are kept in both forms up to this size.
static constexpr std::size_t kept_attribute = 1 << 16;

namespace {

using wire::Field;
using wire::Kind;
using Imports = std::vector<std::pair<std::string, std::int64_t>>;

// Names of one graph and, through `outer`, of those around it.
struct Scope {
  GraphId graph;
  const Scope* outer = nullptr;
  std::unordered_map<std::string_view, ValueId> names = {};

  ValueId find(std::string_view name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->outer) {
      if (const auto at = scope->names.find(name); at != scope->names.end()) return at->second;
    }
    return {};
  }
};

// What GraphProto and FunctionProto have in common, still encoded.
struct GraphParts {
  std::string_view name;
  std::vector<std::string_view> nodes, inputs, outputs, initializers, sparse, value_info;
  std::vector<std::string_view> input_names, output_names;  // of a function
};

class Importer {
 public:
  Importer(Model& model, std::shared_ptr<const void> owner, const std::filesystem::path& folder)
      : model_(model), owner_(std::move(owner)), files_(folder) {}

  Status run(std::string_view bytes);

 private:
  // Remembers the first error; always false.
  template <typename... Args>
  bool fail(fmt::format_string<Args...> format, Args&&... args) {
    if (error_.message.empty()) error_ = make_error(format, std::forward<Args>(args)...);
    return false;
  }
  bool model_fields(std::string_view bytes, std::vector<std::string_view>& functions,
                    std::string_view& graph, bool& has_graph);
  bool import_opset(std::string_view bytes, Imports& imports);
  bool import_function(std::string_view bytes);
  bool graph_message(std::string_view bytes, GraphId id, const Scope* outer, int depth);
  bool graph_parts(const GraphParts& parts, GraphId id, const Scope* outer, int depth);
  bool inputs(const GraphParts& parts, Scope& scope);
  bool initializers(const GraphParts& parts, Scope& scope);
  bool define_nodes(const GraphParts& parts, Scope& scope);
  bool resolve_nodes(const GraphParts& parts, const Scope& scope, NodeId first, int depth);
  bool attribute(std::string_view bytes, NodeId node, const Scope& scope, int depth);
  bool outputs(const GraphParts& parts, Scope& scope);
  bool value_info(std::string_view bytes, std::string_view& name, GraphValue& into);
  bool define(Scope& scope, std::string_view name, ValueId id);
  std::string place(NodeId id) const;

  Model& model_;
  std::shared_ptr<const void> owner_;
  ExternalFiles files_;
  const Imports* imports_ = nullptr;  // of the model or function being read
  std::set<std::pair<std::string_view, std::string_view>> local_functions_;
  std::vector<ValueId> repeated_;  // constants whose names were given again: to be renamed
  Error error_;
};

}  // namespace

static bool is_string(const Field& field) {
  return field.kind == Kind::Bytes;
}

// "node `conv1` (Conv, number 3 of graph `main`)"
static std::string describe(const Model& model, NodeId id) {
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
  return describe(model_, id);
}

bool Importer::define(Scope& scope, std::string_view name, ValueId id) {
  const auto [at, added] = scope.names.emplace(name, id);
  if (added) return true;
  // Some exporters repeat Constant nodes; ONNX Runtime takes the last, and so do we.
  const auto is_constant = [this](ValueId value) {
    const NodeId producer = model_.value(value).producer;
    return producer && model_.node(producer).type == "Constant" &&
           model_.node(producer).domain.empty();
  };
  if (is_constant(at->second) && is_constant(id)) {
    repeated_.push_back(std::exchange(at->second, id));
    return true;
  }
  const auto by = [this](ValueId value) -> std::string {
    const GraphValue& it = model_.value(value);
    if (it.producer) return "by " + place(it.producer);
    return it.is_input ? "as a graph input" : "as an initializer";
  };
  return fail("value `{}` is defined twice: {} and {}", name, by(at->second), by(id));
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
      if (field.bytes.empty() || encode_type(*type).own_bytes() != field.bytes)
        into.leftover += field.whole;
      into.type = std::move(*type);
    } else if (field.number == 4 && is_string(field)) {
      if (!decode_metadata(field.bytes, into.metadata)) {
        return fail("the metadata of value `{}` is broken", name);
      }
    } else {
      into.leftover += field.whole;
    }
  }
  return !reader.failed() || fail("a ValueInfoProto is broken");
}

bool Importer::inputs(const GraphParts& parts, Scope& scope) {
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

bool Importer::initializers(const GraphParts& parts, Scope& scope) {
  const auto add = [&](std::string_view name, Tensor tensor, ValueId& id) {
    const auto at = scope.names.find(name);
    if (at == scope.names.end()) {
      id = model_.add_initializer(scope.graph, std::string(name), std::move(tensor));
      return define(scope, name, id);
    }
    id = at->second;
    if (model_.value(id).initializer) {
      return fail("initializer `{}` is defined twice", name);
    }
    // Listed among the inputs too: a default.
    model_.value(id).initializer = std::make_shared<const Tensor>(std::move(tensor));
    model_.graph(scope.graph).initializers.push_back(id);
    return true;
  };
  for (const std::string_view bytes : parts.initializers) {
    auto decoded = decode_tensor(bytes, owner_, files_);
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
    auto decoded = decode_sparse(bytes, owner_, files_);
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

// First pass: nodes with their outputs.
bool Importer::define_nodes(const GraphParts& parts, Scope& scope) {
  std::vector<std::string_view> names;
  for (const std::string_view bytes : parts.nodes) {
    NewNode made;
    made.output_count = 0;
    names.clear();
    std::string leftover;
    wire::Reader reader(bytes);
    Field field;
    while (reader.next(field)) {
      if (field.number >= 1 && field.number <= 9 && !is_string(field)) {
        return fail("a NodeProto of graph `{}` is encoded wrongly", parts.name);
      }
      switch (field.number) {
        case 1:  // inputs and attributes are the second pass's
        case 5:
          break;
        case 2:
          names.push_back(field.bytes);
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
          leftover += field.whole;
      }
    }
    if (reader.failed()) return fail("a NodeProto of graph `{}` is broken", parts.name);
    const NodeId id = model_.add_node(scope.graph, std::move(made));
    GraphNode& node = model_.node(id);
    node.leftover = std::move(leftover);
    if (node.type.empty()) return fail("{}: it has no operator type", place(id));
    const auto imported = [&](const auto& import) { return node.domain == import.first; };
    if (std::none_of(imports_->begin(), imports_->end(), imported) &&
        !local_functions_.contains({node.domain.str(), node.type.str()})) {
      return fail("{}: its operator's domain `{}` has no opset_import in the model; add one",
                  place(id), node.domain.empty() ? "ai.onnx" : node.domain.str());
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (!names[i].empty() && !define(scope, names[i], node.outputs[i])) return false;
    }
  }
  return true;
}

// Second pass: operands and attributes.
bool Importer::resolve_nodes(const GraphParts& parts, const Scope& scope, NodeId first, int depth) {
  NodeId id = first;
  std::vector<ValueId> operands;
  for (const std::string_view bytes : parts.nodes) {
    operands.clear();
    wire::Reader reader(bytes);
    Field field;
    while (reader.next(field)) {
      if (field.number == 1) {
        const ValueId value = field.bytes.empty() ? ValueId{} : scope.find(field.bytes);
        if (!field.bytes.empty() && !value) {
          return fail("{}: its input `{}` is given by no node, initializer or graph input",
                      place(id), field.bytes);
        }
        operands.push_back(value);
      } else if (field.number == 5 && !attribute(field.bytes, id, scope, depth)) {
        return false;
      }
    }
    model_.resize_inputs(id, operands.size());
    for (std::size_t i = 0; i < operands.size(); ++i) {
      if (operands[i]) model_.set_input(id, i, operands[i]);
    }
    id = model_.next_node(id);
  }
  return true;
}

bool Importer::attribute(std::string_view bytes, NodeId node, const Scope& scope, int depth) {
  auto decoded = decode_attribute(bytes, owner_, files_);
  if (!decoded) return fail("{}: {}", place(node), decoded.error().message);
  if (model_.node(node).attributes.has(decoded->name)) {
    return fail("{}: it has attribute `{}` twice", place(node), decoded->name);
  }
  if (!decoded->is_graph && !decoded->is_graphs) {
    GraphNode& it = model_.node(node);
    if (!decoded->plain && (!decoded->value || bytes.size() <= kept_attribute)) {
      wire::Writer kept;
      kept.bytes(5, bytes);
      it.leftover += kept.own_bytes();
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

bool Importer::outputs(const GraphParts& parts, Scope& scope) {
  std::vector<ValueId> all;
  const auto add = [&](std::string_view name) {
    all.push_back(scope.find(name));
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
    const auto at = scope.names.find(name);
    if (at == scope.names.end()) {  // of a value that is not there: kept, means nothing
      wire::Writer kept;
      kept.bytes(13, bytes);
      model_.graph(scope.graph).leftover += kept.own_bytes();
      continue;
    }
    GraphValue& value = model_.value(at->second);
    if (value.type.kind == Type::Kind::Unknown) value.type = std::move(info.type);
    if (value.leftover.empty()) value.leftover = std::move(info.leftover);
    if (value.metadata.empty()) value.metadata = std::move(info.metadata);
    model_.graph(scope.graph).value_info.push_back(at->second);
  }
  return true;
}

bool Importer::graph_parts(const GraphParts& parts, GraphId id, const Scope* outer, int depth) {
  Scope scope{.graph = id, .outer = outer};
  scope.names.reserve(parts.inputs.size() + parts.initializers.size() + parts.nodes.size());
  if (!inputs(parts, scope) || !initializers(parts, scope) || !define_nodes(parts, scope)) {
    return false;
  }
  return resolve_nodes(parts, scope, model_.first_node(id), depth) && outputs(parts, scope);
}

bool Importer::graph_message(std::string_view bytes, GraphId id, const Scope* outer, int depth) {
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

bool Importer::import_opset(std::string_view bytes, Imports& imports) {
  wire::Reader reader(bytes);
  Field field;
  std::string domain;
  std::int64_t version = 0;
  while (reader.next(field)) {
    if (field.number == 1 && is_string(field)) domain = field.bytes;
    if (field.number == 2) version = static_cast<std::int64_t>(field.value);
  }
  if (reader.failed()) return fail("an opset_import is broken");
  if (domain == "ai.onnx") domain.clear();
  for (const auto& [known, of] : imports) {
    if (known != domain) continue;
    if (of == version) return true;
    return fail("domain `{}` is imported with opsets {} and {}", domain, of, version);
  }
  if (version < 1 || version > INT32_MAX) {
    return fail("domain `{}` is imported with opset {}", domain, version);
  }
  imports.emplace_back(std::move(domain), version);
  return true;
}

bool Importer::import_function(std::string_view bytes) {
  Function function;
  GraphParts parts;
  wire::Reader reader(bytes);
  Field field;
  while (reader.next(field)) {
    const bool modelled = field.number != 8 && field.number <= 14 && field.number >= 1;
    if (modelled && !is_string(field)) return fail("a FunctionProto is encoded wrongly");
    switch (field.number) {
      case 1:
        function.name = parts.name = field.bytes;
        break;
      case 4:
        parts.input_names.push_back(field.bytes);
        break;
      case 5:
        parts.output_names.push_back(field.bytes);
        break;
      case 6:
        function.attributes.emplace_back(field.bytes);
        break;
      case 7:
        parts.nodes.push_back(field.bytes);
        break;
      case 9:
        if (!import_opset(field.bytes, function.opset_imports)) return false;
        break;
      case 10:
        function.domain = field.bytes == "ai.onnx" ? std::string_view() : field.bytes;
        break;
      case 11: {
        auto decoded = decode_attribute(field.bytes, owner_, files_);
        if (!decoded) return fail("function `{}`: {}", function.name, decoded.error().message);
        if (!decoded->value) {
          return fail(
              "function `{}`: the default of attribute `{}` is of a kind that is not "
              "supported",
              function.name, decoded->name);
        }
        function.attribute_defaults.push_back(
            {.name = std::string(decoded->name), .value = std::move(*decoded->value)});
        break;
      }
      case 12:
        parts.value_info.push_back(field.bytes);
        break;
      case 13:
        function.overload = field.bytes;
        break;
      case 14:
        if (!decode_metadata(field.bytes, function.metadata)) {
          return fail("the metadata of function `{}` is broken", function.name);
        }
        break;
      default:
        function.leftover += field.whole;
    }
  }
  if (reader.failed()) return fail("a FunctionProto is broken or cut short");
  function.body = model_.add_graph(function.name);
  imports_ = &function.opset_imports;
  const bool good = graph_parts(parts, function.body, nullptr, 1);
  imports_ = &model_.opset_imports;
  if (!good) {
    error_.message = fmt::format("function `{}`: {}", function.name, error_.message);
    return false;
  }
  model_.functions.push_back(std::move(function));
  return true;
}

bool Importer::model_fields(std::string_view bytes, std::vector<std::string_view>& functions,
                            std::string_view& graph, bool& has_graph) {
  wire::Reader reader(bytes);
  Field field;
  bool any = false;
  while (reader.next(field)) {
    const bool text = is_string(field);
    switch (field.number) {
      case 1:
      case 5:
        if (field.kind != Kind::Varint) return fail("field {} is no number", field.number);
        (field.number == 1 ? model_.ir_version : model_.model_version) =
            static_cast<std::int64_t>(field.value);
        any = true;
        continue;
      case 2:
      case 3:
      case 4:
      case 6:
      case 7:
      case 8:
      case 14:
      case 25:
        if (!text) return fail("field {} is no message", field.number);
        break;
      default:
        model_.leftover += field.whole;
        continue;
    }
    switch (field.number) {
      case 2:
        model_.producer_name = field.bytes;
        break;
      case 3:
        model_.producer_version = field.bytes;
        break;
      case 4:
        model_.domain = field.bytes;
        break;
      case 6:
        model_.doc_string = field.bytes;
        break;
      case 7:
        if (has_graph) return fail("it has two main graphs");
        graph = field.bytes;
        has_graph = true;
        break;
      case 8:
        if (!import_opset(field.bytes, model_.opset_imports)) return false;
        break;
      case 14:
        if (!decode_metadata(field.bytes, model_.metadata)) {
          return fail("the model's metadata is broken");
        }
        break;
      default:
        functions.push_back(field.bytes);
    }
    any = true;
  }
  if (reader.failed() || !any) {
    if (const auto kind = file_kind(bytes); !kind.empty()) {
      return fail("it is no ONNX model; it seems to be {}", kind);
    }
    // Models begin with their IR version.
    if (any && bytes.starts_with('\x08')) {
      return fail(
          "it is cut short or damaged: the model does not end with its {} bytes; export or "
          "copy it again",
          bytes.size());
    }
    return fail("it is not an ONNX model, or it is cut short: its bytes are no ModelProto");
  }
  return true;
}

Status Importer::run(std::string_view bytes) {
  imports_ = &model_.opset_imports;
  std::vector<std::string_view> functions;
  std::string_view graph;
  bool has_graph = false;
  if (!model_fields(bytes, functions, graph, has_graph)) return error_;
  if (!has_graph) return make_error("it is not an ONNX model, or it is cut short: it has no graph");
  for (const std::string_view function : functions) {
    std::string_view domain, name;
    wire::Reader reader(function);
    Field field;
    while (reader.next(field)) {
      if (field.number == 1) name = field.bytes;
      if (field.number == 10) domain = field.bytes;
    }
    local_functions_.emplace(domain, name);
  }
  if (!graph_message(graph, model_.main(), nullptr, 0)) return error_;
  for (const std::string_view function : functions) {
    if (!import_function(function)) return error_;
  }
  for (const ValueId value : repeated_) {
    model_.rename(value, model_.fresh_value_name(model_.value(value).name));
  }
  if (const NodeId stuck = sort_nodes(model_)) {
    return make_error("{}: it depends on its own result; a graph must have no cycles",
                      describe(model_, stuck));
  }
  return Done{};
}

static Result<Model> import_bytes(std::string_view bytes, std::shared_ptr<const void> owner,
                                  const std::filesystem::path& folder) {
  if (bytes.empty()) return make_error("it is empty, not an ONNX model");
  Model model;
  model.ir_version = 0;
  model.storage = owner;
  if (Status status = Importer(model, std::move(owner), folder).run(bytes); !status) {
    return status.error();
  }
  return model;
}

Result<Model> import_onnx_bytes(std::string bytes, const std::filesystem::path& folder) {
  const auto owner = std::make_shared<const std::string>(std::move(bytes));
  return import_bytes(*owner, owner, folder);
}

Result<Model> import_onnx(const std::filesystem::path& path) {
  auto file = MappedFile::open(path);
  if (!file) return file.error();
  const auto in_file = [&](Result<Model> model) -> Result<Model> {
    if (!model) return make_error("{}: {}", path.string(), model.error().message);
    model->path = path.string();
    return model;
  };
  if (path.extension() == ".onnxtxt") return in_file(import_onnx_text((*file)->bytes()));
  const std::filesystem::path folder =
      path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  return in_file(import_bytes((*file)->bytes(), *file, folder));
}

}  // namespace rulec
