// SPDX-License-Identifier: Apache-2.0
#include "matcher/probes.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

namespace rulec::test {
namespace {

Port port_named(const char* name) {
  Port port;
  port.name = name;
  return port;
}

DimPattern dim(std::uint32_t name) {
  return {.kind = DimPattern::Kind::Variable, .size = 0, .slot = SlotId{name}};
}

// Of a side within the window.
double extent(double from, double to) {
  return std::clamp(to, 0.0, 1.0) - std::clamp(from, 0.0, 1.0);
}

bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.numbers() == b.numbers();
}

}  // namespace

TEST(Probes, OneValueForEachPortInItsForm) {
  const Port x = port_named("x"), k = port_named("k");
  const PortShape shapes[] = {{&x, DType::F32, {2, 3}}, {&k, DType::I64, {4}}};
  const std::vector<Probe> probes = make_probes(shapes, {}, 7);
  ASSERT_FALSE(probes.empty());
  for (const Probe& probe : probes) {
    ASSERT_EQ(probe.values.size(), 2U) << probe.kind;
    EXPECT_NE(probe.kind, "");
    EXPECT_EQ(probe.values[0].shape(), (Shape{2, 3}));
    EXPECT_EQ(probe.values[0].dtype(), DType::F32);
    EXPECT_EQ(probe.values[1].shape(), (Shape{4}));
    EXPECT_EQ(probe.values[1].dtype(), DType::I64);
  }
}

TEST(Probes, TheSeedDecides) {
  const Port x = port_named("x");
  const PortShape shapes[] = {{&x, DType::F32, {8}}};
  const auto a = make_probes(shapes, {}, 1), b = make_probes(shapes, {}, 1),
             c = make_probes(shapes, {}, 2);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    EXPECT_TRUE(same(a[i].values[0], b[i].values[0]));
  EXPECT_FALSE(same(a[0].values[0], c[0].values[0]));
}

// What two detectors differ in shows on some probe: empty boxes, ties, scores at the threshold.
TEST(Probes, DetectionsAreDrawnToTellThingsApart) {
  // boxes : [B, N, 4], scores : [B, N, C]
  Port boxes = port_named("boxes"), scores = port_named("scores");
  boxes.type.shapes = {{dim(0), dim(1), {.kind = DimPattern::Kind::Fixed, .size = 4, .slot = {}}}};
  scores.type.shapes = {{dim(0), dim(1), dim(2)}};
  const PortShape shapes[] = {{&boxes, DType::F32, {1, 30, 4}}, {&scores, DType::F32, {1, 30, 3}}};
  const double levels[] = {0.25};
  const std::vector<Probe> probes = make_probes(shapes, levels, 0);
  EXPECT_GE(probes.size(), 4U);
  bool empty_box = false, tie = false, below = false, above = false;
  std::set<std::string> kinds;
  for (const Probe& probe : probes) {
    kinds.insert(probe.kind);
    const std::vector<double> b = probe.values[0].numbers(), s = probe.values[1].numbers();
    for (std::size_t i = 0; i + 3 < b.size(); i += 4)
      empty_box = empty_box || extent(b[i], b[i + 2]) <= 0 || extent(b[i + 1], b[i + 3]) <= 0;
    for (const double score : s) {
      below = below || score < 0.25;
      above = above || score > 0.25;
    }
    std::vector<double> sorted = s;
    std::sort(sorted.begin(), sorted.end());
    tie = tie || std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
  }
  EXPECT_EQ(kinds.size(), probes.size()) << "each is of a kind of its own";
  EXPECT_TRUE(empty_box);
  EXPECT_TRUE(tie);
  EXPECT_TRUE(below && above);
}

}  // namespace rulec::test
