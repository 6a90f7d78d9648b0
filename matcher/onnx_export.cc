// SPDX-License-Identifier: Apache-2.0
// A Model into a ModelProto's bytes. What the file said that a Model does not hold comes back from
// the kept bytes, as long as it still means what the Model now says. Fields are written in the
// order of their numbers, so equal models give equal bytes.
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <future>
#include <system_error>
#include <unordered_map>

#include "matcher/file.h"
#include "matcher/file_piece.h"
#include "matcher/onnx_attribute.h"
#include "matcher/onnx_io.h"
#include "matcher/onnx_type.h"

namespace rulec {

static constexpr std::size_t largest_message = 0x7fffffff;  // of protobuf
static constexpr std::size_t moved_when_too_large = 1024;   // bytes of a tensor
static constexpr std::size_t data_alignment = 64;

static std::string_view name_of(const Model& model, ValueId id) {
  return id ? std::string_view(model.value(id).name) : std::string_view();
}

namespace {

using wire::Field;
using wire::Kind;
using wire::Writer;

class Exporter {
 public:
  // `folder` is where the model goes, `data_name` the file beside it for external data.
  Exporter(const Model& model, std::size_t external_from, std::filesystem::path folder,
           std::string data_name, bool rewrite_data = false)
      : model_(model),
        external_from_(external_from),
        folder_(std::move(folder)),
        data_name_(std::move(data_name)),
        rewrite_data_(rewrite_data) {
    std::error_code code;
    const std::filesystem::path from = std::filesystem::path(model.path).parent_path();
    same_folder_ = !folder_.empty() && !model.path.empty() &&
                   std::filesystem::equivalent(folder_, from.empty() ? "." : from, code) && !code;
  }

  Writer model();
  // What goes to the data file.
  const std::vector<FilePiece>& data() const { return data_; }
  // Whether the data file would be written while tensors still refer to the one it replaces: then
  // once more, with `rewrite_data`.
  bool must_repeat() const { return refers_to_data_ && !data_.empty(); }

 private:
  Writer graph(GraphId id);
  void nodes(Writer& out, std::uint32_t number, GraphId id);
  Writer value_info(ValueId id);
  Writer initializer(ValueId id);
  void function(Writer& out, const Function& function);
  // `source`: the file that holds the tensor's bytes as they are, if one does.
  Writer to_data_file(std::string_view name, const Tensor& tensor, const TensorSource* source);

  const Model& model_;
  std::size_t external_from_;
  std::filesystem::path folder_;
  std::string data_name_;
  bool rewrite_data_ = false;  // the data file is written anew, so nothing may refer to the old one
  bool refers_to_data_ = false;  // some tensor stays where it was in it
  bool same_folder_ = false;     // as the file that the model was read from
  std::vector<FilePiece> data_;
  std::size_t data_size_ = 0;
  std::unordered_map<const void*, std::size_t> data_offsets_;  // tensors that share their bytes
};

}  // namespace

Writer Exporter::value_info(ValueId id) {
  const GraphValue& it = model_.value(id);
  Writer out;
  out.bytes(1, it.name);
  // The type as the file wrote it (with denotations), while it still is this type.
  std::optional<std::string_view> original;
  std::string rest;
  wire::Reader reader(it.leftover.get());
  Field field;
  while (reader.next(field)) {
    if (field.number == 2 && field.kind == Kind::Bytes) {
      original = field.bytes;
    } else {
      rest += field.whole;
    }
  }
  const std::optional<Type> was = original ? decode_type(*original) : std::nullopt;
  if (was && *was == it.type) {
    out.bytes(2, *original);
  } else if (it.type.kind != Type::Kind::Unknown) {
    out.message(2, encode_type(it.type));
  }
  out.raw(rest);
  encode_metadata(out, 4, it.metadata);
  return out;
}

// Where the data of a TensorProto begins in its external file.
static std::uint64_t external_offset(std::string_view tensor) {
  static constexpr std::uint32_t external_data = 13;
  std::vector<Metadata> entries;
  wire::Reader reader(tensor);
  Field field;
  while (reader.next(field)) {
    if (field.number == external_data) decode_metadata(field.bytes, entries);
  }
  for (const Metadata& entry : entries) {
    if (entry.key == "offset") return std::strtoull(entry.value.c_str(), nullptr, 10);
  }
  return 0;
}

Writer Exporter::to_data_file(std::string_view name, const Tensor& tensor,
                              const TensorSource* source) {
  const std::string_view bytes = file_bytes(tensor);
  const auto [at, added] = data_offsets_.emplace(bytes.data(), data_size_);
  if (added || at->second + bytes.size() > data_size_) {
    static const std::string zeros(data_alignment, '\0');
    const std::size_t padding = (data_alignment - data_size_ % data_alignment) % data_alignment;
    if (padding != 0) data_.push_back({.bytes = std::string_view(zeros).substr(0, padding)});
    at->second = data_size_ + padding;
    FilePiece piece{.bytes = bytes};
    if (source != nullptr && tensor.dtype() != DType::Bool) {  // bools may have been cleaned
      piece.file = source->external;
      piece.offset = external_offset(source->bytes);
    }
    data_.push_back(std::move(piece));
    data_size_ = at->second + bytes.size();
  }
  return encode_external(name, tensor, data_name_, at->second);
}

Writer Exporter::initializer(ValueId id) {
  const GraphValue& it = model_.value(id);
  const Tensor& tensor = *it.initializer;
  const TensorSource* const source = it.source.get();
  const bool current = source != nullptr && source->tensor == &tensor;
  const bool can_move = tensor.dtype() != DType::String && tensor.byte_size() > 0;
  if (current && !source->external.empty() && can_move) {
    // Beside the model the reference holds on; elsewhere the data comes along.
    std::error_code code;
    const std::filesystem::path relative =
        std::filesystem::relative(source->external, folder_, code);
    const bool inside = !code && !relative.empty() && *relative.begin() != "..";
    const bool overwritten = inside && relative == data_name_;
    if (same_folder_ && inside && source->name == it.name && !(overwritten && rewrite_data_)) {
      refers_to_data_ = refers_to_data_ || overwritten;
      Writer same;
      same.raw(source->bytes);
      return same;
    }
    if (!data_name_.empty()) return to_data_file(it.name, tensor, source);
    return encode_tensor(it.name, tensor);
  }
  if (external_from_ != 0 && can_move && tensor.byte_size() >= external_from_) {
    return to_data_file(it.name, tensor, nullptr);
  }
  if (current && source->name == it.name) {
    Writer same;
    same.raw(source->bytes);
    return same;
  }
  return encode_tensor(it.name, tensor);
}

// The kept bytes of an attribute, if they still say what `now` says.
static bool still_says(std::string_view kept, const Attribute& now) {
  TensorHome nowhere;
  const auto decoded = decode_attribute(kept, nowhere);
  if (!decoded || !decoded->value || decoded->name != now.name) return false;
  const Attribute then{.name = now.name, .value = *decoded->value};
  return encode_attribute(then, {}).joined() == encode_attribute(now, {}).joined();
}

// The fields of a NodeProto, `graph` encoding its bodies.
static void encode_node(Writer& out, const Model& model, const GraphNode& it,
                        const std::function<Writer(GraphId)>& graph) {
  for (const ValueId input : it.inputs)
    out.bytes(1, name_of(model, input));
  for (const ValueId output : it.outputs)
    out.bytes(2, name_of(model, output));
  out.text(3, it.name);
  out.bytes(4, it.type.str());
  std::vector<std::string_view> kept;
  std::string rest;
  if (!it.leftover.empty()) {
    wire::Reader reader(it.leftover.get());
    Field field;
    while (reader.next(field)) {
      if (field.number == 5) {
        kept.push_back(field.bytes);
      } else {
        rest += field.whole;
      }
    }
  }
  for (const Attribute& attribute : it.attributes.all()) {
    const auto original = std::find_if(kept.begin(), kept.end(), [&](std::string_view bytes) {
      return still_says(bytes, attribute);
    });
    if (original != kept.end()) {
      out.bytes(5, *original);
    } else {
      out.message(5, encode_attribute(attribute, graph));
    }
  }
  for (const std::string_view bytes : kept) {  // of kinds that a Model does not have
    TensorHome nowhere;
    const auto decoded = decode_attribute(bytes, nowhere);
    if (decoded && !decoded->value && !it.attributes.has(decoded->name)) out.bytes(5, bytes);
  }
  out.text(7, it.domain.str());
  out.text(8, it.overload.str());
  encode_metadata(out, 9, it.metadata);
  out.raw(rest);
}

// The nodes from `first` up to `end`, or to the graph's last where it is none.
static void encode_nodes(Writer& out, std::uint32_t number, const Model& model, NodeId first,
                         NodeId end, const std::function<Writer(GraphId)>& graph) {
  Writer node;  // one for all, with its memory
  for (NodeId at = first; at != end; at = model.next_node(at)) {
    node.clear();
    encode_node(node, model, model.node(at), graph);
    out.message(number, node);
  }
}

// Where the last nodes of a large graph begin that a second thread can write: up to half of them,
// and none with a body, since those share what is known of data files.
static NodeId second_half(const Model& model, GraphId graph) {
  static constexpr std::size_t worth_a_thread = 4096;
  NodeId begin;
  std::size_t count = 0;
  for (NodeId at = model.last_node(graph); at; at = model.previous_node(at)) {
    if (2 * count >= model.live_nodes() || !model.bodies(at).empty()) break;
    begin = at;
    ++count;
  }
  return count >= worth_a_thread ? begin : NodeId{};
}

void Exporter::nodes(Writer& out, std::uint32_t number, GraphId id) {
  const auto encode_graph = [this](GraphId body) { return graph(body); };
  const NodeId first = model_.first_node(id), behind = second_half(model_, id);
  std::future<Writer> rest;
  if (behind) {
    try {
      rest = std::async(std::launch::async, [this, number, behind] {
        Writer half;
        encode_nodes(half, number, model_, behind, {}, {});
        return half;
      });
    } catch (const std::system_error&) {  // no thread to be had: one after the other
    }
  }
  encode_nodes(out, number, model_, first, rest.valid() ? behind : NodeId{}, encode_graph);
  if (rest.valid()) out.append(rest.get());
}

Writer Exporter::graph(GraphId id) {
  const GraphInfo& info = model_.graph(id);
  Writer out;
  nodes(out, 1, id);
  out.text(2, info.name);
  for (const ValueId value : info.initializers) {
    if (model_.value(value).initializer) out.message(5, initializer(value));
  }
  for (const ValueId value : info.inputs)
    out.message(11, value_info(value));
  // Before IR version 4 every initializer is listed among the inputs; a new one is, too.
  for (const ValueId value : info.initializers) {
    if (model_.ir_version < 4 && id == model_.main() && !model_.value(value).is_input) {
      out.message(11, value_info(value));
    }
  }
  for (const ValueId value : info.outputs)
    out.message(12, value_info(value));
  for (const ValueId value : info.value_info) {
    if (model_.value(value).alive) out.message(13, value_info(value));
  }
  for (const ValueId value : info.initializers) {
    const GraphValue& it = model_.value(value);
    if (it.sparse_initializer) out.message(15, encode_sparse(it.name, *it.sparse_initializer));
  }
  encode_metadata(out, 16, info.metadata);
  out.raw(info.leftover);
  return out;
}

static void put_opset(Writer& out, std::uint32_t number,
                      const std::pair<std::string, std::int64_t>& import) {
  Writer one;
  one.text(1, import.first);
  one.integer(2, import.second);
  out.message(number, one);
}

void Exporter::function(Writer& out, const Function& it) {
  const GraphInfo& info = model_.graph(it.body);
  Writer one;
  one.text(1, it.name);
  for (const ValueId value : info.inputs)
    one.bytes(4, name_of(model_, value));
  for (const ValueId value : info.outputs)
    one.bytes(5, name_of(model_, value));
  for (const std::string& name : it.attributes)
    one.bytes(6, name);
  nodes(one, 7, it.body);
  for (const auto& import : it.opset_imports)
    put_opset(one, 9, import);
  one.text(10, it.domain);
  for (const Attribute& attribute : it.attribute_defaults) {
    one.message(11, encode_attribute(attribute, {}));
  }
  for (const ValueId value : info.value_info) {
    if (model_.value(value).alive) one.message(12, value_info(value));
  }
  one.text(13, it.overload);
  encode_metadata(one, 14, it.metadata);
  one.raw(it.leftover);
  out.message(25, one);
}

Writer Exporter::model() {
  Writer out;
  out.integer(1, model_.ir_version);
  out.text(2, model_.producer_name);
  out.text(3, model_.producer_version);
  out.text(4, model_.domain);
  if (model_.model_version != 0) out.integer(5, model_.model_version);
  out.text(6, model_.doc_string);
  out.message(7, graph(model_.main()));
  for (const auto& import : model_.opset_imports)
    put_opset(out, 8, import);
  encode_metadata(out, 14, model_.metadata);
  for (const Function& it : model_.functions)
    function(out, it);
  out.raw(model_.leftover);
  return out;
}

Result<std::string> export_onnx_bytes(const Model& model) {
  Exporter exporter(model, 0, {}, {});
  const Writer out = exporter.model();
  if (out.size() > largest_message) {
    return make_error(
        "the model takes {} bytes, ONNX files end at 2 GB; write it to a file, with "
        "its weights beside it",
        out.size());
  }
  return out.joined();
}

Status export_onnx(const Model& model, const std::filesystem::path& path,
                   const ExportOptions& options) {
  const std::filesystem::path folder =
      path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  if (path.extension() == ".onnxtxt") return write_file(path, export_onnx_text(model) + "\n");
  const std::string data_name = path.filename().string() + ".data";
  std::size_t external_from = options.external_from;
  bool rewrite_data = false;
  while (true) {
    Exporter exporter(model, external_from, folder, data_name, rewrite_data);
    const Writer out = exporter.model();
    if (out.size() > largest_message) {
      if (external_from != 0 && external_from <= moved_when_too_large) {
        return make_error(
            "{}: the model takes {} bytes without its large weights, ONNX files end "
            "at 2 GB",
            path.string(), out.size());
      }
      external_from = moved_when_too_large;
      continue;
    }
    if (exporter.must_repeat()) {
      rewrite_data = true;
      continue;
    }
    if (!exporter.data().empty()) {
      if (Status status = write_file(folder / data_name, exporter.data()); !status) return status;
    }
    return write_file(path, out.pieces());
  }
}

}  // namespace rulec
