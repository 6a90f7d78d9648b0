// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/damage.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace rulec::test {

static std::size_t below(std::size_t n, std::mt19937& random) {
  return n == 0 ? 0 : random() % n;
}

std::string damaged(std::string bytes, const std::string& other, std::mt19937& random) {
  for (std::size_t n = 1 + below(4, random); n > 0; --n) {
    const std::size_t at = below(bytes.size() + 1, random);
    const std::size_t length = below(std::min<std::size_t>(bytes.size() - at, 20) + 1, random);
    switch (below(4, random)) {
      case 0:
        bytes.erase(at, length);
        break;
      case 1:
        bytes.insert(at, bytes.substr(below(bytes.size(), random), below(20, random)));
        break;
      case 2:
        bytes.insert(at, other.substr(below(other.size(), random), below(40, random)));
        break;
      default:
        if (at < bytes.size()) bytes[at] = static_cast<char>(below(256, random));
    }
  }
  return bytes;
}

std::string forged(std::string bytes, std::mt19937& random) {
  static constexpr std::array<std::uint64_t, 10> values = {
      0, 1, 2, 0x7f, 0xff, 0xffff, 0x7fffffff, 0xffffffff, 0x7fffffffffffffff, ~0ULL};
  for (std::size_t n = 1 + below(3, random); n > 0; --n) {
    const std::size_t width = std::size_t{1} << below(4, random);
    if (bytes.size() < width) continue;
    const std::size_t at = below(bytes.size() / width, random) * width;
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, width);
    switch (below(3, random)) {
      case 0:
        word = values[below(values.size(), random)];
        break;
      case 1:
        word += below(2, random) == 0 ? 1 : ~0ULL;
        break;
      default:
        word ^= std::uint64_t{1} << below(8 * width, random);
    }
    std::memcpy(bytes.data() + at, &word, width);
  }
  return bytes;
}

}  // namespace rulec::test
