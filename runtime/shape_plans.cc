// SPDX-License-Identifier: Apache-2.0
#include "runtime/shape_plans.h"

#include "runtime/kernels/check.h"
#include "runtime/operator_names.h"
#include "runtime/shape.h"
#include "runtime/shape_plan.h"

namespace rulec {

using format::Layout;

static constexpr std::size_t most_plans = 64;  // of one operation; then it starts afresh

static TensorRef ref_of(const PlannedTensor& place) {
  TensorRef ref;
  ref.dims = place.dims.data();
  ref.rank = static_cast<std::uint32_t>(place.dims.size());
  ref.dtype = place.dtype;
  ref.layout = place.layout;
  ref.halo = place.halo;
  ref.bytes = place.layout == Layout::Blocked ? blocked_bytes(place.dims.data(), place.halo)
                                              : byte_size(place.dtype, element_count(place.dims));
  return ref;
}

// What the loader asks of a file's operations; and memory for the plan's own tensors, zero so that
// the borders of blocks are.
static bool settle(ShapePlan& plan) {
  for (const PlannedTensor& place : plan.places) {
    const auto count = checked_element_count(place.dims);
    if (!count || *count == 0) return false;
  }
  for (const PlannedStep& step : plan.steps) {
    std::vector<TensorRef> inputs;
    for (std::size_t i : step.inputs)
      inputs.push_back(ref_of(plan.places[i]));
    const TensorRef output = ref_of(plan.places[step.output]);
    if (!check_operation(step.opcode, inputs, {&output, 1},
                         std::as_bytes(std::span(step.parameters)))) {
      return false;
    }
  }
  for (PlannedTensor& place : plan.places) {
    if (place.kind != PlannedTensor::Kind::Own) continue;
    place.memory = Tensor::zeros(DType::U8, {static_cast<std::int64_t>(ref_of(place).bytes)});
  }
  return true;
}

std::optional<Tensor> ShapePlans::run(std::uint32_t op, const generic::Call& call) {
  if (call.output_count != 1) return std::nullopt;
  key_.clear();
  for (const Value* value : call.inputs) {
    if (value == nullptr || !value->is_tensor()) {
      key_.push_back(-1);
      continue;
    }
    const Tensor& t = value->tensor();
    key_.push_back(static_cast<std::int64_t>(t.dtype()));
    key_.push_back(static_cast<std::int64_t>(t.rank()));
    key_.insert(key_.end(), t.shape().begin(), t.shape().end());
  }
  // The one operand whose numbers a plan depends on.
  if (row_kind(call.type) && call.has(1)) {
    const auto axes = call.tensor(1).integers();
    key_.insert(key_.end(), axes.begin(), axes.end());
  }
  OfOperation& of = operations_[op];
  if (of.last != key_ || of.plans.empty()) {
    auto found = of.plans.find(key_);
    if (found == of.plans.end()) {
      if (of.plans.size() >= most_plans) of.plans.clear();
      auto plan = std::make_shared<ShapePlan>();
      if (!make_plan(*plan, call) || !settle(*plan)) plan = nullptr;
      found = of.plans.emplace(key_, std::move(plan)).first;
    }
    of.last = key_;
    of.last_plan = found->second;
  }
  if (!of.last_plan) return std::nullopt;
  ShapePlan& plan = *of.last_plan;
  Tensor out = Tensor::allocate(plan.dtype, plan.shape);
  std::vector<TensorRef> refs;
  for (const PlannedStep& step : plan.steps) {
    refs.clear();
    const auto add = [&](std::size_t i) {
      PlannedTensor& place = plan.places[i];
      TensorRef ref = ref_of(place);
      switch (place.kind) {
        case PlannedTensor::Kind::Operand:
          ref.data = const_cast<std::byte*>(call.tensor(place.operand).bytes().data());
          break;
        case PlannedTensor::Kind::Result:
          ref.data = out.mutable_data<std::byte>();
          break;
        case PlannedTensor::Kind::Own:
          ref.data = place.memory.mutable_data<std::byte>();
          break;
      }
      refs.push_back(ref);
    };
    for (std::size_t i : step.inputs)
      add(i);
    add(step.output);
    const std::span<const TensorRef> all = refs;
    kernels_.run[static_cast<std::size_t>(step.opcode)](
        {.inputs = all.first(step.inputs.size()),
         .outputs = all.last(1),
         .parameters = reinterpret_cast<const std::byte*>(step.parameters.data()),
         .parameter_bytes = static_cast<std::uint32_t>(step.parameters.size()),
         .pool = &pool_});
  }
  return out;
}

}  // namespace rulec
