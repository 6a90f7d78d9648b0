// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/compare.h"

#include <algorithm>
#include <cmath>

namespace rulec::conformance {

// ONNX's runner allows 1e-3 of the expected number, and two units in the last place of a bfloat16.
static double tolerance(DType dtype) {
  return dtype == DType::BF16 ? 0x1p-6 : 1e-3;
}

static bool close(double actual, double expected, double relative) {
  if (std::isnan(actual) || std::isnan(expected)) return std::isnan(actual) && std::isnan(expected);
  if (std::isinf(actual) || std::isinf(expected)) return actual == expected;
  return std::abs(actual - expected) <= 1e-5 + relative * std::abs(expected);
}

static Status compare_tensors(const Tensor& actual, const Tensor& expected) {
  if (actual.dtype() != expected.dtype() || actual.shape() != expected.shape()) {
    return make_error("it is {}{}, expected {}{}", name(actual.dtype()), to_string(actual.shape()),
                      name(expected.dtype()), to_string(expected.shape()));
  }
  if (actual.dtype() == DType::String) {
    const auto [a, e] =
        std::mismatch(actual.strings().begin(), actual.strings().end(), expected.strings().begin());
    if (a == actual.strings().end()) return Done{};
    return make_error("element {} is \"{}\", expected \"{}\"", a - actual.strings().begin(), *a,
                      *e);
  }
  if (is_complex(actual.dtype())) {
    if (same_bits(actual, expected)) return Done{};
    return make_error("complex elements differ");
  }
  for (std::int64_t i = 0; i < actual.size(); ++i) {
    const bool same = is_float(actual.dtype())
                          ? close(actual.number(i), expected.number(i), tolerance(actual.dtype()))
                          : actual.integer(i) == expected.integer(i);
    if (!same) {
      return make_error("element {} is {}, expected {}", i, actual.number(i), expected.number(i));
    }
  }
  return Done{};
}

static Status compare_sequences(const Sequence& actual, const Sequence& expected) {
  const std::size_t count = expected.items ? expected.items->size() : 0;
  const std::size_t given = actual.items ? actual.items->size() : 0;
  if (given != count) return make_error("it has {} items, expected {}", given, count);
  for (std::size_t i = 0; i < count; ++i) {
    if (auto same = compare((*actual.items)[i], (*expected.items)[i]); !same) {
      return make_error("item {}: {}", i, same.error().message);
    }
  }
  return Done{};
}

Status compare(const Value& actual, const Value& expected) {
  if (actual.data.index() != expected.data.index()) {
    static constexpr const char* kinds[] = {"absent", "a tensor", "a sequence", "an optional",
                                            "a map"};
    return make_error("it is {}, expected {}", kinds[actual.data.index()],
                      kinds[expected.data.index()]);
  }
  if (expected.is_tensor()) return compare_tensors(actual.tensor(), expected.tensor());
  if (const auto* sequence = std::get_if<Sequence>(&expected.data)) {
    return compare_sequences(*std::get_if<Sequence>(&actual.data), *sequence);
  }
  if (const auto* optional = std::get_if<Optional>(&expected.data)) {
    const auto& held = std::get_if<Optional>(&actual.data)->held;
    if (!held || !optional->held) {
      if (!held && !optional->held) return Done{};
      return make_error("one of the two optionals is empty");
    }
    return compare(*held, *optional->held);
  }
  if (const auto* map = std::get_if<Map>(&expected.data)) {
    const Map& other = *std::get_if<Map>(&actual.data);
    if (auto same = compare_tensors(other.keys, map->keys); !same) return same;
    return compare_tensors(other.values, map->values);
  }
  return Done{};
}

}  // namespace rulec::conformance
