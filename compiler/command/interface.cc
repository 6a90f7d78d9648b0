// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/interface.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "compiler/image.h"
#include "compiler/npy.h"
#include "matcher/onnx_value.h"

namespace rulec::command {

static std::vector<Formal> formals(const Model& model, const std::vector<ValueId>& ids) {
  std::vector<Formal> out;
  for (const ValueId id : ids) {
    const GraphValue& value = model.value(id);
    const bool given = value.is_input && (value.initializer || value.sparse_initializer);
    if (given && model.constant(id)) continue;  // listed among the inputs, but fixed
    out.push_back({value.name, value.type, given});
  }
  return out;
}

std::vector<Formal> inputs_of(const Model& model) {
  return formals(model, model.graph(model.main()).inputs);
}

std::vector<Formal> outputs_of(const Model& model) {
  std::vector<Formal> out;
  for (const ValueId id : model.graph(model.main()).outputs)
    out.push_back({model.value(id).name, model.value(id).type, false});
  return out;
}

// An engine tells types that are no tensors as text: "seq(optional(f32[?]))".
static Type type_of(std::string_view text) {
  const auto inside = [&](std::string_view head) {
    return std::make_shared<const Type>(
        type_of(text.substr(head.size(), text.size() - head.size() - 1)));
  };
  Type out;
  for (const auto& [head, kind] : {std::pair{std::string_view("seq("), Type::Kind::Sequence},
                                   {std::string_view("optional("), Type::Kind::Optional}})
    if (text.starts_with(head) && text.ends_with(')')) {
      out.kind = kind;
      out.element = inside(head);
      return out;
    }
  if (text.starts_with("map(")) {
    out.kind = Type::Kind::Map;
    return out;
  }
  if (const auto dtype = dtype_of(text.substr(0, text.find('[')))) return Type::tensor(*dtype);
  return out;
}

static std::vector<Formal> formals(const std::vector<EnginePort>& ports) {
  std::vector<Formal> out;
  for (const EnginePort& port : ports) {
    Formal formal{port.name, port.is_tensor ? Type::tensor(port.dtype) : type_of(port.type),
                  port.has_default};
    if (port.is_tensor && port.known_rank) {
      formal.type.dims.emplace();
      for (const PortDim& dim : port.dims)
        formal.type.dims->push_back({.size = dim.size, .symbol = dim.symbol});
    }
    out.push_back(std::move(formal));
  }
  return out;
}

std::vector<Formal> inputs_of(const Engine& engine) {
  return formals(engine.inputs());
}

std::vector<Formal> outputs_of(const Engine& engine) {
  return formals(engine.outputs());
}

std::string list(const std::vector<Formal>& formals) {
  std::string out;
  for (const Formal& formal : formals)
    out += ::fmt::format("{}`{}` {}", out.empty() ? "" : ", ", formal.name, to_string(formal.type));
  return out.empty() ? "none" : out;
}

Status check_input(const Formal& input, const Value& value) {
  const auto wrong = [&](std::string_view what, std::string_view hint) {
    return make_error("input `{}` wants {}, but is given {}{}", input.name, to_string(input.type),
                      what, hint);
  };
  if (input.type.kind == Type::Kind::Unknown) return Done{};
  if (input.type.is_tensor() != value.is_tensor())
    return wrong(value.is_tensor() ? "a tensor" : "no tensor", "");
  if (!value.is_tensor()) return Done{};
  const Tensor& tensor = value.tensor();
  const std::string have = to_string(Type::tensor(tensor.dtype(), tensor.shape()));
  if (input.type.dtype != DType::Undefined && tensor.dtype() != input.type.dtype) {
    const bool casts = npy_holds(input.type.dtype) && tensor.dtype() != DType::String;
    return wrong(have, casts ? ::fmt::format("; cast it first (in numpy: array.astype('{}'))",
                                             npy_type(input.type.dtype).substr(1))
                             : std::string());
  }
  if (!input.type.dims) return Done{};
  bool fits = input.type.dims->size() == tensor.rank();
  for (std::size_t i = 0; fits && i < tensor.rank(); ++i)
    fits = !(*input.type.dims)[i].known() || (*input.type.dims)[i].size == tensor.dim(i);
  if (!fits) return wrong(have, "");
  return Done{};
}

std::string file_name_of(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '_' || c == '-';
    out += plain ? c : '_';
  }
  // These two are folders, wherever they stand.
  if (out.empty() || out == "." || out == "..") out = "_" + out;
  return out;
}

Result<Value> read_input(const Formal& input, const std::string& path,
                         std::vector<std::string>& notes) {
  std::string extension = std::filesystem::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  Value value;
  if (extension == ".npy") {
    auto tensor = read_npy(path);
    if (!tensor) return tensor.error();
    value = std::move(*tensor);
  } else if (extension == ".npz") {
    auto arrays = read_npz(path);
    if (!arrays) return arrays.error();
    for (auto& [name, tensor] : *arrays)
      if (name == input.name || (arrays->size() == 1 && value.absent())) value = std::move(tensor);
    if (value.absent())
      return make_error("`{}` has no array named like the input `{}`", path, input.name);
  } else if (extension == ".pb") {
    auto read = read_value(path, input.type);
    if (!read) return read.error();
    value = std::move(*read);
  } else if (extension == ".png" || extension == ".jpg" || extension == ".jpeg") {
    auto image = read_image(path);
    if (!image) return image.error();
    auto tensor = fit_image(*image, input.type, notes);
    if (!tensor) return make_error("input `{}`: {}", input.name, tensor.error().message);
    value = std::move(*tensor);
  } else {
    return make_error("`{}`: inputs are read from .npy, .npz, .pb, .png and .jpg files", path);
  }
  if (const Status status = check_input(input, value); !status)
    return make_error("`{}`: {}", path, status.error().message);
  return value;
}

Result<Named> read_inputs(const std::vector<Formal>& inputs, const std::string& place,
                          std::vector<std::string>& notes) {
  namespace fs = std::filesystem;
  Named out;
  std::error_code code;
  if (fs::is_directory(place, code)) {
    for (const Formal& input : inputs)
      for (const std::string_view extension : {".npy", ".pb", ".png", ".jpg", ".jpeg"}) {
        const fs::path path = fs::path(place) / (file_name_of(input.name) + std::string(extension));
        if (!fs::exists(path, code)) continue;
        auto value = read_input(input, path.string(), notes);
        if (!value) return value.error();
        out.emplace_back(input.name, std::move(*value));
        break;
      }
  } else if (place.ends_with(".npz")) {
    auto arrays = read_npz(place);
    if (!arrays) return arrays.error();
    for (const Formal& input : inputs)
      for (auto& [name, tensor] : *arrays) {
        if (name != input.name && name != file_name_of(input.name)) continue;
        if (const Status status = check_input(input, tensor); !status)
          return make_error("`{}`: {}", place, status.error().message);
        out.emplace_back(input.name, std::move(tensor));
        break;
      }
  } else {
    return make_error("`{}` is neither a folder nor an .npz file", place);
  }
  for (const Formal& input : inputs) {
    const bool there = std::any_of(out.begin(), out.end(),
                                   [&](const auto& given) { return given.first == input.name; });
    if (!there && !input.has_default)
      return make_error("`{}` has nothing for the input `{}` ({}); inputs: {}", place, input.name,
                        to_string(input.type), list(inputs));
  }
  return out;
}

}  // namespace rulec::command
