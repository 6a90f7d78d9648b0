// SPDX-License-Identifier: Apache-2.0
// Nodes with bodies in a made-up graph. What a rule says of a body is made in it; around that
// stands the least that an If, a Loop or a Scan needs.
#include <algorithm>

#include "compiler/generate/instance_maker.h"
#include "matcher/onnx_infer_node.h"

namespace rulec {

using Kind = Pattern::Kind;

std::vector<ExprId> InstanceMaker::wanted_of_body(const Pattern& pattern, std::string_view name) {
  std::vector<ExprId> out;
  std::vector<ExprId> open = pattern.predicates;
  while (!open.empty()) {
    const Expr& expr = rules_[open.back()];
    const ExprId id = open.back();
    open.pop_back();
    const bool of_body = expr.kind == Expr::Kind::Contains || expr.kind == Expr::Kind::BodyIs;
    if (of_body && expr.name == name) out.push_back(id);
    if (expr.kind != Expr::Kind::Apply) continue;
    if (expr.op == Operator::And)
      open.insert(open.end(), expr.operands.begin(), expr.operands.end());
    if (expr.op == Operator::Or) open.push_back(expr.operands[below(expr.operands.size())]);
    if (expr.op == Operator::OrUnknown) open.push_back(expr.operands.front());
  }
  return out;
}

// The patterns' nodes; those of them that no other reads are results.
Status InstanceMaker::fill_body(Body& body, const std::vector<ExprId>& wanted) {
  const GraphId around = std::exchange(graph_, body.graph);
  Body* const outer = std::exchange(body_, &body);
  Status status = Done{};
  std::vector<ValueId> made;
  for (const ExprId id : wanted) {
    std::vector<PatternId> patterns = rules_[id].patterns;
    if (rules_[id].pattern) patterns.push_back(rules_[id].pattern);
    body.closed = body.closed || rules_[id].kind == Expr::Kind::BodyIs;
    for (const PatternId one : patterns) {
      auto value = this->value(one, nullptr);
      if (!value) status = value.error();
      if (!status) break;
      if (*value) made.push_back(*value);
    }
  }
  graph_ = around;
  body_ = outer;
  for (const ValueId value : made) {
    const bool known =
        std::find(body.results.begin(), body.results.end(), value) != body.results.end();
    if (!known && model_.use_count(value) == 0 && model_.value(value).graph == body.graph)
      body.results.push_back(value);
  }
  return status;
}

Result<ValueId> InstanceMaker::body_value(const Pattern& pattern, const Spot* spot,
                                          const OpSchema* schema) {
  if (body_ == nullptr) return make_error("no body to speak of");
  if (pattern.kind == Kind::Outer) return bound(pattern, spot, schema);
  Binding none;
  Binding& slot = pattern.slot ? bindings_[pattern.slot.index] : none;
  if (const auto* held = std::get_if<ValueId>(&slot.held)) return *held;
  ValueId value;
  if (pattern.kind == Kind::Iteration) {
    value = body_->iteration;
  } else if (pattern.kind == Kind::State && !body_->states.empty()) {
    const std::size_t i =
        pattern.index < 0 ? below(body_->states.size()) : static_cast<std::size_t>(pattern.index);
    if (i < body_->states.size()) value = body_->states[i];
  } else if (pattern.kind == Kind::Scan) {
    const std::size_t i =
        pattern.index < 0 ? body_->scans.size() : static_cast<std::size_t>(pattern.index);
    if (const auto known = body_->scans.find(i); known != body_->scans.end()) {
      value = known->second;
    } else {
      auto read = leaf(Pattern{}, spot, schema);
      if (!read) return read;
      auto made = filler(*body_, model_.value(*read).type);
      if (!made) return made;
      value = body_->scans[i] = *made;
    }
  }
  if (!value) return make_error("the body has no such value");
  slot.held = value;
  return value;
}

Result<ValueId> InstanceMaker::filler(const Body& body, const Type& type) {
  const auto shape = type.static_shape();
  if (!shape || type.dtype == DType::String) return make_error("no value of {}", to_string(type));
  if (body.closed) {
    Tensor tensor = Tensor::zeros(type.dtype, *shape);
    for (std::int64_t i = 0; i < tensor.size(); ++i)
      if (is_float(type.dtype)) tensor.set_number(i, random_.normal());
    return model_.add_initializer(body.graph, model_.fresh_value_name("c"), std::move(tensor));
  }
  const ValueId outside = model_.add_input(model_.main(), model_.fresh_value_name("x"), type);
  const char* const likely[] = {"Neg", "Abs", "Identity"};
  const bool is_signed = is_float(type.dtype) || is_signed_integer(type.dtype);
  const char* const op = type.dtype == DType::Bool ? "Not"
                         : is_signed               ? likely[below(3)]
                                                   : "Identity";
  const NodeId one[] = {model_.add_node(
      body.graph, {.name = model_.fresh_node_name(op), .type = op, .inputs = {outside}})};
  if (Status inferred = infer_node_types(model_, one); !inferred) return inferred.error();
  return model_.node(one[0]).outputs[0];
}

ValueId InstanceMaker::body_input(Body& body, std::string_view name, Type type) {
  return model_.add_input(body.graph, model_.fresh_value_name(name), std::move(type));
}

Result<std::vector<Type>> InstanceMaker::bodies(const Pattern& pattern, Spot& spot,
                                                std::vector<ValueId>& inputs) {
  if (spot.type == "If") return branches(pattern, spot);
  if (spot.type == "Loop" || spot.type == "Scan") return loop_body(pattern, spot, inputs);
  return std::vector<Type>{};
}

// What one branch gives, the other gives as well.
Result<std::vector<Type>> InstanceMaker::branches(const Pattern& pattern, Spot& spot) {
  Body then{.graph = model_.add_graph("then")}, otherwise{.graph = model_.add_graph("else")};
  std::vector<ExprId> in_then = wanted_of_body(pattern, "then_body");
  std::vector<ExprId> in_else = wanted_of_body(pattern, "else_body");
  for (const ExprId either : wanted_of_body(pattern, "body"))
    (coin() ? in_then : in_else).push_back(either);
  if (Status done = fill_body(then, in_then); !done) return done.error();
  if (Status done = fill_body(otherwise, in_else); !done) return done.error();
  std::size_t count =
      std::max({then.results.size(), otherwise.results.size(), pattern.results.size()});
  count = std::max<std::size_t>({count, static_cast<std::size_t>(pattern.output) + 1, 1});
  std::vector<Type> types;
  for (std::size_t i = 0; i < count; ++i) {
    Type type = Type::tensor(is_float(dtype_) ? dtype_ : DType::F32, base_);
    for (const Body* body : {&then, &otherwise})
      if (i < body->results.size()) type = model_.value(body->results[i]).type;
    for (Body* body : {&then, &otherwise}) {
      if (i < body->results.size()) continue;
      auto made = filler(*body, type);
      if (!made) return made.error();
      body->results.push_back(*made);
    }
    const Type& a = model_.value(then.results[i]).type;
    const Type& b = model_.value(otherwise.results[i]).type;
    if (a.dtype != b.dtype) return make_error("the branches give other types");
    if (!(a == b)) type.dims.reset();
    types.push_back(std::move(type));
  }
  model_.set_outputs(then.graph, then.results);
  model_.set_outputs(otherwise.graph, otherwise.results);
  spot.attributes.set("then_branch", then.graph);
  spot.attributes.set("else_branch", otherwise.graph);
  return types;
}

// What is carried keeps its type from turn to turn; everything else is gathered.
Result<std::vector<Type>> InstanceMaker::loop_body(const Pattern& pattern, Spot& spot,
                                                   std::vector<ValueId>& inputs) {
  const bool loop = spot.type == "Loop";
  const std::size_t lead = loop ? 2 : 0, scanned = loop ? 0 : 1;
  if (inputs.size() < lead + scanned) return make_error("{} lacks operands", spot.type);
  Body body{.graph = model_.add_graph("body")};
  ValueId goes_on;
  if (loop) {
    body.iteration = body_input(body, "iteration", Type::tensor(DType::I64, {}));
    goes_on = body_input(body, "goes_on", Type::tensor(DType::Bool, {}));
  }
  for (std::size_t i = lead; i < inputs.size(); ++i) {
    if (!inputs[i]) return make_error("{} lacks an operand", spot.type);
    Type type = model_.value(inputs[i]).type;
    const auto shape = type.static_shape();
    if (!shape) return make_error("a carried value of unknown shape");
    if (i + scanned < inputs.size()) {
      body.states.push_back(body_input(body, "state", std::move(type)));
      continue;
    }
    if (shape->empty()) return make_error("nothing to scan");
    type.dims->erase(type.dims->begin());
    body_input(body, "part", std::move(type));
  }
  if (Status done = fill_body(body, wanted_of_body(pattern, "body")); !done) return done.error();
  std::vector<ValueId> outputs;
  if (loop) {
    if (body.closed) {
      goes_on =
          model_.add_initializer(body.graph, model_.fresh_value_name("c"), Tensor::scalar(true));
    } else {
      const NodeId again = model_.add_node(
          body.graph,
          {.name = model_.fresh_node_name("Identity"), .type = "Identity", .inputs = {goes_on}});
      goes_on = model_.node(again).outputs[0];
      model_.value(goes_on).type = Type::tensor(DType::Bool, {});
    }
    outputs.push_back(goes_on);
  }
  std::vector<Type> types;
  for (const ValueId state : body.states) {
    const Type& type = model_.value(state).type;
    types.push_back(type);
    const auto fits = std::find_if(body.results.begin(), body.results.end(), [&](ValueId result) {
      return model_.value(result).type == type;
    });
    outputs.push_back(fits != body.results.end() ? *fits : state);
    if (fits != body.results.end()) body.results.erase(fits);
  }
  const std::size_t wanted = std::max(
      {pattern.results.size(), static_cast<std::size_t>(pattern.output) + 1, std::size_t{1}});
  std::vector<ValueId> gathered;
  for (std::size_t i = 0; i < body.scans.size(); ++i) {
    if (!body.scans.contains(i)) return make_error("a scan output of which nothing is said");
    gathered.push_back(body.scans[i]);
  }
  gathered.insert(gathered.end(), body.results.begin(), body.results.end());
  while (types.size() + gathered.size() < wanted) {
    auto made = filler(body, Type::tensor(DType::F32, base_));
    if (!made) return made.error();
    gathered.push_back(*made);
  }
  for (const ValueId value : gathered) {
    Type type = model_.value(value).type;
    if (!type.is_tensor() || !type.dims) return make_error("a scan output of unknown shape");
    type.dims->insert(type.dims->begin(), Dim{});
    types.push_back(std::move(type));
    outputs.push_back(value);
  }
  model_.set_outputs(body.graph, outputs);
  spot.attributes.set("body", body.graph);
  if (!loop) spot.attributes.set("num_scan_inputs", std::int64_t{1});
  return types;
}

}  // namespace rulec
