// SPDX-License-Identifier: Apache-2.0
// Before and after, as seen from outside the region.
#include <algorithm>
#include <cmath>

#include "matcher/dependence.h"
#include "matcher/proof.h"

namespace rulec {

std::vector<Proof::Seen> Proof::interface() {
  std::map<ValueId, const Observed*> observed;
  for (const Observed& one : trial_.observed)
    observed[one.value] = &one;
  std::vector<Seen> seen;
  const GraphInfo& was = trial_.model.graph(use_.graph);
  for (std::size_t i = 0; i < was.outputs.size(); ++i) {
    const auto at = observed.find(was.outputs[i]);
    if (at != observed.end())
      seen.push_back({at->second, model().graph(use_.graph).outputs[i],
                      trial_.model.value(was.outputs[i]).name});
  }
  for (NodeId id = trial_.model.first_node(use_.graph); id; id = trial_.model.next_node(id)) {
    const GraphNode& node = trial_.model.node(id);
    if (!is_heavy(node) || !model().node(id).alive) continue;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const auto at = observed.find(node.inputs[i]);
      if (at != observed.end())
        seen.push_back(
            {at->second, model().node(id).inputs[i], trial_.model.value(node.inputs[i]).name});
    }
  }
  return seen;
}

// "[0,3,1]" of a flat index.
static std::string place_in(const Shape& shape, std::size_t flat) {
  std::string out;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    const auto size = static_cast<std::size_t>(shape[axis]);
    out = fmt::format("{}{}{}", flat % size, out.empty() ? "" : ",", out);
    flat /= size;
  }
  return "[" + out + "]";
}

// All of it is compared, so that the worst element can be told.
bool Proof::compare_interface() {
  struct {
    double excess = 1, off = 0, before = 0, after = 0;  // excess: in tolerances
    std::string where, at, probe;
  } worst;
  double largest = 0;
  const std::vector<Seen> seen = interface();
  std::vector<ValueId> targets;
  for (const Seen& one : seen)
    targets.push_back(one.after);
  Evaluator evaluator(model());
  for (std::size_t t = 0; t < trial_.feeds.size(); ++t) {
    std::vector<std::pair<ValueId, Value>> feeds;
    for (const auto& feed : trial_.feeds[t]) {
      if (model().value(feed.first).alive) feeds.push_back(feed);
    }
    for (const PortResult& result : results_)
      feeds.emplace_back(result.value, Value(result.seen[t]));
    auto values = evaluator.run(feeds, targets);
    if (!values) return fail("verify", "the rewritten region to run", values.error().message, 100);
    for (std::size_t i = 0; i < seen.size(); ++i) {
      if (!(*values)[i].is_tensor()) continue;
      const Tensor& before = seen[i].before->seen[t];
      const Tensor& after = (*values)[i].tensor();
      if (before.shape() != after.shape() || before.dtype() != after.dtype()) {
        return fail("verify",
                    fmt::format("`{}` to stay {}{}", seen[i].where, name(before.dtype()),
                                to_string(before.shape())),
                    fmt::format("{}{}", name(after.dtype()), to_string(after.shape())), 100);
      }
      const std::vector<double> a = after.numbers(), b = before.numbers();
      for (std::size_t k = 0; k < a.size(); ++k) {
        const double off = std::fabs(a[k] - b[k]);
        const double bound = use_.tolerance() * std::max(1.0, std::fabs(b[k]));
        const double excess = std::isnan(off) ? HUGE_VAL : off / bound;
        if (!(off <= bound) && excess > worst.excess)
          worst = {excess,
                   off,
                   b[k],
                   a[k],
                   seen[i].where,
                   place_in(after.shape(), k),
                   trial_.probes[t].kind};
        if (off > largest) {
          largest = off;
          worst_ = fmt::format("`{}` at {}", seen[i].where, place_in(after.shape(), k));
        }
        figures_.see(a[k], b[k]);
      }
    }
  }
  if (worst.where.empty()) return true;
  return fail(
      "verify", fmt::format("`{}` to differ by at most {:g}", worst.where, use_.tolerance()),
      fmt::format("at {} it is {:.7g} before and {:.7g} after, off by {:.3g}, on a probe ({}); "
                  "no element is worse",
                  worst.at, worst.before, worst.after, worst.off, worst.probe),
      100);
}

}  // namespace rulec
