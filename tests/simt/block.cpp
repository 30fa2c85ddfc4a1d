#include "block.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <thread>

namespace talaria::simt {

namespace detail {
constinit thread_local Running running{};
}
using detail::running;
using detail::Wait;

namespace {

constexpr int poison = 0xFF;        // NaN, whichever float it is read as
constexpr int guard_value = 0xA5;
#if defined(TALARIA_SIMT_ASAN)
constexpr size_t guard = 0;         // the sanitizer watches the ends
#else
constexpr size_t guard = 256;
#endif

const char* base_name(const char* file) {
  const char* slash = std::strrchr(file, '/');
  return slash == nullptr ? file : slash + 1;
}

}  // namespace

void* shared(size_t bytes) { return running.processor->shared(bytes); }

uint64_t nanoseconds() {
  auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

void pause(uint32_t look) {
  if (look < 256) return std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::microseconds(20));
}

void misaligned(const void* address) {
  char text[96];
  std::snprintf(text, sizeof text, "thread %u reads from the misaligned address %p", thread(), address);
  running.processor->fail(text);
}
void fault(const char* what) { running.processor->fail(what); }

Processor& Processor::here() {
  thread_local std::unique_ptr<Processor> mine;
  if (mine == nullptr) {
    mine = std::make_unique<Processor>();
    running.processor = mine.get();
  }
  return *mine;
}

Processor::~Processor() {
  std::free(shared_);
  running.processor = nullptr;
}

void Processor::prepare(const Launched& launched) {
  launched_ = &launched;
  uint32_t threads = launched.grid.threads;
  warp_count_ = (threads + lanes - 1) / lanes;
  for (uint32_t w = 0; w < warp_count_; w++) warps_[w].count = std::min(lanes, threads - w * lanes);
  if (launched.order != Order::RANDOM) arrange(0);
  if (stacks_.count() < threads) {
    begun_ = 0;
    stacks_.reserve(threads);
    fibers_ = std::vector<Fiber>(threads);
  }
  running.threads = threads;
  std::copy_n(launched.grid.blocks, 3, running.grid);
}

// Who comes first in this block.
void Processor::arrange(uint64_t number) {
  Order order = launched_->order;
  random_ = (launched_->seed + 1) * 0x9E3779B97F4A7C15u ^ (number + 1) * 0xD1B54A32D192ED03u;
  auto put = [&](uint16_t* list, uint32_t first, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) list[i] = first + (order == Order::REVERSE ? count - 1 - i : i);
    if (order != Order::RANDOM) return;
    for (uint32_t i = count; i > 1; i--) std::swap(list[i - 1], list[random(i)]);
  };
  for (uint32_t w = 0; w < warp_count_; w++) put(warps_[w].order, w * lanes, warps_[w].count);
  put(warp_order_, 0, warp_count_);
}

uint32_t Processor::random(uint32_t below) {
  random_ ^= random_ << 13, random_ ^= random_ >> 7, random_ ^= random_ << 17;
  return static_cast<uint32_t>((random_ >> 32) * below >> 32);
}

void Processor::begin_fibers() {
  for (; begun_ < running.threads; begun_++) {
    // Stacks that all begin at the same place of their pages would fight for the same lines of the cache.
    fibers_[begun_].begin(stacks_[begun_], Stacks::bytes - begun_ % 16 * 256, &kernel_loop);
  }
}

std::string Processor::run(const uint32_t block[3], uint64_t number) {
  if (launched_->order == Order::RANDOM) arrange(number);
  begin_fibers();
  std::copy_n(block, 3, running.block);
  asked_bytes_ = 0;
  failure_.clear();
  for (uint32_t w = 0; w < warp_count_; w++) {
    warps_[w].side = 0, warps_[w].received_bytes = 0;
    if (warps_[w].count < lanes) std::memset(warps_[w].slots, poison, sizeof warps_[w].slots);  // of the lanes missing
    pending_[w] = warp_order_[warp_count_ - 1 - w];
  }
  pending_count_ = warp_count_;
  warp_ = &choose();
  warp_->next = 0, warp_->diverged = false;
  running.thread = warp_->order[0];
  running.given = warp_->slots[0], running.received = warp_->slots[1], running.received_bytes = 0;
  Fiber::change(host_, fibers_[running.thread]);
  if (failure_.empty() && shared_overrun()) failure_ = "a thread wrote outside of the block's shared memory";
  if (failure_.empty()) return {};
  std::free(shared_);  // and its guards
  shared_ = nullptr, shared_bytes_ = 0;
  char place[96];
  std::snprintf(place, sizeof place, ", block (%u, %u, %u): ", block[0], block[1], block[2]);
  return std::string("kernel ") + launched_->kernel.name + place + failure_;
}

// What every fiber does: one block's thread after the other.
void Processor::kernel_loop() {
  for (;;) {
    Processor& self = *running.processor;
    bool thrown = false;
    try {
      self.launched_->kernel.function(self.launched_->args);
    } catch (const std::exception& e) {
      thrown = true;
      self.failure_ = std::string("a thread threw an exception: ") + e.what();
    } catch (...) {
      thrown = true;
      self.failure_ = "a thread threw an exception";
    }
    if (thrown) self.leave();
    detail::wait(Wait::RETURNED, 0, "", 0);
  }
}

// Leaves the block as it is: its fibers are dropped where they stand, and what their frames hold is never freed.
void Processor::leave() {
  begun_ = 0;
  Fiber::change(fibers_[running.thread], host_);
  std::abort();  // nobody goes on with it
}

void Processor::fail(const char* what) {
  failure_ = what;
  leave();
}

void detail::wait(Wait what, uint32_t bytes, const char* file, int line) {
  running.processor->wait(what, bytes, file, line);
}

inline void Processor::wait(Wait what, uint32_t bytes, const char* file, int line) {
  Warp& warp = *warp_;
  uint32_t thread = running.thread;
  Place& mine = places_[thread];
  mine = {static_cast<uint64_t>(what) << 56 | static_cast<uint64_t>(bytes) << 32 | static_cast<uint32_t>(line), file};
  if (!mine.same(places_[warp.order[0]])) warp.diverged = true;
  if (++warp.next == warp.count) return turn(thread);
  uint32_t next = warp.order[warp.next];
  running.thread = next;
  Fiber::change(fibers_[thread], fibers_[next]);
}

// All lanes of the warp wait; `thread` was the last to come.
void Processor::turn(uint32_t thread) {
  Warp& warp = *warp_;
  uint32_t first = static_cast<uint32_t>(&warp - warps_) * lanes;
  if (warp.diverged) {
    failure_ = "in hardware warp " + std::to_string(first / lanes) + ", " + divergence(first, first + warp.count);
    leave();
  }
  const Place& place = places_[thread];
  if (place.what() == Wait::EXCHANGE) {
    warp.side ^= 1;
    warp.received_bytes = place.bytes();
  } else if (place.what() != Wait::WARP_BARRIER) {
    if (--pending_count_ == 0) {
      meet();
      if (place.what() == Wait::RETURNED) return Fiber::change(fibers_[thread], host_);
    }
  }
  go_on(thread, choose());
}

// All threads of the block wait at a barrier, or have returned.
void Processor::meet() {
  for (uint32_t w = 1; w < warp_count_; w++) {
    if (places_[w * lanes].same(places_[0])) continue;
    failure_ = divergence(0, running.threads);
    leave();
  }
  pending_count_ = warp_count_;
  for (uint32_t w = 0; w < warp_count_; w++) pending_[w] = warp_order_[warp_count_ - 1 - w];
}

Processor::Warp& Processor::choose() {
  if (launched_->order == Order::RANDOM) std::swap(pending_[random(pending_count_)], pending_[pending_count_ - 1]);
  return warps_[pending_[pending_count_ - 1]];
}

void Processor::go_on(uint32_t thread, Warp& warp) {
  warp_ = &warp;
  warp.next = 0, warp.diverged = false;
  running.given = warp.slots[warp.side], running.received = warp.slots[warp.side ^ 1];
  running.received_bytes = warp.received_bytes;
  uint32_t next = warp.order[0];
  running.thread = next;
  if (next != thread) Fiber::change(fibers_[thread], fibers_[next]);
}

// "16 threads wait at the barrier of a.cu:3, 16 threads have returned"
std::string Processor::divergence(uint32_t begin, uint32_t end) const {
  std::vector<std::pair<Place, uint32_t>> groups;
  for (uint32_t t = begin; t < end; t++) {
    auto same = [&](const auto& group) { return group.first.same(places_[t]); };
    auto group = std::find_if(groups.begin(), groups.end(), same);
    if (group == groups.end()) group = groups.insert(groups.end(), {places_[t], 0});
    group->second++;
  }
  std::string text;
  for (const auto& [place, count] : groups) {
    text += (text.empty() ? "" : ", ") + std::to_string(count) + (count == 1 ? " thread " : " threads ");
    if (place.what() == Wait::RETURNED) {
      text += count == 1 ? "has returned" : "have returned";
      continue;
    }
    text += count == 1 ? "waits at the " : "wait at the ";
    if (place.what() == Wait::BARRIER) text += "barrier";
    if (place.what() == Wait::WARP_BARRIER) text += "warp's barrier";
    if (place.what() == Wait::EXCHANGE) text += "exchange of " + std::to_string(place.bytes()) + " bytes";
    text += std::string(" of ") + base_name(place.file) + ":" + std::to_string(place.line());
  }
  return text;
}

void* Processor::shared(size_t bytes) {
  if (asked_bytes_ == bytes) return shared_ + guard;
  if (asked_bytes_ != 0) fail("it declares shared memory twice, of different sizes");
  size_t given = launched_->grid.shared_bytes;
  size_t size = given != 0 ? given : bytes;
  if (size < bytes) {
    failure_ = "it uses " + std::to_string(bytes) + " bytes of shared memory, its launch gives ";
    failure_ += std::to_string(given);
    leave();
  }
  if (size > most_shared_bytes) {
    failure_ = "it uses " + std::to_string(size) + " bytes of shared memory, more than there are";
    leave();
  }
  if (size != shared_bytes_) {
    std::free(shared_);
    void* memory = nullptr;
    if (posix_memalign(&memory, 256, size + 2 * guard) != 0) fail("the host has no memory left");
    shared_ = static_cast<unsigned char*>(memory), shared_bytes_ = size;
    std::memset(shared_, guard_value, guard);
    std::memset(shared_ + guard + size, guard_value, guard);
  }
  asked_bytes_ = bytes;
  return std::memset(shared_ + guard, poison, size);
}

bool Processor::shared_overrun() const {
  if (asked_bytes_ == 0) return false;
  auto harmed = [&](const unsigned char* begin) {
    return std::any_of(begin, begin + guard, [](unsigned char c) { return c != guard_value; });
  };
  return harmed(shared_) || harmed(shared_ + guard + shared_bytes_);
}

}  // namespace talaria::simt
