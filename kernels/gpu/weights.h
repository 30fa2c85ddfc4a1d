// How weights and KV caches lie in device memory: planes of aligned fields, where GGUF blocks of 18, 34, 144, 176 or 210
// bytes would forbid loads of 16 bytes. The bits are those of the file, in another order; host and device code.
//
// A weight of L matrices [rows][columns] is L regions of matrix_bytes(). A region holds, one after the other, for all rows:
//   F32, F16, BF16  values, rows padded with zeros to a multiple of 16 bytes
//   Q4_0            nibbles 16 bytes a block | d
//   Q8_0            codes 32 bytes a block | d
//   Q4_K            nibbles 128 bytes a block, 16 for each group of 32 values, as in Q4_0 | heads of 16 bytes: d, dmin, 12
//                   bytes of scales
//   Q5_K            nibbles 128 | fifth bits 32, 4 for each group | heads 16
//   Q6_K            low nibbles 128 | high bits 64 | scales 16 | d
// A KV cache is [layers][blocks][positions][width] values in F32 or F16; for Q8_0 all codes, and then all scales.
#pragma once

#include "spaces.h"

#include "../common/formats.h"

#if defined(__CUDACC__) || defined(__HIP__) || defined(__CUDA__)
#define TALARIA_BOTH __attribute__((host)) __attribute__((device)) inline
#else
#define TALARIA_BOTH inline
#endif

// Byte `at` of a block's 128 bytes of nibbles, and of its 32 bytes of fifth bits, in groups, from the file's: a file has two
// groups in the low and high nibbles of 32 bytes, and bit g of fifth byte i is value i's of group g. One group alone in 16 bytes
// has one scale to decode for 32 values.
template <typename Bytes>
TALARIA_BOTH uint8_t group_nibbles(Bytes nibbles, uint32_t at) {
  const uint32_t group = at / 16, from = group / 2 * 32 + at % 16;
  const uint32_t low = nibbles[from], high = nibbles[from + 16];  // values i and i + 16
  return static_cast<uint8_t>(group % 2 == 0 ? (low & 15) | (high & 15) << 4 : low >> 4 | (high & 0xf0));
}
template <typename Bytes>
TALARIA_BOTH uint8_t group_fifth_bits(Bytes fifth, uint32_t at) {
  uint32_t bits = 0;
  for (uint32_t k = 0; k < 8; k++) bits |= (static_cast<uint32_t>(fifth[4 * k + at % 4]) >> at / 4 & 1) << k;
  return static_cast<uint8_t>(bits);
}

struct WeightLayout {
  int64_t second, third, fourth;  // where the planes after the first begin
  int64_t bytes;                  // of a matrix
};

TALARIA_BOTH int64_t talaria_round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

// Bytes from one row of plain values to the next.
TALARIA_BOTH int64_t plain_row_bytes(int32_t type, int64_t columns) {
  return talaria_round_up(columns * (type == TALARIA_F32 ? 4 : 2), 16);
}

// Bytes that 256 columns of a row take in a plane; 0 where there is none. Rows of plain values are padded besides.
TALARIA_BOTH uint32_t plane_bytes(int32_t type, uint32_t plane) {
  switch (type) {
    case TALARIA_Q4_0: return plane == 0 ? 128 : plane == 1 ? 16 : 0;
    case TALARIA_Q8_0: return plane == 0 ? 256 : plane == 1 ? 16 : 0;
    case TALARIA_Q4_K: return plane == 0 ? 128 : plane == 1 ? 16 : 0;
    case TALARIA_Q5_K: return plane == 0 ? 128 : plane == 1 ? 32 : plane == 2 ? 16 : 0;
    case TALARIA_Q6_K: return plane == 0 ? 128 : plane == 1 ? 64 : plane == 2 ? 16 : 2;
    default: return plane == 0 ? (type == TALARIA_F32 ? 1024 : 512) : 0;
  }
}

TALARIA_BOTH WeightLayout weight_layout(int32_t type, int64_t rows, int64_t columns) {
  int64_t values = rows * columns;
  WeightLayout at = {0, 0, 0, 0};
  switch (type) {
    case TALARIA_Q4_0: at.second = values / 2, at.bytes = at.second + values / 32 * 2; break;
    case TALARIA_Q8_0: at.second = values, at.bytes = at.second + values / 32 * 2; break;
    case TALARIA_Q4_K: at.second = values / 2, at.bytes = at.second + values / 256 * 16; break;
    case TALARIA_Q5_K:
      at.second = values / 2, at.third = at.second + values / 8, at.bytes = at.third + values / 256 * 16;
      break;
    case TALARIA_Q6_K:
      at.second = values / 2, at.third = at.second + values / 4, at.fourth = at.third + values / 16;
      at.bytes = at.fourth + values / 256 * 2;
      break;
    default: at.bytes = rows * plain_row_bytes(type, columns);
  }
  at.bytes = talaria_round_up(at.bytes, 256);
  return at;
}
