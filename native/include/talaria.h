// The C ABI of Talaria: all that Java sees of native code, and all that a C program needs to drive a backend.
//
// Everything is named by a handle: a slot, a generation and a kind in 64 bits, never an address. A stale, forged or
// foreign handle is refused, not followed. Every function checks its arguments before a backend sees them, and none
// aborts, exits, prints or lets a C++ exception out.
//
// Threads: handles may be used from any thread; calls on one device are serialised. Work that `talaria_run` starts goes
// on in the device's own queue; `talaria_read` and `talaria_sync` wait for it and report its faults.
//
// Functions that return int32_t return a talaria_code; those that return a handle return 0 on failure. Either way the
// status, when it is not null, holds the code and a sentence.
#ifndef TALARIA_H
#define TALARIA_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TALARIA_ABI_VERSION 3

typedef enum talaria_code {
  TALARIA_OK = 0,
  TALARIA_INVALID = 1,        // wrong argument, handle, shape or order; nothing was launched
  TALARIA_UNSUPPORTED = 2,    // this backend has no such device, type or op
  TALARIA_OUT_OF_MEMORY = 3,  // the device is still usable
  TALARIA_LOST = 4            // sticky: close the device
} talaria_code;

typedef struct talaria_status {
  int32_t code;      // talaria_code of the last call
  char text[508];    // a sentence in UTF-8, zero-terminated; empty after TALARIA_OK
} talaria_status;

typedef enum talaria_kind {
  TALARIA_WEIGHT = 1,      // written whole rows at a time, in rising order; the backend may lay it out its own way
  TALARIA_ACTIVATION = 2,  // F32 or I32; plain rows
  TALARIA_KV = 3,          // [layers][blocks][positions per block][G * D], F32, F16 or Q8_0; laid out as the backend likes
  TALARIA_HOST = 4,        // F32 or I32 in host memory that every device can copy from and to; belongs to no device
  TALARIA_PEER = 5         // the same in a device's memory, for those devices that reach it
} talaria_kind;

typedef enum talaria_activations {
  TALARIA_ACTIVATIONS_HALF = 1,  // at least float16 (the CPU keeps float32)
  TALARIA_ACTIVATIONS_INT8 = 2   // int8 blocks where they meet quantised weights
} talaria_activations;

// The ops of a step; args.h says what each does and has one struct of arguments for it.
typedef enum talaria_op {
  TALARIA_OP_EMBED = 1,
  TALARIA_OP_ATTENTION_INPUT = 2,
  TALARIA_OP_ATTENTION = 3,
  TALARIA_OP_ATTENTION_OUTPUT = 4,
  TALARIA_OP_ROUTE = 5,
  TALARIA_OP_EXPERTS = 6,
  TALARIA_OP_ADD_SLOTS = 7,
  TALARIA_OP_TOP_LOGITS = 8,
  TALARIA_OP_COPY = 9,
  TALARIA_OP_ZERO = 10,
  TALARIA_OP_SIGNAL = 11,
  TALARIA_OP_WAIT = 12
} talaria_op;

typedef struct talaria_device_info {
  uint32_t size;             // sizeof(talaria_device_info), set by the caller
  int32_t activation_block;  // values per int8 block: 32 or 256
  int64_t memory_bytes;      // total
  int64_t free_bytes;        // now
  char name[128];            // UTF-8
} talaria_device_info;

typedef struct talaria_device_options {
  uint32_t size;
  int32_t wait_limit_ms;  // how long a wait op may wait for its signal before the device counts as lost; 0: 600,000
  int32_t threads;        // of a device that computes on the processor; 0: one per core
  int32_t plan_only;      // 1: tensors and steps are made and counted, but take no memory: nothing is written, read or run
  int32_t copies_only;    // 1: a queue beside the GPU's other ones, for steps of copies, signals and waits alone
} talaria_device_options;

// What a device has allocated, or would have if it did not only plan.
typedef struct talaria_device_memory {
  uint32_t size;
  uint32_t reserved;      // 0
  int64_t weight_bytes;   // laid out the device's own way
  int64_t kv_bytes;
  int64_t scratch_bytes;  // all else: activations, what steps need while they run, batches, staging for weights
  int64_t rounding_bytes; // what the driver's pages add to all that
} talaria_device_memory;

typedef struct talaria_tensor_desc {
  uint32_t size;
  int32_t kind;      // talaria_kind
  int32_t type;      // number of the type in GGUF files (formats.h)
  int32_t reserved;  // 0
  int64_t shape[4];  // outermost first, 1 where unused; the last one is the row's length in values
  char label[64];    // UTF-8, for messages and memory reports
} talaria_tensor_desc;

typedef struct talaria_step_options {
  uint32_t size;
  int32_t activations;  // talaria_activations
  int32_t batch[8];     // talaria_batch_shape (args.h)
  int32_t batch_invariant;  // 1: a row's results may not depend, to the bit, on the other rows of its batch
  int32_t reserved;         // 0
} talaria_step_options;

// The version of this header that the library was built with.
int32_t talaria_abi_version(void);

// --- backends ---------------------------------------------------------------------------------------------------------

// Opens a backend's shared library. Opening the same path again gives the same handle. A backend is never unloaded.
uint64_t talaria_backend_open(const char* path, talaria_status* status);

// The number of devices, at least 1; or 0 with the reason why there is none.
int32_t talaria_device_count(uint64_t backend, talaria_status* status);

// Name and memory of a device, without opening it.
int32_t talaria_device_get_info(uint64_t backend, int32_t index, uint8_t* info, int64_t bytes, talaria_status* status);

// --- devices ----------------------------------------------------------------------------------------------------------

// Opens a device with a queue of its own; `options` is a talaria_device_options.
uint64_t talaria_device_open(
    uint64_t backend, int32_t index, const uint8_t* options, int64_t bytes, talaria_status* status);

// Stops the queue and frees the device's tensors and steps. Their handles are stale from then on.
int32_t talaria_device_close(uint64_t device, talaria_status* status);

// Whether steps of a device can copy from and to peer tensors in the memory of another: 1, or 0, as on failure.
int32_t talaria_device_reaches(uint64_t device, uint64_t other, talaria_status* status);

// What the device has allocated; `memory` is a talaria_device_memory.
int32_t talaria_device_get_memory(uint64_t device, uint8_t* memory, int64_t bytes, talaria_status* status);

// Waits until the queue is empty and reports the first fault since the last wait.
int32_t talaria_sync(uint64_t device, talaria_status* status);

// Bytes per second, in 10^9, that the device reads from `bytes` of its memory (large enough that no cache holds them),
// after all work queued so far; 0 on failure.
double talaria_read_bandwidth(uint64_t device, int64_t bytes, talaria_status* status);

// --- tensors ----------------------------------------------------------------------------------------------------------

// Allocates a tensor, filled with zeros; `desc` is a talaria_tensor_desc. For a host tensor the device is 0; a peer tensor
// lies in the device's memory, and belongs to no device either.
uint64_t talaria_tensor_new(uint64_t device, const uint8_t* desc, int64_t bytes, talaria_status* status);

// Frees a tensor. Steps that use it keep its memory until they are freed.
int32_t talaria_tensor_free(uint64_t device, uint64_t tensor, talaria_status* status);

// Copies host bytes into a tensor at a byte offset, after all work queued so far. A weight takes whole rows in the
// layout of the file; a KV tensor takes none. The source may be reused on return. With device 0 a host tensor is
// written at once, whatever any queue does. A peer tensor is written and read by steps alone.
int32_t talaria_write(
    uint64_t device, uint64_t tensor, int64_t offset, const uint8_t* source, int64_t bytes, talaria_status* status);

// Copies bytes of an activation or host tensor out, after all work queued so far; reports that work's faults. With
// device 0 a host tensor is read at once.
int32_t talaria_read(
    uint64_t device, uint64_t tensor, int64_t offset, uint8_t* target, int64_t bytes, talaria_status* status);

// --- steps ------------------------------------------------------------------------------------------------------------

// Begins a step: an ordered list of ops for batches of up to a given shape. `options` is a talaria_step_options.
uint64_t talaria_step_new(uint64_t device, const uint8_t* options, int64_t bytes, talaria_status* status);

// Appends an op (talaria_op) with its args struct (args.h). Refused, and the step unchanged, if anything does not fit.
int32_t talaria_step_append(
    uint64_t device, uint64_t step, int32_t op, const uint8_t* args, int64_t bytes, talaria_status* status);

// Ends the step: it can run, and takes no more ops.
int32_t talaria_step_end(uint64_t device, uint64_t step, talaria_status* status);

int32_t talaria_step_free(uint64_t device, uint64_t step, talaria_status* status);

// Queues one run of the step over a batch (laid out as args.h says; all of its words are checked against the step's
// tensors first). The batch may be reused on return.
int32_t talaria_run(uint64_t device, uint64_t step, const uint8_t* batch, int64_t bytes, talaria_status* status);

// --- events -----------------------------------------------------------------------------------------------------------

// A counter, starting at 0, that signal and wait ops of any device may use: at a time one queue signals it, and one waits.
uint64_t talaria_event_new(talaria_status* status);
int32_t talaria_event_free(uint64_t event, talaria_status* status);

// The same two from the host, for backends that are written in Java.
int32_t talaria_event_signal(uint64_t event, talaria_status* status);
int32_t talaria_event_wait(uint64_t event, int32_t limit_ms, talaria_status* status);

// No signal will come any more: whoever waits for the event, now or later, fails with TALARIA_INVALID and stays usable. A
// device abandons by itself the events that a step would have signalled and, having failed, does not.
int32_t talaria_event_abandon(uint64_t event, talaria_status* status);

#ifdef __cplusplus
}
#endif

#endif
