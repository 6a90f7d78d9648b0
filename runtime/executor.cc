// SPDX-License-Identifier: Apache-2.0
#include "runtime/executor.h"

#include <chrono>
#include <cstring>

#include "runtime/kernels/check.h"

namespace rulec {

using format::none;
using format::Storage;

Executor::Executor(std::shared_ptr<const Engine::State> state, Arena arena, int threads,
                   bool profile)
    : state_(std::move(state)),
      arena_(std::move(arena)),
      pool_(threads),
      plans_(kernels_for(state_->isa), pool_) {
  for (const format::Program& program : state_->programs)
    frames_.push_back(make_frame(program));
  prepare(state_->programs[0]);
  if (profile) nanoseconds_.assign(state_->programs[0].ops, 0);
}

Executor::~Executor() {
  frames_.clear();
  state_->arenas->give(std::move(arena_));
}

Executor::Frame Executor::make_frame(const format::Program& program) {
  Frame frame;
  frame.slots.resize(program.values);
  const auto values = state_->values_of(program);
  for (std::uint32_t v = 0; v < program.values; ++v) {
    const format::Value& value = values[v];
    switch (value.storage) {
      case Storage::Weight:
        frame.slots[v] = state_->weight(value);
        break;
      case Storage::Arena: {
        if (value.layout != format::Layout::Plain) break;  // only fast kernels see it
        const auto dims = state_->dims(value);
        frame.slots[v] = Tensor::borrow(static_cast<DType>(value.dtype), {dims.begin(), dims.end()},
                                        {arena_.data() + value.offset, value.bytes}, nullptr);
        break;
      }
      case Storage::Heap:
        frame.transient.push_back(v);
        break;
    }
  }
  return frame;
}

void Executor::prepare(const format::Program& program) {
  const KernelTable& table = kernels_for(state_->isa);
  const auto values = state_->values_of(program);
  for (const format::Op& op : state_->ops_of(program)) {
    Prepared& p = prepared_.emplace_back();
    if (static_cast<Opcode>(op.opcode) == Opcode::Generic) continue;
    p.kernel = table.run[op.opcode];
    for (std::uint32_t i = 0; i < std::uint32_t{op.inputs} + op.outputs; ++i) {
      const std::uint32_t operand = state_->operands[op.first_operand + i];
      TensorRef& ref = p.refs.emplace_back();
      if (operand == none) continue;
      const std::uint32_t v = operand & ~format::last_use;
      ref = state_->ref(values[v]);
      if (values[v].storage == Storage::Heap) p.heap.emplace_back(i, v);
      if (values[v].storage == Storage::Arena) ref.data = arena_.data() + values[v].offset;
      if (i >= op.inputs && ref.halo > 0) p.zero_halo = true;
      if (static_cast<Opcode>(op.opcode) == Opcode::Gather && i == 1) {
        p.checks_indices = values[v].storage != Storage::Weight;
      }
    }
  }
}

Value Executor::detached(const Value& value) const {
  if (const auto* tensor = std::get_if<Tensor>(&value.data)) {
    if (tensor->dtype() == DType::String || !arena_.contains(tensor->bytes().data())) return value;
    Tensor copy = Tensor::allocate(tensor->dtype(), tensor->shape());
    std::memcpy(copy.mutable_data<std::byte>(), tensor->bytes().data(), tensor->byte_size());
    return copy;
  }
  if (const auto* sequence = std::get_if<Sequence>(&value.data); sequence && sequence->items) {
    auto items = std::make_shared<std::vector<Value>>();
    for (const Value& item : *sequence->items)
      items->push_back(detached(item));
    return Sequence{sequence->element, std::move(items)};
  }
  if (const auto* optional = std::get_if<Optional>(&value.data); optional && optional->held) {
    return Optional{std::make_shared<const Value>(detached(*optional->held))};
  }
  if (const auto* map = std::get_if<Map>(&value.data)) {
    return Map{detached(map->keys).tensor(), detached(map->values).tensor()};
  }
  return value;
}

// Whether a tensor made or given at run time is what the engine's records say.
static bool fits(const Value& value, DType dtype, std::span<const std::int64_t> dims) {
  if (!value.is_tensor()) return false;
  const Tensor& t = value.tensor();
  return t.dtype() == dtype &&
         std::equal(t.shape().begin(), t.shape().end(), dims.begin(), dims.end());
}

static std::string describe(const Value& value) {
  if (!value.is_tensor()) return value.absent() ? "nothing" : "not a tensor";
  return std::string(name(value.tensor().dtype())) + to_string(value.tensor().shape());
}

// Sets the border of zeros that the readers of a blocked tensor rely on.
static void zero_halo(const TensorRef& t) {
  const BlockedExtent e = blocked_extent(t.dims, t.halo);
  const auto halo = static_cast<std::int64_t>(t.halo);
  auto* base = reinterpret_cast<float*>(t.data);
  const auto side = static_cast<std::size_t>(halo * 16) * sizeof(float);
  const auto band = static_cast<std::size_t>(halo * e.row) * sizeof(float);
  for (std::int64_t p = 0; p < e.n * e.blocks; ++p) {
    float* plane = base + p * e.plane;
    std::memset(plane, 0, band);
    for (std::int64_t y = halo; y < halo + e.h; ++y) {
      std::memset(plane + y * e.row, 0, side);
      std::memset(plane + (y + 1) * e.row - halo * 16, 0, side);
    }
    std::memset(plane + (halo + e.h) * e.row, 0, band);
  }
}

Status Executor::run_fast(const format::Op& op, std::uint32_t index) {
  Prepared& p = prepared_[index];
  Frame& frame = frames_[0];
  for (const auto& [ref, v] : p.heap) {
    TensorRef& r = p.refs[ref];
    const Value& value = frame.slots[v];
    if (!fits(value, r.dtype, {r.dims, r.rank})) {
      return make_error("{}: expected {}{}, got {}", state_->text(op.name), name(r.dtype),
                        to_string({r.dims, r.rank}), describe(value));
    }
    r.data = const_cast<std::byte*>(value.tensor().bytes().data());
  }
  const std::span<const TensorRef> refs = p.refs;
  const auto outputs = refs.subspan(op.inputs);
  if (p.checks_indices) {
    kernels::GatherParameters gather;
    std::memcpy(&gather, state_->parameters.data() + op.parameters, sizeof gather);
    if (Status ok = check_indices(gather, refs[1]); !ok)
      return make_error("{}: {}", state_->text(op.name), ok.error().message);
  }
  if (p.zero_halo) {
    for (const TensorRef& out : outputs) {
      if (out.halo > 0) zero_halo(out);
    }
  }
  p.kernel({.inputs = refs.first(op.inputs),
            .outputs = outputs,
            .parameters = state_->parameters.data() + op.parameters,
            .parameter_bytes = op.parameter_bytes,
            .pool = &pool_});
  for (std::uint32_t operand : state_->inputs_of(op)) {
    if (operand != none && (operand & format::last_use)) {
      const std::uint32_t v = operand & ~format::last_use;
      if (state_->values_of(state_->programs[0])[v].storage == Storage::Heap) frame.slots[v] = {};
    }
  }
  return Done{};
}

Status Executor::capture(std::uint32_t program) {
  const format::Program& inner = state_->programs[program];
  Frame& from = frames_[inner.parent];
  Frame& to = frames_[program];
  for (std::uint32_t i = 0; i < inner.captures; ++i) {
    to.slots[state_->operands[inner.first_capture + 2 * i + 1]] =
        from.slots[state_->operands[inner.first_capture + 2 * i]];
  }
  return Done{};
}

Status Executor::run_generic(const format::Op& op, std::uint32_t index, std::uint32_t program) {
  const format::Program& p = state_->programs[program];
  const auto values = state_->values_of(p);
  Frame& frame = frames_[program];
  std::vector<const Value*> inputs;
  inputs.reserve(op.inputs);
  for (std::uint32_t operand : state_->inputs_of(op)) {
    inputs.push_back(operand == none ? nullptr : &frame.slots[operand & ~format::last_use]);
  }
  const auto outputs = state_->outputs_of(op);
  std::uint64_t used = 0;
  for (std::size_t i = 0; i < outputs.size() && i < 64; ++i) {
    if (outputs[i] != none) used |= std::uint64_t{1} << i;
  }
  const generic::Call call{.domain = state_->text(op.domain),
                           .type = state_->text(op.type),
                           .opset = op.opset,
                           .inputs = inputs,
                           .attributes = state_->op_attributes[p.first_op + index],
                           .output_count = outputs.size(),
                           .outputs_used = used,
                           .bodies = this};
  std::optional<Tensor> made;
  if ((op.flags & format::planned) != 0) made = plans_.run(p.first_op + index, call);
  Result<generic::Outputs> results = made ? generic::Outputs{*std::move(made)} : generic::run(call);
  if (!results) {
    return make_error("{}: {}", state_->text(op.name), results.error().message);
  }
  for (std::uint32_t operand : state_->inputs_of(op)) {
    if (operand != none && (operand & format::last_use) &&
        values[operand & ~format::last_use].storage == Storage::Heap) {
      frame.slots[operand & ~format::last_use] = {};
    }
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] == none) continue;
    frame.slots[outputs[i]] = i < results->size() ? detached((*results)[i]) : Value();
  }
  return Done{};
}

Result<std::vector<Value>> Executor::execute(std::uint32_t program, std::span<const Value> inputs) {
  const format::Program& p = state_->programs[program];
  Frame& frame = frames_[program];
  if (inputs.size() != p.inputs) {
    return make_error("{} inputs given, {} expected", inputs.size(), p.inputs);
  }
  for (std::uint32_t i = 0; i < p.inputs; ++i) {
    frame.slots[state_->operands[p.first_input + i]] = inputs[i];
  }
  const auto ops = state_->ops_of(p);
  Status ok = Done{};
  for (std::uint32_t i = 0; ok && i < ops.size(); ++i) {
    const bool generic_op = static_cast<Opcode>(ops[i].opcode) == Opcode::Generic;
    if (program != 0 || nanoseconds_.empty()) {
      ok = generic_op ? run_generic(ops[i], i, program) : run_fast(ops[i], i);
      continue;
    }
    const auto start = std::chrono::steady_clock::now();
    ok = generic_op ? run_generic(ops[i], i, program) : run_fast(ops[i], i);
    const auto spent = std::chrono::steady_clock::now() - start;
    nanoseconds_[i] += static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count());
  }
  std::vector<Value> outputs;
  for (std::uint32_t i = 0; ok && i < p.outputs; ++i) {
    const std::uint32_t v = state_->operands[p.first_output + i];
    outputs.push_back(v == none ? Value() : detached(frame.slots[v]));
  }
  for (std::uint32_t v : frame.transient)
    frame.slots[v] = {};
  if (!ok) return ok.error();
  return outputs;
}

Result<std::vector<Value>> Executor::run(std::span<const Value> inputs) {
  const ThreadPool::Burst burst(pool_);
  return execute(0, inputs);
}

std::optional<generic::Bodies::OutputType> Executor::output_type(GraphId body,
                                                                 std::size_t index) const {
  const format::Program& p = state_->programs[body.index];
  const std::uint32_t v = index < p.outputs ? state_->operands[p.first_output + index] : none;
  if (v == none) return std::nullopt;
  const format::Value& value = state_->values_of(p)[v & ~format::last_use];
  if (static_cast<DType>(value.dtype) == DType::Undefined) return std::nullopt;
  OutputType out{.dtype = static_cast<DType>(value.dtype), .shape = std::nullopt};
  if (value.rank != 0xff) {
    const auto dims = state_->dims(value);
    out.shape = Shape(dims.begin(), dims.end());
  }
  return out;
}

std::optional<std::size_t> Executor::input_rank(GraphId body, std::size_t index) const {
  const format::Program& p = state_->programs[body.index];
  if (index >= p.inputs) return std::nullopt;
  const format::Value& value = state_->values_of(p)[state_->operands[p.first_input + index]];
  return value.rank == 0xff ? std::nullopt : std::optional<std::size_t>(value.rank);
}

Result<std::vector<Value>> Executor::run(GraphId body, std::span<const Value> inputs) {
  if (Status ok = capture(body.index); !ok) return ok.error();
  return execute(body.index, inputs);
}

}  // namespace rulec
