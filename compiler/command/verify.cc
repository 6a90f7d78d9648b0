// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <unordered_map>

#include <nlohmann/json.hpp>

#include "compiler/command/bisect.h"
#include "compiler/command/command.h"
#include "compiler/command/compare.h"
#include "compiler/command/console.h"
#include "compiler/command/subject.h"

namespace rulec::command {

using Json = nlohmann::ordered_json;

namespace {

struct Pair {
  std::string name;
  std::size_t a, b;  // which output of each
};

}  // namespace

// Outputs of the same name; where no name agrees and there are as many, those at the same place.
static Result<std::vector<Pair>> pair_outputs(const Subject& a, const Subject& b) {
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < a.outputs().size(); ++i)
    for (std::size_t j = 0; j < b.outputs().size(); ++j)
      if (a.outputs()[i].name == b.outputs()[j].name) pairs.push_back({a.outputs()[i].name, i, j});
  if (pairs.empty() && a.outputs().size() == b.outputs().size())
    for (std::size_t i = 0; i < a.outputs().size(); ++i)
      pairs.push_back({a.outputs()[i].name, i, i});
  if (pairs.empty())
    return make_error("nothing to compare: `{}` gives {}; `{}` gives {}", a.path(),
                      list(a.outputs()), b.path(), list(b.outputs()));
  return pairs;
}

// The inputs that `subject` has, its element types; both subjects get the same numbers.
static Result<Named> inputs_for(const Subject& subject, const Named& all, const Subject& other) {
  Named out;
  for (const Formal& formal : subject.inputs()) {
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const auto& one) { return one.first == formal.name; });
    if (found == all.end()) {
      if (formal.has_default) continue;
      return make_error("only `{}` has the input `{}`; `{}` has {}", subject.path(), formal.name,
                        other.path(), list(other.inputs()));
    }
    Value value = found->second;
    const DType wanted = formal.type.dtype;
    if (value.is_tensor() && formal.type.is_tensor() && wanted != DType::Undefined &&
        value.tensor().dtype() != wanted && wanted != DType::String &&
        value.tensor().dtype() != DType::String)
      value = convert(value.tensor(), wanted);
    out.emplace_back(formal.name, std::move(value));
  }
  return out;
}

static void merge(OutputDifference& total, const OutputDifference& one) {
  total.max_abs = std::max(total.max_abs, one.max_abs);
  total.max_rel = std::max(total.max_rel, one.max_rel);
  total.rel_l2 = std::max(total.rel_l2, one.rel_l2);
  total.cosine = std::min(total.cosine, one.cosine);
  if (total.ok && !one.ok) {
    total.ok = false;
    total.why = one.why;
  }
}

// The first value (in the order of A) that both models name and that differs. Both are models.
static std::string first_divergence(Subject& a, Subject& b, const Named& to_a, const Named& to_b,
                                    const VerifyOptions& options) {
  const Model& left = *a.model();
  const Model& right = *b.model();
  const auto named = [](const Model& model) {
    std::unordered_map<std::string_view, ValueId> out;
    for (const NodeId node : model.nodes(model.main()))
      for (const ValueId id : model.node(node).outputs)
        if (id) out.emplace(model.value(id).name, id);
    return out;
  };
  const auto feeds = [](const Model& model, const Named& inputs) {
    std::vector<std::pair<ValueId, Value>> out;
    for (const ValueId id : model.graph(model.main()).inputs)
      for (const auto& [name, value] : inputs)
        if (model.value(id).name == name) out.emplace_back(id, value);
    return out;
  };
  const auto others = named(right);
  std::vector<ValueId> targets_a, targets_b;
  for (const NodeId node : left.nodes(left.main()))
    for (const ValueId id : left.node(node).outputs) {
      if (!id) continue;
      const auto twin = others.find(left.value(id).name);
      if (twin == others.end()) continue;
      targets_a.push_back(id);
      targets_b.push_back(twin->second);
    }
  const auto x = a.evaluator()->run(feeds(left, to_a), targets_a);
  const auto y = b.evaluator()->run(feeds(right, to_b), targets_b);
  if (!x || !y) return "";
  for (std::size_t i = 0; i < targets_a.size(); ++i) {
    const std::string& name = left.value(targets_a[i]).name;
    if (!difference(name, (*x)[i], (*y)[i], options.rtol, options.atol).ok) return name;
  }
  return "";
}

static Json to_json(const Guilty& guilty) {
  return {{"rule", guilty.rule},
          {"package", guilty.package},
          {"file", guilty.place.file},
          {"line", guilty.place.line},
          {"root", guilty.firing.root},
          {"firing", guilty.number},
          {"of", guilty.of},
          {"removed", guilty.firing.removed},
          {"added", guilty.firing.added},
          {"why", guilty.why},
          {"repro", guilty.repro.empty() ? Json() : Json(guilty.repro)}};
}

static void tell_guilty(const VerifyOptions& options, const Guilty& guilty) {
  if (guilty.number == 0) {
    complain("the edits are to blame, before any rule fires: {}", guilty.why);
    return;
  }
  complain("rule `{}` ({}:{}) is to blame: firing {} of {}, at `{}`, put {} in place of {}",
           guilty.rule, guilty.place.file, guilty.place.line, guilty.number, guilty.of,
           guilty.firing.root, ::fmt::format("{}", ::fmt::join(guilty.firing.added, ", ")),
           ::fmt::format("{}", ::fmt::join(guilty.firing.removed, ", ")));
  complain("after it {}", guilty.why);
  complain("{} shows it{}: rulec rewrite {} -r {} -o out.onnx --verify final", guilty.repro,
           guilty.minimal ? " with these nodes alone" : " (the model before that firing)",
           guilty.repro, ::fmt::format("{}", ::fmt::join(options.flags.rules.rules, " -r ")));
}

static int tell(const VerifyOptions& options, const std::vector<OutputDifference>& totals,
                const std::string& divergence, bool ok, const Guilty* guilty) {
  for (const OutputDifference& total : totals)
    if (!total.ok) complain("they differ: output {}", total.why);
  if (!divergence.empty()) complain("the first value that differs is `{}`", divergence);
  if (guilty != nullptr) tell_guilty(options, *guilty);
  if (options.json) {
    Json outputs = Json::array();
    for (const OutputDifference& total : totals)
      outputs.push_back({{"name", total.name},
                         {"max_abs", total.max_abs},
                         {"max_rel", total.max_rel},
                         {"rel_l2", total.rel_l2},
                         {"cosine", total.cosine},
                         {"ok", total.ok},
                         {"why", total.ok ? Json() : Json(total.why)}});
    const Json out = {{"ok", ok},
                      {"outputs", outputs},
                      {"first_divergence", divergence.empty() ? Json() : Json(divergence)},
                      {"seed", options.seed},
                      {"rtol", options.rtol},
                      {"atol", options.atol},
                      {"guilty", guilty != nullptr ? to_json(*guilty) : Json()}};
    ::fmt::print("{}\n", out.dump(2, ' ', false, Json::error_handler_t::replace));
    return ok ? done : input_fault;
  }
  std::size_t width = 6;
  for (const OutputDifference& total : totals)
    width = std::max(width, total.name.size());
  ::fmt::print("{:{}}  {:>9}  {:>9}  {:>9}  {:>12}\n", "output", width, "max abs", "max rel",
               "rel L2", "cosine");
  for (const OutputDifference& total : totals)
    ::fmt::print("{:{}}  {:9.2e}  {:9.2e}  {:9.2e}  {:12.9f}  {}\n", total.name, width,
                 total.max_abs, total.max_rel, total.rel_l2, total.cosine,
                 total.ok ? "ok" : "DIFFERS");
  return ok ? done : input_fault;
}

int verify(const VerifyOptions& options) {
  // Two models are compared in double, where only their meaning differs; an engine computes in its
  // model's own types, and (quantization!) those belong to what the model means.
  const auto engine_a = is_engine_file(options.a), engine_b = is_engine_file(options.b);
  const bool engine = engine_a && engine_b && (*engine_a || *engine_b);
  const OpenOptions how{.how = engine ? How::Reference : How::Double};
  const auto a = Subject::open(options.a, how);
  if (!a) {
    complain("{}", a.error().message);
    return input_fault;
  }
  const auto b = Subject::open(options.b, how);
  if (!b) {
    complain("{}", b.error().message);
    return input_fault;
  }
  Subject& left = **a;
  Subject& right = **b;
  const auto pairs = pair_outputs(left, right);
  if (!pairs) {
    complain("{}", pairs.error().message);
    return input_fault;
  }
  if (left.outputs().size() != pairs->size() || right.outputs().size() != pairs->size())
    complain("note: compared are the {} outputs that both have ({} of `{}`, {} of `{}`)",
             pairs->size(), left.outputs().size(), options.a, right.outputs().size(), options.b);

  std::vector<OutputDifference> totals;
  for (const Pair& pair : *pairs) {
    totals.emplace_back();
    totals.back().name = pair.name;
  }
  Progress progress("comparing");
  const int trials = options.inputs.empty() ? options.trials : 1;
  int compared = 0;
  std::string failed, divergence;
  for (int trial = 0; trial < trials; ++trial) {
    progress.at(static_cast<std::size_t>(trial), static_cast<std::size_t>(trials));
    std::vector<std::string> notes;
    const auto made = options.inputs.empty()
                          ? make_inputs(left.inputs(), options.seed, trial, right.inputs())
                          : read_inputs(left.inputs(), options.inputs, notes);
    if (trial == 0)
      for (const std::string& note : notes)
        complain("note: {}", note);
    const auto to_a = made ? inputs_for(left, *made, right) : Result<Named>(made.error());
    const auto to_b = made ? inputs_for(right, *made, left) : Result<Named>(made.error());
    if (!to_a || !to_b) {
      complain("{}", (to_a ? to_b : to_a).error().message);
      return input_fault;
    }
    const auto x = left.run(*to_a);
    const auto y = right.run(*to_b);
    if (!x && !y) {  // these inputs are none for the model
      if (failed.empty()) failed = x.error().message;
      continue;
    }
    if (!x || !y) {
      complain("only `{}` fails (seed {}, trial {}): {}", x ? options.b : options.a, options.seed,
               trial, (x ? y : x).error().message);
      return input_fault;
    }
    ++compared;
    bool same = true;
    for (std::size_t i = 0; i < pairs->size(); ++i) {
      const auto one = difference(totals[i].name, (*x)[(*pairs)[i].a], (*y)[(*pairs)[i].b],
                                  options.rtol, options.atol);
      same = same && one.ok;
      merge(totals[i], one);
    }
    if (!same && divergence.empty() && left.evaluator() != nullptr && right.evaluator() != nullptr)
      divergence = first_divergence(left, right, *to_a, *to_b, options);
  }
  if (compared == 0) {
    complain("neither runs with the inputs made up for it: {}; give some with --inputs", failed);
    return input_fault;
  }
  const bool ok = std::all_of(totals.begin(), totals.end(),
                              [](const OutputDifference& total) { return total.ok; });
  std::optional<Guilty> guilty;
  if (!ok && options.bisect) {
    auto found = bisect(options);
    if (const auto* status = std::get_if<int>(&found)) return *status;
    guilty = std::move(std::get<Guilty>(found));
  }
  return tell(options, totals, divergence, ok, guilty ? &*guilty : nullptr);
}

}  // namespace rulec::command
