// Matrix instructions behind one vocabulary, so that a tile's product is written once for all of them.
//
// A unit multiplies A [rows][depth] by B [depth][columns] and adds to C [rows][columns]. Each lane of a warp of `lanes`
// holds a_words 32-bit words of A, b_words of B, whose per_word elements follow each other in depth, the lowest in the
// lowest bits, and `sums` values of C. Where they belong is said by a_row, a_depth, b_column, b_depth (of a word's first
// element), c_row and c_column. All lanes must call multiply().
#pragma once

#include "dialect.h"
#include "mma.h"

#if defined(TALARIA_HAS_MMA)
template <uint32_t elements_per_word>
struct MmaLayout {
  static constexpr uint32_t lanes = 32, rows = 16, columns = 8, depth = 8 * elements_per_word;
  static constexpr uint32_t a_words = 4, b_words = 2, sums = 4, per_word = elements_per_word;
  static DEVICE_MEMBER uint32_t a_row(uint32_t lane, uint32_t word) { return lane / 4 + word % 2 * 8; }
  static DEVICE_MEMBER uint32_t a_depth(uint32_t lane, uint32_t word) {
    return word / 2 * 4 * per_word + lane % 4 * per_word;
  }
  static DEVICE_MEMBER uint32_t b_column(uint32_t lane, uint32_t) { return lane / 4; }
  static DEVICE_MEMBER uint32_t b_depth(uint32_t lane, uint32_t word) { return word * 4 * per_word + lane % 4 * per_word; }
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
struct MmaBfloat : MmaLayout<2> {
  using Sum = float;
  static DEVICE_MEMBER void multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    mma_m16n8k16_bf16(c, a, b);
  }
};
#endif
