// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/crc32.h"
#include "runtime/engine_sizes.h"

namespace rulec {

using format::SectionKind;

// --- reading the file

namespace {
struct Mapping {
  void* data = nullptr;
  std::size_t size = 0;
  ~Mapping() {
    if (data != nullptr) munmap(data, size);
  }
};
// Bytes at a page boundary, as a mapping's are.
struct Block {
  std::byte* data = nullptr;
  explicit Block(std::size_t size)
      : data(static_cast<std::byte*>(std::aligned_alloc(4096, (size + 4095) / 4096 * 4096))) {}
  ~Block() { std::free(data); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
};
struct File {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
};
}  // namespace

static Result<File> read_file(const std::filesystem::path& path, bool map) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return make_error("cannot open {}: {}", path.string(), std::strerror(errno));
  struct stat info {};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(fd);
    return make_error("{} is not a regular file", path.string());
  }
  const auto size = static_cast<std::size_t>(info.st_size);
  if (map && size > 0) {
    auto mapping = std::make_shared<Mapping>();
    void* p = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (p == MAP_FAILED) {
      return make_error("cannot map {}: {}", path.string(), std::strerror(errno));
    }
    mapping->data = p;
    mapping->size = size;
    madvise(p, size, MADV_WILLNEED);
    return File{mapping, {static_cast<const std::byte*>(p), size}};
  }
  auto block = std::make_shared<Block>(size + 1);
  std::size_t got = 0;
  while (got < size) {
    const ssize_t n = read(fd, block->data + got, size - got);
    if (n <= 0) break;
    got += static_cast<std::size_t>(n);
  }
  close(fd);
  if (got != size) return make_error("cannot read {}: {}", path.string(), std::strerror(errno));
  return File{block, {block->data, size}};
}

// --- the header

static Status check_header(std::span<const std::byte> file) {
  const auto* h = reinterpret_cast<const format::Header*>(file.data());
  if (file.size() < format::magic.size() ||
      std::memcmp(file.data(), format::magic.data(), format::magic.size()) != 0) {
    return make_error("not an engine file: its first bytes are not an engine's");
  }
  if (file.size() < format::header_size) {
    return make_error("truncated engine: {} bytes, less than its header of {}", file.size(),
                      format::header_size);
  }
  if (h->endian != format::endian_tag) {
    return make_error("the engine was built for a machine of another byte order");
  }
  if (h->major != format::major_version) {
    return make_error(
        "the engine has format version {}.{}, this runtime reads {}.x; rebuild it "
        "with this version of rulec",
        h->major, h->minor, format::major_version);
  }
  std::uint32_t crc = 0;
  std::memcpy(&crc, file.data() + format::header_crc_offset, 4);
  if (crc != crc32c(file.first(format::header_crc_offset))) {
    return make_error("corrupt engine: the header's checksum does not match");
  }
  if (h->kernel_abi != format::kernel_abi) {
    return make_error(
        "the engine was built for other kernels ({:#x}, this runtime has {:#x}); "
        "rebuild it with this version of rulec",
        h->kernel_abi, format::kernel_abi);
  }
  if (h->size != format::header_size || h->sections != format::section_count) {
    return make_error("corrupt engine: header of {} bytes with {} sections", h->size, h->sections);
  }
  if (h->required_isa > static_cast<std::uint32_t>(Isa::Avx512) ||
      h->preferred_isa > static_cast<std::uint32_t>(Isa::Avx512)) {
    return make_error("corrupt engine: unknown instruction set");
  }
  if (h->required_isa > static_cast<std::uint32_t>(detected_isa())) {
    return make_error("the engine was built for {}; this CPU lacks it; rebuild with --isa {}",
                      name(static_cast<Isa>(h->required_isa)), name(detected_isa()));
  }
  if (h->file_size > file.size()) {
    return make_error("truncated engine: {} bytes of {}", file.size(), h->file_size);
  }
  if (h->file_size < file.size()) {
    return make_error("corrupt engine: {} bytes follow its end", file.size() - h->file_size);
  }
  if (h->arena_bytes > format::max_arena_bytes) {
    return make_error("corrupt engine: an arena of {} bytes", h->arena_bytes);
  }
  return Done{};
}

static Status check_sections(std::span<const std::byte> file, bool verify_weights) {
  const auto* h = reinterpret_cast<const format::Header*>(file.data());
  std::uint64_t end = format::header_size;
  for (std::size_t i = 0; i < format::section_count; ++i) {
    const format::Section& s = h->table[i];
    const bool weights = static_cast<SectionKind>(i) == SectionKind::Weights;
    const std::uint64_t alignment = weights ? format::weight_section_alignment : 8;
    if (s.kind != i) return make_error("corrupt engine: section {} has kind {}", i, s.kind);
    if (s.offset < end || s.offset % alignment != 0 || s.offset > file.size() ||
        s.size > file.size() - s.offset) {
      return make_error("corrupt engine: section {} lies at {}+{} in a file of {} bytes", i,
                        s.offset, s.size, file.size());
    }
    end = s.offset + s.size;
    if (weights && !verify_weights) continue;
    if (crc32c(file.subspan(s.offset, s.size)) != s.crc32c) {
      return make_error("corrupt engine: the checksum of {} does not match",
                        weights ? "the weights" : fmt::format("section {}", i));
    }
  }
  if (end != file.size()) return make_error("corrupt engine: sections end at {}", end);
  return Done{};
}

template <typename T>
static Status take(const Engine::State& state, SectionKind kind, std::span<const T>& out) {
  const format::Section& s = state.header->table[static_cast<std::size_t>(kind)];
  if (s.size % sizeof(T) != 0) {
    return make_error("corrupt engine: section {} has {} bytes, no multiple of {}", s.kind, s.size,
                      sizeof(T));
  }
  out = {reinterpret_cast<const T*>(state.file.data() + s.offset), s.size / sizeof(T)};
  return Done{};
}

// Whether a dimension of an input or output is open: changed by a patch.
static bool is_open(const Engine::State& state, std::size_t integer) {
  for (const format::SizePatch& patch : state.sizes) {
    if (patch.kind == format::PatchKind::Integer && patch.index == integer) return true;
  }
  return false;
}

static EnginePort describe(const Engine::State& state, const format::Port& port) {
  EnginePort out;
  out.name = std::string(state.text(port.name));
  const format::Value& v = state.values[state.programs[0].first_value + port.value];
  out.is_tensor = port.kind == 0;
  out.dtype = static_cast<DType>(v.dtype);
  out.known_rank = v.rank != 0xff;
  const auto dims = state.dims(v);
  for (std::size_t i = 0; i < dims.size(); ++i) {
    PortDim d{.size = is_open(state, v.dims + i) ? -1 : dims[i], .symbol = {}};
    if (port.first_symbol != format::none) {
      const std::int64_t s = state.integers[port.first_symbol + i];
      if (s >= 0) d.symbol = std::string(state.text(static_cast<std::uint32_t>(s)));
    }
    out.dims.push_back(std::move(d));
  }
  out.type = std::string(state.text(port.type_text));
  out.has_default = port.optional != 0;
  return out;
}

void describe_interface(Engine::State& state) {
  state.op_attributes.clear();
  state.inputs.clear();
  state.outputs.clear();
  state.op_attributes.reserve(state.ops.size());
  for (const format::Op& op : state.ops)
    state.op_attributes.push_back(decode_attributes(state, op));
  for (const format::Port& port : state.ports)
    (port.is_output ? state.outputs : state.inputs).push_back(describe(state, port));
}

static Result<std::shared_ptr<const Engine::State>> open_engine(File file, LoadOptions options) {
  if (Status ok = check_header(file.bytes); !ok) return ok.error();
  if (Status ok = check_sections(file.bytes, options.verify_weights); !ok) return ok.error();
  auto state = std::make_shared<Engine::State>();
  state->storage = file.owner;
  state->file = file.bytes;
  state->header = reinterpret_cast<const format::Header*>(file.bytes.data());
  Status ok = take(*state, SectionKind::Strings, state->strings);
  if (ok) ok = take(*state, SectionKind::StringRefs, state->string_refs);
  if (ok) ok = take(*state, SectionKind::Integers, state->integers);
  if (ok) ok = take(*state, SectionKind::Values, state->values);
  if (ok) ok = take(*state, SectionKind::Operands, state->operands);
  if (ok) ok = take(*state, SectionKind::Ops, state->ops);
  if (ok) ok = take(*state, SectionKind::Programs, state->programs);
  if (ok) ok = take(*state, SectionKind::Attributes, state->attributes);
  if (ok) ok = take(*state, SectionKind::Ports, state->ports);
  if (ok) ok = take(*state, SectionKind::Parameters, state->parameters);
  if (ok) ok = take(*state, SectionKind::Sizes, state->sizes);
  if (ok) ok = take(*state, SectionKind::Weights, state->weights);
  if (ok) ok = validate(*state);
  if (ok) ok = check_sizes(*state);
  if (!ok) return ok.error();
  describe_interface(*state);
  state->isa = std::min(detected_isa(), static_cast<Isa>(state->header->preferred_isa));
  return std::shared_ptr<const Engine::State>(std::move(state));
}

Result<Engine> Engine::load(const std::filesystem::path& path, LoadOptions options) {
  auto file = read_file(path, options.map);
  if (!file) return file.error();
  auto state = open_engine(std::move(*file), options);
  if (!state) return make_error("{}: {}", path.string(), state.error().message);
  return Engine(std::move(*state));
}

Result<Engine> Engine::load_bytes(std::string bytes, LoadOptions options) {
  auto block = std::make_shared<Block>(bytes.size() + 1);
  std::memcpy(block->data, bytes.data(), bytes.size());
  const std::span<const std::byte> view(block->data, bytes.size());
  auto state = open_engine(File{std::move(block), view}, options);
  if (!state) return state.error();
  return Engine(std::move(*state));
}

// --- looking at it

static std::string hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (std::uint8_t b : bytes)
    text += fmt::format("{:02x}", b);
  return text;
}

const std::vector<EnginePort>& Engine::inputs() const {
  return state_->inputs;
}
const std::vector<EnginePort>& Engine::outputs() const {
  return state_->outputs;
}
std::uint64_t Engine::file_bytes() const {
  return state_->file.size();
}
std::uint64_t Engine::arena_bytes() const {
  return state_->header->arena_bytes;
}
std::uint64_t Engine::weight_bytes() const {
  return state_->weights.size();
}
Isa Engine::isa() const {
  return state_->isa;
}
std::string Engine::model_sha256() const {
  return hex(state_->header->model_sha256);
}
std::string Engine::rules_sha256() const {
  return hex(state_->header->rules_sha256);
}
std::string Engine::producer() const {
  const auto& p = state_->header->producer;
  return {p.data(), strnlen(p.data(), p.size())};
}

Tensor Engine::State::weight(const format::Value& value) const {
  const auto shape = dims(value);
  if (static_cast<DType>(value.dtype) == DType::String) {
    std::vector<std::string> all;
    for (std::uint64_t i = 0; i < value.bytes; ++i) {
      all.emplace_back(text(static_cast<std::uint32_t>(value.offset + i)));
    }
    return Tensor::of_strings({shape.begin(), shape.end()}, std::move(all));
  }
  return Tensor::borrow(static_cast<DType>(value.dtype), {shape.begin(), shape.end()},
                        weights.subspan(value.offset, value.bytes), storage);
}

TensorRef Engine::State::ref(const format::Value& value) const {
  TensorRef out;
  const auto shape = dims(value);
  out.dims = shape.data();
  out.rank = static_cast<std::uint32_t>(shape.size());
  out.bytes = value.bytes;
  if (value.storage == format::Storage::Heap) {
    out.bytes = rulec::byte_size(static_cast<DType>(value.dtype), element_count(shape));
  }
  out.halo = value.halo;
  out.dtype = static_cast<DType>(value.dtype);
  out.layout = value.layout;
  if (value.storage == format::Storage::Weight) {
    out.data = const_cast<std::byte*>(weights.data() + value.offset);  // kernels only read inputs
  }
  return out;
}

}  // namespace rulec
