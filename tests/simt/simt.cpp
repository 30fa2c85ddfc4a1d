#include "simt.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include "block.hpp"

namespace talaria::simt {

namespace {

constinit const Registration* registrations = nullptr;

// The blocks of one run, handed out one by one.
struct Job {
  Job(const Launched& launched, uint64_t total) : launched(launched), total(total) {}
  const Launched launched;
  const uint64_t total;
  uint64_t stride = 1;  // between blocks that are taken one after the other, in random order
  std::atomic<uint64_t> next{0};
  std::atomic<bool> failed{false};
  uint32_t helpers = 0;  // threads of the pool that are in it
  std::mutex mutex;
  uint64_t failed_at = 0;
  std::string failure;

  uint64_t number(uint64_t i) const {
    if (launched.order == Order::FORWARD) return i;
    if (launched.order == Order::REVERSE) return total - 1 - i;
    return (i * stride + launched.seed % total) % total;
  }
  // Blocks that were taken before a failing one still end, so that it is always the same failure which is reported.
  void fail(uint64_t i, std::string text) {
    std::lock_guard lock(mutex);
    if (!failed || i < failed_at) failed_at = i, failure = std::move(text);
    failed = true;
  }
  bool open() const { return !failed && next < total; }
  void work() noexcept {
    uint64_t i = 0;
    try {
      Processor& processor = Processor::here();
      processor.prepare(launched);
      while (!failed && (i = next++) < total) {
        uint64_t n = number(i);
        const uint32_t* size = launched.grid.blocks;
        uint32_t block[3] = {static_cast<uint32_t>(n % size[0]), static_cast<uint32_t>(n / size[0] % size[1]),
                             static_cast<uint32_t>(n / size[0] / size[1])};
        std::string failure = processor.run(block, n);
        if (!failure.empty()) fail(i, std::move(failure));
      }
    } catch (const std::exception& e) {
      fail(i, std::string("the emulator: ") + e.what());
    }
  }
};

// Threads that help whoever runs a grid. They live as long as the process: its end does not wait for them.
class Pool {
 public:
  static Pool& instance() {
    static Pool& pool = *new Pool(host_threads() - 1);
    return pool;
  }
  void run(Job& job) {
    {
      std::lock_guard lock(mutex_);
      jobs_.push_back(&job);
    }
    work_.notify_all();
    job.work();
    std::unique_lock lock(mutex_);
    jobs_.erase(std::find(jobs_.begin(), jobs_.end(), &job));
    ended_.wait(lock, [&] { return job.helpers == 0; });
  }

 private:
  explicit Pool(uint32_t threads) {
    for (uint32_t i = 0; i < threads; i++) std::thread([this] { help(); }).detach();
  }
  void help() {
    std::unique_lock lock(mutex_);
    for (;;) {
      auto job = jobs_.end();
      work_.wait(lock, [&] {
        job = std::find_if(jobs_.begin(), jobs_.end(), [](Job* j) { return j->open(); });
        return job != jobs_.end();
      });
      Job& mine = **job;
      mine.helpers++;
      lock.unlock();
      mine.work();
      lock.lock();
      if (--mine.helpers == 0) ended_.notify_all();
    }
  }
  std::mutex mutex_;
  std::condition_variable work_, ended_;
  std::vector<Job*> jobs_;
};

void check(const Registration& kernel, const Grid& grid, size_t args_bytes) {
  auto refuse = [&](const std::string& why) {
    throw std::runtime_error(std::string("a launch of kernel ") + kernel.name + " " + why);
  };
  if (args_bytes != kernel.args_bytes) {
    refuse("passes " + std::to_string(args_bytes) + " bytes of arguments, it takes " +
           std::to_string(kernel.args_bytes));
  }
  if (grid.threads == 0 || grid.threads > kernel.max_threads) {
    refuse("asks for blocks of " + std::to_string(grid.threads) + " threads, it runs with 1 to " +
           std::to_string(kernel.max_threads));
  }
  if (grid.blocks[0] == 0 || grid.blocks[0] > 0x7fffffff) refuse("has no blocks, or too many");
  for (int axis = 1; axis < 3; axis++) {
    if (grid.blocks[axis] == 0 || grid.blocks[axis] > 65535) refuse("has no blocks, or too many");
  }
  if (grid.shared_bytes > most_shared_bytes) {
    refuse("gives " + std::to_string(grid.shared_bytes) + " bytes of shared memory, there are " +
           std::to_string(most_shared_bytes));
  }
}

}  // namespace

Registration::Registration(const char* name, Function function, size_t args_bytes, uint32_t max_threads)
    : name(name), function(function), args_bytes(args_bytes), max_threads(std::min(max_threads, 1024u)),
      next(registrations) {
  registrations = this;
}

const Registration* find(const char* name) {
  const Registration* at = registrations;
  while (at != nullptr && std::strcmp(at->name, name) != 0) at = at->next;
  return at;
}

void prefetch(const uint8_t* address, uint32_t bytes) {
  if (bytes == 0 || bytes % 16 != 0 || reinterpret_cast<uintptr_t>(address) % 16 != 0) {
    throw std::runtime_error("a kernel asks ahead for other than multiples of 16 bytes");
  }
  const volatile uint8_t* ends = address;
  static_cast<void>(ends[0]), static_cast<void>(ends[bytes - 1]);
}

uint32_t host_threads() {
  static const uint32_t threads = [] {
    const char* text = std::getenv("TALARIA_SIMT_THREADS");
    long wanted = text == nullptr ? 0 : std::atol(text);
    if (wanted < 1) wanted = std::thread::hardware_concurrency();
    return static_cast<uint32_t>(std::clamp(wanted, 1l, 256l));
  }();
  return threads;
}

void run(const Registration& kernel, const Grid& grid, const void* args, size_t args_bytes, Order order,
         uint64_t seed) {
  check(kernel, grid, args_bytes);
  Job job({kernel, grid, args, order, seed}, uint64_t{grid.blocks[0]} * grid.blocks[1] * grid.blocks[2]);
  if (order == Order::RANDOM && job.total > 2 && job.total < uint64_t{1} << 31) {
    job.stride = 1 + (seed * 0x9E3779B97F4A7C15u >> 33) % (job.total - 1);
    while (std::gcd(job.stride, job.total) != 1) job.stride++;
  }
  if (job.total == 1 || host_threads() == 1) {
    job.work();
  } else {
    Pool::instance().run(job);
  }
  if (job.failed) throw std::runtime_error(job.failure);
}

}  // namespace talaria::simt
