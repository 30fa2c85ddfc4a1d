// Products of many rows on the matrix units of gfx908 and gfx90a: warps of 64 lanes.
//
// An mfma of 16 x 16 x 16 codes takes 8 passes of 4 cycles; a block of 32 has two of them and, for 4 results a lane, 12 to 16
// float instructions of 4 cycles, which are issued beside them: both are about as busy. Block memory allows three blocks a
// compute unit. Against dot products of four codes (64 lanes x 4 in 4 cycles) the unit does four times the work.
#include "matmul.h"
#include "mfma.h"

#if defined(TALARIA_HAS_MFMA)

namespace {

// Four warps, 2 x 2 over the tile, each with 64 rows of weights x 32 rows of activations.
struct Mfma {
  static constexpr int lanes = 64, warp_rows = 2, warp_tokens = 2, rows = 128, tokens = 64, m = 16, n = 16, results = 4;
  static DEVICE_MEMBER int lane() { return static_cast<int>(thread_index()) % 64; }
  static DEVICE_MEMBER int row(int i) { return lane() / 16 * 4 + i; }
  static DEVICE_MEMBER int token(int) { return lane() % 16; }
  // Values 4q to 4q + 3 of row r, q the lane's quarter of the warp.
  template <int WORDS>
  static DEVICE_MEMBER void load_a(uint32_t (&a)[WORDS], const uint8_t* tile, int row_bytes) {
    const uint8_t* at = tile + lane() % 16 * row_bytes + lane() / 16 * 4 * WORDS;
    UNROLL
    for (int i = 0; i < WORDS; i++) a[i] = reinterpret_cast<const uint32_t*>(at)[i];
  }
  template <int WORDS>
  static DEVICE_MEMBER void load_b(uint32_t (&b)[WORDS], const uint8_t* tile, int row_bytes) {
    load_a(b, tile, row_bytes);
  }
};

struct MfmaInt8 : Mfma {
  using Element = CodeElement;
  using A = uint32_t[1];
  using B = uint32_t[1];
  template <int HALVES>
  static DEVICE_MEMBER void multiply(const A (&a)[HALVES], const B (&b)[HALVES], int32_t (&dot)[4]) {
    UNROLL
    for (int h = 0; h < HALVES; h++) mfma_16x16x16_s8(dot, a[h], b[h]);
  }
};

struct MfmaHalf : Mfma {
  using Element = HalfElement;
  using A = uint32_t[2];
  using B = uint32_t[2];
  static constexpr int k = 16;
  static DEVICE_MEMBER void multiply(const A& a, const B& b, float (&sum)[4]) { mfma_16x16x16_f16(sum, a, b); }
};

}  // namespace

MATMUL(q4_0, Q4_0, int8, MfmaInt8, mfma)
MATMUL(q8_0, Q8_0, int8, MfmaInt8, mfma)
MATMUL(q4_k, Q4_K, int8, MfmaInt8, mfma)
MATMUL(q5_k, Q5_K, int8, MfmaInt8, mfma)
MATMUL(q6_k, Q6_K, int8, MfmaInt8, mfma)
MATMUL(f16, F16, half, MfmaHalf, mfma)
#endif
