// SPDX-License-Identifier: Apache-2.0
#include "matcher/name_table.h"

namespace rulec {

void NameTable::reserve(std::size_t names) {
  std::size_t size = 16;
  while (size < 2 * names)
    size *= 2;
  if (size <= slots_.size()) return;
  Slots old(size);
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (!slot.id) continue;
    std::size_t at = slot.hash & (size - 1);
    while (slots_[at].id)
      at = (at + 1) & (size - 1);
    slots_[at] = slot;
  }
}

// Where the name stands, or the free slot where it would.
std::size_t NameTable::place(const Model& model, const NameKey& name) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = name.hash & mask;
  while (slots_[at].id &&
         (slots_[at].hash != name.hash || model.value(slots_[at].id).name != name.text))
    at = (at + 1) & mask;
  return at;
}

ValueId NameTable::find(const Model& model, const NameKey& name) const {
  return slots_.empty() ? ValueId{} : slots_[place(model, name)].id;
}

ValueId* NameTable::enter(const Model& model, const NameKey& name, ValueId id, bool& added) {
  reserve(count_ + 1);
  Slot& slot = slots_[place(model, name)];
  added = !slot.id;
  if (added) {
    slot = {name.hash, id};
    ++count_;
  }
  return &slot.id;
}

}  // namespace rulec
