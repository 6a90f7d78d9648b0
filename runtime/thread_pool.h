// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace rulec {

// Workers that help the calling thread with the chunks of one loop at a time. Chunks are claimed
// from a counter, so a preempted worker delays nobody but its own chunk, and which thread runs a
// chunk never changes what it computes. Workers start at the first parallel loop; between loops
// of an inference they spin for a moment, else they sleep. One caller at a time.
//
//   ThreadPool pool(2);
//   pool.run(rows, [&](std::int64_t row) { … });
class ThreadPool {
 public:
  explicit ThreadPool(int threads);  // the caller included; at least 1
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // f(chunk) for 0 … chunks-1; returns when all are done.
  template <typename F>
  void run(std::int64_t chunks, const F& f) {
    run_erased(
        chunks, [](const void* self, std::int64_t i) { (*static_cast<const F*>(self))(i); }, &f);
  }

  // Within its life workers may spin between loops.
  class Burst {
   public:
    explicit Burst(ThreadPool& pool) : pool_(pool) { pool_.burst_.store(true); }
    ~Burst() { pool_.burst_.store(false); }
    Burst(const Burst&) = delete;
    Burst& operator=(const Burst&) = delete;

   private:
    ThreadPool& pool_;
  };

 private:
  using Chunk = void (*)(const void* self, std::int64_t chunk);
  void run_erased(std::int64_t chunks, Chunk chunk, const void* self);
  void start();
  void work();
  // Claims chunks of the loop numbered `loop` until none is left.
  void claim(std::uint32_t loop);

  int threads_;
  std::vector<std::thread> workers_;
  std::atomic<bool> burst_{false};
  std::atomic<bool> stop_{false};
  std::atomic<std::uint32_t> sleepers_{0};
  alignas(64) std::atomic<std::uint32_t> loop_{0};  // its number; workers wait for a change
  // The loop's number in the upper half, the next chunk in the lower: a late worker cannot claim
  // a chunk of a loop it did not see.
  alignas(64) std::atomic<std::uint64_t> next_{0};
  alignas(64) std::atomic<std::int64_t> done_{0};
  std::atomic<std::int64_t> chunks_{0};
  std::atomic<Chunk> chunk_{nullptr};
  std::atomic<const void*> self_{nullptr};
};

}  // namespace rulec
