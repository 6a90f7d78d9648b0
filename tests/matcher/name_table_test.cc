// SPDX-License-Identifier: Apache-2.0
#include "matcher/name_table.h"

#include <string>

#include <gtest/gtest.h>

namespace rulec {

TEST(NameTable, FindsWhatWasEnteredAndNothingElse) {
  Model model;
  NameTable table;
  EXPECT_FALSE(table.find(model, NameKey("v7")));
  std::vector<ValueId> all;
  for (int i = 0; i < 5000; ++i) {
    const std::string name = "v" + std::to_string(i);
    all.push_back(model.add_input(model.main(), name, {}));
    table.expect(NameKey(name));
    bool added = false;
    EXPECT_EQ(*table.enter(model, NameKey(name), all.back(), added), all.back());
    EXPECT_TRUE(added);
  }
  for (int i = 0; i < 5000; ++i)
    EXPECT_EQ(table.find(model, NameKey("v" + std::to_string(i))),
              all[static_cast<std::size_t>(i)]);
  EXPECT_FALSE(table.find(model, NameKey("v5000")));
  EXPECT_FALSE(table.find(model, NameKey("")));
  bool added = true;
  const ValueId other = model.add_input(model.main(), "v7", {});
  EXPECT_EQ(*table.enter(model, NameKey("v7"), other, added), all[7]) << "the first keeps the name";
  EXPECT_FALSE(added);
}

}  // namespace rulec
