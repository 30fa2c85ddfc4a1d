// Tensors and their bytes.
#include <stdlib.h>
#include <string.h>

#include "misuse.h"

static const int64_t hidden[SIZES] = {64, 256}, ffn[SIZES] = {32, 256}, width[SIZES] = {32, 128}, held[SIZES] = {3, 1};

static uint64_t new_tensor(dice* d, uint64_t device, const talaria_tensor_desc* desc, int64_t bytes) {
  talaria_status status, *asked = ask(d, &status);
  void* block;
  uint8_t* given = exact(d, desc, sizeof *desc, &block);
  uint64_t handle = talaria_tensor_new(device, given, bytes, asked);
  settle_handle(d, CALL_TENSOR_NEW, handle, asked);
  free(block);
  return handle;
}

static void free_tensor(dice* d, uint64_t device, uint64_t handle) {
  talaria_status status, *asked = ask(d, &status);
  settle(d, CALL_TENSOR_FREE, talaria_tensor_free(device, handle, asked), asked);
  discard_stale(handle);
}

static int32_t weight_type(dice* d, int64_t columns, bool plain) {
  static const int32_t types[] = {TALARIA_F32,  TALARIA_F16,  TALARIA_BF16, TALARIA_Q4_0,
                                  TALARIA_Q8_0, TALARIA_Q4_K, TALARIA_Q5_K, TALARIA_Q6_K};
  return types[roll(d, plain ? 3 : columns % 256 == 0 ? 8 : 5)];
}

static talaria_tensor_desc describe(dice* d, role role, int size, int32_t kv_type) {
  int64_t h = hidden[size], f = ffn[size], w = width[size], l = held[size];
  talaria_tensor_desc t = {sizeof t, TALARIA_ACTIVATION, TALARIA_F32, 0, {1, 1, ROWS, h}, "tensor"};
  int64_t weight[3] = {0, 0, 0};  // [planes][rows][columns]
  switch (role) {
    case ROLE_X:
    case ROLE_H:
    case ROLE_Q:
    case ROLE_ATTENDED:
    case ROLES: break;
    case ROLE_ROUTING:
      t.type = TALARIA_I32;
      t.shape[3] = 2 * USED;
      break;
    case ROLE_SLOTS:
      t.shape[0] = 1 + roll(d, 2);
      t.shape[1] = ROWS;
      t.shape[2] = USED;
      break;
    case ROLE_MAP:
      t.type = TALARIA_I32;
      t.shape[2] = 1;
      t.shape[3] = EXPERTS;
      break;
    case ROLE_TOP:
      t.type = TALARIA_I32;
      t.shape[3] = TOP_WORDS;
      break;
    case ROLE_LOGITS: t.shape[3] = VOCABULARY; break;
    case ROLE_NORM:
      weight[0] = weight[1] = 1;
      weight[2] = h;
      break;
    case ROLE_SQUARE:
      weight[0] = 1;
      weight[1] = weight[2] = h;
      break;
    case ROLE_KV_WEIGHT:
      weight[0] = 1;
      weight[1] = w;
      weight[2] = h;
      break;
    case ROLE_TABLE:
      weight[0] = 1;
      weight[1] = VOCABULARY;
      weight[2] = h;
      break;
    case ROLE_ROUTER:
      weight[0] = 1;
      weight[1] = EXPERTS;
      weight[2] = h;
      break;
    case ROLE_GATE:
    case ROLE_UP:
      weight[0] = l;
      weight[1] = f;
      weight[2] = h;
      break;
    case ROLE_DOWN:
      weight[0] = l;
      weight[1] = h;
      weight[2] = f;
      break;
    case ROLE_KEYS:
    case ROLE_VALUES:
      t = (talaria_tensor_desc){sizeof t, TALARIA_KV, kv_type, 0, {LAYERS, KV_BLOCKS, KV_POSITIONS, w}, "kv"};
  }
  if (weight[0] != 0) {
    t.kind = TALARIA_WEIGHT;
    t.type = role == ROLE_NORM ? TALARIA_F32 : weight_type(d, weight[2], role == ROLE_ROUTER);
    memcpy(t.shape + 1, weight, sizeof weight);
  }
  return t;
}

static int64_t bytes_of(const talaria_tensor_desc* t) {
  int64_t values = t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3];
  switch (t->type) {
    case TALARIA_F16:
    case TALARIA_BF16: return values * 2;
    case TALARIA_Q4_0: return values / 32 * (int64_t)sizeof(talaria_block_q4_0);
    case TALARIA_Q8_0: return values / 32 * (int64_t)sizeof(talaria_block_q8_0);
    case TALARIA_Q4_K: return values / 256 * (int64_t)sizeof(talaria_block_q4_k);
    case TALARIA_Q5_K: return values / 256 * (int64_t)sizeof(talaria_block_q5_k);
    case TALARIA_Q6_K: return values / 256 * (int64_t)sizeof(talaria_block_q6_k);
    default: return values * 4;
  }
}

static int32_t write_bytes(dice* d, uint64_t device, uint64_t tensor, int64_t offset, const uint8_t* source,
                           int64_t bytes) {
  talaria_status status, *asked = ask(d, &status);
  return settle(d, CALL_WRITE, talaria_write(device, tensor, offset, source, bytes, asked), asked);
}

// Puts a new tensor with random contents in a role's place and frees the old one.
static void renew(dice* d, int device, int size, role role, int32_t kv_type) {
  uint64_t owner = atomic_load(&the.device[device]);
  talaria_tensor_desc desc = describe(d, role, size, kv_type);
  uint64_t fresh = new_tensor(d, owner, &desc, sizeof desc);
  if (fresh == 0) return;
  if (desc.kind != TALARIA_KV) write_bytes(d, owner, fresh, 0, contents(d), bytes_of(&desc));
  uint64_t old = atomic_exchange(&the.tensor[device][size][role], fresh);
  if (old != 0) free_tensor(d, owner, old);
}

static void renew_kv(dice* d, int device, int size) {
  static const int32_t types[] = {TALARIA_F32, TALARIA_F16, TALARIA_Q8_0};
  int32_t type = types[roll(d, 3)];
  renew(d, device, size, ROLE_KEYS, type);
  renew(d, device, size, ROLE_VALUES, type);
}

static void renew_host(dice* d, int at) {
  talaria_tensor_desc desc = {
      sizeof desc, TALARIA_HOST, one_in(d, 2) ? TALARIA_F32 : TALARIA_I32, 0, {1, 1, ROWS, hidden[0]}, "host"};
  uint64_t fresh = new_tensor(d, 0, &desc, sizeof desc);
  uint64_t old = fresh != 0 ? atomic_exchange(&the.host[at], fresh) : 0;
  if (old != 0) free_tensor(d, 0, old);
}

// A description with any numbers; one that would be granted stays small.
static void spoil_desc(dice* d, talaria_tensor_desc* t) {
  switch (roll(d, 6)) {
    case 0: t->size = (uint32_t)hostile32(d); break;
    case 1: t->kind = (int32_t)roll(d, 7) - 1; break;
    case 2: t->type = one_in(d, 2) ? (int32_t)roll(d, 40) : hostile32(d); break;
    case 3: t->reserved = hostile32(d); break;
    case 4: memset(t->label, 0xff, sizeof t->label); break;
    default: t->shape[roll(d, 4)] = hostile64(d);
  }
  if (one_in(d, 3)) t->shape[roll(d, 4)] = hostile64(d);
  if (the.separate && t->kind == TALARIA_HOST) t->kind = 0;
  double bytes = 4;
  for (int i = 0; i < 4; i++) bytes *= (double)t->shape[i];
  if (bytes > MOST_BYTES && bytes < 0x1p50) t->shape[roll(d, 4)] = one_in(d, 2) ? INT64_MAX / 8 : 0;
}

void act_on_tensors(dice* d, int device) {
  int size = one_in(d, 8);
  role role = (enum role)roll(d, ROLES);
  uint64_t owner = atomic_load(&the.device[device]);
  switch (roll(d, 8)) {
    case 0:
    case 1:
      if (role < ROLE_KEYS)
        renew(d, device, size, role, 0);
      else
        renew_kv(d, device, size);
      break;
    case 2: renew_host(d, (int)roll(d, HOSTS)); break;
    case 3: free_tensor(d, one_in(d, 2) ? owner : any_handle(d, device), 0); break;
    case 4: {
      // Whatever it is, it may be freed: its slot is filled again sooner or later.
      if (one_in(d, 4)) free_tensor(d, one_in(d, 4) ? 0 : owner, any_handle(d, device));
      break;
    }
    default: {
      talaria_tensor_desc desc = describe(d, role, size, TALARIA_F16);
      int64_t bytes = one_in(d, 8) ? hostile_bytes(d, sizeof desc) : (int64_t)sizeof desc;
      spoil_desc(d, &desc);
      if (desc.kind == TALARIA_HOST && one_in(d, 2)) owner = 0;
      if (one_in(d, 8)) owner = any_handle(d, device);
      uint64_t fresh = new_tensor(d, owner, &desc, bytes);
      uint64_t old = fresh != 0 ? atomic_exchange(&the.extra[device][roll(d, EXTRAS)], fresh) : 0;
      if (old != 0) {
        free_tensor(d, owner, old);
        free_tensor(d, 0, old);  // one of the two, for it may have been a host tensor
      }
    }
  }
}

// Any bytes of any tensor, from or to a buffer of exactly their size.
void act_on_bytes(dice* d, int device) {
  uint64_t owner = atomic_load(&the.device[device]);
  int size = one_in(d, 8);
  role role = (enum role)roll(d, ROLES);
  uint64_t tensor = one_in(d, 8) ? any_handle(d, device) : atomic_load(&the.tensor[device][size][role]);
  talaria_tensor_desc desc = describe(d, role, size, TALARIA_F16);
  int64_t row = desc.shape[3] * 4, bytes = row * (1 + roll(d, 3)), offset = one_in(d, 2) ? 0 : row;
  bool by_host = one_in(d, 4);
  if (by_host) {                                // a host tensor, at once or by way of the device
    bool at_once = one_in(d, 2) || owner == 0;  // or while the device is being opened again
    tensor = atomic_load(&the.host[the.separate ? (at_once ? DEVICES + d->thread : device) : roll(d, HOSTS)]);
    owner = at_once ? 0 : owner;
    bytes = roll(d, ROWS * hidden[0] * 4 + 1);
    offset = roll(d, 64);
  }
  if (one_in(d, 8)) bytes = hostile_bytes(d, bytes);
  if (one_in(d, 8)) offset = hostile64(d);
  if (one_in(d, 16) && !(the.separate && by_host)) owner = any_handle(d, device);

  bool reading = one_in(d, 2);
  // No tensor has more bytes than MOST_BYTES, so no more are touched however many are asked for.
  size_t room = bytes > 0 && bytes < MOST_BYTES ? (size_t)bytes : MOST_BYTES;
  uint8_t* memory = one_in(d, 32) ? NULL : malloc(room);
  if (memory != NULL) memcpy(memory, contents(d), room);
  int32_t code;
  if (reading) {
    talaria_status status, *asked = ask(d, &status);
    code = settle(d, CALL_READ, talaria_read(owner, tensor, offset, memory, bytes, asked), asked);
  } else {
    code = write_bytes(d, owner, tensor, offset, memory, bytes);
  }
  if (code == TALARIA_LOST) atomic_store(&the.lost[device], true);
  free(memory);
}

void renew_all(dice* d, int device) {
  for (int size = 0; size < SIZES; size++) {
    for (role role = 0; role < ROLE_KEYS; role++) renew(d, device, size, role, 0);
    renew_kv(d, device, size);
  }
}
