// SPDX-License-Identifier: Apache-2.0
// Cast and CastLike: every numeric type to every other, and strings.
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "runtime/convert.h"
#include "runtime/generic/elementwise.h"
#include "runtime/generic/families.h"

namespace rulec::generic {

static std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// Also takes "INF", "+inf", "NaN" in any case: from_chars knows these names.
static std::optional<double> parse_number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || text.empty()) return std::nullopt;
  if (error == std::errc::result_out_of_range) {  // from_chars leaves the value alone
    const bool tiny = text.find("e-") != text.npos || text.find("E-") != text.npos;
    const double magnitude = tiny ? 0 : std::numeric_limits<double>::infinity();
    return text.starts_with('-') ? -magnitude : magnitude;
  }
  if (error != std::errc()) return std::nullopt;
  return value;
}

template <typename T>
static std::optional<T> parse_integer(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

static Result<Tensor> from_strings(const Tensor& tensor, DType dtype, bool saturate) {
  Tensor out = Tensor::zeros(dtype, tensor.shape());
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    const std::string_view text = trimmed(tensor.strings()[static_cast<std::size_t>(i)]);
    if (is_integer(dtype)) {
      if (const auto value = parse_integer<std::int64_t>(text)) {
        out.set_integer(i, *value);
        continue;
      }
      if (const auto value = parse_integer<std::uint64_t>(text)) {
        out.set_integer(i, static_cast<std::int64_t>(*value));
        continue;
      }
    }
    const auto value = parse_number(text);
    if (!value) return make_error("element {} of operand 0, '{}', is no number", i, text);
    store_numbers(out, i, {&*value, 1}, saturate);
  }
  return out;
}

static std::string to_text(const Tensor& tensor, std::int64_t index) {
  const DType dtype = tensor.dtype();
  if (dtype == DType::U64) return fmt::format("{}", tensor.data<std::uint64_t>()[index]);
  if (!is_float(dtype)) return fmt::format("{}", tensor.integer(index));
  const double value = tensor.number(index);
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "INF" : "-INF";
  return dtype == DType::F64 ? fmt::format("{:.17g}", value) : fmt::format("{:.8g}", value);
}

static Tensor to_strings(const Tensor& tensor) {
  Tensor out = Tensor::allocate(DType::String, tensor.shape());
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    out.mutable_strings()[static_cast<std::size_t>(i)] = to_text(tensor, i);
  }
  return out;
}

// To the powers of two of f8e8m0, where the direction of rounding is an attribute. `convert` rounds
// up; the other two directions are that of a number whose fraction is first cut to none or moved
// across the half.
static Tensor to_powers_of_two(const Tensor& tensor, std::string_view round_mode, bool saturate) {
  const Tensor x = convert(tensor, DType::F32);
  Tensor out = Tensor::allocate(DType::F8E8M0, x.shape());
  for (std::int64_t i = 0; i < x.size(); ++i) {
    auto bits = std::bit_cast<std::uint32_t>(x.data<float>()[i]);
    const bool finite = (bits & 0x7F800000U) != 0x7F800000U;
    const std::uint32_t fraction = bits & 0x7FFFFFU;
    const bool up = round_mode == "nearest" ? fraction >= 0x400000U : false;
    if (finite && !up) bits -= fraction;
    out.mutable_data<std::uint8_t>()[i] =
        float_to_small_float(static_cast<int>(DType::F8E8M0), std::bit_cast<float>(bits), saturate);
  }
  return out;
}

static Result<Outputs> cast_to(const Call& call, DType dtype) {
  const Tensor& x = call.tensor(0);
  const bool saturate = call.attributes.integer("saturate", 1) != 0;
  const std::string_view round_mode = call.attributes.text("round_mode", "up");
  if (x.dtype() == dtype) return one(x);
  if (is_complex(x.dtype()) || is_complex(dtype)) {
    return make_error("a cast from {} to {} is not defined", name(x.dtype()), name(dtype));
  }
  if (dtype == DType::String) return one(to_strings(x));
  if (x.dtype() == DType::String) {
    Result<Tensor> out = from_strings(x, dtype, saturate);
    if (!out) return out.error();
    return one(*std::move(out));
  }
  if (dtype == DType::F8E8M0 && round_mode != "up") {
    if (round_mode != "down" && round_mode != "nearest") {
      return make_error("the attribute round_mode is '{}', but must be up, down or nearest",
                        round_mode);
    }
    return one(to_powers_of_two(x, round_mode, saturate));
  }
  return one(convert(x, dtype, saturate));
}

static Result<Outputs> run_cast(const Call& call) {
  const std::int64_t to = call.attributes.integer("to", 0);
  if (to < 1 || to > static_cast<std::int64_t>(DType::I2)) {
    return make_error("the attribute to is {}, which is not an element type", to);
  }
  return cast_to(call, static_cast<DType>(to));
}

static Result<Outputs> run_cast_like(const Call& call) {
  return cast_to(call, call.tensor(1).dtype());
}

std::span<const KernelEntry> cast_kernels() {
  static constexpr KernelEntry entries[] = {
      {"", "Cast", run_cast, 1},
      {"", "CastLike", run_cast_like, 2},
  };
  return entries;
}

}  // namespace rulec::generic
