// SPDX-License-Identifier: Apache-2.0
#include "matcher/widen.h"

#include <algorithm>
#include <cstring>

namespace rulec {

static std::size_t alignment_of(DType dtype) {
  const int bits = std::clamp(bit_width(dtype), 8, 64);
  return static_cast<std::size_t>(bits) / 8;
}

Tensor aligned(const Tensor& tensor) {
  if (!tensor.defined() || tensor.dtype() == DType::String) return tensor;
  const auto at = reinterpret_cast<std::uintptr_t>(tensor.bytes().data());
  if (at % alignment_of(tensor.dtype()) == 0) return tensor;
  Tensor copy = Tensor::allocate(tensor.dtype(), tensor.shape());
  std::memcpy(copy.mutable_data<std::byte>(), tensor.bytes().data(), tensor.byte_size());
  return copy;
}

Tensor densify(const SparseTensor& sparse) {
  Tensor dense = sparse.values.dtype() == DType::String
                     ? Tensor::allocate(DType::String, sparse.shape)
                     : Tensor::zeros(sparse.values.dtype(), sparse.shape);
  const std::vector<std::int64_t> strides = strides_of(sparse.shape);
  const std::vector<std::int64_t> indices = sparse.indices.integers();
  const std::size_t rank = sparse.indices.rank() == 1 ? 1 : sparse.shape.size();
  const Tensor values = aligned(sparse.values);
  const std::size_t width = static_cast<std::size_t>(bit_width(values.dtype())) / 8;
  for (std::int64_t i = 0; i < values.size(); ++i) {
    std::int64_t at = 0;
    for (std::size_t axis = 0; axis < rank; ++axis) {
      const std::int64_t index = indices[static_cast<std::size_t>(i) * rank + axis];
      at += sparse.indices.rank() == 1 ? index : index * strides[axis];
    }
    if (values.dtype() == DType::String) {
      dense.mutable_strings()[static_cast<std::size_t>(at)] =
          values.strings()[static_cast<std::size_t>(i)];
    } else if (width == 0) {
      dense.set_number(at, values.number(i));
    } else {
      std::memcpy(dense.mutable_data<std::byte>() + static_cast<std::size_t>(at) * width,
                  values.bytes().data() + static_cast<std::size_t>(i) * width, width);
    }
  }
  return dense;
}

static bool is_narrow(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16;
}

Tensor widen(const Tensor& tensor) {
  return is_narrow(tensor.dtype()) ? convert(tensor, DType::F64) : tensor;
}

Value prepare(Value value, bool widened) {
  if (auto* tensor = std::get_if<Tensor>(&value.data)) {
    Tensor good = aligned(*tensor);
    return widened ? widen(good) : good;
  }
  if (!widened) return value;
  if (auto* sequence = std::get_if<Sequence>(&value.data)) {
    if (is_narrow(sequence->element)) sequence->element = DType::F64;
    if (sequence->items) {
      auto items = std::make_shared<std::vector<Value>>();
      for (const Value& item : *sequence->items)
        items->push_back(prepare(item, true));
      sequence->items = std::move(items);
    }
  } else if (auto* optional = std::get_if<Optional>(&value.data)) {
    if (optional->held) optional->held = std::make_shared<Value>(prepare(*optional->held, true));
  } else if (auto* map = std::get_if<Map>(&value.data)) {
    map->values = widen(map->values);
  }
  return value;
}

Attributes widen_attributes(std::string_view type, const Attributes& attributes) {
  static constexpr std::string_view names[] = {"to", "dtype", "output_dtype", "output_datatype"};
  Attributes widened = attributes;
  bool has_dtype = false;
  for (const std::string_view name : names) {
    const auto* const number = attributes.get<std::int64_t>(name);
    if (number == nullptr) continue;
    has_dtype = true;
    if (*number < 0 || *number > static_cast<std::int64_t>(DType::I2)) continue;
    if (is_narrow(static_cast<DType>(*number))) {
      widened.set(name, static_cast<std::int64_t>(DType::F64));
    }
  }
  // Operators whose result is f32 unless `dtype` says otherwise.
  if (!has_dtype && (type == "RandomNormal" || type == "RandomUniform")) {
    widened.set("dtype", static_cast<std::int64_t>(DType::F64));
  }
  return widened;
}

bool is_repeatable(std::string_view type) {
  return !type.starts_with("Random") && type != "Multinomial" && type != "Bernoulli" &&
         type != "Dropout";
}

}  // namespace rulec
