// SPDX-License-Identifier: Apache-2.0
#include "matcher/firing.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "matcher/emit.h"
#include "matcher/facts.h"
#include "matcher/guard.h"
#include "matcher/label.h"
#include "matcher/origin.h"
#include "matcher/retype.h"
#include "matcher/target.h"

namespace rulec {

static constexpr std::string_view rule_key = "rulec.rule";
static constexpr std::string_view package_key = "rulec.package";
static constexpr std::string_view names_key = "rulec.replaces";

static bool opset_suffices(const Model& model, const OpsetRequirement& need) {
  const int have = opset_of(model, "");
  return holds(have < need.version ? -1 : have > need.version ? 1 : 0, need.relation);
}

bool rule_applies(const Model& model, const Rule& rule, const RewriteOptions& options,
                  std::string* why) {
  const auto no = [&](std::string reason) {
    if (why != nullptr) *why = std::move(reason);
    return false;
  };
  if (rule.target && !in_range(options.situation, *rule.target)) {
    std::string versions;
    for (const TargetRange::Bound& bound : rule.target->bounds)
      versions += fmt::format("{} {} {}", versions.empty() ? "" : ",", bound.relation,
                              fmt::join(bound.version, "."));
    return no(fmt::format("it is for target {}{}", rule.target->name, versions));
  }
  if (rule.requires_opset && !rule.requires_opset->otherwise &&
      !opset_suffices(model, *rule.requires_opset)) {
    return no(fmt::format("it requires opset {} {}", rule.requires_opset->relation,
                          rule.requires_opset->version));
  }
  if (rule.precision.kind == PrecisionClass::Kind::Approx && !options.allow_approx) {
    return no("it is approximate; `--allow approx` lets it fire");
  }
  if (rule.precision.kind == PrecisionClass::Kind::Unsafe && !options.allow_unsafe) {
    return no("it is unsafe; `--allow unsafe` lets it fire");
  }
  if (rule.precision.kind == PrecisionClass::Kind::Assuming && options.strict) {
    return no("it assumes something of the inputs, which `--strict` refuses");
  }
  return true;
}

bool Replacer::refuse(Draft& draft, std::string kind, std::string expected, std::string found) {
  take_back(draft);
  if (draft.miss != nullptr) {
    *draft.miss = {.rule = draft.match.rule,
                   .root = draft.match.root,
                   .node = draft.match.root,
                   .place = draft.rule.place,
                   .kind = std::move(kind),
                   .expected = std::move(expected),
                   .found = std::move(found),
                   .matched = static_cast<int>(draft.match.nodes.size()) + 1};
  }
  return false;
}

void Replacer::take_back(Draft& draft) {
  for (std::size_t i = draft.made.size(); i-- > 0;) {
    const std::vector<ValueId> inputs = model_.node(draft.made[i]).inputs;
    model_.remove_node(draft.made[i]);
    for (const ValueId input : inputs) {
      if (!input || model_.use_count(input) > 0 || !model_.value(input).initializer) continue;
      if (model_.value(input).is_input || !model_.value(input).alive) continue;
      if (input.index >= draft.initializers_before) model_.remove_initializer(input);
    }
  }
  draft.made.clear();
}

std::string Replacer::base_name(ValueId value) const {
  const auto found = base_names_.find(value.index);
  return found != base_names_.end() ? found->second : model_.value(value).name;
}

static const std::string* metadata_value(const GraphNode& node, std::string_view key) {
  for (const Metadata& one : node.metadata) {
    if (one.key == key) return &one.value;
  }
  return nullptr;
}

std::vector<Metadata> Replacer::metadata_of(const Draft& draft) const {
  std::vector<Metadata> out;
  out.reserve(4);
  out.push_back({std::string(rule_key), draft.rule.name});
  if (!draft.rule.package.empty()) {
    out.push_back(
        {std::string(package_key), draft.rule.package_version.empty()
                                       ? draft.rule.package
                                       : draft.rule.package + " " + draft.rule.package_version});
  }
  std::vector<std::string_view> names;
  names.reserve(draft.match.nodes.size());
  std::string joined;
  for (const NodeId id : draft.match.nodes) {
    const GraphNode& node = model_.node(id);
    const std::string* earlier = metadata_value(node, names_key);
    const std::string& name = earlier != nullptr ? *earlier : node.name;
    if (name.empty() || std::find(names.begin(), names.end(), name) != names.end()) continue;
    names.push_back(name);
    if (!joined.empty()) joined += ", ";
    joined += name;
  }
  if (!joined.empty()) out.push_back({std::string(names_key), std::move(joined)});
  if (!draft.assumed.empty()) {
    out.push_back({"rulec.assuming", fmt::format("{}", fmt::join(draft.assumed, "; "))});
  }
  return out;
}

static std::string rule_word(const std::string& name) {
  std::string out;
  for (const char c : name) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    out += word ? c : '_';
  }
  return out;
}

bool Replacer::emit_into(Draft& draft, ExprId expr, const std::string& replaced,
                         std::vector<ValueId>& out, std::vector<std::int64_t> split_sizes,
                         std::size_t results) {
  EmitOptions options;
  options.graph = draft.graph;
  options.before = draft.before;
  options.name_hint = fmt::format("{}_{}", replaced, rule_word(draft.rule.name));
  options.metadata = metadata_of(draft);
  options.split_sizes = std::move(split_sizes);
  options.results = results;
  options.strict = options_.strict;
  const GraphNode& root = model_.node(draft.match.root);
  for (const ValueId output : root.outputs) {
    const DType dtype = output ? type_of(model_, output).dtype : DType::Undefined;
    if (dtype == DType::Undefined) continue;
    options.literal_dtype = dtype;
    break;
  }
  auto made = emit(model_, draft.scope(model_, rules_, ops_, options_.situation), expr, options);
  if (!made)
    return refuse(draft, "replacement", "a replacement that can be made", made.error().message);
  draft.made.insert(draft.made.end(), made->nodes.begin(), made->nodes.end());
  draft.assumed.insert(draft.assumed.end(), made->assumed.begin(), made->assumed.end());
  out = made->results;
  return true;
}

void Replacer::exchange(Draft& draft, ValueId old_value, ValueId new_value, SlotId slot) {
  Exchange one{old_value, new_value};
  const NodeId producer = model_.value(new_value).producer;
  const bool made =
      producer ? std::find(draft.made.begin(), draft.made.end(), producer) != draft.made.end()
               : new_value.index >= draft.initializers_before;
  one.existing = !made;
  for (const auto& [retyped, type] : draft.rule.retype) {
    if (!slot || retyped == slot) one.retyped = &type;
  }
  draft.exchanges.push_back(one);
}

// The statements of a block before its last are names for what the last one uses.
bool Replacer::emit_locals(Draft& draft, const std::string& replaced) {
  const auto& statements = draft.rule.statements;
  for (std::size_t s = 0; s + 1 < statements.size(); ++s) {
    std::vector<ValueId> results;
    if (!emit_into(draft, statements[s].value, replaced, results)) return false;
    for (std::size_t i = 0; i < statements[s].results.size(); ++i) {
      if (!statements[s].results[i]) continue;
      if (i >= results.size() || !results[i]) {
        return refuse(draft, "replacement", fmt::format("{} results", statements[s].results.size()),
                      fmt::format("{}", results.size()));
      }
      draft.slots[statements[s].results[i].index].held = results[i];
    }
  }
  return true;
}

bool Replacer::make_expression(Draft& draft) {
  ExprId expr =
      draft.rule.replacement ? draft.rule.replacement : draft.rule.statements.back().value;
  if (draft.rule.requires_opset && !opset_suffices(model_, *draft.rule.requires_opset)) {
    expr = draft.rule.requires_opset->otherwise;
  }
  if (draft.rule.root.kind == Root::Kind::ClusterBy) return make_split(draft, expr);
  if (draft.rule.root.kind == Root::Kind::Scope) return make_scope(draft, expr);
  const GraphNode& root = model_.node(draft.match.root);
  const auto named = std::find_if(root.outputs.begin(), root.outputs.end(),
                                  [](ValueId value) { return static_cast<bool>(value); });
  if (named == root.outputs.end()) return refuse(draft, "use", "a result", "none");
  const std::vector<ValueId> outputs = root.outputs;  // emission may move the node
  std::size_t wanted = 1;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] && model_.use_count(outputs[i]) > 0) wanted = i + 1;
  }
  const std::string replaced = base_name(*named);
  std::vector<ValueId> results;
  if (!emit_locals(draft, replaced) || !emit_into(draft, expr, replaced, results, {}, wanted))
    return false;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i]) continue;
    if (i < results.size() && results[i]) {
      exchange(draft, outputs[i], results[i], {});
    } else if (model_.use_count(outputs[i]) > 0) {
      return refuse(draft, "use", "no use of a result that the replacement lacks",
                    fmt::format("`{}` is used", model_.value(outputs[i]).name));
    }
  }
  return true;
}

bool Replacer::make_statements(Draft& draft) {
  for (const Statement& statement : draft.rule.statements) {
    std::vector<ValueId> results;
    std::string replaced = base_name(model_.node(draft.match.root).outputs.front());
    const auto is_result = [&](SlotId slot) {
      const auto& all = draft.rule.match_results;
      return slot && std::find(all.begin(), all.end(), slot) != all.end();
    };
    for (const SlotId slot : statement.results) {
      if (!is_result(slot)) continue;
      const auto* value = std::get_if<ValueId>(&draft.slots[slot.index].held);
      if (value != nullptr && *value) replaced = base_name(*value);
      break;
    }
    ExprId expr = statement.value;
    if (draft.rule.requires_opset && !opset_suffices(model_, *draft.rule.requires_opset)) {
      expr = draft.rule.requires_opset->otherwise;
    }
    if (!emit_into(draft, expr, replaced, results)) return false;
    for (std::size_t i = 0; i < statement.results.size(); ++i) {
      const SlotId slot = statement.results[i];
      if (!slot) continue;
      if (i >= results.size() || !results[i]) {
        return refuse(draft, "replacement", fmt::format("{} results", statement.results.size()),
                      fmt::format("{}", results.size()));
      }
      if (!is_result(slot)) {
        draft.slots[slot.index].held = results[i];
        continue;
      }
      const auto* value = std::get_if<ValueId>(&draft.slots[slot.index].held);
      if (value == nullptr || !*value) {
        return refuse(draft, "replacement", "a matched result to assign", "none");
      }
      exchange(draft, *value, results[i], slot);
    }
  }
  return true;
}

std::optional<std::vector<std::string>> assumptions_of(const Scope& scope, const Rule& rule,
                                                       bool strict, std::string* refused) {
  std::vector<std::string> out;
  if (rule.precision.kind == PrecisionClass::Kind::Assuming) out.push_back(rule.precision.text);
  for (const Assumption& one : rule.assuming) {
    if (one.when && truth(scope, one.when) == Truth::False) continue;
    if (strict) {
      if (refused != nullptr) *refused = one.text;
      return std::nullopt;
    }
    out.push_back(one.text);
  }
  return out;
}

bool Replacer::assume(Draft& draft) {
  std::string refused;
  auto assumed = assumptions_of(draft.scope(model_, rules_, ops_, options_.situation), draft.rule,
                                options_.strict, &refused);
  if (!assumed) {
    return refuse(draft, "guard", "no assumptions (--strict)",
                  fmt::format("assuming \"{}\"", refused));
  }
  draft.assumed = std::move(*assumed);
  return true;
}

// A new node that reads what it replaces would read itself.
bool Replacer::reads_no_replaced(Draft& draft) {
  for (const NodeId node : draft.made) {
    for (const ValueId input : model_.node(node).inputs) {
      const bool replaced =
          input && std::any_of(draft.exchanges.begin(), draft.exchanges.end(),
                               [&](const Exchange& one) { return one.old_value == input; });
      if (!replaced) continue;
      return refuse(draft, "use", "a replacement that does not read what it replaces",
                    fmt::format("{} reads `{}`", model_.node(node).type, model_.value(input).name));
    }
  }
  return true;
}

bool Replacer::make(Draft& draft) {
  for (const Let& let : draft.rule.lets) {
    const RuleValue value = let_value(draft.scope(model_, rules_, ops_, options_.situation), let);
    if (const auto* unknown = std::get_if<Unknown>(&value.data)) {
      return refuse(draft, "let", draft.rule.slots[let.slot.index].name + " to have a value",
                    unknown->why);
    }
    draft.slots[let.slot.index] = to_binding(value);
  }
  if (!assume(draft)) return false;
  return draft.rule.match_results.empty() ? make_expression(draft) : make_statements(draft);
}

// §6: a forwarded value is proven to be of the replaced one's type, a new one does not contradict
// it. What was known of the old one is known of the new.
bool Replacer::types_hold(Draft& draft) {
  for (const Exchange& one : draft.exchanges) {
    if (one.retyped != nullptr) continue;
    const Type had = type_of(model_, one.old_value);
    const Type has = type_of(model_, one.new_value);
    if (one.existing) {
      const bool proven = one.old_value == one.new_value || proven_equal(had, has) ||
                          (proven_same_dtype(model_, one.old_value, one.new_value) &&
                           proven_same_shape(model_, one.old_value, one.new_value));
      if (proven) continue;
      return refuse(draft, "type",
                    fmt::format("`{}` to be of a type that is proven to be {}",
                                model_.value(one.new_value).name, to_string(had)),
                    to_string(has));
    }
    if (!compatible(had, has)) {
      return refuse(draft, "type", fmt::format("a replacement of type {}", to_string(had)),
                    to_string(has));
    }
    GraphValue& made = model_.value(one.new_value);
    if (made.type.kind == Type::Kind::Unknown || !made.type.is_tensor()) {
      made.type = had;
      continue;
    }
    if (made.type.dtype == DType::Undefined) made.type.dtype = had.dtype;
    if (had.is_tensor() && had.dims) {
      if (!made.type.dims) {
        made.type.dims = had.dims;
      } else {
        for (std::size_t i = 0; i < had.dims->size(); ++i) {
          Dim& dim = (*made.type.dims)[i];
          if (!dim.known() && ((*had.dims)[i].known() || dim.symbol.empty())) dim = (*had.dims)[i];
        }
      }
    }
  }
  return true;
}

// What a rule says it makes of a value's type is true, and everything behind takes it.
bool Replacer::retypes_hold(Draft& draft) {
  std::vector<RetypedValue> changed;
  for (const Exchange& one : draft.exchanges) {
    if (one.retyped == nullptr) continue;
    const Type has = type_of(model_, one.new_value);
    if (!announces(*one.retyped, has)) {
      return refuse(draft, "type", "a replacement of the type that `retype` says", to_string(has));
    }
    changed.push_back({one.old_value, one.new_value});
  }
  if (changed.empty()) return true;
  const auto trouble = retype_trouble(model_, ops_, changed, draft.match.nodes, draft.retyped);
  return !trouble || refuse(draft, "type", "consumers that take the new type", *trouble);
}

std::optional<FiringResult> Replacer::fire(const Match& match, NearMiss* miss) {
  const Rule& rule = rules_[match.rule];
  Draft draft{.match = match, .rule = rule};
  draft.slots = match.slots;
  draft.miss = miss;
  draft.graph = model_.node(match.root).graph;
  draft.before = match.root;
  draft.initializers_before = model_.value_capacity();
  if (!make(draft) || !reads_no_replaced(draft) || !types_hold(draft) || !retypes_hold(draft) ||
      (draft.new_outputs.empty() && !leaves_no_use(draft)) || !changes_something(draft) ||
      !place(draft)) {
    return std::nullopt;
  }
  FiringResult result;
  result.firing.rule = match.rule;
  result.firing.root = label(model_, match.root);
  const Scope scope = draft.scope(model_, rules_, ops_, options_.situation);
  for (std::size_t i = 0; i < rule.slots.size(); ++i) {
    if (!draft.slots[i].bound() || rule.slots[i].kind == SlotKind::Attributes) continue;
    result.firing.captures.emplace_back(
        rule.slots[i].name, to_string(scope, from_binding(scope, draft.slots[i], rule.slots[i])));
  }
  for (const std::string& text : draft.assumed)
    result.firing.notes.push_back(fmt::format("assuming {}", text));
  commit(draft, result);
  return result;
}

}  // namespace rulec
