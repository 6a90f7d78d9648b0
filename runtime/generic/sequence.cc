// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "runtime/generic/elements.h"
#include "runtime/generic/families.h"
#include "runtime/generic/operands.h"

namespace rulec::generic {

using Items = std::vector<Value>;

static Value sequence_of(Items items, DType element) {
  if (!items.empty() && items[0].is_tensor()) element = items[0].tensor().dtype();
  return Sequence{element, std::make_shared<const Items>(std::move(items))};
}

static Result<const Sequence*> sequence_operand(const Call& call, std::size_t index) {
  if (call.has(index)) {
    const Value* value = call.inputs[index];
    if (const auto* optional = std::get_if<Optional>(&value->data); optional && optional->held) {
      value = optional->held.get();
    }
    if (const auto* sequence = std::get_if<Sequence>(&value->data)) return sequence;
  }
  return make_error("operand {} is not a sequence", index);
}

static std::size_t length_of(const Sequence& sequence) {
  return sequence.items ? sequence.items->size() : 0;
}

static Items items_of(const Sequence& sequence) {
  return sequence.items ? *sequence.items : Items();
}

// Operand `index` as a position of `sequence`; `past`: how far beyond the last item it may be.
static Result<std::size_t> position(const Call& call, std::size_t index, const Sequence& sequence,
                                    std::int64_t otherwise, std::int64_t past) {
  auto at = integer_operand(call, index, otherwise);
  if (!at) return at.error();
  const auto length = static_cast<std::int64_t>(length_of(sequence));
  if (*at < -length || *at >= length + past) {
    return make_error("position {} in a sequence of {}", *at, length);
  }
  return static_cast<std::size_t>(*at < 0 ? *at + length : *at);
}

static Result<Outputs> sequence_empty(const Call& call) {
  return one(sequence_of({}, static_cast<DType>(call.attributes.integer("dtype", 1))));
}

static Result<Outputs> sequence_construct(const Call& call) {
  Items items;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    if (!call.has(i)) return make_error("operand {} is absent", i);
    items.push_back(*call.inputs[i]);
  }
  return one(sequence_of(std::move(items), DType::Undefined));
}

static Result<Outputs> sequence_at(const Call& call) {
  auto sequence = sequence_operand(call, 0);
  if (!sequence) return sequence.error();
  auto at = position(call, 1, **sequence, 0, 0);
  if (!at) return at.error();
  return one((*(*sequence)->items)[*at]);
}

static Result<Outputs> sequence_insert(const Call& call) {
  auto sequence = sequence_operand(call, 0);
  if (!sequence) return sequence.error();
  const auto length = static_cast<std::int64_t>(length_of(**sequence));
  auto at = position(call, 2, **sequence, length, 1);
  if (!at) return at.error();
  Items items = items_of(**sequence);
  items.insert(items.begin() + static_cast<std::ptrdiff_t>(*at), *call.inputs[1]);
  return one(sequence_of(std::move(items), (*sequence)->element));
}

static Result<Outputs> sequence_erase(const Call& call) {
  auto sequence = sequence_operand(call, 0);
  if (!sequence) return sequence.error();
  auto at = position(call, 1, **sequence, -1, 0);
  if (!at) return at.error();
  Items items = items_of(**sequence);
  items.erase(items.begin() + static_cast<std::ptrdiff_t>(*at));
  return one(sequence_of(std::move(items), (*sequence)->element));
}

static Result<Outputs> sequence_length(const Call& call) {
  auto sequence = sequence_operand(call, 0);
  if (!sequence) return sequence.error();
  return one(Tensor::scalar(static_cast<std::int64_t>(length_of(**sequence))));
}

static Result<Outputs> split_to_sequence(const Call& call) {
  const Tensor& in = call.tensor(0);
  auto axis = axis_attribute(call, 0, in.rank());
  if (!axis) return axis.error();
  const std::int64_t length = in.dim(*axis);
  Integers lengths;
  bool squeezes = false;
  if (call.has(1)) {
    auto given = required_integers(call, 1, "split");
    if (!given) return given.error();
    if (call.tensor(1).rank() == 0) {
      const std::int64_t part = (*given)[0];
      if (part < 1) return make_error("parts of {}", part);
      for (std::int64_t at = 0; at < length; at += part) {
        lengths.push_back(std::min(part, length - at));
      }
    } else {
      lengths = *std::move(given);
    }
  } else {
    lengths.assign(static_cast<std::size_t>(length), 1);
    squeezes = call.attributes.integer("keepdims", 1) == 0;
  }
  const Integers strides = strides_of(in.shape());
  Items items;
  std::int64_t at = 0;
  for (std::int64_t part : lengths) {
    if (part < 0 || part > length - at) {
      return make_error("the parts do not add up to axis {} of {}", *axis, to_string(in.shape()));
    }
    Shape shape = in.shape();
    shape[*axis] = part;
    Tensor item = strided(in, shape, strides, at * strides[*axis]);
    at += part;
    if (squeezes) {
      shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(*axis));
      item = item.reshaped(std::move(shape));
    }
    items.push_back(std::move(item));
  }
  if (at != length) {
    return make_error("the parts do not add up to axis {} of {}", *axis, to_string(in.shape()));
  }
  return one(sequence_of(std::move(items), in.dtype()));
}

static Result<Outputs> concat_from_sequence(const Call& call) {
  auto sequence = sequence_operand(call, 0);
  if (!sequence) return sequence.error();
  const bool new_axis = call.attributes.integer("new_axis", 0) != 0;
  std::vector<Tensor> parts;
  for (const Value& item : items_of(**sequence)) {
    if (!item.is_tensor()) return make_error("an item is not a tensor");
    parts.push_back(item.tensor());
  }
  if (parts.empty()) return make_error("the sequence is empty");
  auto axis = axis_attribute(call, 0, parts[0].rank() + (new_axis ? 1 : 0));
  if (!axis) return axis.error();
  for (Tensor& part : parts) {
    if (new_axis) {
      Shape shape = part.shape();
      if (*axis > shape.size()) return make_error("the items differ in rank");
      shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(*axis), 1);
      part = part.reshaped(std::move(shape));
    }
    Shape shape = part.shape();
    if (shape.size() == parts[0].rank()) shape[*axis] = parts[0].dim(*axis);
    if (shape != parts[0].shape() || part.dtype() != parts[0].dtype()) {
      return make_error("items {} and {} do not join along axis {}", to_string(parts[0].shape()),
                        to_string(part.shape()), *axis);
    }
  }
  return one(concatenated(parts, *axis));
}

static Result<Outputs> sequence_map(const Call& call) {
  auto first = sequence_operand(call, 0);
  if (!first) return first.error();
  const GraphId* body = call.attributes.get<GraphId>("body");
  if (body == nullptr || call.bodies == nullptr) return make_error("it has no body");
  std::vector<Items> results(call.output_count);
  for (std::size_t step = 0; step < length_of(**first); ++step) {
    std::vector<Value> inputs;
    for (std::size_t i = 0; i < call.inputs.size(); ++i) {
      if (!call.has(i)) return make_error("operand {} is absent", i);
      const auto* sequence = std::get_if<Sequence>(&call.inputs[i]->data);
      if (sequence != nullptr && step >= length_of(*sequence)) {
        return make_error("operand {} has {} items, operand 0 more", i, length_of(*sequence));
      }
      inputs.push_back(sequence != nullptr ? (*sequence->items)[step] : *call.inputs[i]);
    }
    auto outputs = call.bodies->run(*body, inputs);
    if (!outputs) return outputs.error();
    for (std::size_t i = 0; i < std::min(results.size(), outputs->size()); ++i) {
      results[i].push_back(std::move((*outputs)[i]));
    }
  }
  Outputs out;
  for (std::size_t i = 0; i < results.size(); ++i) {
    DType element = DType::Undefined;
    if (const auto type = call.bodies->output_type(*body, i)) element = type->dtype;
    out.push_back(sequence_of(std::move(results[i]), element));
  }
  return out;
}

static Result<Outputs> optional(const Call& call) {
  if (!call.has(0)) return one(Optional{});
  return one(Optional{std::make_shared<const Value>(*call.inputs[0])});
}

static Result<Outputs> optional_get_element(const Call& call) {
  const auto* optional_value = std::get_if<Optional>(&call.inputs[0]->data);
  if (optional_value == nullptr) return one(*call.inputs[0]);
  if (!optional_value->held) return make_error("the optional is empty");
  return one(*optional_value->held);
}

static Result<Outputs> optional_has_element(const Call& call) {
  bool has = call.has(0);
  if (has) {
    const auto* optional_value = std::get_if<Optional>(&call.inputs[0]->data);
    has = optional_value == nullptr || optional_value->held != nullptr;
  }
  return one(Tensor::scalar(has));
}

std::span<const KernelEntry> sequence_kernels() {
  static const KernelEntry entries[] = {
      {"", "ConcatFromSequence", concat_from_sequence, 1, true},
      {"", "Optional", optional, 0, true},
      {"", "OptionalGetElement", optional_get_element, 1, true},
      {"", "OptionalHasElement", optional_has_element, 0, true},
      {"", "SequenceAt", sequence_at, 2, true},
      {"", "SequenceConstruct", sequence_construct, 1, true},
      {"", "SequenceEmpty", sequence_empty, 0},
      {"", "SequenceErase", sequence_erase, 1, true},
      {"", "SequenceInsert", sequence_insert, 2, true},
      {"", "SequenceLength", sequence_length, 1, true},
      {"", "SequenceMap", sequence_map, 1, true},
      {"", "SplitToSequence", split_to_sequence},
  };
  return entries;
}

}  // namespace rulec::generic
