// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/transposed_convs.h"

#include <optional>

namespace rulec::backend {

using Integers = std::vector<std::int64_t>;

namespace {
// Of the spatial dimensions.
struct Form {
  Integers strides, dilations;
  Integers begins, ends;  // padding of the convolution
};
}  // namespace

static std::optional<Form> form_of(const GraphNode& n, const Shape& kernel) {
  const std::size_t rank = kernel.size();
  const auto list = [&](std::string_view name, std::size_t size, std::int64_t fill) {
    auto v = n.attributes.integers(name);
    if (v.empty()) v.assign(size, fill);
    return v;
  };
  if (n.attributes.text("auto_pad", "NOTSET") != "NOTSET") return std::nullopt;
  if (!n.attributes.integers("output_shape").empty()) return std::nullopt;
  Form f;
  f.strides = list("strides", rank, 1);
  f.dilations = list("dilations", rank, 1);
  const Integers pads = list("pads", 2 * rank, 0), extra = list("output_padding", rank, 0);
  if (f.strides.size() != rank || f.dilations.size() != rank || pads.size() != 2 * rank ||
      extra.size() != rank) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < rank; ++i) {
    if (f.strides[i] < 1 || f.dilations[i] < 1) return std::nullopt;
    const std::int64_t reach = f.dilations[i] * (kernel[i] - 1);
    f.begins.push_back(reach - pads[i]);
    // Behind the last element, too, lie as many zeros as between two.
    f.ends.push_back(reach - pads[rank + i] + extra[i] - (f.strides[i] - 1));
    if (f.begins[i] < 0 || f.ends[i] < 0) return std::nullopt;
  }
  return f;
}

// [ic][oc/groups][…] to [oc][ic/groups][…], mirrored.
static Tensor mirrored(const Tensor& w, std::int64_t groups) {
  const std::int64_t in = w.dim(0) / groups, out = w.dim(1);
  const std::int64_t taps = w.size() / (w.dim(0) * out);
  Shape shape = w.shape();
  shape[0] = out * groups;
  shape[1] = in;
  Tensor made = Tensor::allocate(DType::F32, shape);
  for (std::int64_t o = 0; o < shape[0]; ++o) {
    for (std::int64_t i = 0; i < in; ++i) {
      const float* from = w.data<float>() + ((o / out * in + i) * out + o % out) * taps;
      float* to = made.mutable_data<float>() + (o * in + i) * taps;
      for (std::int64_t k = 0; k < taps; ++k)
        to[k] = from[taps - 1 - k];
    }
  }
  return made;
}

static ValueId add_constant(Model& model, const std::string& hint, Tensor tensor) {
  return model.add_initializer(model.main(), model.fresh_value_name(hint), std::move(tensor));
}

// x with strides - 1 zeros behind each element along each spatial dimension.
static ValueId spread(Model& model, NodeId before, ValueId x, const Shape& shape,
                      const Integers& strides) {
  const std::string hint = model.value(x).name;
  Shape wide = {shape[0], shape[1]}, result = wide;
  Integers pads = {0, 0};
  for (std::size_t i = 0; i < strides.size(); ++i) {
    wide.insert(wide.end(), {shape[2 + i], 1});
    pads.insert(pads.end(), {0, strides[i] - 1});
    result.push_back(shape[2 + i] * strides[i]);
  }
  Integers all(pads.size(), 0);
  all.insert(all.end(), pads.begin(), pads.end());
  Shape padded = wide;
  for (std::size_t i = 0; i < padded.size(); ++i)
    padded[i] += pads[i];
  const auto add = [&](const char* type, std::vector<ValueId> in, const Shape& made,
                       std::vector<Attribute> attributes) {
    const NodeId id = model.add_node(model.main(),
                                     {.name = model.fresh_node_name(hint + "_" + type),
                                      .type = type,
                                      .inputs = std::move(in),
                                      .attributes = Attributes(std::move(attributes))},
                                     before);
    const ValueId out = model.node(id).outputs[0];
    model.value(out).type = Type::tensor(DType::F32, made);
    return out;
  };
  const auto integers = [&](const Integers& v) {
    return add_constant(
        model, hint, Tensor::of<std::int64_t>({static_cast<std::int64_t>(v.size())}, std::span(v)));
  };
  ValueId y = add("Reshape", {x, integers(wide)}, wide, {});
  if (model.opset("") < 11) {
    y = add("Pad", {y}, padded, {{"pads", all}});
  } else {
    y = add("Pad", {y, integers(all)}, padded, {});
  }
  return add("Reshape", {y, integers(result)}, result, {});
}

static bool spell_one(Model& model, NodeId id) {
  const GraphNode& n = model.node(id);
  if (n.inputs.size() < 2 || !n.inputs[0] || !n.inputs[1]) return false;
  const auto weights = model.constant(n.inputs[1]);
  const Type& type = model.value(n.inputs[0]).type;
  if (!weights || weights->dtype() != DType::F32 || !type.is_tensor() || type.dtype != DType::F32) {
    return false;
  }
  const auto shape = type.static_shape();
  const std::int64_t groups = n.attributes.integer("group", 1);
  if (!shape || shape->size() != weights->rank() || (shape->size() != 3 && shape->size() != 4) ||
      groups < 1 || weights->dim(0) % groups != 0 || (*shape)[1] != weights->dim(0) ||
      weights->size() == 0) {
    return false;
  }
  const Shape kernel(weights->shape().begin() + 2, weights->shape().end());
  const auto form = form_of(n, kernel);
  if (!form) return false;
  ValueId x = n.inputs[0];
  bool strided = false;
  for (std::int64_t s : form->strides)
    strided = strided || s > 1;
  const std::string hint = model.value(n.inputs[1]).name;
  if (strided) x = spread(model, id, x, *shape, form->strides);
  const ValueId w = add_constant(model, hint, mirrored(*weights, groups));
  model.set_input(id, 0, x);
  model.set_input(id, 1, w);
  GraphNode& changed = model.node(id);
  changed.type = Symbol("Conv");
  Integers pads = form->begins;
  pads.insert(pads.end(), form->ends.begin(), form->ends.end());
  changed.attributes.set("pads", pads);
  changed.attributes.set("strides", Integers(kernel.size(), 1));
  changed.attributes.set("kernel_shape", kernel);
  changed.attributes.erase("output_padding");
  changed.attributes.erase("output_shape");
  return true;
}

std::size_t spell_transposed_convs(Model& model) {
  std::size_t count = 0;
  for (NodeId id : model.nodes(model.main())) {
    const GraphNode& n = model.node(id);
    if (n.alive && n.domain.empty() && n.type == "ConvTranspose") {
      count += spell_one(model, id) ? 1 : 0;
    }
  }
  return count;
}

}  // namespace rulec::backend
