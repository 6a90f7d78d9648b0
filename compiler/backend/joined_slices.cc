// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/joined_slices.h"

#include <optional>
#include <set>

#include "compiler/backend/slices.h"

namespace rulec::backend {

using Integers = std::vector<std::int64_t>;

namespace {
// What a value reads of an image: rows start, start + step, …, columns alike.
struct Grid {
  ValueId image;
  std::int64_t start[2] = {0, 0}, step[2] = {1, 1};
};
}  // namespace

// A stem's kernel takes no more channels, and multiplies more than Winograd's would for many
// outputs.
static constexpr std::int64_t most_channels = 4, most_outputs = 32;

static std::optional<Shape> image_shape(const Model& model, ValueId id) {
  const Type& type = model.value(id).type;
  if (!type.is_tensor() || type.dtype != DType::F32) return std::nullopt;
  auto shape = type.static_shape();
  return shape && shape->size() == 4 ? shape : std::nullopt;
}

// Through Slices of rows and columns; x itself where there are none.
static std::optional<Grid> grid_of(const Model& model, ValueId x) {
  Grid grid;
  grid.image = x;
  for (;;) {
    const NodeId maker = model.value(grid.image).producer;
    if (!maker || model.node(maker).type != "Slice" || !model.node(maker).domain.empty())
      return grid;
    const ValueId from = model.node(maker).inputs[0];
    const auto shape = image_shape(model, from);
    if (!shape) return std::nullopt;
    const auto cuts = constant_slice(model, maker, *shape);
    if (!cuts) return std::nullopt;
    for (const AxisCut& cut : *cuts) {
      if (cut.axis < 2 || cut.step < 1) return std::nullopt;
      grid.start[cut.axis - 2] = cut.start + cut.step * grid.start[cut.axis - 2];
      grid.step[cut.axis - 2] *= cut.step;
    }
    grid.image = from;
  }
}

// The grids of all pieces, where they are each element of one image once.
static std::optional<std::vector<Grid>> grids_of(const Model& model, const GraphNode& join) {
  std::vector<Grid> grids;
  std::set<std::pair<std::int64_t, std::int64_t>> starts;
  for (const ValueId piece : join.inputs) {
    const auto grid = grid_of(model, piece);
    if (!grid) return std::nullopt;
    grids.push_back(*grid);
    const Grid &g = grids.back(), &first = grids[0];
    const auto whole = image_shape(model, g.image), part = image_shape(model, piece);
    if (!whole || !part || g.image != first.image || g.step[0] != first.step[0] ||
        g.step[1] != first.step[1] || (*part)[0] != (*whole)[0] || (*part)[1] != (*whole)[1]) {
      return std::nullopt;
    }
    for (std::size_t d = 0; d < 2; ++d) {
      if (g.start[d] >= g.step[d] || (*whole)[2 + d] != (*part)[2 + d] * g.step[d])
        return std::nullopt;
    }
    if (!starts.emplace(g.start[0], g.start[1]).second) return std::nullopt;
  }
  const bool all = !grids.empty() && grids.size() > 1 &&
                   static_cast<std::int64_t>(grids.size()) == grids[0].step[0] * grids[0].step[1];
  return all ? std::optional(grids) : std::nullopt;
}

static Tensor spread(const Tensor& w, const std::vector<Grid>& grids, std::int64_t channels) {
  const std::int64_t sh = grids[0].step[0], sw = grids[0].step[1];
  const std::int64_t kh = w.dim(2), kw = w.dim(3), inputs = w.dim(1);
  Tensor made = Tensor::allocate(DType::F32, {w.dim(0), channels, kh * sh, kw * sw});
  for (std::int64_t i = 0; i < w.size(); ++i) {
    const std::int64_t x = i % kw, y = i / kw % kh, in = i / (kw * kh) % inputs;
    const std::int64_t out = i / (kw * kh * inputs);
    const Grid& g = grids[static_cast<std::size_t>(in / channels)];
    const std::int64_t row = y * sh + g.start[0], column = x * sw + g.start[1];
    made.mutable_data<float>()[((out * channels + in % channels) * kh * sh + row) * kw * sw +
                               column] = w.data<float>()[i];
  }
  return made;
}

static bool join_one(Model& model, NodeId id) {
  const GraphNode& n = model.node(id);
  if (n.inputs.size() < 2 || !n.inputs[0] || !n.inputs[1]) return false;
  const auto weights = model.constant(n.inputs[1]);
  const NodeId maker = model.value(n.inputs[0]).producer;
  if (!weights || weights->dtype() != DType::F32 || weights->rank() != 4 || !maker ||
      model.use_count(n.inputs[0]) != 1 || model.is_graph_output(n.inputs[0])) {
    return false;
  }
  const GraphNode& join = model.node(maker);
  const auto list = [&](std::string_view name, std::size_t size, std::int64_t fill) {
    auto v = n.attributes.integers(name);
    if (v.empty()) v.assign(size, fill);
    return v;
  };
  Integers strides = list("strides", 2, 1), pads = list("pads", 4, 0);
  if (join.type != "Concat" || !join.domain.empty() || join.attributes.integer("axis", 1) != 1 ||
      n.attributes.integer("group", 1) != 1 || strides.size() != 2 || pads.size() != 4 ||
      list("dilations", 2, 1) != Integers{1, 1} ||
      n.attributes.text("auto_pad", "NOTSET") != "NOTSET") {
    return false;
  }
  const auto grids = grids_of(model, join);
  if (!grids) return false;
  const ValueId image = (*grids)[0].image;
  const std::int64_t channels = (*image_shape(model, image))[1];
  if (channels > most_channels || weights->dim(0) > most_outputs ||
      weights->dim(1) != channels * static_cast<std::int64_t>(grids->size())) {
    return false;
  }
  Tensor made = spread(*weights, *grids, channels);
  const Integers kernel = {made.dim(2), made.dim(3)};
  for (std::size_t d = 0; d < 2; ++d) {
    const std::int64_t step = (*grids)[0].step[d];
    strides[d] *= step;
    pads[d] *= step;
    pads[2 + d] *= step;
    if (kernel[d] > 64 || pads[d] > 64) return false;
  }
  const ValueId w = model.add_initializer(
      model.main(), model.fresh_value_name(model.value(n.inputs[1]).name), std::move(made));
  model.set_input(id, 0, image);
  model.set_input(id, 1, w);
  GraphNode& changed = model.node(id);
  changed.attributes.set("kernel_shape", kernel);
  changed.attributes.set("strides", strides);
  changed.attributes.set("pads", pads);
  return true;
}

std::size_t join_slices(Model& model) {
  std::size_t count = 0;
  for (NodeId id : model.nodes(model.main())) {
    const GraphNode& n = model.node(id);
    if (n.alive && n.domain.empty() && n.type == "Conv") count += join_one(model, id) ? 1 : 0;
  }
  return count;
}

}  // namespace rulec::backend
