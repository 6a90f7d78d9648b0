// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "runtime/generic/elements.h"
#include "runtime/generic/families.h"
#include "runtime/generic/operands.h"

namespace rulec::generic {

// The body of attribute `name`, run on `inputs`.
static Result<std::vector<Value>> run_body(const Call& call, std::string_view name,
                                           std::span<const Value> inputs) {
  const GraphId* body = call.attributes.get<GraphId>(name);
  if (body == nullptr || call.bodies == nullptr) return make_error("it has no {} graph", name);
  return call.bodies->run(*body, inputs);
}

static Result<bool> truth(const Value& value, std::string_view what) {
  if (!value.is_tensor() || value.tensor().dtype() != DType::Bool || value.tensor().size() != 1) {
    return make_error("{} is not one bool", what);
  }
  return value.tensor().data<std::uint8_t>()[0] != 0;
}

static Value operand(const Call& call, std::size_t index) {
  return call.has(index) ? *call.inputs[index] : Value();
}

static Result<Outputs> if_else(const Call& call) {
  auto condition = truth(*call.inputs[0], "the condition");
  if (!condition) return condition.error();
  return run_body(call, *condition ? "then_branch" : "else_branch", {});
}

// The tensors of one scan output, joined along a new axis. `backwards`: the last one first.
static Result<Tensor> stacked(std::vector<Tensor> parts, std::int64_t axis, bool backwards) {
  const Tensor first = parts[0];
  auto at = normalize_axis(axis, first.rank() + 1);
  if (!at) return at.error();
  for (Tensor& part : parts) {
    if (part.dtype() != first.dtype() || part.shape() != first.shape()) {
      return make_error("a scan output is {}{} once and {}{} later", name(first.dtype()),
                        to_string(first.shape()), name(part.dtype()), to_string(part.shape()));
    }
    Shape shape = part.shape();
    shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(*at), 1);
    part = part.reshaped(std::move(shape));
  }
  if (backwards) std::reverse(parts.begin(), parts.end());
  return concatenated(parts, *at);
}

// A scan output of no iterations: what the body declares, with 0 steps (and 0 for unknown sizes).
static Result<Value> empty_scan(const Call& call, std::size_t body_output, std::size_t output,
                                std::int64_t axis) {
  if (output < 64 && (call.outputs_used >> output & 1) == 0) return Value();
  const GraphId* body = call.attributes.get<GraphId>("body");
  const auto type = body != nullptr && call.bodies != nullptr
                        ? call.bodies->output_type(*body, body_output)
                        : std::nullopt;
  if (!type || type->dtype == DType::Undefined) {
    return make_error("it ran no iteration and the body does not declare the type of output {}",
                      body_output);
  }
  Shape shape = type->shape.value_or(Shape{});
  for (std::int64_t& size : shape)
    size = std::max<std::int64_t>(size, 0);
  auto at = normalize_axis(axis, shape.size() + 1);
  if (!at) return at.error();
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(*at), 0);
  return Value(Tensor::zeros(type->dtype, std::move(shape)));
}

static Status append_scan(std::vector<std::vector<Tensor>>& scans, std::span<Value> values) {
  if (scans.empty()) scans.resize(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!values[i].is_tensor()) return make_error("scan output {} is not a tensor", i);
    scans[i].push_back(values[i].tensor());
  }
  return Done{};
}

// A scalar for formal input `index` of the body, with one dimension where it is declared so.
static Value body_scalar(const Call& call, std::size_t index, Tensor scalar) {
  const GraphId* body = call.attributes.get<GraphId>("body");
  const auto rank = body != nullptr && call.bodies != nullptr
                        ? call.bodies->input_rank(*body, index)
                        : std::nullopt;
  return rank == 1 ? scalar.reshaped({1}) : scalar;
}

static Result<Outputs> loop(const Call& call) {
  std::int64_t trips = std::numeric_limits<std::int64_t>::max();
  if (call.has(0)) {
    auto given = integer_operand(call, 0, 0);
    if (!given) return given.error();
    trips = *given;
  }
  bool going = true;
  if (call.has(1)) {
    auto given = truth(*call.inputs[1], "the condition");
    if (!given) return given.error();
    going = *given;
  }
  const std::size_t carried_count = call.inputs.size() < 2 ? 0 : call.inputs.size() - 2;
  std::vector<Value> carried;
  for (std::size_t i = 0; i < carried_count; ++i)
    carried.push_back(operand(call, i + 2));

  std::vector<std::vector<Tensor>> scans;
  for (std::int64_t trip = 0; trip < trips && going; ++trip) {
    std::vector<Value> inputs;
    inputs.reserve(carried_count + 2);
    inputs.push_back(body_scalar(call, 0, Tensor::scalar(trip)));
    inputs.push_back(body_scalar(call, 1, Tensor::scalar(going)));
    std::move(carried.begin(), carried.end(), std::back_inserter(inputs));
    auto results = run_body(call, "body", inputs);
    if (!results) return results.error();
    if (results->size() < carried_count + 1) {
      return make_error("the body gives {} values for {} carried ones", results->size(),
                        carried_count);
    }
    auto next = truth((*results)[0], "the body's condition");
    if (!next) return next.error();
    going = *next;
    carried.assign(
        std::make_move_iterator(results->begin() + 1),
        std::make_move_iterator(results->begin() + 1 + static_cast<std::ptrdiff_t>(carried_count)));
    if (auto fine = append_scan(scans, std::span(*results).subspan(carried_count + 1)); !fine) {
      return fine.error();
    }
  }
  Outputs out = std::move(carried);
  for (std::size_t i = 0; out.size() < call.output_count; ++i) {
    if (i < scans.size() && !scans[i].empty()) {
      auto joined = stacked(std::move(scans[i]), 0, false);
      if (!joined) return joined.error();
      out.push_back(*std::move(joined));
    } else {
      auto none = empty_scan(call, out.size() + 1, out.size(), 0);
      if (!none) return none.error();
      out.push_back(*std::move(none));
    }
  }
  return out;
}

namespace {

// What the two forms of Scan share: the scanned operands without a batch axis, and how to walk.
struct ScanPlan {
  std::vector<Value> states;
  std::vector<Tensor> inputs;
  Integers input_axes, input_directions;    // one for each scanned input
  Integers output_axes, output_directions;  // one for each scan output; empty: all 0
};

}  // namespace

static Result<Outputs> scan_once(const Call& call, ScanPlan plan, std::int64_t steps) {
  std::vector<std::vector<Tensor>> scans;
  const std::size_t state_count = plan.states.size();
  for (std::int64_t step = 0; step < steps; ++step) {
    std::vector<Value> inputs = std::move(plan.states);
    for (std::size_t i = 0; i < plan.inputs.size(); ++i) {
      const Tensor& in = plan.inputs[i];
      const auto axis = static_cast<std::size_t>(plan.input_axes[i]);
      const std::int64_t at = plan.input_directions[i] != 0 ? steps - 1 - step : step;
      Shape shape = in.shape();
      Integers strides = strides_of(shape);
      const std::int64_t offset = at * strides[axis];
      shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
      strides.erase(strides.begin() + static_cast<std::ptrdiff_t>(axis));
      inputs.push_back(strided(in, std::move(shape), strides, offset));
    }
    auto results = run_body(call, "body", inputs);
    if (!results) return results.error();
    if (results->size() < state_count) {
      return make_error("the body gives {} values for {} states", results->size(), state_count);
    }
    const auto middle = results->begin() + static_cast<std::ptrdiff_t>(state_count);
    plan.states.assign(results->begin(), middle);
    if (auto fine = append_scan(scans, std::span(*results).subspan(state_count)); !fine) {
      return fine.error();
    }
  }
  Outputs out = std::move(plan.states);
  for (std::size_t i = 0; out.size() < call.output_count; ++i) {
    const std::int64_t axis = i < plan.output_axes.size() ? plan.output_axes[i] : 0;
    const bool backwards = i < plan.output_directions.size() && plan.output_directions[i] != 0;
    if (i < scans.size() && !scans[i].empty()) {
      auto joined = stacked(std::move(scans[i]), axis, backwards);
      if (!joined) return joined.error();
      out.push_back(*std::move(joined));
    } else {
      auto none = empty_scan(call, out.size(), out.size(), axis);
      if (!none) return none.error();
      out.push_back(*std::move(none));
    }
  }
  return out;
}

// Scan's operands from `first` on, split into states and scanned inputs.
static Result<ScanPlan> scan_plan(const Call& call, std::size_t first) {
  const std::int64_t scanned = call.attributes.integer("num_scan_inputs", 0);
  const auto count = static_cast<std::int64_t>(call.inputs.size() - first);
  if (scanned < 1 || scanned > count) {
    return make_error("num_scan_inputs is {} of {} operands", scanned, count);
  }
  ScanPlan plan;
  for (std::size_t i = first; i < call.inputs.size(); ++i) {
    if (static_cast<std::int64_t>(i - first) < count - scanned) {
      plan.states.push_back(operand(call, i));
    } else if (call.has(i) && call.inputs[i]->is_tensor()) {
      plan.inputs.push_back(call.tensor(i));
    } else {
      return make_error("operand {} is not a tensor", i);
    }
  }
  plan.input_axes.assign(plan.inputs.size(), 0);
  plan.input_directions.assign(plan.inputs.size(), 0);
  return plan;
}

static Result<Outputs> scan(const Call& call) {
  auto plan = scan_plan(call, 0);
  if (!plan) return plan.error();
  const auto take_list = [&](std::string_view attribute, Integers& list) {
    if (call.attributes.has(attribute)) list = call.attributes.integers(attribute);
  };
  take_list("scan_input_axes", plan->input_axes);
  take_list("scan_input_directions", plan->input_directions);
  take_list("scan_output_axes", plan->output_axes);
  take_list("scan_output_directions", plan->output_directions);
  if (plan->input_axes.size() != plan->inputs.size() ||
      plan->input_directions.size() != plan->inputs.size()) {
    return make_error("axes or directions do not match {} scanned inputs", plan->inputs.size());
  }
  std::int64_t steps = -1;
  for (std::size_t i = 0; i < plan->inputs.size(); ++i) {
    auto axis = normalize_axis(plan->input_axes[i], plan->inputs[i].rank());
    if (!axis) return axis.error();
    plan->input_axes[i] = static_cast<std::int64_t>(*axis);
    const std::int64_t length = plan->inputs[i].dim(*axis);
    if (steps >= 0 && steps != length) {
      return make_error("scanned inputs have {} and {} steps", steps, length);
    }
    steps = length;
  }
  return scan_once(call, *std::move(plan), steps);
}

// Element `index` of axis 0, without that axis.
static Tensor row(const Tensor& in, std::int64_t index) {
  const Shape shape(in.shape().begin() + 1, in.shape().end());
  return strided(in, shape, strides_of(shape), index * element_count(shape));
}

// Opset 8: a leading batch axis everywhere, and a length for each sequence.
static Result<Outputs> scan_8(const Call& call) {
  auto plan = scan_plan(call, 1);
  if (!plan) return plan.error();
  if (call.attributes.has("directions")) {
    plan->input_directions = call.attributes.integers("directions");
  }
  if (plan->input_directions.size() != plan->inputs.size()) {
    return make_error("directions do not match {} scanned inputs", plan->inputs.size());
  }
  std::int64_t batch = -1, length = -1;
  for (const Tensor& in : plan->inputs) {
    if (in.rank() < 2 || (batch >= 0 && (batch != in.dim(0) || length != in.dim(1)))) {
      return make_error("scanned input {} has no matching batch and sequence axes",
                        to_string(in.shape()));
    }
    batch = in.dim(0);
    length = in.dim(1);
  }
  for (const Value& state : plan->states) {
    if (!state.is_tensor() || state.tensor().rank() < 1 || state.tensor().dim(0) != batch) {
      return make_error("a state has no batch axis of {}", batch);
    }
  }
  Integers lengths(static_cast<std::size_t>(batch), length);
  if (call.has(0)) {
    auto given = required_integers(call, 0, "sequence_lens");
    if (!given) return given.error();
    lengths = *std::move(given);
    if (static_cast<std::int64_t>(lengths.size()) != batch ||
        std::any_of(lengths.begin(), lengths.end(),
                    [&](std::int64_t l) { return l < 0 || l > length; })) {
      return make_error("sequence_lens do not fit a batch of {} sequences of {}", batch, length);
    }
  }
  std::vector<std::vector<Tensor>> rows;
  for (std::int64_t b = 0; b < batch; ++b) {
    ScanPlan single = *plan;
    for (Value& state : single.states)
      state = row(state.tensor(), b);
    for (Tensor& in : single.inputs)
      in = row(in, b);
    auto results = scan_once(call, std::move(single), lengths[static_cast<std::size_t>(b)]);
    if (!results) return results.error();
    rows.resize(results->size());
    for (std::size_t i = 0; i < results->size(); ++i) {
      if (!(*results)[i].is_tensor()) continue;
      Tensor result = (*results)[i].tensor();
      if (i >= plan->states.size() && result.dim(0) < length) {  // shorter sequences end in zeros
        Shape shape = result.shape();
        shape[0] = length - shape[0];
        result = concatenated(std::vector{result, Tensor::zeros(result.dtype(), shape)}, 0);
      }
      rows[i].push_back(std::move(result));
    }
  }
  Outputs out;
  for (std::vector<Tensor>& parts : rows) {
    if (parts.empty()) {
      out.emplace_back();
      continue;
    }
    auto joined = stacked(std::move(parts), 0, false);
    if (!joined) return joined.error();
    out.push_back(*std::move(joined));
  }
  return out;
}

static Result<Outputs> any_scan(const Call& call) {
  return call.opset < 9 ? scan_8(call) : scan(call);
}

std::span<const KernelEntry> control_kernels() {
  static const KernelEntry entries[] = {
      {"", "If", if_else},
      {"", "Loop", loop, 0, true},
      {"", "Scan", any_scan, 0, true},
  };
  return entries;
}

}  // namespace rulec::generic
