// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/peak.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace rulec::command {

static constexpr int rounds = 200'000;
// Independent chains: more than latency times units, fewer than registers. Their loops are unrolled
// by word: as an array in memory, the sums would be stored and loaded at every step. Each starts
// with a number of its own, or one chain would do for all.
static constexpr int chains = 12;

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static float chain_avx512(float start) {
  __m512 sums[chains];
  const __m512 a = _mm512_set1_ps(0.999F), b = _mm512_set1_ps(start);
#pragma GCC unroll 12
  for (int c = 0; c < chains; ++c)
    sums[c] = _mm512_set1_ps(start * static_cast<float>(c));
  for (int i = 0; i < rounds; ++i)
#pragma GCC unroll 12
    for (auto& sum : sums)
      sum = _mm512_fmadd_ps(sum, a, b);
  float out = 0;
#pragma GCC unroll 12
  for (const auto& sum : sums)
    out += _mm512_cvtss_f32(sum);
  return out;
}

__attribute__((target("avx2,fma"))) static float chain_avx2(float start) {
  __m256 sums[chains];
  const __m256 a = _mm256_set1_ps(0.999F), b = _mm256_set1_ps(start);
#pragma GCC unroll 12
  for (int c = 0; c < chains; ++c)
    sums[c] = _mm256_set1_ps(start * static_cast<float>(c));
  for (int i = 0; i < rounds; ++i)
#pragma GCC unroll 12
    for (auto& sum : sums)
      sum = _mm256_fmadd_ps(sum, a, b);
  float out = 0;
#pragma GCC unroll 12
  for (const auto& sum : sums)
    out += _mm256_cvtss_f32(sum);
  return out;
}
#endif

static float chain_portable(float start) {
  using Four = float __attribute__((vector_size(16)));
  const Four a = {0.999F, 0.999F, 0.999F, 0.999F}, b = {start, start, start, start};
  Four sums[chains];
#pragma GCC unroll 12
  for (int c = 0; c < chains; ++c)
    sums[c] = b * static_cast<float>(c);
  for (int i = 0; i < rounds; ++i)
#pragma GCC unroll 12
    for (Four& sum : sums)
      sum = sum * a + b;
  float out = 0;
#pragma GCC unroll 12
  for (const Four& sum : sums)
    out += sum[0];
  return out;
}

// GFLOP done by one call.
static double work(Isa isa) {
  const double width = isa == Isa::Avx512 ? 16 : isa == Isa::Avx2 ? 8 : 4;
  return 2.0 * rounds * chains * width / 1e9;
}

static float chain(Isa isa, float start) {
#if defined(__x86_64__)
  if (isa == Isa::Avx512) return chain_avx512(start);
  if (isa == Isa::Avx2) return chain_avx2(start);
#endif
  (void)isa;
  return chain_portable(start);
}

double measure_peak(Isa isa, int threads) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> rates(static_cast<std::size_t>(std::max(1, threads)));
  const auto measure = [isa](double& rate) {
    volatile float sink = 0.25F;
    const auto end = Clock::now() + std::chrono::milliseconds(100);
    while (Clock::now() < end) {
      const auto start = Clock::now();
      sink = chain(isa, sink * 1e-3F);
      const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
      rate = std::max(rate, work(isa) / seconds);
    }
  };
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < rates.size(); ++i)
    others.emplace_back([&measure, &rates, i] { measure(rates[i]); });
  measure(rates[0]);
  for (std::thread& other : others)
    other.join();
  double sum = 0;
  for (const double rate : rates)
    sum += rate;
  return sum;
}

}  // namespace rulec::command
