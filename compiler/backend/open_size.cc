// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/open_size.h"

#include <algorithm>
#include <cstring>
#include <span>

namespace rulec::backend {

using format::PatchKind;
using format::SectionKind;
using format::SizePatch;

BuildOptions OpenDimension::with(BuildOptions options, std::int64_t size) const {
  if (!symbol.empty()) {
    options.dims[symbol] = size;
    return options;
  }
  std::vector<std::int64_t> whole = shape;
  for (std::int64_t& d : whole)
    d = d < 0 ? size : d;
  options.input_shapes[input] = std::move(whole);
  return options;
}

std::optional<OpenDimension> find_open_dimension(const Model& model, const BuildOptions& options) {
  std::optional<OpenDimension> found;
  for (const ValueId id : model.graph(model.main()).inputs) {
    const GraphValue& input = model.value(id);
    if (input.initializer) continue;
    if (!input.type.is_tensor() || !input.type.dims) return std::nullopt;
    if (options.input_shapes.contains(input.name)) continue;
    OpenDimension open;
    bool any = false;
    for (const Dim& d : *input.type.dims) {
      open.shape.push_back(d.known() ? d.size : -1);
      if (d.known() || options.dims.contains(d.symbol)) continue;
      if (any && (d.symbol.empty() || d.symbol != open.symbol)) return std::nullopt;
      open.symbol = d.symbol;
      open.input = input.name;
      any = true;
    }
    if (!any) continue;
    if (found && (open.symbol.empty() || open.symbol != found->symbol)) return std::nullopt;
    if (!found) found = std::move(open);
  }
  return found;
}

namespace {
// An engine file's sections.
class Sections {
 public:
  explicit Sections(std::string_view bytes) : bytes_(bytes) {
    std::memcpy(&header_, bytes.data(), sizeof header_);
  }
  std::string_view of(SectionKind kind) const {
    const format::Section& s = header_.table[static_cast<std::size_t>(kind)];
    return bytes_.substr(s.offset, s.size);
  }
  template <typename T>
  std::vector<T> records(SectionKind kind) const {
    const std::string_view from = of(kind);
    std::vector<T> out(from.size() / sizeof(T));
    std::memcpy(out.data(), from.data(), out.size() * sizeof(T));
    return out;
  }

 private:
  std::string_view bytes_;
  format::Header header_;
};

// Collects the numbers that differ, as long as they grow evenly.
class Comparison {
 public:
  Comparison(const SizedEngine& base, std::span<const SizedEngine> others)
      : size_(base.size), others_(others) {
    patches_.push_back({.kind = PatchKind::Size, .index = 0, .base = size_, .step = 1});
  }

  // `numbers`: in each of the others.
  void number(PatchKind kind, std::size_t index, std::int64_t base,
              std::span<const std::int64_t> numbers) {
    const auto same = [base](std::int64_t n) { return n == base; };
    if (std::all_of(numbers.begin(), numbers.end(), same)) return;
    const std::int64_t step = (numbers[0] - base) / (others_[0].size - size_);
    constexpr std::int64_t most = std::int64_t{1} << 31;  // of what the engine may hold
    even_ = even_ && base >= 0 && base < most && step > 0 && step < most;
    for (std::size_t i = 0; i < numbers.size(); ++i)
      even_ = even_ && numbers[i] == base + step * (others_[i].size - size_);
    patches_.push_back({kind, static_cast<std::uint32_t>(index), base, step});
  }
  void fail() { even_ = false; }
  std::optional<OpenSize> result() {
    if (!even_ || patches_.size() == 1) return std::nullopt;
    return OpenSize{std::move(patches_)};
  }

 private:
  std::int64_t size_;
  std::span<const SizedEngine> others_;
  std::vector<SizePatch> patches_;
  bool even_ = true;
};
}  // namespace

static bool same_but_place(const format::Value& a, const format::Value& b) {
  format::Value c = b;
  c.offset = a.offset;
  c.bytes = a.bytes;
  return std::memcmp(&a, &c, sizeof a) == 0;
}

// Places are multiplied like the dimension, so no value may grow faster: one of its dimensions at
// most is open.
static bool grows_evenly(const format::Value& v, const std::vector<std::int64_t>& integers,
                         const std::vector<std::int64_t>& others) {
  int open = 0;
  for (std::uint32_t d = 0; v.rank != 0xff && d < v.rank; ++d)
    open += integers[v.dims + d] != others[v.dims + d] ? 1 : 0;
  return open < 2;
}

static void compare_values(Comparison& all, const Sections& base,
                           const std::vector<Sections>& others) {
  const auto values = base.records<format::Value>(SectionKind::Values);
  const auto integers = base.records<std::int64_t>(SectionKind::Integers),
             grown = others.front().records<std::int64_t>(SectionKind::Integers);
  std::vector<std::vector<format::Value>> theirs;
  for (const Sections& other : others)
    theirs.push_back(other.records<format::Value>(SectionKind::Values));
  const auto part = [](const std::vector<format::Value>& of, std::size_t i) {
    return static_cast<std::int64_t>(of[i].offset - of[of[i].alias_of].offset);
  };
  for (std::size_t i = 0; i < values.size(); ++i) {
    const format::Value& v = values[i];
    for (const auto& other : theirs) {
      const format::Value& w = other[i];
      const bool weight = v.storage == format::Storage::Weight;
      if (!same_but_place(v, w) || (weight && (v.offset != w.offset || v.bytes != w.bytes)))
        return all.fail();
    }
    if (v.storage != format::Storage::Arena) continue;
    if (!grows_evenly(v, integers, grown)) return all.fail();
    if (v.alias_of == format::none) continue;
    std::vector<std::int64_t> parts;
    for (const auto& other : theirs)
      parts.push_back(part(other, i));
    all.number(PatchKind::Part, i, part(values, i), parts);
  }
}

template <typename T>
static void compare_numbers(Comparison& all, const Sections& base,
                            const std::vector<Sections>& others, SectionKind kind,
                            PatchKind patch) {
  const auto mine = base.records<T>(kind);
  std::vector<std::vector<T>> theirs;
  for (const Sections& other : others)
    theirs.push_back(other.records<T>(kind));
  std::vector<std::int64_t> numbers(others.size());
  for (std::size_t i = 0; i < mine.size(); ++i) {
    for (std::size_t k = 0; k < others.size(); ++k)
      numbers[k] = theirs[k][i];
    all.number(patch, i, mine[i], numbers);
  }
}

std::optional<OpenSize> compare_sizes(const SizedEngine& base,
                                      std::span<const SizedEngine> others) {
  const Sections mine(base.bytes);
  std::vector<Sections> theirs;
  for (const SizedEngine& other : others)
    theirs.emplace_back(other.bytes);
  for (std::size_t k = 0; k < format::section_count; ++k) {
    const auto kind = static_cast<SectionKind>(k);
    const std::string_view own = mine.of(kind);
    const bool numbers = kind == SectionKind::Integers || kind == SectionKind::Values ||
                         kind == SectionKind::Parameters;
    for (const Sections& other : theirs) {
      if (own.size() != other.of(kind).size() || (!numbers && own != other.of(kind)))
        return std::nullopt;
    }
  }
  Comparison all(base, others);
  compare_numbers<std::int64_t>(all, mine, theirs, SectionKind::Integers, PatchKind::Integer);
  compare_numbers<std::uint32_t>(all, mine, theirs, SectionKind::Parameters, PatchKind::Word);
  compare_values(all, mine, theirs);
  return all.result();
}

}  // namespace rulec::backend
