// Attention of runs of rows on the matrix units of gfx908 and gfx90a: attention_transposed.h by warps of 64 lanes.
//
// Registers are rationed for two blocks a compute unit, which is what gfx908 can have; it has as many again for sums alone, and
// compilers move those in and out. On gfx90a three blocks fit, by registers and by block memory.
#include "attention_transposed.h"
#include "mfma.h"

#if defined(TALARIA_HAS_MFMA)

namespace {

// A lane has rows lane / 16 * 4 on of a result, and brings the same of B, as the unit itself would have it.
struct MfmaAttention {
  using Operand = uint32_t[2];
  static constexpr int lanes = 64, part = 4;
  static constexpr int key_stride = ATTENTION_TILE_MOST_DIM + 4;  // 16 rows begin in different banks
  static constexpr int value_stride = attention_transposed::tile_positions + 4;
  static DEVICE_MEMBER int32_t row(int32_t i) { return i; }
  static DEVICE_MEMBER void load(Operand& a, const uint16_t* halves) {
    Words2 words = *reinterpret_cast<const Words2*>(halves + thread_index() % lanes / 16 * part);
    a[0] = words.x, a[1] = words.y;
  }
  static DEVICE_MEMBER void whole(Operand& b, const uint32_t (&mine)[2]) { b[0] = mine[0], b[1] = mine[1]; }
  static DEVICE_MEMBER void multiply(float (&c)[4], const Operand& a, const Operand& b) { mfma_16x16x16_f16(c, a, b); }
  static DEVICE_MEMBER float other_half(float value) { return mfma_other_half(value); }
};

}  // namespace

KERNEL_OF_BLOCKS(attention_mfma, AttentionArgs, 256, 2) {
  SHARED(attention_transposed::Memory<MfmaAttention>, memory);
  attention_transposed::attend(a, memory);
}

#endif
