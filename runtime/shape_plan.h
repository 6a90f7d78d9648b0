// SPDX-License-Identifier: Apache-2.0
#pragma once

// One plan of shape_plans.h: which fast kernels do an operation on operands of these types and
// sizes, and on what tensors. Not its execution, nor its safety: shape_plans.cc checks and runs it.
//
//   ShapePlan plan;
//   if (make_plan(plan, call)) …  // plan.steps, on plan.places

#include <string>
#include <utility>
#include <vector>

#include "runtime/format.h"
#include "runtime/generic/kernel.h"
#include "runtime/kernels.h"

namespace rulec {

// A tensor of a plan: an operand of the call, the result, or its own memory.
struct PlannedTensor {
  enum class Kind : std::uint8_t { Operand, Result, Own } kind = Kind::Own;
  std::size_t operand = 0;
  Shape dims = {};
  DType dtype = DType::F32;
  format::Layout layout = format::Layout::Plain;
  std::uint32_t halo = 0;
  Tensor memory = {};  // of Own
};
struct PlannedStep {
  Opcode opcode = Opcode::Chain;
  std::vector<std::size_t> inputs;  // places
  std::size_t output = 0;
  std::string parameters;
};
// The kernels for one operation on operands of known types and sizes.
struct ShapePlan {
  std::vector<PlannedTensor> places;
  std::vector<PlannedStep> steps;
  Shape shape;  // of the result
  DType dtype = DType::F32;

  std::size_t operand(const generic::Call& call, std::size_t i) {
    const Tensor& t = call.tensor(i);
    return view(call, i, t.shape());
  }
  // The same bytes under another shape.
  std::size_t view(const generic::Call& call, std::size_t i, Shape dims) {
    places.push_back({.kind = PlannedTensor::Kind::Operand,
                      .operand = i,
                      .dims = std::move(dims),
                      .dtype = call.tensor(i).dtype()});
    return places.size() - 1;
  }
  std::size_t result(DType type, Shape dims) {
    dtype = type;
    shape = dims;
    places.push_back({.kind = PlannedTensor::Kind::Result, .dims = std::move(dims), .dtype = type});
    return places.size() - 1;
  }
  std::size_t own(Shape dims, format::Layout layout = format::Layout::Plain,
                  std::int64_t halo = 0) {
    PlannedTensor p{
        .dims = std::move(dims), .layout = layout, .halo = static_cast<std::uint32_t>(halo)};
    places.push_back(std::move(p));
    return places.size() - 1;
  }
  template <typename P>
  void step(Opcode opcode, std::vector<std::size_t> inputs, std::size_t output, const P& p) {
    PlannedStep s{opcode, std::move(inputs), output, {}};
    s.parameters.assign(reinterpret_cast<const char*>(&p), sizeof p);
    steps.push_back(std::move(s));
  }
};

// False where no fast kernel takes these operands.
bool make_plan(ShapePlan& plan, const generic::Call& call);

}  // namespace rulec
