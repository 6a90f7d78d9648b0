// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/packing.h"

namespace rulec::backend {

static std::int64_t blocks_of(std::int64_t channels) {
  return (channels + 15) / 16;
}

Tensor pack_conv(const Tensor& weights, std::int64_t groups) {
  const std::int64_t oc = weights.dim(0), per_group = weights.dim(1), ic = per_group * groups;
  const std::int64_t kh = weights.dim(2), kw = weights.dim(3), oc_per_group = oc / groups;
  Tensor out = Tensor::zeros(DType::F32, {blocks_of(oc) * blocks_of(ic) * kh * kw * 256});
  const float* w = weights.data<float>();
  float* to = out.mutable_data<float>();
  for (std::int64_t o = 0; o < oc; ++o) {
    for (std::int64_t i = 0; i < per_group; ++i) {
      const std::int64_t c = o / oc_per_group * per_group + i;
      for (std::int64_t k = 0; k < kh * kw; ++k) {
        const std::int64_t block = (o / 16 * blocks_of(ic) + c / 16) * kh * kw + k;
        to[block * 256 + c % 16 * 16 + o % 16] = w[(o * per_group + i) * kh * kw + k];
      }
    }
  }
  return out;
}

Tensor pack_winograd(const Tensor& weights, int m) {
  static constexpr double two[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
  static constexpr double four[6][3] = {{1 / 4.0, 0, 0},
                                        {-1 / 6.0, -1 / 6.0, -1 / 6.0},
                                        {-1 / 6.0, 1 / 6.0, -1 / 6.0},
                                        {1 / 24.0, 1 / 12.0, 1 / 6.0},
                                        {1 / 24.0, -1 / 12.0, 1 / 6.0},
                                        {0, 0, 1}};
  const double(*g)[3] = m == 2 ? two : four;
  const std::int64_t oc = weights.dim(0), ic = weights.dim(1), a = m + 2;
  const std::int64_t channels = blocks_of(ic) * 16;
  Tensor out = Tensor::zeros(DType::F32, {blocks_of(oc) * a * a * channels * 16});
  float* to = out.mutable_data<float>();
  for (std::int64_t o = 0; o < oc; ++o) {
    for (std::int64_t c = 0; c < ic; ++c) {
      const float* w = weights.data<float>() + (o * ic + c) * 9;
      for (std::int64_t i = 0; i < a; ++i) {
        double row[3];
        for (int k = 0; k < 3; ++k)
          row[k] = g[i][0] * w[k] + g[i][1] * w[3 + k] + g[i][2] * w[6 + k];
        for (std::int64_t j = 0; j < a; ++j) {
          const double value = g[j][0] * row[0] + g[j][1] * row[1] + g[j][2] * row[2];
          to[((o / 16 * a * a + i * a + j) * channels + c) * 16 + o % 16] =
              static_cast<float>(value);
        }
      }
    }
  }
  return out;
}

Tensor pack_stem(const Tensor& weights) {
  const std::int64_t oc = weights.dim(0), taps = weights.size() / oc;
  Tensor out = Tensor::zeros(DType::F32, {blocks_of(oc) * taps * 16});
  for (std::int64_t o = 0; o < oc; ++o) {
    for (std::int64_t k = 0; k < taps; ++k) {
      out.mutable_data<float>()[(o / 16 * taps + k) * 16 + o % 16] =
          weights.data<float>()[o * taps + k];
    }
  }
  return out;
}

Tensor pack_depthwise(const Tensor& weights) {
  return pack_stem(weights);
}

Tensor pack_columns(std::span<const float> weights, std::int64_t depth, std::int64_t columns,
                    bool transposed, float scale) {
  Tensor out = Tensor::zeros(DType::F32, {blocks_of(columns) * depth * 16});
  float* to = out.mutable_data<float>();
  for (std::int64_t k = 0; k < depth; ++k) {
    for (std::int64_t n = 0; n < columns; ++n) {
      const auto at = static_cast<std::size_t>(transposed ? n * depth + k : k * columns + n);
      to[(n / 16 * depth + k) * 16 + n % 16] = weights[at] * scale;
    }
  }
  return out;
}

Tensor pad_vector(std::span<const float> values, std::int64_t size, float fill) {
  Tensor out = Tensor::allocate(DType::F32, {blocks_of(size) * 16});
  for (std::int64_t i = 0; i < out.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    out.mutable_data<float>()[i] = at < values.size() && i < size ? values[at] : fill;
  }
  return out;
}

Tensor pack_depthwise_pairs(std::span<const std::int16_t> weights, std::int64_t channels,
                            std::int64_t kh, std::int64_t kw) {
  const std::int64_t pairs = (kw + 1) / 2;
  Tensor out = Tensor::zeros(DType::I16, {blocks_of(channels) * kh * pairs * 32});
  auto* to = out.mutable_data<std::int16_t>();
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t y = 0; y < kh; ++y) {
      for (std::int64_t x = 0; x < kw; ++x) {
        const std::int64_t at = (c / 16 * kh + y) * pairs + x / 2;
        to[at * 32 + c % 16 * 2 + x % 2] = weights[static_cast<std::size_t>((c * kh + y) * kw + x)];
      }
    }
  }
  return out;
}

Tensor pack_whole_winograd(std::span<const std::int16_t> weights, std::int64_t oc,
                           std::int64_t ic) {
  static constexpr int g[6][3] = {{1, 0, 0}, {1, 1, 1},  {1, -1, 1},
                                  {1, 2, 4}, {1, -2, 4}, {0, 0, 1}};
  Tensor out = Tensor::zeros(DType::I16, {blocks_of(oc) * 36 * ic * 16});
  auto* to = out.mutable_data<std::int16_t>();
  for (std::int64_t o = 0; o < oc; ++o) {
    for (std::int64_t c = 0; c < ic; ++c) {
      const std::int16_t* w = &weights[static_cast<std::size_t>((o * ic + c) * 9)];
      for (std::int64_t i = 0; i < 6; ++i) {
        int row[3];
        for (int k = 0; k < 3; ++k)
          row[k] = g[i][0] * w[k] + g[i][1] * w[3 + k] + g[i][2] * w[6 + k];
        for (std::int64_t j = 0; j < 6; ++j) {
          const int value = g[j][0] * row[0] + g[j][1] * row[1] + g[j][2] * row[2];
          const std::int64_t point = o / 16 * 36 + i * 6 + j;
          to[(point * ic + c / 2 * 2) * 16 + o % 16 * 2 + c % 2] = static_cast<std::int16_t>(value);
        }
      }
    }
  }
  return out;
}

}  // namespace rulec::backend
