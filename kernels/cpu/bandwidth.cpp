#include "bandwidth.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include "pages.hpp"
#include "simd.hpp"

namespace talaria::cpu {

namespace {

constexpr int passes = 9;
constexpr int64_t task_bytes = int64_t{1} << 20;

}  // namespace

double measure_read_bandwidth(int64_t bytes, Pool& pool) {
  int64_t tasks = std::max<int64_t>(1, bytes / task_bytes);
  Pages pages(tasks * task_bytes);  // of the kind that weights lie in
  pool.run(tasks, [&](int64_t task, int32_t) { std::fill_n(pages.data() + task * task_bytes, task_bytes, 1); });
  std::atomic<int64_t> total{0};  // keeps the compiler from leaving the reads out
  double best = 0;
  // Fetching ahead pays on some processors and not on others.
  for (auto read : {simd().read_plain, simd().read_ahead}) {
    std::array<double, passes> rates;
    for (double& rate : rates) {
      auto begin = std::chrono::steady_clock::now();
      pool.run(tasks, [&](int64_t task, int32_t) { total += read(pages.data() + task * task_bytes, task_bytes); });
      double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      rate = static_cast<double>(tasks * task_bytes) / seconds / 1e9;
    }
    // The median, as of the speeds that are compared with it: neighbours on the same memory come and go.
    std::nth_element(rates.begin(), rates.begin() + passes / 2, rates.end());
    best = std::max(best, rates[passes / 2]);
  }
  return total == 0 ? 0 : best;
}

}  // namespace talaria::cpu
