// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/crc32.h"

namespace rulec {

using format::none;

template <typename T>
static std::uint32_t index_of(const std::vector<T>& v) {
  return static_cast<std::uint32_t>(v.size());
}

std::uint32_t EngineWriter::add_string(std::string_view text) {
  const auto [it, added] = string_index_.try_emplace(std::string(text), index_of(string_refs_));
  if (added) {
    string_refs_.push_back(
        {static_cast<std::uint32_t>(strings_.size()), static_cast<std::uint32_t>(text.size())});
    strings_ += text;
  }
  return it->second;
}

std::uint32_t EngineWriter::add_texts(std::span<const std::string> texts) {
  const std::uint32_t first = index_of(string_refs_);
  for (const std::string& text : texts) {
    string_refs_.push_back(
        {static_cast<std::uint32_t>(strings_.size()), static_cast<std::uint32_t>(text.size())});
    strings_ += text;
  }
  return first;
}

std::uint32_t EngineWriter::add_integers(std::span<const std::int64_t> values) {
  if (integers_apart_) {
    integers_.insert(integers_.end(), values.begin(), values.end());
    return static_cast<std::uint32_t>(integers_.size() - values.size());
  }
  std::vector<std::int64_t> key(values.begin(), values.end());
  const auto [it, added] = integer_index_.try_emplace(std::move(key), index_of(integers_));
  if (added) integers_.insert(integers_.end(), values.begin(), values.end());
  return it->second;
}

std::uint64_t EngineWriter::add_weight(std::span<const std::byte> bytes) {
  const std::uint32_t crc = crc32c(bytes);
  const auto [first, last] = weight_index_.equal_range(crc);
  for (auto it = first; it != last; ++it) {
    const auto [offset, size] = it->second;
    if (size == bytes.size() &&
        std::equal(bytes.begin(), bytes.end(),
                   weights_.begin() + static_cast<std::ptrdiff_t>(offset))) {
      return offset;
    }
  }
  const std::size_t offset = (weights_.size() + format::weight_alignment - 1) /
                             format::weight_alignment * format::weight_alignment;
  weights_.resize(offset);
  weights_.insert(weights_.end(), bytes.begin(), bytes.end());
  weight_index_.emplace(crc, std::pair<std::uint64_t, std::uint64_t>(offset, bytes.size()));
  return offset;
}

format::Value EngineWriter::weight_record(std::string_view name, const Tensor& tensor) {
  format::Value v;
  v.name = name.empty() ? none : add_string(name);
  v.dtype = static_cast<std::uint8_t>(tensor.dtype());
  v.storage = format::Storage::Weight;
  v.rank = static_cast<std::uint8_t>(tensor.rank());
  v.dims = tensor.rank() == 0 ? none : add_integers(tensor.shape());
  if (tensor.dtype() == DType::String) {
    v.offset = add_texts(tensor.strings());
    v.bytes = static_cast<std::uint64_t>(tensor.size());
  } else {
    v.offset = add_weight(tensor.bytes());
    v.bytes = tensor.byte_size();
  }
  return v;
}

std::uint32_t EngineWriter::add_loose(const Tensor& tensor) {
  loose_.push_back(weight_record({}, tensor));
  return index_of(loose_) - 1;
}

std::uint32_t EngineWriter::reserve_program(std::uint32_t parent) {
  ProgramRecords& p = programs_.emplace_back();
  p.head.parent = parent;
  return index_of(programs_) - 1;
}

void EngineWriter::begin_program(std::uint32_t program) {
  RULEC_CHECK(current_ == none && program < programs_.size());
  current_ = program;
}

std::uint32_t EngineWriter::add_value(const NewValue& value) {
  format::Value v;
  v.name = value.name.empty() ? none : add_string(value.name);
  v.dtype = static_cast<std::uint8_t>(value.dtype);
  v.storage = value.storage;
  v.layout = value.layout;
  if (value.dims) {
    v.rank = static_cast<std::uint8_t>(value.dims->size());
    v.dims = value.dims->empty() ? none : add_integers(*value.dims);
  }
  v.halo = value.halo;
  v.offset = value.offset;
  v.bytes = value.bytes;
  v.alias_of = value.alias_of;
  auto& values = programs_[current_].values;
  values.push_back(v);
  return index_of(values) - 1;
}

std::uint32_t EngineWriter::add_weight_value(std::string_view name, const Tensor& tensor) {
  auto& values = programs_[current_].values;
  values.push_back(weight_record(name, tensor));
  return index_of(values) - 1;
}

format::Attribute EngineWriter::encode(const Attribute& attribute) {
  format::Attribute a;
  a.name = add_string(attribute.name);
  using Kind = format::AttributeKind;
  const auto loose = [&](std::span<const Tensor> tensors) {
    a.first = index_of(loose_);
    a.count = static_cast<std::uint32_t>(tensors.size());
    for (const Tensor& t : tensors)
      add_loose(t);
    loose_attributes_.push_back(index_of(attributes_));
  };
  if (const auto* i = std::get_if<std::int64_t>(&attribute.value)) {
    a.kind = Kind::Integer;
    a.bits = *i;
  } else if (const auto* f = std::get_if<float>(&attribute.value)) {
    a.kind = Kind::Number;
    a.bits = std::bit_cast<std::uint32_t>(*f);
  } else if (const auto* text = std::get_if<std::string>(&attribute.value)) {
    a.kind = Kind::Text;
    a.first = add_string(*text);
  } else if (const auto* type = std::get_if<TypeBytes>(&attribute.value)) {
    a.kind = Kind::Type;
    a.first = add_string(type->bytes);
  } else if (const auto* tensor = std::get_if<Tensor>(&attribute.value)) {
    a.kind = Kind::Tensor;
    loose({tensor, 1});
  } else if (const auto* sparse = std::get_if<SparseTensor>(&attribute.value)) {
    a.kind = Kind::SparseTensor;
    const Tensor both[] = {sparse->values, sparse->indices};
    loose(both);
    a.count = static_cast<std::uint32_t>(sparse->shape.size());
    a.extra = add_integers(sparse->shape);
  } else if (const auto* body = std::get_if<GraphId>(&attribute.value)) {
    a.kind = Kind::Body;
    a.first = body->index;
  } else if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&attribute.value)) {
    a.kind = Kind::Integers;
    a.count = static_cast<std::uint32_t>(integers->size());
    a.first = add_integers(*integers);
  } else if (const auto* numbers = std::get_if<std::vector<float>>(&attribute.value)) {
    a.kind = Kind::Numbers;
    std::vector<std::int64_t> bits;
    for (float x : *numbers)
      bits.push_back(std::bit_cast<std::uint32_t>(x));
    a.count = static_cast<std::uint32_t>(bits.size());
    a.first = add_integers(bits);
  } else if (const auto* texts = std::get_if<std::vector<std::string>>(&attribute.value)) {
    a.kind = Kind::Texts;
    a.count = static_cast<std::uint32_t>(texts->size());
    a.first = add_texts(*texts);
  } else if (const auto* tensors = std::get_if<std::vector<Tensor>>(&attribute.value)) {
    a.kind = Kind::Tensors;
    loose(*tensors);
  } else if (const auto* bodies = std::get_if<std::vector<GraphId>>(&attribute.value)) {
    a.kind = Kind::Bodies;
    std::vector<std::int64_t> list;
    for (GraphId g : *bodies)
      list.push_back(g.index);
    a.count = static_cast<std::uint32_t>(list.size());
    a.first = add_integers(list);
  } else {
    RULEC_CHECK(!"an attribute of a function's body must be bound before it is written");
  }
  return a;
}

void EngineWriter::add_op(const NewOp& op, std::span<const std::uint32_t> inputs,
                          std::span<const std::uint32_t> outputs) {
  format::Op record;
  record.opcode = static_cast<std::uint16_t>(op.opcode);
  record.inputs = static_cast<std::uint16_t>(inputs.size());
  record.outputs = static_cast<std::uint16_t>(outputs.size());
  record.first_operand = index_of(operands_);
  operands_.insert(operands_.end(), inputs.begin(), inputs.end());
  operands_.insert(operands_.end(), outputs.begin(), outputs.end());
  record.parameters = index_of(parameters_);
  record.parameter_bytes = static_cast<std::uint32_t>(op.parameters.size());
  parameters_.insert(parameters_.end(), op.parameters.begin(), op.parameters.end());
  parameters_.resize((parameters_.size() + 7) / 8 * 8);
  record.name = add_string(op.name);
  if (op.opcode == Opcode::Generic) {
    record.domain = add_string(op.domain);
    record.type = add_string(op.type);
    record.opset = op.opset;
    record.flags = op.planned ? format::planned : 0;
  }
  record.first_attribute = index_of(attributes_);
  if (op.attributes != nullptr) {
    for (const Attribute& attribute : op.attributes->all()) {
      attributes_.push_back(encode(attribute));
    }
  }
  record.attributes = index_of(attributes_) - record.first_attribute;
  programs_[current_].ops.push_back(record);
}

void EngineWriter::end_program(std::span<const std::uint32_t> inputs,
                               std::span<const std::uint32_t> outputs,
                               std::span<const std::uint32_t> captures) {
  format::Program& head = programs_[current_].head;
  head.first_input = index_of(operands_);
  head.inputs = static_cast<std::uint32_t>(inputs.size());
  operands_.insert(operands_.end(), inputs.begin(), inputs.end());
  head.first_output = index_of(operands_);
  head.outputs = static_cast<std::uint32_t>(outputs.size());
  operands_.insert(operands_.end(), outputs.begin(), outputs.end());
  head.first_capture = index_of(operands_);
  head.captures = static_cast<std::uint32_t>(captures.size() / 2);
  operands_.insert(operands_.end(), captures.begin(), captures.end());
  current_ = none;
}

void EngineWriter::add_port(const NewPort& port) {
  format::Port p;
  p.name = add_string(port.name);
  p.is_output = port.is_output ? 1 : 0;
  p.value = port.value;
  p.kind = port.is_tensor ? 0 : 1;
  p.type_text = add_string(port.type_text);
  if (!port.symbols.empty()) {
    std::vector<std::int64_t> symbols;
    for (const std::string& s : port.symbols) {
      symbols.push_back(s.empty() ? -1 : static_cast<std::int64_t>(add_string(s)));
    }
    p.first_symbol = add_integers(symbols);
  }
  p.default_value = port.default_value;
  p.optional = port.default_value == none ? 0 : 1;
  ports_.push_back(p);
}

// --- the file

namespace {
struct Layouter {
  std::string out = std::string(format::header_size, '\0');
  format::Header header{};

  template <typename T>
  void section(format::SectionKind kind, std::span<const T> records) {
    const bool weights = kind == format::SectionKind::Weights;
    const std::size_t alignment = weights ? format::weight_section_alignment : 8;
    out.resize((out.size() + alignment - 1) / alignment * alignment, '\0');
    const auto bytes = std::as_bytes(records);
    header.table[static_cast<std::size_t>(kind)] = {.kind = static_cast<std::uint32_t>(kind),
                                                    .crc32c = crc32c(bytes),
                                                    .offset = out.size(),
                                                    .size = bytes.size()};
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
};
}  // namespace

std::string EngineWriter::finish(const EngineInfo& info) {
  std::vector<format::Value> values;
  std::vector<format::Op> ops;
  std::vector<format::Program> heads;
  for (ProgramRecords& p : programs_) {
    p.head.first_value = index_of(values);
    p.head.values = index_of(p.values);
    p.head.first_op = index_of(ops);
    p.head.ops = index_of(p.ops);
    values.insert(values.end(), p.values.begin(), p.values.end());
    ops.insert(ops.end(), p.ops.begin(), p.ops.end());
    heads.push_back(p.head);
  }
  for (std::uint32_t a : loose_attributes_)
    attributes_[a].first += index_of(values);
  loose_attributes_.clear();
  values.insert(values.end(), loose_.begin(), loose_.end());

  Layouter file;
  using Kind = format::SectionKind;
  file.section(Kind::Strings, std::span<const char>(strings_));
  file.section<format::StringRef>(Kind::StringRefs, string_refs_);
  file.section<std::int64_t>(Kind::Integers, integers_);
  file.section<format::Value>(Kind::Values, values);
  file.section<std::uint32_t>(Kind::Operands, operands_);
  file.section<format::Op>(Kind::Ops, ops);
  file.section<format::Program>(Kind::Programs, heads);
  file.section<format::Attribute>(Kind::Attributes, attributes_);
  file.section<format::Port>(Kind::Ports, ports_);
  file.section<std::byte>(Kind::Parameters, parameters_);
  file.section<format::SizePatch>(Kind::Sizes, sizes_);
  file.section<std::byte>(Kind::Weights, weights_);

  format::Header& h = file.header;
  h.magic = format::magic;
  h.endian = format::endian_tag;
  h.major = format::major_version;
  h.minor = format::minor_version;
  h.size = format::header_size;
  h.sections = format::section_count;
  h.file_size = file.out.size();
  h.kernel_abi = format::kernel_abi;
  h.required_isa = static_cast<std::uint32_t>(info.required);
  h.preferred_isa = static_cast<std::uint32_t>(info.preferred);
  h.arena_bytes = info.arena_bytes;
  h.options_hash = info.options_hash;
  std::copy_n(info.producer.begin(), std::min(info.producer.size(), h.producer.size()),
              h.producer.begin());
  h.model_sha256 = info.model_sha256;
  h.rules_sha256 = info.rules_sha256;
  std::memcpy(file.out.data(), &h, sizeof h);
  const std::uint32_t crc =
      crc32c(std::as_bytes(std::span(file.out.data(), format::header_crc_offset)));
  std::memcpy(file.out.data() + format::header_crc_offset, &crc, sizeof crc);
  return std::move(file.out);
}

Status write_file_atomically(const std::filesystem::path& path, std::string_view bytes) {
  std::string temporary = path.string() + ".XXXXXX";
  const int fd = mkostemp(temporary.data(), O_CLOEXEC);
  const auto failed = [&](const char* what) {
    const int error = errno;
    if (fd >= 0) {
      close(fd);
      unlink(temporary.c_str());
    }
    return make_error("cannot {} {}: {}", what, path.string(), std::strerror(error));
  };
  if (fd < 0) return failed("create");
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t n = write(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return failed("write");
    done += static_cast<std::size_t>(n);
  }
  if (fchmod(fd, 0644) != 0 || fsync(fd) != 0) return failed("write");
  if (rename(temporary.c_str(), path.c_str()) != 0) return failed("replace");
  close(fd);
  return Done{};
}

}  // namespace rulec
