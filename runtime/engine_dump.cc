// SPDX-License-Identifier: Apache-2.0
// What an engine holds, for people: its operations with their work, and a listing.
#include <cstring>

#include "runtime/engine_state.h"

namespace rulec {

using format::none;

static double product(std::span<const std::int64_t> dims) {
  double p = 1;
  for (std::int64_t d : dims)
    p *= static_cast<double>(d);
  return p;
}

// Multiplications and additions of one run.
static double flops_of(const Engine::State& s, const format::Program& p, const format::Op& op) {
  const auto values = s.values_of(p);
  const auto dims = [&](std::uint32_t operand) {
    return operand == none ? std::span<const std::int64_t>()
                           : s.dims(values[operand & ~format::last_use]);
  };
  if (op.inputs == 0 || op.outputs == 0 || s.outputs_of(op)[0] == none) return 0;
  const auto in = dims(s.inputs_of(op)[0]), out = dims(s.outputs_of(op)[0]);
  const std::byte* parameters = s.parameters.data() + op.parameters;
  switch (static_cast<Opcode>(op.opcode)) {
    case Opcode::Conv:
    case Opcode::ConvStem:
    case Opcode::ConvDepthwise:
    case Opcode::ConvWinograd: {
      kernels::ConvParameters c;
      std::memcpy(&c, parameters, sizeof c);
      const double taps = static_cast<double>(c.kernel_h) * c.kernel_w;
      const auto opcode = static_cast<Opcode>(op.opcode);
      const auto channels = opcode == Opcode::ConvDepthwise ? 1 : c.channels_last ? in[3] : in[1];
      return 2 * product(out) * taps * static_cast<double>(channels);
    }
    case Opcode::Gemm: {
      kernels::GemmParameters g;
      std::memcpy(&g, parameters, sizeof g);
      return 2.0 * g.rows * g.depth * g.columns;
    }
    case Opcode::MatMul: {
      kernels::MatMulParameters m;
      std::memcpy(&m, parameters, sizeof m);
      return 2.0 * m.batches * m.rows * m.depth * m.columns;
    }
    case Opcode::Recurrent: {
      kernels::RecurrentParameters r;
      std::memcpy(&r, parameters, sizeof r);
      const double gates = r.kind == kernels::CellKind::Lstm ? 4 : 3;
      return 2.0 * static_cast<double>(in[0] * in[1]) * r.directions * gates * r.hidden *
             (static_cast<double>(in[2]) + r.hidden);
    }
    default:
      return 0;
  }
}

static std::string kernel_name(const Engine::State& s, const format::Op& op) {
  const auto opcode = static_cast<Opcode>(op.opcode);
  if (opcode != Opcode::Generic) return std::string(name(opcode));
  return fmt::format("Generic({}{}{})", s.text(op.domain), s.text(op.domain).empty() ? "" : ".",
                     s.text(op.type));
}

std::vector<Engine::Operation> Engine::operations() const {
  std::vector<Operation> all;
  const format::Program& p = state_->programs[0];
  for (const format::Op& op : state_->ops_of(p)) {
    all.push_back({.kernel = kernel_name(*state_, op),
                   .name = std::string(state_->text(op.name)),
                   .flops = flops_of(*state_, p, op)});
  }
  return all;
}

static std::string describe(const Engine::State& s, const format::Program& p,
                            std::uint32_t operand) {
  if (operand == none) return "-";
  const std::uint32_t index = operand & ~format::last_use;
  const format::Value& v = s.values_of(p)[index];
  std::string text = fmt::format("v{}", index);
  if (v.rank != 0xff) {
    text += fmt::format(":{}{}", name(static_cast<DType>(v.dtype)), to_string(s.dims(v)));
  }
  if (v.layout == format::Layout::Blocked) text += fmt::format("/c16+{}", v.halo);
  switch (v.storage) {
    case format::Storage::Arena:
      text += fmt::format("@{}", v.offset);
      break;
    case format::Storage::Weight:
      text += fmt::format("@w{}", v.offset);
      break;
    case format::Storage::Heap:
      break;
  }
  return text;
}

std::string Engine::dump() const {
  const State& s = *state_;
  std::string text =
      fmt::format("engine {}.{} by {}, {} bytes: arena {}, weights {}\n", s.header->major,
                  s.header->minor, producer(), file_bytes(), arena_bytes(), weight_bytes());
  for (const EnginePort& port : s.inputs)
    text += fmt::format("input {}: {}\n", port.name, port.type);
  for (const EnginePort& port : s.outputs) {
    text += fmt::format("output {}: {}\n", port.name, port.type);
  }
  for (std::size_t i = 0; i < s.programs.size(); ++i) {
    const format::Program& p = s.programs[i];
    text += fmt::format("program {}\n", i);
    for (const format::Op& op : s.ops_of(p)) {
      std::string line;
      for (std::uint32_t v : s.outputs_of(op))
        line += (line.empty() ? "" : ", ") + describe(s, p, v);
      line += fmt::format(" = {}(", kernel_name(s, op));
      const char* comma = "";
      for (std::uint32_t v : s.inputs_of(op)) {
        line += comma + describe(s, p, v);
        comma = ", ";
      }
      text += fmt::format("  {})  # {}\n", line, s.text(op.name));
    }
  }
  return text;
}

}  // namespace rulec
