// SPDX-License-Identifier: Apache-2.0
// What stands between convolutions of 8-bit numbers: to and from f32, sums and products of two,
// functions by table, pooling in NHWC. Real numbers are computed in f32, rounded at each step as
// DequantizeLinear, the operator and QuantizeLinear are.

#include "runtime/kernels/quantized.h"

#include "runtime/kernels.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

namespace {

constexpr std::int64_t part = 1 << 14;  // elements of a chunk

// f(from, to) for parts of `count` elements.
template <typename F>
void in_parts(const KernelCall& call, std::int64_t count, const F& f) {
  const std::int64_t chunks = ceil_div(count, part);
  const auto chunk = [&](std::int64_t i) { f(i * part, smaller(count, (i + 1) * part)); };
  if (chunks < 3) {
    for (std::int64_t i = 0; i < chunks; ++i)
      chunk(i);
  } else {
    call.pool->run(chunks, chunk);
  }
}

template <typename T>
RULEC_INLINE float real(T q, const Quantization& by) {
  return static_cast<float>(static_cast<std::int32_t>(q) - by.zero) * by.scale;
}

std::int64_t elements(const TensorRef& t) {
  std::int64_t count = 1;
  for (std::uint32_t d = 0; d < t.rank; ++d)
    count *= t.dims[d];
  return count;
}

template <typename T>
RULEC_INLINE Vec reals(const T* q, const Quantization& by) {
  return to_float(add_int(load_stored(q), splat_int(-by.zero))) * splat(by.scale);
}

// to[i] = the stored number of one(i), for i in from … end-1; vector(i) gives `lanes` of them.
template <typename T, typename F, typename G>
RULEC_INLINE void store_each(const QuantizedParameters& p, std::int64_t from, std::int64_t end,
                             T* to, F vector, G one) {
  std::int64_t i = from;
  for (; i + 16 <= end; i += 16) {
    Ints q[int_vectors];
    for (int v = 0; v < int_vectors; ++v)
      q[v] = nearest(vector(i + v * lanes) / splat(p.y.scale));
    store_bytes(q, p.y.zero, p.low, p.high, reinterpret_cast<std::uint8_t*>(to + i));
  }
  for (; i < end; ++i)
    to[i] = static_cast<T>(stored(one(i) / p.y.scale, p.y.zero, p.low, p.high));
}

template <typename T>
void quantize(const KernelCall& call, const QuantizedParameters& p) {
  const auto* x = reinterpret_cast<const float*>(call.inputs[0].data);
  auto* y = reinterpret_cast<T*>(call.outputs[0].data);
  in_parts(call, elements(call.outputs[0]), [&](std::int64_t from, std::int64_t to) {
    store_each(
        p, from, to, y, [&](std::int64_t i) RULEC_LAMBDA_INLINE { return load(x + i); },
        [&](std::int64_t i) { return x[i]; });
  });
}

template <typename T>
void dequantize(const KernelCall& call, const QuantizedParameters& p) {
  const auto* x = reinterpret_cast<const T*>(call.inputs[0].data);
  auto* y = reinterpret_cast<float*>(call.outputs[0].data);
  in_parts(call, elements(call.outputs[0]), [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i)
      y[i] = real(x[i], p.a);
  });
}

template <bool add, typename T>
void combine(const KernelCall& call, const QuantizedParameters& p) {
  const auto* a = reinterpret_cast<const T*>(call.inputs[0].data);
  const auto* b = reinterpret_cast<const T*>(call.inputs[1].data);
  auto* y = reinterpret_cast<T*>(call.outputs[0].data);
  in_parts(call, elements(call.outputs[0]), [&](std::int64_t from, std::int64_t to) {
    store_each(
        p, from, to, y,
        [&](std::int64_t i) RULEC_LAMBDA_INLINE {
          const Vec u = reals(a + i, p.a), v = reals(b + i, p.b);
          return add ? u + v : u * v;
        },
        [&](std::int64_t i) {
          const float u = real(a[i], p.a), v = real(b[i], p.b);
          return add ? u + v : u * v;
        });
  });
}

template <typename T>
void look_up(const KernelCall& call) {
  constexpr std::int32_t first = static_cast<T>(-1) < T{0} ? 128 : 0;
  const auto* x = reinterpret_cast<const T*>(call.inputs[0].data);
  const auto* table = reinterpret_cast<const std::uint8_t*>(call.inputs[1].data) + first;
  auto* y = reinterpret_cast<std::uint8_t*>(call.outputs[0].data);
  in_parts(call, elements(call.outputs[0]), [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i)
      y[i] = table[x[i]];
  });
}

// The sum in doubles is exact whatever its order: every real number here is a multiple of the last
// place of the smallest one, and 53 bits hold a sum of 2^20 of them.
template <typename T>
void average(const KernelCall& call, const QuantizedParameters& p) {
  const TensorRef& in = call.inputs[0];
  const auto* x = reinterpret_cast<const T*>(in.data);
  auto* y = reinterpret_cast<T*>(call.outputs[0].data);
  const std::int64_t area = in.dims[1] * in.dims[2], channels = in.dims[3];
  constexpr std::int64_t group = 64;
  const std::int64_t groups = ceil_div(channels, group);
  const auto chunk = [&](std::int64_t index) {
    const std::int64_t first = index % groups * group, image = index / groups;
    const std::int64_t count = smaller(group, channels - first);
    double sums[group] = {};
    for (std::int64_t i = 0; i < area; ++i) {
      const T* from = x + (image * area + i) * channels + first;
      for (std::int64_t c = 0; c < count; ++c)
        sums[c] += static_cast<double>(real(from[c], p.a));
    }
    for (std::int64_t c = 0; c < count; ++c) {
      const auto mean = static_cast<float>(sums[c] / static_cast<double>(area));
      y[image * channels + first + c] =
          static_cast<T>(stored(mean / p.y.scale, p.y.zero, p.low, p.high));
    }
  };
  call.pool->run(in.dims[0] * groups, chunk);
}

// The first and the last of a window's taps on one axis that lie in the input.
struct TapRange {
  std::int64_t begin, end;
};
RULEC_INLINE TapRange taps_inside(std::int64_t from, std::int64_t size, std::int64_t kernel,
                                  std::int64_t dilation) {
  const std::int64_t begin = from < 0 ? ceil_div(-from, dilation) : 0;
  const std::int64_t end = from < size ? (size - 1 - from) / dilation + 1 : 0;
  return {begin, smaller(kernel, end)};
}

template <typename T>
void greatest(const KernelCall& call) {
  typedef T Row __attribute__((vector_size(16)));
  PoolParameters p;
  __builtin_memcpy(&p, call.parameters, sizeof p);
  const std::int64_t *in = call.inputs[0].dims, *out = call.outputs[0].dims;
  const std::int64_t h = in[1], w = in[2], channels = in[3];
  const auto* x = reinterpret_cast<const T*>(call.inputs[0].data);
  auto* y = reinterpret_cast<T*>(call.outputs[0].data);
  // A window over nothing but padding has the least number, as in the generic kernel.
  constexpr T least = static_cast<T>(-1) < T{0} ? static_cast<T>(-128) : T{0};
  const auto row = [&](std::int64_t index) {
    const std::int64_t image = index / out[1];
    const std::int64_t top = index % out[1] * p.stride_h - p.pad_top;
    const TapRange down = taps_inside(top, h, p.kernel_h, p.dilation_h);
    for (std::int64_t ox = 0; ox < out[2]; ++ox) {
      const std::int64_t left = ox * p.stride_w - p.pad_left;
      const TapRange across = taps_inside(left, w, p.kernel_w, p.dilation_w);
      T* to = y + (index * out[2] + ox) * channels;
      // f(from) for each tap.
      const auto each_tap = [&](auto f) RULEC_LAMBDA_INLINE {
        for (std::int64_t ky = down.begin; ky < down.end; ++ky) {
          const T* line = x + (image * h + top + ky * p.dilation_h) * w * channels;
          for (std::int64_t kx = across.begin; kx < across.end; ++kx)
            f(line + (left + kx * p.dilation_w) * channels);
        }
      };
      std::int64_t c = 0;
      for (; c + 16 <= channels; c += 16) {
        Row most = Row{} + least;
        each_tap([&](const T* from) RULEC_LAMBDA_INLINE {
          Row r;
          __builtin_memcpy(&r, from + c, sizeof r);
          most = r > most ? r : most;
        });
        __builtin_memcpy(to + c, &most, sizeof most);
      }
      for (; c < channels; ++c) {
        T most = least;
        each_tap([&](const T* from) { most = from[c] > most ? from[c] : most; });
        to[c] = most;
      }
    }
  };
  call.pool->run(out[0] * out[1], row);
}

template <typename T>
void run_kind(const KernelCall& call, const QuantizedParameters& p) {
  switch (p.kind) {
    case QuantizedKind::Quantize:
      return quantize<T>(call, p);
    case QuantizedKind::Dequantize:
      return dequantize<T>(call, p);
    case QuantizedKind::Add:
      return combine<true, T>(call, p);
    case QuantizedKind::Mul:
      return combine<false, T>(call, p);
    case QuantizedKind::Lookup:
      return look_up<T>(call);
    case QuantizedKind::GlobalAverage:
      return average<T>(call, p);
  }
}

}  // namespace

void quantized_pool(const KernelCall& call) {
  if (call.inputs[0].dtype == DType::I8) {
    greatest<std::int8_t>(call);
  } else {
    greatest<std::uint8_t>(call);
  }
}

void quantized(const KernelCall& call) {
  QuantizedParameters p;
  __builtin_memcpy(&p, call.parameters, sizeof p);
  const TensorRef& stored = p.kind == QuantizedKind::Quantize ? call.outputs[0] : call.inputs[0];
  if (stored.dtype == DType::I8) {
    run_kind<std::int8_t>(call, p);
  } else {
    run_kind<std::uint8_t>(call, p);
  }
}

}  // namespace rulec::kernels::RULEC_ISA
