// SPDX-License-Identifier: Apache-2.0
// Constants of a node that is written: in the element type that the operands beside them have.
#include <algorithm>
#include <cmath>

#include "matcher/emission.h"
#include "matcher/facts.h"
#include "matcher/guard_calls.h"

namespace rulec {

static DType own_dtype(const Scope& scope, const Model& model, const EmitOperand& operand) {
  if (const ValueId* value = operand.value()) return type_of(model, *value).dtype;
  if (const RuleValue* constant = operand.constant()) return stored_dtype(scope, *constant);
  return DType::Undefined;
}

// What a number takes: the element type of an operand of the same type parameter; else the only
// one that is accepted; else the default, or i64 for integers.
Result<DType> Emission::dtype_beside(const OpSchema& schema, const Draft& draft,
                                     std::size_t index) const {
  const Operand* operand = schema_operand(schema, index);
  if (operand == nullptr) return make_error("{} has no operand {}", draft.op.type, index);
  bool beside = false;
  for (std::size_t i = 0; i < draft.operands.size(); ++i) {
    const Operand* other = schema_operand(schema, i);
    if (i == index || other == nullptr || draft.operands[i].absent() ||
        other->type_parameter.empty() || other->type_parameter != operand->type_parameter) {
      continue;
    }
    const DType dtype = own_dtype(scope_, model_, draft.operands[i]);
    if (dtype != DType::Undefined) return dtype;
    beside = beside || draft.operands[i].value() != nullptr;
  }
  if (beside) {
    return make_error("the element type of the operand beside a number of {} is not known",
                      draft.op.type);
  }
  const auto accepts = [&](DType dtype) {
    return operand->dtypes.empty() || std::find(operand->dtypes.begin(), operand->dtypes.end(),
                                                dtype) != operand->dtypes.end();
  };
  if (operand->dtypes.size() == 1) return operand->dtypes.front();
  const auto tensor = as_tensor(scope_, *draft.operands[index].constant());
  const bool integers = tensor && tensor->dtype() == DType::I64;
  const bool texts = tensor && tensor->dtype() == DType::String;
  const bool truths = tensor && tensor->dtype() == DType::Bool;
  if (texts) return DType::String;
  if (truths && accepts(DType::Bool)) return DType::Bool;
  if (accepts(options_.literal_dtype)) return options_.literal_dtype;
  if (integers && accepts(DType::I64)) return DType::I64;
  return operand->dtypes.empty() ? DType::F32 : operand->dtypes.front();
}

ValueId Emission::add_constant(Tensor tensor) {
  const ValueId value = model_.add_initializer(
      options_.graph, model_.fresh_value_name(options_.name_hint + "_const"), std::move(tensor));
  initializers_.push_back(value);
  return value;
}

Result<ValueId> Emission::constant(const RuleValue& value, DType dtype) {
  auto tensor = as_tensor(scope_, value);
  if (!tensor) return make_error("{} is not a constant", to_string(scope_, value));
  if (tensor->dtype() == dtype) return add_constant(*tensor);
  if ((tensor->dtype() == DType::String) != (dtype == DType::String)) {
    return make_error("{} does not become {}", to_string(scope_, value), name(dtype));
  }
  if (!is_float(dtype) && is_float(tensor->dtype())) {
    for (std::int64_t i = 0; i < tensor->size(); ++i) {
      if (std::trunc(tensor->number(i)) != tensor->number(i)) {
        return make_error("{} is not a whole number, as {} wants", to_string(scope_, value),
                          name(dtype));
      }
    }
  }
  return add_constant(convert(*tensor, dtype));
}

Result<ValueId> Emission::materialise(const OpSchema& schema, const Draft& draft,
                                      std::size_t index) {
  const RuleValue& value = *draft.operands[index].constant();
  const DType own = stored_dtype(scope_, value);
  if (own != DType::Undefined) return constant(value, own);
  const auto dtype = dtype_beside(schema, draft, index);
  if (!dtype) return dtype.error();
  return constant(value, *dtype);
}

Status Emission::check_dtypes(const OpSchema& schema, const Draft& draft) const {
  std::vector<std::pair<std::string, DType>> bound;
  for (std::size_t i = 0; i < draft.operands.size(); ++i) {
    const Operand* operand = schema_operand(schema, i);
    const DType dtype = own_dtype(scope_, model_, draft.operands[i]);
    if (operand == nullptr || dtype == DType::Undefined) continue;
    if (!operand->dtypes.empty() &&
        std::find(operand->dtypes.begin(), operand->dtypes.end(), dtype) == operand->dtypes.end()) {
      return make_error("operand `{}` of {} cannot be {}", operand->name, draft.op.type,
                        name(dtype));
    }
    if (operand->type_parameter.empty() || !operand->homogeneous) continue;
    const auto earlier = std::find_if(bound.begin(), bound.end(), [&](const auto& one) {
      return one.first == operand->type_parameter;
    });
    if (earlier == bound.end()) {
      bound.emplace_back(operand->type_parameter, dtype);
    } else if (earlier->second != dtype) {
      return make_error("the operands of {} have different element types: {} and {}", draft.op.type,
                        name(earlier->second), name(dtype));
    }
  }
  return Done{};
}

}  // namespace rulec
