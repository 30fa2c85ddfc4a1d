// Events: counters that queues of different devices wait for.
#include <algorithm>
#include <chrono>
#include <mutex>
#include <thread>

#include "handles.hpp"

namespace talaria {

namespace {

// A device that signals or waits by itself reads and writes the cell from where it is. Threads of the host take turns.
struct Counter {
  HostMemory memory{sizeof(talaria_event_cell)};
  std::mutex mutex;
  talaria_event_cell* cell() { return reinterpret_cast<talaria_event_cell*>(memory.data()); }
};

void signal(void* event) {
  auto* counter = static_cast<Counter*>(event);
  std::lock_guard<std::mutex> lock(counter->mutex);
  uint32_t* signals = &counter->cell()->signals;
  __atomic_store_n(signals, __atomic_load_n(signals, __ATOMIC_RELAXED) + 1, __ATOMIC_RELEASE);
}

void abandon(void* event) {
  __atomic_store_n(&static_cast<Counter*>(event)->cell()->abandoned, 1, __ATOMIC_RELEASE);
}

// Takes a signal, if there is one.
bool take(Counter* counter) {
  std::lock_guard<std::mutex> lock(counter->mutex);
  talaria_event_cell* cell = counter->cell();
  uint32_t takes = __atomic_load_n(&cell->takes, __ATOMIC_RELAXED);
  if (__atomic_load_n(&cell->signals, __ATOMIC_ACQUIRE) == takes) return false;
  __atomic_store_n(&cell->takes, takes + 1, __ATOMIC_RELEASE);
  return true;
}

// Nobody can wake a thread when a GPU writes to memory, so it looks: at once for a few microseconds, then as often
// as others let it, and after some milliseconds about every tenth of one.
void pause_before(uint32_t look) {
  if (look < 64) return;
  if (look < 4096) return std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::microseconds(std::min<uint32_t>(look / 256, 100)));
}

int32_t wait(void* event, int32_t limit_ms, const volatile int32_t* cancelled) {
  auto* counter = static_cast<Counter*>(event);
  auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
  for (uint32_t look = 0;; look++) {
    if (take(counter)) return TALARIA_SIGNALLED;
    if (__atomic_load_n(&counter->cell()->abandoned, __ATOMIC_ACQUIRE) != 0) {
      return take(counter) ? TALARIA_SIGNALLED : TALARIA_ABANDONED;  // a signal from before
    }
    bool late = std::chrono::steady_clock::now() >= deadline;
    if (late || __atomic_load_n(cancelled, __ATOMIC_RELAXED) != 0) return TALARIA_NOT_SIGNALLED;
    pause_before(look);
  }
}

}  // namespace

Event::Event() {
  auto* counter = new Counter();
  view = {signal, wait, abandon, counter, counter->cell()};
}
Event::~Event() { delete static_cast<Counter*>(view.event); }

}  // namespace talaria

using namespace talaria;

#define TALARIA_EXPORT extern "C" __attribute__((visibility("default")))

TALARIA_EXPORT uint64_t talaria_event_new(talaria_status* status) {
  return guarded<uint64_t>(status, 0, [&] { return Handles::all().add(std::make_shared<Event>()); });
}

TALARIA_EXPORT int32_t talaria_event_free(uint64_t event, talaria_status* status) {
  return guarded<int32_t>(status, TALARIA_INVALID, [&] {
    auto found = Handles::all().get<Event>(event, "event_free");
    if (!Handles::all().remove(event)) fail(TALARIA_INVALID, "event_free: another thread has freed it meanwhile");
    return static_cast<int32_t>(TALARIA_OK);
  });
}

TALARIA_EXPORT int32_t talaria_event_signal(uint64_t event, talaria_status* status) {
  return guarded<int32_t>(status, TALARIA_INVALID, [&] {
    auto found = Handles::all().get<Event>(event, "event_signal");
    found->view.signal(found->view.event);
    return static_cast<int32_t>(TALARIA_OK);
  });
}

TALARIA_EXPORT int32_t talaria_event_wait(uint64_t event, int32_t limit_ms, talaria_status* status) {
  return guarded<int32_t>(status, TALARIA_INVALID, [&] {
    auto found = Handles::all().get<Event>(event, "event_wait");
    if (limit_ms < 0) fail(TALARIA_INVALID, "event_wait: the limit is %d ms", limit_ms);
    const int32_t never = 0;
    switch (found->view.wait(found->view.event, limit_ms, &never)) {
      case TALARIA_SIGNALLED: return static_cast<int32_t>(TALARIA_OK);
      case TALARIA_ABANDONED: fail(TALARIA_INVALID, "event_wait: %s", abandoned_text);
      default: fail(TALARIA_LOST, "event_wait: no signal came within %d ms", limit_ms);
    }
  });
}

TALARIA_EXPORT int32_t talaria_event_abandon(uint64_t event, talaria_status* status) {
  return guarded<int32_t>(status, TALARIA_INVALID, [&] {
    auto found = Handles::all().get<Event>(event, "event_abandon");
    found->view.abandon(found->view.event);
    return static_cast<int32_t>(TALARIA_OK);
  });
}
