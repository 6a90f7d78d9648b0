// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "runtime/generic/elements.h"
#include "runtime/generic/families.h"
#include "runtime/generic/operands.h"

// Losses, and the operators that have no one right answer.
namespace rulec::generic {

// The loss of log-probabilities [N,C,…] for targets [N,…].
static Result<Tensor> likelihood_loss(const Call& call, const Tensor& in,
                                      const std::vector<double>& log_probability) {
  const Tensor& target = call.tensor(1);
  Shape expected = in.shape();
  if (in.rank() >= 2) expected.erase(expected.begin() + 1);
  if (in.rank() < 2 || target.shape() != expected || !is_integer(target.dtype())) {
    return make_error("targets {}{} for scores {}", name(target.dtype()), to_string(target.shape()),
                      to_string(in.shape()));
  }
  const std::int64_t classes = in.dim(1);
  const std::int64_t inner = element_count(std::span(in.shape()).subspan(2));
  std::vector<double> weights(static_cast<std::size_t>(classes), 1.0);
  if (call.has(2)) {
    weights = call.tensor(2).numbers();
    if (static_cast<std::int64_t>(weights.size()) != classes) {
      return make_error("{} weights for {} classes", weights.size(), classes);
    }
  }
  const auto* ignored = call.attributes.get<std::int64_t>("ignore_index");
  const Integers labels = target.integers();
  std::vector<double> losses(labels.size(), 0.0);
  double total_weight = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::int64_t label = labels[i];
    if (ignored != nullptr && label == *ignored) continue;
    if (label < 0 || label >= classes) {
      return make_error("target {} is not one of {} classes", label, classes);
    }
    const auto at = static_cast<std::int64_t>(i);
    const std::int64_t n = at / inner, d = at % inner;
    const double weight = weights[static_cast<std::size_t>(label)];
    losses[i] =
        -weight * log_probability[static_cast<std::size_t>((n * classes + label) * inner + d)];
    total_weight += weight;
  }
  const std::string_view reduction = call.attributes.text("reduction", "mean");
  if (reduction == "none") return from_numbers(in.dtype(), target.shape(), losses);
  double sum = std::accumulate(losses.begin(), losses.end(), 0.0);
  if (reduction == "mean") {
    sum /= total_weight;
  } else if (reduction != "sum") {
    return make_error("reduction \"{}\" is not known", reduction);
  }
  return from_numbers(in.dtype(), {}, std::vector{sum});
}

static Result<Outputs> negative_log_likelihood(const Call& call) {
  const Tensor& in = call.tensor(0);
  auto loss = likelihood_loss(call, in, in.numbers());
  if (!loss) return loss.error();
  return one(*std::move(loss));
}

static Result<Outputs> softmax_cross_entropy(const Call& call) {
  const Tensor& in = call.tensor(0);
  if (in.rank() < 2) return make_error("scores {} have no class axis", to_string(in.shape()));
  const std::int64_t classes = in.dim(1);
  const std::int64_t inner = element_count(std::span(in.shape()).subspan(2));
  std::vector<double> values = in.numbers();
  for (std::int64_t n = 0; n < in.dim(0); ++n) {
    for (std::int64_t d = 0; d < inner; ++d) {
      const auto at = [&](std::int64_t c) -> double& {
        return values[static_cast<std::size_t>((n * classes + c) * inner + d)];
      };
      double highest = -std::numeric_limits<double>::infinity(), sum = 0;
      for (std::int64_t c = 0; c < classes; ++c)
        highest = std::max(highest, at(c));
      for (std::int64_t c = 0; c < classes; ++c)
        sum += std::exp(at(c) - highest);
      const double shift = highest + std::log(sum);
      for (std::int64_t c = 0; c < classes; ++c)
        at(c) -= shift;
    }
  }
  auto loss = likelihood_loss(call, in, values);
  if (!loss) return loss.error();
  Outputs out;
  out.push_back(*std::move(loss));
  out.push_back(from_numbers(in.dtype(), in.shape(), values));
  return out;
}

static Result<Outputs> random(const Call&) {
  return make_error("its result is random: there is nothing to compare with");
}

std::span<const KernelEntry> misc_kernels() {
  static const KernelEntry entries[] = {
      {"", "Bernoulli", random},
      {"", "Multinomial", random},
      {"", "NegativeLogLikelihoodLoss", negative_log_likelihood, 2},
      {"", "RandomNormal", random, 0},
      {"", "RandomNormalLike", random},
      {"", "RandomUniform", random, 0},
      {"", "RandomUniformLike", random},
      {"", "SoftmaxCrossEntropyLoss", softmax_cross_entropy, 2},
  };
  return entries;
}

}  // namespace rulec::generic
