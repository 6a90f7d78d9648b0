// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "runtime/generic/elements.h"
#include "runtime/generic/families.h"
#include "runtime/generic/operands.h"

namespace rulec::generic {

using Complex = std::complex<double>;

// The discrete Fourier transform by its definition; `in` is cut or filled with zeros to `length`.
static std::vector<Complex> transformed(std::vector<Complex> in, std::int64_t length,
                                        bool inverse) {
  const auto n = static_cast<std::size_t>(length);
  in.resize(n);
  std::vector<Complex> roots(n), out(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(n);
    roots[i] = {std::cos(angle), inverse ? std::sin(angle) : -std::sin(angle)};
  }
  for (std::size_t k = 0; k < n; ++k) {
    Complex sum = 0;
    std::size_t phase = 0;  // k·i modulo n
    for (std::size_t i = 0; i < n; ++i) {
      sum += in[i] * roots[phase];
      phase += k;
      if (phase >= n) phase -= n;
    }
    out[k] = inverse ? sum / static_cast<double>(n) : sum;
  }
  return out;
}

// The second half of a spectrum whose signal is real.
static void mirror(std::vector<Complex>& half, std::int64_t length) {
  const auto n = static_cast<std::size_t>(length);
  const std::size_t given = half.size();
  half.resize(n);
  for (std::size_t k = n / 2 + 1; k < n; ++k) {
    half[k] = n - k < given ? std::conj(half[n - k]) : Complex(0);
  }
  // Without a partner these parts cannot belong to a real signal.
  if (n > 0) half[0] = half[0].real();
  if (n % 2 == 0 && n / 2 < n) half[n / 2] = half[n / 2].real();
}

static Result<Outputs> dft(const Call& call) {
  const Tensor& in = call.tensor(0);
  if (!is_float(in.dtype()) || in.rank() < 2 || in.shape().back() < 1 || in.shape().back() > 2) {
    return make_error("{}{} is not a signal: [..., 1] or [..., 2] is needed", name(in.dtype()),
                      to_string(in.shape()));
  }
  auto given = call.opset < 20 ? Result<std::int64_t>(call.attributes.integer("axis", 1))
                               : integer_operand(call, 2, -2);
  if (!given) return given.error();
  auto axis = normalize_axis(*given, in.rank());
  if (!axis) return axis.error();
  if (*axis == in.rank() - 1) return make_error("axis {} holds the parts of a number", *axis);
  const bool inverse = call.attributes.integer("inverse", 0) != 0;
  const bool onesided = call.attributes.integer("onesided", 0) != 0;
  const std::int64_t size = in.dim(*axis);
  auto length = integer_operand(call, 1, inverse && onesided ? 2 * (size - 1) : size);
  if (!length) return length.error();
  if (*length < 1 || *length > 1 << 20) return make_error("dft_length is {}", *length);
  const std::int64_t parts = in.shape().back();
  const std::int64_t out_size = onesided && !inverse ? *length / 2 + 1 : *length;
  const std::int64_t out_parts = onesided && inverse ? 1 : 2;
  Shape shape = in.shape();
  shape[*axis] = out_size;
  shape.back() = out_parts;
  const std::int64_t outer = element_count(std::span(shape).first(*axis));
  const std::int64_t inner =
      element_count(std::span(shape).subspan(*axis + 1, in.rank() - *axis - 2));
  const std::vector<double> data = in.numbers();
  std::vector<double> out(static_cast<std::size_t>(element_count(shape)));
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < inner; ++i) {
      std::vector<Complex> line;
      for (std::int64_t k = 0; k < size; ++k) {
        const auto at = static_cast<std::size_t>(((o * size + k) * inner + i) * parts);
        line.emplace_back(data[at], parts == 2 ? data[at + 1] : 0);
      }
      if (inverse && onesided) {
        line.resize(static_cast<std::size_t>(*length / 2 + 1));
        mirror(line, *length);
      }
      const std::vector<Complex> result = transformed(std::move(line), *length, inverse);
      for (std::int64_t k = 0; k < out_size; ++k) {
        const auto at = static_cast<std::size_t>(((o * out_size + k) * inner + i) * out_parts);
        out[at] = result[static_cast<std::size_t>(k)].real();
        if (out_parts == 2) out[at + 1] = result[static_cast<std::size_t>(k)].imag();
      }
    }
  }
  return one(from_numbers(in.dtype(), std::move(shape), out));
}

static Result<Outputs> stft(const Call& call) {
  const Tensor& in = call.tensor(0);
  auto step = integer_operand(call, 1, 0);
  if (!step) return step.error();
  if (in.rank() < 2 || in.rank() > 3 || !is_float(in.dtype()) || *step < 1) {
    return make_error("a signal {} and a step of {}", to_string(in.shape()), *step);
  }
  const std::int64_t parts = in.rank() == 3 ? in.dim(2) : 1;
  const std::int64_t samples = in.dim(1);
  std::vector<double> window;
  if (call.has(2)) window = call.tensor(2).numbers();
  auto length =
      integer_operand(call, 3, window.empty() ? samples : static_cast<std::int64_t>(window.size()));
  if (!length) return length.error();
  if (window.empty())
    window.assign(static_cast<std::size_t>(std::max<std::int64_t>(*length, 0)), 1);
  if (*length < 1 || *length > samples || *length > 1 << 20 || parts < 1 || parts > 2 ||
      static_cast<std::int64_t>(window.size()) > *length) {
    return make_error("frames of {} with a window of {} in {} samples", *length, window.size(),
                      samples);
  }
  const bool onesided = call.attributes.integer("onesided", 1) != 0;
  const std::int64_t frames = 1 + (samples - *length) / *step;
  const std::int64_t bins = onesided ? *length / 2 + 1 : *length;
  const Shape shape = {in.dim(0), frames, bins, 2};
  const std::vector<double> data = in.numbers();
  std::vector<double> out;
  out.reserve(static_cast<std::size_t>(element_count(shape)));
  for (std::int64_t n = 0; n < in.dim(0); ++n) {
    for (std::int64_t f = 0; f < frames; ++f) {
      std::vector<Complex> frame;
      for (std::size_t i = 0; i < window.size(); ++i) {
        const auto at = static_cast<std::size_t>(
            (n * samples + f * *step + static_cast<std::int64_t>(i)) * parts);
        frame.push_back(Complex(data[at], parts == 2 ? data[at + 1] : 0) * window[i]);
      }
      const std::vector<Complex> spectrum = transformed(std::move(frame), *length, false);
      for (std::int64_t k = 0; k < bins; ++k) {
        out.push_back(spectrum[static_cast<std::size_t>(k)].real());
        out.push_back(spectrum[static_cast<std::size_t>(k)].imag());
      }
    }
  }
  return one(from_numbers(in.dtype(), shape, out));
}

static Result<DType> output_type(const Call& call) {
  const auto dtype = static_cast<DType>(call.attributes.integer("output_datatype", 1));
  if (is_float(dtype) || is_integer(dtype)) return dtype;
  return make_error("output_datatype {} is not a number type",
                    call.attributes.integer("output_datatype", 1));
}

// a0 - a1·cos(2πn/N) + a2·cos(4πn/N)
static Result<Outputs> window(const Call& call) {
  auto size = integer_operand(call, 0, 0);
  if (!size) return size.error();
  auto dtype = output_type(call);
  if (!dtype) return dtype.error();
  if (*size < 0 || *size > 1 << 28) return make_error("a window of {}", *size);
  double a0 = 0.5, a1 = 0.5, a2 = 0;
  if (call.type == "HammingWindow") {
    a0 = 25.0 / 46;
    a1 = 1 - a0;
  } else if (call.type == "BlackmanWindow") {
    a0 = 0.42;
    a2 = 0.08;
  }
  const bool periodic = call.attributes.integer("periodic", 1) != 0;
  const auto period = static_cast<double>(periodic ? *size : std::max<std::int64_t>(*size - 1, 1));
  std::vector<double> out;
  for (std::int64_t n = 0; n < *size; ++n) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(n) / period;
    out.push_back(a0 - a1 * std::cos(angle) + a2 * std::cos(2 * angle));
  }
  return one(from_numbers(*dtype, {*size}, out));
}

static Result<Outputs> mel_weight_matrix(const Call& call) {
  auto mels = integer_operand(call, 0, 0);
  if (!mels) return mels.error();
  auto length = integer_operand(call, 1, 0);
  if (!length) return length.error();
  auto rate = number_operand(call, 2, 0);
  if (!rate) return rate.error();
  auto lower = number_operand(call, 3, 0);
  if (!lower) return lower.error();
  auto upper = number_operand(call, 4, 0);
  if (!upper) return upper.error();
  auto dtype = output_type(call);
  if (!dtype) return dtype.error();
  if (*mels < 1 || *mels > 1 << 16 || *length < 1 || *length > 1 << 24 || !(*rate > 0)) {
    return make_error("{} bins, a length of {} and a rate of {}", *mels, *length, *rate);
  }
  const auto mel_of = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  const double low = mel_of(*lower);
  const double step = (mel_of(*upper) - low) / static_cast<double>(*mels + 2);
  const std::int64_t rows = *length / 2 + 1;
  const auto bin = [&](std::int64_t i) {
    const double hertz = 700 * (std::pow(10, (low + static_cast<double>(i) * step) / 2595) - 1);
    const double at = std::floor(static_cast<double>(*length + 1) * hertz / *rate);
    return std::clamp<std::int64_t>(static_cast<std::int64_t>(at), 0, rows);
  };
  std::vector<double> out(static_cast<std::size_t>(rows * *mels), 0.0);
  const auto put = [&](std::int64_t row, std::int64_t column, double value) {
    if (row < rows) out[static_cast<std::size_t>(row * *mels + column)] = value;
  };
  for (std::int64_t m = 0; m < *mels; ++m) {
    const std::int64_t left = bin(m), center = bin(m + 1), right = bin(m + 2);
    if (left == center) put(center, m, 1);
    for (std::int64_t j = left; left < center && j <= center; ++j) {
      put(j, m, static_cast<double>(j - left) / static_cast<double>(center - left));
    }
    for (std::int64_t j = center; j < right; ++j) {
      put(j, m, static_cast<double>(right - j) / static_cast<double>(right - center));
    }
  }
  return one(from_numbers(*dtype, {rows, *mels}, out));
}

std::span<const KernelEntry> signal_kernels() {
  static const KernelEntry entries[] = {
      {"", "BlackmanWindow", window},
      {"", "DFT", dft},
      {"", "HammingWindow", window},
      {"", "HannWindow", window},
      {"", "MelWeightMatrix", mel_weight_matrix, 5},
      {"", "STFT", stft, 2},
  };
  return entries;
}

}  // namespace rulec::generic
