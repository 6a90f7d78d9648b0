// SPDX-License-Identifier: Apache-2.0
#pragma once

// Walks the operations of an engine's programs. Private to the runtime: see session.h.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/arena.h"
#include "runtime/engine_state.h"
#include "runtime/generic/kernel.h"
#include "runtime/kernels.h"
#include "runtime/shape_plans.h"
#include "runtime/thread_pool.h"

namespace rulec {

class Executor : public generic::Bodies {
 public:
  Executor(std::shared_ptr<const Engine::State> state, Arena arena, int threads, bool profile);
  ~Executor() override;

  // The main program.
  Result<std::vector<Value>> run(std::span<const Value> inputs);
  // A nested one, on behalf of a generic kernel.
  Result<std::vector<Value>> run(GraphId body, std::span<const Value> inputs) override;
  std::optional<OutputType> output_type(GraphId body, std::size_t index) const override;
  std::optional<std::size_t> input_rank(GraphId body, std::size_t index) const override;

  std::span<const std::uint64_t> profile() const { return nanoseconds_; }

 private:
  // A fast operation with everything known but the addresses of values on the heap.
  struct Prepared {
    FastKernel kernel = nullptr;
    std::vector<TensorRef> refs;                                // inputs, then outputs
    std::vector<std::pair<std::uint32_t, std::uint32_t>> heap;  // ref, value
    bool zero_halo = false;
    bool checks_indices = false;  // of a Gather, which the run makes
  };
  // The values of one program while it runs; kept between runs, since bodies run often.
  struct Frame {
    std::vector<Value> slots;
    std::vector<std::uint32_t> transient;  // slots to clear afterwards
  };

  void prepare(const format::Program& program);
  Frame make_frame(const format::Program& program);
  Result<std::vector<Value>> execute(std::uint32_t program, std::span<const Value> inputs);
  Status run_generic(const format::Op& op, std::uint32_t index, std::uint32_t program);
  Status run_fast(const format::Op& op, std::uint32_t index);
  Status capture(std::uint32_t program);
  Value detached(const Value& value) const;  // a copy of what lies in the arena

  std::shared_ptr<const Engine::State> state_;
  Arena arena_;
  ThreadPool pool_;
  ShapePlans plans_;
  std::vector<Frame> frames_;       // one for each program
  std::vector<Prepared> prepared_;  // one for each op of program 0
  std::vector<std::uint64_t> nanoseconds_;
};

}  // namespace rulec
