// What attention on matrix units reads of a KV cache in F16 or Q8_0: eight values of a row as halves.
#pragma once

#include "kv_values.h"

DEVICE uint32_t pack_halves(float low, float high) {
  return float_to_half(low) | static_cast<uint32_t>(float_to_half(high)) << 16;
}
DEVICE Words4 pack_halves8(const Floats8& v) {
  return {pack_halves(v.at[0], v.at[1]), pack_halves(v.at[2], v.at[3]), pack_halves(v.at[4], v.at[5]),
          pack_halves(v.at[6], v.at[7])};
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
