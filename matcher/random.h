// SPDX-License-Identifier: Apache-2.0
#pragma once

// A small random generator whose numbers are the same on every machine (the standard library's
// distributions are not). For probes; not for secrets.

#include <cmath>
#include <cstdint>

namespace rulec {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed + 0x9e3779b97f4a7c15ULL) {}

  std::uint64_t bits() {  // splitmix64
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  std::int64_t below(std::int64_t count) {
    return static_cast<std::int64_t>(bits() % static_cast<std::uint64_t>(count));
  }
  double normal() {  // the sum of twelve uniforms: exact arithmetic, no library function
    double sum = -6;
    for (int i = 0; i < 12; ++i)
      sum += uniform();
    return sum;
  }

 private:
  std::uint64_t state_;
};

}  // namespace rulec
