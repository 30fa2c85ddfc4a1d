// The end of a step: adjustments, masks, the k best tokens, log-sum-exp. A block of threads per wanted row.
//
// Tokens are compared by 64-bit keys: the adjusted logit in an order of unsigned numbers, then the id the other way round,
// so that ties go to the lower one. 0 is a token that cannot be chosen. The k-th largest key is found byte by byte from the
// top, by histograms; the rest is sorting k keys.
#include "../gpu/maths.h"
#include "../gpu/rows.h"
#include "block_reduce.h"

constant constexpr uint32_t most_k = 1024;

struct TopShared {
  float warps[32];
  uint32_t histogram[256];
  uint64_t best[most_k];
  uint32_t found;
  uint32_t digit, left;
};

DEVICE bool is_nan(float value) { return value != value; }

DEVICE uint64_t key_of(float logit, uint32_t id) {
  if (is_nan(logit)) return 0;
  uint32_t bits = float_bits(logit == 0 ? 0.0f : logit);  // -0 and 0 tie
  bits = bits >> 31 != 0 ? ~bits : bits | 0x80000000;
  return static_cast<uint64_t>(bits) << 32 | (0xffffffff - id);
}

DEVICE float logit_of(uint64_t key) {
  uint32_t bits = static_cast<uint32_t>(key >> 32);
  return bits_float(bits >> 31 != 0 ? bits & 0x7fffffff : ~bits);
}

DEVICE uint32_t id_of(uint64_t key) { return 0xffffffff - static_cast<uint32_t>(key); }

DEVICE bool allowed(constant BatchArg& batch, int64_t wanted, uint32_t id) {
  return batch.header[2] == 0 || (batch.mask[wanted * batch.mask_words + id / 32] >> id % 32 & 1) != 0;
}

// Plain logits to keys, then the few that are adjusted once more.
DEVICE void make_keys(Place at, constant TopLogitsArgs& a, int64_t wanted, const device float* logits,
                      device uint64_t* keys) {
  for (int64_t i = at.index; i < a.vocabulary; i += at.threads) {
    uint32_t id = static_cast<uint32_t>(i);
    keys[i] = allowed(a.batch, wanted, id) ? key_of(logits[i], id) : 0;
  }
  barrier();
  int32_t begin = a.batch.adjust_begin[wanted], end = a.batch.adjust_begin[wanted + 1];
  for (int32_t i = begin + static_cast<int32_t>(at.index); i < end; i += static_cast<int32_t>(at.threads)) {
    int32_t token = a.batch.adjust_token[i];
    bool first = true;
    for (int32_t j = begin; j < i; j++) first = first && a.batch.adjust_token[j] != token;
    if (!first) continue;  // the thread of a token's first adjustment makes them all, in order
    float logit = logits[token];
    for (int32_t j = i; j < end; j++) {
      if (a.batch.adjust_token[j] != token) continue;
      float penalty = bits_float(static_cast<uint32_t>(a.batch.adjust_penalty[j]));
      float more = bits_float(static_cast<uint32_t>(a.batch.adjust_add[j]));
      logit = (logit > 0 ? logit / penalty : logit * penalty) + more;
    }
    uint32_t id = static_cast<uint32_t>(token);
    keys[token] = allowed(a.batch, wanted, id) ? key_of(logit, id) : 0;
  }
  barrier();
}

// The smallest key among the k largest; 1 if fewer than k can be chosen.
DEVICE uint64_t threshold(Place at, const device uint64_t* keys, int64_t n, uint32_t k, threadgroup TopShared& shared) {
  uint64_t prefix = 0;
  uint32_t left = k;
  for (int shift = 56; shift >= 0; shift -= 8) {
    for (uint32_t i = at.index; i < 256; i += at.threads) shared.histogram[i] = 0;
    barrier();
    for (int64_t i = at.index; i < n; i += at.threads) {
      uint64_t key = keys[i];
      bool same = shift == 56 || key >> (shift + 8) == prefix >> (shift + 8);
      if (same && key != 0) atomic_add(&shared.histogram[key >> shift & 255], 1);
    }
    barrier();
    if (at.index == 0) {
      uint32_t more = left;
      int digit = 255;
      while (digit > 0 && shared.histogram[digit] < more) more -= shared.histogram[digit--];
      shared.digit = static_cast<uint32_t>(digit), shared.left = more;
    }
    barrier();
    if (shared.histogram[shared.digit] < shared.left) return 1;  // all keys were counted, and there are fewer than k
    left = shared.left;
    prefix |= static_cast<uint64_t>(shared.digit) << shift;
    if (shared.histogram[shared.digit] == left) return prefix;  // all that begin with it belong to the k largest
    barrier();
  }
  return prefix;
}

// Sorts `size` keys, a power of two, largest first.
DEVICE void sort_keys(Place at, threadgroup uint64_t* keys, uint32_t size) {
  for (uint32_t width = 2; width <= size; width *= 2) {
    for (uint32_t step = width / 2; step > 0; step /= 2) {
      for (uint32_t i = at.index; i < size; i += at.threads) {
        uint32_t other = i ^ step;
        if (other > i) {
          bool falling = (i & width) == 0;
          uint64_t x = keys[i], y = keys[other];
          if ((x < y) == falling) keys[i] = y, keys[other] = x;
        }
      }
      barrier();
    }
  }
}

DEVICE float log_sum_exp(Place at, const device float* logits, int64_t n, threadgroup TopShared& shared) {
  float largest = bits_float(0xff800000), nan = 0;
  for (int64_t i = at.index; i < n; i += at.threads) {
    largest = larger(largest, logits[i]);
    if (is_nan(logits[i])) nan = logits[i];
  }
  largest = block_max(at, largest, shared.warps);
  float sum = 0;
  for (int64_t i = at.index; i < n; i += at.threads) sum += exp_float(logits[i] - largest);
  sum = block_sum(at, sum + nan, shared.warps);
  return largest + log_float(sum);
}

KERNEL(top_logits, TopLogitsArgs, 1024) {
  SHARED(TopShared, shared);
  Place at = HERE;
  int64_t wanted = at.block.x;
  if (static_cast<int32_t>(wanted) >= row_count(a.batch, WANTED_ROWS)) return;
  const device float* logits = a.logits + wanted * a.vocabulary;
  device uint64_t* keys = a.keys + wanted * a.vocabulary;
  uint32_t k = static_cast<uint32_t>(a.k), size = 2;
  while (size < k) size *= 2;
  make_keys(at, a, wanted, logits, keys);
  uint64_t smallest = threshold(at, keys, a.vocabulary, k, shared);
  barrier();
  for (uint32_t i = at.index; i < size; i += at.threads) shared.best[i] = 0;
  if (at.index == 0) shared.found = 0;
  barrier();
  for (int64_t i = at.index; i < a.vocabulary; i += at.threads) {
    if (keys[i] >= smallest) shared.best[atomic_add(&shared.found, 1)] = keys[i];
  }
  barrier();
  sort_keys(at, shared.best, size);
  device int32_t* top = a.top + wanted * (3 * a.k + 1 + a.batch.targets);
  uint32_t none = 0xff800000;  // -infinity
  for (uint32_t i = at.index; i < k; i += at.threads) {
    uint64_t key = shared.best[i];
    top[i] = key != 0 ? static_cast<int32_t>(id_of(key)) : -1;
    top[k + i] = static_cast<int32_t>(key != 0 ? float_bits(logit_of(key)) : none);
    top[2 * k + i] = static_cast<int32_t>(key != 0 ? float_bits(logits[id_of(key)]) : none);
  }
  float total = log_sum_exp(at, logits, a.vocabulary, shared);
  if (at.index == 0) top[3 * k] = static_cast<int32_t>(float_bits(total));
  for (int32_t j = static_cast<int32_t>(at.index); j < a.batch.targets; j += static_cast<int32_t>(at.threads)) {
    int32_t target = a.batch.target[wanted * a.batch.targets + j];
    float value = target < 0 ? 0.0f : logits[target] - total;
    top[3 * k + 1 + j] = static_cast<int32_t>(float_bits(value));
  }
}
