// Reading a KV cache: eight values of a row as floats.
#pragma once

#include "kv.h"

struct Floats8 {
  float at[8];
};

DEVICE float low_half(uint32_t word) { return half_to_float(static_cast<uint16_t>(word)); }
DEVICE float high_half(uint32_t word) { return half_to_float(static_cast<uint16_t>(word >> 16)); }

// Each reads eight values from value `at` of a cache on, and needs at to be a multiple of eight. Loads are apart from
// decoding, so that several are under way at once.
struct KvF32 {
  struct Raw {
    Words4 low, high;
  };
  static DEVICE_MEMBER Raw load(ARGS KvArg&, const GLOBAL uint8_t* cache, int64_t at, int32_t) {
    return {load_once<Words4>(cache + at * 4), load_once<Words4>(cache + at * 4 + 16)};
  }
  static DEVICE_MEMBER Floats8 decode(const LOCAL Raw& raw) {
    return {{bits_float(raw.low.x), bits_float(raw.low.y), bits_float(raw.low.z), bits_float(raw.low.w),
             bits_float(raw.high.x), bits_float(raw.high.y), bits_float(raw.high.z), bits_float(raw.high.w)}};
  }
};

struct KvF16 {
  using Raw = Words4;
  static DEVICE_MEMBER Raw load(ARGS KvArg&, const GLOBAL uint8_t* cache, int64_t at, int32_t) {
    return load_once<Words4>(cache + at * 2);
  }
  static DEVICE_MEMBER Floats8 decode(const LOCAL Raw& raw) {
    return {{low_half(raw.x), high_half(raw.x), low_half(raw.y), high_half(raw.y), low_half(raw.z), high_half(raw.z),
             low_half(raw.w), high_half(raw.w)}};
  }
};

struct KvQ8_0 {
  struct Raw {
    Words2 codes;
    uint16_t d;
  };
  static DEVICE_MEMBER Raw load(ARGS KvArg& kv, const GLOBAL uint8_t* cache, int64_t at, int32_t) {
    const GLOBAL uint16_t* scales = reinterpret_cast<const GLOBAL uint16_t*>(cache + kv.all_rows * kv.width);
    return {load_once<Words2>(cache + at), scales[at / 32]};
  }
  static DEVICE_MEMBER Floats8 decode(const LOCAL Raw& raw) {
    Floats8 result;
    float d = half_to_float(raw.d);
    UNROLL
    for (int i = 0; i < 8; i++) {
      uint32_t word = i < 4 ? raw.codes.x : raw.codes.y;
      result.at[i] = d * static_cast<float>(static_cast<int8_t>(word >> i % 4 * 8));
    }
    return result;
  }
};

// Any type at any value, `count` of the eight, zeros behind: for heads whose size is no multiple of eight.
struct KvAny {
  using Raw = Floats8;
  static DEVICE_MEMBER float value(ARGS KvArg& kv, const GLOBAL uint8_t* cache, int64_t at) {
    if (kv.type == TALARIA_F32) return reinterpret_cast<const GLOBAL float*>(cache)[at];
    if (kv.type == TALARIA_F16) return half_to_float(reinterpret_cast<const GLOBAL uint16_t*>(cache)[at]);
    const GLOBAL uint16_t* scales = reinterpret_cast<const GLOBAL uint16_t*>(cache + kv.all_rows * kv.width);
    return half_to_float(scales[at / 32]) * static_cast<float>(reinterpret_cast<const GLOBAL int8_t*>(cache)[at]);
  }
  static DEVICE_MEMBER Raw load(ARGS KvArg& kv, const GLOBAL uint8_t* cache, int64_t at, int32_t count) {
    Raw raw;
    UNROLL
    for (int i = 0; i < 8; i++) raw.at[i] = i < count ? value(kv, cache, at + i) : 0.0f;
    return raw;
  }
  static DEVICE_MEMBER Floats8 decode(const LOCAL Raw& raw) { return raw; }
};
