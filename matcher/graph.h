// SPDX-License-Identifier: Apache-2.0
#pragma once

// A whole ONNX model in memory, made to be rewritten: nodes, values and (nested) graphs are ids
// into vectors of one Model, so that a value captured by a Loop's body is the same ValueId inside
// and outside. Uses of a value are a linked list: replacing one costs O(1). Weights are views of
// the mapped file. Not a protobuf: import_onnx and export_onnx (matcher/onnx_io.h) translate.
//
//   Model model = …;
//   GraphId g = model.main();
//   NodeId relu = model.add_node(g, {.type = "Relu", .inputs = {x}, .output_count = 1}, before);
//   model.replace_uses(y, model.node(relu).outputs[0]);
//   model.remove_node(old);

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "matcher/chunked.h"
#include "matcher/rare.h"
#include "matcher/small_vector.h"
#include "matcher/symbol.h"
#include "matcher/type.h"
#include "runtime/attribute.h"
#include "runtime/id.h"
#include "runtime/result.h"
#include "runtime/tensor.h"

namespace rulec {

struct NodeTag {
  static constexpr char prefix = 'n';
};
struct ValueTag {
  static constexpr char prefix = 'v';
};
using NodeId = Id<NodeTag>;
using ValueId = Id<ValueTag>;

// A key-value pair of metadata_props (of a model, graph, node or value).
struct Metadata {
  std::string key;
  std::string value;
};

// Where a value is read: operand `slot` of a node, or output `slot` of a graph (then node is none).
struct Use {
  NodeId node;
  GraphId graph;  // of the node, or whose output it is
  std::uint32_t slot = 0;
  friend bool operator==(const Use&, const Use&) = default;
};

// Where an initializer was read from.
struct TensorSource {
  const Tensor* tensor = nullptr;  // what was read; another one: the source is out of date
  std::string name;                // as it stands in the bytes
  std::string_view bytes;          // of the TensorProto, in Model::storage
  std::string external;            // the file that holds its data, absolute; empty: itself
};

// A value of a graph: what one node, one graph input or one initializer gives.
struct GraphValue {
  std::string name;  // may repeat in graphs that do not see one another
  Type type;
  GraphId graph;             // that defines it
  NodeId producer;           // none for graph inputs and initializers
  std::uint32_t output = 0;  // which of the producer's outputs
  bool is_input = false;     // a formal input of `graph`
  bool alive = true;
  // Set for an initializer (is_input too where the file lists it among the inputs: then it is a
  // default that a caller may override, constant only when ir_version < 4).
  std::shared_ptr<const Tensor> initializer;
  std::shared_ptr<const SparseTensor> sparse_initializer;  // then `initializer` is null
  // The TensorProto that `initializer` was read from, where writing the tensor anew would not give
  // it back (typed data, a doc string, external data). Written as it is while both are unchanged.
  std::shared_ptr<const TensorSource> source;
  Rare<std::vector<Metadata>> metadata;
  Rare<std::string> leftover;  // unknown fields and doc string of its ValueInfoProto, serialized
};

// Operands or results of a node.
using ValueIds = SmallVector<ValueId, 4>;

struct GraphNode {
  std::string name;
  Symbol domain;    // "" is the standard's own ("ai.onnx" is folded into it)
  Symbol type;      // "Conv"
  Symbol overload;  // of a model-local function
  GraphId graph;
  bool alive = true;
  ValueIds inputs;        // none (default id) where an optional operand is absent
  ValueIds outputs;       // none where an output is not named
  Attributes attributes;  // nested graphs are GraphIds of the same Model
  Rare<std::vector<Metadata>> metadata;
  Rare<std::string> leftover;  // unknown fields and doc string of the NodeProto, serialized
};

struct GraphInfo {
  std::string name;
  NodeId owner;    // the node whose attribute it is; none for the main graph and functions
  GraphId parent;  // graph of `owner`
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;       // every slot is a Use of its value
  std::vector<ValueId> initializers;  // in file order
  std::vector<ValueId> value_info;    // whose types the file declares, and an export writes
  bool alive = true;
  std::vector<Metadata> metadata;
  std::string leftover;  // doc string, quantization annotations, unknown fields
};

// A model-local function: its body is a graph whose attributes may be RefAttributes.
struct Function {
  std::string domain, name, overload;
  std::vector<std::string> attributes;        // required parameters
  std::vector<Attribute> attribute_defaults;  // parameters with a default
  std::vector<std::pair<std::string, std::int64_t>> opset_imports;
  GraphId body;
  std::vector<Metadata> metadata;
  std::string leftover;
};

// What add_node needs to know.
struct NewNode {
  std::string name = {};  // made unique by the caller
  Symbol domain = {};
  Symbol type;
  ValueIds inputs = {};
  std::size_t output_count = 1;
  std::vector<std::string> output_names = {};  // shorter lists are filled by fresh names
  Attributes attributes = {};
  std::vector<Metadata> metadata = {};
  Symbol overload = {};
};

class Model {
 public:
  Model();

  // --- the model itself
  std::int64_t ir_version = 10;
  std::string producer_name, producer_version, domain, doc_string;
  std::int64_t model_version = 0;
  std::vector<std::pair<std::string, std::int64_t>> opset_imports;  // in file order, "" = ai.onnx
  std::vector<Metadata> metadata;
  std::vector<Function> functions;
  std::string leftover;                 // unknown fields of the ModelProto, serialized
  std::shared_ptr<const void> storage;  // the mapped files that weights point into
  std::string path;                     // where it was read from, for messages; may be empty

  // The opset of a domain; 0 where it is not imported.
  std::int64_t opset(std::string_view domain) const;

  // --- reading
  GraphId main() const { return {0}; }
  const GraphNode& node(NodeId id) const { return nodes_[id.index]; }
  const GraphValue& value(ValueId id) const { return values_[id.index]; }
  const GraphInfo& graph(GraphId id) const { return graphs_[id.index]; }
  std::size_t node_capacity() const { return nodes_.size(); }  // ids are below this
  std::size_t value_capacity() const { return values_.size(); }
  std::size_t graph_capacity() const { return graphs_.size(); }
  std::size_t live_nodes() const { return live_nodes_; }  // of all graphs

  // Nodes of one graph in their order (a topological one), without its nested graphs.
  NodeId first_node(GraphId graph) const;
  NodeId last_node(GraphId graph) const;
  NodeId next_node(NodeId id) const;
  NodeId previous_node(NodeId id) const;
  std::vector<NodeId> nodes(GraphId graph) const;
  // Strictly grows along the order of one graph; amortised O(1), also after insertions.
  std::uint64_t order_key(NodeId id) const;
  bool before(NodeId a, NodeId b) const { return order_key(a) < order_key(b); }  // same graph

  // All uses of a value, those in nested graphs included, in a fixed order. A view: who changes
  // uses while walking over them copies them first, into a std::vector<Use>.
  class Uses;
  Uses uses(ValueId id) const;
  std::size_t use_count(ValueId id) const;
  bool is_graph_output(ValueId id) const;
  // Nested graphs of a node, in attribute order.
  std::vector<GraphId> bodies(NodeId id) const;
  // Whether `inner` is `outer` or lies in it, however deep.
  bool encloses(GraphId outer, GraphId inner) const;
  // The tensor of a compile-time constant: an initializer that no caller can override, or the
  // output of a Constant node; null otherwise.
  std::shared_ptr<const Tensor> constant(ValueId id) const;

  // --- changing
  GraphNode& node(NodeId id) { return nodes_[id.index]; }  // not inputs/outputs: see set_input
  GraphValue& value(ValueId id) { return values_[id.index]; }
  GraphInfo& graph(GraphId id) { return graphs_[id.index]; }  // not outputs: see set_output

  // Makes room for so many more, to save the growing; says nothing of how many will come.
  void reserve(std::size_t nodes, std::size_t values);
  // The node will be added soon: memory for its names is fetched meanwhile.
  void expect(const NewNode& node) const;
  GraphId add_graph(std::string name, NodeId owner = {});  // owner gets no attribute: set it after
  // Adds before `before`, or at the end when it is none.
  NodeId add_node(GraphId graph, NewNode node, NodeId before = {});
  ValueId add_input(GraphId graph, std::string name, Type type);
  ValueId add_initializer(GraphId graph, std::string name, Tensor tensor);  // typed by it
  void add_output(GraphId graph, ValueId value);
  ValueId add_node_output(NodeId node, std::string name);  // one more output

  void set_input(NodeId node, std::size_t slot, ValueId value);  // appends when slot is the size
  void resize_inputs(NodeId node, std::size_t count);
  void set_output(GraphId graph, std::size_t slot, ValueId value);
  void set_outputs(GraphId graph, std::vector<ValueId> values);  // exactly these, in this order
  void replace_use(const Use& use, ValueId by);
  void replace_uses(ValueId value, ValueId by);  // all of them, graph outputs included
  void rename(ValueId value, std::string name);
  void move_before(NodeId node, NodeId before);  // within its graph
  void remove_node(NodeId node);                 // its outputs must be unused; nested graphs go too
  void remove_initializer(ValueId value);        // must be unused
  void remove_input(GraphId graph, ValueId value);  // must be unused
  // Gives a nested graph to another node (whose attribute must name it): so that a node can be
  // replaced by a changed copy and removed without its bodies.
  void adopt_graph(GraphId graph, NodeId owner);
  void remove_graph(GraphId graph);  // a nested graph that no attribute names any more

  // A name not used by any value (or node) of the model: `hint`, `hint_1`, …
  std::string fresh_value_name(std::string_view hint);
  std::string fresh_node_name(std::string_view hint);

  // Checks every invariant (lists, uses, order, ownership); for tests and after rewrites in debug.
  Status verify() const;

 private:
  // One operand that reads a value: an entry of that value's doubly linked list. Operands of one
  // node (or outputs of one graph) lie side by side in a block of `uses_`.
  struct UseLink {
    Use use;
    ValueId value;  // whose list it is in; none when the operand is absent
    std::uint32_t previous = none, next = none;
  };
  struct Block {
    std::uint32_t first = 0, capacity = 0;
  };
  struct NodeLink {
    NodeId previous, next;
    std::uint64_t key = 0;
    Block uses;
  };
  struct ValueLink {
    std::uint32_t first = none, last = none, count = 0;
  };
  struct GraphLink {
    NodeId first, last;
    Block uses;
  };
  // Hashes of names in use: a false positive only skips a candidate name.
  struct NameSet {
    std::vector<std::uint32_t> slots;
    std::size_t count = 0;
    std::unordered_map<std::string, std::uint64_t> counters;
    void reserve(std::size_t names);
    bool insert(std::uint32_t hash);
    void expect(std::string_view name) const;
  };
  static constexpr std::uint32_t none = UINT32_MAX;

  void reserve_uses(Block& block, std::size_t held, std::size_t count);
  void release_uses(Block& block);
  void link_use(std::uint32_t at, Use use, ValueId value);
  void unlink_use(std::uint32_t at);
  void link_node(NodeId id, NodeId before);
  void unlink_node(NodeId id);
  void make_gap(NodeId before);
  void drop_graph(GraphId graph);
  static std::string fresh_name(NameSet& names, std::string_view hint);
  static void note_name(NameSet& names, std::string_view name);
  ValueId add_value(GraphId graph, std::string name);
  Status verify_values() const;
  Status verify_graph(GraphId graph) const;
  Status verify_uses() const;

  Chunked<GraphNode> nodes_;
  Chunked<GraphValue> values_;
  std::vector<GraphInfo> graphs_;
  std::vector<NodeLink> node_links_;
  std::vector<ValueLink> value_links_;
  std::vector<GraphLink> graph_links_;
  std::vector<UseLink> uses_;
  std::vector<std::vector<std::uint32_t>> free_blocks_;  // by the logarithm of their capacity
  std::size_t live_nodes_ = 0;
  NameSet value_names_, node_names_;
};

class Model::Uses {
 public:
  class Iterator {
   public:
    using value_type = Use;
    using difference_type = std::ptrdiff_t;
    using reference = const Use&;
    using pointer = const Use*;
    using iterator_category = std::forward_iterator_tag;
    Iterator() = default;
    Iterator(const UseLink* all, std::uint32_t at) : all_(all), at_(at) {}
    const Use& operator*() const { return all_[at_].use; }
    const Use* operator->() const { return &all_[at_].use; }
    Iterator& operator++() {
      at_ = all_[at_].next;
      return *this;
    }
    Iterator operator++(int) {
      const Iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.at_ == b.at_; }

   private:
    const UseLink* all_ = nullptr;
    std::uint32_t at_ = none;
  };

  Iterator begin() const { return {all_, list_.first}; }
  Iterator end() const { return {all_, none}; }
  std::size_t size() const { return list_.count; }
  bool empty() const { return list_.count == 0; }
  operator std::vector<Use>() const { return {begin(), end()}; }

 private:
  friend class Model;
  Uses(const UseLink* all, const ValueLink& list) : all_(all), list_(list) {}
  const UseLink* all_;
  ValueLink list_;
};

inline Model::Uses Model::uses(ValueId id) const {
  return {uses_.data(), value_links_[id.index]};
}

inline std::size_t Model::use_count(ValueId id) const {
  return value_links_[id.index].count;
}

// One line per node, nested graphs indented: `%y = Relu(%x) : f32[N,128]`. For dumps and tests.
std::string dump(const Model& model);

}  // namespace rulec
