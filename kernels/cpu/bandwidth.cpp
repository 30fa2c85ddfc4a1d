#include "bandwidth.hpp"

#include <algorithm>
#include <chrono>
#include <vector>

namespace talaria::cpu {

namespace {

constexpr int passes = 7;
constexpr int64_t task_words = int64_t{1} << 17;  // 1 MiB

// Eight sums side by side, so that no addition waits for the one before.
uint64_t sum(const uint64_t* words, int64_t count) {
  uint64_t sums[8] = {};
  for (int64_t i = 0; i + 8 <= count; i += 8) {
    for (int lane = 0; lane < 8; lane++) sums[lane] += words[i + lane];
  }
  for (int lane = 1; lane < 8; lane++) sums[0] += sums[lane];
  return sums[0];
}

}  // namespace

double measure_read_bandwidth(int64_t bytes, Pool& pool) {
  int64_t tasks = std::max<int64_t>(1, bytes / (task_words * 8));
  std::vector<uint64_t> words(static_cast<size_t>(tasks * task_words), 1);
  std::atomic<uint64_t> total{0};  // keeps the compiler from leaving the reads out
  double best = 0;
  for (int pass = 0; pass < passes; pass++) {
    auto begin = std::chrono::steady_clock::now();
    pool.run(tasks, [&](int64_t task, int32_t) { total += sum(words.data() + task * task_words, task_words); });
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    best = std::max(best, static_cast<double>(tasks * task_words * 8) / seconds / 1e9);
  }
  return total == 0 ? 0 : best;
}

}  // namespace talaria::cpu
