// SPDX-License-Identifier: Apache-2.0
// rulec.FusedConv, which rules/lower makes of a convolution and what follows it: the convolution's
// operation, with an epilogue that its kernel applies before it stores a result.
#include "compiler/backend/lowering.h"
#include "compiler/backend/packing.h"
#include "runtime/operator_names.h"

namespace rulec::backend {

using kernels::Activation;
using kernels::Residual;

static bool is_convolution(Opcode o) {
  return o == Opcode::Conv || o == Opcode::ConvStem || o == Opcode::ConvDepthwise ||
         o == Opcode::ConvWinograd;
}

bool lower_fused_convolution(Lowering& l, NodeId node) {
  const GraphNode& n = l.model.node(node);
  auto e = activation_named(n.attributes);
  if (!e) return l.refuse("an activation without a kernel");
  const auto shape = l.shape(n.outputs[0]);
  if (!shape) return l.refuse("a shape that is not known");
  const ValueId slopes_id = n.inputs.size() > 3 ? n.inputs[3] : ValueId{};
  const ValueId other = n.inputs.size() > 4 ? n.inputs[4] : ValueId{};
  const auto slopes = l.constant(slopes_id);
  if (e->activation == Activation::PRelu && (!slopes || slopes->dtype() != DType::F32 ||
                                             shape->size() != 4 || slopes->size() != (*shape)[1])) {
    return l.refuse("slopes that are not one a channel");
  }
  if (other && (shape->size() != 4 || !l.is_f32(other) || l.shape(other) != shape)) {
    return l.refuse("an addend of another shape");
  }
  const std::size_t first = l.main().operations.size();
  if (!lower_convolution(l, node)) return false;
  std::size_t index = l.main().operations.size();
  while (index > first && !is_convolution(l.operation(index - 1).opcode))
    --index;
  RULEC_CHECK(index > first);
  --index;
  if (e->activation == Activation::PRelu) {
    const std::span<const float> values(slopes->data<float>(),
                                        static_cast<std::size_t>(slopes->size()));
    const Index w = l.add_weight(l.model.value(slopes_id).name, pad_vector(values, (*shape)[1], 0));
    l.operation(index).inputs.push_back(w);
  }
  if (other) {
    const std::size_t before = l.main().operations.size();
    const Index residual = l.blocked(other, 0);
    // What puts the addend into blocks comes before the convolution that reads it.
    if (l.main().operations.size() > before) index = l.move_to_end(index);
    l.operation(index).inputs.push_back(residual);
    e->residual = n.attributes.text("residual", "first") == "first" ? Residual::BeforeActivation
                                                                    : Residual::AfterActivation;
  }
  auto p = l.operation(index).get<kernels::ConvParameters>();
  p.epilogue = *e;
  l.operation(index).set(p);
  return true;
}

}  // namespace rulec::backend
