// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/run_rule_test.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <random>

#include "compiler/command/compare.h"
#include "matcher/edit.h"
#include "matcher/emit.h"
#include "matcher/evaluate.h"
#include "matcher/onnx_io.h"
#include "matcher/rewrite.h"
#include "matcher/target.h"

namespace rulec::command {
namespace {

// A number of draws with a fixed meaning on every machine (the standard's distributions have not).
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  double uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(engine_() >> 11) * 0x1.0p-53;
  }

 private:
  std::mt19937_64 engine_;
};

Result<Type> type_of(const TestOperand& operand) {
  if (operand.type.dtypes.size() != 1 || operand.type.shapes.size() > 1)
    return make_error("`{}` needs one type, as in `{} : f32[2, 3]`", operand.name, operand.name);
  Type type = Type::tensor(operand.type.dtypes.front());
  type.dims.emplace();
  if (operand.type.shapes.empty()) return type;
  for (const DimPattern& dim : operand.type.shapes.front()) {
    if (dim.kind == DimPattern::Kind::Rest) {
      type.dims.reset();
      return type;
    }
    Dim to;
    if (dim.kind == DimPattern::Kind::Fixed) to.size = dim.size;
    if (dim.kind == DimPattern::Kind::Variable) to.symbol = "d" + std::to_string(dim.slot.index);
    type.dims->push_back(std::move(to));
  }
  return type;
}

// The model of `before`.
class Builder {
 public:
  Builder(const RuleSet& rules, const OpTable& ops, const RuleTest& test, std::uint64_t seed)
      : rules_(rules), ops_(ops), test_(test), random_(seed) {}

  Result<Model> build() {
    Model model;
    model.opset_imports = {{"", std::min(ops_.newest_opset(""), 21)}};
    for (const Expr& expr : rules_.exprs)
      if (expr.emit && !expr.emit->op.domain.empty() && model.opset(expr.emit->op.domain) == 0)
        model.opset_imports.emplace_back(expr.emit->op.domain, 1);
    bindings_.resize(test_.slots.size());
    for (const TestOperand& operand : test_.operands) {
      auto type = type_of(operand);
      if (!type) return type.error();
      const auto shape = type->static_shape();
      if (operand.constant && !shape)
        return make_error("constant `{}` needs known dimensions", operand.name);
      bindings_[operand.slot.index].held =
          operand.constant ? model.add_initializer(model.main(), operand.name,
                                                   draw(*shape, type->dtype, operand))
                           : model.add_input(model.main(), operand.name, *type);
    }
    const Situation situation;
    std::map<std::string, ValueId> results;
    for (const Statement& statement : test_.before) {
      const Scope scope{model, rules_, ops_, test_.slots, bindings_, situation, {}};
      auto emitted = emit(model, scope, statement.value,
                          {.graph = model.main(), .before = {}, .name_hint = "t", .metadata = {}});
      if (!emitted) return emitted.error();
      for (std::size_t i = 0; i < statement.results.size(); ++i) {
        const SlotId slot = statement.results[i];
        if (!slot || i >= emitted->results.size()) continue;
        const std::string& name = test_.slots[slot.index].name;
        model.rename(emitted->results[i], name);
        bindings_[slot.index].held = emitted->results[i];
        results[name] = emitted->results[i];
      }
    }
    if (test_.outputs.empty()) {
      for (const auto& [name, value] : results)
        if (model.use_count(value) == 0) model.add_output(model.main(), value);
    } else {
      for (const std::string& name : test_.outputs) {
        if (!results.contains(name)) return make_error("output `{}` is no result", name);
        model.add_output(model.main(), results[name]);
      }
    }
    std::vector<std::string> warnings;
    infer_types(model, warnings);
    return model;
  }

 private:
  Tensor draw(const Shape& shape, DType dtype, const TestOperand& operand) {
    Tensor out = Tensor::allocate(dtype, shape);
    for (std::int64_t i = 0; i < out.size(); ++i) {
      const double value = random_.uniform(operand.low, operand.high);
      if (is_float(dtype))
        out.set_number(i, value);
      else
        out.set_integer(i, static_cast<std::int64_t>(value * 4));
    }
    return out;
  }

  const RuleSet& rules_;
  const OpTable& ops_;
  const RuleTest& test_;
  Random random_;
  std::vector<Binding> bindings_;
};

// Whether values of a model look as the statements of `after` say.
class Structure {
 public:
  Structure(const Model& model, const RuleTest& test) : model_(model) {
    for (const ast::Stmt* stmt : test.after)
      for (const auto& slot : stmt->results.slots)
        if (slot.name) statements_[slot.name->text] = stmt;
  }

  // Empty when it does; else what differs.
  std::string compare() {
    for (const auto& [name, stmt] : statements_) {
      const GraphInfo& main = model_.graph(model_.main());
      const auto output = std::find_if(main.outputs.begin(), main.outputs.end(),
                                       [&](ValueId id) { return model_.value(id).name == name; });
      if (output == main.outputs.end()) continue;
      if (std::string why = differs(*output, stmt->value); !why.empty())
        return ::fmt::format("`{}`: {}", name, why);
    }
    return "";
  }

 private:
  static std::string describe(const Model& model, ValueId id) {
    if (!id) return "nothing";
    const GraphValue& value = model.value(id);
    return value.producer ? std::string(model.node(value.producer).type)
                          : ::fmt::format("`{}`", value.name);
  }

  std::string differs(ValueId id, const ast::Expr& expr) {
    if (std::holds_alternative<ast::Any>(expr.value)) return "";
    if (std::holds_alternative<ast::None>(expr.value))
      return id ? "expected nothing, found " + describe(model_, id) : "";
    if (const auto* paren = std::get_if<ast::Paren>(&expr.value)) return differs(id, *paren->inner);
    if (const auto* name = std::get_if<ast::Name>(&expr.value)) return differs_name(id, name->text);
    if (const auto* op = std::get_if<ast::OpName>(&expr.value))
      return differs_node(id, *op, nullptr, nullptr);
    if (const auto* postfix = std::get_if<ast::Postfix>(&expr.value)) {
      const auto* op = std::get_if<ast::OpName>(&postfix->base->value);
      if (!op) return "an `after` holds operators, names, numbers and `_`";
      const ast::Call* call = nullptr;
      const ast::Attrs* attrs = nullptr;
      for (const ast::Suffix& suffix : postfix->suffixes) {
        if (const auto* c = std::get_if<ast::Call>(&suffix)) call = c;
        if (const auto* a = std::get_if<ast::Attrs>(&suffix)) attrs = a;
      }
      return differs_node(id, *op, call, attrs);
    }
    return differs_literal(id, expr);
  }

  std::string differs_name(ValueId id, const std::string& name) {
    if (auto stmt = statements_.find(name); stmt != statements_.end())
      return differs(id, stmt->second->value);
    if (!id || model_.value(id).name != name)
      return ::fmt::format("expected `{}`, found {}", name, describe(model_, id));
    return "";
  }

  std::string differs_node(ValueId id, const ast::OpName& op, const ast::Call* call,
                           const ast::Attrs* attrs) {
    const NodeId producer = id ? model_.value(id).producer : NodeId{};
    if (!producer || model_.node(producer).type != op.type ||
        model_.node(producer).domain != (op.domain == "ai.onnx" ? "" : op.domain))
      return ::fmt::format("expected {}, found {}", op.text(), describe(model_, id));
    const GraphNode& node = model_.node(producer);
    if (call) {
      std::size_t count = node.inputs.size();
      while (count > 0 && !node.inputs[count - 1])
        --count;
      // An operand that moved from an attribute to an input is written as an attribute.
      const auto moved = moved_operands(node.domain, node.type);
      const auto counts = [&](std::size_t i) {
        return i < call->arguments.size() ||
               std::none_of(moved.begin(), moved.end(), [&](const MovedOperand& operand) {
                 return operand.input == static_cast<int>(i);
               });
      };
      std::size_t written = 0;
      for (std::size_t i = 0; i < count; ++i)
        written += counts(i);
      if (written != call->arguments.size())
        return ::fmt::format("{} has {} operands, expected {}", op.text(), written,
                             call->arguments.size());
      for (std::size_t i = 0; i < call->arguments.size(); ++i) {
        const auto& argument = call->arguments[i].value;
        std::string why;
        if (const auto* plain = std::get_if<ast::PlainArgument>(&argument))
          why = differs(node.inputs[i], *plain->value);
        else if (const auto* typed = std::get_if<ast::TypedArgument>(&argument))
          why = differs_name(node.inputs[i], typed->name.text);
        if (!why.empty()) return ::fmt::format("operand {} of {}: {}", i + 1, op.text(), why);
      }
    }
    if (attrs)
      for (const ast::Attr& attr : attrs->attrs)
        if (attr.form == ast::Attr::Form::Equals)
          if (std::string why = differs_attribute(node, attr); !why.empty()) return why;
    return "";
  }

  // Numbers and lists of them; `_` says only that the attribute may be anything.
  std::string differs_attribute(const GraphNode& node, const ast::Attr& attr) {
    if (std::holds_alternative<ast::Any>(attr.value->value)) return "";
    std::vector<double> expected;
    std::string text;
    if (!numbers_of(*attr.value, expected)) {
      const auto* string = std::get_if<ast::String>(&attr.value->value);
      if (!string) return ::fmt::format("`{}` is no number, list or string", attr.name.text);
      text = string->value;
    }
    std::vector<double> found;
    if (const AttributeValue* value = node.attributes.find(attr.name.text)) {
      if (const auto* i = std::get_if<std::int64_t>(value)) found = {static_cast<double>(*i)};
      if (const auto* f = std::get_if<float>(value)) found = {static_cast<double>(*f)};
      if (const auto* is = std::get_if<std::vector<std::int64_t>>(value))
        found.assign(is->begin(), is->end());
      if (const auto* fs = std::get_if<std::vector<float>>(value))
        found.assign(fs->begin(), fs->end());
      if (const auto* s = std::get_if<std::string>(value); s && *s == text && !text.empty())
        return "";
    } else {
      for (const MovedOperand& moved : moved_operands(node.domain, node.type))
        if (moved.name == attr.name.text &&
            static_cast<std::size_t>(moved.input) < node.inputs.size())
          if (auto constant = model_.constant(node.inputs[static_cast<std::size_t>(moved.input)]))
            found = constant->numbers();
    }
    const bool same =
        text.empty() && found.size() == expected.size() &&
        std::equal(found.begin(), found.end(), expected.begin(),
                   [](double a, double b) { return std::abs(a - b) <= 1e-6 * std::abs(b); });
    return same ? "" : ::fmt::format("attribute `{}` of {} differs", attr.name.text, node.type);
  }

  static bool numbers_of(const ast::Expr& expr, std::vector<double>& out) {
    if (const auto* number = std::get_if<ast::Number>(&expr.value)) {
      out.push_back(number->as_double());
      return true;
    }
    if (const auto* negate = std::get_if<ast::Negate>(&expr.value)) {
      if (!numbers_of(*negate->operand, out)) return false;
      if (negate->count % 2 == 1) out.back() = -out.back();
      return true;
    }
    const auto* list = std::get_if<ast::List>(&expr.value);
    return list && std::all_of(list->elements.begin(), list->elements.end(),
                               [&](const ast::Expr& element) { return numbers_of(element, out); });
  }

  std::string differs_literal(ValueId id, const ast::Expr& expr) {
    std::vector<double> expected;
    if (!numbers_of(expr, expected)) return "an `after` holds operators, names, numbers and `_`";
    const auto constant = id ? model_.constant(id) : nullptr;
    if (!constant) return ::fmt::format("expected a constant, found {}", describe(model_, id));
    const std::vector<double> found = constant->numbers();
    if (expected.size() != 1 && expected.size() != found.size())
      return ::fmt::format("the constant has {} elements", found.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      const double want = expected.size() == 1 ? expected.front() : expected[i];
      if (!(std::abs(found[i] - want) <= 1e-4 * std::max(1.0, std::abs(want))))
        return ::fmt::format("expected {}, found {}", want, found[i]);
    }
    return "";
  }

  const Model& model_;
  std::map<std::string, const ast::Stmt*> statements_;
};

// The rules under test alone, in one phase.
RuleSet only(const RuleSet& rules, const RuleTest& test) {
  RuleSet out = rules;
  Phase phase;
  phase.name = "test";
  phase.rules = test.rules;
  out.phases = {std::move(phase)};
  for (Rule& rule : out.rules)
    rule.expect.clear();
  return out;
}

// The loosest that the rules under test allow.
double tolerance_of(const RuleSet& rules, const RuleTest& test) {
  double out = 1e-9;
  for (RuleId id : test.rules) {
    const PrecisionClass& precision = rules[id].precision;
    if (precision.tolerance > 0)
      out = std::max(out, precision.tolerance);
    else if (precision.kind != PrecisionClass::Kind::Exact)
      out = std::max(out, 1e-5);
  }
  return out;
}

// Between the outputs of two models on the same inputs, in double; an Error where one is beyond
// the tolerance.
Result<double> largest_difference(const Model& before, const Model& after, std::uint64_t seed,
                                  double tolerance) {
  double worst = 0;
  for (int trial = 0; trial < 3; ++trial) {
    auto inputs = make_inputs(before, seed, trial);
    if (!inputs) return inputs.error();
    std::vector<Value> results[2];
    for (int side = 0; side < 2; ++side) {
      const Model& model = side == 0 ? before : after;
      std::vector<std::pair<ValueId, Value>> feeds;
      for (ValueId id : model.graph(model.main()).inputs)
        for (const auto& [name, value] : *inputs)
          if (model.value(id).name == name) feeds.emplace_back(id, value);
      Evaluator evaluator(model, {.precision = Precision::Double});
      auto out = evaluator.run(feeds, model.graph(model.main()).outputs);
      if (!out)
        return make_error("{} the rewrite: {}", side == 0 ? "before" : "after",
                          out.error().message);
      results[side] = std::move(*out);
    }
    if (results[0].size() != results[1].size()) return make_error("the number of outputs changed");
    for (std::size_t i = 0; i < results[0].size(); ++i) {
      const ValueId id = before.graph(before.main()).outputs[i];
      const OutputDifference found = difference(std::string(before.value(id).name), results[0][i],
                                                results[1][i], tolerance, tolerance);
      worst = std::max(worst, found.max_abs);
      if (!found.ok)
        return make_error("output `{}` differs by {:.3g}: {}", found.name, found.max_abs,
                          found.why);
    }
  }
  return worst;
}

}  // namespace

RuleTestResult run_rule_test(const RuleSet& rules, const OpTable& ops, const RuleTest& test,
                             std::uint64_t seed) {
  RuleTestResult out;
  out.title = test.title;
  out.place = test.place;
  const auto fail = [&](std::string why) {
    out.why = std::move(why);
    return out;
  };
  const auto load = [&]() -> Result<Model> {
    if (!test.model.empty()) {
      auto model = import_onnx(std::filesystem::path(test.folder) / test.model);
      if (model) {
        std::vector<std::string> warnings;
        infer_types(*model, warnings);
      }
      return model;
    }
    return Builder(rules, ops, test, seed).build();
  };
  auto before = load();
  if (!before) return fail(before.error().message);
  auto after = load();
  if (!after) return fail(after.error().message);
  if (!test.outputs.empty() && !test.model.empty()) {
    for (Model* model : {&*before, &*after}) {
      Edit edit;
      edit.changes.push_back({Edit::Outputs{test.outputs}, test.place});
      if (auto status = apply_edit(*model, rules, ops, edit); !status)
        return fail(status.error().message);
    }
  }
  const std::string text_before = dump(*after);
  rulec::RewriteOptions options;
  options.allow_approx = options.allow_unsafe = true;
  options.seed = seed;
  // A rule for a target is tested as if built for it.
  for (RuleId id : test.rules)
    if (const auto& target = rules[id].target; target && options.situation.target.empty()) {
      options.situation.target = target->name;
      options.situation.target_version = {0};
      for (const TargetRange::Bound& bound : target->bounds)
        if (bound.relation != "<" && bound.relation != "!=")
          options.situation.target_version = bound.version;
    }
  auto report = rewrite(*after, only(rules, test), ops, options);
  if (!report) return fail(report.error().message);
  out.fired = static_cast<std::int64_t>(report->firings.size());
  const auto nearest = [&]() -> std::string {
    if (report->near_misses.empty()) return "";
    const NearMiss& miss = report->near_misses.front();
    return ::fmt::format("; nearest miss: expected {}, found {}", miss.expected, miss.found);
  };
  for (const CountBound& bound : test.expect)
    if (!holds(out.fired < bound.count ? -1 : out.fired > bound.count, bound.relation))
      return fail(::fmt::format("fired {} times, expected {} {}{}", out.fired, bound.relation,
                                bound.count, nearest()));
  if (test.unchanged) {
    if (out.fired != 0 || dump(*after) != text_before)
      return fail(::fmt::format("the graph changed: {} firings", out.fired));
  } else if (test.expect.empty() && out.fired == 0) {
    return fail("no rule fired" + nearest());
  }
  if (!test.after.empty())
    if (std::string why = Structure(*after, test).compare(); !why.empty()) return fail(why);
  const double tolerance = tolerance_of(rules, test);
  auto worst = largest_difference(*before, *after, seed, tolerance);
  if (!worst) return fail(worst.error().message);
  out.max_abs = *worst;
  out.passed = true;
  return out;
}

}  // namespace rulec::command
