// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/test_model.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "matcher/emit.h"
#include "matcher/onnx_io.h"
#include "matcher/random.h"

namespace rulec::command {
namespace {

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
    model.opset_imports = {{"", std::min(ops_.newest_opset(""), wanted_opset())}};
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
    infer_types(model, warnings, &ops_);
    return model;
  }

 private:
  // One that most rules know; a later one where a rule under test needs it.
  int wanted_opset() const {
    int opset = 21;
    for (const RuleId id : test_.rules) {
      const auto& need = rules_[id].requires_opset;
      if (need && need->relation == ">=") opset = std::max(opset, need->version);
    }
    return opset;
  }

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

}  // namespace

Result<Model> build_test_model(const RuleSet& rules, const OpTable& ops, const RuleTest& test,
                               std::uint64_t seed) {
  return Builder(rules, ops, test, seed).build();
}

Result<Model> load_test_model(const RuleSet& rules, const OpTable& ops, const RuleTest& test,
                              std::uint64_t seed) {
  if (test.model.empty()) return build_test_model(rules, ops, test, seed);
  auto model = import_onnx(std::filesystem::path(test.folder) / test.model);
  if (!model) return model;
  std::vector<std::string> warnings;
  infer_types(*model, warnings, &ops);
  return model;
}

}  // namespace rulec::command
