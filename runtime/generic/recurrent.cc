// SPDX-License-Identifier: Apache-2.0
// LSTM, GRU and RNN: forward, reverse and both, both layouts, lengths, peepholes, clipping.
#include <algorithm>
#include <cmath>
#include <string>

#include "runtime/generic/elements.h"
#include "runtime/generic/elementwise.h"
#include "runtime/generic/families.h"
#include "runtime/generic/product.h"

namespace rulec::generic {
namespace {

// An activation with its parameters.
struct Activation {
  double (*function)(double v, double alpha, double beta) = nullptr;
  double alpha = 0, beta = 0;
  double operator()(double v) const { return function(v, alpha, beta); }
};

struct Known {
  std::string_view name;
  double (*function)(double, double, double);
  int parameters;  // how many of alpha and beta it takes
  double alpha, beta;
};

// A layer's operands in doubles, [seq, batch, …], and its attributes.
struct Layer {
  std::int64_t gates = 0, hidden = 0, inputs = 0, length = 0, batch = 0, directions = 1;
  Tensor x, w, r, b;  // b may be undefined
  Tensor h, c;        // initial states [directions, batch, hidden]; may be undefined
  Tensor p;           // peepholes; may be undefined
  std::vector<std::int64_t> lengths;
  std::vector<Activation> activations;
  double clip = 0;  // 0: none
  bool reverse_only = false, batch_first = false;
  bool input_forget = false, linear_before_reset = false;
};

// One direction's place in the layer.
struct Direction {
  const double* r;
  const double* b;  // null, or the biases of W and then of R
  const double* p;
  const Activation* act;
};

}  // namespace

static constexpr Known known_activations[] = {
    {"Affine", [](double v, double a, double b) { return a * v + b; }, 2, 1, 0},
    {"Elu", [](double v, double a, double) { return v < 0 ? a * std::expm1(v) : v; }, 1, 1, 0},
    {"HardSigmoid", [](double v, double a, double b) { return std::clamp(a * v + b, 0.0, 1.0); }, 2,
     static_cast<double>(0.2F), 0.5},
    {"LeakyRelu", [](double v, double a, double) { return v < 0 ? a * v : v; }, 1,
     static_cast<double>(0.01F), 0},
    {"Relu", [](double v, double, double) { return v < 0 ? 0 : v; }, 0, 0, 0},
    {"ScaledTanh", [](double v, double a, double b) { return a * std::tanh(b * v); }, 2, 1, 1},
    {"Sigmoid", [](double v, double, double) { return 1 / (1 + std::exp(-v)); }, 0, 0, 0},
    {"Softplus",
     [](double v, double, double) {
       return std::max(v, 0.0) + std::log1p(std::exp(-std::fabs(v)));
     },
     0, 0, 0},
    {"Softsign", [](double v, double, double) { return v / (1 + std::fabs(v)); }, 0, 0, 0},
    {"Tanh", [](double v, double, double) { return std::tanh(v); }, 0, 0, 0},
    {"ThresholdedRelu", [](double v, double a, double) { return v > a ? v : 0; }, 1, 1, 0},
};

static bool same_letters(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

static Result<std::vector<Activation>> read_activations(
    const Call& call, std::int64_t directions, std::span<const std::string_view> defaults) {
  std::vector<std::string> names;
  if (const auto* given = call.attributes.get<std::vector<std::string>>("activations")) {
    names = *given;
  }
  const std::size_t needed = defaults.size() * static_cast<std::size_t>(directions);
  for (std::size_t i = names.size(); names.size() < needed; ++i) {
    names.emplace_back(defaults[i % defaults.size()]);
  }
  if (names.size() != needed) {
    return make_error("the attribute activations names {} functions, but {} are needed",
                      names.size(), needed);
  }
  // Parameters are given in order, to the functions that take them.
  const auto* alphas = call.attributes.get<std::vector<float>>("activation_alpha");
  const auto* betas = call.attributes.get<std::vector<float>>("activation_beta");
  std::size_t next_alpha = 0, next_beta = 0;
  std::vector<Activation> out;
  for (const std::string& text : names) {
    const auto* found = std::find_if(std::begin(known_activations), std::end(known_activations),
                                     [&](const Known& k) { return same_letters(k.name, text); });
    if (found == std::end(known_activations)) {
      return make_error("the activation '{}' is not known", text);
    }
    Activation activation{found->function, found->alpha, found->beta};
    if (found->parameters > 0 && alphas && next_alpha < alphas->size()) {
      activation.alpha = static_cast<double>((*alphas)[next_alpha++]);
    }
    if (found->parameters > 1 && betas && next_beta < betas->size()) {
      activation.beta = static_cast<double>((*betas)[next_beta++]);
    }
    out.push_back(activation);
  }
  return out;
}

static Status check_operand(std::string_view what, const Tensor& t, const Shape& expected) {
  if (!t.defined() || t.shape() == expected) return Done{};
  return make_error("the operand {} has the shape {}, but {} is needed", what, to_string(t.shape()),
                    to_string(expected));
}

static Tensor operand(const Call& call, std::size_t index) {
  return call.has(index) ? as_doubles(call.tensor(index)) : Tensor();
}

static constexpr std::int64_t swap_first_two[] = {1, 0, 2};

static Result<Layer> read_layer(const Call& call, std::int64_t gates,
                                std::span<const std::string_view> default_activations) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  Layer layer;
  layer.gates = gates;
  layer.batch_first = call.attributes.integer("layout", 0) != 0;
  layer.x = operand(call, 0);
  layer.w = operand(call, 1);
  layer.r = operand(call, 2);
  layer.b = operand(call, 3);
  layer.h = operand(call, 5);
  if (gates == 4) {
    layer.c = operand(call, 6);
    layer.p = operand(call, 7);
  }
  if (layer.x.rank() != 3 || layer.w.rank() != 3 || layer.r.rank() != 3) {
    return make_error("operands 0, 1 and 2 must have three dimensions");
  }
  if (layer.batch_first) {
    layer.x = transposed(layer.x, swap_first_two);
    if (layer.h.rank() == 3) layer.h = transposed(layer.h, swap_first_two);
    if (layer.c.rank() == 3) layer.c = transposed(layer.c, swap_first_two);
  }
  const std::string_view direction = call.attributes.text("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional") {
    return make_error("the attribute direction is '{}'", direction);
  }
  layer.directions = direction == "bidirectional" ? 2 : 1;
  layer.reverse_only = direction == "reverse";
  layer.length = layer.x.dim(0);
  layer.batch = layer.x.dim(1);
  layer.inputs = layer.x.dim(2);
  layer.hidden = layer.r.dim(2);
  const std::int64_t rows = gates * layer.hidden;
  const Shape state = {layer.directions, layer.batch, layer.hidden};
  for (const Status& fits :
       {check_operand("W", layer.w, {layer.directions, rows, layer.inputs}),
        check_operand("R", layer.r, {layer.directions, rows, layer.hidden}),
        check_operand("B", layer.b, {layer.directions, 2 * rows}),
        check_operand("initial_h", layer.h, state), check_operand("initial_c", layer.c, state),
        check_operand("P", layer.p, {layer.directions, 3 * layer.hidden})}) {
    if (!fits) return fits.error();
  }
  layer.lengths.assign(static_cast<std::size_t>(layer.batch), layer.length);
  if (call.has(4)) {
    layer.lengths = call.tensor(4).integers();
    if (static_cast<std::int64_t>(layer.lengths.size()) != layer.batch) {
      return make_error("the operand sequence_lens has {} elements for a batch of {}",
                        layer.lengths.size(), layer.batch);
    }
    for (const std::int64_t length : layer.lengths) {
      if (length < 0 || length > layer.length) {
        return make_error("the operand sequence_lens holds {}, but the sequence has {} steps",
                          length, layer.length);
      }
    }
  }
  auto activations = read_activations(call, layer.directions, default_activations);
  if (!activations) return activations.error();
  layer.activations = *std::move(activations);
  layer.clip = static_cast<double>(call.attributes.number("clip", 0));
  layer.input_forget = call.attributes.integer("input_forget", 0) != 0;
  layer.linear_before_reset = call.attributes.integer("linear_before_reset", 0) != 0;
  return layer;
}

static double clipped(double v, double clip) {
  return clip > 0 ? std::clamp(v, -clip, clip) : v;
}

static double dot(const double* a, const double* b, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i)
    sum += a[i] * b[i];
  return sum;
}

// A step maps the gates' inputs of one batch element (W x + both biases, unless it asks for R's)
// and its state to the next state.
static void step_lstm(const Layer& l, const Direction& d, const double* gates, double* h, double* c,
                      std::vector<double>& sums) {
  const std::int64_t n = l.hidden;
  for (std::int64_t i = 0; i < 4 * n; ++i) {
    sums[static_cast<std::size_t>(i)] = gates[i] + dot(d.r + i * n, h, n);
  }
  for (std::int64_t i = 0; i < n; ++i) {
    const auto sum = [&](std::int64_t gate) {
      return sums[static_cast<std::size_t>(gate * n + i)];
    };
    const auto peep = [&](std::int64_t gate) { return d.p ? d.p[gate * n + i] : 0.0; };
    const double in = d.act[0](clipped(sum(0) + peep(0) * c[i], l.clip));
    const double forget =
        l.input_forget ? 1 - in : d.act[0](clipped(sum(2) + peep(2) * c[i], l.clip));
    const double cell = d.act[1](clipped(sum(3), l.clip));
    c[i] = forget * c[i] + in * cell;
    const double out = d.act[0](clipped(sum(1) + peep(1) * c[i], l.clip));
    h[i] = out * d.act[2](c[i]);
  }
}

static void step_gru(const Layer& l, const Direction& d, const double* gates, double* h, double*,
                     std::vector<double>& sums) {
  const std::int64_t n = l.hidden;
  // Update and reset gates, then the candidate, which sees the state through the reset gate.
  std::vector<double> candidate(static_cast<std::size_t>(n)), seen(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < 2 * n; ++i) {
    sums[static_cast<std::size_t>(i)] =
        d.act[0](clipped(gates[i] + dot(d.r + i * n, h, n), l.clip));
  }
  for (std::int64_t i = 0; i < n; ++i) {
    seen[static_cast<std::size_t>(i)] = sums[static_cast<std::size_t>(n + i)] * h[i];
  }
  for (std::int64_t i = 0; i < n; ++i) {
    const double* row = d.r + (2 * n + i) * n;
    const double bias = d.b ? d.b[(3 + 2) * n + i] : 0;
    const double reset = sums[static_cast<std::size_t>(n + i)];
    const double recurrent =
        l.linear_before_reset ? reset * (dot(row, h, n) + bias) : dot(row, seen.data(), n) + bias;
    candidate[static_cast<std::size_t>(i)] =
        d.act[1](clipped(gates[2 * n + i] + recurrent, l.clip));
  }
  for (std::int64_t i = 0; i < n; ++i) {
    const double z = sums[static_cast<std::size_t>(i)];
    h[i] = (1 - z) * candidate[static_cast<std::size_t>(i)] + z * h[i];
  }
}

static void step_rnn(const Layer& l, const Direction& d, const double* gates, double* h, double*,
                     std::vector<double>& sums) {
  const std::int64_t n = l.hidden;
  for (std::int64_t i = 0; i < n; ++i) {
    sums[static_cast<std::size_t>(i)] =
        d.act[0](clipped(gates[i] + dot(d.r + i * n, h, n), l.clip));
  }
  std::copy_n(sums.begin(), n, h);
}

using Step = void (*)(const Layer&, const Direction&, const double*, double*, double*,
                      std::vector<double>&);

// Y [seq, directions, batch, hidden], the last h and c [directions, batch, hidden].
static Outputs run_layer(const Call& call, const Layer& l, Step step) {
  const std::int64_t n = l.hidden, rows = l.gates * n;
  Tensor y = Tensor::zeros(DType::F64, {l.length, l.directions, l.batch, n});
  const Shape state = {l.directions, l.batch, n};
  Tensor h = l.h.defined() ? cloned(l.h) : Tensor::zeros(DType::F64, state);
  Tensor c = l.c.defined() ? cloned(l.c) : Tensor::zeros(DType::F64, state);
  std::vector<double> gates(static_cast<std::size_t>(l.length * l.batch * rows));
  std::vector<double> sums(static_cast<std::size_t>(rows));
  for (std::int64_t k = 0; k < l.directions; ++k) {
    const bool reverse = l.reverse_only || k == 1;
    const std::size_t functions = l.activations.size() / static_cast<std::size_t>(l.directions);
    const Direction d{l.r.data<double>() + k * rows * n,
                      l.b.defined() ? l.b.data<double>() + k * 2 * rows : nullptr,
                      l.p.defined() ? l.p.data<double>() + k * 3 * n : nullptr,
                      l.activations.data() + static_cast<std::size_t>(k) * functions};
    for (std::int64_t i = 0; i < l.length * l.batch * rows; ++i) {
      const std::int64_t row = i % rows;
      // The candidate gate of a GRU adds R's bias itself, inside the reset.
      const bool own = l.gates == 3 && row >= 2 * n;
      gates[static_cast<std::size_t>(i)] = d.b ? d.b[row] + (own ? 0 : d.b[rows + row]) : 0;
    }
    const double* w = l.w.data<double>() + k * rows * l.inputs;
    multiply_add(l.x.data<double>(), l.inputs, l.length * l.batch, l.inputs, rows,
                 panels_of(w, l.inputs, rows, 1, l.inputs), gates.data(), rows);
    for (std::int64_t b = 0; b < l.batch; ++b) {
      double* own_h = h.mutable_data<double>() + (k * l.batch + b) * n;
      double* own_c = c.mutable_data<double>() + (k * l.batch + b) * n;
      const std::int64_t length = l.lengths[static_cast<std::size_t>(b)];
      for (std::int64_t s = 0; s < length; ++s) {
        const std::int64_t t = reverse ? length - 1 - s : s;
        step(l, d, gates.data() + (t * l.batch + b) * rows, own_h, own_c, sums);
        std::copy_n(own_h, n,
                    y.mutable_data<double>() + ((t * l.directions + k) * l.batch + b) * n);
      }
    }
  }
  if (l.batch_first) {
    constexpr std::int64_t batch_first[] = {2, 0, 1, 3};
    y = transposed(y, batch_first);
    h = transposed(h, swap_first_two);
    c = transposed(c, swap_first_two);
  }
  const DType dtype = call.tensor(0).dtype();
  Outputs outputs = one(convert(y, dtype));
  outputs.emplace_back(convert(h, dtype));
  if (l.gates == 4) outputs.emplace_back(convert(c, dtype));
  return outputs;
}

static Result<Outputs> run_lstm(const Call& call) {
  constexpr std::string_view defaults[] = {"Sigmoid", "Tanh", "Tanh"};
  const Result<Layer> layer = read_layer(call, 4, defaults);
  if (!layer) return layer.error();
  return run_layer(call, *layer, step_lstm);
}

static Result<Outputs> run_gru(const Call& call) {
  constexpr std::string_view defaults[] = {"Sigmoid", "Tanh"};
  const Result<Layer> layer = read_layer(call, 3, defaults);
  if (!layer) return layer.error();
  return run_layer(call, *layer, step_gru);
}

static Result<Outputs> run_rnn(const Call& call) {
  constexpr std::string_view defaults[] = {"Tanh"};
  const Result<Layer> layer = read_layer(call, 1, defaults);
  if (!layer) return layer.error();
  return run_layer(call, *layer, step_rnn);
}

std::span<const KernelEntry> recurrent_kernels() {
  static constexpr KernelEntry entries[] = {
      {"", "GRU", run_gru, 3},
      {"", "LSTM", run_lstm, 3},
      {"", "RNN", run_rnn, 3},
  };
  return entries;
}

}  // namespace rulec::generic
