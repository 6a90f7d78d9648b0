// SPDX-License-Identifier: Apache-2.0
// Pad as copies: of the operand into a filled result, or, where the padding repeats the operand's
// own elements (reflect, edge, wrap), of each piece of it to its place.
#include <algorithm>
#include <cstring>

#include "compiler/backend/copies.h"

namespace rulec::backend {

namespace {
// A piece of one axis: `count` elements from `in` on, `step` apart, to `out` on.
struct Piece {
  std::int64_t count, in, step, out;
};
}  // namespace

// Nothing where an axis is padded further than one piece of it reaches.
static std::optional<std::vector<Piece>> pieces_of(std::int64_t size, std::int64_t before,
                                                   std::int64_t after, std::string_view mode) {
  if (before < 0 || after < 0) return std::nullopt;
  std::vector<Piece> out = {{size, 0, 1, before}};
  const bool reflect = mode == "reflect", edge = mode == "edge";
  if (!reflect && !edge && mode != "wrap") return std::nullopt;
  const std::int64_t reach = reflect ? size - 1 : size;
  if (!edge && (before > reach || after > reach)) return std::nullopt;
  if (before > 0) {
    out.push_back(reflect ? Piece{before, before, -1, 0}
                  : edge  ? Piece{before, 0, 0, 0}
                          : Piece{before, size - before, 1, 0});
  }
  if (after > 0) {
    out.push_back(reflect ? Piece{after, size - 2, -1, before + size}
                  : edge  ? Piece{after, size - 1, 0, before + size}
                          : Piece{after, 0, 1, before + size});
  }
  return out;
}

static bool pad_by_own(Lowering& l, NodeId node, const Shape& from, const Shape& to,
                       const std::vector<std::int64_t>& pads, std::string_view mode) {
  const GraphNode& n = l.model.node(node);
  const auto in = strides_of(from), out = strides_of(to);
  std::vector<kernels::CopyPart> parts = {part_of(from, in, out)};
  for (std::size_t d = 0; d < from.size(); ++d) {
    const auto pieces = pieces_of(from[d], pads[d], pads[from.size() + d], mode);
    if (!pieces) return l.refuse("padding that leaves the operand");
    std::vector<kernels::CopyPart> all;
    for (const kernels::CopyPart& part : parts) {
      for (const Piece& piece : *pieces) {
        kernels::CopyPart p = part;
        p.dims[d] = piece.count;
        p.in_stride[d] = in[d] * piece.step;
        p.in_offset += in[d] * piece.in;
        p.out_offset += out[d] * piece.out;
        all.push_back(p);
      }
    }
    parts = std::move(all);
  }
  kernels::CopyParameters head;
  head.rank = static_cast<std::uint32_t>(from.size());
  const Index source = l.plain(n.inputs[0]);
  emit_copy(l, node, head, parts, std::vector<Index>(parts.size(), source), n.outputs[0]);
  l.report(node, "Copy", "");
  return true;
}

bool lower_pad(Lowering& l, NodeId node, const Shape& from, const Shape& to) {
  const GraphNode& n = l.model.node(node);
  if (from.size() > kernels::max_copy_rank) return l.refuse("an odd rank");
  const std::string mode(n.attributes.text("mode", "constant"));
  std::vector<std::int64_t> pads = n.attributes.integers("pads");
  std::uint64_t bits = 0;
  const std::uint32_t width = element_bytes(l, n.outputs[0]);
  if (l.model.opset("") >= 11) {
    const auto p = l.constant(n.inputs.size() > 1 ? n.inputs[1] : ValueId{});
    if (!p || (n.inputs.size() > 3 && n.inputs[3])) return l.refuse("padding that is not constant");
    pads = p->integers();
    if (n.inputs.size() > 2 && n.inputs[2]) {
      const auto value = l.constant(n.inputs[2]);
      if (!value || value->byte_size() != width) return l.refuse("padding that is not constant");
      std::memcpy(&bits, value->bytes().data(), width);
    }
  } else {
    const float value = n.attributes.number("value", 0.0f);
    if (width != 4 || !l.is_f32(n.outputs[0])) return l.refuse("not f32");
    std::memcpy(&bits, &value, 4);
  }
  if (pads.size() != 2 * from.size()) return l.refuse("padding of another rank");
  // Exporters pad to a multiple of some size, often by nothing.
  if (std::all_of(pads.begin(), pads.end(), [](std::int64_t p) { return p == 0; }))
    return lower_view(l, node, from, to);
  if (mode != "constant") return pad_by_own(l, node, from, to, pads, mode);
  const auto in = strides_of(from), out = strides_of(to);
  Shape dims = from;
  std::int64_t in_offset = 0, out_offset = 0;
  for (std::size_t d = 0; d < from.size(); ++d) {
    const std::int64_t before = pads[d], after = pads[from.size() + d];
    if (before >= 0) {
      out_offset += before * out[d];
    } else {
      in_offset -= before * in[d];
    }
    dims[d] += std::min<std::int64_t>(0, before) + std::min<std::int64_t>(0, after);
    if (dims[d] <= 0) return l.refuse("nothing left of the operand");
  }
  kernels::CopyParameters head;
  head.rank = static_cast<std::uint32_t>(from.size());
  head.fill = 1;
  head.fill_bits = bits;
  const Index source = l.plain(n.inputs[0]);
  emit_copy(l, node, head, {part_of(dims, in, out, in_offset, out_offset)}, {source}, n.outputs[0]);
  l.report(node, "Copy", "");
  return true;
}

}  // namespace rulec::backend
