// Number formats: float16, the block formats, and the KV cache's rows.
#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels.hpp"
#include "simd.hpp"

namespace talaria::cpu {

uint16_t float_to_half(float value) {
  uint32_t x;
  std::memcpy(&x, &value, 4);
  uint16_t sign = static_cast<uint16_t>(x >> 16 & 0x8000);
  x &= 0x7fffffff;
  if (x > 0x7f800000) return sign | 0x7e00;   // NaN
  if (x >= 0x477ff000) return sign | 0x7c00;  // from 65520 on: infinity
  if (x < 0x38800000) {                       // subnormal: in [0.5, 1) the last bit of a float32 is worth 2^-24
    float shifted;
    std::memcpy(&shifted, &x, 4);
    shifted += 0.5f;
    std::memcpy(&x, &shifted, 4);
    return sign | static_cast<uint16_t>(x - 0x3f000000);
  }
  x += 0xfff + (x >> 13 & 1);
  return sign | static_cast<uint16_t>((x - 0x38000000) >> 13);
}

namespace {

void decode_block(const talaria_block_q4_0& b, float* y) {
  float d = half_to_float(b.d);
  for (int i = 0; i < 16; i++) {
    y[i] = d * static_cast<float>((b.qs[i] & 15) - 8);
    y[i + 16] = d * static_cast<float>((b.qs[i] >> 4) - 8);
  }
}

void decode_block(const talaria_block_q8_0& b, float* y) {
  float d = half_to_float(b.d);
  for (int i = 0; i < 32; i++) y[i] = d * static_cast<float>(b.qs[i]);
}

// Scale and minimum of group g (0..7) of Q4_K and Q5_K: 6 bits each. The first four lie in the low 6 bits of bytes 0-3
// and 4-7; of the others the low 4 bits lie in bytes 8-11 and the high 2 bits above those of the first four.
void group_scale(const uint8_t scales[12], int g, int* scale, int* minimum) {
  if (g < 4) {
    *scale = scales[g] & 63;
    *minimum = scales[g + 4] & 63;
  } else {
    *scale = (scales[g + 4] & 15) | (scales[g - 4] >> 6) << 4;
    *minimum = (scales[g + 4] >> 4) | (scales[g] >> 6) << 4;
  }
}

void decode_block(const talaria_block_q4_k& b, float* y) {
  float d = half_to_float(b.d), dmin = half_to_float(b.dmin);
  for (int g = 0; g < 8; g++) {
    int scale, minimum;
    group_scale(b.scales, g, &scale, &minimum);
    float s = d * static_cast<float>(scale), m = dmin * static_cast<float>(minimum);
    const uint8_t* q = b.qs + g / 2 * 32;
    int shift = g % 2 * 4;
    for (int i = 0; i < 32; i++) y[g * 32 + i] = s * static_cast<float>(q[i] >> shift & 15) - m;
  }
}

void decode_block(const talaria_block_q5_k& b, float* y) {
  float d = half_to_float(b.d), dmin = half_to_float(b.dmin);
  for (int g = 0; g < 8; g++) {
    int scale, minimum;
    group_scale(b.scales, g, &scale, &minimum);
    float s = d * static_cast<float>(scale), m = dmin * static_cast<float>(minimum);
    const uint8_t* q = b.qs + g / 2 * 32;
    int shift = g % 2 * 4;
    for (int i = 0; i < 32; i++) {
      int high = (b.qh[i] >> g & 1) << 4;
      y[g * 32 + i] = s * static_cast<float>((q[i] >> shift & 15) | high) - m;
    }
  }
}

// Two halves of 128 values; in each, value 32j + i has its low bits in ql[i + 32 * (j % 2)] (nibble j / 2) and its high
// bits in bits 2j and 2j + 1 of qh[i].
void decode_block(const talaria_block_q6_k& b, float* y) {
  float d = half_to_float(b.d);
  for (int half = 0; half < 2; half++) {
    const uint8_t* ql = b.ql + half * 64;
    const uint8_t* qh = b.qh + half * 32;
    for (int j = 0; j < 4; j++) {
      for (int i = 0; i < 32; i++) {
        int low = ql[i + 32 * (j % 2)] >> (j / 2 * 4) & 15;
        int q = (low | (qh[i] >> (2 * j) & 3) << 4) - 32;
        float s = d * static_cast<float>(b.scales[half * 8 + j * 2 + i / 16]);
        y[half * 128 + j * 32 + i] = s * static_cast<float>(q);
      }
    }
  }
}

template <typename Block>
void decode_blocks(const uint8_t* source, float* target, int64_t values, int64_t per_block) {
  for (int64_t at = 0; at < values; at += per_block, source += sizeof(Block)) {
    Block block;
    std::memcpy(&block, source, sizeof block);
    decode_block(block, target + at);
  }
}

// The largest magnitude; NaN if any value is: without its sign, a NaN's bits are above all others.
float largest_magnitude(const float* values, int64_t n) {
  uint32_t largest = 0;
  for (int64_t i = 0; i < n; i++) largest = std::max(largest, std::bit_cast<uint32_t>(values[i]) & 0x7fffffff);
  return std::bit_cast<float>(largest);
}

}  // namespace

void decode(int32_t type, const uint8_t* source, float* target, int64_t values) {
  switch (type) {
    case TALARIA_F32:
      std::memcpy(target, source, static_cast<size_t>(values) * 4);
      return;
    case TALARIA_F16:
      for (int64_t i = 0; i < values; i++) {
        uint16_t h;
        std::memcpy(&h, source + 2 * i, 2);
        target[i] = half_to_float(h);
      }
      return;
    case TALARIA_BF16:
      for (int64_t i = 0; i < values; i++) {
        uint16_t h;
        std::memcpy(&h, source + 2 * i, 2);
        uint32_t bits = static_cast<uint32_t>(h) << 16;
        std::memcpy(target + i, &bits, 4);
      }
      return;
    case TALARIA_Q4_0: return decode_blocks<talaria_block_q4_0>(source, target, values, 32);
    case TALARIA_Q8_0: return decode_blocks<talaria_block_q8_0>(source, target, values, 32);
    case TALARIA_Q4_K: return decode_blocks<talaria_block_q4_k>(source, target, values, 256);
    case TALARIA_Q5_K: return decode_blocks<talaria_block_q5_k>(source, target, values, 256);
    case TALARIA_Q6_K: return decode_blocks<talaria_block_q6_k>(source, target, values, 256);
  }
}

int64_t kv_row_bytes(int32_t type, int64_t columns) {
  return type == TALARIA_F32 ? columns * 4 : type == TALARIA_F16 ? columns * 2 : columns / 32 * sizeof(talaria_block_q8_0);
}

void encode_kv(int32_t type, const float* row, uint8_t* target, int64_t columns) {
  if (type == TALARIA_F32) {
    std::memcpy(target, row, static_cast<size_t>(columns) * 4);
  } else if (type == TALARIA_F16) {
    simd().encode_halves(row, target, columns);
  } else {
    for (int64_t at = 0; at < columns; at += 32, target += sizeof(talaria_block_q8_0)) {
      talaria_block_q8_0 block;
      // NaN if any value is, so that the block decodes to NaN and is noticed.
      float scale = largest_magnitude(row + at, 32) / 127.0f;
      float inverse = scale > 0 ? 1.0f / scale : 0.0f;
      block.d = float_to_half(scale);
      for (int i = 0; i < 32; i++) {
        float q = std::roundf(row[at + i] * inverse);
        block.qs[i] = static_cast<int8_t>(std::isnan(q) ? 0.0f : std::clamp(q, -127.0f, 127.0f));
      }
      std::memcpy(target, &block, sizeof block);
    }
  }
}

}  // namespace talaria::cpu
