// SPDX-License-Identifier: Apache-2.0
#include "runtime/thread_pool.h"

#include <climits>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/check.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace rulec {

// About 80 µs: longer than the gap between two operators, shorter than a time slice.
static constexpr int spin_rounds = 3000;

static void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

static void wait_on(std::atomic<std::uint32_t>& word, std::uint32_t seen) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
}

static void wake_all(std::atomic<std::uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

ThreadPool::ThreadPool(int threads) : threads_(threads < 1 ? 1 : threads) {}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  loop_.fetch_add(1);
  wake_all(loop_);
  for (std::thread& worker : workers_)
    worker.join();
}

void ThreadPool::start() {
  for (int i = 1; i < threads_; ++i)
    workers_.emplace_back([this] { work(); });
}

void ThreadPool::run_erased(std::int64_t chunks, Chunk chunk, const void* self) {
  if (chunks <= 0) return;
  if (threads_ == 1 || chunks == 1) {
    for (std::int64_t i = 0; i < chunks; ++i)
      chunk(self, i);
    return;
  }
  RULEC_CHECK(chunks < (std::int64_t{1} << 32));
  if (workers_.empty()) start();
  const std::uint32_t loop = loop_.load(std::memory_order_relaxed) + 1;
  // Close the old loop before its fields change: claims with the old number fail from here on.
  next_.store(std::uint64_t{loop} << 32 | 0xffffffffULL);
  chunks_.store(chunks, std::memory_order_relaxed);
  chunk_.store(chunk, std::memory_order_relaxed);
  self_.store(self, std::memory_order_relaxed);
  done_.store(0, std::memory_order_relaxed);
  next_.store(std::uint64_t{loop} << 32, std::memory_order_release);
  loop_.store(loop);
  if (sleepers_.load() > 0) wake_all(loop_);
  claim(loop);
  for (int round = 0; done_.load(std::memory_order_acquire) != chunks; ++round) {
    if (round < 2000) {
      pause_briefly();
    } else {
      std::this_thread::yield();  // a worker was preempted in the middle of its chunk
    }
  }
}

void ThreadPool::claim(std::uint32_t loop) {
  for (;;) {
    std::uint64_t next = next_.load(std::memory_order_acquire);
    if (static_cast<std::uint32_t>(next >> 32) != loop) return;
    const auto index = static_cast<std::int64_t>(next & 0xffffffffULL);
    if (index >= chunks_.load(std::memory_order_relaxed)) return;
    const Chunk chunk = chunk_.load(std::memory_order_relaxed);
    const void* self = self_.load(std::memory_order_relaxed);
    // Succeeds only while the loop is still open, so what was read above belongs to it.
    if (!next_.compare_exchange_weak(next, next + 1, std::memory_order_acq_rel)) continue;
    chunk(self, index);
    done_.fetch_add(1, std::memory_order_acq_rel);
  }
}

void ThreadPool::work() {
  std::uint32_t seen = 0;
  for (;;) {
    int round = 0;
    while (loop_.load(std::memory_order_acquire) == seen) {
      if (burst_.load(std::memory_order_relaxed) && round < spin_rounds) {
        ++round;
        pause_briefly();
        continue;
      }
      sleepers_.fetch_add(1);
      wait_on(loop_, seen);
      sleepers_.fetch_sub(1);
      round = 0;
    }
    seen = loop_.load(std::memory_order_acquire);
    if (stop_.load()) return;
    claim(seen);
  }
}

}  // namespace rulec
