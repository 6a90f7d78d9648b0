// SPDX-License-Identifier: Apache-2.0
#include "matcher/edit.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "matcher/edit_input.h"
#include "matcher/glob.h"
#include "matcher/match_node.h"
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

static Said keep_outputs(Model& model, const Edit::Outputs& change) {
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
  model.set_outputs(model.main(), kept);
  const std::size_t removed = remove_unused(model);
  std::vector<std::string> dropped;
  for (const std::string& name : names) {
    if (std::find(change.names.begin(), change.names.end(), name) == change.names.end())
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
  std::vector<NodeId> found;
  for (NodeId id : model.nodes(model.main())) {
    std::vector<Binding> bindings(edit.slots.size());
    if (match_node(model, rules, ops, {}, edit.slots, change.pattern, id, bindings))
      found.push_back(id);
  }
  if (found.empty()) return make_error("no node matches the pattern of output `{}`", change.name);
  if (found.size() > 1 && !change.last) {
    return make_error(
        "{} nodes match the pattern of output `{}` (`{}`, `{}`, …); write `last` for "
        "the last of them, or name one",
        found.size(), change.name, model.node(found[0]).name, model.node(found[1]).name);
  }
  if (find_value(model, change.name))
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
    if (const ValueId there = find_value(model, name); there) {
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

// Types of what nodes give are found anew; declared sizes of outputs give way where an input's
// known size was changed.
static void forget_types(Model& model, bool outputs_too) {
  for (std::uint32_t i = 0; i < model.value_capacity(); ++i) {
    GraphValue& value = model.value({i});
    if (!value.alive || !value.producer) continue;
    if (!model.is_graph_output({i}) || model.graph(value.graph).owner) {
      if (value.type.is_tensor()) value.type = {};
    } else if (outputs_too && value.type.dims) {
      for (Dim& dim : *value.type.dims)
        dim = {};
    }
  }
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
  bool infer = false, dims_changed = false;
  // What inference could not do before is no contradiction of the edit's.
  std::vector<std::string> known_warnings;
  {
    Model before = model;
    infer_types(before, known_warnings);
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
            return keep_outputs(model, what);
          } else if constexpr (std::is_same_v<What, Edit::Expose>) {
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
  forget_types(model, dims_changed);
  std::vector<std::string> warnings;
  infer_types(model, warnings);
  for (const std::string& warning : warnings) {
    if (std::find(known_warnings.begin(), known_warnings.end(), warning) != known_warnings.end())
      continue;
    return make_error("{}:{}:{}: the edit contradicts the model: {}", edit.place.file,
                      edit.place.line, edit.place.column, warning);
  }
  return said;
}

}  // namespace rulec
