// Matrix instructions behind one vocabulary, so that a tile's product is written once for all of them.
//
// A unit multiplies A [rows][depth] by B [depth][columns] and adds to C [rows][columns]. Each lane of a warp of `lanes`
// holds a_words 32-bit words of A, b_words of B, whose per_word elements follow each other in depth, the lowest in the
// lowest bits, and `sums` values of C. Where they belong is said by a_row, a_depth, b_column, b_depth (of a word's
// first element), c_row and c_column. All lanes must call multiply().
#pragma once

#include "dialect.h"
#include "hmma.h"
#include "mfma.h"
#include "mma.h"
#include "wmma.h"

#if defined(TALARIA_HAS_MMA)
template <uint32_t elements_per_word>
struct MmaLayout {
  static constexpr uint32_t lanes = 32, rows = 16, columns = 8, depth = 8 * elements_per_word;
  static constexpr uint32_t a_words = 4, b_words = 2, sums = 4, per_word = elements_per_word;
  static DEVICE_MEMBER uint32_t a_row(uint32_t lane, uint32_t word) { return lane / 4 + word % 2 * 8; }
  static DEVICE_MEMBER uint32_t a_depth(uint32_t lane, uint32_t word) { return (word / 2 * 4 + lane % 4) * per_word; }
  static DEVICE_MEMBER uint32_t b_column(uint32_t lane, uint32_t) { return lane / 4; }
  static DEVICE_MEMBER uint32_t b_depth(uint32_t lane, uint32_t word) { return (word * 4 + lane % 4) * per_word; }
  static DEVICE_MEMBER uint32_t c_row(uint32_t lane, uint32_t i) { return lane / 4 + i / 2 * 8; }
  static DEVICE_MEMBER uint32_t c_column(uint32_t lane, uint32_t i) { return lane % 4 * 2 + i % 2; }
};
struct MmaInt8 : MmaLayout<4> {
  using Sum = int32_t;
  static DEVICE_MEMBER void multiply(int32_t (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    mma_m16n8k32_s8(c, a, b);
  }
};
struct MmaHalf : MmaLayout<2> {
  using Sum = float;
  static DEVICE_MEMBER void multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    mma_m16n8k16_f16(c, a, b);
  }
};
#if defined(TALARIA_HAS_MMA_BFLOAT)
struct MmaBfloat : MmaLayout<2> {
  using Sum = float;
  static DEVICE_MEMBER void multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    mma_m16n8k16_bf16(c, a, b);
  }
};
#endif
#endif

#if defined(TALARIA_HAS_HMMA)
struct HmmaHalf {
  using Sum = float;
  static constexpr uint32_t lanes = 32, rows = 16, columns = 16, depth = 4;
  static constexpr uint32_t a_words = 2, b_words = 2, sums = 8, per_word = 2;
  static DEVICE_MEMBER uint32_t a_row(uint32_t lane, uint32_t) { return hmma_a_row(lane); }
  static DEVICE_MEMBER uint32_t a_depth(uint32_t, uint32_t word) { return word * per_word; }
  static DEVICE_MEMBER uint32_t b_column(uint32_t lane, uint32_t) { return hmma_b_column(lane); }
  static DEVICE_MEMBER uint32_t b_depth(uint32_t, uint32_t word) { return word * per_word; }
  static DEVICE_MEMBER uint32_t c_row(uint32_t lane, uint32_t i) { return hmma_c_row(lane, i); }
  static DEVICE_MEMBER uint32_t c_column(uint32_t lane, uint32_t i) { return hmma_c_column(lane, i); }
  static DEVICE_MEMBER void multiply(float (&c)[8], const uint32_t (&a)[2], const uint32_t (&b)[2]) {
    hmma_m8n8k4_f16(c, a, b);
  }
};
#endif

#if defined(TALARIA_HAS_MFMA)
template <uint32_t side, uint32_t words, uint32_t elements_per_word>
struct MfmaLayout {
  static constexpr uint32_t lanes = 64, rows = side, columns = side, depth = 64 / side * words * elements_per_word;
  static constexpr uint32_t a_words = words, b_words = words, sums = side * side / 64, per_word = elements_per_word;
  static DEVICE_MEMBER uint32_t a_row(uint32_t lane, uint32_t) { return lane % side; }
  static DEVICE_MEMBER uint32_t a_depth(uint32_t lane, uint32_t word) {
    return (lane / side * words + word) * per_word;
  }
  static DEVICE_MEMBER uint32_t b_column(uint32_t lane, uint32_t) { return lane % side; }
  static DEVICE_MEMBER uint32_t b_depth(uint32_t lane, uint32_t word) { return a_depth(lane, word); }
  static DEVICE_MEMBER uint32_t c_row(uint32_t lane, uint32_t i) { return i / 4 * 8 + lane / side * 4 + i % 4; }
  static DEVICE_MEMBER uint32_t c_column(uint32_t lane, uint32_t) { return lane % side; }
};
struct Mfma16Int8 : MfmaLayout<16, 1, 4> {
  using Sum = int32_t;
  static DEVICE_MEMBER void multiply(int32_t (&c)[4], const uint32_t (&a)[1], const uint32_t (&b)[1]) {
    mfma_16x16x16_s8(c, a, b);
  }
};
struct Mfma32Int8 : MfmaLayout<32, 1, 4> {
  using Sum = int32_t;
  static DEVICE_MEMBER void multiply(int32_t (&c)[16], const uint32_t (&a)[1], const uint32_t (&b)[1]) {
    mfma_32x32x8_s8(c, a, b);
  }
};
struct Mfma16Half : MfmaLayout<16, 2, 2> {
  using Sum = float;
  static DEVICE_MEMBER void multiply(float (&c)[4], const uint32_t (&a)[2], const uint32_t (&b)[2]) {
    mfma_16x16x16_f16(c, a, b);
  }
};
struct Mfma32Half : MfmaLayout<32, 2, 2> {
  using Sum = float;
  static DEVICE_MEMBER void multiply(float (&c)[16], const uint32_t (&a)[2], const uint32_t (&b)[2]) {
    mfma_32x32x8_f16(c, a, b);
  }
};
struct Mfma16Bfloat : MfmaLayout<16, 2, 2> {
  using Sum = float;
  static DEVICE_MEMBER void multiply(float (&c)[4], const uint32_t (&a)[2], const uint32_t (&b)[2]) {
    mfma_16x16x16_bf16(c, a, b);
  }
};
struct Mfma32Bfloat : MfmaLayout<32, 2, 2> {
  using Sum = float;
  static DEVICE_MEMBER void multiply(float (&c)[16], const uint32_t (&a)[2], const uint32_t (&b)[2]) {
    mfma_32x32x8_bf16(c, a, b);
  }
};
#endif

#if defined(TALARIA_HAS_WMMA)
template <uint32_t elements_per_word>
struct WmmaLayout {
  static constexpr uint32_t lanes = 32, rows = 16, columns = 16, depth = 16, sums = 8, per_word = elements_per_word;
  static constexpr uint32_t a_words = 16 / per_word, b_words = 16 / per_word;
  static DEVICE_MEMBER uint32_t a_row(uint32_t lane, uint32_t) { return lane % 16; }
  static DEVICE_MEMBER uint32_t a_depth(uint32_t, uint32_t word) { return word * per_word; }
  static DEVICE_MEMBER uint32_t b_column(uint32_t lane, uint32_t) { return lane % 16; }
  static DEVICE_MEMBER uint32_t b_depth(uint32_t, uint32_t word) { return word * per_word; }
  static DEVICE_MEMBER uint32_t c_row(uint32_t lane, uint32_t i) { return 2 * i + lane / 16; }
  static DEVICE_MEMBER uint32_t c_column(uint32_t lane, uint32_t) { return lane % 16; }
};
struct WmmaInt8 : WmmaLayout<4> {
  using Sum = int32_t;
  static DEVICE_MEMBER void multiply(int32_t (&c)[8], const uint32_t (&a)[4], const uint32_t (&b)[4]) {
    wmma_16x16x16_s8(c, a, b);
  }
};
struct WmmaHalf : WmmaLayout<2> {
  using Sum = float;
  static DEVICE_MEMBER void multiply(float (&c)[8], const uint32_t (&a)[8], const uint32_t (&b)[8]) {
    wmma_16x16x16_f16(c, a, b);
  }
};
struct WmmaBfloat : WmmaLayout<2> {
  using Sum = float;
  static DEVICE_MEMBER void multiply(float (&c)[8], const uint32_t (&a)[8], const uint32_t (&b)[8]) {
    wmma_16x16x16_bf16(c, a, b);
  }
};
#endif
