// SPDX-License-Identifier: Apache-2.0
// Scaled dot-product attention and the operators around it: RotaryEmbedding, LinearAttention,
// CausalConvWithState.
#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/generic/elements.h"
#include "runtime/generic/elementwise.h"
#include "runtime/generic/families.h"
#include "runtime/generic/matmul.h"

namespace rulec::generic {
namespace {

// What may keep a query from a key, besides the mask operand.
struct Visibility {
  bool causal = false;
  std::int64_t left = -1, right = -1;  // window, -1: unbounded
  std::vector<std::int64_t> offsets;   // of each batch element: keys before its queries
  std::vector<std::int64_t> lengths;   // of each batch element: valid keys

  bool sees(std::int64_t batch, std::int64_t query, std::int64_t key) const {
    const auto b = static_cast<std::size_t>(batch);
    const std::int64_t position = query + offsets[b];
    return key < lengths[b] && !(causal && key > position) &&
           !(left >= 0 && key < position - left) && !(right >= 0 && key > position + right);
  }
};

}  // namespace

static constexpr std::int64_t swap_middle[] = {0, 2, 1, 3};
static constexpr std::int64_t swap_last[] = {0, 1, 3, 2};

// [B, T, heads * D] or [B, heads, T, D] as [B, heads, T, D] in doubles.
static Result<Tensor> split_heads(const Tensor& tensor, std::int64_t heads, std::string_view what) {
  if (tensor.rank() == 4) return as_doubles(tensor);
  if (tensor.rank() != 3 || heads < 1 || tensor.dim(2) % heads != 0) {
    return make_error("{} of shape {} does not split into {} heads", what,
                      to_string(tensor.shape()), heads);
  }
  const Shape split = {tensor.dim(0), tensor.dim(1), heads, tensor.dim(2) / heads};
  return transposed(as_doubles(tensor).reshaped(split), swap_middle);
}

// [B, heads, T, D] back to [B, T, heads * D].
static Tensor join_heads(const Tensor& x) {
  return transposed(x, swap_middle).reshaped({x.dim(0), x.dim(2), x.dim(1) * x.dim(3)});
}

// Every key and value head, repeated for the query heads that share it.
static Tensor repeat_heads(const Tensor& x, std::int64_t heads) {
  if (x.dim(1) == heads) return x;
  std::vector<std::int64_t> from;
  for (std::int64_t h = 0; h < heads; ++h)
    from.push_back(h / (heads / x.dim(1)));
  return take(x, 1, from);
}

// The mask operand as numbers to add, with -infinity behind its end where it is shorter.
static Result<Tensor> additive_mask(const Call& call, const Shape& scores) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (!call.has(3)) return Tensor::zeros(DType::F64, {1});
  const Tensor& given = call.tensor(3);
  Tensor mask = as_doubles(given);
  if (given.dtype() == DType::Bool) {
    mask = map_numbers(mask, [](double v) { return v != 0 ? 0 : -infinity; });
  }
  const std::int64_t keys = scores.back();
  if (mask.rank() > 0 && mask.shape().back() < keys) {
    Shape rest = mask.shape();
    rest.back() = keys - rest.back();
    Tensor hidden = Tensor::allocate(DType::F64, rest);
    std::fill_n(hidden.mutable_data<double>(), hidden.size(), -infinity);
    const Tensor parts[] = {mask, hidden};
    mask = concatenated(parts, mask.rank() - 1);
  }
  const auto shape = broadcast(mask.shape(), scores);
  if (!shape || *shape != scores) {
    return make_error("the mask of shape {} does not broadcast to {}", to_string(given.shape()),
                      to_string(scores));
  }
  return mask;
}

static Result<Visibility> read_visibility(const Call& call, const Shape& scores,
                                          std::int64_t past) {
  Visibility v;
  v.causal = call.attributes.integer("is_causal", 0) != 0;
  v.left = call.attributes.integer("left_window_size", -1);
  v.right = call.attributes.integer("right_window_size", -1);
  const auto batch = static_cast<std::size_t>(scores[0]);
  v.offsets.assign(batch, past);
  v.lengths.assign(batch, scores[3]);
  if (!call.has(6)) return v;
  v.lengths = call.tensor(6).integers();
  if (v.lengths.size() != batch) {
    return make_error("nonpad_kv_seqlen has {} elements for a batch of {}", v.lengths.size(),
                      batch);
  }
  for (std::size_t b = 0; b < batch; ++b)
    v.offsets[b] = v.lengths[b] - scores[2];
  return v;
}

// Softmax of a row of scores plus biases; all zero where every bias is -infinity.
static void attend(const double* scores, const double* bias, double* to, std::int64_t keys) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  double most = -infinity, most_bias = -infinity, sum = 0;
  for (std::int64_t j = 0; j < keys; ++j) {
    most_bias = std::max(most_bias, bias[j]);
    most = std::fmax(most, scores[j]);
  }
  if (most_bias == -infinity) {
    std::fill_n(to, keys, 0.0);
    return;
  }
  for (std::int64_t j = 0; j < keys; ++j) {
    to[j] = std::exp(scores[j] - most);
    sum += to[j];
  }
  for (std::int64_t j = 0; j < keys; ++j)
    to[j] /= sum;
}

static Result<Outputs> run_attention(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const std::int64_t q_heads = call.attributes.integer("q_num_heads", 0);
  const std::int64_t kv_heads = call.attributes.integer("kv_num_heads", 0);
  const Result<Tensor> q = split_heads(call.tensor(0), q_heads, "Q");
  if (!q) return q.error();
  const Result<Tensor> own_k = split_heads(call.tensor(1), kv_heads, "K");
  if (!own_k) return own_k.error();
  const Result<Tensor> own_v = split_heads(call.tensor(2), kv_heads, "V");
  if (!own_v) return own_v.error();
  Tensor k = *own_k;
  Tensor v = *own_v;
  std::int64_t past = 0;
  if (call.has(4) != call.has(5)) return make_error("past_key and past_value belong together");
  if (call.has(4)) {
    const Tensor keys[] = {as_doubles(call.tensor(4)), k};
    const Tensor values[] = {as_doubles(call.tensor(5)), v};
    for (const auto& pair : {std::span(keys), std::span(values)}) {
      Shape expected = pair[1].shape();
      if (pair[0].rank() == 4) expected[2] = pair[0].dim(2);
      if (pair[0].shape() != expected) {
        return make_error("a cache of shape {} does not fit {}", to_string(pair[0].shape()),
                          to_string(pair[1].shape()));
      }
    }
    past = keys[0].dim(2);
    k = concatenated(keys, 2);
    v = concatenated(values, 2);
  }
  const std::int64_t heads = q->dim(1);
  if (k.dim(1) == 0 || heads % k.dim(1) != 0 || v.dim(1) != k.dim(1) || k.dim(2) != v.dim(2)) {
    return make_error("Q, K and V of shapes {}, {} and {} do not fit", to_string(q->shape()),
                      to_string(k.shape()), to_string(v.shape()));
  }
  const Tensor present_k = k;
  const Tensor present_v = v;
  k = repeat_heads(k, heads);
  v = repeat_heads(v, heads);
  const Result<Tensor> product = matmul(*q, transposed(k, swap_last));
  if (!product) return product.error();
  const float* given_scale = call.attributes.get<float>("scale");
  const double scale = given_scale ? static_cast<double>(*given_scale)
                                   : 1 / std::sqrt(static_cast<double>(q->dim(3)));
  const Tensor raw = map_numbers(*product, [scale](double x) { return x * scale; });
  const auto cap = static_cast<double>(call.attributes.number("softcap", 0));
  const Tensor capped =
      cap > 0 ? map_numbers(raw, [cap](double x) { return cap * std::tanh(x / cap); }) : raw;
  const Result<Tensor> mask = additive_mask(call, raw.shape());
  if (!mask) return mask.error();
  const Result<Visibility> visibility = read_visibility(call, raw.shape(), past);
  if (!visibility) return visibility.error();
  const std::int64_t queries = raw.dim(2), keys = raw.dim(3);
  Tensor bias = zip_elements<double, double, double>(Tensor::zeros(DType::F64, raw.shape()), *mask,
                                                     raw.shape(), DType::F64,
                                                     [](double, double m) { return m; });
  for (std::int64_t i = 0; i < bias.size(); ++i) {
    const std::int64_t batch = i / (heads * queries * keys);
    if (!visibility->sees(batch, i / keys % queries, i % keys)) {
      bias.mutable_data<double>()[i] = -std::numeric_limits<double>::infinity();
    }
  }
  Tensor biased = zip_elements<double, double, double>(capped, bias, raw.shape(), DType::F64,
                                                       [](double a, double b) { return a + b; });
  const std::int64_t precision = call.attributes.integer("softmax_precision", 0);
  if (precision > 0 && precision <= static_cast<std::int64_t>(DType::I2) &&
      is_float(static_cast<DType>(precision))) {
    biased = as_doubles(convert(biased, static_cast<DType>(precision)));
  }
  Tensor weights = Tensor::allocate(DType::F64, raw.shape());
  for (std::int64_t row = 0; keys > 0 && row < weights.size() / keys; ++row) {
    attend(biased.data<double>() + row * keys, bias.data<double>() + row * keys,
           weights.mutable_data<double>() + row * keys, keys);
  }
  const Result<Tensor> y = matmul(weights, v);
  if (!y) return y.error();
  const DType dtype = call.tensor(0).dtype();
  Outputs outputs = one(convert(call.tensor(0).rank() == 3 ? join_heads(*y) : *y, dtype));
  outputs.emplace_back(convert(present_k, call.tensor(1).dtype()));
  outputs.emplace_back(convert(present_v, call.tensor(2).dtype()));
  const std::int64_t mode = call.attributes.integer("qk_matmul_output_mode", 0);
  const Tensor& shown = mode == 3 ? weights : mode == 2 ? biased : mode == 1 ? capped : raw;
  outputs.emplace_back(convert(shown, dtype));
  return outputs;
}

static Result<Outputs> run_rotary_embedding(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Result<Tensor> x =
      split_heads(call.tensor(0), call.attributes.integer("num_heads", 0), "operand 0");
  if (!x) return x.error();
  const Tensor cosines = as_doubles(call.tensor(1));
  const Tensor sines = as_doubles(call.tensor(2));
  const std::int64_t size = x->dim(3), length = x->dim(2);
  std::int64_t rotated = call.attributes.integer("rotary_embedding_dim", 0);
  if (rotated == 0) rotated = size;
  const std::int64_t half = rotated / 2;
  const bool interleaved = call.attributes.integer("interleaved", 0) != 0;
  const std::size_t rank = call.has(3) ? 2 : 3;
  if (rotated < 0 || rotated > size || cosines.shape() != sines.shape() || cosines.rank() != rank ||
      cosines.shape().back() != half) {
    return make_error("caches of shapes {} and {} do not fit a rotation of {} elements",
                      to_string(cosines.shape()), to_string(sines.shape()), rotated);
  }
  Integers rows;  // of the caches, for each batch element and position
  for (std::int64_t i = 0; i < x->dim(0) * length; ++i)
    rows.push_back(i);
  if (call.has(3)) rows = call.tensor(3).integers();
  const std::int64_t cached = half == 0 ? 0 : cosines.size() / half;
  if (static_cast<std::int64_t>(rows.size()) != x->dim(0) * length) {
    return make_error("there are {} positions for {} elements", rows.size(), x->dim(0) * length);
  }
  Tensor y = cloned(*x);
  double* to = y.mutable_data<double>();
  for (std::int64_t i = 0; i < x->size() / std::max<std::int64_t>(size, 1); ++i) {
    const std::int64_t batch = i / length / x->dim(1);
    const std::int64_t row = rows[static_cast<std::size_t>(batch * length + i % length)];
    if (half > 0 && (row < 0 || row >= cached)) {
      return make_error("position {} is outside the {} cached ones", row, cached);
    }
    for (std::int64_t j = 0; j < half; ++j) {
      const std::int64_t first = i * size + (interleaved ? 2 * j : j);
      const std::int64_t second = interleaved ? first + 1 : first + half;
      const double c = cosines.data<double>()[row * half + j];
      const double s = sines.data<double>()[row * half + j];
      const double a = x->data<double>()[first], b = x->data<double>()[second];
      to[first] = c * a - s * b;
      to[second] = s * a + c * b;
    }
  }
  return one(convert(call.tensor(0).rank() == 3 ? join_heads(y) : y, call.tensor(0).dtype()));
}

// One token of one head: the state [dk, dv] decays, takes up key and value, and answers.
static void update_state(double* state, const double* key, std::vector<double> value,
                         const double* decay, std::int64_t decay_step, const double* beta,
                         std::int64_t dk) {
  const auto dv = static_cast<std::int64_t>(value.size());
  if (decay) {
    for (std::int64_t i = 0; i < dk * dv; ++i)
      state[i] *= std::exp(decay[i / dv * decay_step]);
  }
  if (beta) {
    for (std::int64_t j = 0; j < dv; ++j) {
      double known = 0;
      for (std::int64_t i = 0; i < dk; ++i)
        known += state[i * dv + j] * key[i];
      double& v = value[static_cast<std::size_t>(j)];
      v = *beta * (v - known);
    }
  }
  for (std::int64_t i = 0; i < dk * dv; ++i) {
    state[i] += key[i / dv] * value[static_cast<std::size_t>(i % dv)];
  }
}

static Result<Outputs> run_linear_attention(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const std::int64_t q_heads = call.attributes.integer("q_num_heads", 0);
  const std::int64_t heads = call.attributes.integer("kv_num_heads", 0);
  const std::string_view rule = call.attributes.text("update_rule", "gated_delta");
  const bool gated = rule == "gated" || rule == "gated_delta";
  const bool delta = rule == "delta" || rule == "gated_delta";
  if (!gated && !delta && rule != "linear") {
    return make_error("the attribute update_rule is '{}'", rule);
  }
  if (heads < 1 || q_heads < heads || q_heads % heads != 0) {
    return make_error("{} query heads do not share {} key heads", q_heads, heads);
  }
  if (gated != call.has(4) || delta != call.has(5)) {
    return make_error("the update rule '{}' does not go with the decay and beta operands", rule);
  }
  const Result<Tensor> q = split_heads(call.tensor(0), q_heads, "query");
  if (!q) return q.error();
  const Result<Tensor> k = split_heads(call.tensor(1), heads, "key");
  if (!k) return k.error();
  const Result<Tensor> v = split_heads(call.tensor(2), heads, "value");
  if (!v) return v.error();
  const std::int64_t batch = q->dim(0), length = q->dim(2), dk = q->dim(3), dv = v->dim(3);
  const Shape states = {batch, heads, dk, dv};
  if (k->shape() != Shape{batch, heads, length, dk} || v->dim(0) != batch || v->dim(2) != length ||
      (call.has(3) && call.tensor(3).shape() != states)) {
    return make_error("query, key, value and state do not fit");
  }
  const Tensor decay = call.has(4) ? as_doubles(call.tensor(4)) : Tensor();
  const Tensor beta = call.has(5) ? as_doubles(call.tensor(5)) : Tensor();
  const std::int64_t decays = decay.rank() == 3 ? decay.dim(2) : 0;
  const std::int64_t betas = beta.rank() == 3 ? beta.dim(2) : 0;
  if ((gated && (decays != heads && decays != heads * dk)) ||
      (delta && (betas != heads && betas != 1))) {
    return make_error("decay or beta do not fit {} heads of {} elements", heads, dk);
  }
  Tensor state =
      call.has(3) ? cloned(as_doubles(call.tensor(3))) : Tensor::zeros(DType::F64, states);
  const auto given = static_cast<double>(call.attributes.number("scale", 0));
  const double scale = given == 0 ? 1 / std::sqrt(static_cast<double>(dk)) : given;
  Tensor y = Tensor::zeros(DType::F64, {batch, q_heads, length, dv});
  const std::int64_t decay_step = decays == heads ? 0 : 1;
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t h = 0; h < heads; ++h) {
      double* s = state.mutable_data<double>() + (b * heads + h) * dk * dv;
      for (std::int64_t t = 0; t < length; ++t) {
        const std::int64_t token = (b * heads + h) * length + t;
        const double* from = v->data<double>() + token * dv;
        const std::int64_t own = h * (decay_step == 0 ? 1 : dk);
        update_state(
            s, k->data<double>() + token * dk, std::vector<double>(from, from + dv),
            gated ? decay.data<double>() + (b * length + t) * decays + own : nullptr, decay_step,
            delta ? beta.data<double>() + (b * length + t) * betas + (betas == 1 ? 0 : h) : nullptr,
            dk);
        for (std::int64_t g = h * (q_heads / heads); g < (h + 1) * (q_heads / heads); ++g) {
          const std::int64_t row = (b * q_heads + g) * length + t;
          for (std::int64_t i = 0; i < dk * dv; ++i) {
            y.mutable_data<double>()[row * dv + i % dv] +=
                scale * q->data<double>()[row * dk + i / dv] * s[i];
          }
        }
      }
    }
  }
  const DType dtype = call.tensor(0).dtype();
  Outputs outputs = one(convert(join_heads(y), dtype));
  outputs.emplace_back(convert(state, call.has(3) ? call.tensor(3).dtype() : dtype));
  return outputs;
}

static Result<Outputs> run_causal_conv(const Call& call) {
  const Status ok = check_float(call, 0);
  if (!ok) return ok.error();
  const Tensor x = as_doubles(call.tensor(0));
  const Tensor w = as_doubles(call.tensor(1));
  const std::string_view activation = call.attributes.text("activation", "none");
  const bool swish = activation == "silu" || activation == "swish";
  if (!swish && activation != "none") {
    return make_error("the attribute activation is '{}'", activation);
  }
  if (x.rank() != 3 || w.rank() != 3 || w.dim(0) != x.dim(1) || w.dim(1) != 1 || w.dim(2) < 1) {
    return make_error("operands of shapes {} and {} do not fit", to_string(x.shape()),
                      to_string(w.shape()));
  }
  const std::int64_t channels = x.dim(1), taps = w.dim(2), length = x.dim(2);
  const Shape past_shape = {x.dim(0), channels, taps - 1};
  const Tensor past =
      call.has(3) ? as_doubles(call.tensor(3)) : Tensor::zeros(DType::F64, past_shape);
  const Tensor bias =
      call.has(2) ? as_doubles(call.tensor(2)) : Tensor::zeros(DType::F64, {channels});
  if (past.shape() != past_shape || bias.size() != channels) {
    return make_error("the state or the bias do not fit {} channels and {} taps", channels, taps);
  }
  const Tensor parts[] = {past, x};
  const Tensor padded = concatenated(parts, 2);
  const std::int64_t row = length + taps - 1;
  Tensor y = Tensor::allocate(DType::F64, x.shape());
  for (std::int64_t i = 0; i < y.size(); ++i) {
    const std::int64_t plane = i / length, c = plane % channels;
    double sum = bias.data<double>()[c];
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      sum +=
          padded.data<double>()[plane * row + i % length + tap] * w.data<double>()[c * taps + tap];
    }
    y.mutable_data<double>()[i] = swish ? sum / (1 + std::exp(-sum)) : sum;
  }
  std::vector<std::int64_t> kept;
  for (std::int64_t i = length; i < row; ++i)
    kept.push_back(i);
  const DType dtype = call.tensor(0).dtype();
  Outputs outputs = one(convert(y, dtype));
  outputs.emplace_back(convert(take(padded, 2, kept), dtype));
  return outputs;
}

std::span<const KernelEntry> attention_kernels() {
  static constexpr KernelEntry entries[] = {
      {"", "Attention", run_attention, 3},
      {"", "CausalConvWithState", run_causal_conv, 2},
      {"", "LinearAttention", run_linear_attention, 3},
      {"", "RotaryEmbedding", run_rotary_embedding, 3},
  };
  return entries;
}

}  // namespace rulec::generic
