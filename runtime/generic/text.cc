// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>
#include <map>
#include <regex>

#include "runtime/generic/elements.h"
#include "runtime/generic/families.h"
#include "runtime/generic/operands.h"

namespace rulec::generic {

static Status check_text(const Tensor& tensor) {
  if (tensor.dtype() == DType::String) return Done{};
  return make_error("it works on strings, not on {}", name(tensor.dtype()));
}

static Result<Outputs> string_concat(const Call& call) {
  const Tensor& a = call.tensor(0);
  const Tensor& b = call.tensor(1);
  for (const Tensor* tensor : {&a, &b}) {
    if (auto fine = check_text(*tensor); !fine) return fine.error();
  }
  const auto shape = broadcast(a.shape(), b.shape());
  if (!shape) {
    return make_error("{} does not broadcast with {}", to_string(a.shape()), to_string(b.shape()));
  }
  const auto spread = [&](const Tensor& in) {
    const Integers own = strides_of(in.shape());
    Integers strides(shape->size(), 0);
    const std::size_t lead = shape->size() - in.rank();
    for (std::size_t i = 0; i < in.rank(); ++i)
      strides[lead + i] = in.dim(i) == 1 ? 0 : own[i];
    return strided(in, *shape, strides);
  };
  Tensor out = spread(a);
  const Tensor tail = spread(b);
  for (std::size_t i = 0; i < tail.strings().size(); ++i) {
    out.mutable_strings()[i] += tail.strings()[i];
  }
  return one(std::move(out));
}

// Whole ASCII letters only: others stay as they are (the operator's locale is not followed).
static std::string cased(std::string text, std::string_view action) {
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 128) continue;
    if (action == "LOWER") c = static_cast<char>(std::tolower(byte));
    if (action == "UPPER") c = static_cast<char>(std::toupper(byte));
  }
  return text;
}

static Result<Outputs> string_normalizer(const Call& call) {
  const Tensor& in = call.tensor(0);
  if (auto fine = check_text(in); !fine) return fine.error();
  if (in.rank() < 1 || in.rank() > 2 || (in.rank() == 2 && in.dim(0) != 1)) {
    return make_error("{} is neither [C] nor [1,C]", to_string(in.shape()));
  }
  const std::string_view action = call.attributes.text("case_change_action", "NONE");
  const bool sensitive = call.attributes.integer("is_case_sensitive", 0) != 0;
  std::vector<std::string> stops;
  if (const auto* given = call.attributes.get<std::vector<std::string>>("stopwords")) {
    stops = *given;
  }
  std::vector<std::string> kept;
  for (const std::string& word : in.strings()) {
    const bool stopped = std::any_of(stops.begin(), stops.end(), [&](const std::string& stop) {
      return sensitive ? stop == word : cased(stop, "LOWER") == cased(word, "LOWER");
    });
    if (!stopped) kept.push_back(cased(word, action));
  }
  if (kept.empty()) kept.emplace_back();
  const auto count = static_cast<std::int64_t>(kept.size());
  return one(Tensor::of_strings(in.rank() == 1 ? Shape{count} : Shape{1, count}, std::move(kept)));
}

// The parts of `text`; an empty delimiter splits at runs of white space.
static std::vector<std::string> split_text(const std::string& text, std::string_view delimiter,
                                           std::int64_t most) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  const auto splits_left = [&] {
    return most < 0 || static_cast<std::int64_t>(parts.size()) < most;
  };
  if (!delimiter.empty()) {
    for (std::size_t hit; splits_left() && (hit = text.find(delimiter, at)) != std::string::npos;
         at = hit + delimiter.size()) {
      parts.push_back(text.substr(at, hit - at));
    }
    parts.push_back(text.substr(at));
    return parts;
  }
  constexpr const char* blanks = " \t\n\v\f\r";
  while ((at = text.find_first_not_of(blanks, at)) != std::string::npos) {
    const std::size_t end = text.find_first_of(blanks, at);
    if (end == std::string::npos || !splits_left()) {
      const std::size_t last = text.find_last_not_of(blanks);
      parts.push_back(text.substr(at, last + 1 - at));
      break;
    }
    parts.push_back(text.substr(at, end - at));
    at = end;
  }
  return parts;
}

static Result<Outputs> string_split(const Call& call) {
  const Tensor& in = call.tensor(0);
  if (auto fine = check_text(in); !fine) return fine.error();
  const std::string_view delimiter = call.attributes.text("delimiter", "");
  const std::int64_t most = call.attributes.integer("maxsplit", -1);
  std::vector<std::vector<std::string>> all;
  std::size_t widest = 0;
  for (const std::string& text : in.strings()) {
    all.push_back(split_text(text, delimiter, most));
    widest = std::max(widest, all.back().size());
  }
  Tensor counts = Tensor::allocate(DType::I64, in.shape());
  std::vector<std::string> flat;
  for (std::size_t i = 0; i < all.size(); ++i) {
    counts.mutable_data<std::int64_t>()[i] = static_cast<std::int64_t>(all[i].size());
    all[i].resize(widest);
    std::move(all[i].begin(), all[i].end(), std::back_inserter(flat));
  }
  Shape shape = in.shape();
  shape.push_back(static_cast<std::int64_t>(widest));
  Outputs out;
  out.push_back(Tensor::of_strings(std::move(shape), std::move(flat)));
  out.push_back(std::move(counts));
  return out;
}

static Result<Outputs> regex_full_match(const Call& call) {
  const Tensor& in = call.tensor(0);
  if (auto fine = check_text(in); !fine) return fine.error();
  const std::string pattern(call.attributes.text("pattern", ""));
  Tensor out = Tensor::allocate(DType::Bool, in.shape());
  try {  // the standard library reports bad patterns and exhausted stacks this way only
    const std::regex regex(pattern);
    for (std::size_t i = 0; i < in.strings().size(); ++i) {
      out.mutable_data<std::uint8_t>()[i] = std::regex_match(in.strings()[i], regex) ? 1 : 0;
    }
  } catch (const std::regex_error& error) {
    return make_error("pattern \"{}\" is not supported: {}", pattern, error.what());
  }
  return one(std::move(out));
}

namespace {

// Where TfIdfVectorizer's n-grams lead: a tree of tokens.
struct Gram {
  std::int64_t id = -1;  // into ngram_indexes
  std::map<std::string, Gram> next;
};

}  // namespace

static std::string token(const Tensor& tensor, std::int64_t index) {
  return tensor.dtype() == DType::String ? tensor.strings()[static_cast<std::size_t>(index)]
                                         : fmt::format("{}", tensor.integer(index));
}

// The tree of all n-grams of the pool whose length is within the bounds.
static Result<Gram> grams_of(const Call& call, std::int64_t shortest, std::int64_t longest,
                             std::size_t index_count) {
  std::vector<std::string> pool;
  if (const auto* text = call.attributes.get<std::vector<std::string>>("pool_strings")) {
    pool = *text;
  } else {
    for (std::int64_t id : call.attributes.integers("pool_int64s")) {
      pool.push_back(fmt::format("{}", id));
    }
  }
  const Integers starts = call.attributes.integers("ngram_counts");
  Gram root;
  std::int64_t id = 0;
  for (std::size_t n = 1; n <= starts.size(); ++n) {
    const std::int64_t begin = starts[n - 1];
    const std::int64_t end = n < starts.size() ? starts[n] : static_cast<std::int64_t>(pool.size());
    if (begin < 0 || end < begin || end > static_cast<std::int64_t>(pool.size())) {
      return make_error("ngram_counts do not fit a pool of {}", pool.size());
    }
    const auto length = static_cast<std::int64_t>(n);
    for (std::int64_t at = begin; at + length <= end; at += length, ++id) {
      if (length < shortest || length > longest) continue;
      Gram* gram = &root;
      for (std::int64_t i = 0; i < length; ++i) {
        gram = &gram->next[pool[static_cast<std::size_t>(at + i)]];
      }
      if (gram->id < 0) gram->id = id;
    }
  }
  if (id > static_cast<std::int64_t>(index_count)) {
    return make_error("{} n-grams for {} ngram_indexes", id, index_count);
  }
  return root;
}

static Result<Outputs> tf_idf_vectorizer(const Call& call) {
  const Tensor& in = call.tensor(0);
  const Attributes& attributes = call.attributes;
  if (in.rank() > 2 || !(in.dtype() == DType::String || is_integer(in.dtype()))) {
    return make_error("{}{} is neither [C] nor [N,C] of tokens", name(in.dtype()),
                      to_string(in.shape()));
  }
  const std::string_view mode = attributes.text("mode", "");
  if (mode != "TF" && mode != "IDF" && mode != "TFIDF") {
    return make_error("mode \"{}\" is not known", mode);
  }
  const std::int64_t shortest = attributes.integer("min_gram_length", 1);
  const std::int64_t longest = attributes.integer("max_gram_length", 1);
  const std::int64_t skips = attributes.integer("max_skip_count", 0);
  const Integers indexes = attributes.integers("ngram_indexes");
  if (indexes.empty() || *std::min_element(indexes.begin(), indexes.end()) < 0) {
    return make_error("ngram_indexes are empty or negative");
  }
  const std::int64_t width = *std::max_element(indexes.begin(), indexes.end()) + 1;
  auto root = grams_of(call, shortest, longest, indexes.size());
  if (!root) return root.error();
  const auto* weights = attributes.get<std::vector<float>>("weights");
  if (weights != nullptr && static_cast<std::int64_t>(weights->size()) < width) {
    return make_error("{} weights for {} n-grams", weights->size(), width);
  }
  const std::int64_t rows = in.rank() == 2 ? in.dim(0) : 1;
  const std::int64_t columns = in.rank() == 0 ? 1 : in.shape().back();
  const Shape shape = in.rank() == 2 ? Shape{rows, width} : Shape{width};
  if (auto fine = check_shape(shape); !fine) return fine.error();
  std::vector<double> counts(static_cast<std::size_t>(rows * width), 0.0);
  for (std::int64_t row = 0; row < rows; ++row) {
    std::int64_t least = shortest;
    for (std::int64_t step = 1; step <= skips + 1; ++step) {
      for (std::int64_t start = 0; start < columns; ++start) {
        const Gram* gram = &*root;
        std::int64_t length = 1;
        for (std::int64_t at = start; at < columns && length <= longest; at += step, ++length) {
          const auto found = gram->next.find(token(in, row * columns + at));
          if (found == gram->next.end()) break;
          gram = &found->second;
          if (length >= least && gram->id >= 0) {
            const std::int64_t column = indexes[static_cast<std::size_t>(gram->id)];
            counts[static_cast<std::size_t>(row * width + column)] += 1;
          }
        }
      }
      // Single tokens are not counted again for every distance.
      if (least == 1 && ++least > longest) break;
    }
  }
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double weight = weights != nullptr
                              ? static_cast<double>((*weights)[i % static_cast<std::size_t>(width)])
                              : 1;
    if (mode == "IDF") counts[i] = counts[i] > 0 ? weight : 0;
    if (mode == "TFIDF") counts[i] *= weight;
  }
  return one(from_numbers(DType::F32, shape, counts));
}

std::span<const KernelEntry> text_kernels() {
  static const KernelEntry entries[] = {
      {"", "RegexFullMatch", regex_full_match},    {"", "StringConcat", string_concat, 2},
      {"", "StringNormalizer", string_normalizer}, {"", "StringSplit", string_split},
      {"", "TfIdfVectorizer", tf_idf_vectorizer},
  };
  return entries;
}

}  // namespace rulec::generic
