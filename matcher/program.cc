// SPDX-License-Identifier: Apache-2.0
#include "matcher/program.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "matcher/op_table.h"

namespace rulec {

static constexpr std::size_t deepest_probe = 4;
static constexpr int most_eithers = 3;  // on one path
static constexpr std::size_t most_ends = 1 << most_eithers;

std::uint64_t RuleProgram::key_of(const Symbol& domain, const Symbol& type) {
  const auto a = reinterpret_cast<std::uintptr_t>(&domain.str());
  const auto b = reinterpret_cast<std::uintptr_t>(&type.str());
  return (static_cast<std::uint64_t>(a) * 0x9e3779b97f4a7c15ULL) ^ static_cast<std::uint64_t>(b);
}

static std::string operator_text(const OpName& op) {
  return op.domain.empty() ? op.type : op.domain + "::" + op.type;
}

// A literal that an attribute is compared with, where equality of texts is equality of values:
// integers and strings only, never axes (they compare by rank).
static std::string answer_of(const RuleSet& rules, const AttributePattern& attribute) {
  if (!attribute.equals || attribute.name == "axis" || attribute.name == "axes") return {};
  const Expr& expr = rules[attribute.equals];
  if (expr.kind == Expr::Kind::DType) return fmt::format("i:{}", static_cast<int>(expr.dtype));
  if (expr.kind != Expr::Kind::Literal) return {};
  if (const auto* i = std::get_if<std::int64_t>(&expr.literal.value))
    return fmt::format("i:{}", *i);
  if (const auto* s = std::get_if<std::string>(&expr.literal.value)) return "s:" + *s;
  return {};
}

namespace {

struct Collector {
  const RuleSet& rules;
  bool rigid;  // nothing may stand between matched nodes
  std::vector<RuleProgram::Test>& out;
};

}  // namespace

// A literal that stands for one number.
static std::optional<double> number_of(const Literal& literal) {
  if (const auto* b = std::get_if<bool>(&literal.value)) return *b ? 1 : 0;
  if (const auto* i = std::get_if<std::int64_t>(&literal.value)) return static_cast<double>(*i);
  if (const auto* d = std::get_if<double>(&literal.value)) return *d;
  return std::nullopt;
}

static void collect_numbers(const Collector& to, const Pattern& pattern,
                            const std::vector<std::uint8_t>& path, int eithers) {
  using Probe = RuleProgram::Probe;
  for (std::size_t i = 0; i < pattern.children.size() && i < Probe::either; ++i) {
    const Pattern& child = to.rules[pattern.children[i]];
    const bool open = pattern.commutative && i < 2;
    if (child.kind != Pattern::Kind::Literal || (open && eithers >= most_eithers)) continue;
    const auto number = number_of(child.literal);
    if (!number || !std::isfinite(*number)) continue;
    std::vector<std::uint8_t> operand = path;
    operand.push_back(open ? Probe::either : static_cast<std::uint8_t>(i));
    to.out.push_back({{Probe::What::Number, operand}, fmt::format("{}", *number)});
  }
}

// The tests that every match of a node pattern passes; `eithers` counts the open choices above.
static void collect(const Collector& to, const Pattern& pattern,
                    const std::vector<std::uint8_t>& path, int eithers) {
  using Probe = RuleProgram::Probe;
  std::vector<MovedOperand> moved;
  for (const OpName& one : pattern.ops) {
    const auto more = moved_operands(one.domain, one.type);
    moved.insert(moved.end(), more.begin(), more.end());
  }
  // Which of two nodes an attribute or operand count is asked of is open below a choice.
  if (eithers == 0) {
    for (const AttributePattern& attribute : pattern.attributes) {
      const std::string answer = answer_of(to.rules, attribute);
      const bool fixed = std::none_of(moved.begin(), moved.end(), [&](const MovedOperand& one) {
        return one.name == attribute.name;
      });
      if (!answer.empty() && fixed) {
        to.out.push_back({{Probe::What::Attribute, path, attribute.name}, answer});
      }
    }
  }
  if (!to.rigid || pattern.any_arguments) return;
  if (eithers == 0 && moved.empty()) {
    std::size_t least = 0;
    for (std::size_t i = 0; i < pattern.children.size(); ++i) {
      const Pattern& child = to.rules[pattern.children[i]];
      const bool present = child.kind == Pattern::Kind::Node || child.kind == Pattern::Kind::Any ||
                           child.kind == Pattern::Kind::Literal ||
                           (child.kind == Pattern::Kind::Bind && !child.optional);
      if (present) least = i + 1;
    }
    if (least > 1) {
      to.out.push_back({{Probe::What::Operands, path}, fmt::format("{}", least)});
    }
  }
  if (moved.empty()) collect_numbers(to, pattern, path, eithers);
  if (path.size() >= deepest_probe) return;
  for (std::size_t i = 0; i < pattern.children.size() && i < Probe::either; ++i) {
    const Pattern& child = to.rules[pattern.children[i]];
    if (child.kind != Pattern::Kind::Node || child.ops.size() != 1) continue;
    const bool open = pattern.commutative && i < 2;
    if (open && eithers >= most_eithers) continue;
    std::vector<std::uint8_t> below = path;
    below.push_back(open ? Probe::either : static_cast<std::uint8_t>(pattern.input_of(i)));
    to.out.push_back({{Probe::What::Operator, below}, operator_text(child.ops.front())});
    collect(to, child, below, eithers + (open ? 1 : 0));
  }
}

// The operators a root may be, each with the node pattern that says more (or none).
static void root_operators(const RuleSet& rules, PatternId id,
                           std::vector<std::pair<OpName, PatternId>>& out) {
  std::vector<PatternId> open = {id};
  while (!open.empty()) {
    const PatternId next = open.back();
    open.pop_back();
    if (!next) continue;
    const Pattern& pattern = rules[next];
    switch (pattern.kind) {
      case Pattern::Kind::Node:
        for (const OpName& op : pattern.ops)
          out.emplace_back(op, next);
        break;
      case Pattern::Kind::Either:
      case Pattern::Kind::Maybe:
        open.insert(open.end(), pattern.children.begin(), pattern.children.end());
        break;
      case Pattern::Kind::Chain:
        for (const OpName& op : pattern.ops)
          out.emplace_back(op, PatternId{});
        if (pattern.at_least == 0) {
          open.insert(open.end(), pattern.children.begin(), pattern.children.end());
        }
        break;
      default:
        break;
    }
  }
}

RuleProgram compile_program(const RuleSet& rules, std::span<const RuleId> phase) {
  RuleProgram program;
  program.order_.assign(phase.begin(), phase.end());
  std::stable_sort(program.order_.begin(), program.order_.end(), [&](RuleId a, RuleId b) {
    const Rule& left = rules[a];
    const Rule& right = rules[b];
    if (left.priority != right.priority) return left.priority > right.priority;
    return left.pattern_nodes > right.pattern_nodes;
  });
  for (std::uint32_t place = 0; place < program.order_.size(); ++place) {
    const Rule& rule = rules[program.order_[place]];
    if (rule.root.patterns.empty()) continue;
    std::vector<std::pair<OpName, PatternId>> roots;
    root_operators(rules, rule.root.patterns.front(), roots);
    for (const auto& [op, pattern] : roots) {
      std::vector<RuleProgram::Test> tests;
      // With nodes that are looked through, the root itself may be one of them as well.
      if (pattern) collect({rules, rule.see_through.empty(), tests}, rules[pattern], {}, 0);
      std::sort(tests.begin(), tests.end(), [](const auto& a, const auto& b) {
        if (a.probe.path.size() != b.probe.path.size()) {
          return a.probe.path.size() < b.probe.path.size();
        }
        return a < b;
      });
      const Symbol domain(op.domain), type(op.type);
      const std::uint64_t key = RuleProgram::key_of(domain, type);
      program.insert(key, std::move(tests), place);
      program.names_[operator_text(op)] = program.roots_[key];
      auto& types = program.root_types_;
      if (std::find(types.begin(), types.end(), type) == types.end()) types.push_back(type);
    }
  }
  return program;
}

void RuleProgram::insert(std::uint64_t root, std::vector<Test> tests, std::uint32_t place) {
  auto [found, fresh] = roots_.emplace(root, static_cast<std::uint32_t>(tree_.size()));
  if (fresh) tree_.emplace_back();
  std::uint32_t at = found->second;
  for (const Test& test : tests)
    at = child_for(at, test);
  auto& leaves = tree_[at].leaves;
  if (std::find(leaves.begin(), leaves.end(), place) != leaves.end()) return;
  leaves.push_back(place);
  ends_[found->second].emplace_back(at, place);
}

std::uint32_t RuleProgram::child_for(std::uint32_t node, const Test& test) {
  const auto fresh = static_cast<std::uint32_t>(tree_.size());
  auto& fans = tree_[node].fans;
  auto fan = std::find_if(fans.begin(), fans.end(),
                          [&](const Fan& one) { return one.probe == test.probe; });
  if (fan == fans.end()) {
    fan = fans.insert(fans.end(), Fan());
    fan->probe = test.probe;
  }
  const auto [child, added] = fan->by_answer.emplace(test.answer, fresh);
  if (!added) return child->second;
  if (test.probe.what == Probe::What::Operator) {
    const std::size_t split = test.answer.rfind("::");
    const bool own = split == std::string::npos;
    const Symbol domain(own ? std::string_view() : std::string_view(test.answer).substr(0, split));
    const Symbol type(own ? std::string_view(test.answer)
                          : std::string_view(test.answer).substr(split + 2));
    fan->by_operator.emplace_back(key_of(domain, type), fresh);
  } else if (test.probe.what == Probe::What::Operands) {
    fan->at_least.emplace_back(std::stoul(test.answer), fresh);
  } else if (test.probe.what == Probe::What::Number) {
    const std::pair<double, std::uint32_t> entry(std::stod(test.answer), fresh);
    fan->by_number.insert(std::lower_bound(fan->by_number.begin(), fan->by_number.end(), entry),
                          entry);
  }
  tree_.emplace_back().parent = node;
  return fresh;
}

namespace {

// The nodes at the end of a path: one, or more below operands that may stand in either order.
struct Ends {
  std::size_t count = 0;
  std::uint32_t nodes[most_ends];

  NodeId operator[](std::size_t i) const { return {nodes[i]}; }
  void add(NodeId node) {
    if (node && count < most_ends && std::find(nodes, nodes + count, node.index) == nodes + count)
      nodes[count++] = node.index;
  }
};

}  // namespace

static Ends reach(const Model& model, NodeId root, std::span<const std::uint8_t> path) {
  Ends out;
  out.add(root);
  for (const std::uint8_t step : path) {
    const Ends above = out;
    out.count = 0;
    const bool open = step == RuleProgram::Probe::either;
    for (std::size_t i = 0; i < above.count; ++i) {
      const auto& inputs = model.node(above[i]).inputs;
      const std::size_t last = std::min<std::size_t>(open ? 2 : step + 1U, inputs.size());
      for (std::size_t slot = open ? 0 : step; slot < last; ++slot)
        if (inputs[slot]) out.add(model.value(inputs[slot]).producer);
    }
    if (out.count == 0) break;
  }
  return out;
}

// Numbers that a literal may stand for are near it; how near exactly is the full match's business,
// so the net is wider than the matcher's tolerance and the rounding of any 16-bit type.
void RuleProgram::follow_number(const Model& model, ValueId value, const Fan& fan,
                                Constness* constness, std::vector<std::uint32_t>& open) const {
  const auto all = [&] {
    for (const auto& [number, child] : fan.by_number)
      open.push_back(child);
  };
  const GraphValue& it = model.value(value);
  if (!it.initializer && !it.sparse_initializer && !it.producer) return;  // an input
  if (it.producer && constness != nullptr && !constness->holds(value)) return;
  const auto tensor = model.constant(value);
  if (!tensor) return all();
  if (tensor->size() < 1) return;
  const DType dtype = tensor->dtype();
  if (dtype == DType::String || is_complex(dtype) || (is_float(dtype) && bit_width(dtype) < 16)) {
    return all();
  }
  const double have = tensor->number(0);
  if (!std::isfinite(have)) return all();
  const double slack = 0.03 * std::fabs(have) + 1e-7;
  auto at = std::lower_bound(fan.by_number.begin(), fan.by_number.end(),
                             std::pair<double, std::uint32_t>(have - slack, 0));
  for (; at != fan.by_number.end() && at->first <= have + slack; ++at)
    open.push_back(at->second);
}

static void push_new(std::vector<std::uint32_t>& open, std::size_t from, std::uint32_t child) {
  const auto begin = open.begin() + static_cast<std::ptrdiff_t>(from);
  if (std::find(begin, open.end(), child) == open.end()) open.push_back(child);
}

void RuleProgram::follow(const Model& model, NodeId node, const Fan& fan, Constness* constness,
                         std::vector<std::uint32_t>& open) const {
  ++tests_;
  const bool of_operand = fan.probe.what == Probe::What::Number;
  const std::span<const std::uint8_t> path(fan.probe.path);
  const Ends ends = reach(model, node, of_operand ? path.first(path.size() - 1) : path);
  if (ends.count == 0) return;
  switch (fan.probe.what) {
    case Probe::What::Operator: {
      const std::size_t from = open.size();
      for (std::size_t i = 0; i < ends.count; ++i) {
        const std::uint64_t key = key_of(model.node(ends[i]));
        for (const auto& [wanted, child] : fan.by_operator) {
          if (wanted == key) push_new(open, from, child);
        }
      }
      break;
    }
    case Probe::What::Number: {
      const std::size_t from = open.size();
      const bool either = path.back() == Probe::either;
      scratch_.clear();
      for (std::size_t i = 0; i < ends.count; ++i) {
        const auto& inputs = model.node(ends[i]).inputs;
        const std::size_t first = either ? 0 : path.back(), last = either ? 1 : path.back();
        for (std::size_t slot = first; slot <= last && slot < inputs.size(); ++slot) {
          if (inputs[slot]) follow_number(model, inputs[slot], fan, constness, scratch_);
        }
      }
      for (const std::uint32_t child : scratch_)
        push_new(open, from, child);
      break;
    }
    case Probe::What::Operands:
      for (const auto& [least, child] : fan.at_least) {
        if (model.node(ends[0]).inputs.size() >= least) open.push_back(child);
      }
      break;
    case Probe::What::Attribute: {
      const AttributeValue* value = model.node(ends[0]).attributes.find(fan.probe.attribute);
      const auto* integer = value != nullptr ? std::get_if<std::int64_t>(value) : nullptr;
      const auto* text = value != nullptr ? std::get_if<std::string>(value) : nullptr;
      if (integer == nullptr && text == nullptr) {
        // A default, or of another kind: the full match decides.
        for (const auto& [answer, child] : fan.by_answer)
          open.push_back(child);
        break;
      }
      const auto child =
          fan.by_answer.find(integer != nullptr ? fmt::format("i:{}", *integer) : "s:" + *text);
      if (child != fan.by_answer.end()) open.push_back(child->second);
      break;
    }
  }
}

void RuleProgram::candidates(const Model& model, NodeId node, std::vector<RuleId>& found,
                             Constness* constness) const {
  found.clear();
  const auto root = roots_.find(key_of(model.node(node)));
  if (root == roots_.end()) return;
  open_.assign(1, root->second);
  places_.clear();
  while (!open_.empty()) {
    const std::uint32_t at = open_.back();
    open_.pop_back();
    places_.insert(places_.end(), tree_[at].leaves.begin(), tree_[at].leaves.end());
    for (const Fan& fan : tree_[at].fans)
      follow(model, node, fan, constness, open_);
  }
  std::sort(places_.begin(), places_.end());
  places_.erase(std::unique(places_.begin(), places_.end()), places_.end());
  for (const std::uint32_t place : places_)
    found.push_back(order_[place]);
}

void RuleProgram::closeness(const Model& model, NodeId node, Constness* constness,
                            std::vector<std::pair<RuleId, int>>& found) const {
  found.clear();
  const auto root = roots_.find(key_of(model.node(node)));
  if (root == roots_.end()) return;
  // How many tests led to each place of the tree that was reached; all others keep their 0.
  depths_.resize(tree_.size(), 0);
  std::vector<std::uint32_t>&reached = places_, &below = open_;
  reached.assign(1, root->second);
  depths_[root->second] = 1;
  for (std::size_t next = 0; next < reached.size(); ++next) {
    const std::uint32_t at = reached[next];
    below.clear();
    for (const Fan& fan : tree_[at].fans)
      follow(model, node, fan, constness, below);
    for (const std::uint32_t child : below) {
      depths_[child] = depths_[at] + 1;
      reached.push_back(child);
    }
  }
  for (const auto& [leaf, place] : ends_.at(root->second)) {
    std::uint32_t at = leaf;
    while (depths_[at] == 0)
      at = tree_[at].parent;
    if (found.empty() || found.back().first != order_[place]) found.emplace_back(order_[place], 0);
    found.back().second = std::max(found.back().second, depths_[at]);
  }
  for (const std::uint32_t at : reached)
    depths_[at] = 0;
}

static std::string probe_text(const RuleProgram::Probe& probe) {
  std::string path = "root";
  for (const std::uint8_t step : probe.path) {
    path += step == RuleProgram::Probe::either ? std::string(".either") : fmt::format(".{}", step);
  }
  switch (probe.what) {
    case RuleProgram::Probe::What::Operator:
      return path;
    case RuleProgram::Probe::What::Attribute:
      return fmt::format("{}{{{}}}", path, probe.attribute);
    case RuleProgram::Probe::What::Number:
      return "number at " + path;
    default:
      return fmt::format("operands of {}", path);
  }
}

std::string RuleProgram::dump(const RuleSet& rules) const {
  std::string out;
  struct Line {
    std::uint32_t node;
    std::string text;
    int depth;
  };
  std::vector<Line> open;
  for (auto it = names_.rbegin(); it != names_.rend(); ++it) {
    open.push_back({it->second, "root = " + it->first, 0});
  }
  while (!open.empty()) {
    const Line line = open.back();
    open.pop_back();
    out += fmt::format("{:{}}{}\n", "", 2 * line.depth, line.text);
    const TreeNode& node = tree_[line.node];
    for (const std::uint32_t place : node.leaves) {
      out += fmt::format("{:{}}try {}\n", "", 2 * line.depth + 2, rules[order_[place]].name);
    }
    for (auto fan = node.fans.rbegin(); fan != node.fans.rend(); ++fan) {
      const std::map<std::string, std::uint32_t> sorted(fan->by_answer.begin(),
                                                        fan->by_answer.end());
      const bool counts = fan->probe.what == Probe::What::Operands;
      for (auto child = sorted.rbegin(); child != sorted.rend(); ++child) {
        open.push_back(
            {child->second,
             fmt::format("{} {} {}", probe_text(fan->probe), counts ? ">=" : "=", child->first),
             line.depth + 1});
      }
    }
  }
  return out;
}

}  // namespace rulec
