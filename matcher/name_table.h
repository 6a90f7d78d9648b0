// SPDX-License-Identifier: Apache-2.0
#pragma once

// The values of one graph by name while it is imported, in one block of memory; the names are those
// that the values have. In a large graph a look-up waits for memory: who knows names ahead says so
// with expect(), some names before they are looked up.
//
//   table.expect(next);
//   ValueId found = table.find(model, NameKey(name));

#include <cstdint>
#include <string_view>
#include <vector>

#include "matcher/graph.h"
#include "matcher/name_hash.h"

namespace rulec {

struct NameKey {
  explicit NameKey(std::string_view name) : text(name), hash(name_hash(name)) {}
  std::string_view text;
  std::uint32_t hash;
};

class NameTable {
 public:
  void reserve(std::size_t names);
  void expect(const NameKey& name) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[name.hash & (slots_.size() - 1)]);
  }
  // What stands under the name; none when nothing does.
  ValueId find(const Model& model, const NameKey& name) const;
  // Enters it, or gives the place of what has this name already.
  ValueId* enter(const Model& model, const NameKey& name, ValueId id, bool& added);

 private:
  struct Slot {
    std::uint32_t hash = 0;
    ValueId id;
  };
  using Slots = std::vector<Slot>;
  std::size_t place(const Model& model, const NameKey& name) const;
  Slots slots_;
  std::size_t count_ = 0;
};

}  // namespace rulec
