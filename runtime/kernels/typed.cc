// SPDX-License-Identifier: Apache-2.0
// Elementwise on other types than f32: casts, comparisons, logic, Where, arithmetic of integers;
// with broadcasting. What the compiler vectorises of plain loops is enough: these stand around the
// f32 work, at its inputs and in detectors' tails.

#include "runtime/kernels.h"
#include "runtime/kernels/simd.h"
#include "runtime/thread_pool.h"

namespace rulec::kernels::RULEC_ISA {

namespace {

// How far the operands advance in one run of the innermost dimensions: 0 or 1 element each.
struct Run {
  const std::byte* in[3];
  std::int64_t step[3];
  std::byte* out;
  std::int64_t count;
};

struct Operand {
  std::int64_t step = 0;                    // in a run
  std::int64_t stride[max_copy_rank] = {};  // of the outer dimensions, in elements
  std::int64_t width = 0;                   // of an element, in bytes
  const std::byte* data = nullptr;
};

// As static_cast, but defined for numbers outside of the range, and as runtime/convert.cc has it.
template <typename To, typename From>
RULEC_INLINE To converted(From value) {
  if constexpr (__is_same(To, bool)) {
    return value != From{0};
  } else if constexpr (__is_same(From, float) || __is_same(From, double)) {
    if constexpr (__is_same(To, float) || __is_same(To, double)) {
      return static_cast<To>(value);
    } else if constexpr (sizeof(To) == 8) {
      const auto v = static_cast<double>(value);
      return v >= -0x1p63 && v < 0x1p63 ? static_cast<To>(v) : static_cast<To>(INT64_MIN);
    } else {
      const auto v = static_cast<double>(value);
      const bool fits = v > -0x1p31 - 1 && v < 0x1p31;
      return static_cast<To>(fits ? static_cast<std::int32_t>(v) : INT32_MIN);
    }
  } else if constexpr (__is_same(To, float)) {
    return static_cast<float>(static_cast<double>(value));
  } else {
    return static_cast<To>(value);
  }
}

template <typename From, typename To>
void cast_run(const Run& r) {
  const auto* x = reinterpret_cast<const From*>(r.in[0]);
  auto* y = reinterpret_cast<To*>(r.out);
  if (r.step[0] == 1) {
    for (std::int64_t i = 0; i < r.count; ++i)
      y[i] = converted<To>(x[i]);
  } else {
    const To v = converted<To>(x[0]);
    for (std::int64_t i = 0; i < r.count; ++i)
      y[i] = v;
  }
}

// One loop for each combination of steps that matters.
template <typename T, typename To, typename F>
RULEC_INLINE void binary_run(const Run& r, F f) {
  const auto* a = reinterpret_cast<const T*>(r.in[0]);
  const auto* b = reinterpret_cast<const T*>(r.in[1]);
  auto* y = reinterpret_cast<To*>(r.out);
  if (r.step[0] == 1 && r.step[1] == 1) {
    for (std::int64_t i = 0; i < r.count; ++i)
      y[i] = f(a[i], b[i]);
  } else if (r.step[0] == 1) {
    const T c = b[0];
    for (std::int64_t i = 0; i < r.count; ++i)
      y[i] = f(a[i], c);
  } else {
    for (std::int64_t i = 0; i < r.count; ++i)
      y[i] = f(a[0], b[i * r.step[1]]);
  }
}

template <typename T>
void compare_run(TypedOp op, const Run& r) {
  switch (op) {
    case TypedOp::Equal:
      return binary_run<T, bool>(r, [](T a, T b) RULEC_LAMBDA_INLINE { return a == b; });
    case TypedOp::Less:
      return binary_run<T, bool>(r, [](T a, T b) RULEC_LAMBDA_INLINE { return a < b; });
    case TypedOp::LessOrEqual:
      return binary_run<T, bool>(r, [](T a, T b) RULEC_LAMBDA_INLINE { return a <= b; });
    case TypedOp::Greater:
      return binary_run<T, bool>(r, [](T a, T b) RULEC_LAMBDA_INLINE { return a > b; });
    default:
      return binary_run<T, bool>(r, [](T a, T b) RULEC_LAMBDA_INLINE { return a >= b; });
  }
}

void logic_run(TypedOp op, const Run& r) {
  switch (op) {
    case TypedOp::And:
      return binary_run<bool, bool>(r, [](bool a, bool b) RULEC_LAMBDA_INLINE { return a && b; });
    case TypedOp::Or:
      return binary_run<bool, bool>(r, [](bool a, bool b) RULEC_LAMBDA_INLINE { return a || b; });
    case TypedOp::Xor:
      return binary_run<bool, bool>(r, [](bool a, bool b) RULEC_LAMBDA_INLINE { return a != b; });
    default: {
      const auto* x = reinterpret_cast<const bool*>(r.in[0]);
      auto* y = reinterpret_cast<bool*>(r.out);
      for (std::int64_t i = 0; i < r.count; ++i)
        y[i] = !x[i * r.step[0]];
    }
  }
}

// Sums and products wrap around, as the generic kernels' do.
template <typename T, typename Wide>
void integer_run(TypedOp op, const Run& r) {
  switch (op) {
    case TypedOp::Add:
      return binary_run<T, T>(r, [](T a, T b) RULEC_LAMBDA_INLINE {
        return static_cast<T>(static_cast<Wide>(a) + static_cast<Wide>(b));
      });
    case TypedOp::Sub:
      return binary_run<T, T>(r, [](T a, T b) RULEC_LAMBDA_INLINE {
        return static_cast<T>(static_cast<Wide>(a) - static_cast<Wide>(b));
      });
    case TypedOp::Mul:
      return binary_run<T, T>(r, [](T a, T b) RULEC_LAMBDA_INLINE {
        return static_cast<T>(static_cast<Wide>(a) * static_cast<Wide>(b));
      });
    case TypedOp::Min:
      return binary_run<T, T>(r, [](T a, T b) RULEC_LAMBDA_INLINE { return a < b ? a : b; });
    default:
      return binary_run<T, T>(r, [](T a, T b) RULEC_LAMBDA_INLINE { return a > b ? a : b; });
  }
}

template <typename T>
void where_run(const Run& r) {
  const auto* c = reinterpret_cast<const bool*>(r.in[0]);
  const auto* a = reinterpret_cast<const T*>(r.in[1]);
  const auto* b = reinterpret_cast<const T*>(r.in[2]);
  auto* y = reinterpret_cast<T*>(r.out);
  if (r.step[0] == 1 && r.step[1] == 1 && r.step[2] == 1) {
    for (std::int64_t i = 0; i < r.count; ++i)
      y[i] = c[i] ? a[i] : b[i];
    return;
  }
  for (std::int64_t i = 0; i < r.count; ++i)
    y[i] = c[i * r.step[0]] ? a[i * r.step[1]] : b[i * r.step[2]];
}

using RunKernel = void (*)(TypedOp op, const Run& r);

template <typename From>
RunKernel cast_from(DType to) {
  switch (to) {
    case DType::Bool:
      return [](TypedOp, const Run& r) { cast_run<From, bool>(r); };
    case DType::U8:
      return [](TypedOp, const Run& r) { cast_run<From, std::uint8_t>(r); };
    case DType::I8:
      return [](TypedOp, const Run& r) { cast_run<From, std::int8_t>(r); };
    case DType::I32:
      return [](TypedOp, const Run& r) { cast_run<From, std::int32_t>(r); };
    case DType::I64:
      return [](TypedOp, const Run& r) { cast_run<From, std::int64_t>(r); };
    case DType::F64:
      return [](TypedOp, const Run& r) { cast_run<From, double>(r); };
    default:
      return [](TypedOp, const Run& r) { cast_run<From, float>(r); };
  }
}

RunKernel cast_kernel(DType from, DType to) {
  switch (from) {
    case DType::Bool:
      return cast_from<bool>(to);
    case DType::U8:
      return cast_from<std::uint8_t>(to);
    case DType::I8:
      return cast_from<std::int8_t>(to);
    case DType::I32:
      return cast_from<std::int32_t>(to);
    case DType::I64:
      return cast_from<std::int64_t>(to);
    case DType::F64:
      return cast_from<double>(to);
    default:
      return cast_from<float>(to);
  }
}

RunKernel kernel_of(TypedOp op, DType operand, std::int64_t width, DType result) {
  if (op == TypedOp::Cast) return cast_kernel(operand, result);
  if (op == TypedOp::Where) {
    if (width == 1) return [](TypedOp, const Run& r) { where_run<std::uint8_t>(r); };
    if (width == 2) return [](TypedOp, const Run& r) { where_run<std::uint16_t>(r); };
    if (width == 4) return [](TypedOp, const Run& r) { where_run<std::uint32_t>(r); };
    return [](TypedOp, const Run& r) { where_run<std::uint64_t>(r); };
  }
  if (op >= TypedOp::And && op <= TypedOp::Not) return logic_run;
  if (op >= TypedOp::Add) {
    if (operand == DType::I32) return integer_run<std::int32_t, std::uint32_t>;
    return integer_run<std::int64_t, std::uint64_t>;
  }
  switch (operand) {
    case DType::U8:
    case DType::Bool:
      return compare_run<std::uint8_t>;
    case DType::I8:
      return compare_run<std::int8_t>;
    case DType::I32:
      return compare_run<std::int32_t>;
    case DType::I64:
      return compare_run<std::int64_t>;
    case DType::F64:
      return compare_run<double>;
    default:
      return compare_run<float>;
  }
}

std::int64_t width_of(DType dtype) {
  switch (dtype) {
    case DType::F32:
    case DType::I32:
    case DType::U32:
      return 4;
    case DType::F64:
    case DType::I64:
    case DType::U64:
      return 8;
    case DType::F16:
    case DType::BF16:
    case DType::U16:
    case DType::I16:
      return 2;
    default:
      return 1;
  }
}

}  // namespace

void typed(const KernelCall& call) {
  TypedParameters p;
  __builtin_memcpy(&p, call.parameters, sizeof p);
  const TensorRef& out = call.outputs[0];
  const std::size_t operands = call.inputs.size();
  // The longest row of trailing dimensions in which each operand is whole or one element.
  std::uint32_t outer_rank = out.rank;
  std::int64_t run = 1;
  bool whole[3] = {true, true, true}, single[3] = {true, true, true};
  while (outer_rank > 0) {
    const std::int64_t size = out.dims[outer_rank - 1];
    bool fits = true, next_whole[3], next_single[3];
    for (std::size_t i = 0; i < operands; ++i) {
      const TensorRef& in = call.inputs[i];
      const std::uint32_t lead = out.rank - in.rank;
      const std::int64_t own = outer_rank > lead ? in.dims[outer_rank - 1 - lead] : 1;
      next_whole[i] = whole[i] && own == size;
      next_single[i] = single[i] && own == 1;
      fits = fits && (next_whole[i] || next_single[i]);
    }
    if (!fits) break;
    for (std::size_t i = 0; i < operands; ++i) {
      whole[i] = next_whole[i];
      single[i] = next_single[i];
    }
    run *= size;
    --outer_rank;
  }
  Operand of[3];
  for (std::size_t i = 0; i < operands; ++i) {
    const TensorRef& in = call.inputs[i];
    of[i].data = in.data;
    of[i].width = width_of(in.dtype);
    of[i].step = whole[i] ? 1 : 0;
    std::int64_t stride = 1;
    for (std::uint32_t d = in.rank; d-- > 0;) {
      const std::uint32_t at = d + out.rank - in.rank;
      if (at < outer_rank) of[i].stride[at] = in.dims[d] == 1 ? 0 : stride;
      stride *= in.dims[d];
    }
  }
  std::int64_t total = 1;
  for (std::uint32_t d = 0; d < out.rank; ++d)
    total *= out.dims[d];
  const std::int64_t out_width = width_of(out.dtype);
  const TensorRef& first = call.inputs[p.op == TypedOp::Where ? 1 : 0];
  const RunKernel kernel = kernel_of(p.op, first.dtype, width_of(first.dtype), out.dtype);
  constexpr std::int64_t part = 1 << 15;
  const auto chunk = [&](std::int64_t index) {
    const std::int64_t end = smaller(total, (index + 1) * part);
    for (std::int64_t at = index * part; at < end;) {
      std::int64_t row = at / run;
      const std::int64_t inside = at % run;
      Run r;
      r.count = smaller(run - inside, end - at);
      r.out = out.data + at * out_width;
      std::int64_t offset[3] = {};
      for (std::uint32_t d = outer_rank; d-- > 0;) {
        const std::int64_t i = row % out.dims[d];
        row /= out.dims[d];
        for (std::size_t k = 0; k < operands; ++k)
          offset[k] += i * of[k].stride[d];
      }
      for (std::size_t k = 0; k < operands; ++k) {
        r.in[k] = of[k].data + (offset[k] + inside * of[k].step) * of[k].width;
        r.step[k] = of[k].step;
      }
      kernel(p.op, r);
      at += r.count;
    }
  };
  const std::int64_t chunks = ceil_div(total, part);
  if (chunks < 3) {
    for (std::int64_t c = 0; c < chunks; ++c)
      chunk(c);
  } else {
    call.pool->run(chunks, chunk);
  }
}

}  // namespace rulec::kernels::RULEC_ISA
