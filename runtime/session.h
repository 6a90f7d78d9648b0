// SPDX-License-Identifier: Apache-2.0
#pragma once

// One caller's use of an engine: its own arena and threads. Not for two threads at once; make a
// session for each.
//
//   auto session = Session::create(engine, {.threads = 2});
//   std::vector<Value> in = {image};
//   auto out = session->run(in);

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/engine.h"
#include "runtime/result.h"
#include "runtime/value.h"

namespace rulec {

struct SessionOptions {
  int threads = 1;       // results do not depend on it
  bool profile = false;  // collect the time of each operation
};

class Session {
 public:
  static Result<Session> create(const Engine& engine, SessionOptions options = {});
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  // Inputs in the engine's order (absent ones take their default), outputs likewise. Outputs own
  // their memory.
  Result<std::vector<Value>> run(std::span<const Value> inputs);
  Result<std::vector<Value>> run(std::span<const std::pair<std::string, Value>> inputs);

  // Nanoseconds that each operation of Engine::operations() took, summed over the runs so far (with
  // an open dimension: those of the last run's size); empty unless asked for.
  std::span<const std::uint64_t> profile() const;

  const Engine& engine() const;

 private:
  struct State;
  explicit Session(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace rulec
