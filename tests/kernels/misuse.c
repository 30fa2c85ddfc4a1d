// misuse LIBRARY [CALLS [SEED [THREADS]]]: see misuse.h. Prints what was answered; exits 1 at the first wrong answer.
#include "misuse.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

world the;

static const char* const call_names[CALLS] = {
    "backend_open", "device_count", "device_get_info", "device_open", "device_close", "device_get_memory", "read_bandwidth", "sync",
    "tensor_new",   "tensor_free",  "write",           "read",        "step_new",     "step_append",    "step_end",
    "step_free",    "run",          "event_new",       "event_free",  "event_signal", "event_wait",
    "event_abandon"};
static const char* const op_names[OPS] = {
    "",     "embed", "attention_input", "attention", "attention_output", "route", "experts", "add_slots", "top_logits",
    "copy", "zero",  "signal",          "wait"};

void demand(bool ok, const char* what) {
  if (ok) return;
  fprintf(stderr, "misuse: %s\n", what);
  fflush(stderr);
  _Exit(1);
}

// --- chance -------------------------------------------------------------------------------------------------------------

uint64_t roll64(dice* d) {  // splitmix64
  uint64_t z = d->state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

int64_t roll(dice* d, int64_t sides) { return (int64_t)(roll64(d) % (uint64_t)sides); }
bool one_in(dice* d, int n) { return roll(d, n) == 0; }

int32_t hostile32(dice* d) {
  // Also NaN, infinity, 1e38 and a subnormal, by their bits.
  static const uint32_t numbers[] = {0,       1,          2,          3,          5,          31,         33,
                                     64,      65,         0xffffffff, 0xfffffffe, 0x7fffffff, 0x80000000, 0x10000,
                                     0x10001, 0x7fc00000, 0xff800000, 0x7f800000, 0x7e967699, 1,          0xbf800000};
  return one_in(d, 4) ? (int32_t)roll64(d) : (int32_t)numbers[roll(d, sizeof numbers / sizeof *numbers)];
}

int64_t hostile64(dice* d) {
  static const int64_t numbers[] = {0,
                                    1,
                                    2,
                                    3,
                                    4,
                                    31,
                                    33,
                                    255,
                                    257,
                                    -1,
                                    -2,
                                    -4,
                                    -64,
                                    INT32_MAX,
                                    1ll << 31,
                                    1ll << 32,
                                    (1ll << 32) + 4,
                                    1ll << 61,
                                    1ll << 62,
                                    INT64_MAX,
                                    INT64_MAX - 3,
                                    INT64_MIN};
  return one_in(d, 8) ? (int64_t)roll64(d) : numbers[roll(d, sizeof numbers / sizeof *numbers)];
}

int64_t hostile_bytes(dice* d, int64_t right) {
  int64_t wrong = one_in(d, 2) ? right + (one_in(d, 2) ? 1 : -1) * (1 + roll(d, 8)) : hostile64(d);
  return wrong == right ? -right : wrong;
}

uint64_t any_handle(dice* d, int device) {
  int other = the.separate ? device : (int)roll(d, DEVICES);
  switch (roll(d, 10)) {
    case 0: return atomic_load(&the.stale[roll(d, STALE)]);
    case 1: return atomic_load(&the.device[roll(d, DEVICES)]);
    case 2: return the.backend;
    case 3: return atomic_load(&the.event[roll(d, EVENTS)]);
    case 4: return the.separate ? 0 : atomic_load(&the.host[roll(d, HOSTS)]);
    case 5: return atomic_load(&the.extra[other][roll(d, EXTRAS)]);
    case 6: return one_in(d, 2) ? 0 : roll64(d);
    case 7: {  // forged: one bit of a real one is turned; with threads, not of the slot
      uint64_t handle = atomic_load(&the.tensor[roll(d, DEVICES)][one_in(d, 8)][roll(d, ROLES)]);
      return handle ^ 1ull << (the.separate ? 32 + roll(d, 32) : roll(d, 64));
    }
    default: return atomic_load(&the.tensor[roll(d, DEVICES)][one_in(d, 8)][roll(d, ROLES)]);
  }
}

static uint8_t* pool;  // 16 pages of each kind of contents, then MOST_BYTES more
enum { PAGE = 4096, PAGES = 96 };

static void fill_pool(dice* d) {
  size_t size = PAGES * PAGE + MOST_BYTES;
  pool = malloc(size);
  demand(pool != NULL, "no memory");
  for (size_t at = 0; at < size; at += 4) {
    uint32_t word = (uint32_t)roll64(d);
    float number = (float)roll(d, 2000) / 1000 - 1;
    switch (at / PAGE % 6) {
      case 0: break;
      case 1:
      case 2: memcpy(&word, &number, 4); break;
      case 3: word = (uint32_t)hostile32(d); break;
      case 4: word = (uint32_t)(roll(d, 8) - 2); break;  // ids of experts, and what is nearly one
      default: word = 0;
    }
    memcpy(pool + at, &word, 4);
  }
}

const uint8_t* contents(dice* d) { return pool + roll(d, PAGES * PAGE); }

// --- answers ------------------------------------------------------------------------------------------------------------

talaria_status* ask(dice* d, talaria_status* status) {
  memset(status, 0x5a, sizeof *status);
  return one_in(d, 16) ? NULL : status;
}

int32_t settle(dice* d, call call, int32_t code, const talaria_status* status) {
  d->calls++;
  demand(code < CODES && code >= (status == NULL ? -1 : 0), call_names[call]);
  if (status != NULL) {
    demand(status->code == code, "the code returned is not the status's");
    size_t length = strnlen(status->text, sizeof status->text);
    demand(length < sizeof status->text, "a text without an end");
    demand((length == 0) == (code == TALARIA_OK), "a failure without a sentence, or a success with one");
  }
  if (code >= 0) atomic_fetch_add(&the.answers[call][code], 1);
  return code;
}

int32_t settle_handle(dice* d, call call, uint64_t handle, const talaria_status* status) {
  int32_t code = handle != 0 ? TALARIA_OK : status != NULL ? status->code : -1;
  demand(handle != 0 || code != TALARIA_OK, "no handle, and no failure");
  return settle(d, call, code, status);
}

uint8_t* exact(dice* d, const void* bytes, size_t size, void** block) {
  *block = NULL;
  if (one_in(d, 64)) return NULL;
  size_t odd = one_in(d, 4) ? 1 : 0;
  uint8_t* copy = *block = malloc(size + odd);
  demand(copy != NULL, "no memory");
  return memcpy(copy + odd, bytes, size);
}

void discard_stale(uint64_t handle) {
  static _Atomic unsigned next;
  if (handle != 0) atomic_store(&the.stale[atomic_fetch_add(&next, 1) % STALE], handle);
}

// Every bit of a handle counts: none may be turned without the handle being refused.
static void forge(uint64_t live) {
  talaria_status status;
  uint8_t byte = 0;
  for (int bit = 0; bit < 64; bit++) {
    int32_t code = talaria_write(0, live ^ 1ull << bit, 0, &byte, 1, &status);
    // Another slot may hold another host tensor of the same generation.
    demand(code == TALARIA_INVALID || bit < 32, "a forged handle was followed");
  }
  demand(talaria_write(0, live, 0, &byte, 1, &status) == TALARIA_OK, "a live handle was refused");
  demand(talaria_tensor_free(0, live, &status) == TALARIA_OK, "a live handle was not freed");
  demand(talaria_write(0, live, 0, &byte, 1, &status) == TALARIA_INVALID, "a stale handle was followed");
}

// --- the run ------------------------------------------------------------------------------------------------------------

typedef struct job {
  dice dice;
  long calls;
} job;

static void* work(void* argument) {
  job* j = argument;
  dice* d = &j->dice;
  while (d->calls < j->calls) {
    int device = (int)roll(d, DEVICES);
    if (atomic_load(&the.lost[device]) || one_in(d, 4000)) reopen(d, device);
    int64_t choice = roll(d, 200);
    if (choice < 130)
      act_on_steps(d, device);
    else if (choice < 160)
      act_on_bytes(d, device);
    else if (choice < 180)
      act_on_tensors(d, device);
    else if (choice < 188)
      act_on_devices(d);
    else if (choice < 199)
      act_on_events(d);
    else
      exchange(d);
  }
  return NULL;
}

static void tidy(dice* d) {
  talaria_status status;
  for (int i = 0; i < DEVICES; i++) settle(d, CALL_DEVICE_CLOSE, talaria_device_close(the.device[i], &status), &status);
  for (int i = 0; i < HOSTS; i++) settle(d, CALL_TENSOR_FREE, talaria_tensor_free(0, the.host[i], &status), &status);
  for (int i = 0; i < EVENTS; i++) settle(d, CALL_EVENT_FREE, talaria_event_free(the.event[i], &status), &status);
}

// Enough of everything must have worked and enough failed, or the run has shown little.
static void report(long calls) {
  printf("%-18s%10s%10s%12s%8s%8s\n", "calls", "ok", "invalid", "unsupported", "memory", "lost");
  long least = calls / 5000;
  for (int i = 0; i < CALLS; i++) {
    const _Atomic long* n = the.answers[i];
    printf("%-18s%10ld%10ld%12ld%8ld%8ld\n", call_names[i], n[0], n[1], n[2], n[3], n[4]);
    bool failed = n[1] + n[2] + n[3] + n[4] >= least || i == CALL_EVENT_NEW;  // which only runs out of memory
    if (n[0] < least || !failed) demand(false, call_names[i]);
  }
  printf("%-18s%10s%10s\n", "ops", "appended", "executed");
  for (int i = 1; i < OPS; i++) {
    printf("%-18s%10ld%10ld\n", op_names[i], the.appended[i], the.executed[i]);
    demand(the.appended[i] >= least && the.executed[i] >= least, op_names[i]);
  }
  printf("exchanges between devices: %ld\n", the.exchanges);
  demand(the.exchanges >= least, "too few exchanges between devices");
}

int main(int count, char** arguments) {
  demand(count >= 2, "usage: misuse LIBRARY [CALLS [SEED [THREADS]]]");
  the.library = arguments[1];
  long calls = count > 2 ? atol(arguments[2]) : 1000000;
  uint64_t seed = count > 3 ? strtoull(arguments[3], NULL, 10) : 1;
  int threads = count > 4 ? atoi(arguments[4]) : 1;
  demand(calls > 0 && threads >= 1 && threads <= HOSTS - DEVICES, "CALLS must be positive and THREADS 1 to 4");
  the.separate = threads > 1;

  talaria_status status;
  demand(talaria_abi_version() == TALARIA_ABI_VERSION, "the library has another ABI version");
  the.backend = talaria_backend_open(the.library, &status);
  demand(the.backend != 0, status.text);
  dice d = {seed, 0, 0};
  fill_pool(&d);
  for (int i = 0; i < HOSTS; i++) {
    talaria_tensor_desc desc = {sizeof desc, TALARIA_HOST, 0, 0, {1, 1, ROWS, 64}, "host"};
    the.host[i] = talaria_tensor_new(0, (const uint8_t*)&desc, sizeof desc, &status);
  }
  forge(the.host[0]);
  for (int i = 0; i < EVENTS; i++) the.event[i] = talaria_event_new(&status);
  for (int i = 0; i < DEVICES; i++) reopen(&d, i);

  job jobs[HOSTS - DEVICES];
  pthread_t handles[HOSTS - DEVICES];
  for (int i = 0; i < threads; i++) {
    jobs[i] = (job){{seed + 1000003ull * (uint64_t)i, 0, i}, calls / threads};
    demand(pthread_create(&handles[i], NULL, work, &jobs[i]) == 0, "no more threads");
  }
  for (int i = 0; i < threads; i++) pthread_join(handles[i], NULL);
  tidy(&d);
  report(calls);
  printf("misuse: %ld calls, seed %llu, %d threads: every answer was typed\n", calls, (unsigned long long)seed,
         threads);
  free(pool);
  return 0;
}
