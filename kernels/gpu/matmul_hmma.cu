// Products of many rows on the matrix units of Volta (sm_70, sm_72), which know float16 alone.
//
// In cycles of a processor, four quarters of which work side by side: an mma of 4 * 8 x 8 x 4 products takes two, a read of
// 16 bytes a lane from block memory four.
// Numbers: for 32 x 32 x 8 products a warp has 8 mma and 4 reads, 16 cycles of each. At best that is 8 times float32's rate.
//
// Codes are multiplied as float16, which holds them exactly. Their products are integers below 2^14, the sums of a block's
// below 2^19: float32 has a bit for each of theirs, so that the unit finds nothing to round or to cut off in whatever order
// it adds, and results have the same bits as on other units. It pays: for 32 x 32 results and a block of 32 a warp takes
// 128 cycles of dot products of four codes, and here 64 of mma and about 100 of block memory, which bounds it: 64 to read
// fragments, 24 to read scales, 12 to write. That is 1.3 times the speed, and more if reads of one address by neighbouring
// lanes count once. Codes become float16 on their way into block memory, with 5 instructions for four of them. On their way
// into registers it would be 5 times as often, and take what the unit saves.
#include "hmma.h"
#include "matmul.h"

#if defined(TALARIA_HAS_HMMA)

namespace {

// A code as float16.
struct HalfCodeElement {
  static constexpr int bytes = 2;
  static constexpr bool codes = true;
  static DEVICE_MEMBER void widen(const Words4& codes, Words4 (&to)[2]) {
    codes_as_halves(codes.x, to[0].x, to[0].y);
    codes_as_halves(codes.y, to[0].z, to[0].w);
    codes_as_halves(codes.z, to[1].x, to[1].y);
    codes_as_halves(codes.w, to[1].z, to[1].w);
  }
};

// Eight warps, 4 x 2 over the tile, each with 32 rows of weights x 32 rows of activations.
struct Hmma {
  static constexpr int lanes = 32, warp_rows = 4, warp_tokens = 2, rows = 128, tokens = 64, m = 16, n = 16, results = 8;
  static DEVICE_MEMBER int row(int i) { return static_cast<int>(hmma_c_row(lane_index(), static_cast<uint32_t>(i))); }
  static DEVICE_MEMBER int token(int i) { return static_cast<int>(hmma_c_column(lane_index(), static_cast<uint32_t>(i))); }
  // Eight values of a row.
  using A = Words4;
  using B = Words4;
  static constexpr int k = 8;
  static DEVICE_MEMBER void load_a(A& a, const uint8_t* tile, int row_bytes) {
    a = *reinterpret_cast<const Words4*>(tile + static_cast<int>(hmma_a_row(lane_index())) * row_bytes);
  }
  static DEVICE_MEMBER void load_b(B& b, const uint8_t* tile, int row_bytes) {
    b = *reinterpret_cast<const Words4*>(tile + static_cast<int>(hmma_b_column(lane_index())) * row_bytes);
  }
  static DEVICE_MEMBER void multiply(const A& a, const B& b, float (&sum)[8]) {
    hmma_m8n8k4_f16(sum, {a.x, a.y}, {b.x, b.y});
    hmma_m8n8k4_f16(sum, {a.z, a.w}, {b.z, b.w});
  }
};

struct HmmaInt8 : Hmma {
  using Element = HalfCodeElement;
};

struct HmmaHalf : Hmma {
  using Element = HalfElement;
};

}  // namespace

MATMUL(q4_0, Q4_0, int8, HmmaInt8, hmma)
MATMUL(q8_0, Q8_0, int8, HmmaInt8, hmma)
MATMUL(q4_k, Q4_K, int8, HmmaInt8, hmma)
MATMUL(q5_k, Q5_K, int8, HmmaInt8, hmma)
MATMUL(q6_k, Q6_K, int8, HmmaInt8, hmma)
MATMUL(f16, F16, half, HmmaHalf, hmma)
#endif
