// SPDX-License-Identifier: Apache-2.0
#include "matcher/onnx_type_proto.h"

namespace rulec {

template <typename Proto>
static void put_tensor(const Type& type, Proto& to) {
  if (type.dtype != DType::Undefined) to.set_elem_type(static_cast<int>(type.dtype));
  if (!type.dims) return;
  auto* const shape = to.mutable_shape();
  for (const Dim& dim : *type.dims) {
    auto* const one = shape->add_dim();
    if (dim.known()) {
      one->set_dim_value(dim.size);
    } else if (!dim.symbol.empty()) {
      one->set_dim_param(dim.symbol);
    }
  }
}

void to_proto(const Type& type, onnx::TypeProto& to) {
  switch (type.kind) {
    case Type::Kind::Unknown:
      return;
    case Type::Kind::Tensor:
      return put_tensor(type, *to.mutable_tensor_type());
    case Type::Kind::SparseTensor:
      return put_tensor(type, *to.mutable_sparse_tensor_type());
    case Type::Kind::Sequence:
      if (type.element) to_proto(*type.element, *to.mutable_sequence_type()->mutable_elem_type());
      return;
    case Type::Kind::Optional:
      if (type.element) to_proto(*type.element, *to.mutable_optional_type()->mutable_elem_type());
      return;
    case Type::Kind::Map:
      to.mutable_map_type()->set_key_type(static_cast<int>(type.dtype));
      if (type.element) to_proto(*type.element, *to.mutable_map_type()->mutable_value_type());
      return;
  }
}

static DType dtype_from(int number) {
  return number >= 0 && number <= static_cast<int>(DType::I2) ? static_cast<DType>(number)
                                                              : DType::Undefined;
}

template <typename Proto>
static Type take_tensor(Type::Kind kind, const Proto& from) {
  Type type;
  type.kind = kind;
  type.dtype = dtype_from(from.elem_type());
  if (!from.has_shape()) return type;
  type.dims.emplace();
  for (const auto& dim : from.shape().dim()) {
    Dim& to = type.dims->emplace_back();
    if (dim.has_dim_value() && dim.dim_value() >= 0) to.size = dim.dim_value();
    if (dim.has_dim_param()) to.symbol = dim.dim_param();
  }
  return type;
}

Type from_proto(const onnx::TypeProto& proto) {
  Type type;
  const auto contain = [&type](Type::Kind kind, const onnx::TypeProto& element) {
    type.kind = kind;
    type.element = std::make_shared<Type>(from_proto(element));
  };
  switch (proto.value_case()) {
    case onnx::TypeProto::kTensorType:
      return take_tensor(Type::Kind::Tensor, proto.tensor_type());
    case onnx::TypeProto::kSparseTensorType:
      return take_tensor(Type::Kind::SparseTensor, proto.sparse_tensor_type());
    case onnx::TypeProto::kSequenceType:
      contain(Type::Kind::Sequence, proto.sequence_type().elem_type());
      return type;
    case onnx::TypeProto::kOptionalType:
      contain(Type::Kind::Optional, proto.optional_type().elem_type());
      return type;
    case onnx::TypeProto::kMapType:
      contain(Type::Kind::Map, proto.map_type().value_type());
      type.dtype = dtype_from(proto.map_type().key_type());
      return type;
    default:
      return type;
  }
}

}  // namespace rulec
