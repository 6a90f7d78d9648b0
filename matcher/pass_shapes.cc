// SPDX-License-Identifier: Apache-2.0
// known_shapes: tensors that a model computes shapes with, where the model's types say enough.
//   * all elements are numbers: a constant
//   * two of one graph are the same list: the first
//   * a Reshape's shape whose elements are numbers, sizes of the operand in their own place (0) and
//     at most one other size (-1): a constant
//   * what a Reshape, Expand or ConstantOfShape is told to make is what its result's type says
#include <algorithm>
#include <map>
#include <unordered_set>

#include <fmt/format.h>

#include "matcher/facts.h"
#include "matcher/onnx_infer_node.h"
#include "matcher/passes.h"
#include "matcher/size_values.h"

namespace rulec {

namespace {

class ShapePass {
 public:
  explicit ShapePass(Model& model) : model_(model) {}
  PassResult run();

 private:
  void node(NodeId id);
  bool to_constant(ValueId value, const SizeList& list);
  void merge(ValueId value, const SizeList& list);
  bool simplify_reshape(NodeId id);
  void refine(NodeId id);
  void infer_again(NodeId id);
  ValueId constant_like(ValueId value, const std::vector<std::int64_t>& numbers, std::size_t rank);

  Model& model_;
  SizeValues sizes_;
  std::map<std::pair<std::uint32_t, std::string>, ValueId> first_;
  std::unordered_set<std::uint32_t> retyped_;  // values of which more is known than before
  PassResult result_;
};

}  // namespace

static std::string text_of(const SizeList& list, DType dtype) {
  std::string out = fmt::format("{}:{}", static_cast<int>(dtype), list.rank);
  for (const SizeElement& one : list.elements) {
    out += fmt::format("|{}", one.factor);
    for (const std::string& size : one.sizes)
      out += fmt::format("*{}", size);
  }
  return out;
}

ValueId ShapePass::constant_like(ValueId value, const std::vector<std::int64_t>& numbers,
                                 std::size_t rank) {
  const DType dtype = type_of(model_, value).dtype;
  const Shape shape = rank == 0 ? Shape{} : Shape{static_cast<std::int64_t>(numbers.size())};
  Tensor tensor = Tensor::of<std::int64_t>(shape, std::span(numbers));
  if (dtype != DType::I64) tensor = convert(tensor, dtype);
  return model_.add_initializer(model_.value(value).graph,
                                model_.fresh_value_name(model_.value(value).name + "_known"),
                                std::move(tensor));
}

bool ShapePass::to_constant(ValueId value, const SizeList& list) {
  if (!list.known() || (list.rank == 0 && list.elements.size() != 1)) return false;
  model_.replace_uses(value, constant_like(value, list.integers(), list.rank));
  ++result_.changes;
  result_.types_may_follow = true;
  return true;
}

void ShapePass::merge(ValueId value, const SizeList& list) {
  if (!list.complete()) return;
  const GraphValue& info = model_.value(value);
  const auto [at, fresh] =
      first_.try_emplace({info.graph.index, text_of(list, type_of(model_, value).dtype)}, value);
  if (fresh || at->second == value) return;
  model_.replace_uses(value, at->second);
  ++result_.changes;
}

// Whether the shape is given by a constant now.
bool ShapePass::simplify_reshape(NodeId id) {
  const GraphNode& node = model_.node(id);
  if (node.inputs.size() != 2 || !node.inputs[1] || model_.constant(node.inputs[1])) return false;
  if (node.attributes.integer("allowzero", 0) != 0) return false;
  const auto from = dimensions_of(model_, node.inputs[0]);
  // What is asked for says most; the result's type may know it from elsewhere.
  const SizeList* told = sizes_.find(node.inputs[1]);
  const auto wanted =
      told != nullptr ? std::optional(*told) : dimensions_of(model_, node.outputs[0]);
  if (!wanted) return false;
  std::vector<std::int64_t> numbers;
  int guessed = 0;
  for (std::size_t i = 0; i < wanted->elements.size(); ++i) {
    const SizeElement& one = wanted->elements[i];
    const bool kept = from && i < from->elements.size() && !one.open && one == from->elements[i];
    if (one.known()) {
      guessed += one.factor == -1 ? 1 : 0;
      numbers.push_back(one.factor);
    } else if (kept) {
      numbers.push_back(0);
    } else {
      ++guessed;
      numbers.push_back(-1);
    }
  }
  if (guessed > 1) return false;
  const ValueId shape = constant_like(node.inputs[1], numbers, 1);
  if (model_.value(shape).type.dtype != DType::I64) return false;
  model_.set_input(id, 1, shape);
  retyped_.insert(shape.index);
  ++result_.changes;
  result_.types_may_follow = true;
  return true;
}

// A name that type inference gave, as good as none.
static bool is_made_up(std::string_view symbol) {
  return symbol.find("unk__") != symbol.npos;
}

// The size that a Reshape leaves open (-1): all of the operand over all of the others.
static void close_open_size(const std::vector<SizeElement>& from, std::vector<SizeElement>& dims) {
  SizeElement total = SizeElement::of(1), others = SizeElement::of(1);
  SizeElement* guessed = nullptr;
  for (const SizeElement& one : from)
    total = product_of(total, one);
  for (SizeElement& one : dims) {
    if (one.known() && one.factor == -1) {
      if (guessed != nullptr) return;
      guessed = &one;
    } else {
      others = product_of(others, one);
    }
  }
  if (guessed != nullptr) *guessed = quotient_of(total, others);
}

// Puts what the operator was told into the type of its result.
void ShapePass::refine(NodeId id) {
  const GraphNode& node = model_.node(id);
  const std::size_t at = node.type == "ConstantOfShape" ? 0 : 1;
  if (node.inputs.size() <= at) return;
  const SizeList* computed = sizes_.find(node.inputs[at]);
  const auto wanted =
      computed != nullptr ? std::optional(*computed) : constant_sizes(model_, node.inputs[at]);
  const ValueId output = node.outputs[0];
  if (!wanted || model_.is_graph_output(output)) return;
  const auto from = dimensions_of(model_, node.inputs[0]);
  std::vector<SizeElement> dims = wanted->elements;
  if (node.type == "Reshape") {
    const bool copies = node.attributes.integer("allowzero", 0) == 0;
    for (std::size_t i = 0; i < dims.size(); ++i) {
      if (!copies || !dims[i].known() || dims[i].factor != 0) continue;
      dims[i] = from && i < from->elements.size() ? from->elements[i] : SizeElement{};
    }
    if (from) close_open_size(from->elements, dims);
  } else if (node.type == "Expand") {
    if (!from || from->elements.size() > dims.size()) return;
    const std::size_t offset = dims.size() - from->elements.size();
    for (std::size_t i = 0; i < from->elements.size(); ++i) {
      SizeElement& told = dims[offset + i];
      const SizeElement& has = from->elements[i];
      if (has == SizeElement::of(1)) continue;
      // Equal, or the one that is asked for is 1.
      if (told == SizeElement::of(1) || told == has) {
        told = has;
      } else if (has.known()) {
        told = has;  // it must be 1 or equal
      } else {
        told = {};
      }
    }
  }
  GraphValue& value = model_.value(output);
  if (!value.type.is_tensor()) return;
  if (value.type.dims && value.type.dims->size() != dims.size()) return;
  if (!value.type.dims) value.type.dims.emplace(dims.size());
  for (std::size_t i = 0; i < dims.size(); ++i) {
    Dim& dim = (*value.type.dims)[i];
    const SizeElement& told = dims[i];
    if (dim.known() || told.open) continue;
    if (told.known()) {
      if (told.factor < 0) continue;
      dim = {.size = told.factor};
    } else if (const std::string name = size_name(told);
               name.find('@') == name.npos && dim.symbol != name && told.factor > 0 &&
               (dim.symbol.empty() || (is_made_up(dim.symbol) && !is_made_up(name)))) {
      dim.symbol = name;
    } else {
      continue;
    }
    result_.types_may_follow = true;
    retyped_.insert(output.index);
  }
}

// The dimensions of `told`, and where it knows nothing, or a made-up name, those that were known.
static Type merged(const Type& known, Type told) {
  if (!told.is_tensor() || !told.dims) return known;
  if (!known.dims || known.dims->size() != told.dims->size()) return told;
  for (std::size_t i = 0; i < told.dims->size(); ++i) {
    Dim& dim = (*told.dims)[i];
    const Dim& before = (*known.dims)[i];
    if (!dim.known() && (dim.symbol.empty() || is_made_up(dim.symbol) || before.known())) {
      if (before.known() || !before.symbol.empty()) dim = before;
    }
  }
  return told;
}

// What follows for the results of a node when more is known of an operand: at once, so that one
// sweep carries a size through a whole model.
void ShapePass::infer_again(NodeId id) {
  const std::vector<ValueId> outputs = model_.node(id).outputs;
  const auto& inputs = model_.node(id).inputs;
  const bool news = std::any_of(inputs.begin(), inputs.end(), [&](ValueId value) {
    return value && retyped_.contains(value.index);
  });
  if (!news || is_any_output(model_, id)) return;
  std::vector<Type> before;
  for (const ValueId output : outputs)
    before.push_back(output ? model_.value(output).type : Type{});
  const NodeId nodes[] = {id};
  if (!infer_node_types(model_, nodes)) return;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i]) continue;
    Type& type = model_.value(outputs[i]).type;
    type = merged(before[i], std::move(type));
    if (type == before[i]) continue;
    retyped_.insert(outputs[i].index);
    result_.types_may_follow = true;
  }
}

void ShapePass::node(NodeId id) {
  infer_again(id);
  read_sizes(model_, id, sizes_);
  const GraphNode& node = model_.node(id);
  if (!node.domain.empty() || node.outputs.empty() || !node.outputs[0]) return;
  if (node.type == "Reshape" && sizes_.find(node.outputs[0]) == nullptr) simplify_reshape(id);
  if (node.type == "Reshape" || node.type == "Expand" || node.type == "ConstantOfShape") {
    refine(id);
  }
  const ValueId output = model_.node(id).outputs[0];
  const SizeList* list = sizes_.find(output);
  if (list == nullptr || model_.use_count(output) == 0 || is_any_output(model_, id) ||
      model_.node(id).type == "Constant") {
    return;
  }
  if (!to_constant(output, *list)) merge(output, *list);
}

PassResult ShapePass::run() {
  for (const GraphId graph : open_graphs(model_)) {
    // Before IR version 4 an initializer is an input, which a body cannot have more of.
    if (model_.ir_version < 4 && graph != model_.main()) continue;
    for (NodeId at = model_.first_node(graph); at; at = model_.next_node(at))
      node(at);
  }
  return result_;
}

PassResult known_shapes(Model& model) {
  return ShapePass(model).run();
}

}  // namespace rulec
