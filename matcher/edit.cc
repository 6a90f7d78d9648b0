// SPDX-License-Identifier: Apache-2.0
#include "matcher/edit.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "matcher/edit_input.h"
#include "matcher/glob.h"
#include "matcher/matcher.h"
#include "matcher/onnx_convert.h"
#include "matcher/onnx_io.h"

namespace rulec {

using Said = Result<std::vector<std::string>>;

static std::vector<std::string> names_of(const Model& model, const std::vector<ValueId>& values) {
  std::vector<std::string> names;
  for (ValueId value : values) {
    if (value) names.push_back(model.value(value).name);
  }
  return names;
}

// A value of the main graph by name; none where there is none.
static ValueId find_value(const Model& model, const std::string& name) {
  for (std::uint32_t i = 0; i < model.value_capacity(); ++i) {
    const GraphValue& value = model.value({i});
    if (value.alive && value.graph == model.main() && value.name == name) return {i};
  }
  return {};
}

// Whether a name is in use: a nested graph must not hide an outer name either.
static bool is_taken(const Model& model, const std::string& name) {
  for (std::uint32_t i = 0; i < model.value_capacity(); ++i) {
    if (model.value({i}).alive && model.value({i}).name == name) return true;
  }
  return false;
}

static Said set_dimension(Model& model, const Edit::Dimension& change) {
  std::vector<std::string> symbols, inputs;
  std::size_t changed = 0;
  for (std::uint32_t i = 0; i < model.value_capacity(); ++i) {
    GraphValue& value = model.value({i});
    if (!value.alive || !value.type.dims) continue;
    bool here = false;
    for (Dim& dim : *value.type.dims) {
      if (dim.symbol.empty()) continue;
      if (dim.symbol == change.name) {
        dim = {.size = change.size};
        here = true;
      } else if (std::find(symbols.begin(), symbols.end(), dim.symbol) == symbols.end()) {
        symbols.push_back(dim.symbol);
      }
    }
    changed += here ? 1 : 0;
    if (here && value.is_input && value.graph == model.main()) inputs.push_back(value.name);
  }
  if (changed == 0) {
    return make_error("no dimension is named `{}`{}", change.name,
                      near_names(change.name, symbols));
  }
  return std::vector{fmt::format(
      "dimension `{}` is {} now, in {} value{}{}", change.name, change.size, changed,
      changed == 1 ? "" : "s",
      inputs.empty() ? std::string() : fmt::format(" (inputs `{}`)", fmt::join(inputs, "`, `")))};
}

// `exposed` are outputs that the same edit added: they stay, behind the others.
static Said keep_outputs(Model& model, const Edit::Outputs& change,
                         const std::vector<std::string>& exposed) {
  const std::vector<ValueId> before = model.graph(model.main()).outputs;
  const std::vector<std::string> names = names_of(model, before);
  std::vector<ValueId> kept;
  for (const std::string& name : change.names) {
    const auto at = std::find(names.begin(), names.end(), name);
    const ValueId value = at != names.end() ? before[static_cast<std::size_t>(at - names.begin())]
                                            : find_value(model, name);
    if (!value) return make_error("the model has no output `{}`{}", name, near_names(name, names));
    if (std::find(kept.begin(), kept.end(), value) != kept.end())
      return make_error("output `{}` is listed twice", name);
    kept.push_back(value);
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    const bool own = std::find(exposed.begin(), exposed.end(), names[i]) != exposed.end();
    if (own && std::find(kept.begin(), kept.end(), before[i]) == kept.end())
      kept.push_back(before[i]);
  }
  model.set_outputs(model.main(), kept);
  const std::size_t removed = remove_unused(model);
  std::vector<std::string> dropped;
  for (const std::string& name : names) {
    if (std::find(change.names.begin(), change.names.end(), name) == change.names.end() &&
        std::find(exposed.begin(), exposed.end(), name) == exposed.end())
      dropped.push_back(name);
  }
  std::string text = fmt::format("outputs are `{}` now", fmt::join(change.names, "`, `"));
  if (!dropped.empty()) text += fmt::format("; dropped `{}`", fmt::join(dropped, "`, `"));
  if (removed > 0)
    text += fmt::format(" and {} node{} behind them", removed, removed == 1 ? "" : "s");
  return std::vector{std::move(text)};
}

static Said expose(Model& model, const RuleSet& rules, const OpTable& ops, const Edit& edit,
                   const Edit::Expose& change) {
  const Situation situation;
  Matcher matcher(model, rules, ops, situation);
  std::vector<NodeId> found;
  for (NodeId id : model.nodes(model.main())) {
    std::vector<Binding> bindings(edit.slots.size());
    if (matcher.match_pattern(edit.slots, change.pattern, id, bindings, nullptr))
      found.push_back(id);
  }
  if (found.empty()) return make_error("no node matches the pattern of output `{}`", change.name);
  if (found.size() > 1 && !change.last) {
    return make_error(
        "{} nodes match the pattern of output `{}` (`{}`, `{}`, …); write `last` for "
        "the last of them, or name one",
        found.size(), change.name, model.node(found[0]).name, model.node(found[1]).name);
  }
  if (is_taken(model, change.name))
    return make_error("output `{}` cannot be added: there is a value of that name", change.name);
  const NodeId node = found.back();
  const auto index = static_cast<std::size_t>(rules[change.pattern].output);
  if (index >= model.node(node).outputs.size() || !model.node(node).outputs[index])
    return make_error("node `{}` has no result {}", model.node(node).name, index);
  ValueId value = model.node(node).outputs[index];
  if (model.is_graph_output(value)) {
    const NodeId copy = model.add_node(model.main(), {.name = model.fresh_node_name(change.name),
                                                      .type = "Identity",
                                                      .inputs = {value},
                                                      .output_names = {change.name}});
    model.value(model.node(copy).outputs[0]).type = model.value(value).type;
    value = model.node(copy).outputs[0];
  } else {
    model.rename(value, change.name);
  }
  model.add_output(model.main(), value);
  return std::vector{
      fmt::format("output `{}` is the result of node `{}`", change.name, model.node(node).name)};
}

// The n-th star of `to` is what the n-th of the glob matched.
static std::string substitute(const std::string& to, const std::vector<std::string>& stars) {
  std::string text;
  std::size_t next = 0;
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (to[i] != '*') {
      text += to[i];
      continue;
    }
    if (i + 1 < to.size() && to[i + 1] == '*') ++i;
    if (next < stars.size()) text += stars[next++];
  }
  return text;
}

static Said rename_all(Model& model, const Edit::Rename& change) {
  const GraphInfo& main = model.graph(model.main());
  const std::vector<ValueId> values = change.input ? main.inputs : main.outputs;
  const char* what = change.input ? "input" : "output";
  std::vector<std::pair<ValueId, std::string>> found;
  for (ValueId value : values) {
    std::vector<std::string> stars;
    const std::string& name = model.value(value).name;
    if (name == change.from) {
      found.emplace_back(value, change.to);
    } else if (glob_match(change.from, name, &stars)) {
      found.emplace_back(value, substitute(change.to, stars));
    }
  }
  if (found.empty()) {
    return make_error("no {} is named `{}`{}", what, change.from,
                      near_names(change.from, names_of(model, values)));
  }
  std::vector<std::string> said;
  for (const auto& [value, name] : found) {
    const std::string old = model.value(value).name;
    if (old == name) continue;
    if (is_taken(model, name)) {
      return make_error("{} `{}` cannot be renamed to `{}`: there is a value of that name", what,
                        old, name);
    }
    model.rename(value, name);
    said.push_back(fmt::format("{} `{}` renamed to `{}`", what, old, name));
  }
  return said;
}

static Said change_opset(Model& model, const Edit::Opset& change) {
  const std::int64_t before = model.opset("");
  if (before == change.version)
    return std::vector{fmt::format("the opset is {} already", change.version)};
  auto converted = convert_opset(model, change.version);
  if (!converted) return converted.error();
  model = std::move(*converted);
  return std::vector{fmt::format("opset {} became {}", before, change.version)};
}

// Types of what nodes give are found anew. Gives what the outputs were declared as.
static std::vector<Type> forget_types(Model& model) {
  std::vector<Type> declared;
  for (ValueId output : model.graph(model.main()).outputs)
    declared.push_back(output ? model.value(output).type : Type{});
  for (std::uint32_t i = 0; i < model.value_capacity(); ++i) {
    GraphValue& value = model.value({i});
    if (value.alive && value.producer && value.type.is_tensor()) value.type = {};
  }
  return declared;
}

// What an output is after the edit: as it was declared, with what inference knows beside it.
// Where an input's known size was changed, a declared size is no fact any more.
static Status settle_output(GraphValue& output, Type declared, bool dims_changed) {
  const Type inferred = output.type;
  output.type = std::move(declared);
  if (!inferred.is_tensor() || !output.type.is_tensor()) {
    if (inferred.is_tensor()) output.type = inferred;
    return Done{};
  }
  const auto contradiction = [&] {
    return make_error("output `{}` was {} and would become {}", output.name, to_string(output.type),
                      to_string(inferred));
  };
  if (output.type.dtype == DType::Undefined) output.type.dtype = inferred.dtype;
  if (inferred.dtype != DType::Undefined && inferred.dtype != output.type.dtype)
    return contradiction();
  if (!inferred.dims) {
    if (dims_changed && output.type.dims) {
      for (Dim& dim : *output.type.dims)
        dim = {};
    }
    return Done{};
  }
  if (!output.type.dims) {
    output.type.dims = inferred.dims;
    return Done{};
  }
  if (output.type.dims->size() != inferred.dims->size()) return contradiction();
  for (std::size_t i = 0; i < inferred.dims->size(); ++i) {
    const Dim& known = (*inferred.dims)[i];
    const Dim& was = (*output.type.dims)[i];
    if (!dims_changed && was.known() && known.known() && was.size != known.size)
      return contradiction();
  }
  for (std::size_t i = 0; i < inferred.dims->size(); ++i) {
    Dim& dim = (*output.type.dims)[i];
    if ((*inferred.dims)[i].known() || (dims_changed && dim.known())) dim = (*inferred.dims)[i];
  }
  return Done{};
}

// Where inference stopped at a node, what its operands are and where they come from.
static std::string operand_facts(const Model& model, const std::string& warning) {
  for (std::uint32_t i = 0; i < model.node_capacity(); ++i) {
    const GraphNode& node = model.node({i});
    if (!node.alive || !warning.starts_with(stops_at(model, {i}))) continue;
    std::vector<std::string> facts;
    for (ValueId input : node.inputs) {
      if (!input) continue;
      const GraphValue& value = model.value(input);
      std::string from = "an input of the graph";
      if (value.producer) {
        const GraphNode& producer = model.node(value.producer);
        from = fmt::format("from {} `{}`", producer.type, producer.name);
      } else if (!value.is_input) {
        from = "a constant of the model";
      }
      facts.push_back(fmt::format("`{}` is {} ({})", value.name, to_string(value.type), from));
    }
    return fmt::format("; there {}", fmt::join(facts, ", "));
  }
  return {};
}

std::size_t remove_unused(Model& model) {
  std::size_t removed = 0;
  // What a body no longer reads may free nodes of the graphs around it: until nothing goes.
  for (bool again = true; again;) {
    again = false;
    for (std::uint32_t g = 0; g < model.graph_capacity(); ++g) {
      const GraphId graph{g};
      if (!model.graph(graph).alive) continue;
      for (NodeId id = model.last_node(graph); id;) {
        const NodeId previous = model.previous_node(id);
        const auto& outputs = model.node(id).outputs;
        const bool unused = std::all_of(outputs.begin(), outputs.end(), [&](ValueId value) {
          return !value || model.use_count(value) == 0;
        });
        if (unused) {
          model.remove_node(id);
          ++removed;
          again = true;
        }
        id = previous;
      }
    }
  }
  for (std::uint32_t g = 0; g < model.graph_capacity(); ++g) {
    if (!model.graph({g}).alive) continue;
    for (ValueId value : std::vector<ValueId>(model.graph({g}).initializers)) {
      if (!model.value(value).is_input && model.use_count(value) == 0)
        model.remove_initializer(value);
    }
  }
  return removed;
}

Result<std::vector<std::string>> apply_edit(Model& model, const RuleSet& rules, const OpTable& ops,
                                            const Edit& edit) {
  std::vector<std::string> said;
  std::vector<std::string> exposed;
  bool infer = false, dims_changed = false;
  // What inference could not do before is no contradiction of the edit's.
  std::vector<std::string> known_warnings;
  {
    Model before = model;
    infer_types(before, known_warnings, &ops);
  }
  for (const Edit::Change& change : edit.changes) {
    const auto done = std::visit(
        [&](const auto& what) -> Said {
          using What = std::decay_t<decltype(what)>;
          if constexpr (std::is_same_v<What, Edit::Input>) {
            infer = true;
            return edit_input(model, ops, what, dims_changed);
          } else if constexpr (std::is_same_v<What, Edit::Dimension>) {
            infer = true;
            return set_dimension(model, what);
          } else if constexpr (std::is_same_v<What, Edit::Outputs>) {
            return keep_outputs(model, what, exposed);
          } else if constexpr (std::is_same_v<What, Edit::Expose>) {
            exposed.push_back(what.name);
            return expose(model, rules, ops, edit, what);
          } else if constexpr (std::is_same_v<What, Edit::Rename>) {
            return rename_all(model, what);
          } else {
            infer = true;
            return change_opset(model, what);
          }
        },
        change.what);
    if (!done)
      return make_error("{}:{}:{}: {}", change.place.file, change.place.line, change.place.column,
                        done.error().message);
    said.insert(said.end(), done->begin(), done->end());
  }
  if (!infer) return said;
  std::vector<Type> declared = forget_types(model);
  std::vector<std::string> warnings;
  infer_types(model, warnings, &ops);
  const auto contradiction = [&](const std::string& facts) {
    return make_error("{}:{}:{}: the edit contradicts the model: {}", edit.place.file,
                      edit.place.line, edit.place.column, facts);
  };
  for (const std::string& warning : warnings) {
    if (std::find(known_warnings.begin(), known_warnings.end(), warning) == known_warnings.end())
      return contradiction(warning + operand_facts(model, warning));
  }
  const std::vector<ValueId> outputs = model.graph(model.main()).outputs;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i] || !model.value(outputs[i]).producer) continue;
    if (const Status done =
            settle_output(model.value(outputs[i]), std::move(declared[i]), dims_changed);
        !done)
      return contradiction(done.error().message);
  }
  return said;
}

}  // namespace rulec
