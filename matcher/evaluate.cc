// SPDX-License-Identifier: Apache-2.0
// The evaluator: plans which nodes a run needs, runs them in an order in which every operand is
// there, and lets go of a value after its last reader. Bodies get a plan of their own, made once;
// what they capture stands in the frames around theirs.
#include "matcher/evaluate.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "matcher/onnx_function.h"
#include "matcher/widen.h"
#include "runtime/generic/kernel.h"

namespace rulec {

static constexpr int deepest_call = 100;  // functions in functions, bodies in bodies

namespace {

struct Plan {
  std::vector<NodeId> order;
  std::unordered_map<std::uint32_t, std::uint32_t> readers;  // of a value, among `order`
  std::vector<ValueId> captures;                             // of values outside the body
};

// A model-local function in the making: what its body may refer to.
struct Called {
  const Attributes* attributes = nullptr;  // of the calling node
  const Function* function = nullptr;
};

// Values of one graph while it runs.
struct Frame {
  const Frame* outer = nullptr;
  std::unordered_map<std::uint32_t, Value> values = {};
  Called called = {};
  int depth = 0;
};

struct NodeIdHash {
  std::size_t operator()(NodeId id) const { return id.index; }
};

}  // namespace

struct Evaluator::State {
  State(const Model& m, EvaluateOptions o) : model(m), options(o) {}

  Result<std::vector<Value>> run(std::span<const std::pair<ValueId, Value>> feeds,
                                 std::span<const ValueId> targets);
  Status execute(const Plan& plan, Frame& frame);
  Status node(NodeId id, Frame& frame);
  Result<std::vector<Value>> dispatch(NodeId id, const generic::Call& call, Frame& frame);
  Result<std::vector<Value>> call(const Function& function, const Attributes& attributes,
                                  std::span<const Value* const> inputs, const Frame& frame);
  Result<std::vector<Value>> expand(NodeId id, const generic::Call& call);
  Result<std::vector<Value>> body(GraphId graph, std::span<const Value> inputs,
                                  const Frame& around);
  // What `targets` need; `given` holds what is not to be computed. With `inside`, values of other
  // graphs are captures.
  Result<Plan> plan(std::span<const ValueId> targets,
                    const std::unordered_map<std::uint32_t, Value>* given, GraphId inside);
  Result<const Plan*> body_plan(GraphId graph);
  const Value* find(ValueId id, const Frame& frame);
  bool is_constant(ValueId id) const {
    return constants.contains(id.index) || model.constant(id) != nullptr;
  }
  const Function* function_of(const GraphNode& node) const;
  Attributes resolve(const Attributes& attributes, const Called& called) const;
  std::int64_t opset(std::string_view domain, const Frame& frame) const;
  std::string place(NodeId id) const;

  const Model& model;
  EvaluateOptions options;
  std::uint64_t steps = 0;
  std::unordered_map<std::uint32_t, Value> constants;  // initializers, and what follows from them
  std::unordered_map<std::uint32_t, Value> defaults;   // of inputs that may be fed
  std::unordered_map<std::uint32_t, Plan> plans;       // of bodies and functions
  std::unordered_map<std::uint32_t, std::unique_ptr<Evaluator::State>> expansions;
  std::vector<std::unique_ptr<Model>> expanded;
};

namespace {

class BodyRunner : public generic::Bodies {
 public:
  using Run = std::function<Result<std::vector<Value>>(GraphId, std::span<const Value>)>;
  BodyRunner(const Model& model, Run run) : model_(model), run_(std::move(run)) {}
  Result<std::vector<Value>> run(GraphId graph, std::span<const Value> inputs) override {
    return run_(graph, inputs);
  }
  std::optional<OutputType> output_type(GraphId graph, std::size_t index) const override {
    const GraphInfo& it = model_.graph(graph);
    if (index >= it.outputs.size() || !it.outputs[index]) return std::nullopt;
    const Type& type = model_.value(it.outputs[index]).type;
    // A sequence's kernel asks for its elements.
    const Type& tensor = type.kind == Type::Kind::Sequence && type.element ? *type.element : type;
    if (!tensor.is_tensor()) return std::nullopt;
    OutputType known{.dtype = tensor.dtype, .shape = std::nullopt};
    if (tensor.dims) {
      known.shape.emplace();
      for (const Dim& dim : *tensor.dims)
        known.shape->push_back(dim.size);
    }
    return known;
  }
  std::optional<std::size_t> input_rank(GraphId graph, std::size_t index) const override {
    const GraphInfo& it = model_.graph(graph);
    if (index >= it.inputs.size()) return std::nullopt;
    const Type& type = model_.value(it.inputs[index]).type;
    return type.is_tensor() && type.dims ? std::optional(type.dims->size()) : std::nullopt;
  }

 private:
  const Model& model_;
  Run run_;
};

}  // namespace

std::string Evaluator::State::place(NodeId id) const {
  const GraphNode& it = model.node(id);
  const std::string result =
      it.outputs.empty() || !it.outputs[0] ? "" : model.value(it.outputs[0]).name;
  return it.name.empty() ? fmt::format("{} node that gives `{}`", it.type, result)
                         : fmt::format("node `{}` ({})", it.name, it.type);
}

const Value* Evaluator::State::find(ValueId id, const Frame& frame) {
  for (const Frame* at = &frame; at != nullptr; at = at->outer) {
    if (const auto found = at->values.find(id.index); found != at->values.end()) {
      return &found->second;
    }
  }
  if (const auto found = constants.find(id.index); found != constants.end()) return &found->second;
  const GraphValue& it = model.value(id);
  if (!it.initializer && !it.sparse_initializer) return nullptr;
  auto& kept = it.is_input ? defaults : constants;
  if (const auto found = kept.find(id.index); found != kept.end()) return &found->second;
  Tensor tensor = it.initializer ? aligned(*it.initializer) : densify(*it.sparse_initializer);
  if (options.precision == Precision::Double) tensor = widen(tensor);
  return &kept.emplace(id.index, std::move(tensor)).first->second;
}

Result<Plan> Evaluator::State::plan(std::span<const ValueId> targets,
                                    const std::unordered_map<std::uint32_t, Value>* given,
                                    GraphId inside) {
  Plan made;
  std::unordered_set<std::uint32_t> planned, captured;
  std::unordered_set<NodeId, NodeIdHash> open;
  struct Step {
    NodeId node;
    std::vector<ValueId> needs;
    std::size_t next = 0;
  };
  std::vector<Step> stack;
  // What a node reads, its bodies' captures included.
  const auto needs_of = [&](NodeId id, std::vector<ValueId>& needs) -> Status {
    for (const ValueId input : model.node(id).inputs) {
      if (input) needs.push_back(input);
    }
    for (const GraphId nested : model.bodies(id)) {
      auto of_body = body_plan(nested);
      if (!of_body) return of_body.error();
      needs.insert(needs.end(), (*of_body)->captures.begin(), (*of_body)->captures.end());
    }
    return Done{};
  };
  const auto visit = [&](ValueId id) -> Status {
    if (given != nullptr && given->contains(id.index)) return Done{};
    // A body's plan outlives the run, and with it what is known to be constant now.
    if (!inside && constants.contains(id.index)) return Done{};
    const GraphValue& it = model.value(id);
    if (inside && it.graph != inside) {
      if (captured.insert(id.index).second) made.captures.push_back(id);
      return Done{};
    }
    if (it.initializer || it.sparse_initializer) return Done{};
    if (!it.producer) {
      if (inside) return Done{};  // the body's own input
      return make_error("input `{}` has no value", it.name);
    }
    if (planned.contains(it.producer.index)) return Done{};
    if (!open.insert(it.producer).second) {
      return make_error("{}: it depends on its own result", place(it.producer));
    }
    stack.push_back({.node = it.producer, .needs = {}});
    return needs_of(it.producer, stack.back().needs);
  };
  for (const ValueId target : targets) {
    if (Status status = visit(target); !status) return status.error();
    ++made.readers[target.index];
    while (!stack.empty()) {
      Step& top = stack.back();
      if (top.next < top.needs.size()) {
        const ValueId need = top.needs[top.next++];
        ++made.readers[need.index];
        if (Status status = visit(need); !status) return status.error();
        continue;
      }
      made.order.push_back(top.node);
      planned.insert(top.node.index);
      open.erase(top.node);
      stack.pop_back();
    }
  }
  return made;
}

Result<const Plan*> Evaluator::State::body_plan(GraphId graph) {
  if (const auto known = plans.find(graph.index); known != plans.end()) return &known->second;
  auto made = plan(model.graph(graph).outputs, nullptr, graph);
  if (!made) return made.error();
  return &plans.emplace(graph.index, std::move(*made)).first->second;
}

Result<std::vector<Value>> Evaluator::State::run(std::span<const std::pair<ValueId, Value>> feeds,
                                                 std::span<const ValueId> targets) {
  Frame frame;
  // Feeding a constant makes what follows from it another value than the one that was kept.
  bool overrides = false;
  for (const auto& [id, value] : feeds) {
    overrides = overrides || is_constant(id);
    frame.values[id.index] = prepare(value, options.precision == Precision::Double);
  }
  std::unordered_map<std::uint32_t, Value> kept;
  if (overrides) kept.swap(constants);
  const auto give = [&](Result<std::vector<Value>> result) {
    if (overrides) kept.swap(constants);
    return result;
  };
  auto planned = plan(targets, &frame.values, {});
  if (!planned) return give(planned.error());
  for (const auto& [id, value] : feeds)
    planned->readers[id.index] = UINT32_MAX;
  if (Status status = execute(*planned, frame); !status) return give(status.error());
  std::vector<Value> results;
  for (const ValueId target : targets) {
    const Value* const value = find(target, frame);
    if (value == nullptr) {
      return give(make_error("`{}` was not computed", model.value(target).name));
    }
    results.push_back(*value);
  }
  return give(std::move(results));
}

Status Evaluator::State::execute(const Plan& plan, Frame& frame) {
  std::unordered_map<std::uint32_t, std::uint32_t> left = plan.readers;
  const auto release = [&](ValueId id) {
    const auto at = left.find(id.index);
    if (at == left.end() || at->second == UINT32_MAX || --at->second != 0) return;
    frame.values.erase(id.index);
  };
  for (const NodeId id : plan.order) {
    if (Status status = node(id, frame); !status) return status;
    for (const ValueId input : model.node(id).inputs) {
      if (input) release(input);
    }
    for (const GraphId nested : model.bodies(id)) {
      for (const ValueId capture : plans.at(nested.index).captures)
        release(capture);
    }
    for (const ValueId output : model.node(id).outputs) {
      if (output && !plan.readers.contains(output.index)) frame.values.erase(output.index);
    }
  }
  return Done{};
}

std::int64_t Evaluator::State::opset(std::string_view domain, const Frame& frame) const {
  if (frame.called.function != nullptr) {
    for (const auto& [name, version] : frame.called.function->opset_imports) {
      if (name == domain) return version;
    }
  }
  return model.opset(domain);
}

const Function* Evaluator::State::function_of(const GraphNode& node) const {
  for (const Function& it : model.functions) {
    if (node.type == it.name && node.domain == it.domain && node.overload == it.overload) {
      return &it;
    }
  }
  return nullptr;
}

static bool is_reference(const Attribute& attribute) {
  return std::holds_alternative<RefAttribute>(attribute.value);
}

// References to the function's parameters replaced by what the caller gave, or the default.
Attributes Evaluator::State::resolve(const Attributes& attributes, const Called& called) const {
  Attributes resolved;
  for (const Attribute& attribute : attributes.all()) {
    if (!is_reference(attribute)) {
      resolved.set(attribute.name, attribute.value);
      continue;
    }
    const std::string& parameter = std::get<RefAttribute>(attribute.value).name;
    if (called.attributes != nullptr) {
      if (const AttributeValue* value = called.attributes->find(parameter)) {
        resolved.set(attribute.name, *value);
        continue;
      }
    }
    if (called.function == nullptr) continue;
    for (const Attribute& fallback : called.function->attribute_defaults) {
      if (fallback.name == parameter) resolved.set(attribute.name, fallback.value);
    }
  }
  return resolved;
}

Status Evaluator::State::node(NodeId id, Frame& frame) {
  const GraphNode& it = model.node(id);
  const bool kept = std::all_of(it.outputs.begin(), it.outputs.end(), [&](ValueId output) {
    return !output || constants.contains(output.index);
  });
  if (kept && !it.outputs.empty()) return Done{};
  if (options.max_steps != 0 && steps >= options.max_steps) {
    return make_error("{}: more than {} nodes were run", place(id), options.max_steps);
  }
  ++steps;
  const auto& all = it.attributes.all();
  const bool refers = std::any_of(all.begin(), all.end(), is_reference);
  std::optional<Attributes> changed;
  if (refers) changed = resolve(it.attributes, frame.called);
  if (options.precision == Precision::Double) {
    changed = widen_attributes(it.type, changed ? *changed : it.attributes);
  }
  std::vector<const Value*> inputs;
  bool constant =
      !refers && it.domain.empty() && model.bodies(id).empty() && is_repeatable(it.type);
  for (const ValueId input : it.inputs) {
    inputs.push_back(input ? find(input, frame) : nullptr);
    if (input && inputs.back() == nullptr) {
      return make_error("{}: its input `{}` has no value", place(id), model.value(input).name);
    }
    constant = constant && (!input || constants.contains(input.index));
  }
  BodyRunner bodies(model, [this, &frame](GraphId graph, std::span<const Value> given) {
    return body(graph, given, frame);
  });
  generic::Call call{.domain = it.domain,
                     .type = it.type,
                     .opset = static_cast<int>(opset(it.domain, frame)),
                     .inputs = inputs,
                     .attributes = changed ? *changed : it.attributes,
                     .output_count = it.outputs.size(),
                     .outputs_used = 0,
                     .bodies = &bodies};
  for (std::size_t i = 0; i < it.outputs.size() && i < 64; ++i) {
    if (it.outputs[i]) call.outputs_used |= 1ULL << i;
  }
  auto outputs = dispatch(id, call, frame);
  if (!outputs) return make_error("{}: {}", place(id), outputs.error().message);
  for (std::size_t i = 0; i < it.outputs.size(); ++i) {
    if (!it.outputs[i]) continue;
    Value value;
    if (i < outputs->size()) {
      value = prepare(std::move((*outputs)[i]), options.precision == Precision::Double);
    }
    auto& to = constant ? constants : frame.values;
    to[it.outputs[i].index] = std::move(value);
  }
  return Done{};
}

Result<std::vector<Value>> Evaluator::State::dispatch(NodeId id, const generic::Call& call,
                                                      Frame& frame) {
  const GraphNode& it = model.node(id);
  if (frame.depth > deepest_call)
    return make_error("calls are nested more than {} deep", deepest_call);
  if (const Function* function = function_of(it)) {
    return this->call(*function, call.attributes, call.inputs, frame);
  }
  if (generic::find_kernel(it.domain, it.type) != nullptr) return generic::run(call);
  return expand(id, call);
}

Result<std::vector<Value>> Evaluator::State::call(const Function& function,
                                                  const Attributes& attributes,
                                                  std::span<const Value* const> inputs,
                                                  const Frame& frame) {
  const GraphInfo& info = model.graph(function.body);
  auto made = body_plan(function.body);
  if (!made) return made.error();
  Frame inner{.called = {.attributes = &attributes, .function = &function},
              .depth = frame.depth + 1};
  for (std::size_t i = 0; i < info.inputs.size(); ++i) {
    const bool given = i < inputs.size() && inputs[i] != nullptr;
    inner.values[info.inputs[i].index] = given ? *inputs[i] : Value();
  }
  if (Status status = execute(**made, inner); !status) return status.error();
  std::vector<Value> results;
  for (const ValueId output : info.outputs) {
    const Value* const value = find(output, inner);
    results.push_back(value != nullptr ? *value : Value());
  }
  return results;
}

// An operator without a kernel that ONNX defines by others.
Result<std::vector<Value>> Evaluator::State::expand(NodeId id, const generic::Call& call) {
  auto& known = expansions[id.index];
  if (!known) {
    std::vector<Type> types;
    for (const Value* value : call.inputs) {
      const bool tensor = value != nullptr && value->is_tensor();
      types.push_back(tensor ? Type::tensor(value->tensor().dtype(), value->tensor().shape())
                             : Type());
    }
    auto expansion = expand_operator({.domain = call.domain,
                                      .type = call.type,
                                      .opset = call.opset,
                                      .attributes = call.attributes,
                                      .inputs = types,
                                      .outputs = call.output_count});
    if (!expansion) return make_error("there is no kernel for operator {}", call.type);
    expanded.push_back(std::make_unique<Model>(std::move(*expansion)));
    known = std::make_unique<State>(*expanded.back(), options);
  }
  const std::uint64_t before = known->steps;
  auto results = known->call(known->model.functions.front(), call.attributes, call.inputs, {});
  steps += known->steps - before;
  return results;
}

Result<std::vector<Value>> Evaluator::State::body(GraphId graph, std::span<const Value> inputs,
                                                  const Frame& around) {
  const GraphInfo& info = model.graph(graph);
  if (inputs.size() > info.inputs.size()) {
    return make_error("graph `{}` has {} inputs and was given {}", info.name, info.inputs.size(),
                      inputs.size());
  }
  auto made = body_plan(graph);
  if (!made) return made.error();
  Frame inner{.outer = &around, .called = around.called, .depth = around.depth + 1};
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    inner.values[info.inputs[i].index] = inputs[i];
  }
  if (Status status = execute(**made, inner); !status) return status.error();
  std::vector<Value> results;
  for (const ValueId output : info.outputs) {
    const Value* const value = find(output, inner);
    if (value == nullptr) {
      return make_error("output `{}` of graph `{}` has no value", model.value(output).name,
                        info.name);
    }
    results.push_back(*value);
  }
  return results;
}

Evaluator::Evaluator(const Model& model, EvaluateOptions options)
    : state_(std::make_unique<State>(model, options)) {}

Evaluator::~Evaluator() = default;

Result<std::vector<Value>> Evaluator::run(std::span<const std::pair<ValueId, Value>> feeds,
                                          std::span<const ValueId> targets) {
  return state_->run(feeds, targets);
}

std::uint64_t Evaluator::steps() const {
  return state_->steps;
}

}  // namespace rulec
