// SPDX-License-Identifier: Apache-2.0
#pragma once

// How a ModelProto's bytes become a Model: the class behind import_onnx (onnx_io.h), private to
// onnx_import.cc, which reads the model and its functions, and onnx_import_graph.cc, which reads
// graphs in two passes: the first defines every value, the second resolves operands and enters
// nested graphs, which see the names around them.
//
//   Status status = Importer(model, owner, folder).run(bytes);

#include <filesystem>
#include <memory>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "matcher/graph.h"
#include "matcher/name_table.h"
#include "matcher/onnx_tensor.h"

namespace rulec {

// Names of one graph and, through `outer`, of those around it.
struct ImportScope {
  GraphId graph;
  const ImportScope* outer = nullptr;
  NameTable names = {};

  ValueId find(const Model& model, const NameKey& name) const;
};

// What GraphProto and FunctionProto have in common, still encoded.
struct GraphParts {
  std::string_view name;
  std::vector<std::string_view> nodes, inputs, outputs, initializers, sparse, value_info;
  std::vector<std::string_view> input_names, output_names;  // of a function
};

using Imports = std::vector<std::pair<std::string, std::int64_t>>;

class Importer {
 public:
  Importer(Model& model, std::shared_ptr<const void> owner, const std::filesystem::path& folder)
      : model_(model), home_(std::move(owner), folder) {}

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
  bool graph_message(std::string_view bytes, GraphId id, const ImportScope* outer, int depth);
  bool graph_parts(const GraphParts& parts, GraphId id, const ImportScope* outer, int depth);
  bool inputs(const GraphParts& parts, ImportScope& scope);
  bool initializers(const GraphParts& parts, ImportScope& scope);
  bool define_nodes(const GraphParts& parts, ImportScope& scope);
  struct ReadNode;
  bool read_node(std::string_view bytes, const GraphParts& parts, ReadNode& read);
  bool define_node(ReadNode& read, ImportScope& scope);
  bool resolve_nodes(const GraphParts& parts, const ImportScope& scope, NodeId first, int depth);
  bool attribute(std::string_view bytes, NodeId node, const ImportScope& scope, int depth);
  bool outputs(const GraphParts& parts, ImportScope& scope);
  bool value_info(std::string_view bytes, std::string_view& name, GraphValue& into);
  bool define(ImportScope& scope, std::string_view name, ValueId id);
  std::string place(NodeId id) const;

  Model& model_;
  TensorHome home_;
  const Imports* imports_ = nullptr;  // of the model or function being read
  std::set<std::pair<std::string_view, std::string_view>> local_functions_;
  std::vector<ValueId> repeated_;  // constants whose names were given again: to be renamed
  Error error_;
};

// "node `conv1` (Conv, number 3 of graph `main`)"
std::string describe_node(const Model& model, NodeId id);

}  // namespace rulec
