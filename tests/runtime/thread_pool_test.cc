// SPDX-License-Identifier: Apache-2.0
#include "runtime/thread_pool.h"

#include <atomic>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/arena.h"

namespace rulec {
namespace {

TEST(ThreadPool, EveryChunkRunsOnce) {
  for (int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    for (std::int64_t chunks : {0, 1, 2, 5, 1000}) {
      std::vector<std::atomic<int>> count(static_cast<std::size_t>(chunks));
      pool.run(chunks, [&](std::int64_t i) { count[static_cast<std::size_t>(i)].fetch_add(1); });
      for (auto& c : count)
        EXPECT_EQ(c.load(), 1);
    }
  }
}

TEST(ThreadPool, ManyShortLoopsWithAndWithoutSpinning) {
  ThreadPool pool(3);
  for (int round = 0; round < 2; ++round) {
    std::optional<ThreadPool::Burst> burst;
    if (round == 1) burst.emplace(pool);
    for (int loop = 0; loop < 3000; ++loop) {
      std::atomic<std::int64_t> sum = 0;
      pool.run(4, [&](std::int64_t i) { sum += i + loop; });
      ASSERT_EQ(sum.load(), 6 + 4 * loop);
    }
  }
}

TEST(ThreadPool, EndsWithoutEverHavingRun) {
  const ThreadPool pool(4);
}

TEST(Arena, IsAlignedAndReused) {
  ArenaPool pool;
  auto arena = pool.take(12345);
  ASSERT_TRUE(arena);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(arena->data()) % (2 << 20), 0u);
  EXPECT_TRUE(arena->contains(arena->data() + 12344));
  EXPECT_FALSE(arena->contains(arena->data() + 12345));
  const std::byte* first = arena->data();
  pool.give(std::move(*arena));
  auto again = pool.take(12345);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->data(), first);
  auto empty = Arena::allocate(0);
  ASSERT_TRUE(empty);
  EXPECT_FALSE(empty->contains(nullptr));
}

}  // namespace
}  // namespace rulec
