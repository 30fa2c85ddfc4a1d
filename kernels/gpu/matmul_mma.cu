// Products of many rows on the matrix units of NVIDIA GPUs from sm_75 on.
//
// Codes: per 16 x 8 x 32 products a warp issues one mma and, for its 4 results a lane, 12 to 16 float instructions, as each
// block of 32 has its own scales (and minimums). Where the matrix unit takes 16 cycles for that mma (sm_86, sm_89, sm_120)
// both are about as busy; where it takes 8 (sm_80) or less (sm_90) the float units bound it, at a third of the unit's peak; on
// sm_75 it is four instructions of 4 cycles, and half of the unit's peak: dot products would take 64 cycles for the same.
// Numbers: one mma per 16 x 8 x 16 products and nothing else; decoding weights to float16, once for 64 rows, and reading
// activations as float32 bound it. Weights are read from memory once for 64 rows: with 4.5 bits each, 228 operations a
// byte, so that memory bounds only what has few rows.
#include "matmul.h"
#include "mma.h"

#if defined(TALARIA_HAS_MMA)

namespace {

// Eight warps, 4 x 2 over the tile, each with 32 rows of weights x 32 rows of activations.
struct Mma {
  static constexpr int lanes = 32, warp_rows = 4, warp_tokens = 2, rows = 128, tokens = 64, m = 16, n = 8, results = 4;
  static DEVICE_MEMBER int lane() { return static_cast<int>(lane_index()); }
  static DEVICE_MEMBER int row(int i) { return lane() / 4 + i / 2 * 8; }
  static DEVICE_MEMBER int token(int i) { return lane() % 4 * 2 + i % 2; }
  // Words of rows g and g + 8, or of token g, from a tile's rows of bytes; 16 bytes further for those that follow.
  template <int WORDS>
  static DEVICE_MEMBER void load_a(uint32_t (&a)[WORDS], const uint8_t* tile, int row_bytes) {
    UNROLL
    for (int i = 0; i < WORDS; i++) {
      a[i] = *reinterpret_cast<const uint32_t*>(tile + (lane() / 4 + i % 2 * 8) * row_bytes + i / 2 * 16 + lane() % 4 * 4);
    }
  }
  template <int WORDS>
  static DEVICE_MEMBER void load_b(uint32_t (&b)[WORDS], const uint8_t* tile, int row_bytes) {
    UNROLL
    for (int i = 0; i < WORDS; i++) {
      b[i] = *reinterpret_cast<const uint32_t*>(tile + lane() / 4 * row_bytes + i * 16 + lane() % 4 * 4);
    }
  }
};

struct MmaInt8 : Mma {
  using Element = CodeElement;
  using A = uint32_t[2];
  using B = uint32_t[1];
  static DEVICE_MEMBER void multiply(const A (&a)[1], const B (&b)[1], int32_t (&dot)[4]) { mma_m16n8k16_s8(dot, a[0], b[0]); }
  static DEVICE_MEMBER void multiply(const A (&a)[2], const B (&b)[2], int32_t (&dot)[4]) {
    uint32_t whole_a[4] = {a[0][0], a[0][1], a[1][0], a[1][1]}, whole_b[2] = {b[0][0], b[1][0]};
    mma_m16n8k32_s8(dot, whole_a, whole_b);
  }
};

struct MmaHalf : Mma {
  using Element = HalfElement;
  using A = uint32_t[4];
  using B = uint32_t[2];
  static constexpr int k = 16;
  static DEVICE_MEMBER void multiply(const A& a, const B& b, float (&sum)[4]) { mma_m16n8k16_f16(sum, a, b); }
};

}  // namespace

MATMUL(q4_0, Q4_0, int8, MmaInt8, mma)
MATMUL(q8_0, Q8_0, int8, MmaInt8, mma)
MATMUL(q4_k, Q4_K, int8, MmaInt8, mma)
MATMUL(q5_k, Q5_K, int8, MmaInt8, mma)
MATMUL(q6_k, Q6_K, int8, MmaInt8, mma)
MATMUL(f16, F16, half, MmaHalf, mma)
#endif
