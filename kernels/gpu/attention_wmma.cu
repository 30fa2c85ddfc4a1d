// Attention of runs of rows on the matrix units of gfx11: attention_transposed.h by warps of 32 lanes.
//
// A unit wants all 16 depths of its operands in both halves of a warp. Queries, of which there are so many, are kept once
// and brought together by a shuffle whenever they are needed, as kept twice they would not leave registers for the rest.
#include "attention_transposed.h"
#include "wmma.h"

#if defined(TALARIA_HAS_WMMA)

namespace {

// Lanes below 16 have the even rows of a result, the others the odd ones: row() makes those the first and the last eight.
struct WmmaAttention {
  using Operand = uint32_t[8];
  static constexpr int lanes = 32, part = 8;
  static constexpr int key_stride = ATTENTION_TILE_MOST_DIM + 8;  // eight rows begin in different banks
  static constexpr int value_stride = attention_transposed::tile_positions + 8;
  static DEVICE_MEMBER int32_t row(int32_t i) { return i % 8 * 2 + i / 8; }
  static DEVICE_MEMBER void load(Operand& a, const uint16_t* halves) {
    UNROLL
    for (int i = 0; i < 2; i++) {
      Words4 words = reinterpret_cast<const Words4*>(halves)[i];
      a[4 * i] = words.x, a[4 * i + 1] = words.y, a[4 * i + 2] = words.z, a[4 * i + 3] = words.w;
    }
  }
  static DEVICE_MEMBER void whole(Operand& b, const uint32_t (&mine)[4]) {
    bool low = lane_index() < 16;
    UNROLL
    for (int i = 0; i < 4; i++) {
      uint32_t other = shuffle_xor(mine[i], 16);
      b[i] = low ? mine[i] : other, b[4 + i] = low ? other : mine[i];
    }
  }
  static DEVICE_MEMBER void multiply(float (&c)[8], const Operand& a, const Operand& b) { wmma_16x16x16_f16(c, a, b); }
};

}  // namespace

KERNEL(attention_wmma, AttentionArgs, 128) {
  SHARED(attention_transposed::Memory<WmmaAttention>, memory);
  attention_transposed::attend(a, memory);
}

#endif
