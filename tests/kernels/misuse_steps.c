// Steps: composed of valid and spoilt ops, in order and out of it, and run over valid and spoilt batches.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "misuse.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  // of the.steps

static step peek(int device, int at) {
  pthread_mutex_lock(&lock);
  step found = the.steps[device][at];
  pthread_mutex_unlock(&lock);
  return found;
}

static void put(int device, int at, step fresh) {
  pthread_mutex_lock(&lock);
  the.steps[device][at] = fresh;
  pthread_mutex_unlock(&lock);
}

// Notes what happened to a step, unless its slot holds another one by now.
static void note(int device, int at, const step* changed) {
  pthread_mutex_lock(&lock);
  if (the.steps[device][at].handle == changed->handle) the.steps[device][at] = *changed;
  pthread_mutex_unlock(&lock);
}

void notice(int device, int32_t code) {
  if (code == TALARIA_LOST) atomic_store(&the.lost[device], true);
}

// --- calls --------------------------------------------------------------------------------------------------------------

uint64_t new_step(dice* d, uint64_t device, const talaria_step_options* options, int64_t bytes) {
  talaria_status status, *asked = ask(d, &status);
  void* block;
  uint8_t* given = exact(d, options, sizeof *options, &block);
  uint64_t handle = talaria_step_new(device, given, bytes, asked);
  settle_handle(d, CALL_STEP_NEW, handle, asked);
  free(block);
  return handle;
}

int32_t append(dice* d, uint64_t device, uint64_t step, int32_t op, const void* args, size_t size, int64_t bytes) {
  talaria_status status, *asked = ask(d, &status);
  void* block;
  uint8_t* given = exact(d, args, size, &block);
  int32_t code = settle(d, CALL_STEP_APPEND, talaria_step_append(device, step, op, given, bytes, asked), asked);
  free(block);
  return code;
}

int32_t end(dice* d, uint64_t device, uint64_t step) {
  talaria_status status, *asked = ask(d, &status);
  return settle(d, CALL_STEP_END, talaria_step_end(device, step, asked), asked);
}

void free_step(dice* d, uint64_t device, uint64_t step) {
  talaria_status status, *asked = ask(d, &status);
  settle(d, CALL_STEP_FREE, talaria_step_free(device, step, asked), asked);
  discard_stale(step);
}

int32_t run(dice* d, uint64_t device, uint64_t step, const int32_t* words, int64_t count, int64_t bytes) {
  talaria_status status, *asked = ask(d, &status);
  void* block;
  uint8_t* given = exact(d, words, (size_t)count * 4, &block);
  int32_t code = settle(d, CALL_RUN, talaria_run(device, step, given, bytes, asked), asked);
  free(block);
  return code;
}

// --- args ---------------------------------------------------------------------------------------------------------------

typedef union args {
  struct {
    uint32_t size, reserved;
  } head;
  uint32_t words[32];
  talaria_embed_args embed;
  talaria_attention_input_args attention_input;
  talaria_attention_args attention;
  talaria_attention_output_args attention_output;
  talaria_route_args route;
  talaria_experts_args experts;
  talaria_add_slots_args add_slots;
  talaria_top_logits_args top_logits;
  talaria_copy_args copy;
  talaria_zero_args zero;
  talaria_event_args event;
} args;

static uint64_t host_of(dice* d, int device) { return atomic_load(&the.host[the.separate ? device : roll(d, HOSTS)]); }

// Args that fit the tensors of a device. Which of them are there at the moment is another matter.
static args valid_args(dice* d, int op, int device, const step* s) {
  _Atomic uint64_t* t = the.tensor[device][s->size];
  args a;
  memset(&a, 0, sizeof a);
  switch (op) {
    case TALARIA_OP_EMBED:
      a.embed = (talaria_embed_args){sizeof a.embed, 0, t[one_in(d, 2) ? ROLE_X : ROLE_H], t[ROLE_TABLE]};
      break;
    case TALARIA_OP_ATTENTION_INPUT:
      a.attention_input = (talaria_attention_input_args){sizeof a.attention_input,
                                                         0,
                                                         t[ROLE_Q],
                                                         t[ROLE_X],
                                                         t[ROLE_NORM],
                                                         t[ROLE_SQUARE],
                                                         t[ROLE_KV_WEIGHT],
                                                         t[ROLE_KV_WEIGHT],
                                                         t[ROLE_KEYS],
                                                         t[ROLE_VALUES],
                                                         (int32_t)roll(d, LAYERS),
                                                         HEAD_DIM,
                                                         2 * (1 + (int32_t)roll(d, HEAD_DIM / 2)),
                                                         1e6f,
                                                         1e-5f,
                                                         0};
      break;
    case TALARIA_OP_ATTENTION:
      a.attention = (talaria_attention_args){sizeof a.attention,
                                             0,
                                             t[ROLE_ATTENDED],
                                             t[ROLE_Q],
                                             t[ROLE_KEYS],
                                             t[ROLE_VALUES],
                                             (int32_t)roll(d, LAYERS),
                                             HEAD_DIM,
                                             0.2f,
                                             0};
      break;
    case TALARIA_OP_ATTENTION_OUTPUT:
      a.attention_output =
          (talaria_attention_output_args){sizeof a.attention_output, 0, t[ROLE_X], t[ROLE_ATTENDED], t[ROLE_SQUARE]};
      break;
    case TALARIA_OP_ROUTE:
      a.route = (talaria_route_args){
          sizeof a.route, 0, t[ROLE_ROUTING], t[ROLE_H], t[ROLE_X], t[ROLE_NORM], t[ROLE_ROUTER], 1e-5f, 0};
      break;
    case TALARIA_OP_EXPERTS:
      a.experts = (talaria_experts_args){sizeof a.experts,
                                         0,
                                         t[ROLE_SLOTS],
                                         t[ROLE_H],
                                         t[ROLE_ROUTING],
                                         t[ROLE_GATE],
                                         t[ROLE_UP],
                                         t[ROLE_DOWN],
                                         one_in(d, 2) ? t[ROLE_MAP] : 0};
      break;
    case TALARIA_OP_ADD_SLOTS:
      a.add_slots = (talaria_add_slots_args){sizeof a.add_slots, 0, t[ROLE_X], t[ROLE_SLOTS]};
      break;
    case TALARIA_OP_TOP_LOGITS:
      a.top_logits = (talaria_top_logits_args){sizeof a.top_logits,
                                               0,
                                               t[ROLE_TOP],
                                               t[ROLE_X],
                                               t[ROLE_NORM],
                                               t[ROLE_TABLE],
                                               one_in(d, 2) ? t[ROLE_LOGITS] : 0,
                                               (TOP_WORDS - 1 - s->shape.targets) / 3,
                                               1e-5f};
      break;
    case TALARIA_OP_COPY:
      a.copy = (talaria_copy_args){sizeof a.copy,        0, t[ROLE_H], t[ROLE_X], 4 * roll(d, 8), 4 * roll(d, 8),
                                   4 * (1 + roll(d, 40))};
      if (one_in(d, 4))
        a.copy.target = host_of(d, device);
      else if (one_in(d, 4))
        a.copy.source = host_of(d, device);
      else if (one_in(d, 4))
        a.copy.source = t[ROLE_ROUTING], a.copy.target = t[ROLE_TOP], a.copy.row_bytes = 8;
      break;
    case TALARIA_OP_ZERO:
      a.zero = (talaria_zero_args){sizeof a.zero, 0, one_in(d, 8) ? host_of(d, device) : t[roll(d, ROLE_NORM)]};
      break;
    default: a.event = (talaria_event_args){sizeof a.event, 0, atomic_load(&the.event[roll(d, EVENTS)])};
  }
  return a;
}

// Another tensor of the same device and model is the likeliest to be taken for the right one.
static uint64_t wrong_handle(dice* d, int device, int size) {
  switch (roll(d, 4)) {
    case 0: return any_handle(d, device);
    case 1: return atomic_load(&the.extra[device][roll(d, EXTRAS)]);
    default: return atomic_load(&the.tensor[device][size][roll(d, ROLES)]);
  }
}

static void spoil_args(dice* d, int device, int size, args* a) {
  int64_t words = a->head.size / 4;
  switch (roll(d, 20)) {
    case 0: a->head.size = (uint32_t)hostile32(d); break;
    case 1: a->head.reserved = (uint32_t)hostile32(d); break;
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
    case 9: {  // a handle, in the place of one as a rule
      uint64_t handle = wrong_handle(d, device, size);
      memcpy(&a->words[2 + 2 * roll(d, words / 2 - 1)], &handle, sizeof handle);
      break;
    }
    default: {  // a number, or half a handle: with threads, not the half that names a slot
      int64_t at = one_in(d, 2) ? words - 1 - roll(d, words > 8 ? 6 : 2) : roll(d, words);
      a->words[the.separate ? at | 1 : at] = (uint32_t)hostile32(d);
    }
  }
}

// --- steps --------------------------------------------------------------------------------------------------------------

// The small model first; ROWS rows, and a width of `top` that suits two numbers of targets.
static talaria_batch_shape likely_shape(dice* d) {
  static const talaria_batch_shape shapes[] = {{ROWS, ROWS, 2, 3, 2, 3, (VOCABULARY + 31) / 32, 0},
                                               {1, 1, 1, 4, 2, 0, 0, 0},
                                               {2, 2, 2, 4, 5, 2, 0, 0},
                                               {ROWS, 0, 1, 5, 0, 0, 0, 0}};
  return shapes[roll(d, 4)];
}

static void begin_step(dice* d, int device, int at) {
  step fresh = {.size = one_in(d, 16), .shape = likely_shape(d)};
  talaria_step_options options = {sizeof options, 1 + (int32_t)roll(d, 2), {0}, 0, 0};
  uint64_t owner = atomic_load(&the.device[device]);
  int64_t bytes = sizeof options;
  if (one_in(d, 4)) {
    int32_t* numbers = (int32_t*)&fresh.shape;
    switch (roll(d, 7)) {
      case 0: options.activations = hostile32(d); break;
      case 4: options.batch_invariant = hostile32(d); break;
      case 5: options.reserved = hostile32(d); break;
      case 1: bytes = hostile_bytes(d, bytes); break;
      case 2: owner = any_handle(d, device); break;
      case 3: options.size = (uint32_t)hostile32(d); break;
      default: numbers[roll(d, 8)] = hostile32(d);
    }
  }
  memcpy(options.batch, &fresh.shape, sizeof options.batch);
  fresh.handle = new_step(d, owner, &options, bytes);
  if (fresh.handle == 0) return;
  step old = peek(device, at);
  put(device, at, fresh);
  if (old.handle != 0) free_step(d, atomic_load(&the.device[device]), old.handle);
}

static void append_op(dice* d, int device, int at, step s) {
  int op = 1 + (int)roll(d, OPS - 1);
  if (op == TALARIA_OP_WAIT && !one_in(d, 8)) op = TALARIA_OP_EXPERTS;
  args a = valid_args(d, op, device, &s);
  size_t size = a.head.size;
  int64_t bytes = (int64_t)size;
  int32_t said = op;
  uint64_t owner = atomic_load(&the.device[device]);
  if (one_in(d, 3)) {
    switch (roll(d, 16)) {
      case 0: said = one_in(d, 2) ? (int32_t)roll(d, OPS + 1) : hostile32(d); break;
      case 1: bytes = hostile_bytes(d, bytes); break;
      case 2: owner = any_handle(d, device); break;
      default: spoil_args(d, device, s.size, &a);
    }
  }
  int32_t code = append(d, owner, s.handle, said, &a, size, bytes);
  notice(device, code);
  if (code != TALARIA_OK) return;
  atomic_fetch_add(&the.appended[said], 1);
  s.ops |= 1u << said;
  if (said == TALARIA_OP_WAIT) s.event = a.event.event;
  note(device, at, &s);
}

static void run_step(dice* d, int device, step s) {
  uint64_t owner = one_in(d, 32) ? any_handle(d, device) : atomic_load(&the.device[device]);
  int64_t count = words_of(&s.shape);
  bool likely = s.shape.rows > 0 && count < 4096;  // not of an empty slot
  int32_t words[4096] = {0};
  if (!likely) count = 16;
  int64_t bytes = likely ? count * 4 : words_of(&s.shape) * 4 + 4;
  if (likely) {
    fill_batch(d, &s.shape, words);
    if (one_in(d, 2)) spoil_batch(d, &s.shape, words);
    if (one_in(d, 16)) bytes = hostile_bytes(d, bytes);
  }
  if (s.event != 0 && !one_in(d, 8)) {
    talaria_status status, *asked = ask(d, &status);
    settle(d, CALL_EVENT_SIGNAL, talaria_event_signal(s.event, asked), asked);
  }
  int32_t code = run(d, owner, s.handle, words, count, bytes);
  notice(device, code);
  if (code != TALARIA_OK || !one_in(d, 2) || sync_device(d, device, owner) != TALARIA_OK) return;
  for (int op = 1; op < OPS; op++) {
    if (s.ops >> op & 1) atomic_fetch_add(&the.executed[op], 1);
  }
}

// Of a device that was closed; a few slots keep their stale handles.
void forget_steps(dice* d, int device) {
  for (int at = 0; at < STEPS; at++) {
    if (!one_in(d, 8)) put(device, at, (step){0});
  }
}

void act_on_steps(dice* d, int device) {
  int at = (int)roll(d, STEPS);
  step s = peek(device, at);
  uint64_t owner = atomic_load(&the.device[device]);
  if (one_in(d, 16)) s.handle = any_handle(d, device);
  int64_t choice = roll(d, 100);
  if (s.handle == 0 || choice < 3) {
    begin_step(d, device, at);
  } else if (choice < 6) {
    free_step(d, one_in(d, 8) ? any_handle(d, device) : owner, s.handle);
    if (one_in(d, 8)) return;  // the slot keeps the stale handle
    begin_step(d, device, at);
  } else if (s.ended ? choice < 14 : choice < 80) {
    append_op(d, device, at, s);
  } else if (s.ended ? choice < 18 : choice < 95) {
    int32_t code = end(d, owner, s.handle);
    notice(device, code);
    s.ended |= code == TALARIA_OK;
    note(device, at, &s);
  } else {
    run_step(d, device, s);
  }
}
