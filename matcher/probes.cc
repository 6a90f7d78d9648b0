// SPDX-License-Identifier: Apache-2.0
#include "matcher/probes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "matcher/random.h"

namespace rulec {
namespace {

// Which ports are boxes [B, N, 4] and scores [B, N, C] of one another.
struct DetectionPorts {
  std::size_t boxes = 0, scores = 0;
};

}  // namespace

static bool same_dim(const DimPattern& a, const DimPattern& b) {
  return a.kind == DimPattern::Kind::Variable && b.kind == a.kind && a.slot == b.slot;
}

static std::optional<DetectionPorts> detection_ports(std::span<const PortShape> ports) {
  for (std::size_t b = 0; b < ports.size(); ++b) {
    for (std::size_t s = 0; s < ports.size(); ++s) {
      if (b == s || ports[b].dims.size() != 3 || ports[s].dims.size() != 3) continue;
      const auto& boxes = ports[b].port->type.shapes;
      const auto& scores = ports[s].port->type.shapes;
      if (boxes.empty() || scores.empty() || boxes[0].size() != 3 || scores[0].size() != 3)
        continue;
      if (boxes[0][2].kind == DimPattern::Kind::Fixed && boxes[0][2].size == 4 &&
          scores[0][2].kind == DimPattern::Kind::Variable && same_dim(boxes[0][1], scores[0][1]) &&
          is_float(ports[b].dtype) && is_float(ports[s].dtype)) {
        return DetectionPorts{b, s};
      }
    }
  }
  return std::nullopt;
}

static Tensor tensor_of(const PortShape& port, const std::vector<double>& numbers) {
  Tensor wide = Tensor::of<double>(port.dims, numbers);
  return convert(wide, port.dtype);
}

namespace {

// One probe of detections while it is made: `boxes` [B, N, 4] as corners, `scores` [B, N, C].
struct Scene {
  std::int64_t images, anchors, classes;
  std::vector<double> boxes, scores;

  double* box(std::int64_t image, std::int64_t anchor) {
    return &boxes[static_cast<std::size_t>((image * anchors + anchor) * 4)];
  }
  double& score(std::int64_t image, std::int64_t anchor, std::int64_t of) {
    return scores[static_cast<std::size_t>((image * anchors + anchor) * classes + of)];
  }
  void set(std::int64_t image, std::int64_t anchor, double y, double x, double h, double w) {
    double* corners = box(image, anchor);
    corners[0] = y;
    corners[1] = x;
    corners[2] = y + h;
    corners[3] = x + w;
  }
};

}  // namespace

static Scene blank(const PortShape& boxes, const PortShape& scores, Random& random, bool inside) {
  Scene scene{boxes.dims[0], boxes.dims[1], scores.dims[2], {}, {}};
  scene.boxes.resize(static_cast<std::size_t>(scene.images * scene.anchors * 4));
  scene.scores.resize(static_cast<std::size_t>(scene.images * scene.anchors * scene.classes));
  for (std::int64_t i = 0; i < scene.images; ++i) {
    for (std::int64_t n = 0; n < scene.anchors; ++n) {
      const double h = random.uniform(.02, .3), w = random.uniform(.02, .3);
      const double y = random.uniform() - h / 2, x = random.uniform() - w / 2;
      scene.set(i, n, y, x, h, w);
      if (!inside) continue;
      double* corners = scene.box(i, n);
      for (int k = 0; k < 4; ++k)
        corners[k] = std::clamp(corners[k], 0.0, 1.0);
    }
  }
  return scene;
}

// Gives `hits` (anchor, class) pairs of every image a score that `draw` makes.
template <typename Draw>
static void scatter_hits(Scene& scene, Random& random, std::int64_t hits, Draw draw) {
  for (std::int64_t i = 0; i < scene.images; ++i) {
    for (std::int64_t k = 0; k < hits; ++k) {
      scene.score(i, random.below(scene.anchors), random.below(scene.classes)) = draw();
    }
  }
}

// Boxes of no area in the window, with the best scores of all: far outside, or without extent.
// Too few and too far off to crowd out or to suppress others.
static void empty_on_top(Scene& scene, Random& random) {
  const std::int64_t empties = std::min<std::int64_t>(8, scene.anchors / 3);
  for (std::int64_t i = 0; i < scene.images; ++i) {
    for (std::int64_t k = 0; k < empties; ++k) {
      const std::int64_t anchor = k * 3;
      const auto step = static_cast<double>(k);
      const bool thin = k % 4 == 3;
      scene.set(i, anchor, thin ? .5 : 1.5 + step, thin ? .1 * step : 1.5 + step, thin ? 0 : .2,
                .2);
      for (std::int64_t c = 0; c < scene.classes; ++c)
        scene.score(i, anchor, c) = 0;
      scene.score(i, anchor, random.below(scene.classes)) = .9 + .1 * random.uniform();
    }
  }
}

static std::vector<Probe> detections(std::span<const PortShape> ports, DetectionPorts at,
                                     std::span<const double> levels, Random& random) {
  const PortShape& boxes = ports[at.boxes];
  const PortShape& scores = ports[at.scores];
  std::vector<double> low;  // thresholds that a score can lie at
  for (double level : levels) {
    if (level > 0 && level < 1) low.push_back(level);
  }
  const double lowest = low.empty() ? 1e-3 : *std::min_element(low.begin(), low.end());
  const std::int64_t anchors = boxes.dims[1], classes = scores.dims[2];
  const std::int64_t many = std::min<std::int64_t>(
      anchors * classes / 2,
      std::max<std::int64_t>(900, std::min<std::int64_t>(4 * classes, 2000)));
  const std::int64_t few = std::min<std::int64_t>(25, std::max<std::int64_t>(1, anchors / 4));
  const auto over = [&](double floor) { return floor + (1 - floor) * random.uniform() * .999; };

  std::vector<Probe> probes;
  const auto add = [&](std::string kind, const Scene& scene) {
    Probe probe{std::move(kind), std::vector<Tensor>(ports.size())};
    probe.values[at.boxes] = tensor_of(boxes, scene.boxes);
    probe.values[at.scores] = tensor_of(scores, scene.scores);
    for (std::size_t p = 0; p < ports.size(); ++p) {
      if (probe.values[p].defined()) continue;
      std::vector<double> numbers(static_cast<std::size_t>(element_count(ports[p].dims)));
      for (double& number : numbers)
        number = random.normal();
      probe.values[p] = tensor_of(ports[p], numbers);
    }
    probes.push_back(std::move(probe));
  };
  {
    Scene scene = blank(boxes, scores, random, true);
    scatter_hits(scene, random, many, [&] { return over(.02); });
    add("more hits than rows, all inside the window", scene);
  }
  {
    Scene scene = blank(boxes, scores, random, false);
    scatter_hits(scene, random, many, [&] {
      const double u = random.uniform();
      return u * u * u;
    });
    add("boxes that cross the window", scene);
  }
  {
    Scene scene = blank(boxes, scores, random, false);
    scatter_hits(scene, random, few, [&] { return over(.3); });
    add("fewer hits than rows", scene);
  }
  {
    Scene scene = blank(boxes, scores, random, false);
    scatter_hits(scene, random, few, [&] { return over(.1) * .85; });
    empty_on_top(scene, random);
    add("boxes without area in the window among the best", scene);
  }
  {
    Scene scene = blank(boxes, scores, random, false);
    for (std::int64_t i = 0; i < scene.images; ++i) {  // twins: equal boxes, other anchors
      for (std::int64_t n = 1; n < anchors; n += 7)
        std::copy_n(scene.box(i, n - 1), 4, scene.box(i, n));
    }
    scatter_hits(scene, random, std::min<std::int64_t>(many, 300),
                 [&] { return .25 * static_cast<double>(1 + random.below(4)); });
    add("ties, equal boxes, scores of 1", scene);
  }
  {
    Scene scene = blank(boxes, scores, random, false);
    scatter_hits(scene, random, few, [&] {
      if (low.empty()) return random.uniform();
      const double level =
          low[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(low.size())))];
      return static_cast<double>(static_cast<float>(level));
    });
    add("scores at the threshold", scene);
  }
  {
    Scene scene = blank(boxes, scores, random, false);
    scatter_hits(scene, random, many, [&] { return lowest * .5 * random.uniform(); });
    add("no score above the threshold", scene);
  }
  return probes;
}

static bool is_image(const PortShape& port) {
  const auto& dtypes = port.port->type.dtypes;
  return port.dims.size() == 4 &&
         std::find(dtypes.begin(), dtypes.end(), DType::U8) != dtypes.end();
}

static Tensor picture(const PortShape& port, Random& random, int kind) {
  std::vector<double> pixels(static_cast<std::size_t>(element_count(port.dims)));
  const auto channels = static_cast<std::size_t>(port.dims.back());
  const std::size_t width = static_cast<std::size_t>(port.dims[2]) * channels;
  const bool whole = !is_float(port.dtype);
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    double level = 0;
    switch (kind) {
      case 0:
        level = random.uniform(0, 255.999);
        break;
      case 1:
        level = random.uniform(0, 24);
        break;
      case 2:  // a bright picture that grows to the right, each channel by another slope
        level = 200 + 55.0 * static_cast<double>(i % width) / static_cast<double>(width) *
                          static_cast<double>(i % channels + 1) / static_cast<double>(channels);
        break;
      case 3:
        level = static_cast<double>(40 + 70 * (i % channels));
        break;
      default:
        level = random.below(2) == 0 ? 0 : 255;
    }
    pixels[i] = whole ? std::floor(level) : level;
  }
  return tensor_of(port, pixels);
}

std::vector<Probe> make_probes(std::span<const PortShape> ports, std::span<const double> levels,
                               std::uint64_t seed) {
  Random random(seed);
  if (const auto at = detection_ports(ports)) return detections(ports, *at, levels, random);
  static constexpr std::array<const char*, 5> kinds = {
      "noise", "a dark picture", "a bright picture", "one colour", "black and white"};
  std::vector<Probe> probes;
  for (int kind = 0; kind < 5; ++kind) {
    Probe probe{kinds[static_cast<std::size_t>(kind)], {}};
    for (const PortShape& port : ports) {
      if (is_image(port)) {
        probe.values.push_back(picture(port, random, kind));
        continue;
      }
      std::vector<double> numbers(static_cast<std::size_t>(element_count(port.dims)));
      for (double& number : numbers)
        number = random.normal() * (kind == 1 ? .01 : kind == 2 ? 30 : 1);
      probe.values.push_back(tensor_of(port, numbers));
    }
    probes.push_back(std::move(probe));
  }
  return probes;
}

}  // namespace rulec
