// SPDX-License-Identifier: Apache-2.0
// dump(): graphs in the order in which they are met, nested ones below their node. The stack of
// places to go on at replaces recursion.
#include <algorithm>
#include <iterator>

#include "matcher/graph.h"

namespace rulec {

namespace {

class Printer {
 public:
  explicit Printer(const Model& model) : model_(model) {}

  std::string print() {
    graph(model_.main(), "graph");
    for (const Function& function : model_.functions) {
      graph(function.body, fmt::format("function {}::{}", function.domain, function.name));
    }
    return fmt::to_string(out_);
  }

 private:
  struct Frame {
    GraphId graph;
    NodeId next;                   // to print
    std::vector<GraphId> pending;  // bodies of the node printed last, in reverse
  };

  template <typename... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
  }
  void indent(std::size_t depth) { put("{:{}}", "", 2 * depth); }
  void name(ValueId id) {
    if (id) {
      put("%{}", model_.value(id).name);
    } else {
      put("none");
    }
  }

  void graph(GraphId root, std::string_view title) {
    std::vector<Frame> stack;
    open(stack, root, title);
    while (!stack.empty()) {
      Frame& frame = stack.back();
      if (!frame.pending.empty()) {
        const GraphId body = frame.pending.back();
        frame.pending.pop_back();
        open(stack, body, "graph");
      } else if (frame.next) {
        const NodeId id = frame.next;
        frame.next = model_.next_node(id);
        node(id, stack.size());
        frame.pending = model_.bodies(id);
        std::reverse(frame.pending.begin(), frame.pending.end());
      } else {
        const std::vector<ValueId>& outputs = model_.graph(frame.graph).outputs;
        indent(stack.size());
        put("return");
        for (std::size_t i = 0; i < outputs.size(); ++i) {
          put("{}", i == 0 ? " " : ", ");
          name(outputs[i]);
        }
        put("\n");
        stack.pop_back();
        indent(stack.size());
        put("}}\n");
      }
    }
  }

  void open(std::vector<Frame>& stack, GraphId id, std::string_view title) {
    const GraphInfo& info = model_.graph(id);
    indent(stack.size());
    put("{} {}(", title, info.name);
    for (std::size_t i = 0; i < info.inputs.size(); ++i) {
      put("{}%{} : {}", i == 0 ? "" : ", ", model_.value(info.inputs[i]).name,
          to_string(model_.value(info.inputs[i]).type));
    }
    put(") {{\n");
    stack.push_back({.graph = id, .next = model_.first_node(id), .pending = {}});
    for (const ValueId constant : info.initializers) {
      const GraphValue& it = model_.value(constant);
      indent(stack.size());
      put("%{} = {} : {}\n", it.name, it.sparse_initializer ? "sparse initializer" : "initializer",
          to_string(it.type));
    }
  }

  void node(NodeId id, std::size_t depth) {
    const GraphNode& it = model_.node(id);
    indent(depth);
    for (std::size_t i = 0; i < it.outputs.size(); ++i) {
      put("{}", i == 0 ? "" : ", ");
      if (it.outputs[i]) {
        name(it.outputs[i]);
      } else {
        put("_");
      }
    }
    put(" = {}{}{}(", it.domain, it.domain.empty() ? "" : "::", it.type);
    for (std::size_t i = 0; i < it.inputs.size(); ++i) {
      put("{}", i == 0 ? "" : ", ");
      name(it.inputs[i]);
    }
    put(")");
    const auto& attributes = it.attributes.all();
    if (!attributes.empty()) put("{{");
    for (std::size_t i = 0; i < attributes.size(); ++i) {
      put("{}{} = ", i == 0 ? "" : ", ", attributes[i].name);
      attribute(attributes[i].value);
    }
    if (!attributes.empty()) put("}}");
    for (std::size_t i = 0; i < it.outputs.size(); ++i) {
      put("{}{}", i == 0 ? " : " : ", ",
          it.outputs[i] ? to_string(model_.value(it.outputs[i]).type) : "_");
    }
    put("\n");
  }

  void attribute(const AttributeValue& value) {
    if (const auto* i = std::get_if<std::int64_t>(&value)) return put("{}", *i);
    if (const auto* f = std::get_if<float>(&value)) return put("{:g}", *f);
    if (const auto* s = std::get_if<std::string>(&value)) return put("\"{}\"", *s);
    if (const auto* t = std::get_if<Tensor>(&value)) {
      put("{}", to_string(Type::tensor(t->dtype(), t->shape())));
      if (t->size() <= 8 && t->dtype() != DType::String && !is_complex(t->dtype())) {
        put("{{{}}}", fmt::join(t->numbers(), ", "));
      }
      return;
    }
    if (const auto* all = std::get_if<std::vector<std::int64_t>>(&value)) {
      return put("[{}]", fmt::join(*all, ", "));
    }
    if (const auto* all = std::get_if<std::vector<float>>(&value)) {
      return put("[{}]", fmt::join(*all, ", "));
    }
    if (const auto* all = std::get_if<std::vector<std::string>>(&value)) {
      return put("[\"{}\"]", fmt::join(*all, "\", \""));
    }
    if (const auto* g = std::get_if<GraphId>(&value)) return put("{}", model_.graph(*g).name);
    if (const auto* all = std::get_if<std::vector<GraphId>>(&value)) {
      return put("[{} graphs]", all->size());
    }
    if (const auto* ref = std::get_if<RefAttribute>(&value)) return put("@{}", ref->name);
    if (const auto* all = std::get_if<std::vector<Tensor>>(&value)) {
      return put("[{} tensors]", all->size());
    }
    put("{}", std::holds_alternative<SparseTensor>(value) ? "sparse" : "type");
  }

  const Model& model_;
  fmt::memory_buffer out_;
};

}  // namespace

std::string dump(const Model& model) {
  return Printer(model).print();
}

}  // namespace rulec
