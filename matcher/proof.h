// SPDX-License-Identifier: Apache-2.0
#pragma once

// Private to templates: one form of a replacement on a copy of the model. prove.cc has the order of
// the steps and what is told of them, prove_body.cc puts the body there and runs it,
// prove_results.cc finds its result ports by value, prove_interface.cc compares before and after.

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "matcher/guard.h"
#include "matcher/trial.h"

namespace rulec {

// A result port's value in the replacement.
struct PortResult {
  ValueId value;
  std::vector<Tensor> seen;  // on each probe
};

// Where a result port may be bound.
struct ResultPlace {
  const Observed* there = nullptr;
  Adaptor adaptor;
};

struct Distance {
  double absolute = 0, relative = 0;
  void see(double a, double b) {
    const double off = std::fabs(a - b);
    absolute = std::max(absolute, off);
    if (b != 0) relative = std::max(relative, off / std::fabs(b));
  }
  void see(const Distance& other) {
    absolute = std::max(absolute, other.absolute);
    relative = std::max(relative, other.relative);
  }
};

class Proof {
 public:
  Proof(const TemplateUse& use, const Trial& trial, const Variant& variant, Shortfall& shortfall);

  std::optional<Outcome> run();

 private:
  Model& model() { return out_.model; }
  bool fail(std::string kind, std::string expected, std::string found, int bound = 0);
  Scope scope();

  bool bind_sizes();
  bool bind_ports();
  bool bind_parameters();
  bool conditions();
  void compute(const std::vector<Let>& lets);
  bool hold(const std::vector<ExprId>& conditions);
  bool assume(const std::vector<Assumption>& assumptions);
  std::vector<Metadata> metadata() const;
  bool emit_body();
  bool give(const Statement& statement, SlotId slot, ValueId value);
  bool run_body();

  // How many rows of image `b` count on a probe.
  std::int64_t rows_of(std::size_t probe, std::int64_t image) const;
  // Whether `there` is the port's result, seen through an adaptor, on every probe.
  bool equal(std::size_t port, const Adaptor& adaptor, const Observed& there, Distance* distance);
  void find_places(std::size_t port);
  // The one number that fills rows beyond the count, or nothing where there are several, or none.
  std::optional<double> padding(std::size_t port, const std::vector<Tensor>& seen) const;
  // The port's result in the form of a value of the region, in its place.
  bool replace(std::size_t port, const ResultPlace& place);
  void take_name(ValueId old, ValueId value);
  bool place_results();
  void tidy();
  bool alive();
  // Results of the roots that hang on the inputs' shapes only are constants now.
  void fold_shapes();

  // Says which outputs of the model keep the region alive.
  bool missing(int bound);

  // A place where the region's values are seen from outside: outputs of the graph, operands of
  // nodes too heavy to run.
  struct Seen {
    const Observed* before = nullptr;
    ValueId after;
    std::string where;
  };
  std::vector<Seen> interface();
  bool compare_interface();
  void finish();

  const TemplateUse& use_;
  const Trial& trial_;
  const Variant& variant_;
  std::vector<std::string> assumed_;  // under what conditions the proof holds
  Shortfall& shortfall_;
  std::optional<RowCount> count_;
  std::vector<Binding> slots_;
  DimSizes sizes_;
  Outcome out_;
  NodeId before_;
  std::string hint_;
  std::vector<NodeId> made_;
  std::vector<PortResult> results_;
  std::vector<std::vector<ResultPlace>> places_;
  std::map<ValueId, ValueId> replaced_;
  Distance figures_;
  std::string worst_;  // where `compare_interface` saw the largest difference
};

}  // namespace rulec
