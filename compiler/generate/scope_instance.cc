// SPDX-License-Identifier: Apache-2.0
#include "compiler/generate/scope_instance.h"

#include <fmt/format.h>

#include "matcher/emit.h"
#include "matcher/facts.h"
#include "matcher/glob.h"
#include "matcher/onnx_io.h"
#include "matcher/origin.h"

namespace rulec {

static std::string name_under(std::string_view glob) {
  std::string out;
  char letter = 'a';
  for (std::size_t i = 0; i < glob.size(); ++i) {
    if (glob[i] != '*') {
      out += glob[i];
      continue;
    }
    if (i + 1 < glob.size() && glob[i + 1] == '*') ++i;
    out += letter++;
  }
  return out;
}

namespace {

class ScopeMaker {
 public:
  ScopeMaker(const RuleSet& rules, const OpTable& ops, const Rule& rule, const Situation& situation,
             Random& random)
      : rules_(rules),
        ops_(ops),
        rule_(rule),
        situation_(situation),
        random_(random),
        bindings_(rule.slots.size()) {}

  Result<Instance> make() {
    constexpr std::int64_t likely[] = {17, 18, 13, 11, 21};
    std::int64_t opset = likely[random_.below(5)];
    if (rule_.requires_opset) opset = std::max<std::int64_t>(opset, rule_.requires_opset->version);
    model_.ir_version = 8;
    model_.opset_imports = {{"", opset}};
    for (const Let& let : rule_.lets) {
      if (!let.from_scope.empty()) {
        bindings_[let.slot.index].held = value_named(let.from_scope);
        continue;
      }
      const RuleValue value = let_value(scope(), let);
      if (const auto* unknown = std::get_if<Unknown>(&value.data))
        return make_error("{}", unknown->why);
      bindings_[let.slot.index] = to_binding(value);
    }
    auto results = replacement();
    if (!results) return results.error();
    for (const ValueId result : *results)
      add_reader(result);
    Instance out;
    for (const ValueId input : model_.graph(model_.main()).inputs)
      out.inputs.emplace_back(model_.value(input).name, model_.value(input).type);
    std::vector<std::string> warnings;
    infer_types(model_, warnings, &ops_);
    if (!warnings.empty()) return make_error("{}", warnings.front());
    out.model = std::move(model_);
    return out;
  }

 private:
  Scope scope() const {
    return {model_, rules_, ops_, rule_.slots, bindings_, situation_, {}, rule_.lets};
  }

  ValueId value_named(const std::string& glob) {
    Shape shape;
    for (std::int64_t rank = 1 + random_.below(4); rank > 0; --rank)
      shape.push_back(random_.below(3) == 0 ? 4 : 1 + random_.below(3));
    const ValueId input = model_.add_input(model_.main(), model_.fresh_value_name("x"),
                                           Type::tensor(DType::F32, shape));
    const NodeId node = model_.add_node(model_.main(), {.name = name_under(glob),
                                                        .type = "Neg",
                                                        .inputs = {input},
                                                        .output_names = {name_under(glob)}});
    const ValueId out = model_.node(node).outputs[0];
    model_.value(out).type = model_.value(input).type;
    return out;
  }

  Result<std::vector<ValueId>> replacement() {
    const auto made = [&](ExprId expr, std::size_t results) -> Result<std::vector<ValueId>> {
      EmitOptions options;
      options.graph = model_.main();
      options.name_hint = name_under(rule_.root.scope);
      options.results = results;
      auto emitted = emit(model_, scope(), expr, options);
      if (!emitted) return emitted.error();
      return emitted->results;
    };
    if (rule_.replacement) return made(rule_.replacement, 1);
    for (std::size_t s = 0; s + 1 < rule_.statements.size(); ++s) {
      const Statement& statement = rule_.statements[s];
      auto results = made(statement.value, statement.results.size());
      if (!results) return results.error();
      for (std::size_t i = 0; i < statement.results.size() && i < results->size(); ++i)
        if (statement.results[i]) bindings_[statement.results[i].index].held = (*results)[i];
    }
    if (rule_.statements.empty()) return make_error("the rule has no replacement");
    return made(rule_.statements.back().value, rule_.statements.back().results.size());
  }

  void add_reader(ValueId result) {
    const Type type = type_of(model_, result);
    const bool negates = is_float(type.dtype) || is_signed_integer(type.dtype);
    const NodeId reader = model_.add_node(
        model_.main(), {.name = model_.fresh_node_name("reader"),
                        .type = Symbol(negates ? std::string_view("Neg") : "Identity"),
                        .inputs = {result}});
    const ValueId out = model_.node(reader).outputs[0];
    model_.value(out).type = type;
    model_.add_output(model_.main(), out);
  }

  const RuleSet& rules_;
  const OpTable& ops_;
  const Rule& rule_;
  const Situation& situation_;
  Random& random_;
  Model model_;
  std::vector<Binding> bindings_;
};

}  // namespace

Result<Instance> make_scope_instance(const RuleSet& rules, const OpTable& ops, const Rule& rule,
                                     const Situation& situation, Random& random) {
  return ScopeMaker(rules, ops, rule, situation, random).make();
}

std::optional<Variation> vary_scope(const Model& model, const Rule& rule, Random& random) {
  Variation out{model, {}, true};
  std::vector<std::string> globs = {rule.root.scope};
  for (const Let& let : rule.lets)
    if (!let.from_scope.empty()) globs.push_back(let.from_scope);
  const auto chosen =
      static_cast<std::size_t>(random.below(static_cast<std::int64_t>(globs.size() + 1)));
  if (chosen < globs.size()) {
    for (const NodeId id : out.model.nodes(out.model.main()))
      if (glob_match(globs[chosen], out.model.node(id).name))
        out.model.node(id).name = fmt::format("elsewhere{}", id.index);
    // Initializers count by their names, too.
    for (const ValueId id : out.model.graph(out.model.main()).initializers)
      if (glob_match(globs[chosen], out.model.value(id).name))
        out.model.rename(id, out.model.fresh_value_name("elsewhere"));
    out.what = fmt::format("no node lies under \"{}\"", globs[chosen]);
    return out;
  }
  const std::vector<NodeId> region =
      region_under(model, model.main(), std::string_view(rule.root.scope));
  if (region.size() < 2) return std::nullopt;
  const NodeId node =
      region[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(region.size() - 1)))];
  const ValueId value = model.node(node).outputs[0];
  if (!value || !model.value(value).type.is_tensor()) return std::nullopt;
  out.model.add_output(out.model.main(), value);
  out.what = fmt::format("`{}` is read elsewhere too", model.value(value).name);
  out.must_stay = false;
  return out;
}

}  // namespace rulec
