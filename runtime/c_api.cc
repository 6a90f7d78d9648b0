// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

#include "runtime/engine.h"
#include "runtime/rulec.h"
#include "runtime/session.h"

using rulec::DType;
using rulec::Engine;
using rulec::EnginePort;
using rulec::Session;
using rulec::Tensor;
using rulec::Value;

static_assert(static_cast<int>(DType::I2) == RULEC_I2 && static_cast<int>(DType::F32) == RULEC_F32);

struct rulec_engine {
  Engine engine;
  int threads = 1;
  std::mutex mutex;
  std::vector<Session> idle;  // sessions of runs that ended, for the next ones
};

// Fixed memory: telling that memory has run out must not need any.
static thread_local char last_error[1024];

static rulec_status fail(rulec_status status, std::string_view message) {
  const std::size_t size = std::min(message.size(), sizeof last_error - 1);
  std::memcpy(last_error, message.data(), size);
  last_error[size] = '\0';
  return status;
}

template <typename... Args>
static rulec_status fail(rulec_status status, fmt::format_string<Args...> format, Args&&... args) {
  return fail(status, std::string_view(fmt::format(format, std::forward<Args>(args)...)));
}

// Runs `body`, which gives a status; what it throws (the standard library's bad_alloc, say) ends
// here.
template <typename Body>
static rulec_status guarded(const Body& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(RULEC_OUT_OF_MEMORY, std::string_view("out of memory"));
  } catch (const std::exception& error) {
    return fail(RULEC_RUN_FAILED, std::string_view(error.what()));
  } catch (...) {
    return fail(RULEC_RUN_FAILED, std::string_view("unknown failure"));
  }
}

// The caller's options may be of an older, shorter layout.
static rulec_status read_options(const rulec_options* given, rulec_options& out) {
  out = {sizeof out, 1, 0};
  if (given == nullptr) return RULEC_OK;
  if (given->size < sizeof given->size || given->size > sizeof out) {
    return fail(RULEC_BAD_ARGUMENT,
                "options.size is {}; set it to sizeof(rulec_options), {} in this version",
                given->size, sizeof out);
  }
  std::memcpy(&out, given, given->size);
  if (out.threads == 0) out.threads = 1;
  if (out.threads < 1 || out.threads > 1024) {
    return fail(RULEC_BAD_ARGUMENT, "options.threads is {}; 1 to 1024 are possible", out.threads);
  }
  return RULEC_OK;
}

template <typename Load>
static rulec_status make_engine(const rulec_options* options, rulec_engine** out,
                                const Load& load) {
  if (out == nullptr) return fail(RULEC_BAD_ARGUMENT, std::string_view("`out` is NULL"));
  *out = nullptr;
  rulec_options read;
  if (const rulec_status status = read_options(options, read); status != RULEC_OK) return status;
  auto engine = load(rulec::LoadOptions{.verify_weights = read.verify_weights != 0});
  if (!engine) return fail(RULEC_BAD_ENGINE, std::string_view(engine.error().message));
  *out = new rulec_engine{std::move(*engine), read.threads, {}, {}};
  return RULEC_OK;
}

static rulec_status describe(const std::vector<EnginePort>& ports, std::size_t index,
                             rulec_port* out) {
  if (out == nullptr) return fail(RULEC_BAD_ARGUMENT, std::string_view("`out` is NULL"));
  if (index >= ports.size()) {
    return fail(RULEC_BAD_ARGUMENT, "there is no port {}; the engine has {}", index, ports.size());
  }
  const EnginePort& port = ports[index];
  *out = {};
  out->name = port.name.c_str();
  out->type = port.type.c_str();
  out->is_tensor = port.is_tensor;
  out->has_default = port.has_default;
  out->dtype = static_cast<std::int32_t>(port.dtype);
  const bool told = port.known_rank && port.dims.size() <= RULEC_MAX_RANK;
  out->rank = told ? static_cast<int>(port.dims.size()) : -1;
  for (std::size_t i = 0; told && i < port.dims.size(); ++i)
    out->dims[i] = port.dims[i].size;
  return RULEC_OK;
}

// --- inputs

static rulec_status read_input(const EnginePort& port, const rulec_tensor& given, Value& out) {
  if (given.data == nullptr && given.bytes == 0 && given.rank == 0 && port.has_default) {
    return RULEC_OK;
  }
  if (given.rank < 0 || given.rank > RULEC_MAX_RANK) {
    return fail(RULEC_BAD_ARGUMENT, "input '{}' has rank {}; 0 to {} are possible", port.name,
                given.rank, RULEC_MAX_RANK);
  }
  if (given.dtype <= RULEC_UNKNOWN || given.dtype > RULEC_I2) {
    return fail(RULEC_BAD_ARGUMENT, "input '{}' has the unknown element type {}", port.name,
                given.dtype);
  }
  rulec::Shape shape(given.dims, given.dims + given.rank);
  std::int64_t count = 1;
  for (const std::int64_t dim : shape) {
    if (dim < 0 || __builtin_mul_overflow(count, dim, &count) || count > (std::int64_t{1} << 48)) {
      return fail(RULEC_BAD_ARGUMENT, "input '{}' has the impossible shape {}", port.name,
                  rulec::to_string(shape));
    }
  }
  const auto dtype = static_cast<DType>(given.dtype);
  const bool strings = dtype == DType::String;
  const std::size_t needed = strings ? static_cast<std::size_t>(count) * sizeof(const char*)
                                     : rulec::byte_size(dtype, count);
  if (given.bytes != needed || (given.data == nullptr && needed != 0)) {
    return fail(RULEC_BAD_ARGUMENT, "input '{}' is {} bytes{}; {}{} needs {}", port.name,
                given.bytes, given.data == nullptr ? " at NULL" : "", rulec::name(dtype),
                rulec::to_string(shape), needed);
  }
  if (strings) {
    const auto* texts = static_cast<const char* const*>(given.data);
    std::vector<std::string> all;
    for (std::int64_t i = 0; i < count; ++i)
      all.emplace_back(texts[i] == nullptr ? "" : texts[i]);
    out = Tensor::of_strings(std::move(shape), std::move(all));
    return RULEC_OK;
  }
  const std::span bytes(static_cast<const std::byte*>(given.data), needed);
  // Kernels read whole elements and vectors of them: what lies askew is copied.
  const bool askew = reinterpret_cast<std::uintptr_t>(given.data) % 16 != 0;
  Tensor tensor = askew ? Tensor::allocate(dtype, shape)
                        : Tensor::borrow(dtype, std::move(shape), bytes, nullptr);
  if (askew && needed != 0) std::memcpy(tensor.mutable_data<std::byte>(), given.data, needed);
  out = std::move(tensor);
  return RULEC_OK;
}

// --- outputs

static std::size_t needed_bytes(const Tensor& tensor) {
  if (tensor.dtype() != DType::String) return tensor.byte_size();
  std::size_t bytes = 0;
  for (const std::string& text : tensor.strings())
    bytes += text.size() + 1;
  return bytes;
}

static void write_data(const Tensor& tensor, void* to) {
  if (tensor.dtype() != DType::String) {
    if (tensor.byte_size() != 0) std::memcpy(to, tensor.bytes().data(), tensor.byte_size());
    return;
  }
  auto* at = static_cast<char*>(to);
  for (const std::string& text : tensor.strings()) {
    std::memcpy(at, text.c_str(), text.size() + 1);
    at += text.size() + 1;
  }
}

static rulec_status write_output(const EnginePort& port, const Value& value, rulec_tensor& out) {
  const std::size_t room = out.bytes;
  if (!value.is_tensor()) {
    const bool wanted = out.data != nullptr;
    out = {};
    if (!wanted) return RULEC_OK;
    return fail(RULEC_RUN_FAILED,
                "output '{}' is {}, which only the C++ interface hands out; pass data NULL",
                port.name, port.type);
  }
  const Tensor& tensor = value.tensor();
  if (tensor.rank() > RULEC_MAX_RANK) {
    return fail(RULEC_RUN_FAILED, "output '{}' has rank {}, more than {}", port.name, tensor.rank(),
                RULEC_MAX_RANK);
  }
  out.dtype = static_cast<std::int32_t>(tensor.dtype());
  out.rank = static_cast<int>(tensor.rank());
  std::copy(tensor.shape().begin(), tensor.shape().end(), out.dims);
  out.bytes = needed_bytes(tensor);
  if (out.data == nullptr) return RULEC_OK;
  if (out.bytes > room) {
    return fail(RULEC_BUFFER_TOO_SMALL, "output '{}' is {}{} and needs {} bytes; {} are given",
                port.name, rulec::name(tensor.dtype()), rulec::to_string(tensor.shape()), out.bytes,
                room);
  }
  write_data(tensor, out.data);
  return RULEC_OK;
}

static rulec_status run(rulec_engine& engine, std::span<const rulec_tensor> inputs,
                        std::span<rulec_tensor> outputs) {
  const auto& in = engine.engine.inputs();
  const auto& out = engine.engine.outputs();
  if (inputs.size() != in.size() || outputs.size() != out.size()) {
    return fail(RULEC_BAD_ARGUMENT, "{} inputs and {} outputs are given; the engine has {} and {}",
                inputs.size(), outputs.size(), in.size(), out.size());
  }
  std::vector<Value> values(in.size());
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (const auto status = read_input(in[i], inputs[i], values[i]); status != RULEC_OK) {
      return status;
    }
  }
  std::vector<Session> taken;
  {
    const std::lock_guard lock(engine.mutex);
    if (!engine.idle.empty()) {
      taken.push_back(std::move(engine.idle.back()));
      engine.idle.pop_back();
    }
  }
  if (taken.empty()) {
    auto made = Session::create(engine.engine, {.threads = engine.threads});
    if (!made) return fail(RULEC_OUT_OF_MEMORY, std::string_view(made.error().message));
    taken.push_back(std::move(*made));
  }
  const auto results = taken.front().run(std::span<const Value>(values));
  {
    const std::lock_guard lock(engine.mutex);
    engine.idle.push_back(std::move(taken.front()));
  }
  if (!results) return fail(RULEC_RUN_FAILED, std::string_view(results.error().message));
  rulec_status status = RULEC_OK;  // sizes of all outputs are told, also behind one that fails
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto one = write_output(out[i], (*results)[i], outputs[i]);
    if (one != RULEC_OK) status = one;
  }
  return status;
}

extern "C" {

const char* rulec_version(void) {
  return RULEC_VERSION;
}

const char* rulec_last_error(void) {
  return last_error;
}

rulec_status rulec_engine_load(const char* path, const rulec_options* options, rulec_engine** out) {
  return guarded([&] {
    if (path == nullptr) return fail(RULEC_BAD_ARGUMENT, std::string_view("`path` is NULL"));
    return make_engine(options, out,
                       [&](rulec::LoadOptions how) { return Engine::load(path, how); });
  });
}

rulec_status rulec_engine_load_memory(const void* bytes, size_t size, const rulec_options* options,
                                      rulec_engine** out) {
  return guarded([&] {
    if (bytes == nullptr) return fail(RULEC_BAD_ARGUMENT, std::string_view("`bytes` is NULL"));
    return make_engine(options, out, [&](rulec::LoadOptions how) {
      return Engine::load_bytes(std::string(static_cast<const char*>(bytes), size), how);
    });
  });
}

void rulec_engine_free(rulec_engine* engine) {
  delete engine;
}

size_t rulec_engine_input_count(const rulec_engine* engine) {
  return engine == nullptr ? 0 : engine->engine.inputs().size();
}

size_t rulec_engine_output_count(const rulec_engine* engine) {
  return engine == nullptr ? 0 : engine->engine.outputs().size();
}

rulec_status rulec_engine_input(const rulec_engine* engine, size_t index, rulec_port* out) {
  return guarded([&] {
    if (engine == nullptr) return fail(RULEC_BAD_ARGUMENT, std::string_view("`engine` is NULL"));
    return describe(engine->engine.inputs(), index, out);
  });
}

rulec_status rulec_engine_output(const rulec_engine* engine, size_t index, rulec_port* out) {
  return guarded([&] {
    if (engine == nullptr) return fail(RULEC_BAD_ARGUMENT, std::string_view("`engine` is NULL"));
    return describe(engine->engine.outputs(), index, out);
  });
}

rulec_status rulec_engine_run(rulec_engine* engine, const rulec_tensor* inputs, size_t input_count,
                              rulec_tensor* outputs, size_t output_count) {
  return guarded([&] {
    if (engine == nullptr) return fail(RULEC_BAD_ARGUMENT, std::string_view("`engine` is NULL"));
    if ((inputs == nullptr && input_count != 0) || (outputs == nullptr && output_count != 0)) {
      return fail(RULEC_BAD_ARGUMENT, std::string_view("`inputs` or `outputs` is NULL"));
    }
    return run(*engine, {inputs, input_count}, {outputs, output_count});
  });
}

}  // extern "C"
