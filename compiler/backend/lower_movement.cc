// SPDX-License-Identifier: Apache-2.0
// Operators that move elements: views where the bytes stay, Copy where they move.
#include <algorithm>

#include "compiler/backend/copies.h"
#include "compiler/backend/lowering.h"
#include "compiler/backend/slices.h"

namespace rulec::backend {

using format::Layout;
using format::Storage;
using kernels::CopyParameters;
using kernels::CopyPart;

// --- the bytes stay

bool lower_view(Lowering& l, NodeId node, const Shape& from, const Shape& to) {
  const GraphNode& n = l.model.node(node);
  const ValueId x = n.inputs[0], y = n.outputs[0];
  for (std::size_t i = 1; i < n.outputs.size(); ++i) {
    if (n.outputs[i] && l.model.use_count(n.outputs[i]) > 0) return l.refuse("a mask as a result");
  }
  if (element_count(from) != element_count(to)) return l.refuse("sizes that differ");
  if (from == to && l.is_blocked(x)) {
    const Index v = l.blocked(x, 0);
    l.share(v);
    l.bind(y, v);
  } else {
    l.bind(y, l.add_alias(l.plain_in_arena(x), l.model.value(y).name, to));
  }
  l.report(node, "", "an alias");
  return true;
}

// --- Transpose

static bool lower_transpose(Lowering& l, NodeId node, const Shape& from, const Shape& to) {
  const GraphNode& n = l.model.node(node);
  const ValueId x = n.inputs[0], y = n.outputs[0];
  auto perm = n.attributes.integers("perm");
  if (perm.empty()) {
    for (std::size_t i = from.size(); i-- > 0;)
      perm.push_back(static_cast<std::int64_t>(i));
  }
  if (perm.size() != from.size() || from.size() > kernels::max_copy_rank)
    return l.refuse("an odd rank");
  // Only the order of sizes above one matters.
  std::vector<std::int64_t> moved;
  for (std::int64_t p : perm) {
    if (from[static_cast<std::size_t>(p)] != 1) moved.push_back(p);
  }
  if (std::is_sorted(moved.begin(), moved.end()) && !l.only_blocked(x)) {
    return lower_view(l, node, from, to);
  }
  const bool f32 = l.is_f32(x) && from.size() == 4;
  if (f32 && perm == std::vector<std::int64_t>{0, 3, 1, 2} && !l.only_blocked(x)) {
    l.bind_channels_last(y, x);
    l.report(node, "", "read through by what follows");
    return true;
  }
  if (f32 && perm == std::vector<std::int64_t>{0, 2, 3, 1} && l.is_blocked(x)) {
    const Index in = l.blocked(x, 0);
    const Index out = l.add_arena(y, Layout::Plain);
    kernels::ReorderParameters p;
    p.channels_last = 1;
    l.add(Opcode::Reorder, node, {in}, {out}).set(p);
    l.bind(y, out);
    l.report(node, "Reorder", "");
    return true;
  }
  const auto strides = strides_of(from);
  std::vector<std::int64_t> in;
  for (std::int64_t p : perm)
    in.push_back(strides[static_cast<std::size_t>(p)]);
  CopyParameters head;
  head.rank = static_cast<std::uint32_t>(to.size());
  const Index source = l.plain(x);
  emit_copy(l, node, head, {part_of(to, in, strides_of(to))}, {source}, y);
  l.report(node, "Copy", "");
  return true;
}

// --- Concat

// Joined in place: every operand is made where its part of the result lies.
static bool concat_in_place(Lowering& l, NodeId node, const Shape& to) {
  const GraphNode& n = l.model.node(node);
  std::vector<Index> parts;
  for (std::size_t i = 0; i < n.inputs.size(); ++i) {
    const ValueId x = n.inputs[i];
    const auto s = l.shape(x);
    if (!l.is_f32(x) || !l.is_blocked(x) || !s || (*s)[0] != 1) return false;
    if (i + 1 < n.inputs.size() && (*s)[1] % 16 != 0) return false;
    const Index v = l.blocked(x, 0);
    if (l.value(v).alias_of != no_value || l.is_shared(v) || !l.maker(v) ||
        std::find(parts.begin(), parts.end(), v) != parts.end()) {
      return false;
    }
    parts.push_back(v);
  }
  const ValueId y = n.outputs[0];
  const Index out = l.add_arena(l.model.value(y).name, DType::F32, to, Layout::Blocked);
  std::int64_t block = 0;
  for (Index v : parts) {
    l.value(v).alias_of = out;
    l.value(v).alias_offset = block;
    l.value(out).halo = std::max(l.value(out).halo, l.value(v).halo);
    block += ((*l.value(v).dims)[1] + 15) / 16;
    l.adopt_aliases(v, out);
  }
  l.bind(y, out);
  l.report(node, "", "its operands are made in place");
  return true;
}

// Whether an axis and those before it are no more than its own: a part of it lies together.
static bool is_outermost(const Shape& from, std::size_t axis) {
  return std::all_of(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(axis),
                     [](std::int64_t d) { return d == 1; });
}

// The same of row-major operands that lie one behind the other in the result; those that cannot be
// made there are copied.
static bool concat_end_to_end(Lowering& l, NodeId node, const Shape& to, std::size_t axis) {
  const GraphNode& n = l.model.node(node);
  // A value lies at a multiple of four bytes.
  if (!is_outermost(to, axis) || element_bytes(l, n.outputs[0]) < 4) return false;
  std::vector<Index> roots;
  bool any = false;
  for (ValueId x : n.inputs) {
    const Index v = l.plain(x);
    const Index root = l.value(v).alias_of == no_value ? v : l.value(v).alias_of;
    const Value& r = l.value(root);
    const bool fits = r.storage == Storage::Arena && r.layout == Layout::Plain &&
                      r.dtype == l.value(v).dtype &&
                      element_count(*r.dims) == element_count(*l.shape(x)) && !l.is_shared(root) &&
                      l.maker(root) && std::find(roots.begin(), roots.end(), root) == roots.end();
    roots.push_back(fits ? root : no_value);
    any = any || fits;
  }
  if (!any) return false;
  const ValueId y = n.outputs[0];
  const Index out = l.add_arena(y, Layout::Plain);
  bool copies = false;
  std::int64_t at = 0;
  for (std::size_t i = 0; i < roots.size(); ++i) {
    const ValueId x = n.inputs[i];
    const Shape s = *l.shape(x);
    const std::int64_t offset = at * element_bytes(l, y);
    at += element_count(s);
    if (roots[i] != no_value) {
      l.value(roots[i]).alias_of = out;
      l.value(roots[i]).alias_offset = offset;
      l.adopt_aliases(roots[i], out);
      continue;
    }
    CopyParameters head;
    head.rank = 1;
    head.parts = 1;
    head.element_bytes = element_bytes(l, y);
    const CopyPart part = part_of({element_count(s)}, {1}, {1});
    const Index source = l.plain(x), place = l.add_alias(out, l.model.value(x).name, s, offset);
    Operation& op = l.add(Opcode::Copy, node, {source}, {place});
    op.set(head);
    op.parameters.append(reinterpret_cast<const char*>(&part), sizeof part);
    copies = true;
  }
  l.bind(y, out);
  l.report(node, copies ? "Copy" : "",
           copies ? "some operands are made in place" : "its operands are made in place");
  return true;
}

// Joined as [N,H,W,C], where all operands lie so.
static bool concat_channels_last(Lowering& l, NodeId node, const Shape& to, std::size_t axis) {
  const GraphNode& n = l.model.node(node);
  for (ValueId x : n.inputs) {
    if (!l.is_channels_last(x)) return false;
  }
  const auto turned = [](const Shape& s) { return Shape{s[0], s[2], s[3], s[1]}; };
  static constexpr std::size_t place[] = {0, 3, 1, 2};
  const auto out = strides_of(turned(to));
  CopyParameters head;
  head.parts = static_cast<std::uint32_t>(n.inputs.size());
  head.rank = 4;
  head.element_bytes = element_bytes(l, n.outputs[0]);
  std::vector<Index> inputs;
  std::vector<CopyPart> parts;
  std::int64_t at = 0;
  for (ValueId x : n.inputs) {
    const Shape s = *l.shape(x);
    inputs.push_back(l.channels_last(x));
    parts.push_back(part_of(turned(s), strides_of(turned(s)), out, 0, at * out[place[axis]]));
    at += s[axis];
  }
  const Index made = l.add_channels_last(n.outputs[0]);
  Operation& op = l.add(Opcode::Copy, node, std::move(inputs), {made});
  op.set(head);
  for (const CopyPart& part : parts)
    op.parameters.append(reinterpret_cast<const char*>(&part), sizeof part);
  l.bind_channels_last(n.outputs[0], made);
  l.report(node, "Copy", "channels last");
  return true;
}

static bool lower_concat(Lowering& l, NodeId node, const Shape& to) {
  const GraphNode& n = l.model.node(node);
  const auto axis = normalize_axis(n.attributes.integer("axis", 0), to.size());
  if (!axis) return l.refuse("an axis outside");
  if (to.size() > kernels::max_copy_rank || n.inputs.size() > 256) return l.refuse("an odd rank");
  for (ValueId x : n.inputs) {
    if (!x || !copyable(l, x) || !l.shape(x)) return l.refuse("a shape that is not known");
  }
  if (to.size() == 4 && *axis == 1 && concat_in_place(l, node, to)) return true;
  if (to.size() == 4 && concat_channels_last(l, node, to, *axis)) return true;
  if (concat_end_to_end(l, node, to, *axis)) return true;
  const auto out = strides_of(to);
  std::vector<CopyPart> parts;
  std::vector<Index> inputs;
  std::int64_t at = 0;
  for (ValueId x : n.inputs) {
    const Shape s = *l.shape(x);
    inputs.push_back(l.plain(x));
    parts.push_back(part_of(s, strides_of(s), out, 0, at * out[*axis]));
    at += s[*axis];
  }
  CopyParameters head;
  head.rank = static_cast<std::uint32_t>(to.size());
  emit_copy(l, node, head, parts, std::move(inputs), n.outputs[0]);
  l.report(node, "Copy", "");
  return true;
}

// --- Slice and Split

// Channels [first, first + count) of a blocked value, where they are whole blocks.
static bool view_of_channels(Lowering& l, ValueId x, ValueId y, std::int64_t first) {
  const auto from = l.shape(x), to = l.shape(y);
  if (!l.is_blocked(x) || (*from)[0] != 1 || first % 16 != 0) return false;
  if ((*to)[1] % 16 != 0 && first + (*to)[1] != (*from)[1]) return false;
  const Index whole = l.blocked(x, 0);
  if (l.value(whole).storage != Storage::Arena) return false;
  const Index v = l.add_arena(l.model.value(y).name, DType::F32, *to, Layout::Blocked);
  const Index root = l.value(whole).alias_of;
  l.value(v).alias_of = root == no_value ? whole : root;
  l.value(v).alias_offset = (root == no_value ? 0 : l.value(whole).alias_offset) + first / 16;
  l.value(v).halo = l.value(whole).halo;
  l.bind(y, v);
  return true;
}

// Elements that lie together in a row-major value, from the `first` on, need no copy.
static bool view_of_elements(Lowering& l, ValueId x, ValueId y, std::int64_t first) {
  const Index whole = l.plain(x);
  if (l.value(whole).storage != Storage::Arena || element_bytes(l, y) < 4) return false;
  l.bind(y, l.add_alias(whole, l.model.value(y).name, *l.shape(y), first * element_bytes(l, y)));
  return true;
}

static bool lower_slice(Lowering& l, NodeId node, const Shape& from, const Shape& to) {
  const GraphNode& n = l.model.node(node);
  if (from.size() > kernels::max_copy_rank) return l.refuse("an odd rank");
  const auto all = constant_slice(l.model, node, from);
  if (!all) return l.refuse("places that are not constant");
  auto in = strides_of(from);
  std::int64_t offset = 0, channel = -1, cuts = 0;
  bool together = true;
  for (const AxisCut& cut : *all) {
    offset += cut.start * in[cut.axis];
    in[cut.axis] *= cut.step;
    if (to[cut.axis] != from[cut.axis] || cut.step != 1) {
      ++cuts;
      channel = cut.axis == 1 && cut.step == 1 ? cut.start : -1;
      together = cut.step == 1 && is_outermost(from, cut.axis);
    }
  }
  const ValueId x = n.inputs[0], y = n.outputs[0];
  if (cuts == 1 && channel >= 0 && from.size() == 4 && l.is_f32(x) &&
      view_of_channels(l, x, y, channel)) {
    l.report(node, "", "a view");
    return true;
  }
  if (cuts == 1 && together && !l.only_blocked(x) && view_of_elements(l, x, y, offset)) {
    l.report(node, "", "a view");
    return true;
  }
  CopyParameters head;
  head.rank = static_cast<std::uint32_t>(from.size());
  const Index source = l.plain(x);
  emit_copy(l, node, head, {part_of(to, in, strides_of(to), offset)}, {source}, y);
  l.report(node, "Copy", "");
  return true;
}

static bool lower_split(Lowering& l, NodeId node, const Shape& from) {
  const GraphNode& n = l.model.node(node);
  const auto axis = normalize_axis(n.attributes.integer("axis", 0), from.size());
  if (!axis || from.size() > kernels::max_copy_rank) return l.refuse("an odd rank");
  const auto in = strides_of(from);
  for (ValueId y : n.outputs) {
    if (!y || !l.shape(y)) return l.refuse("a shape that is not known");
  }
  std::int64_t at = 0;
  for (ValueId y : n.outputs) {
    const Shape to = *l.shape(y);
    const bool view =
        *axis == 1 && from.size() == 4 && l.is_f32(y) && view_of_channels(l, n.inputs[0], y, at);
    if (!view &&
        !(is_outermost(from, *axis) && view_of_elements(l, n.inputs[0], y, at * in[*axis]))) {
      CopyParameters head;
      head.rank = static_cast<std::uint32_t>(from.size());
      const Index source = l.plain(n.inputs[0]);
      emit_copy(l, node, head, {part_of(to, in, strides_of(to), at * in[*axis])}, {source}, y);
    }
    at += to[*axis];
  }
  l.report(node, "Copy", "");
  return true;
}

// --- Expand, Gather, DepthToSpace

static bool lower_expand(Lowering& l, NodeId node, const Shape& from, const Shape& to) {
  if (to.size() > kernels::max_copy_rank || from.size() > to.size()) return l.refuse("an odd rank");
  const GraphNode& n = l.model.node(node);
  const auto own = strides_of(from);
  std::vector<std::int64_t> in(to.size(), 0);
  for (std::size_t d = 0; d < from.size(); ++d) {
    if (from[d] != 1) in[to.size() - from.size() + d] = own[d];
  }
  CopyParameters head;
  head.rank = static_cast<std::uint32_t>(to.size());
  const Index source = l.plain(n.inputs[0]);
  emit_copy(l, node, head, {part_of(to, in, strides_of(to))}, {source}, n.outputs[0]);
  l.report(node, "Copy", "");
  return true;
}

static bool lower_gather(Lowering& l, NodeId node, const Shape& from, const Shape& to) {
  const GraphNode& n = l.model.node(node);
  const auto index = l.constant(n.inputs.size() > 1 ? n.inputs[1] : ValueId{});
  const auto axis = normalize_axis(n.attributes.integer("axis", 0), from.size());
  const auto places = n.inputs.size() > 1 ? l.shape(n.inputs[1]) : std::nullopt;
  if (!axis || !places) return l.refuse("a shape that is not known");
  std::int64_t outer = 1, inner = 1;
  for (std::size_t d = 0; d < *axis; ++d)
    outer *= from[d];
  for (std::size_t d = *axis + 1; d < from.size(); ++d)
    inner *= from[d];
  if (index) {
    for (std::int64_t i : index->integers()) {
      if (i < -from[*axis] || i >= from[*axis]) return l.refuse("an index outside");
    }
  }
  const ValueId x = n.inputs[0], y = n.outputs[0];
  if (index && index->size() == 1) {  // a slice
    const std::int64_t i = index->integer(0);
    const std::int64_t at = (i < 0 ? i + from[*axis] : i) * inner;
    if (outer == 1 && view_of_elements(l, x, y, at)) {
      l.report(node, "", "a view");
      return true;
    }
    CopyParameters head;
    head.rank = 2;
    const Index source = l.plain(x);
    emit_copy(l, node, head, {part_of({outer, inner}, {from[*axis] * inner, 1}, {inner, 1}, at)},
              {source}, y);
    l.report(node, "Copy", "");
    return true;
  }
  kernels::GatherParameters p;
  p.outer = static_cast<std::uint32_t>(outer);
  p.axis = static_cast<std::uint32_t>(from[*axis]);
  p.inner_bytes = static_cast<std::uint32_t>(inner) * element_bytes(l, y);
  p.count = static_cast<std::uint32_t>(element_count(*places));
  const Index source = l.plain(x), indices = l.plain(n.inputs[1]);
  const Index out = l.add_arena(y, Layout::Plain);
  if (element_count(to) != outer * element_count(*places) * inner)
    return l.refuse("sizes that do not fit");
  l.add(Opcode::Gather, node, {source, indices}, {out}).set(p);
  l.bind(y, out);
  l.report(node, "Gather", "");
  return true;
}

static bool lower_depth(Lowering& l, NodeId node, const Shape& from, const Shape& to) {
  const GraphNode& n = l.model.node(node);
  const std::int64_t b = n.attributes.integer("blocksize", 0);
  if (from.size() != 4 || b < 1) return l.refuse("an odd rank");
  const bool to_space = n.type == "DepthToSpace";
  const bool crd = n.attributes.text("mode", "DCR") == "CRD";
  const Shape& deep = to_space ? from : to;
  const std::int64_t c = deep[1] / (b * b), h = deep[2], w = deep[3];
  const auto sd = strides_of(deep), ss = strides_of(to_space ? to : from);
  // Over n, c, by, bx, h, w.
  const std::int64_t cs = crd ? b * b * sd[1] : sd[1], bs = crd ? sd[1] : c * sd[1];
  const std::vector<std::int64_t> depth = {sd[0], cs, b * bs, bs, sd[2], 1};
  const std::vector<std::int64_t> space = {ss[0], ss[1], ss[2], 1, b * ss[2], b};
  const Shape dims = {deep[0], c, b, b, h, w};
  CopyParameters head;
  head.rank = 6;
  const Index source = l.plain(n.inputs[0]);
  emit_copy(l, node, head, {to_space ? part_of(dims, depth, space) : part_of(dims, space, depth)},
            {source}, n.outputs[0]);
  l.report(node, "Copy", "");
  return true;
}

bool lower_movement(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  if (n.inputs.empty() || !n.inputs[0] || n.outputs.empty() || !n.outputs[0])
    return l.refuse("missing operands");
  const auto from = l.shape(n.inputs[0]), to = l.shape(n.outputs[0]);
  if (!to || !from) return l.refuse("a shape that is not known");
  if (!copyable(l, n.inputs[0]) || !copyable(l, n.outputs[0]))
    return l.refuse("elements that cannot be copied");
  if (n.type == "Transpose") return lower_transpose(l, node, *from, *to);
  if (n.type == "Concat") return lower_concat(l, node, *to);
  if (n.type == "Slice") return lower_slice(l, node, *from, *to);
  if (n.type == "Split") return lower_split(l, node, *from);
  if (n.type == "Pad") return lower_pad(l, node, *from, *to);
  if (n.type == "Expand") return lower_expand(l, node, *from, *to);
  if (n.type == "Gather") return lower_gather(l, node, *from, *to);
  if (n.type == "ScatterND") return lower_scatter(l, node, *from);
  if (n.type == "DepthToSpace" || n.type == "SpaceToDepth") return lower_depth(l, node, *from, *to);
  return lower_view(l, node, *from, *to);
}

}  // namespace rulec::backend
