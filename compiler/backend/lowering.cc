// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/lowering.h"

#include <algorithm>

#include "compiler/backend/packing.h"

namespace rulec::backend {

using format::Layout;
using format::Storage;

std::optional<Shape> Lowering::shape(ValueId id) const {
  if (!id) return std::nullopt;
  if (const auto c = model.constant(id)) return c->shape();
  const Type& type = model.value(id).type;
  if (!type.is_tensor()) return std::nullopt;
  auto s = type.static_shape();
  if (!s) return std::nullopt;
  const auto count = checked_element_count(*s);
  if (!count || *count == 0 || *count > (std::int64_t{1} << 31)) return std::nullopt;
  return s;
}

bool Lowering::is_f32(ValueId id) const {
  return id && model.value(id).type.is_tensor() && model.value(id).type.dtype == DType::F32;
}

bool Lowering::single_use(ValueId id) const {
  return !model.is_graph_output(id) && model.use_count(id) == 1;
}

std::string Lowering::name_of(NodeId id) const {
  const GraphNode& n = model.node(id);
  if (!n.name.empty()) return n.name;
  for (ValueId o : n.outputs) {
    if (o) return model.value(o).name;
  }
  return n.type.str();
}

// --- places

bool Lowering::is_blocked(ValueId id) const {
  const auto it = places_.find(id.index);
  return it != places_.end() && it->second.blocked != no_value;
}

bool Lowering::only_blocked(ValueId id) const {
  return is_blocked(id) && places_.find(id.index)->second.plain == no_value;
}

Index Lowering::bound(ValueId id) const {
  const auto it = places_.find(id.index);
  if (it == places_.end()) return no_value;
  return it->second.blocked != no_value ? it->second.blocked : it->second.plain;
}

void Lowering::bind(ValueId id, Index v) {
  Places& p = places_[id.index];
  (value(v).layout == Layout::Blocked ? p.blocked : p.plain) = v;
}

bool Lowering::is_channels_last(ValueId id) const {
  const auto it = places_.find(id.index);
  return it != places_.end() && it->second.last != no_value;
}

void Lowering::bind_channels_last(ValueId id, Index v) {
  places_[id.index].last = v;
}

Index Lowering::add_channels_last(ValueId like) {
  const Shape s = *shape(like);
  const GraphValue& g = model.value(like);
  return add_arena(g.name, g.type.dtype, {s[0], s[2], s[3], s[1]}, Layout::Plain);
}

void Lowering::add_transpose(Index from, Index to, const Shape& s, bool to_channels_last) {
  kernels::CopyParameters head;
  head.parts = 1;
  head.rank = 4;
  head.element_bytes = static_cast<std::uint32_t>(bit_width(value(to).dtype) / 8);
  kernels::CopyPart part{};
  const auto first = strides_of(s);
  const std::int64_t last[] = {s[1] * s[2] * s[3], 1, s[3] * s[1], s[1]};
  for (std::size_t d = 0; d < 4; ++d) {
    part.dims[d] = s[d];
    part.in_stride[d] = to_channels_last ? first[d] : last[d];
    part.out_stride[d] = to_channels_last ? last[d] : first[d];
  }
  Operation& op = add(Opcode::Copy, {}, {from}, {to});
  op.set(head);
  op.parameters.append(reinterpret_cast<const char*>(&part), sizeof part);
}

Index Lowering::channels_last(ValueId id) {
  if (const Index v = places_[id.index].last; v != no_value) return v;
  const Index from = plain(id);
  const Index to = add_channels_last(id);
  add_transpose(from, to, *shape(id), true);
  return places_[id.index].last = to;
}

std::optional<ValueId> Lowering::channels_last_source(ValueId id) const {
  const auto it = channels_last_.find(id.index);
  return it == channels_last_.end() ? std::nullopt : std::optional(it->second);
}

Index Lowering::add_arena(std::string name, DType dtype, Shape dims, Layout layout) {
  Value v;
  v.name = std::move(name);
  v.dtype = dtype;
  v.dims = std::move(dims);
  v.storage = Storage::Arena;
  v.layout = layout;
  main().values.push_back(std::move(v));
  return static_cast<Index>(main().values.size() - 1);
}

Index Lowering::add_arena(ValueId like, Layout layout) {
  const GraphValue& g = model.value(like);
  return add_arena(g.name, g.type.dtype, *shape(like), layout);
}

Index Lowering::add_weight(std::string name, Tensor tensor) {
  return add_weight_to(0, std::move(name), std::move(tensor));
}

Index Lowering::add_weight_to(Index program, std::string name, Tensor tensor) {
  Value v;
  v.name = std::move(name);
  v.dtype = tensor.dtype();
  v.dims = tensor.shape();
  v.storage = Storage::Weight;
  v.constant = std::move(tensor);
  std::vector<Value>& values = out.programs[program].values;
  values.push_back(std::move(v));
  return static_cast<Index>(values.size() - 1);
}

Index Lowering::add_alias(Index whole, std::string name, Shape dims, std::int64_t byte_offset) {
  const Value w = value(whole);
  const Index v = add_arena(std::move(name), w.dtype, std::move(dims), Layout::Plain);
  value(v).alias_of = w.alias_of == no_value ? whole : w.alias_of;
  value(v).alias_offset = (w.alias_of == no_value ? 0 : w.alias_offset) + byte_offset;
  return v;
}

void Lowering::adopt_aliases(Index v, Index whole) {
  const std::int64_t shift = value(v).alias_offset;
  for (Value& other : main().values) {
    if (other.alias_of != v) continue;
    other.alias_of = whole;
    other.alias_offset += shift;
  }
}

Index Lowering::plain(ValueId id) {
  Places& p = places_[id.index];
  if (p.plain != no_value) return p.plain;
  if (const auto c = model.constant(id)) {
    const Index v = add_weight(model.value(id).name, *c);
    return places_[id.index].plain = v;
  }
  const auto source = channels_last_source(id);
  if (p.blocked == no_value && (p.last != no_value || source)) {
    const Index from = p.last != no_value ? p.last : plain(*source);
    const Index to = add_arena(id, Layout::Plain);
    add_transpose(from, to, *shape(id), false);
    return places_[id.index].plain = to;
  }
  RULEC_CHECK(p.blocked != no_value);
  const Index from = p.blocked;
  const Index to = add_arena(id, Layout::Plain);
  add(Opcode::Reorder, {}, {from}, {to}).set(kernels::ReorderParameters{});
  return places_[id.index].plain = to;
}

Index Lowering::plain_in_arena(ValueId id) {
  const Index v = plain(id);
  if (value(v).storage == Storage::Arena) return v;
  const Shape s = *shape(id);
  const Index to = add_arena(id, Layout::Plain);
  kernels::CopyParameters head;
  head.parts = 1;
  head.rank = 1;
  head.element_bytes = static_cast<std::uint32_t>(bit_width(value(v).dtype) / 8);
  kernels::CopyPart part{};
  part.dims[0] = element_count(s);
  part.in_stride[0] = part.out_stride[0] = 1;
  Operation& op = add(Opcode::Copy, {}, {v}, {to});
  op.set(head);
  op.parameters.append(reinterpret_cast<const char*>(&part), sizeof part);
  return to;
}

Index Lowering::blocked(ValueId id, std::int64_t halo) {
  const auto border = static_cast<std::uint32_t>(halo);
  Index v = places_[id.index].blocked;
  if (v == no_value) {
    const auto source = channels_last_source(id);
    const Index there = places_[id.index].last;
    const bool last = (source || there != no_value) && places_[id.index].plain == no_value;
    const Index from = !last ? plain(id) : there != no_value ? there : plain(*source);
    v = add_arena(id, Layout::Blocked);
    kernels::ReorderParameters p;
    p.channels_last = last ? 1 : 0;
    add(Opcode::Reorder, {}, {from}, {v}).set(p);
    places_[id.index].blocked = v;
  }
  value(v).halo = std::max(value(v).halo, border);
  return v;
}

// --- operations

Operation& Lowering::add(Opcode opcode, NodeId node, std::vector<Index> inputs,
                         std::vector<Index> outputs) {
  Operation op;
  op.opcode = opcode;
  op.inputs = std::move(inputs);
  op.outputs = std::move(outputs);
  if (node) {
    op.name = name_of(node);
  } else {
    op.name = op.outputs.empty() ? "" : value(op.outputs[0]).name;
  }
  for (Index v : op.outputs) {
    if (v != no_value) maker_[v] = main().operations.size();
  }
  main().operations.push_back(std::move(op));
  return main().operations.back();
}

std::optional<std::size_t> Lowering::maker(Index v) const {
  const auto it = maker_.find(v);
  return it == maker_.end() ? std::nullopt : std::optional(it->second);
}

std::optional<std::size_t> Lowering::fusable_maker(ValueId id) const {
  const auto it = places_.find(id.index);
  if (it == places_.end() || !single_use(id)) return std::nullopt;
  if ((it->second.plain == no_value) == (it->second.blocked == no_value)) return std::nullopt;
  const Index v = bound(id);
  const Value& made = out.programs[0].values[v];
  if (made.alias_of != no_value || shared_.contains(v)) return std::nullopt;
  return maker(v);
}

std::size_t Lowering::move_to_end(std::size_t index) {
  auto& all = main().operations;
  if (index + 1 == all.size()) return index;
  Operation moved = std::move(all[index]);
  all[index] = {};
  all[index].dead = true;
  for (Index v : moved.outputs) {
    if (v != no_value) maker_[v] = all.size();
  }
  all.push_back(std::move(moved));
  return all.size() - 1;
}

void Lowering::retarget(std::size_t index, NodeId node, ValueId id) {
  Operation& op = operation(index);
  op.name += "+" + name_of(node);
  value(op.outputs[0]).name = model.value(id).name;
  bind(id, op.outputs[0]);
  report(node, "", "fused into " + op.name.substr(0, op.name.find('+')));
}

void Lowering::report(NodeId node, std::string kernel, std::string note) {
  out.report.push_back(
      {name_of(node), model.node(node).type.str(), std::move(kernel), std::move(note)});
}

// --- generic operations and bodies

static std::optional<std::vector<std::int64_t>> dims_of(const Type& type) {
  if (!type.is_tensor() || !type.dims) return std::nullopt;
  std::vector<std::int64_t> dims;
  for (const Dim& d : *type.dims)
    dims.push_back(d.size);
  return dims;
}

static Index add_heap(Program& p, const GraphValue& g, bool trust_type) {
  Value v;
  v.name = g.name;
  if (trust_type && g.type.is_tensor()) {
    v.dtype = g.type.dtype;
    v.dims = dims_of(g.type);
  }
  p.values.push_back(std::move(v));
  return static_cast<Index>(p.values.size() - 1);
}

Operation Lowering::generic_operation(Index program, NodeId node, const Scopes& scopes) {
  const GraphNode& n = model.node(node);
  Operation op;
  op.name = name_of(node);
  op.domain = n.domain.str();
  op.type = n.type.str();
  op.opset = static_cast<int>(model.opset(n.domain.str()));
  const auto body_of = [&](GraphId g) {
    const Index body = lower_body(g, program, scopes);
    op.bodies.push_back(body);
    return GraphId{body};
  };
  std::vector<Attribute> attributes;
  for (const Attribute& a : n.attributes.all()) {
    Attribute copy = a;
    if (const auto* g = std::get_if<GraphId>(&a.value)) {
      copy.value = body_of(*g);
    } else if (const auto* list = std::get_if<std::vector<GraphId>>(&a.value)) {
      std::vector<GraphId> bodies;
      for (GraphId each : *list)
        bodies.push_back(body_of(each));
      copy.value = std::move(bodies);
    }
    attributes.push_back(std::move(copy));
  }
  op.attributes = Attributes(std::move(attributes));
  return op;
}

static std::span<const float> floats(const Tensor& t) {
  return {t.data<float>(), static_cast<std::size_t>(t.size())};
}

void Lowering::pack_operands(Index program, NodeId node, Operation& op) {
  const GraphNode& n = model.node(node);
  const bool own = n.domain == "rulec";
  if ((!n.domain.empty() && !own) || n.inputs.size() < 2 || !n.inputs[1]) return;
  const auto w = constant(n.inputs[1]);
  const auto addend = n.inputs.size() > 2 ? n.inputs[2] : ValueId{};
  const auto b = constant(addend);
  if (!w || w->dtype() != DType::F32 || (addend && (!b || b->dtype() != DType::F32))) return;
  const std::string& name = model.value(n.inputs[1]).name;
  const auto become = [&](const char* type, std::size_t operands) {
    op.domain = "rulec";
    op.type = type;
    op.inputs.resize(operands, no_value);
  };
  if (n.type == "Conv" || n.type == "FusedConv") {
    const std::int64_t groups = n.attributes.integer("group", 1);
    if (w->rank() != 4 || groups < 1 || w->dim(0) % groups != 0) return;
    const bool depthwise = groups > 1 && w->dim(1) == 1 && groups == w->dim(0);
    become("FusedConv", 5);
    op.inputs.push_back(
        add_weight_to(program, name, depthwise ? pack_depthwise(*w) : pack_conv(*w, groups)));
    op.inputs.push_back(
        add_weight_to(program, name + ".bias",
                      pad_vector(b ? floats(*b) : std::span<const float>(), w->dim(0), 0.0f)));
    return;
  }
  const bool gemm = n.type == "Gemm" || n.type == "FusedGemm";
  const Type& x = model.value(n.inputs[0]).type;
  const bool product = n.type == "MatMul" && x.dims && x.dims->size() >= 2;
  if ((!gemm && !product) || w->rank() != 2 || n.attributes.integer("transA", 0) != 0) return;
  const bool transposed = n.attributes.integer("transB", 0) != 0;
  const std::int64_t columns = w->dim(transposed ? 0 : 1), depth = w->dim(transposed ? 1 : 0);
  const float alpha = n.attributes.number("alpha", 1.0f), beta = n.attributes.number("beta", 1.0f);
  std::vector<float> bias;
  if (b) {
    const bool row = b->size() == columns && b->rank() > 0 && b->dim(b->rank() - 1) == columns;
    if (!row && b->size() != 1) return;
    for (std::int64_t i = 0; i < columns; ++i)
      bias.push_back(beta * b->data<float>()[row ? i : 0]);
  }
  become("FusedGemm", 4);
  op.inputs.push_back(
      add_weight_to(program, name, pack_columns(floats(*w), depth, columns, transposed, alpha)));
  if (b) {
    op.inputs.push_back(
        add_weight_to(program, model.value(addend).name, pad_vector(bias, columns, 0.0f)));
  }
}

void Lowering::lower_generic(NodeId node, bool plan) {
  plan_ = plan;
  const GraphNode& n = model.node(node);
  std::unordered_map<Index, Index> none;
  // Bodies first: a value they capture may have to be reordered before the operation starts.
  Operation op = generic_operation(0, node, {&none});
  for (ValueId in : n.inputs)
    op.inputs.push_back(in ? plain(in) : no_value);
  for (ValueId o : n.outputs) {
    op.outputs.push_back(o ? add_heap(main(), model.value(o), true) : no_value);
    if (o) bind(o, op.outputs.back());
  }
  op.planned = plan_;
  if (plan_) pack_operands(0, node, op);
  main().operations.push_back(std::move(op));
}

Index Lowering::lower_body(GraphId graph, Index parent, const Scopes& scopes) {
  const Index program = static_cast<Index>(out.programs.size());
  out.programs.emplace_back();
  out.programs[program].parent = parent;
  std::unordered_map<Index, Index> own;
  Scopes inner = scopes;
  inner.push_back(&own);
  const GraphInfo& g = model.graph(graph);
  for (ValueId in : g.inputs) {
    const Index v = add_heap(out.programs[program], model.value(in), true);
    own[in.index] = v;
    out.programs[program].inputs.push_back(v);
  }
  for (NodeId node : model.nodes(graph))
    lower_generic_into(program, node, inner);
  for (ValueId o : g.outputs) {
    out.programs[program].outputs.push_back(o ? look_up(program, o, inner) : no_value);
  }
  return program;
}

// The value `id` as program `program` sees it: its own, a constant, or captured from outside.
Index Lowering::look_up(Index program, ValueId id, const Scopes& scopes) {
  std::unordered_map<Index, Index>& own = *scopes.back();
  if (const auto it = own.find(id.index); it != own.end()) return it->second;
  Program& p = out.programs[program];
  if (const auto c = model.constant(id)) {
    Value v;
    v.name = model.value(id).name;
    v.dtype = c->dtype();
    v.dims = c->shape();
    v.storage = Storage::Weight;
    v.constant = *c;
    p.values.push_back(std::move(v));
    return own[id.index] = static_cast<Index>(p.values.size() - 1);
  }
  Index outer = no_value;
  if (p.parent == 0) {
    outer = plain(id);
  } else {
    outer = look_up(p.parent, id, {scopes.begin(), scopes.end() - 1});
  }
  const Index v = add_heap(out.programs[program], model.value(id), false);
  out.programs[program].captures.push_back(outer);
  out.programs[program].captures.push_back(v);
  return own[id.index] = v;
}

void Lowering::lower_generic_into(Index program, NodeId node, const Scopes& scopes) {
  const GraphNode& n = model.node(node);
  if (n.type == "Constant" && n.domain.empty() && n.outputs.size() == 1 && n.outputs[0] &&
      model.constant(n.outputs[0])) {
    return;  // look_up makes it a weight
  }
  Operation op = generic_operation(program, node, scopes);
  for (ValueId in : n.inputs)
    op.inputs.push_back(in ? look_up(program, in, scopes) : no_value);
  for (ValueId o : n.outputs) {
    // What a body declares of its results serves loops that run no iteration.
    const bool result = o && model.is_graph_output(o);
    op.outputs.push_back(o ? add_heap(out.programs[program], model.value(o), result) : no_value);
    if (o) (*scopes.back())[o.index] = op.outputs.back();
  }
  op.planned = plan_;
  if (plan_) pack_operands(program, node, op);
  out.programs[program].operations.push_back(std::move(op));
}

}  // namespace rulec::backend
