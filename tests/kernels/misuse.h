// A hostile caller of the C ABI: random calls of every function, with valid objects beside stale, forged and foreign
// ones, and kernels that run on random contents. Every answer must be typed and every refusal worded; that nothing is
// read or written out of bounds is for the sanitizers to see, so buffers that are handed over have their exact size.
//
// What the threads share is the world: slots of handles. An object that leaves its slot is freed by whoever took it
// out, so that memory stays bounded; other threads may still be using its handle, and are meant to.
#ifndef TALARIA_MISUSE_H
#define TALARIA_MISUSE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../kernels/common/args.h"
#include "../../kernels/common/formats.h"
#include "../../native/include/talaria.h"

enum {
  DEVICES = 2,
  SIZES = 2,
  STEPS = 8,
  EVENTS = 4,
  HOSTS = DEVICES + 4,
  EXTRAS = 8,
  STALE = 64,
  OPS = 13,
  CODES = 5
};

// The sizes of the two models whose tensors every device has: the second one holds rows of K-quants.
enum {
  ROWS = 4,
  VOCABULARY = 40,
  EXPERTS = 4,
  USED = 2,
  TOP_WORDS = 12,
  LAYERS = 2,
  KV_BLOCKS = 4,
  KV_POSITIONS = 4,
  HEAD_DIM = 32
};
enum { MOST_BYTES = 1 << 18 };  // of a tensor that is meant to be valid

typedef enum role {
  ROLE_X,
  ROLE_H,
  ROLE_Q,
  ROLE_ATTENDED,
  ROLE_ROUTING,
  ROLE_SLOTS,
  ROLE_MAP,
  ROLE_TOP,
  ROLE_LOGITS,
  ROLE_NORM,
  ROLE_SQUARE,
  ROLE_KV_WEIGHT,
  ROLE_TABLE,
  ROLE_ROUTER,
  ROLE_GATE,
  ROLE_UP,
  ROLE_DOWN,
  ROLE_KEYS,
  ROLE_VALUES,
  ROLES
} role;

typedef enum call {
  CALL_BACKEND_OPEN,
  CALL_DEVICE_COUNT,
  CALL_DEVICE_GET_INFO,
  CALL_DEVICE_OPEN,
  CALL_DEVICE_CLOSE,
  CALL_DEVICE_GET_MEMORY,
  CALL_READ_BANDWIDTH,
  CALL_SYNC,
  CALL_TENSOR_NEW,
  CALL_TENSOR_FREE,
  CALL_WRITE,
  CALL_READ,
  CALL_STEP_NEW,
  CALL_STEP_APPEND,
  CALL_STEP_END,
  CALL_STEP_FREE,
  CALL_RUN,
  CALL_EVENT_NEW,
  CALL_EVENT_FREE,
  CALL_EVENT_SIGNAL,
  CALL_EVENT_WAIT,
  CALL_EVENT_ABANDON,
  CALLS
} call;

// What is known of a step, so that most of what is done with it makes sense.
typedef struct step {
  uint64_t handle;
  int size;
  bool ended;
  uint32_t ops;    // bit per op appended
  uint64_t event;  // that it waits for
  talaria_batch_shape shape;
} step;

typedef struct world {
  const char* library;
  bool separate;  // threads: a host tensor stays with one device or one thread, so that nothing races but the library
  uint64_t backend;
  _Atomic uint64_t device[DEVICES];
  _Atomic bool lost[DEVICES];
  _Atomic uint64_t tensor[DEVICES][SIZES][ROLES];
  _Atomic uint64_t extra[DEVICES][EXTRAS];  // of random shapes
  _Atomic uint64_t host[HOSTS];
  _Atomic uint64_t event[EVENTS];
  _Atomic uint64_t stale[STALE];
  step steps[DEVICES][STEPS];  // under the lock of misuse_steps.c
  _Atomic long answers[CALLS][CODES];
  _Atomic long appended[OPS];
  _Atomic long executed[OPS];
  _Atomic long exchanges;
} world;

extern world the;

// --- chance (misuse.c) --------------------------------------------------------------------------------------------------

typedef struct dice {
  uint64_t state;
  long calls;  // made by this thread
  int thread;
} dice;

uint64_t roll64(dice* d);
int64_t roll(dice* d, int64_t sides);  // 0 .. sides - 1
bool one_in(dice* d, int n);
int32_t hostile32(dice* d);
int64_t hostile64(dice* d);
int64_t hostile_bytes(dice* d, int64_t right);  // mostly near `right`, never equal
uint64_t any_handle(dice* d, int device);       // of any kind: live, stale, forged, none
// Random contents: at least MOST_BYTES bytes of numbers, NaNs, ids or noise.
const uint8_t* contents(dice* d);

// --- answers (misuse.c) -------------------------------------------------------------------------------------------------

// A status to hand over, full of rubbish; or null now and then.
talaria_status* ask(dice* d, talaria_status* status);
// Checks what came back. Returns the code, -1 where it is unknown (failed, without a status).
int32_t settle(dice* d, call call, int32_t code, const talaria_status* status);
int32_t settle_handle(dice* d, call call, uint64_t handle, const talaria_status* status);
void demand(bool ok, const char* what);
// A copy of exactly so many bytes, or null now and then; at an odd address now and then. Freed with `discard`.
uint8_t* exact(dice* d, const void* bytes, size_t size, void** block);
void discard_stale(uint64_t handle);  // remembers a handle that was freed

// --- actions ------------------------------------------------------------------------------------------------------------

void reopen(dice* d, int device);
void act_on_devices(dice* d);
void act_on_tensors(dice* d, int device);
void act_on_bytes(dice* d, int device);
void act_on_events(dice* d);
void act_on_steps(dice* d, int device);
void forget_steps(dice* d, int device);
void renew_all(dice* d, int device);       // the tensors of a device that was opened
void notice(int device, int32_t code);     // whether a device is lost
void keep_busy(dice* d, uint64_t device);  // leaves it waiting for a signal that never comes
void exchange(dice* d);                    // a copy from device to device through a host tensor, checked
int32_t sync_device(dice* d, int device, uint64_t handle);

// --- calls of steps (misuse_steps.c), settled ---------------------------------------------------------------------------

uint64_t new_step(dice* d, uint64_t device, const talaria_step_options* options, int64_t bytes);
int32_t append(dice* d, uint64_t device, uint64_t step, int32_t op, const void* args, size_t size, int64_t bytes);
int32_t end(dice* d, uint64_t device, uint64_t step);
void free_step(dice* d, uint64_t device, uint64_t step);
int32_t run(dice* d, uint64_t device, uint64_t step, const int32_t* words, int64_t count, int64_t bytes);

// --- batches (misuse_batch.c) -------------------------------------------------------------------------------------------

int64_t words_of(const talaria_batch_shape* shape);
void fill_batch(dice* d, const talaria_batch_shape* shape, int32_t* words);
void spoil_batch(dice* d, const talaria_batch_shape* shape, int32_t* words);

#endif
