// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "runtime/generic/elements.h"
#include "runtime/generic/families.h"
#include "runtime/generic/operands.h"

// The simple operators of ai.onnx.ml: what classifiers and label lists need.
namespace rulec::generic {

static constexpr std::string_view ml = "ai.onnx.ml";

static Result<Outputs> array_feature_extractor(const Call& call) {
  const Tensor& in = call.tensor(0);
  if (in.rank() == 0) return make_error("a scalar has no features");
  auto indices = wrapped_indices(call.tensor(1), in.shape().back());
  if (!indices) return indices.error();
  // A vector counts as one row.
  const Tensor rows = in.rank() == 1 ? in.reshaped({1, in.dim(0)}) : in;
  return one(take(rows, rows.rank() - 1, *indices));
}

static Result<Outputs> zip_map(const Call& call) {
  const Tensor& in = call.tensor(0);
  Tensor keys;
  if (const auto* text = call.attributes.get<std::vector<std::string>>("classlabels_strings");
      text != nullptr && !text->empty()) {
    keys = Tensor::of_strings({static_cast<std::int64_t>(text->size())}, *text);
  } else {
    const Integers labels = call.attributes.integers("classlabels_int64s");
    keys = Tensor::of<std::int64_t>({static_cast<std::int64_t>(labels.size())}, labels);
  }
  if (in.rank() < 1 || in.rank() > 2 || in.shape().back() != keys.size()) {
    return make_error("{} class labels for scores {}", keys.size(), to_string(in.shape()));
  }
  const std::int64_t count = in.rank() == 1 ? 1 : in.dim(0);
  std::vector<Value> maps;
  for (std::int64_t i = 0; i < count; ++i) {
    const Integers unit = {1};
    maps.push_back(Map{keys, strided(in, {keys.size()}, unit, i * keys.size())});
  }
  return one(Sequence{in.dtype(), std::make_shared<const std::vector<Value>>(std::move(maps))});
}

// A list attribute `stem`_strings, _int64s or _floats, or the tensor attribute `stem`_tensor.
static Tensor list_attribute(const Attributes& attributes, std::string_view stem) {
  const auto length = [](const auto& list) {
    return Shape{static_cast<std::int64_t>(list.size())};
  };
  if (const auto* list =
          attributes.get<std::vector<std::string>>(fmt::format("{}_strings", stem))) {
    return Tensor::of_strings(length(*list), *list);
  }
  if (const auto* list = attributes.get<Integers>(fmt::format("{}_int64s", stem))) {
    return Tensor::of<std::int64_t>(length(*list), *list);
  }
  if (const auto* list = attributes.get<std::vector<float>>(fmt::format("{}_floats", stem))) {
    return Tensor::of<float>(length(*list), *list);
  }
  const auto* tensor = attributes.get<Tensor>(fmt::format("{}_tensor", stem));
  return tensor != nullptr ? tensor->reshaped({tensor->size()}) : Tensor();
}

// A text that is the same for equal elements (NaN equals NaN, 0 equals -0).
static std::string key_text(const Tensor& tensor, std::int64_t index) {
  if (tensor.dtype() == DType::String) return tensor.strings()[static_cast<std::size_t>(index)];
  if (is_float(tensor.dtype())) {
    const double value = tensor.number(index);
    return std::isnan(value) ? "nan" : fmt::format("{}", value == 0 ? 0.0 : value);
  }
  return fmt::format("{}", tensor.integer(index));
}

static Result<Outputs> label_encoder(const Call& call) {
  const Tensor& in = call.tensor(0);
  const Attributes& attributes = call.attributes;
  Tensor keys, values, otherwise;
  if (const auto* classes = attributes.get<std::vector<std::string>>("classes_strings")) {
    // Version 1: the classes and their positions, in the direction that the input tells.
    keys = Tensor::of_strings({static_cast<std::int64_t>(classes->size())}, *classes);
    values = Tensor::allocate(DType::I64, {keys.size()});
    for (std::int64_t i = 0; i < keys.size(); ++i)
      values.set_integer(i, i);
    if (in.dtype() == DType::String) {
      otherwise = Tensor::scalar(attributes.integer("default_int64", -1));
    } else {
      std::swap(keys, values);
      otherwise =
          Tensor::of_strings({}, {std::string(attributes.text("default_string", "_Unused"))});
    }
  } else {
    keys = list_attribute(attributes, "keys");
    values = list_attribute(attributes, "values");
    const Tensor* given = attributes.get<Tensor>("default_tensor");
    if (given != nullptr && given->size() == 1) {
      otherwise = *given;
    } else if (values.dtype() == DType::String) {
      otherwise =
          Tensor::of_strings({}, {std::string(attributes.text("default_string", "_Unused"))});
    } else if (values.dtype() == DType::I64) {
      otherwise = Tensor::scalar(attributes.integer("default_int64", -1));
    } else if (values.defined()) {
      otherwise =
          convert(Tensor::scalar(attributes.number("default_float", -0.0F)), values.dtype());
    }
  }
  if (!keys.defined() || !values.defined() || keys.size() != values.size() ||
      otherwise.dtype() != values.dtype() ||
      (keys.dtype() == DType::String) != (in.dtype() == DType::String)) {
    return make_error("its keys, values and default do not fit one another or the {} input",
                      name(in.dtype()));
  }
  std::unordered_map<std::string, std::int64_t> table;
  for (std::int64_t i = 0; i < keys.size(); ++i)
    table.emplace(key_text(keys, i), i);
  Tensor out = Tensor::allocate(values.dtype(), in.shape());
  const ElementCopy known(values, out), unknown(otherwise, out);
  for (std::int64_t i = 0; i < in.size(); ++i) {
    if (const auto found = table.find(key_text(in, i)); found != table.end()) {
      known(found->second, i);
    } else {
      unknown(0, i);
    }
  }
  return one(std::move(out));
}

static std::vector<float> floats(const Call& call, std::string_view attribute) {
  const auto* list = call.attributes.get<std::vector<float>>(attribute);
  return list != nullptr ? *list : std::vector<float>();
}

// Float results of operators that take any number: double stays double.
static DType float_result(DType in) {
  return in == DType::F64 ? DType::F64 : DType::F32;
}

static Status check_numeric(const Tensor& in) {
  if (is_float(in.dtype()) || is_integer(in.dtype())) return Done{};
  return make_error("{} elements are not numbers", name(in.dtype()));
}

static Result<Outputs> scaler(const Call& call) {
  const Tensor& in = call.tensor(0);
  if (auto fine = check_numeric(in); !fine) return fine.error();
  const std::vector<float> offset = floats(call, "offset"), scale = floats(call, "scale");
  const auto features = static_cast<std::size_t>(in.rank() == 0 ? 1 : in.shape().back());
  const auto fits = [&](const auto& list) { return list.size() == 1 || list.size() == features; };
  if (!fits(offset) || !fits(scale)) {
    return make_error("{} offsets and {} scales for {} features", offset.size(), scale.size(),
                      features);
  }
  std::vector<double> values = in.numbers();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t f = i % features;
    values[i] = (values[i] - static_cast<double>(offset[offset.size() == 1 ? 0 : f])) *
                static_cast<double>(scale[scale.size() == 1 ? 0 : f]);
  }
  return one(from_numbers(float_result(in.dtype()), in.shape(), values));
}

static Result<Outputs> normalizer(const Call& call) {
  const Tensor& in = call.tensor(0);
  if (auto fine = check_numeric(in); !fine) return fine.error();
  const std::string_view norm = call.attributes.text("norm", "MAX");
  if (norm != "MAX" && norm != "L1" && norm != "L2") {
    return make_error("norm \"{}\" is not known", norm);
  }
  const std::int64_t row = in.rank() == 0 ? 1 : in.shape().back();
  std::vector<double> values = in.numbers();
  for (std::int64_t at = 0; at < in.size(); at += row) {
    const std::span<double> part(values.data() + at, static_cast<std::size_t>(row));
    double size = norm == "MAX" ? part[0] : 0;
    for (double value : part) {
      size = norm == "MAX"  ? std::max(size, value)
             : norm == "L1" ? size + std::abs(value)
                            : size + value * value;
    }
    if (norm == "L2") size = std::sqrt(size);
    for (double& value : part)
      value = size == 0 ? value : value / size;
  }
  return one(from_numbers(float_result(in.dtype()), in.shape(), values));
}

static Result<Outputs> binarizer(const Call& call) {
  const Tensor& in = call.tensor(0);
  if (auto fine = check_numeric(in); !fine) return fine.error();
  const auto threshold = static_cast<double>(call.attributes.number("threshold", 0));
  std::vector<double> values = in.numbers();
  for (double& value : values)
    value = value > threshold ? 1 : 0;
  return one(from_numbers(in.dtype(), in.shape(), values));
}

static Result<Outputs> one_hot_encoder(const Call& call) {
  const Tensor& in = call.tensor(0);
  const Tensor categories = list_attribute(call.attributes, "cats");
  if (!categories.defined() ||
      (categories.dtype() == DType::String) != (in.dtype() == DType::String)) {
    return make_error("its categories do not fit the {} input", name(in.dtype()));
  }
  Shape shape = in.shape();
  shape.push_back(categories.size());
  Tensor out = Tensor::zeros(DType::F32, std::move(shape));
  std::unordered_map<std::string, std::int64_t> table;
  for (std::int64_t i = 0; i < categories.size(); ++i)
    table.emplace(key_text(categories, i), i);
  for (std::int64_t i = 0; i < in.size(); ++i) {
    // Categories are integers: 1.0 is category 1.
    const std::string key = is_float(in.dtype()) && categories.dtype() == DType::I64
                                ? fmt::format("{}", in.integer(i))
                                : key_text(in, i);
    if (const auto found = table.find(key); found != table.end()) {
      out.mutable_data<float>()[i * categories.size() + found->second] = 1;
    } else if (call.attributes.integer("zeros", 1) == 0) {
      return make_error("\"{}\" is not among the categories", key);
    }
  }
  return one(std::move(out));
}

std::span<const KernelEntry> ml_kernels() {
  static const KernelEntry entries[] = {
      {ml, "ArrayFeatureExtractor", array_feature_extractor, 2},
      {ml, "Binarizer", binarizer},
      {ml, "LabelEncoder", label_encoder},
      {ml, "Normalizer", normalizer},
      {ml, "OneHotEncoder", one_hot_encoder},
      {ml, "Scaler", scaler},
      {ml, "ZipMap", zip_map},
  };
  return entries;
}

}  // namespace rulec::generic
