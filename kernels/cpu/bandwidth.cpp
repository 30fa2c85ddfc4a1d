#include "bandwidth.hpp"

#include <algorithm>
#include <chrono>

#include "pages.hpp"

namespace talaria::cpu {

namespace {

constexpr int passes = 7;
constexpr int64_t task_words = int64_t{1} << 17;  // 1 MiB

// Eight sums side by side, so that no addition waits for the one before. Fetching ahead is what the kernels do, and pays on
// some processors and not on others.
template <bool fetch_ahead>
uint64_t sum(const uint64_t* words, int64_t count) {
  constexpr int64_t ahead = 2048 / 8;
  uint64_t sums[8] = {};
  for (int64_t i = 0; i + 8 <= count; i += 8) {
    if (fetch_ahead) __builtin_prefetch(words + i + ahead);
    for (int lane = 0; lane < 8; lane++) sums[lane] += words[i + lane];
  }
  for (int lane = 1; lane < 8; lane++) sums[0] += sums[lane];
  return sums[0];
}

}  // namespace

double measure_read_bandwidth(int64_t bytes, Pool& pool) {
  int64_t tasks = std::max<int64_t>(1, bytes / (task_words * 8));
  Pages pages(tasks * task_words * 8);  // of the kind that weights lie in
  uint64_t* words = reinterpret_cast<uint64_t*>(pages.data());
  pool.run(tasks, [&](int64_t task, int32_t) { std::fill_n(words + task * task_words, task_words, 1); });
  std::atomic<uint64_t> total{0};  // keeps the compiler from leaving the reads out
  double best = 0;
  for (auto read : {sum<false>, sum<true>}) {
    for (int pass = 0; pass < passes; pass++) {
      auto begin = std::chrono::steady_clock::now();
      pool.run(tasks, [&](int64_t task, int32_t) { total += read(words + task * task_words, task_words); });
      double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      best = std::max(best, static_cast<double>(tasks * task_words * 8) / seconds / 1e9);
    }
  }
  return total == 0 ? 0 : best;
}

}  // namespace talaria::cpu
