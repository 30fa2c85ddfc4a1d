// Products of many rows on the matrix units of gfx11: warps of 32 lanes.
//
// A wmma of 16 x 16 x 16 codes takes 32 cycles of a SIMD; a block of 32 has two of them and, for 8 results a lane, 24 to 32
// float instructions. These bound nothing as long as pairs of them are issued together; block memory is read at a third of its
// speed, as each lane holds whole rows of 16 values.
#include "matmul.h"
#include "wmma.h"

#if defined(TALARIA_HAS_WMMA)

namespace {

// Eight warps, 4 x 2 over the tile, each with 32 rows of weights x 32 rows of activations.
struct Wmma {
  static constexpr int lanes = 32, warp_rows = 4, warp_tokens = 2, rows = 128, tokens = 64, m = 16, n = 16, results = 8;
  static DEVICE_MEMBER int lane() { return static_cast<int>(lane_index()); }
  static DEVICE_MEMBER int row(int i) { return 2 * i + lane() / 16; }
  static DEVICE_MEMBER int token(int) { return lane() % 16; }
  // All 16 values of row r.
  template <int WORDS>
  static DEVICE_MEMBER void load_a(uint32_t (&a)[WORDS], const uint8_t* tile, int row_bytes) {
    UNROLL
    for (int i = 0; i < WORDS; i += 4) {
      Words4 words = *reinterpret_cast<const Words4*>(tile + lane() % 16 * row_bytes + 4 * i);
      a[i] = words.x, a[i + 1] = words.y, a[i + 2] = words.z, a[i + 3] = words.w;
    }
  }
  template <int WORDS>
  static DEVICE_MEMBER void load_b(uint32_t (&b)[WORDS], const uint8_t* tile, int row_bytes) {
    load_a(b, tile, row_bytes);
  }
};

struct WmmaInt8 : Wmma {
  using Element = CodeElement;
  using A = uint32_t[4];
  using B = uint32_t[4];
  template <int HALVES>
  static DEVICE_MEMBER void multiply(const A (&a)[HALVES], const B (&b)[HALVES], int32_t (&dot)[8]) {
    UNROLL
    for (int h = 0; h < HALVES; h++) wmma_16x16x16_s8(dot, a[h], b[h]);
  }
};

struct WmmaHalf : Wmma {
  using Element = HalfElement;
  using A = uint32_t[8];
  using B = uint32_t[8];
  static constexpr int k = 16;
  static DEVICE_MEMBER void multiply(const A& a, const B& b, float (&sum)[8]) { wmma_16x16x16_f16(sum, a, b); }
};

}  // namespace

MATMUL(q4_0, Q4_0, int8, WmmaInt8, wmma)
MATMUL(q8_0, Q8_0, int8, WmmaInt8, wmma)
MATMUL(q4_k, Q4_K, int8, WmmaInt8, wmma)
MATMUL(q5_k, Q5_K, int8, WmmaInt8, wmma)
MATMUL(q6_k, Q6_K, int8, WmmaInt8, wmma)
MATMUL(f16, F16, half, WmmaHalf, wmma)
#endif
