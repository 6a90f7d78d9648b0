// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/emit_engine.h"

#include <map>

namespace rulec::backend {

// For each operation, which of its operands no later operation (or output) reads. Captured and
// aliased values are left alone.
static std::vector<std::vector<bool>> last_uses(const Lowered& lowered, const Program& p) {
  std::vector<bool> needed(p.values.size(), false);
  for (std::uint32_t v : p.outputs) {
    if (v != no_value) needed[v] = true;
  }
  for (const Operation& op : p.operations) {
    for (std::uint32_t body : op.bodies) {
      const auto& captures = lowered.programs[body].captures;
      for (std::size_t c = 0; c < captures.size(); c += 2)
        needed[captures[c]] = true;
    }
  }
  std::vector<std::vector<bool>> last(p.operations.size());
  for (std::size_t i = p.operations.size(); i-- > 0;) {
    const Operation& op = p.operations[i];
    last[i].assign(op.inputs.size(), false);
    for (std::size_t k = 0; k < op.inputs.size(); ++k) {
      const std::uint32_t v = op.inputs[k];
      if (v == no_value || p.values[v].storage != format::Storage::Heap || needed[v]) continue;
      last[i][k] = true;
    }
    for (std::uint32_t v : op.inputs) {
      if (v != no_value) needed[v] = true;
    }
  }
  return last;
}

static void emit_program(EngineWriter& writer, const Lowered& lowered, std::uint32_t index) {
  const Program& p = lowered.programs[index];
  writer.begin_program(index);
  for (const Value& v : p.values) {
    if (v.storage == format::Storage::Weight) {
      writer.add_weight_value(v.name, v.constant);
      continue;
    }
    writer.add_value({.name = v.name,
                      .dtype = v.dtype,
                      .storage = v.storage,
                      .layout = v.layout,
                      .dims = v.dims,
                      .halo = v.halo,
                      .offset = v.offset,
                      .bytes = v.bytes,
                      .alias_of = v.alias_of});
  }
  const auto last = last_uses(lowered, p);
  for (std::size_t i = 0; i < p.operations.size(); ++i) {
    const Operation& op = p.operations[i];
    std::vector<std::uint32_t> inputs = op.inputs;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      if (last[i][k]) inputs[k] |= format::last_use;
    }
    writer.add_op({.opcode = op.opcode,
                   .name = op.name,
                   .parameters = std::as_bytes(std::span(op.parameters)),
                   .domain = op.domain,
                   .type = op.type,
                   .opset = op.opset,
                   .attributes = op.opcode == Opcode::Generic ? &op.attributes : nullptr,
                   .planned = op.planned},
                  inputs, op.outputs);
  }
  writer.end_program(p.inputs, p.outputs, p.captures);
}

std::string emit_engine(const Lowered& lowered, EngineInfo info, const OpenSize* open) {
  EngineWriter writer;
  if (open != nullptr) {
    writer.keep_integers_apart();
    writer.set_sizes(open->patches);
  }
  for (const Program& p : lowered.programs)
    writer.reserve_program(p.parent);
  for (std::uint32_t i = 0; i < lowered.programs.size(); ++i)
    emit_program(writer, lowered, i);
  for (const Port& port : lowered.ports) {
    writer.add_port({.name = port.name,
                     .is_output = port.is_output,
                     .value = port.value,
                     .is_tensor = port.is_tensor,
                     .type_text = port.type_text,
                     .symbols = port.symbols,
                     .default_value = port.default_value});
  }
  info.arena_bytes = lowered.arena_bytes;
  return writer.finish(info);
}

}  // namespace rulec::backend
