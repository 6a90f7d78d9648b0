// SPDX-License-Identifier: Apache-2.0
// Files and a ModelProto's own fields into a Model; graphs are onnx_import_graph.cc's.
#include "matcher/file.h"
#include "matcher/file_kind.h"
#include "matcher/onnx_attribute.h"
#include "matcher/onnx_importer.h"
#include "matcher/onnx_io.h"
#include "matcher/onnx_order.h"
#include "matcher/onnx_type.h"

namespace rulec {

using wire::Field;
using wire::Kind;

static bool is_string(const Field& field) {
  return field.kind == Kind::Bytes;
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
        auto decoded = decode_attribute(field.bytes, home_);
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
                      describe_node(model_, stuck));
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
