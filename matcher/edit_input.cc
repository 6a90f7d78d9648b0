// SPDX-License-Identifier: Apache-2.0
#include "matcher/edit_input.h"

#include <algorithm>
#include <optional>

#include <fmt/ranges.h>

#include "matcher/edit_distance.h"
#include "matcher/facts.h"
#include "matcher/glob.h"
#include "matcher/label.h"

namespace rulec {

std::string near_names(const std::string& wanted, const std::vector<std::string>& names) {
  const std::string nearest = nearest_name(wanted, names);
  if (!nearest.empty()) return fmt::format("; did you mean `{}`?", nearest);
  if (names.empty()) return "; there are none";
  std::vector<std::string> some(
      names.begin(),
      names.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(names.size(), 8)));
  return fmt::format("; there {} `{}`{}", names.size() == 1 ? "is" : "are", fmt::join(some, "`, `"),
                     names.size() > 8 ? ", …" : "");
}

static bool type_fits(const TypePattern& pattern, const Type& type) {
  if (!pattern.dtypes.empty() &&
      std::find(pattern.dtypes.begin(), pattern.dtypes.end(), type.dtype) == pattern.dtypes.end())
    return false;
  if (pattern.shapes.empty()) return true;
  return std::any_of(pattern.shapes.begin(), pattern.shapes.end(), [&](const auto& shape) {
    if (!type.dims) return true;
    if (shape.size() != type.dims->size()) return false;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      const Dim& dim = (*type.dims)[i];
      if (shape[i].kind == DimPattern::Kind::Fixed && dim.known() && dim.size != shape[i].size)
        return false;
    }
    return true;
  });
}

// For messages: `u8|f32[?,3]`.
static std::string to_text(const TypePattern& pattern, const std::vector<std::string>& symbols) {
  std::string text;
  for (DType dtype : pattern.dtypes)
    text += fmt::format("{}{}", text.empty() ? "" : "|", name(dtype));
  for (const auto& shape : pattern.shapes) {
    std::vector<std::string> dims;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      using Kind = DimPattern::Kind;
      const bool named = shape[i].kind == Kind::Variable && i < symbols.size();
      dims.push_back(shape[i].kind == Kind::Fixed  ? fmt::format("{}", shape[i].size)
                     : shape[i].kind == Kind::Rest ? "..."
                     : named                       ? symbols[i]
                                                   : "?");
    }
    text += fmt::format("{}[{}]", &shape == &pattern.shapes[0] ? "" : "|", fmt::join(dims, ","));
  }
  return text;
}

namespace {

// Carries a new element type from a value to what is made of it.
class Retype {
 public:
  Retype(Model& model, const OpTable& ops, DType from, DType to)
      : model_(model), ops_(ops), from_(from), to_(to) {}

  Status carry(ValueId value) {
    model_.value(value).type.dtype = to_;
    for (const Use& use : std::vector<Use>(model_.uses(value))) {
      const Status done = use.node ? into_node(use) : out_of_body(use);
      if (!done) return done;
    }
    return Done{};
  }

  const std::vector<std::string>& dropped() const { return dropped_; }

 private:
  Status into_node(const Use& use) {
    if (!model_.node(use.node).alive) return Done{};
    const GraphNode& node = model_.node(use.node);
    static constexpr const char* movers[] = {
        "Identity", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Slice",  "Split",
        "Flatten",  "Expand",  "Tile",    "Gather",    "GatherND",  "Resize", "Upsample"};
    const bool moves = node.domain.empty() && use.slot == 0 &&
                       std::any_of(std::begin(movers), std::end(movers),
                                   [&](const char* type) { return node.type == type; });
    if (moves) {
      for (ValueId output : std::vector<ValueId>(node.outputs)) {
        if (!output) continue;
        if (const Status done = carry(output); !done) return done;
      }
      return Done{};
    }
    if (node.domain.empty() && node.type == "Cast") return at_cast(use.node);
    if (node.domain.empty() && (node.type == "Shape" || node.type == "Size")) return Done{};
    return check_operand(use);
  }

  Status at_cast(NodeId id) {
    const GraphNode& node = model_.node(id);
    if (node.attributes.integer("to", 0) != static_cast<std::int64_t>(to_)) return Done{};
    const ValueId source = node.inputs[0], result = node.outputs[0];
    if (model_.is_graph_output(result)) return Done{};  // keeps the output's name
    dropped_.push_back(label(model_, id));
    model_.replace_uses(result, source);
    model_.remove_node(id);
    return Done{};
  }

  // A value that leaves a body becomes a result of the body's owner.
  Status out_of_body(const Use& use) {
    const NodeId owner = model_.graph(use.graph).owner;
    if (!owner) return Done{};
    const GraphNode& node = model_.node(owner);
    const std::size_t skip = node.type == "Loop" ? 1 : 0;
    if (use.slot < skip || use.slot - skip >= node.outputs.size()) return Done{};
    const ValueId output = node.outputs[use.slot - skip];
    return output && model_.value(output).type.dtype == from_ ? carry(output) : Status(Done{});
  }

  Status check_operand(const Use& use) {
    const GraphNode& node = model_.node(use.node);
    const OpSchema* schema = ops_.find(node.domain, node.type, opset_of(model_, node.domain));
    if (!schema || schema->inputs.empty()) return Done{};
    const auto operand = [&](std::size_t i) -> const Operand& {
      return schema->inputs[std::min(i, schema->inputs.size() - 1)];
    };
    const Operand& own = operand(use.slot);
    const auto refuse = [&](std::string why) -> Status {
      return make_error("the input becomes {} by this edit, but node `{}` ({}) {}", name(to_),
                        node.name, node.type, why);
    };
    if (!own.dtypes.empty() &&
        std::find(own.dtypes.begin(), own.dtypes.end(), to_) == own.dtypes.end())
      return refuse("takes no such operand");
    for (std::size_t i = 0; i < node.inputs.size() && !own.type_parameter.empty(); ++i) {
      if (i == use.slot || !node.inputs[i] || operand(i).type_parameter != own.type_parameter)
        continue;
      const Type type = type_of(model_, node.inputs[i]);
      if (type.dtype != DType::Undefined && type.dtype != to_)
        return refuse(fmt::format("reads it beside `{}`, which is {}",
                                  model_.value(node.inputs[i]).name, name(type.dtype)));
    }
    return Done{};
  }

  Model& model_;
  const OpTable& ops_;
  DType from_, to_;
  std::vector<std::string> dropped_;
};

}  // namespace

// Where the new sizes are the old ones with the channels in another place (NHWC asked for as NCHW,
// or the other way round): the permutation that gives the readers what they had.
static std::vector<std::int64_t> moved_channels(const Type& before,
                                                const std::vector<DimPattern>& shape) {
  if (!before.dims || before.dims->size() != 4 || shape.size() != 4) return {};
  const auto moved = [&](std::size_t from, std::size_t to) {
    const Dim& channels = (*before.dims)[from];
    const auto fixed = [&](std::size_t i, std::int64_t size) {
      return shape[i].kind == DimPattern::Kind::Fixed && shape[i].size == size;
    };
    return channels.known() && fixed(to, channels.size) && !fixed(from, channels.size);
  };
  if (moved(3, 1)) return {0, 2, 3, 1};
  if (moved(1, 3)) return {0, 3, 1, 2};
  return {};
}

// Lets the readers of an input read it through a Transpose; what it had been is `old`.
static void insert_transpose(Model& model, ValueId input, const std::vector<std::int64_t>& perm,
                             const Type& old) {
  const std::vector<Use> readers = model.uses(input);
  const std::string hint = model.value(input).name + "_transposed";
  const NodeId node = model.add_node(model.main(),
                                     {.name = model.fresh_node_name(hint),
                                      .type = "Transpose",
                                      .inputs = {input},
                                      .output_names = {model.fresh_value_name(hint)}},
                                     model.first_node(model.main()));
  model.node(node).attributes.set("perm", perm);
  const ValueId turned = model.node(node).outputs[0];
  Type& type = model.value(turned).type;
  type = old;
  const Type& given = model.value(input).type;
  type.dtype = given.dtype;
  for (std::size_t i = 0; i < perm.size(); ++i)
    (*type.dims)[i] = (*given.dims)[static_cast<std::size_t>(perm[i])];
  for (const Use& use : readers)
    model.replace_use(use, turned);
}

// Writes the sizes of a type pattern over what is known.
static Status write_dims(Type& type, const Edit::Input& change, const std::string& input,
                         bool& dims_changed) {
  if (!change.to || change.to->shapes.empty()) return Done{};
  const auto& shape = change.to->shapes[0];
  if (!type.dims) {
    type.dims.emplace(shape.size());
  } else if (type.dims->size() != shape.size()) {
    return make_error("input `{}` has {} dimensions ({}), the edit gives it {}", input,
                      type.dims->size(), to_string(type), shape.size());
  }
  for (std::size_t i = 0; i < shape.size(); ++i) {
    Dim& dim = (*type.dims)[i];
    const Dim before = dim;
    if (shape[i].kind == DimPattern::Kind::Fixed) dim = {.size = shape[i].size};
    if (shape[i].kind == DimPattern::Kind::Variable)
      dim = {.symbol = i < change.to_symbols.size() ? change.to_symbols[i] : std::string()};
    dims_changed = dims_changed || (before.known() && before != dim);
  }
  return Done{};
}

// A symbol that became a size is that size everywhere.
static void spread_sizes(Model& model, const Type& before, const Type& after) {
  if (!before.dims || !after.dims) return;
  for (std::size_t i = 0; i < before.dims->size(); ++i) {
    const std::string& symbol = (*before.dims)[i].symbol;
    const Dim& size = (*after.dims)[i];
    if (symbol.empty() || !size.known()) continue;
    for (std::uint32_t v = 0; v < model.value_capacity(); ++v) {
      GraphValue& value = model.value({v});
      if (!value.alive || !value.type.dims) continue;
      for (Dim& dim : *value.type.dims) {
        if (dim.symbol == symbol) dim = size;
      }
    }
  }
}

Result<std::vector<std::string>> edit_input(Model& model, const OpTable& ops,
                                            const Edit::Input& change, bool& dims_changed) {
  std::vector<std::string> names, said;
  std::vector<std::pair<ValueId, std::vector<std::string>>> found;
  for (ValueId input : model.graph(model.main()).inputs) {
    const std::string& name = model.value(input).name;
    names.push_back(name);
    std::vector<std::string> stars;
    if (name == change.glob || glob_match(change.glob, name, &stars))
      found.emplace_back(input, std::move(stars));
  }
  if (found.empty())
    return make_error("no input is named `{}`{}", change.glob, near_names(change.glob, names));
  if (found.size() > 1 && change.to_name && change.to_name->find('*') == std::string::npos)
    return make_error("`{}` names {} inputs, which cannot all become `{}`", change.glob,
                      found.size(), *change.to_name);
  for (const auto& [input, stars] : found) {
    const std::string name = model.value(input).name;
    const Type before = model.value(input).type;
    if (change.from && !type_fits(*change.from, before))
      return make_error("input `{}` is {}, the edit expects {}", name, to_string(before),
                        to_text(*change.from, {}));
    if (change.to) {
      Type after = before;
      if (after.kind == Type::Kind::Unknown) after.kind = Type::Kind::Tensor;
      if (!after.is_tensor()) return make_error("input `{}` is no tensor", name);
      const std::vector<std::int64_t> perm = change.to->shapes.empty()
                                                 ? std::vector<std::int64_t>()
                                                 : moved_channels(before, change.to->shapes[0]);
      Type permuted = before;
      for (std::size_t i = 0; i < perm.size(); ++i)
        (*permuted.dims)[static_cast<std::size_t>(perm[i])] = (*before.dims)[i];
      after = perm.empty() ? after : permuted;
      if (const Status done = write_dims(after, change, name, dims_changed); !done)
        return done.error();
      model.value(input).type = after;
      spread_sizes(model, permuted, after);
      if (!perm.empty()) {
        insert_transpose(model, input, perm, before);
        said.push_back(
            fmt::format("input `{}` has its channels elsewhere now: its readers get it through a "
                        "Transpose of perm {}",
                        name, fmt::join(perm, ", ")));
      }
      if (!change.to->dtypes.empty() && change.to->dtypes[0] != before.dtype) {
        Retype retype(model, ops, before.dtype, change.to->dtypes[0]);
        if (const Status done = retype.carry(input); !done) return done.error();
        for (const std::string& node : retype.dropped())
          said.push_back(fmt::format("Cast `{}` removed: its operand has the type now", node));
      }
      said.push_back(fmt::format("input `{}` : {} became {}", name, to_string(before),
                                 to_string(model.value(input).type)));
    }
    if (!change.to_name) continue;
    std::string renamed = *change.to_name;
    std::size_t next = 0;
    for (std::size_t at = renamed.find('*'); at != std::string::npos && next < stars.size();
         at = renamed.find('*', at)) {
      const std::size_t length = renamed.compare(at, 2, "**") == 0 ? 2 : 1;
      renamed.replace(at, length, stars[next]);
      at += stars[next++].size();
    }
    if (renamed == name) continue;
    for (std::uint32_t v = 0; v < model.value_capacity(); ++v) {
      if (model.value({v}).alive && model.value({v}).name == renamed)
        return make_error("input `{}` cannot be renamed to `{}`: there is a value of that name",
                          name, renamed);
    }
    model.rename(input, renamed);
    said.push_back(fmt::format("input `{}` renamed to `{}`", name, renamed));
  }
  return said;
}

}  // namespace rulec
