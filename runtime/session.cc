// SPDX-License-Identifier: Apache-2.0
#include "runtime/session.h"

#include <map>

#include "runtime/engine_sizes.h"
#include "runtime/executor.h"

namespace rulec {

struct Session::State {
  Engine engine;
  SessionOptions options;
  std::unique_ptr<Executor> executor;
  std::map<std::int64_t, std::unique_ptr<Executor>> others = {};  // by the open dimension's size
  const Executor* last = executor.get();

  // The one for these inputs.
  Result<Executor*> executor_for(std::span<const Value> inputs);
};

static constexpr std::size_t most_executors = 8;  // for other sizes; then they start afresh

static Result<std::unique_ptr<Executor>> make_executor(std::shared_ptr<const Engine::State> state,
                                                       const SessionOptions& options) {
  auto arena = state->arenas->take(state->header->arena_bytes);
  if (!arena) return arena.error();
  return std::make_unique<Executor>(std::move(state), std::move(*arena), options.threads,
                                    options.profile);
}

Session::Session(std::unique_ptr<State> state) : state_(std::move(state)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<Session> Session::create(const Engine& engine, SessionOptions options) {
  if (options.threads < 1 || options.threads > 1024) {
    return make_error("{} threads asked for; 1 to 1024 are possible", options.threads);
  }
  auto executor = make_executor(engine.state_, options);
  if (!executor) return executor.error();
  return Session(std::unique_ptr<State>(new State{engine, options, std::move(*executor)}));
}

Result<Executor*> Session::State::executor_for(std::span<const Value> inputs) {
  const auto& origin = engine.state_;
  if (!has_open_size(*origin)) return executor.get();
  const auto size = open_size(*origin, inputs);
  if (!size) return size.error();
  if (*size == built_size(*origin)) return executor.get();
  if (const auto it = others.find(*size); it != others.end()) return it->second.get();
  const auto state = state_for_size(origin, *size);
  if (!state) return state.error();
  auto made = make_executor(*state, options);
  if (!made) return made.error();
  if (others.size() >= most_executors) {
    others.clear();
    last = executor.get();
  }
  return others.emplace(*size, std::move(*made)).first->second.get();
}

const Engine& Session::engine() const {
  return state_->engine;
}
std::span<const std::uint64_t> Session::profile() const {
  return state_->last->profile();
}

// Whether a given value is what the model declares for an input.
static Status check_input(const EnginePort& port, const Value& value) {
  if (!port.is_tensor) return Done{};
  if (!value.is_tensor()) return make_error("input '{}' must be a tensor", port.name);
  const Tensor& t = value.tensor();
  bool ok = port.dtype == DType::Undefined || t.dtype() == port.dtype;
  if (ok && port.known_rank) {
    ok = t.rank() == port.dims.size();
    for (std::size_t i = 0; ok && i < t.rank(); ++i) {
      ok = port.dims[i].size < 0 || port.dims[i].size == t.dim(i);
    }
  }
  if (!ok) {
    return make_error("input '{}' is {}{}, the engine expects {}", port.name, name(t.dtype()),
                      to_string(t.shape()), port.type);
  }
  return Done{};
}

Result<std::vector<Value>> Session::run(std::span<const Value> inputs) {
  const auto& ports = state_->engine.inputs();
  if (inputs.size() != ports.size()) {
    return make_error("{} inputs given, the engine has {}", inputs.size(), ports.size());
  }
  const Engine::State& engine = state_->engine.state();
  std::vector<Value> filled(inputs.begin(), inputs.end());
  std::size_t at = 0;
  for (const format::Port& port : engine.ports) {
    if (port.is_output) continue;
    if (filled[at].absent() && port.optional) {
      filled[at] = engine.weight(engine.values[port.default_value]);
    }
    if (filled[at].absent()) return make_error("input '{}' is missing", ports[at].name);
    if (Status ok = check_input(ports[at], filled[at]); !ok) return ok.error();
    ++at;
  }
  const auto executor = state_->executor_for(filled);
  if (!executor) return executor.error();
  state_->last = *executor;
  return (*executor)->run(filled);
}

Result<std::vector<Value>> Session::run(std::span<const std::pair<std::string, Value>> inputs) {
  const auto& ports = state_->engine.inputs();
  std::vector<Value> ordered(ports.size());
  for (const auto& [name, value] : inputs) {
    std::size_t at = 0;
    while (at < ports.size() && ports[at].name != name)
      ++at;
    if (at == ports.size()) return make_error("the engine has no input '{}'", name);
    ordered[at] = value;
  }
  return run(ordered);
}

}  // namespace rulec
