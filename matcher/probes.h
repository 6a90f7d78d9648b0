// SPDX-License-Identifier: Apache-2.0
#pragma once

// Probe inputs of a template's ports: drawn to tell apart what a lazier choice would not. Ports of
// boxes and scores get overlapping, empty, crossing, tied and missing detections; image ports get
// dark, bright, noisy and one-coloured pictures; all else gets seeded normal numbers.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "matcher/rule.h"
#include "runtime/tensor.h"

namespace rulec {

// A port with its sizes found.
struct PortShape {
  const Port* port = nullptr;
  DType dtype = DType::F32;
  Shape dims;
};

struct Probe {
  std::string kind;            // "empty on top"
  std::vector<Tensor> values;  // one for each port, in its canonical form
};

// `levels` are the numbers that the root's pattern captured (thresholds): scores are drawn below,
// at and above them.
std::vector<Probe> make_probes(std::span<const PortShape> ports, std::span<const double> levels,
                               std::uint64_t seed);

}  // namespace rulec
