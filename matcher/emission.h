// SPDX-License-Identifier: Apache-2.0
#pragma once

// Private to emit: a replacement being made, expression by expression. What fails is taken back.

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "matcher/emit.h"
#include "matcher/op_table.h"

namespace rulec {

// What stands in an operand's place: nothing, a value of the graph, or a constant still to be made,
// whose element type the operands beside it may decide.
struct EmitOperand {
  std::variant<None, ValueId, RuleValue> what;

  bool absent() const { return what.index() == 0; }
  const ValueId* value() const { return std::get_if<ValueId>(&what); }
  const RuleValue* constant() const { return std::get_if<RuleValue>(&what); }
};

class Emission {
 public:
  Emission(Model& model, const Scope& scope, const EmitOptions& options)
      : model_(model), scope_(scope), options_(options) {}

  Result<Emitted> run(ExprId expr);

 private:
  // The node of an operator over operands; `attributes` are checked against the schema.
  struct Draft {
    OpName op;
    std::vector<EmitOperand> operands;
    std::vector<Attribute> attributes;
    // Attribute values not yet of a kind.
    std::vector<std::pair<std::string, RuleValue>> loose;
    std::size_t output_count = 1;
    bool outermost = false;
    NodeId changes;  // the node this is a changed copy of
  };

  Result<EmitOperand> operand(ExprId expr);
  Result<EmitOperand> apply_operand(const Expr& expr);
  Result<EmitOperand> call_operand(const Expr& expr);
  Result<EmitOperand> evaluated(ExprId expr);
  Result<EmitOperand> not_empty(const EmitOperand& boxes);
  Result<std::vector<ValueId>> emit_node(const Expr& expr, bool outermost);
  std::size_t most_results(const OpName& op) const;
  int opset_for(const OpName& op) const;
  std::vector<ValueId> computed(NodeId node);
  Status take_declared_types(const OpSchema& schema, NodeId node);
  Result<std::vector<ValueId>> make(Draft draft);
  Result<EmitOperand> make_operand(std::string type, std::vector<EmitOperand> operands,
                                   std::vector<Attribute> attributes = {},
                                   std::vector<std::pair<std::string, RuleValue>> loose = {});
  Result<std::vector<ValueId>> inline_body(const Expr& expr);
  Result<std::vector<ValueId>> call_template(const Expr& expr);
  Result<std::vector<Binding>> bind_call(const Expr& expr, const Template& templ);
  Status bind_port(const Port& port, ExprId given, const Template& templ,
                   std::vector<Binding>& slots);
  Result<std::vector<ValueId>> emit_template(const Template& templ, const TemplateBody& body,
                                             const Scope& inner, std::vector<Binding>& slots);

  Status add_arguments(const Emit& emit, Draft& draft);
  Status add_attributes(const Emit& emit, Draft& draft);
  Status place_attributes(const OpSchema& schema, Draft& draft);
  Status place_attribute(const OpSchema& schema, Draft& draft, const std::string& name,
                         const RuleValue* loose, const AttributeValue* given);
  Status operands_to_attributes(const OpSchema& schema, Draft& draft);
  Status check_arity(const OpSchema& schema, Draft& draft) const;
  Result<DType> dtype_beside(const OpSchema& schema, const Draft& draft, std::size_t index) const;
  Result<ValueId> materialise(const OpSchema& schema, const Draft& draft, std::size_t index);
  Status check_dtypes(const OpSchema& schema, const Draft& draft) const;
  Result<ValueId> constant(const RuleValue& value, DType dtype);
  ValueId add_constant(Tensor tensor);
  void split_attributes(Draft& draft);
  void import_domain(const std::string& domain);
  void take_back();

  Model& model_;
  const Scope& scope_;
  const EmitOptions& options_;
  std::vector<NodeId> nodes_;
  std::vector<ValueId> initializers_;
  std::vector<std::string> assumed_;
};

const Operand* schema_operand(const OpSchema& schema, std::size_t index);

}  // namespace rulec
