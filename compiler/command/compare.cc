// SPDX-License-Identifier: Apache-2.0
#include "compiler/command/compare.h"

#include <algorithm>
#include <cmath>

#include "compiler/command/interface.h"
#include "matcher/evaluate.h"
#include "matcher/onnx_io.h"
#include "runtime/convert.h"

namespace rulec::command {

Result<Named> make_inputs(const Model& model, std::uint64_t seed, int trial, const Model* like) {
  return make_inputs(inputs_of(model), seed, trial,
                     like != nullptr ? inputs_of(*like) : std::vector<Formal>());
}

namespace {

// Sums over all elements of an output; a sequence's items count as one.
struct Sums {
  double difference = 0, a = 0, b = 0, product = 0;
};

class Comparison {
 public:
  Comparison(OutputDifference& out, double rtol, double atol)
      : out_(out), rtol_(rtol), atol_(atol) {}

  void values(const Value& a, const Value& b, const std::string& place) {
    if (a.data.index() != b.data.index()) return fail(place, "they are of different kinds");
    if (a.is_tensor()) return tensors(a.tensor(), b.tensor(), place);
    if (const auto* x = std::get_if<Sequence>(&a.data)) {
      const auto& y = *std::get_if<Sequence>(&b.data);
      const std::size_t count = x->items ? x->items->size() : 0;
      const std::size_t other = y.items ? y.items->size() : 0;
      if (count != other)
        return fail(place, ::fmt::format("one has {} items, the other {}", count, other));
      for (std::size_t i = 0; i < count; ++i)
        values((*x->items)[i], (*y.items)[i], ::fmt::format("{}[{}]", place, i));
    } else if (const auto* held = std::get_if<Optional>(&a.data)) {
      const auto& other = *std::get_if<Optional>(&b.data);
      if (!held->held != !other.held) return fail(place, "one is empty, the other is not");
      if (held->held) values(*held->held, *other.held, place);
    } else if (const auto* map = std::get_if<Map>(&a.data)) {
      const auto& other = *std::get_if<Map>(&b.data);
      tensors(map->keys, other.keys, place + " (keys)");
      tensors(map->values, other.values, place);
    }
  }

  void finish() {
    const double norm = std::sqrt(sums_.b);
    out_.rel_l2 = sums_.difference == 0 ? 0 : std::sqrt(sums_.difference) / norm;
    const double norms = std::sqrt(sums_.a) * norm;
    if (norms > 0)
      out_.cosine = std::clamp(sums_.product / norms, -1.0, 1.0);
    else
      out_.cosine = sums_.a == sums_.b ? 1 : 0;
  }

 private:
  void fail(const std::string& place, std::string why) {
    if (!out_.ok) return;
    out_.ok = false;
    out_.why = ::fmt::format("`{}`: {}", place, why);
  }

  static std::string at(const Tensor& tensor, std::int64_t index) {
    std::string out;
    const auto strides = strides_of(tensor.shape());
    for (std::size_t axis = 0; axis < tensor.rank(); ++axis) {
      out += ::fmt::format("{}{}", axis == 0 ? "" : ",", index / strides[axis]);
      index %= strides[axis];
    }
    return out;
  }

  void tensors(const Tensor& a, const Tensor& b, const std::string& place) {
    if (a.shape() != b.shape())
      return fail(place, ::fmt::format("its shape is {} in one and {} in the other",
                                       to_string(a.shape()), to_string(b.shape())));
    const bool texts = a.dtype() == DType::String;
    if (texts != (b.dtype() == DType::String))
      return fail(place, "it holds strings in only one of them");
    if (texts) {
      for (std::size_t i = 0; i < a.strings().size(); ++i)
        if (a.strings()[i] != b.strings()[i])
          return fail(place, ::fmt::format("at [{}] it is \"{}\" in one and \"{}\" in the other",
                                           at(a, static_cast<std::int64_t>(i)), a.strings()[i],
                                           b.strings()[i]));
      return;
    }
    if (is_complex(a.dtype()) || is_complex(b.dtype())) {
      if (a.dtype() != b.dtype()) return fail(place, "the element types differ");
      return tensors(parts(a), parts(b), place);
    }
    const bool whole = !is_float(a.dtype()) && !is_float(b.dtype());
    constexpr std::int64_t step = 4096;
    std::vector<double> x(step), y(step);
    std::vector<std::int64_t> m(step), n(step);
    for (std::int64_t first = 0; first < a.size(); first += step) {
      const auto count = static_cast<std::size_t>(std::min(step, a.size() - first));
      load_numbers(a, first, std::span(x).first(count));
      load_numbers(b, first, std::span(y).first(count));
      if (whole) {
        load_integers(a, first, std::span(m).first(count));
        load_integers(b, first, std::span(n).first(count));
      }
      for (std::size_t i = 0; i < count; ++i) {
        // Large integers that differ may round to one double.
        const bool same = whole ? m[i] == n[i] : x[i] == y[i];
        number(x[i], y[i], same, a, first + static_cast<std::int64_t>(i), place);
      }
    }
  }

  static Tensor parts(const Tensor& tensor) {
    Shape shape = tensor.shape();
    shape.push_back(2);
    return Tensor::borrow(tensor.dtype() == DType::C64 ? DType::F32 : DType::F64, shape,
                          tensor.bytes(), nullptr);
  }

  void number(double a, double b, bool same, const Tensor& tensor, std::int64_t index,
              const std::string& place) {
    if (std::isnan(a) && std::isnan(b)) return;
    if (!std::isfinite(a) || !std::isfinite(b)) {
      if (same) return;
      out_.max_abs = out_.max_rel = std::numeric_limits<double>::infinity();
      return fail(place, ::fmt::format("at [{}] it is {} in one and {} in the other",
                                       at(tensor, index), a, b));
    }
    const double difference = same ? 0 : std::max(std::abs(a - b), 1e-300);
    const double size = std::max(std::abs(a), std::abs(b));
    sums_.difference += difference * difference;
    sums_.a += a * a;
    sums_.b += b * b;
    sums_.product += a * b;
    out_.max_abs = std::max(out_.max_abs, difference);
    if (size > 0) out_.max_rel = std::max(out_.max_rel, difference / size);
    if (difference > atol_ + rtol_ * size)
      fail(place, ::fmt::format("at [{}] it is {:.7g} in one and {:.7g} in the other",
                                at(tensor, index), a, b));
  }

  OutputDifference& out_;
  double rtol_, atol_;
  Sums sums_;
};

}  // namespace

OutputDifference difference(const std::string& name, const Value& a, const Value& b, double rtol,
                            double atol) {
  OutputDifference out;
  out.name = name;
  Comparison comparison(out, rtol, atol);
  comparison.values(a, b, name);
  comparison.finish();
  return out;
}

// The values of `given` by name, cast where the model wants another element type.
static Result<std::vector<std::pair<ValueId, Value>>> feeds_of(const Model& model,
                                                               const Named& given) {
  std::vector<std::pair<ValueId, Value>> feeds;
  for (const ValueId id : model.graph(model.main()).inputs) {
    const GraphValue& value = model.value(id);
    if (value.initializer) continue;
    const auto found = std::find_if(given.begin(), given.end(),
                                    [&](const auto& one) { return one.first == value.name; });
    if (found == given.end())
      return make_error("the models cannot be compared: only one has the input `{}`", value.name);
    Value fed = found->second;
    if (fed.is_tensor() && value.type.is_tensor() && fed.tensor().dtype() != value.type.dtype &&
        fed.tensor().dtype() != DType::String && value.type.dtype != DType::String &&
        value.type.dtype != DType::Undefined)
      fed = convert(fed.tensor(), value.type.dtype);
    if (const Status status = check_input({value.name, value.type, false}, fed); !status)
      return make_error("the models cannot be compared: {}", status.error().message);
    feeds.emplace_back(id, std::move(fed));
  }
  return feeds;
}

Status compare_with_original(const std::string& path, const Model& rewritten, std::uint64_t seed,
                             double rtol, double atol) {
  auto original = import_onnx(path);
  if (!original) return original.error();
  std::vector<std::pair<std::string, std::pair<ValueId, ValueId>>> outputs;
  for (const ValueId a : original->graph(original->main()).outputs)
    for (const ValueId b : rewritten.graph(rewritten.main()).outputs)
      if (original->value(a).name == rewritten.value(b).name)
        outputs.push_back({original->value(a).name, {a, b}});
  if (outputs.empty())
    return make_error("the models cannot be compared: no output has the same name in both");
  std::vector<ValueId> left, right;
  for (const auto& [name, pair] : outputs) {
    left.push_back(pair.first);
    right.push_back(pair.second);
  }
  Evaluator before(*original, {.precision = Precision::Double});
  Evaluator after(rewritten, {.precision = Precision::Double});
  constexpr int trials = 3;
  int compared = 0;
  std::string failed;
  for (int trial = 0; trial < trials; ++trial) {
    auto inputs = make_inputs(*original, seed, trial, &rewritten);
    if (!inputs) return inputs.error();
    const auto feeds_before = feeds_of(*original, *inputs);
    if (!feeds_before) return feeds_before.error();
    const auto feeds_after = feeds_of(rewritten, *inputs);
    if (!feeds_after) return feeds_after.error();
    const auto a = before.run(*feeds_before, left);
    if (!a) {  // these inputs are none for the model
      failed = a.error().message;
      continue;
    }
    const auto b = after.run(*feeds_after, right);
    if (!b)
      return make_error(
          "the rewritten model fails where the original does not (seed {}, trial {}): {}", seed,
          trial, b.error().message);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const auto found = difference(outputs[i].first, (*a)[i], (*b)[i], rtol, atol);
      if (!found.ok)
        return make_error(
            "the rewritten model differs from the original (seed {}, trial {}): output {}; largest "
            "difference {:.3g}",
            seed, trial, found.why, found.max_abs);
    }
    ++compared;
  }
  if (compared == 0)
    return make_error(
        "the models cannot be compared: the original runs with none of the made-up "
        "inputs: {}",
        failed);
  return Done{};
}

}  // namespace rulec::command
