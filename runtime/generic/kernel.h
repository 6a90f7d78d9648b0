// SPDX-License-Identifier: Apache-2.0
#pragma once

// The generic kernels: one slow, obviously right function for each operator, for every element
// type of the standard and any shape. Floating-point work is done in double and rounded once per
// element. They are the reference evaluator's kernels and the engine's fallback; the fast f32
// kernels (runtime/kernels/) are tested against them and never call them.

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "runtime/attribute.h"
#include "runtime/result.h"
#include "runtime/value.h"

namespace rulec::generic {

// Runs a nested graph (Loop, If, Scan, SequenceMap) on behalf of a kernel. The interpreter that
// called the kernel implements it; captured values are its business.
class Bodies {
 public:
  virtual ~Bodies() = default;
  // `inputs` in the order of the body's formal inputs; gives the body's outputs in order.
  virtual Result<std::vector<Value>> run(GraphId body, std::span<const Value> inputs) = 0;

  // What `body` declares its output `index` to be (-1: unknown size); nothing where it is not
  // known. Asked only for outputs of loops that ran no iteration.
  struct OutputType {
    DType dtype = DType::Undefined;
    std::optional<Shape> shape;
  };
  virtual std::optional<OutputType> output_type([[maybe_unused]] GraphId body,
                                                [[maybe_unused]] std::size_t index) const {
    return std::nullopt;
  }
  // The rank that formal input `index` of `body` is declared with. Old exporters give a loop's trip
  // counter and condition one dimension.
  virtual std::optional<std::size_t> input_rank([[maybe_unused]] GraphId body,
                                                [[maybe_unused]] std::size_t index) const {
    return std::nullopt;
  }
};

// One application of an operator.
struct Call {
  std::string_view domain;               // "" for the standard's own
  std::string_view type;                 // "Conv"
  int opset = 0;                         // of `domain` in the model
  std::span<const Value* const> inputs;  // null where an optional operand is absent
  const Attributes& attributes;
  std::size_t output_count = 1;        // how many outputs the node names
  std::uint64_t outputs_used = ~0ULL;  // bit i: output i is named and may be read
  Bodies* bodies = nullptr;

  bool has(std::size_t index) const {
    return index < inputs.size() && inputs[index] != nullptr && !inputs[index]->absent();
  }
  // The operand's tensor; only after has(index), and for operands that are tensors.
  const Tensor& tensor(std::size_t index) const { return inputs[index]->tensor(); }
};

using Outputs = std::vector<Value>;  // may be shorter than output_count: the rest is absent
using Kernel = Result<Outputs> (*)(const Call& call);

// One line of a family's table; an operator that changed between opsets has one kernel that looks
// at call.opset. Operands 0 … required-1 must be present and, unless `any_kind`, tensors;
// run() has checked this before the kernel is called.
struct KernelEntry {
  std::string_view domain;
  std::string_view type;
  Kernel kernel;
  int required = 1;
  bool any_kind = false;  // operands may be sequences, optionals, maps
};

// The kernel of an operator, or null.
const KernelEntry* find_kernel(std::string_view domain, std::string_view type);

// Looks the operator up, checks the presence and kinds of its operands, and calls its kernel.
// The Error of a failing call names the operator and says what was wrong with which operand.
Result<Outputs> run(const Call& call);

// Every entry, sorted by domain and type: for docs and coverage tables.
std::vector<KernelEntry> all_kernels();

}  // namespace rulec::generic
