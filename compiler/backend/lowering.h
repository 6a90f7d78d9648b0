// SPDX-License-Identifier: Apache-2.0
#pragma once

// The state of lowering one model, which the families (lower_*.cc) share: where each value of the
// graph lies, in which layouts, and which operation made it. Private to lower*.cc.

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "compiler/backend/build.h"
#include "compiler/backend/lowered.h"
#include "matcher/graph.h"

namespace rulec::backend {

using Index = std::uint32_t;  // of a Value in the main program

class Lowering {
 public:
  explicit Lowering(const Model& m, Optimize o = Optimize::Latency, bool any = false)
      : model(m), optimize(o), any_batch(any) {
    out.programs.emplace_back();
  }

  const Model& model;
  const Optimize optimize;
  const bool any_batch;  // no choice may depend on the size of the batch
  Lowered out;
  Program& main() { return out.programs[0]; }
  Value& value(Index v) { return out.programs[0].values[v]; }
  Operation& operation(std::size_t i) { return out.programs[0].operations[i]; }

  // --- what is known of the graph's values
  // The shape, when it is known and has elements.
  std::optional<Shape> shape(ValueId id) const;
  bool is_f32(ValueId id) const;
  std::shared_ptr<const Tensor> constant(ValueId id) const {
    return id ? model.constant(id) : nullptr;
  }
  // Exactly one reader, which is no output of the graph.
  bool single_use(ValueId id) const;
  std::string name_of(NodeId id) const;

  // --- places of values
  Index plain(ValueId id);           // row-major; a Reorder is added when it must
  Index plain_in_arena(ValueId id);  // and not on the heap: a copy is added when it must
  Index blocked(ValueId id, std::int64_t halo);  // NCHW16c with at least this border
  bool is_blocked(ValueId id) const;             // there already
  bool only_blocked(ValueId id) const;
  void bind(ValueId id, Index v);  // v's layout says which representation it is
  Index bound(ValueId id) const;   // either one, or no_value
  // Numbers of 8 bits, and what is made of them, may lie as [N,H,W,C], plain.
  Index channels_last(ValueId id);  // a transpose is added when it must
  bool is_channels_last(ValueId id) const;
  void bind_channels_last(ValueId id, Index v);
  Index add_channels_last(ValueId like);
  // The value `id` is the transpose to NCHW of this one, which is NHWC.
  void bind_channels_last(ValueId id, ValueId source) { channels_last_[id.index] = source; }
  std::optional<ValueId> channels_last_source(ValueId id) const;

  Index add_arena(ValueId like, format::Layout layout);
  Index add_arena(std::string name, DType dtype, Shape dims, format::Layout layout);
  Index add_weight(std::string name, Tensor tensor);
  // A view of a row-major arena value (or part of it) under another shape.
  Index add_alias(Index whole, std::string name, Shape dims, std::int64_t byte_offset = 0);

  // `v` became a part of `whole`: what was a part of v is now one of whole.
  void adopt_aliases(Index v, Index whole);

  // --- operations
  Operation& add(Opcode opcode, NodeId node, std::vector<Index> inputs, std::vector<Index> outputs);
  // The fast operation that made a value.
  std::optional<std::size_t> maker(Index v) const;
  // The operation that `id` comes from, when nothing else reads what it makes, so that more may be
  // fused into it.
  std::optional<std::size_t> fusable_maker(ValueId id) const;
  // Two values of the graph share v: nothing may be fused into what makes it.
  void share(Index v) { shared_.insert(v); }
  bool is_shared(Index v) const { return shared_.contains(v); }
  // Moves an operation to the end of the program, so that it may read what was made since.
  std::size_t move_to_end(std::size_t index);
  // The operation's result is from now on that of `node`, whose output is `id`.
  void retarget(std::size_t index, NodeId node, ValueId id);
  void report(NodeId node, std::string kernel, std::string note);
  // Why no fast kernel was chosen for the node at hand.
  bool refuse(std::string why) {
    reason = std::move(why);
    return false;
  }
  std::string reason;

  // `plan`: a fast kernel may do it where the run's shapes allow; its weights are packed now.
  void lower_generic(NodeId node, bool plan);

 private:
  using Scopes = std::vector<std::unordered_map<Index, Index>*>;  // outermost first
  // A body and its values; returns the program's number.
  Index lower_body(GraphId graph, Index parent, const Scopes& scopes);
  void lower_generic_into(Index program, NodeId node, const Scopes& scopes);
  Index look_up(Index program, ValueId id, const Scopes& scopes);
  // The node as a generic operation, without its operands and results.
  Operation generic_operation(Index program, NodeId node, const Scopes& scopes);
  // Weights for the plan of a convolution or product: operands behind those of its generic kernel.
  void pack_operands(Index program, NodeId node, Operation& op);
  Index add_weight_to(Index program, std::string name, Tensor tensor);
  bool plan_ = false;  // of the node of the main graph at hand, and so of its bodies

  struct Places {
    Index plain = no_value, blocked = no_value, last = no_value;
  };
  // A copy of `from` to `to`, which has the shape `dims` or, channels last, its transpose.
  void add_transpose(Index from, Index to, const Shape& dims, bool to_channels_last);
  std::unordered_map<Index, Places> places_;
  std::unordered_map<Index, ValueId> channels_last_;
  std::unordered_map<Index, std::size_t> maker_;
  std::unordered_set<Index> shared_;
};

// Families: each lowers the node by a fast kernel, or returns false and says why in l.reason.
bool lower_convolution(Lowering& l, NodeId node);
bool lower_pooling(Lowering& l, NodeId node);
bool lower_elementwise(Lowering& l, NodeId node);
bool lower_matmul(Lowering& l, NodeId node);
bool lower_rows(Lowering& l, NodeId node);      // Softmax, LayerNormalization, Reduce*
bool lower_movement(Lowering& l, NodeId node);  // Reshape, Transpose, Concat, Slice, …
bool lower_resize(Lowering& l, NodeId node);
bool lower_recurrent(Lowering& l, NodeId node);
bool lower_quantized(Lowering& l, NodeId node);          // QuantizeLinear, rulec.QuantizedAdd, …
bool lower_quantized_product(Lowering& l, NodeId node);  // QLinearConv, rulec.QuantizedConv, …
bool lower_typed(Lowering& l, NodeId node);  // Cast, Where, comparisons, logic, integers

// rulec.FusedConv: a convolution, then its epilogue.
bool lower_fused_convolution(Lowering& l, NodeId node);

// A convolution of one signal without padding by filters [n][1][…][window], one or many.
bool lower_filter_bank(Lowering& l, NodeId node, const Tensor& weights, const Tensor* bias,
                       std::int64_t stride);

}  // namespace rulec::backend
