// What every op, struct and batch word accepts, and that it accepts nothing else: what the parts of the test share.
#ifndef TALARIA_CHECKS_H
#define TALARIA_CHECKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../kernels/common/args.h"
#include "../../kernels/common/formats.h"
#include "../../native/include/talaria.h"

// One tensor of every use; no two uses share a width, so that one in the place of another must be noticed.
typedef enum object {
  X,
  H,
  Q,
  ATTENDED,
  ROUTING,
  SLOTS,
  MAP,
  TOP,
  LOGITS,
  NORM,
  WQ,
  WK,
  WO,
  TABLE,
  ROUTER,
  GATE,
  DOWN,
  KEYS,
  VALUES,
  SHORT_X,
  HALF_NORM,
  SHORT_KEYS,
  HOST,
  FOREIGN_X,
  Q8_ROUTER,
  I32_X,
  I32_TABLE,
  WIDE_NORM,
  STALE,
  EVENT,
  NONE,
  OBJECTS
} object;
enum {
  ROWS = 9,
  HIDDEN = 64,
  WIDTH = 96,
  KV_WIDTH = 32,
  FFN = 160,
  VOCABULARY = 40,
  EXPERTS = 5,
  HELD = 3,
  USED = 2,
  LAYERS = 2,
  BLOCKS = 6,
  POSITIONS = 8,
  K = 3,
  TARGETS = 2,
  ADJUSTMENTS = 3,
  MASK_WORDS = 2,
  TABLES = 2,
  COLUMNS = 5
};

extern const talaria_batch_shape shape;
extern uint64_t device, handles[OBJECTS];
extern talaria_status status;  // of the last call

// A call must have returned OK and no text, or INVALID or UNSUPPORTED and a text. The numbers say which case it was.
void expect(int32_t code, bool accepted, const char* what, long long a, long long b);
// A call must have returned LOST and a text.
void expect_lost(int32_t code, const char* what);
uint64_t open_device(uint64_t backend, int32_t wait_limit_ms);
uint64_t new_tensor(uint64_t owner, object o);
uint64_t new_step(talaria_batch_shape with);
// An ended step of the ops at these indices (their number less one), each with args that are right.
uint64_t step_of(const int* indices, int count, talaria_batch_shape with);
// Appends top_logits with right args to a step of its own.
int32_t append_top_logits(talaria_batch_shape with);

void check_fields(void);
void check_numbers(void);
void check_batches(void);
void check_full(void);
void check_lost(uint64_t backend);

#endif
