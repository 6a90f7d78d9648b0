// SPDX-License-Identifier: Apache-2.0
#pragma once

// Damage for fuzzing: a copy of some bytes with a few runs cut out, repeated, taken from other
// bytes or changed. Knows nothing of formats; what must still fit afterwards (checksums) is the
// caller's.
//
//   std::mt19937 random(seed);
//   std::string bad = damaged(good, another, random);

#include <random>
#include <string>

namespace rulec::test {

std::string damaged(std::string bytes, const std::string& other, std::mt19937& random);
// The same length: bytes, and aligned words of four or eight, are changed in place.
std::string forged(std::string bytes, std::mt19937& random);

}  // namespace rulec::test
