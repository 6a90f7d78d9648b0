// SPDX-License-Identifier: Apache-2.0
#include "matcher/declared_types.h"

#include <algorithm>
#include <map>
#include <optional>

#include "matcher/facts.h"

namespace rulec {

using Sizes = std::map<std::string, Dim>;

bool can_meet(const DeclaredShape& a, const DeclaredShape& b) {
  const std::size_t common = std::min(a.dims.size(), b.dims.size());
  if (a.dims.size() > common && !b.open) return false;
  if (b.dims.size() > common && !a.open) return false;
  for (std::size_t i = 0; i < common; ++i)
    if (a.dims[i].known() && b.dims[i].known() && a.dims[i].size != b.dims[i].size) return false;
  return true;
}

std::string to_string(const DeclaredShape& shape) {
  std::vector<std::string> parts;
  for (const Dim& dim : shape.dims)
    parts.push_back(dim.known()          ? fmt::format("{}", dim.size)
                    : dim.symbol.empty() ? std::string("?")
                                         : dim.symbol);
  if (shape.open) parts.emplace_back("...");
  return fmt::format("[{}]", fmt::join(parts, ","));
}

// The sizes after an operand of this shape, or nothing where it contradicts them.
static std::optional<Sizes> bound(const DeclaredShape& shape, const std::vector<Dim>& dims,
                                  Sizes sizes) {
  if (!can_meet(shape, {dims, false})) return std::nullopt;
  for (std::size_t i = 0; i < shape.dims.size(); ++i) {
    if (shape.dims[i].symbol.empty()) continue;
    Dim& size = sizes[shape.dims[i].symbol];
    if (size.known() && dims[i].known() && size.size != dims[i].size) return std::nullopt;
    if (dims[i].known() || (!size.known() && size.symbol.empty())) size = dims[i];
  }
  return sizes;
}

// Of several element types the one that the operands have that are declared with the same ones,
// where each of these is there and they agree; else unknown.
static DType result_dtype(const Operand& result, const OpSchema& schema, const Model& model,
                          const GraphNode& node) {
  if (result.dtypes.size() == 1) return result.dtypes.front();
  DType common = DType::Undefined;
  const auto same = [&](const Operand& operand) {
    return std::is_permutation(operand.dtypes.begin(), operand.dtypes.end(), result.dtypes.begin(),
                               result.dtypes.end());
  };
  const std::size_t count = std::max(node.inputs.size(), schema.inputs.size());
  for (std::size_t i = 0; i < count && !schema.inputs.empty() && !result.dtypes.empty(); ++i) {
    const Operand& operand = schema.inputs[std::min(i, schema.inputs.size() - 1)];
    if (!same(operand)) continue;
    if (i >= node.inputs.size() && operand.kind == OperandKind::Variadic) break;
    if (i >= node.inputs.size() || !node.inputs[i]) return DType::Undefined;
    const DType dtype = type_of(model, node.inputs[i]).dtype;
    if (dtype == DType::Undefined || (common != DType::Undefined && common != dtype))
      return DType::Undefined;
    common = dtype;
  }
  return common;
}

static Type result_type(const Operand& result, DType dtype, const Sizes& sizes) {
  Type type;
  const bool one_dtype = dtype != DType::Undefined;
  const bool one_shape = result.shapes.size() == 1 && !result.shapes.front().open;
  if (!one_dtype && !one_shape) return type;
  type.kind = Type::Kind::Tensor;
  type.dtype = dtype;
  if (!one_shape) return type;
  type.dims.emplace();
  for (const Dim& dim : result.shapes.front().dims) {
    const auto at = sizes.find(dim.symbol);
    type.dims->push_back(dim.known() ? dim : at == sizes.end() ? Dim{} : at->second);
  }
  return type;
}

Result<std::vector<Type>> declared_types(const OpSchema& schema, const Model& model,
                                         const GraphNode& node) {
  Sizes sizes;
  for (std::size_t i = 0; i < node.inputs.size() && !schema.inputs.empty(); ++i) {
    const Operand& operand = schema.inputs[std::min(i, schema.inputs.size() - 1)];
    if (!node.inputs[i] || operand.shapes.empty()) continue;
    const Type type = type_of(model, node.inputs[i]);
    if (!type.dims) continue;
    std::optional<Sizes> found;
    std::size_t fitting = 0;
    for (const DeclaredShape& shape : operand.shapes) {
      auto after = bound(shape, *type.dims, sizes);
      if (!after) continue;
      found = std::move(after);
      ++fitting;
    }
    if (fitting == 0) {
      std::vector<std::string> shapes;
      for (const DeclaredShape& shape : operand.shapes)
        shapes.push_back(to_string(shape));
      return make_error("operand `{}` of {} is {}, declared as {}", operand.name, node.type,
                        to_string(type), fmt::join(shapes, " | "));
    }
    // Of several readings none is sure.
    if (fitting == 1) sizes = std::move(*found);
  }
  std::vector<Type> types(node.outputs.size());
  for (std::size_t i = 0; i < types.size() && !schema.outputs.empty(); ++i) {
    const Operand& result = schema.outputs[std::min(i, schema.outputs.size() - 1)];
    types[i] = result_type(result, result_dtype(result, schema, model, node), sizes);
  }
  return types;
}

}  // namespace rulec
