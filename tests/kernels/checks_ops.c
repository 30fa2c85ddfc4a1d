// Every tensor field of every op with every tensor in it, and every number at its bounds.
#include "checks.h"

#include <math.h>
#include <string.h>

typedef union args {
  struct {
    uint32_t size, reserved;
    uint64_t field[8];
  } tensors;
  uint8_t bytes[128];
  talaria_attention_input_args attention_input;
  talaria_attention_args attention;
  talaria_route_args route;
  talaria_top_logits_args top_logits;
  talaria_copy_args copy;
} args;

#define BIT(o) (1u << (o))
#define ACTS                                                                                                      \
  (BIT(X) | BIT(H) | BIT(Q) | BIT(ATTENDED) | BIT(ROUTING) | BIT(SLOTS) | BIT(TOP) | BIT(LOGITS) | BIT(SHORT_X) | \
   BIT(I32_X) | BIT(HOST))

// Per tensor field of each op: the right object, and all that may stand in its place.
static const struct {
  int op;
  size_t size;
  struct {
    object right;
    uint32_t allowed;
  } fields[8];
} ops[] = {
    {TALARIA_OP_EMBED,
     sizeof(talaria_embed_args),
     {{X, BIT(X) | BIT(H)},
      {TABLE, BIT(TABLE) | BIT(NORM) | BIT(WQ) | BIT(WK) | BIT(ROUTER) | BIT(HALF_NORM) | BIT(Q8_ROUTER)}}},
    {TALARIA_OP_ATTENTION_INPUT,
     sizeof(talaria_attention_input_args),
     {{Q, BIT(Q) | BIT(ATTENDED)},
      {X, BIT(X) | BIT(H)},
      {NORM, BIT(NORM)},
      {WQ, BIT(WQ)},
      {WK, BIT(WK)},
      {WK, BIT(WK)},
      {KEYS, BIT(KEYS)},
      {VALUES, BIT(VALUES)}}},
    {TALARIA_OP_ATTENTION,
     sizeof(talaria_attention_args),
     {{ATTENDED, BIT(ATTENDED)}, {Q, BIT(Q)}, {KEYS, BIT(KEYS)}, {VALUES, BIT(VALUES)}}},
    {TALARIA_OP_ATTENTION_OUTPUT,
     sizeof(talaria_attention_output_args),
     {{X, BIT(X) | BIT(H)}, {ATTENDED, BIT(ATTENDED) | BIT(Q)}, {WO, BIT(WO)}}},
    {TALARIA_OP_ROUTE,
     sizeof(talaria_route_args),
     {{ROUTING, BIT(ROUTING)},
      {H, BIT(H)},
      {X, BIT(X)},
      {NORM, BIT(NORM)},
      {ROUTER, BIT(ROUTER) | BIT(WQ) | BIT(WK) | BIT(TABLE)}}},
    {TALARIA_OP_EXPERTS,
     sizeof(talaria_experts_args),
     {{SLOTS, BIT(SLOTS)},
      {H, BIT(H) | BIT(X)},
      {ROUTING, BIT(ROUTING)},
      {GATE, BIT(GATE)},
      {GATE, BIT(GATE)},
      {DOWN, BIT(DOWN)},
      {MAP, BIT(MAP) | BIT(NONE)}}},
    {TALARIA_OP_ADD_SLOTS, sizeof(talaria_add_slots_args), {{X, BIT(X) | BIT(H)}, {SLOTS, BIT(SLOTS)}}},
    {TALARIA_OP_TOP_LOGITS,
     sizeof(talaria_top_logits_args),
     {{TOP, BIT(TOP)},
      {X, BIT(X) | BIT(H)},
      {NORM, BIT(NORM)},
      {TABLE, BIT(TABLE)},
      {LOGITS, BIT(LOGITS) | BIT(NONE)}}},
    {TALARIA_OP_COPY, sizeof(talaria_copy_args), {{X, ACTS & ~BIT(H)}, {H, ACTS & ~BIT(X)}}},
    {TALARIA_OP_ZERO, sizeof(talaria_zero_args), {{X, ACTS | BIT(MAP)}}},
    {TALARIA_OP_SIGNAL, sizeof(talaria_event_args), {{EVENT, BIT(EVENT)}}},
    {TALARIA_OP_WAIT, sizeof(talaria_event_args), {{EVENT, BIT(EVENT)}}},
};

static args right_args(int index) {
  args a;
  memset(&a, 0, sizeof a);
  a.tensors.size = (uint32_t)ops[index].size;
  for (int i = 0; i < 8 && ops[index].fields[i].allowed != 0; i++)
    a.tensors.field[i] = handles[ops[index].fields[i].right];
  switch (ops[index].op) {
    case TALARIA_OP_ATTENTION_INPUT:
      a.attention_input.layer = 1, a.attention_input.head_dim = 32, a.attention_input.rope_dims = 32;
      a.attention_input.rope_base = 1e6f, a.attention_input.epsilon = 1e-5f;
      break;
    case TALARIA_OP_ATTENTION: a.attention.layer = 1, a.attention.head_dim = 32, a.attention.scale = 0.2f; break;
    case TALARIA_OP_ROUTE: a.route.epsilon = 1e-5f; break;
    case TALARIA_OP_TOP_LOGITS: a.top_logits.k = K, a.top_logits.epsilon = 1e-5f; break;
    case TALARIA_OP_COPY: a.copy.row_bytes = 16; break;
    default: break;
  }
  return a;
}

static int32_t append(int op, const args* a, int64_t bytes) {
  uint64_t step = new_step(shape);
  int32_t code = talaria_step_append(device, step, op, a->bytes, bytes, &status);
  talaria_status kept = status;
  talaria_step_free(device, step, &status);
  status = kept;
  return code;
}

void check_fields(void) {
  for (size_t index = 0; index < sizeof ops / sizeof *ops; index++) {
    int64_t size = (int64_t)ops[index].size;
    for (int64_t bytes = size - 1; bytes <= size + 1; bytes++) {
      args a = right_args((int)index);
      expect(append(ops[index].op, &a, bytes), bytes == size, "op and its bytes", ops[index].op, bytes);
      a.tensors.size = (uint32_t)bytes;
      expect(append(ops[index].op, &a, size), bytes == size, "op and its size", ops[index].op, bytes);
    }
    for (int i = 0; i < 8 && ops[index].fields[i].allowed != 0; i++) {
      for (object o = 0; o < OBJECTS; o++) {
        args a = right_args((int)index);
        a.tensors.field[i] = handles[o];
        expect(append(ops[index].op, &a, size), ops[index].fields[i].allowed >> o & 1, "op * 10 + field, object",
               ops[index].op * 10 + i, o);
      }
    }
  }
}

static void check_number(int op, size_t offset, const void* value, size_t bytes, bool accepted) {
  args a = right_args(op - 1);
  memcpy(a.bytes + offset, value, bytes);
  expect(append(op, &a, (int64_t)ops[op - 1].size), accepted, "op, offset of number", op, (long long)offset);
}

void check_numbers(void) {
  const struct {
    int op;
    size_t offset;
    int32_t values[9];
    int accepted;
  } integers[] = {
      // the accepted ones first
      {TALARIA_OP_ATTENTION_INPUT,
       offsetof(talaria_attention_input_args, layer),
       {0, 1, 2, -1, LAYERS + 1, INT32_MIN, INT32_MAX, 1 << 16, 3},
       2},
      {TALARIA_OP_ATTENTION_INPUT,
       offsetof(talaria_attention_input_args, head_dim),
       {32, 0, -32, 31, 64, 96, 5, INT32_MAX, INT32_MIN},
       1},
      {TALARIA_OP_ATTENTION_INPUT,
       offsetof(talaria_attention_input_args, rope_dims),
       {2, 16, 32, 0, 1, 3, 34, -2, INT32_MAX},
       3},
      {TALARIA_OP_ATTENTION,
       offsetof(talaria_attention_args, layer),
       {0, 1, 2, -1, 3, INT32_MIN, INT32_MAX, 1 << 16, 3},
       2},
      {TALARIA_OP_ATTENTION,
       offsetof(talaria_attention_args, head_dim),
       {32, 16, 0, -32, 31, 64, 96, INT32_MAX, INT32_MIN},
       2},
      {TALARIA_OP_TOP_LOGITS,
       offsetof(talaria_top_logits_args, k),
       {K, 0, -1, K - 1, K + 1, VOCABULARY + 1, 1025, INT32_MAX, INT32_MIN},
       1},
  };
  for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
    for (int j = 0; j < 9; j++)
      check_number(integers[i].op, integers[i].offset, &integers[i].values[j], 4, j < integers[i].accepted);
  }
  const struct {
    int op;
    size_t offset;
  } positive[] = {
      {TALARIA_OP_ATTENTION_INPUT, offsetof(talaria_attention_input_args, rope_base)},
      {TALARIA_OP_ATTENTION_INPUT, offsetof(talaria_attention_input_args, epsilon)},
      {TALARIA_OP_ATTENTION, offsetof(talaria_attention_args, scale)},
      {TALARIA_OP_ROUTE, offsetof(talaria_route_args, epsilon)},
      {TALARIA_OP_TOP_LOGITS, offsetof(talaria_top_logits_args, epsilon)},
  };
  const float floats[] = {1e-30f, 1, 1e30f, 0, -1, NAN, INFINITY, -INFINITY, 2e30f};
  for (size_t i = 0; i < sizeof positive / sizeof *positive; i++) {
    for (int j = 0; j < 9; j++) check_number(positive[i].op, positive[i].offset, &floats[j], 4, j < 3);
  }
  const int64_t end = ROWS * HIDDEN * 4 - ROWS * 16, offsets[] = {0, 4, end, end + 4, -4, 2, INT64_MAX - 3, INT64_MIN};
  const int64_t rows[] = {4, 16, HIDDEN * 4, HIDDEN * 4 + 4, 0, -4, 6, INT64_MAX - 3};
  for (int i = 0; i < 8; i++) {
    check_number(TALARIA_OP_COPY, offsetof(talaria_copy_args, target_offset), &offsets[i], 8, i < 3);
    check_number(TALARIA_OP_COPY, offsetof(talaria_copy_args, source_offset), &offsets[i], 8, i < 3);
    check_number(TALARIA_OP_COPY, offsetof(talaria_copy_args, row_bytes), &rows[i], 8, i < 3);
  }
}

uint64_t step_of(const int* indices, int count, talaria_batch_shape with) {
  uint64_t step = new_step(with);
  for (int i = 0; i < count; i++) {
    args a = right_args(indices[i]);
    expect(talaria_step_append(device, step, ops[indices[i]].op, a.bytes, a.tensors.size, &status), true, "append",
           indices[i], 0);
  }
  expect(talaria_step_end(device, step, &status), true, "step_end", 0, 0);
  return step;
}

int32_t append_top_logits(talaria_batch_shape with) {
  args a = right_args(TALARIA_OP_TOP_LOGITS - 1);
  return talaria_step_append(device, new_step(with), TALARIA_OP_TOP_LOGITS, a.bytes, a.tensors.size, &status);
}
