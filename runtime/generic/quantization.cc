// SPDX-License-Identifier: Apache-2.0
// Quantized numbers: real = (stored - zero point) * scale, the scale being one number, one for each
// slice of an axis, or one for each block along it. Products of quantized operands are computed in
// double, where every sum of products of 8- and 16-bit integers is exact.
#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/generic/convolution.h"
#include "runtime/generic/elementwise.h"
#include "runtime/generic/families.h"
#include "runtime/generic/matmul.h"

namespace rulec::generic {

static double scale_times(double a, double b) {
  return a * b;
}
static double without(double a, double b) {
  return a - b;
}

static Result<Tensor> zip_doubles(const Tensor& a, const Tensor& b, double (*f)(double, double)) {
  const auto shape = broadcast(a.shape(), b.shape());
  if (!shape) {
    return make_error("the shapes {} and {} do not broadcast", to_string(a.shape()),
                      to_string(b.shape()));
  }
  return zip_elements<double, double, double>(a, b, *shape, DType::F64, f);
}

// Scale or zero point in doubles, one for each element of `shape`.
static Result<Tensor> spread(const Call& call, const Tensor& parameter, const Shape& shape) {
  const Tensor p = as_doubles(parameter);
  if (p.size() == 1) return p.reshaped(Shape(shape.size(), 1));
  const auto axis = axis_attribute(call, 1, shape.size());
  if (!axis) return axis.error();
  Shape expected(shape.size(), 1);
  expected[*axis] = shape[*axis];
  if (p.rank() == 1 && p.dim(0) == shape[*axis]) return p.reshaped(expected);
  const std::int64_t blocks = p.rank() == shape.size() ? p.dim(*axis) : 0;
  std::int64_t block = call.attributes.integer("block_size", 0);
  if (block == 0 && blocks > 0) block = (shape[*axis] + blocks - 1) / blocks;
  expected = shape;
  if (block > 0) expected[*axis] = (shape[*axis] + block - 1) / block;
  if (block < 1 || p.shape() != expected) {
    return make_error("a scale or zero point of shape {} does not fit {} on axis {}",
                      to_string(p.shape()), to_string(shape), *axis);
  }
  Tensor out = Tensor::allocate(DType::F64, shape);
  std::int64_t inner = 1;
  for (std::size_t d = *axis + 1; d < shape.size(); ++d)
    inner *= shape[d];
  for (std::int64_t i = 0; i < out.size(); ++i) {
    const std::int64_t k = i / inner % shape[*axis];
    const std::int64_t outer = i / inner / shape[*axis];
    out.mutable_data<double>()[i] =
        p.data<double>()[(outer * blocks + k / block) * inner + i % inner];
  }
  return out;
}

// Least and greatest of an integer type of up to 32 bits.
static std::pair<double, double> range_of(DType dtype) {
  const int bits = bit_width(dtype);
  if (is_signed_integer(dtype)) return {-std::ldexp(1.0, bits - 1), std::ldexp(1.0, bits - 1) - 1};
  return {0.0, std::ldexp(1.0, bits) - 1};
}

// Rounds (half to even), adds the zero point, saturates.
static double quantized(double v, double zero, std::pair<double, double> range) {
  const double rounded = std::nearbyint(v) + zero;
  return std::isnan(rounded) ? zero : std::clamp(rounded, range.first, range.second);
}

static DType attribute_type(const Call& call, std::string_view attribute, DType otherwise) {
  const std::int64_t given = call.attributes.integer(attribute, 0);
  return given > 0 && given <= static_cast<std::int64_t>(DType::I2) ? static_cast<DType>(given)
                                                                    : otherwise;
}

static Result<Outputs> run_quantize(const Call& call) {
  const Tensor& x = call.tensor(0);
  const DType given = call.has(2) ? call.tensor(2).dtype() : DType::U8;
  const DType dtype = call.has(2) ? given : attribute_type(call, "output_dtype", given);
  // The quotient is rounded to the type of the scale before it is rounded to an integer.
  const DType precision = attribute_type(call, "precision", call.tensor(1).dtype());
  const Result<Tensor> scale = spread(call, call.tensor(1), x.shape());
  if (!scale) return scale.error();
  Result<Tensor> quotient =
      zip_doubles(as_doubles(x), *scale, [](double a, double b) { return a / b; });
  if (!quotient) return quotient.error();
  const DType rounding = is_float(precision) ? precision : DType::F32;
  Tensor y = as_doubles(convert(*quotient, rounding));
  if (is_float(dtype)) {
    if (call.has(2)) {
      const Result<Tensor> zero = spread(call, call.tensor(2), x.shape());
      if (!zero) return zero.error();
      const auto moved = zip_doubles(y, *zero, [](double a, double b) { return a + b; });
      if (!moved) return moved.error();
      y = *moved;
    }
    return one(convert(y, dtype, call.attributes.integer("saturate", 1) != 0));
  }
  if (!is_integer(dtype)) return make_error("the output's type is {}", name(dtype));
  const auto range = range_of(dtype);
  Tensor zero = Tensor::zeros(DType::F64, Shape(x.rank(), 1));
  if (call.has(2)) {
    Result<Tensor> operand = spread(call, call.tensor(2), x.shape());
    if (!operand) return operand.error();
    zero = *std::move(operand);
  }
  const Tensor out = zip_elements<double, double, double>(
      y, zero, x.shape(), DType::F64,
      [range](double v, double z) { return quantized(v, z, range); });
  return one(convert(out, dtype));
}

static Result<Outputs> run_dequantize(const Call& call) {
  const Tensor& x = call.tensor(0);
  const DType dtype = attribute_type(call, "output_dtype", call.tensor(1).dtype());
  const Result<Tensor> scale = spread(call, call.tensor(1), x.shape());
  if (!scale) return scale.error();
  Tensor y = as_doubles(x);
  if (call.has(2)) {
    const Result<Tensor> zero = spread(call, call.tensor(2), x.shape());
    if (!zero) return zero.error();
    const auto moved = zip_doubles(y, *zero, without);
    if (!moved) return moved.error();
    y = *moved;
  }
  const Result<Tensor> out = zip_doubles(y, *scale, scale_times);
  if (!out) return out.error();
  return one(convert(*out, dtype));
}

static Result<Outputs> run_dynamic_quantize(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Tensor x = as_doubles(call.tensor(0));
  double low = 0, high = 0;
  for (std::int64_t i = 0; i < x.size(); ++i) {
    low = std::min(low, x.data<double>()[i]);
    high = std::max(high, x.data<double>()[i]);
  }
  const auto range = range_of(DType::U8);
  // In f32, which is the scale's type in every model.
  const DType dtype = call.tensor(0).dtype();
  const double exact = (high - low) / range.second;
  const double scale = dtype == DType::F64 ? exact : static_cast<double>(static_cast<float>(exact));
  const double zero = scale == 0 ? 0 : std::clamp(std::nearbyint(-low / scale), 0.0, range.second);
  Tensor y = Tensor::allocate(DType::U8, x.shape());
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const double v = scale == 0 ? 0 : x.data<double>()[i] / scale;
    const double rounded = dtype == DType::F64 ? v : static_cast<double>(static_cast<float>(v));
    y.mutable_data<std::uint8_t>()[i] = static_cast<std::uint8_t>(quantized(rounded, zero, range));
  }
  Outputs outputs = one(std::move(y));
  outputs.emplace_back(convert(Tensor::scalar(scale), dtype));
  outputs.emplace_back(Tensor::scalar(static_cast<std::uint8_t>(zero)));
  return outputs;
}

// A scale or zero point that is one number or one for each slice of `axis` of a tensor of `rank`
// dimensions, in a shape that broadcasts.
static Result<Tensor> along(const Tensor& parameter, std::size_t axis, std::size_t rank,
                            std::int64_t size) {
  const Tensor p = as_doubles(parameter);
  if (p.size() == 1) return p.reshaped({});
  if (p.rank() > 1) return p;  // already of the tensor's rank
  if (p.size() != size) {
    return make_error("a scale or zero point of {} elements does not fit {}", p.size(), size);
  }
  Shape shape(rank, 1);
  shape[axis] = size;
  return p.reshaped(shape);
}

// The operand less its zero point, in doubles.
static Result<Tensor> centered(const Call& call, std::size_t operand, std::size_t zero_point,
                               std::size_t axis_from_end, bool from_front = false) {
  const Tensor& x = call.tensor(operand);
  if (!call.has(zero_point)) return as_doubles(x);
  const std::size_t rank = x.rank();
  const std::size_t back = std::min(axis_from_end, rank);
  const std::size_t axis = from_front || rank == 0 ? 0 : rank - std::max<std::size_t>(back, 1);
  const std::int64_t size = rank == 0 ? 1 : x.dim(axis);
  const Result<Tensor> zero = along(call.tensor(zero_point), axis, rank, size);
  if (!zero) return zero.error();
  return zip_doubles(as_doubles(x), *zero, without);
}

static Result<Outputs> run_matmul_integer(const Call& call) {
  const Result<Tensor> a = centered(call, 0, 2, 2);
  if (!a) return a.error();
  const Result<Tensor> b = centered(call, 1, 3, 1);
  if (!b) return b.error();
  const Result<Tensor> out = matmul(*a, *b);
  if (!out) return out.error();
  return one(convert(*out, DType::I32));
}

static Result<Outputs> run_conv_integer(const Call& call) {
  const Result<Tensor> x = centered(call, 0, 2, 1);
  if (!x) return x.error();
  const Result<Tensor> w = centered(call, 1, 3, 0, true);
  if (!w) return w.error();
  const Result<Tensor> y = convolve(call, *x, *w, nullptr);
  if (!y) return y.error();
  return one(convert(*y, DType::I32));
}

// sums * multiplier, quantized with the output's zero point.
static Result<Outputs> requantized(const Tensor& sums, const Tensor& multiplier,
                                   const Tensor& zero_point) {
  const Result<Tensor> real = zip_doubles(sums, multiplier, scale_times);
  if (!real) return real.error();
  const DType dtype = zero_point.dtype();
  if (zero_point.size() != 1 || !is_integer(dtype)) {
    return make_error("the output's zero point must be one integer");
  }
  const double zero = zero_point.number(0);
  const auto range = range_of(dtype);
  return one(
      convert(map_numbers(*real, [=](double v) { return quantized(v, zero, range); }), dtype));
}

static Result<Outputs> run_qlinear_matmul(const Call& call) {
  const Result<Tensor> a = centered(call, 0, 2, 2);
  if (!a) return a.error();
  const Result<Tensor> b = centered(call, 3, 5, 1);
  if (!b) return b.error();
  const Result<Tensor> sums = matmul(*a, *b);
  if (!sums) return sums.error();
  const std::size_t rank = sums->rank();
  if (call.tensor(6).size() != 1) return make_error("operand 6 must be one number");
  const double y_scale = call.tensor(6).number(0);
  const auto a_scale =
      along(call.tensor(1), rank < 2 ? 0 : rank - 2, rank, rank < 2 ? 1 : sums->dim(rank - 2));
  if (!a_scale) return a_scale.error();
  const auto b_scale =
      along(call.tensor(4), rank < 1 ? 0 : rank - 1, rank, rank < 1 ? 1 : sums->dim(rank - 1));
  if (!b_scale) return b_scale.error();
  const auto both = zip_doubles(*a_scale, *b_scale, scale_times);
  if (!both) return both.error();
  const Tensor multiplier = map_numbers(*both, [y_scale](double v) { return v / y_scale; });
  return requantized(*sums, multiplier, call.tensor(7));
}

static Result<Outputs> run_qlinear_conv(const Call& call) {
  const Result<Tensor> x = centered(call, 0, 2, 1);
  if (!x) return x.error();
  const Result<Tensor> w = centered(call, 3, 5, 0, true);
  if (!w) return w.error();
  const Tensor bias = call.has(8) ? as_doubles(call.tensor(8)) : Tensor();
  const Result<Tensor> sums = convolve(call, *x, *w, call.has(8) ? &bias : nullptr);
  if (!sums) return sums.error();
  if (call.tensor(1).size() != 1 || call.tensor(6).size() != 1) {
    return make_error("operands 1 and 6 must be one number each");
  }
  const Result<Tensor> w_scale = along(call.tensor(4), 1, sums->rank(), sums->dim(1));
  if (!w_scale) return w_scale.error();
  const double x_scale = call.tensor(1).number(0);
  const double y_scale = call.tensor(6).number(0);
  const Tensor multiplier = map_numbers(*w_scale, [=](double v) { return x_scale * v / y_scale; });
  return requantized(*sums, multiplier, call.tensor(7));
}

std::span<const KernelEntry> quantization_kernels() {
  static constexpr KernelEntry entries[] = {
      {"", "ConvInteger", run_conv_integer, 2},
      {"", "DequantizeLinear", run_dequantize, 2},
      {"", "DynamicQuantizeLinear", run_dynamic_quantize, 1},
      {"", "MatMulInteger", run_matmul_integer, 2},
      {"", "QLinearConv", run_qlinear_conv, 8},
      {"", "QLinearMatMul", run_qlinear_matmul, 8},
      {"", "QuantizeLinear", run_quantize, 2},
  };
  return entries;
}

}  // namespace rulec::generic
