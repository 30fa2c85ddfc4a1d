// The backend, its devices, and events.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "misuse.h"

static uint64_t open_device(dice* d, uint64_t backend, int32_t index, talaria_device_options options, int64_t bytes) {
  talaria_status status, *asked = ask(d, &status);
  void* block;
  uint8_t* given = exact(d, &options, sizeof options, &block);
  uint64_t handle = talaria_device_open(backend, index, given, bytes, asked);
  settle_handle(d, CALL_DEVICE_OPEN, handle, asked);
  free(block);
  return handle;
}

static void close_device(dice* d, uint64_t handle) {
  talaria_status status, *asked = ask(d, &status);
  settle(d, CALL_DEVICE_CLOSE, talaria_device_close(handle, asked), asked);
}

int32_t sync_device(dice* d, int device, uint64_t handle) {
  talaria_status status, *asked = ask(d, &status);
  int32_t code = settle(d, CALL_SYNC, talaria_sync(handle, asked), asked);
  if (code == TALARIA_LOST) atomic_store(&the.lost[device], true);
  return code;
}

static void spoil_device_open(dice* d) {
  talaria_device_options options = {sizeof options, 2, 2, 0, 0};
  uint64_t backend = the.backend;
  int32_t index = 0;
  int64_t bytes = sizeof options;
  switch (roll(d, 8)) {
    case 0: backend = any_handle(d, 0); break;
    case 1: index = hostile32(d); break;
    case 2: options.size = (uint32_t)hostile32(d); break;
    case 3: options.wait_limit_ms = -(int32_t)roll(d, 1000) - 1; break;
    case 4: options.threads = one_in(d, 2) ? -1 - (int32_t)roll(d, 1000) : 1025 + (int32_t)roll(d, 1000); break;
    case 5: options.plan_only = 2 + (int32_t)roll(d, 1000); break;
    case 6: options.copies_only = hostile32(d); break;
    default: bytes = hostile_bytes(d, bytes);
  }
  uint64_t handle = open_device(d, backend, index, options, bytes);
  if (handle != 0) close_device(d, handle);
}

static void ask_backend(dice* d) {
  static const char* const paths[] = {"", "/", "no such library", "libm.so.6", "libtalaria_none.so", NULL};
  talaria_status status, *asked = ask(d, &status);
  bool right = one_in(d, 2);
  uint64_t handle = talaria_backend_open(right ? the.library : paths[roll(d, 6)], asked);
  settle_handle(d, CALL_BACKEND_OPEN, handle, asked);
  demand(handle == 0 || handle == the.backend, "a backend that is open was opened again");

  asked = ask(d, &status);
  int32_t count = talaria_device_count(one_in(d, 2) ? the.backend : any_handle(d, 0), asked);
  settle_handle(d, CALL_DEVICE_COUNT, (uint64_t)count, asked);

  talaria_device_info info = {.size = sizeof info};
  int64_t bytes = sizeof info;
  uint64_t backend = the.backend;
  int32_t index = 0;
  switch (roll(d, 8)) {
    case 0: backend = any_handle(d, 0); break;
    case 1: index = hostile32(d); break;
    case 2: info.size = (uint32_t)hostile32(d); break;
    case 3: bytes = hostile_bytes(d, bytes); break;
    default: break;
  }
  void* block;
  uint8_t* given = exact(d, &info, sizeof info, &block);
  asked = ask(d, &status);
  settle(d, CALL_DEVICE_GET_INFO, talaria_device_get_info(backend, index, given, bytes, asked), asked);
  free(block);
}

void act_on_devices(dice* d) {
  switch (roll(d, 8)) {
    case 0: ask_backend(d); break;
    case 1: spoil_device_open(d); break;
    case 2: {
      uint64_t handle = any_handle(d, 0);
      for (int i = 0; i < DEVICES; i++) {
        if (handle == atomic_load(&the.device[i])) handle = 0;  // that is for `reopen`
      }
      close_device(d, handle);
      break;
    }
    case 3: {  // few, since a good one reads a mebibyte some times
      static const int64_t wrong[] = {0, -1, INT64_MIN, INT64_MAX, (1ll << 40) + 1};
      uint64_t device = one_in(d, 4) ? any_handle(d, 0) : atomic_load(&the.device[roll(d, DEVICES)]);
      talaria_status status, *asked = ask(d, &status);
      talaria_device_memory memory = {.size = one_in(d, 4) ? (uint32_t)hostile32(d) : sizeof memory};
      int64_t bytes = one_in(d, 4) ? hostile_bytes(d, sizeof memory) : (int64_t)sizeof memory;
      void* block;
      uint8_t* given = exact(d, &memory, sizeof memory, &block);
      settle(d, CALL_DEVICE_GET_MEMORY, talaria_device_get_memory(device, given, bytes, asked), asked);
      free(block);
      if (!one_in(d, 3)) break;
      asked = ask(d, &status);
      double read = talaria_read_bandwidth(device, one_in(d, 2) ? 1 + roll(d, 1 << 20) : wrong[roll(d, 5)], asked);
      settle_handle(d, CALL_READ_BANDWIDTH, read > 0, asked);
      break;
    }
    default: {
      int device = (int)roll(d, DEVICES);
      sync_device(d, device, one_in(d, 4) ? any_handle(d, device) : atomic_load(&the.device[device]));
    }
  }
}

// Closes a device and opens it again with all of its tensors. One thread at a time, so that there is one of each.
void reopen(dice* d, int device) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&lock);
  uint64_t old = atomic_exchange(&the.device[device], 0);
  if (old != 0) {
    if (one_in(d, 2)) keep_busy(d, old);
    close_device(d, old);
    discard_stale(old);
    sync_device(d, device, old);
    forget_steps(d, device);
  }
  atomic_store(&the.lost[device], false);
  // Mostly one thread: on a busy machine, two that wait for each other take their time.
  talaria_device_options options = {sizeof options, 2, one_in(d, 4) ? 2 : 1, 0, 0};
  atomic_store(&the.device[device], open_device(d, the.backend, 0, options, sizeof options));
  pthread_mutex_unlock(&lock);
  renew_all(d, device);
}

// --- events -------------------------------------------------------------------------------------------------------------

void act_on_events(dice* d) {
  talaria_status status, *asked = ask(d, &status);
  int at = (int)roll(d, EVENTS);
  uint64_t event = one_in(d, 4) ? any_handle(d, 0) : atomic_load(&the.event[at]);
  switch (roll(d, 8)) {
    case 0: {
      uint64_t fresh = talaria_event_new(asked);
      settle_handle(d, CALL_EVENT_NEW, fresh, asked);
      event = atomic_exchange(&the.event[at], fresh);
      discard_stale(event);
      asked = ask(d, &status);
      settle(d, CALL_EVENT_FREE, talaria_event_free(event, asked), asked);
      break;
    }
    case 1: settle(d, CALL_EVENT_FREE, talaria_event_free(one_in(d, 2) ? any_handle(d, 0) : 0, asked), asked); break;
    case 2: settle(d, CALL_EVENT_ABANDON, talaria_event_abandon(one_in(d, 2) ? any_handle(d, 0) : event, asked), asked); break;
    case 3:
    case 4: settle(d, CALL_EVENT_SIGNAL, talaria_event_signal(event, asked), asked); break;
    default: {
      int32_t limit = one_in(d, 8) ? -1 - (int32_t)roll(d, INT32_MAX) : one_in(d, 16);
      settle(d, CALL_EVENT_WAIT, talaria_event_wait(event, limit, asked), asked);
    }
  }
}
