// SPDX-License-Identifier: Apache-2.0
#include "compiler/backend/open_size.h"

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
  Comparison(std::int64_t size, const std::array<std::int64_t, 2>& sizes)
      : size_(size), sizes_(sizes) {
    patches_.push_back({.kind = PatchKind::Size, .index = 0, .base = size, .step = 1});
  }

  void number(PatchKind kind, std::size_t index, std::int64_t base, std::int64_t one,
              std::int64_t two) {
    if (base == one && base == two) return;
    const std::int64_t step = (one - base) / (sizes_[0] - size_);
    constexpr std::int64_t most = std::int64_t{1} << 31;  // of what the engine may hold
    even_ = even_ && base >= 0 && base < most && step > 0 && step < most &&
            one == base + step * (sizes_[0] - size_) && two == base + step * (sizes_[1] - size_);
    patches_.push_back({kind, static_cast<std::uint32_t>(index), base, step});
  }
  void fail() { even_ = false; }
  std::optional<OpenSize> result() {
    if (!even_ || patches_.size() == 1) return std::nullopt;
    return OpenSize{std::move(patches_)};
  }

 private:
  std::int64_t size_;
  std::array<std::int64_t, 2> sizes_;
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

static void compare_values(Comparison& all, const Sections& a, const Sections& b,
                           const Sections& c) {
  const auto values = [](const Sections& s) {
    return s.records<format::Value>(SectionKind::Values);
  };
  const auto base = values(a), one = values(b), two = values(c);
  const auto integers = a.records<std::int64_t>(SectionKind::Integers),
             others = b.records<std::int64_t>(SectionKind::Integers);
  for (std::size_t i = 0; i < base.size(); ++i) {
    const format::Value& v = base[i];
    if (!same_but_place(v, one[i]) || !same_but_place(v, two[i])) return all.fail();
    if (v.storage == format::Storage::Weight) {
      const auto same = [&](const format::Value& w) {
        return v.offset == w.offset && v.bytes == w.bytes;
      };
      if (!same(one[i]) || !same(two[i])) return all.fail();
    }
    if (v.storage != format::Storage::Arena) continue;
    if (!grows_evenly(v, integers, others)) return all.fail();
    if (v.alias_of == format::none) continue;
    const auto part = [&](const std::vector<format::Value>& all_values) {
      return static_cast<std::int64_t>(all_values[i].offset - all_values[v.alias_of].offset);
    };
    all.number(PatchKind::Part, i, part(base), part(one), part(two));
  }
}

std::optional<OpenSize> compare_sizes(std::int64_t size, std::string_view base,
                                      const std::array<std::int64_t, 2>& sizes,
                                      const std::array<std::string_view, 2>& others) {
  const Sections a(base), b(others[0]), c(others[1]);
  for (std::size_t k = 0; k < format::section_count; ++k) {
    const auto kind = static_cast<SectionKind>(k);
    const std::string_view of_a = a.of(kind);
    const bool numbers = kind == SectionKind::Integers || kind == SectionKind::Values ||
                         kind == SectionKind::Parameters;
    for (const Sections* other : {&b, &c}) {
      if (of_a.size() != other->of(kind).size() || (!numbers && of_a != other->of(kind)))
        return std::nullopt;
    }
  }
  Comparison all(size, sizes);
  const auto in_all = [&]<typename T>(SectionKind kind, PatchKind patch, T) {
    const auto x = a.records<T>(kind), y = b.records<T>(kind), z = c.records<T>(kind);
    for (std::size_t i = 0; i < x.size(); ++i)
      all.number(patch, i, x[i], y[i], z[i]);
  };
  in_all(SectionKind::Integers, PatchKind::Integer, std::int64_t{});
  in_all(SectionKind::Parameters, PatchKind::Word, std::uint32_t{});
  compare_values(all, a, b, c);
  return all.result();
}

}  // namespace rulec::backend
