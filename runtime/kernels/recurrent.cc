// SPDX-License-Identifier: Apache-2.0
// LSTM and GRU: the inputs' product for all steps at once, then step by step the state's.

#include "runtime/kernels.h"
#include "runtime/kernels/product.h"

namespace rulec::kernels::RULEC_ISA {

namespace {
struct Cell {
  RecurrentParameters p;
  std::int64_t hidden, wide;  // floats of all gates, padded to 16
  const float *recurrent, *bias;
};
}  // namespace

static void state_product(const Cell& c, const float* h, const float* bias, float* out) {
  Product g;
  g.a = h;
  g.row = c.hidden;
  g.depth = c.hidden;
  g.w = c.recurrent;
  g.bias = bias;
  g.out = out;
  g.out_row = c.wide;
  g.columns = c.wide;
  product(g, 0, 1, 0, c.wide / 16);
}

// x: the gates' input part; r: room for the recurrent part. All buffers have a vector to spare.
static void lstm_step(const Cell& c, const float* x, float* r, float* h, float* state) {
  const std::int64_t n = c.hidden;
  state_product(c, h, c.bias, r);
  for (std::int64_t i = 0; i < n; i += lanes) {
    const auto gate = [&](std::int64_t g)
                          RULEC_LAMBDA_INLINE { return load(x + g * n + i) + load(r + g * n + i); };
    const Vec input = sigmoid(gate(0)), output = sigmoid(gate(1)), forget = sigmoid(gate(2));
    const Vec next = fma(forget, load(state + i), input * hyperbolic_tangent(gate(3)));
    store(state + i, next);
    store(h + i, output * hyperbolic_tangent(next));
  }
}

static void gru_step(const Cell& c, const float* x, float* r, float* h, float* reset) {
  const std::int64_t n = c.hidden;
  state_product(c, h, c.bias, r);
  if (c.p.linear_before_reset == 0) {
    for (std::int64_t i = 0; i < n; i += lanes) {
      store(reset + i, sigmoid(load(x + n + i) + load(r + n + i)) * load(h + i));
    }
    float* second = r + c.wide + 16;
    state_product(c, reset, c.bias, second);
    for (std::int64_t i = 0; i < n; i += lanes) {
      const Vec update = sigmoid(load(x + i) + load(r + i));
      const Vec fresh = hyperbolic_tangent(load(x + 2 * n + i) + load(second + 2 * n + i));
      store(h + i, fma(update, load(h + i) - fresh, fresh));
    }
    return;
  }
  for (std::int64_t i = 0; i < n; i += lanes) {
    const Vec update = sigmoid(load(x + i) + load(r + i));
    const Vec gate = sigmoid(load(x + n + i) + load(r + n + i));
    const Vec fresh = hyperbolic_tangent(fma(gate, load(r + 2 * n + i), load(x + 2 * n + i)));
    store(h + i, fma(update, load(h + i) - fresh, fresh));
  }
}

void recurrent(const KernelCall& call) {
  Cell c;
  __builtin_memcpy(&c.p, call.parameters, sizeof c.p);
  const bool lstm = c.p.kind == CellKind::Lstm;
  const std::int64_t steps = call.inputs[0].dims[0], batch = call.inputs[0].dims[1];
  const std::int64_t width = call.inputs[0].dims[2];
  const std::int64_t directions = c.p.directions, n = c.p.hidden;
  c.hidden = n;
  c.wide = ceil_div((lstm ? 4 : 3) * n, 16) * 16;
  const auto f = [](const TensorRef& t) { return reinterpret_cast<float*>(t.data); };
  const float* h0 = c.p.has_h0 ? f(call.inputs[4]) : nullptr;
  const float* c0 = c.p.has_c0 ? f(call.inputs[4 + c.p.has_h0]) : nullptr;
  const auto output = [&](std::size_t i) {
    return i < call.outputs.size() && call.outputs[i].present() ? f(call.outputs[i]) : nullptr;
  };
  float *y = output(0), *last_h = output(1), *last_c = output(2);
  const std::int64_t row = c.wide + 16, room = n + 16;
  auto* scratch = reinterpret_cast<float*>(thread_scratch(
      static_cast<std::size_t>(steps * batch * row + 2 * row + 3 * room + 64) * sizeof(float)));
  float* gates = scratch;
  float* r = gates + steps * batch * row;
  float *h = r + 2 * row, *state = h + room, *reset = state + room;
  for (std::int64_t d = 0; d < directions; ++d) {
    const bool reversed = d == 1 || c.p.reversed != 0;
    const float* bias = f(call.inputs[3]) + d * 2 * c.wide;
    c.recurrent = f(call.inputs[2]) + d * c.wide * n;
    c.bias = bias + c.wide;
    Product g;
    g.a = f(call.inputs[0]);
    g.row = width;
    g.depth = width;
    g.w = f(call.inputs[1]) + d * c.wide * width;
    g.bias = bias;
    g.out = gates;
    g.out_row = row;
    g.columns = c.wide;
    product(g, 0, steps * batch, 0, c.wide / 16);
    for (std::int64_t b = 0; b < batch; ++b) {
      const std::int64_t at = (d * batch + b) * n;
      for (std::int64_t i = 0; i < room; ++i)
        h[i] = h0 != nullptr && i < n ? h0[at + i] : 0.0f;
      for (std::int64_t i = 0; i < room; ++i)
        state[i] = c0 != nullptr && i < n ? c0[at + i] : 0.0f;
      for (std::int64_t s = 0; s < steps; ++s) {
        const std::int64_t t = reversed ? steps - 1 - s : s;
        const float* x = gates + (t * batch + b) * row;
        if (lstm) {
          lstm_step(c, x, r, h, state);
        } else {
          gru_step(c, x, r, h, reset);
        }
        if (y != nullptr) {
          __builtin_memcpy(y + ((t * directions + d) * batch + b) * n, h,
                           static_cast<std::size_t>(n) * sizeof(float));
        }
      }
      if (last_h != nullptr) {
        __builtin_memcpy(last_h + at, h, static_cast<std::size_t>(n) * sizeof(float));
      }
      if (last_c != nullptr) {
        __builtin_memcpy(last_c + at, state, static_cast<std::size_t>(n) * sizeof(float));
      }
    }
  }
}

}  // namespace rulec::kernels::RULEC_ISA
