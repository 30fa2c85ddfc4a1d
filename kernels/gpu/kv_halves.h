// Halves for attention on matrix units: of queries and weights, and of a KV cache in F16 or Q8_0, eight values of a row.
#pragma once

#include "kv_values.h"

DEVICE uint32_t pack_halves(float low, float high) {
  return float_to_half(low) | static_cast<uint32_t>(float_to_half(high)) << 16;
}
DEVICE Words4 pack_halves8(const Floats8& v) {
  return {pack_halves(v.at[0], v.at[1]), pack_halves(v.at[2], v.at[3]), pack_halves(v.at[4], v.at[5]),
          pack_halves(v.at[6], v.at[7])};
}

// Floats as what f16 holds of them, and what is left.
template <int count>
DEVICE void split_halves(const float (&value)[count], uint32_t (&halves)[count / 2], uint32_t (&rest)[count / 2]) {
  UNROLL
  for (int w = 0; w < count / 2; w++) {
    float low = value[2 * w], high = value[2 * w + 1];
    halves[w] = pack_halves(low, high);
    rest[w] = pack_halves(low - low_half(halves[w]), high - high_half(halves[w]));
  }
}

// Eight values as halves; of a key, its scale apart.
DEVICE Words4 value_halves(const KvF16::Raw& raw) { return raw; }
DEVICE Words4 value_halves(const KvQ8_0::Raw& raw) { return pack_halves8(KvQ8_0::decode(raw)); }
DEVICE Words4 key_halves(const KvF16::Raw& raw, float*) { return raw; }
DEVICE Words4 key_halves(KvQ8_0::Raw raw, float* scale) {  // two threads store it: the same
  *scale = half_to_float(raw.d);
  raw.d = 0x3c00;  // 1
  return pack_halves8(KvQ8_0::decode(raw));
}
