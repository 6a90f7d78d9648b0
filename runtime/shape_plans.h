// SPDX-License-Identifier: Apache-2.0
#pragma once

// Fast kernels for operations whose shapes only the run knows. Each shape that an operation meets
// gets a plan (kernel, parameters, scratch), checked as a file's operations are and kept; a plan
// works on row-major operands and leaves a row-major result. Operations of shapes known when the
// engine was built have no need of this: lowering gave them kernels, layouts and places.
//
//   if (auto made = plans.run(index, call)) slot = *std::move(made);
//   else generic::run(call);

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "runtime/generic/kernel.h"
#include "runtime/kernels.h"
#include "runtime/thread_pool.h"

namespace rulec {

struct ShapePlan;

class ShapePlans {
 public:
  ShapePlans(const KernelTable& kernels, ThreadPool& pool) : kernels_(kernels), pool_(pool) {}

  // The only result of operation `op`; nothing where no fast kernel takes these operands.
  std::optional<Tensor> run(std::uint32_t op, const generic::Call& call);

 private:
  using Key = std::vector<std::int64_t>;  // types and sizes of the operands
  struct OfOperation {
    std::map<Key, std::shared_ptr<ShapePlan>> plans;  // null: no fast kernel for this shape
    Key last;
    std::shared_ptr<ShapePlan> last_plan;
  };

  const KernelTable& kernels_;
  ThreadPool& pool_;
  std::unordered_map<std::uint32_t, OfOperation> operations_;
  Key key_;
};

}  // namespace rulec
