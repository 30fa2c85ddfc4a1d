// Products of many rows on any device: by dot products of four int8 codes, or by float32.
//
// Codes: of a block of 32, a thread reads 12 rows and multiplies 8 by 4 of them: 24 loads of 16 bytes for 256 dot products
// and 96 to 128 float instructions. The arithmetic bounds it, at two thirds of the rate of dot products: that is 4 times
// float32's on sm_75, sm_86 and gfx906. Numbers: 8 loads of 16 bytes for 64 products and sums, half of float32's rate at
// most; a weight is decoded once for 64 rows. F32 weights take this way everywhere, as nothing may round them.
#include "matmul.h"

namespace {

// Threads lie 16 x 16 over the tile; each has every 16th row and every 16th token.
struct Threads16x16 {
  static constexpr int lanes = 256, warp_rows = 1, warp_tokens = 1, m = 16, n = 16, results = 1, tokens = 64;
  using A = Words4;
  using B = Words4;
  static DEVICE_MEMBER int row(int) { return static_cast<int>(thread_index()) % 16; }
  static DEVICE_MEMBER int token(int) { return static_cast<int>(thread_index()) / 16; }
  static DEVICE_MEMBER void load_a(A& a, const uint8_t* tile, int row_bytes) {
    a = *reinterpret_cast<const Words4*>(tile + row(0) * row_bytes);
  }
  static DEVICE_MEMBER void load_b(B& b, const uint8_t* tile, int row_bytes) {
    b = *reinterpret_cast<const Words4*>(tile + token(0) * row_bytes);
  }
};

struct DotInt8 : Threads16x16 {
  using Element = CodeElement;
  static constexpr int rows = 128;
  template <int HALVES>
  static DEVICE_MEMBER void multiply(const A (&a)[HALVES], const B (&b)[HALVES], int32_t (&dot)[1]) {
    UNROLL
    for (int h = 0; h < HALVES; h++) {
      UNROLL
      for (int i = 0; i < 4; i++) dot[0] = dot4(word_of(a[h], i), word_of(b[h], i), dot[0]);
    }
  }
};

struct DotFloat : Threads16x16 {
  using Element = FloatElement;
  static constexpr int rows = 64, k = 4;
  static DEVICE_MEMBER void multiply(const A& a, const B& b, float (&sum)[1]) {
    UNROLL
    for (int i = 0; i < 4; i++) sum[0] = fma(bits_float(word_of(a, i)), bits_float(word_of(b, i)), sum[0]);
  }
};

}  // namespace

MATMUL(q4_0, Q4_0, int8, DotInt8, tile)
MATMUL(q8_0, Q8_0, int8, DotInt8, tile)
MATMUL(q4_k, Q4_K, int8, DotInt8, tile)
#if defined(__gfx906__)  // half of its registers are three too few
MATMUL_OF_BLOCKS(q5_k, Q5_K, int8, DotInt8, tile, 1)
#else
MATMUL(q5_k, Q5_K, int8, DotInt8, tile)
#endif
MATMUL(q6_k, Q6_K, int8, DotInt8, tile)
MATMUL(q4_0, Q4_0, half, DotFloat, tile)
MATMUL(q8_0, Q8_0, half, DotFloat, tile)
MATMUL(q4_k, Q4_K, half, DotFloat, tile)
MATMUL(q5_k, Q5_K, half, DotFloat, tile)
MATMUL(q6_k, Q6_K, half, DotFloat, tile)
MATMUL(f32, F32, half, DotFloat, tile)
MATMUL(f16, F16, half, DotFloat, tile)
MATMUL(bf16, BF16, half, DotFloat, tile)
