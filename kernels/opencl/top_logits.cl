// The end of a step: adjustments, masks, the k best tokens, log-sum-exp. A work-group per wanted row.
//
// Tokens are compared by 64-bit keys: the adjusted logit in an order of unsigned numbers, then the id the other way round,
// so that ties go to the lower one. 0 is a token that cannot be chosen. The k-th largest key is found byte by byte from the
// top, by histograms; the rest is sorting k keys.
#include "rows.clh"
#include "../common/maths.h"

#define MOST_K 1024

// Where a batch holds what concerns wanted rows; numbers of words.
typedef struct Wanted {
  __global const int* batch;
  int target_at, targets, begin_at, token_at, penalty_at, add_at, mask_at, mask_words;
} Wanted;

#define WANTED_ARGS \
  int target_at, int targets, int begin_at, int token_at, int penalty_at, int add_at, int mask_at, int mask_words
#define WANTED {batch, target_at, targets, begin_at, token_at, penalty_at, add_at, mask_at, mask_words}

DEVICE ulong key_of(float logit, uint id) {
  if (logit != logit) return 0;
  uint bits = as_uint(logit == 0 ? 0.0f : logit);  // -0 and 0 tie
  bits = bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
  return (ulong)bits << 32 | (0xffffffffu - id);
}

DEVICE float logit_of(ulong key) {
  uint bits = (uint)(key >> 32);
  return as_float(bits >> 31 != 0 ? bits & 0x7fffffffu : ~bits);
}

DEVICE uint id_of(ulong key) { return 0xffffffffu - (uint)key; }

DEVICE bool allowed(Wanted w, long wanted, uint id) {
  return w.batch[2] == 0 || ((uint)w.batch[w.mask_at + wanted * w.mask_words + id / 32] >> id % 32 & 1) != 0;
}

// Plain logits to keys, then the few that are adjusted once more.
DEVICE void make_keys(Wanted w, long wanted, int vocabulary, __global const float* logits, __global ulong* keys) {
  for (int i = lane_index(); i < vocabulary; i += ROW_LANES) keys[i] = allowed(w, wanted, i) ? key_of(logits[i], i) : 0;
  barrier(CLK_GLOBAL_MEM_FENCE);
  __global const int *token = w.batch + w.token_at, *penalties = w.batch + w.penalty_at, *adds = w.batch + w.add_at;
  int begin = w.batch[w.begin_at + wanted], end = w.batch[w.begin_at + wanted + 1];
  for (int i = begin + lane_index(); i < end; i += ROW_LANES) {
    bool first = true;
    for (int j = begin; j < i; j++) first = first && token[j] != token[i];
    if (!first) continue;  // the lane of a token's first adjustment makes them all, in order
    float logit = logits[token[i]];
    for (int j = i; j < end; j++) {
      if (token[j] != token[i]) continue;
      float penalty = as_float(penalties[j]);
      logit = (logit > 0 ? logit / penalty : logit * penalty) + as_float(adds[j]);
    }
    keys[token[i]] = allowed(w, wanted, token[i]) ? key_of(logit, token[i]) : 0;
  }
  barrier(CLK_GLOBAL_MEM_FENCE);
}

// The smallest key among the k largest; 1 if fewer than k can be chosen. `found` holds two words.
DEVICE ulong threshold(__global const ulong* keys, int n, uint k, __local uint* histogram, __local uint* found) {
  ulong prefix = 0;
  uint left = k;
  for (int shift = 56; shift >= 0; shift -= 8) {
    for (int i = lane_index(); i < 256; i += ROW_LANES) histogram[i] = 0;
    local_barrier();
    for (int i = lane_index(); i < n; i += ROW_LANES) {
      ulong key = keys[i];
      bool same = shift == 56 || key >> (shift + 8) == prefix >> (shift + 8);
      if (same && key != 0) atomic_inc(&histogram[key >> shift & 255]);  // counts alone: sums of floats have an order
    }
    local_barrier();
    if (lane_index() == 0) {
      uint more = left;
      int digit = 255;
      while (digit > 0 && histogram[digit] < more) more -= histogram[digit--];
      found[0] = (uint)digit, found[1] = more;
    }
    local_barrier();
    uint digit = found[0], here = histogram[digit];
    left = found[1];
    local_barrier();
    if (here < left) return 1;  // all keys were counted, and there are fewer than k
    prefix |= (ulong)digit << shift;
    if (here == left) return prefix;  // all that begin with it belong to the k largest
  }
  return prefix;
}

// Sorts `size` keys, a power of two, largest first.
DEVICE void sort_keys(__local ulong* keys, int size) {
  for (int width = 2; width <= size; width *= 2) {
    for (int step = width / 2; step > 0; step /= 2) {
      for (int i = lane_index(); i < size; i += ROW_LANES) {
        int other = i ^ step;
        ulong x = keys[i], y = keys[other];
        if (other > i && (x < y) == ((i & width) == 0)) keys[i] = y, keys[other] = x;
      }
      local_barrier();
    }
  }
}

DEVICE float log_sum_exp(__global const float* logits, int n, __local float* scratch) {
  float largest = as_float(INFINITE_BITS | 0x80000000u), nan = 0, sum = 0;
  for (int i = lane_index(); i < n; i += ROW_LANES) {
    largest = larger(logits[i], largest);
    if (logits[i] != logits[i]) nan = logits[i];
  }
  largest = group_max(largest, scratch);
  for (int i = lane_index(); i < n; i += ROW_LANES) sum += exp_float(logits[i] - largest);
  return largest + log_float(group_sum(sum + nan, scratch));
}

// `logits` and `keys` are those of wanted rows from first_wanted on, as `choice` says; so is `top`.
KERNEL(ROW_LANES)
void top_logits(BATCH_ARGS, WANTED_ARGS, __global const float* logits, long logits_begin, __global ulong* keys,
                __global int* top, int vocabulary, int k) {
  __local float scratch[ROW_LANES];
  __local uint histogram[256], found[2];
  __local ulong best[MOST_K];
  long row = group_x(), wanted = first_wanted + row;
  if (row >= row_count(batch, choice, first_wanted)) return;
  Wanted w = WANTED;
  logits += logits_begin + row * vocabulary, keys += row * vocabulary;
  int size = 2;
  while (size < k) size *= 2;
  make_keys(w, wanted, vocabulary, logits, keys);
  ulong smallest = threshold(keys, vocabulary, (uint)k, histogram, found);
  for (int i = lane_index(); i < size; i += ROW_LANES) best[i] = 0;
  if (lane_index() == 0) found[0] = 0;
  local_barrier();
  for (int i = lane_index(); i < vocabulary; i += ROW_LANES) {
    if (keys[i] >= smallest) best[atomic_inc(&found[0])] = keys[i];  // in any order: they are sorted next
  }
  local_barrier();
  sort_keys(best, size);
  top += wanted * (3 * k + 1 + targets);
  int none = (int)(INFINITE_BITS | 0x80000000u);
  for (int i = lane_index(); i < k; i += ROW_LANES) {
    ulong key = best[i];
    top[i] = key != 0 ? (int)id_of(key) : -1;
    top[k + i] = key != 0 ? as_int(logit_of(key)) : none;
    top[2 * k + i] = key != 0 ? as_int(logits[id_of(key)]) : none;
  }
  float total = log_sum_exp(logits, vocabulary, scratch);
  if (lane_index() == 0) top[3 * k] = as_int(total);
  for (int j = lane_index(); j < targets; j += ROW_LANES) {
    int target = batch[target_at + wanted * targets + j];
    top[3 * k + 1 + j] = as_int(target < 0 ? 0.0f : logits[target] - total);
  }
}
