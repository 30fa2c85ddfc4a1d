// Rows that travel between devices, through pages of the host or to another one's memory, and the signals that say when.
#include "launch_args.h"
#include "dialect.h"

namespace {

constexpr uint32_t SIGNALLED = 0, NOT_SIGNALLED = 1, ABANDONED = 2;  // talaria_waited

// Looks at the event's count until there is a signal, and takes it. By one thread.
DEVICE void wait_for_signal(const ExchangeArgs& a) {
  // The first wait that has failed, in this run or one before it, is the one to hear of.
  uint32_t before = load_system(&a.meetings->failed), takes = load_system(&a.wait->takes), outcome = SIGNALLED;
  if (before != SIGNALLED) *a.failed = 1;
  if (*a.failed != 0) return;
  uint64_t begin = clock_ticks();
  for (uint32_t look = 1; load_system(&a.wait->signals) == takes && outcome == SIGNALLED; look++) {
    pause_before_look(look);
    if (look % 16 != 0) continue;
    if (clock_ticks() - begin > static_cast<uint64_t>(a.limit_ms) * ticks_per_ms) outcome = NOT_SIGNALLED;
    if (load_system(&a.meetings->closing) != 0) outcome = NOT_SIGNALLED;
    // Who signals does so before anybody could abandon, so the count is looked at once more.
    if (load_system(&a.wait->abandoned) != 0 && load_system(&a.wait->signals) == takes) outcome = ABANDONED;
  }
  system_fence();
  if (outcome == SIGNALLED) return store_system(&a.wait->takes, takes + 1);
  *a.failed = 1;
  store_system(&a.meetings->failed, outcome);
}

// Past every cache that does not see what others write.
DEVICE void copy_words(uint32_t* target, const uint32_t* source, int64_t count) {
  int64_t step = static_cast<int64_t>(block_threads()) * grid_x();
  for (int64_t i = static_cast<int64_t>(block_x()) * block_threads() + thread_index(); i < count; i += 4 * step) {
    uint32_t words[4];
    UNROLL
    for (int j = 0; j < 4; j++) words[j] = load_system(source + (i + j * step < count ? i + j * step : i));
    UNROLL
    for (int j = 0; j < 4; j++) {
      if (i + j * step < count) target[i + j * step] = words[j];
    }
  }
}

}  // namespace

// Of one block, unless it only copies.
KERNEL(exchange, ExchangeArgs, 1024) {
  dependency_wait();
  uint32_t signals = 0;
  if (thread_index() == 0) {
    if (a.signal != nullptr) signals = load_system(&a.signal->signals);  // early, as it is far away
    if (a.wait != nullptr) wait_for_signal(a);
  }
  barrier();
  launch_dependents();  // not before: kernels that begin while this one waits would keep others from beginning
  UNROLL
  for (int i = 0; i < 4; i++) {
    if (i < a.copies) copy_words(a.copy[i].target, a.copy[i].source, a.header[0] * a.copy[i].row_words);
  }
  system_fence();  // each thread's own rows come before the signal
  barrier();
  if (thread_index() != 0 || a.signal == nullptr) return;
  system_fence();  // and what the barrier has shown this thread of others'
  if (*a.failed != 0) return store_system(&a.signal->abandoned, 1);
  store_system(&a.signal->signals, signals + 1);
}
