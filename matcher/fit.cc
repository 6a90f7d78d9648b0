// SPDX-License-Identifier: Apache-2.0
#include "matcher/fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

namespace rulec {
namespace {

enum class StepKind : std::uint8_t { Add, Subtract, SubtractFrom, Multiply, Divide };

// One step of the chain: x ∘ operand.
struct Step {
  StepKind kind = StepKind::Add;
  SlotId slot;                  // a parameter
  std::vector<double> numbers;  // or numbers
};

// Sums for the least squares of one channel.
struct Sums {
  double n = 0, x = 0, y = 0, xx = 0, xy = 0;
};

}  // namespace

AffineFit fit_affine(std::span<const Tensor> x, std::span<const Tensor> y) {
  const auto channels = static_cast<std::size_t>(x[0].shape().back());
  std::vector<Sums> sums(channels);
  std::vector<std::vector<double>> xs, ys;
  for (std::size_t t = 0; t < x.size(); ++t) {
    xs.push_back(x[t].numbers());
    ys.push_back(y[t].numbers());
    for (std::size_t i = 0; i < xs[t].size(); ++i) {
      Sums& sum = sums[i % channels];
      const double u = xs[t][i] - 128, v = ys[t][i];  // centred: fewer digits lost
      sum.n += 1;
      sum.x += u;
      sum.y += v;
      sum.xx += u * u;
      sum.xy += u * v;
    }
  }
  AffineFit fit;
  for (const Sums& sum : sums) {
    const double spread = sum.n * sum.xx - sum.x * sum.x;
    const double scale = spread > 0 ? (sum.n * sum.xy - sum.x * sum.y) / spread : 0;
    fit.scale.push_back(scale);
    fit.bias.push_back((sum.y - scale * sum.x) / sum.n - 128 * scale);
  }
  for (std::size_t t = 0; t < xs.size(); ++t) {
    for (std::size_t i = 0; i < xs[t].size(); ++i) {
      const std::size_t c = i % channels;
      const double off = std::fabs(ys[t][i] - (fit.scale[c] * xs[t][i] + fit.bias[c]));
      if (!std::isfinite(off)) {
        fit.residual = std::numeric_limits<double>::infinity();
        return fit;
      }
      fit.residual = std::max(fit.residual, off);
      fit.magnitude = std::max(fit.magnitude, std::fabs(ys[t][i]));
    }
  }
  return fit;
}

static std::optional<std::vector<double>> literal_numbers(const Literal& literal) {
  if (const auto* i = std::get_if<std::int64_t>(&literal.value))
    return std::vector{static_cast<double>(*i)};
  if (const auto* d = std::get_if<double>(&literal.value)) return std::vector{*d};
  if (const auto* list = std::get_if<std::vector<Literal>>(&literal.value)) {
    std::vector<double> all;
    for (const Literal& item : *list) {
      const auto numbers = literal_numbers(item);
      if (!numbers || numbers->size() != 1) return std::nullopt;
      all.push_back(numbers->front());
    }
    return all;
  }
  return std::nullopt;
}

namespace {

class ChainReader {
 public:
  ChainReader(const RuleSet& rules, SlotId input) : rules_(rules), input_(input) {}

  // Steps from the input outwards; nothing when the expression is no such chain.
  std::optional<std::vector<Step>> read(ExprId id) const {
    const Expr& expr = rules_[id];
    if (expr.kind == Expr::Kind::Slot && expr.slot == input_) return std::vector<Step>{};
    if (expr.kind == Expr::Kind::Emit && expr.emit && expr.emit->arguments) {
      const std::string& type = expr.emit->op.type;
      const auto& arguments = *expr.emit->arguments;
      if ((type == "Cast" || type == "Identity") && !arguments.empty()) return read(arguments[0]);
      if (arguments.size() != 2) return std::nullopt;
      if (type == "Add") return step(arguments, StepKind::Add, StepKind::Add);
      if (type == "Sub") return step(arguments, StepKind::Subtract, StepKind::SubtractFrom);
      if (type == "Mul") return step(arguments, StepKind::Multiply, StepKind::Multiply);
      if (type == "Div") return step(arguments, StepKind::Divide, std::nullopt);
    }
    if (expr.kind == Expr::Kind::Apply && expr.operands.size() == 2) {
      if (expr.op == Operator::Add) return step(expr.operands, StepKind::Add, StepKind::Add);
      if (expr.op == Operator::Subtract)
        return step(expr.operands, StepKind::Subtract, StepKind::SubtractFrom);
      if (expr.op == Operator::Multiply)
        return step(expr.operands, StepKind::Multiply, StepKind::Multiply);
      if (expr.op == Operator::Divide) return step(expr.operands, StepKind::Divide, std::nullopt);
    }
    return std::nullopt;
  }

 private:
  std::optional<std::vector<Step>> step(const std::vector<ExprId>& operands, StepKind right,
                                        std::optional<StepKind> left) const {
    if (auto chain = read(operands[0])) return with(std::move(*chain), right, operands[1]);
    if (!left) return std::nullopt;
    if (auto chain = read(operands[1])) return with(std::move(*chain), *left, operands[0]);
    return std::nullopt;
  }

  std::optional<std::vector<Step>> with(std::vector<Step> chain, StepKind kind, ExprId id) const {
    const Expr& expr = rules_[id];
    Step made{kind, {}, {}};
    if (expr.kind == Expr::Kind::Slot) {
      made.slot = expr.slot;
    } else if (expr.kind == Expr::Kind::Literal) {
      const auto numbers = literal_numbers(expr.literal);
      if (!numbers) return std::nullopt;
      made.numbers = *numbers;
    } else {
      return std::nullopt;
    }
    chain.push_back(std::move(made));
    return chain;
  }

  const RuleSet& rules_;
  SlotId input_;
};

// One channel of the chain: x -> a x + b, with the unknown additive parameter at `free`.
struct Line {
  double a = 1, b = 0;
};

}  // namespace

static double element(const std::vector<double>& numbers, std::size_t channel) {
  return numbers.size() == 1 ? numbers[0] : numbers[std::min(channel, numbers.size() - 1)];
}

static Line follow(const std::vector<Step>& steps, std::size_t channel,
                   const std::map<SlotId, std::vector<double>>& values) {
  Line line;
  for (const Step& step : steps) {
    const double v = element(step.slot ? values.at(step.slot) : step.numbers, channel);
    switch (step.kind) {
      case StepKind::Add:
        line.b += v;
        break;
      case StepKind::Subtract:
        line.b -= v;
        break;
      case StepKind::SubtractFrom:
        line = {-line.a, v - line.b};
        break;
      case StepKind::Multiply:
        line = {line.a * v, line.b * v};
        break;
      case StepKind::Divide:
        line = {line.a / v, line.b / v};
        break;
    }
  }
  return line;
}

Result<std::map<SlotId, std::vector<double>>> solve_affine(
    const RuleSet& rules, ExprId expr, SlotId input, std::span<const SlotId> wanted,
    const std::map<SlotId, std::vector<double>>& known, const AffineFit& measured) {
  const auto steps = ChainReader(rules, input).read(expr);
  if (!steps) {
    return make_error("only a chain of +, -, *, / with parameters around the port can be fitted");
  }
  const auto is_wanted = [&](const Step& step) {
    return step.slot && std::find(wanted.begin(), wanted.end(), step.slot) != wanted.end();
  };
  const Step* factor = nullptr;
  const Step* offset = nullptr;
  for (const Step& step : *steps) {
    if (step.slot && !is_wanted(step) && !known.contains(step.slot))
      return make_error("the body uses a value that is not known before the fit");
    if (!is_wanted(step)) continue;
    const bool scales = step.kind == StepKind::Multiply || step.kind == StepKind::Divide;
    const Step*& place = scales ? factor : offset;
    if (place) return make_error("two parameters of the body do the same; only one can be fitted");
    place = &step;
  }
  for (SlotId slot : wanted) {
    if ((!factor || factor->slot != slot) && (!offset || offset->slot != slot))
      return make_error("the body does not use every parameter that is to be fitted");
  }
  std::map<SlotId, std::vector<double>> values = known;
  const std::size_t channels = measured.scale.size();
  for (SlotId slot : wanted)
    values[slot].assign(channels, factor && slot == factor->slot ? 1.0 : 0.0);
  for (std::size_t c = 0; c < channels; ++c) {
    const Line unit = follow(*steps, c, values);
    if (factor) {
      const double ratio = measured.scale[c] / unit.a;
      if (!std::isfinite(ratio) || ratio == 0)
        return make_error("channel {} of the result does not depend on the input", c);
      values[factor->slot][c] = factor->kind == StepKind::Multiply ? ratio : 1 / ratio;
    } else if (std::fabs(unit.a - measured.scale[c]) > 1e-5 * std::fabs(unit.a)) {
      return make_error("the region scales channel {} by {}, the body by {}", c, measured.scale[c],
                        unit.a);
    }
    if (!offset) continue;
    const double at_zero = follow(*steps, c, values).b;
    values[offset->slot][c] = 1;
    const double slope = follow(*steps, c, values).b - at_zero;
    values[offset->slot][c] = (measured.bias[c] - at_zero) / slope;
  }
  std::map<SlotId, std::vector<double>> found;
  for (SlotId slot : wanted)
    found[slot] = values.at(slot);
  return found;
}

}  // namespace rulec
