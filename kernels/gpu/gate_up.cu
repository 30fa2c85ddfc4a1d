// The first half of experts: gate, up and SiLU in one launch, the result rounded in the epilogue. Few rows; see product.cu.
//
// A block of threads owns 32 rows of gate and up, as those give one block of int8 activations; a warp takes a row of each
// at a time. How many warps a block has, the composer chooses for a device (native/gpu/compose.cpp).
#include "dot.h"
#include "maths.h"
#include "tiles.h"

namespace {

constexpr uint32_t rows_per_block = 32;

template <int M>
struct GateUpShared {
  float gate[M][rows_per_block], up[M][rows_per_block];
};

template <typename Mode, typename Format, int M>
DEVICE void gate_up(const GateUpArgs& a, GateUpShared<M>& shared) {
  dependency_wait();
  launch_dependents();
  RowTile<M> tile = pair_tile<M>(a.tiles, a.batch, a.gate.matrices, true, block_y());
  if (tile.count == 0 || tile.matrix < 0) return;
  Matrix matrices[2] = {matrix_of(a.gate, Format::type, tile.matrix), matrix_of(a.up, Format::type, tile.matrix)};
  int64_t begin = static_cast<int64_t>(block_x()) * rows_per_block;
  for (uint32_t r = warp_index(); r < rows_per_block; r += block_threads() / 32) {
    const int64_t at = smaller(begin + r, a.gate.rows - 1), row[2] = {at, at};
    float sum[2][M];
    warp_products<Mode, Format, 2, M>(lane_index(), matrices, row, a.in, tile.source, sum);
    UNROLL
    for (int i = 0; i < M; i++) {
      if (static_cast<int>(lane_index()) == i) shared.gate[i][r] = sum[0][i], shared.up[i][r] = sum[1][i];
    }
  }
  barrier();
  int i = static_cast<int>(warp_index()) % M;  // a lane has a row of the weights now
  float value = silu(shared.gate[i][lane_index()]) * shared.up[i][lane_index()];
  store_block(a.out, lane_index(), pick(tile.target, i), begin, begin + lane_index() < a.gate.rows ? value : 0.0f,
              static_cast<int>(warp_index()) < tile.count);
}

}  // namespace

#define GATE_UP_BODY(Format, Mode, m)        \
  {                                          \
    SHARED(GateUpShared<m>, shared);         \
    gate_up<Mode, Format, m>(a, shared);     \
  }
#define GATE_UP_M4(format, Format, mode, Mode) \
  KERNEL_UNRATIONED(gate_up_##format##_##mode##_m4, GateUpArgs, 256) GATE_UP_BODY(Format, Mode, 4)
#define GATE_UP(format, Format, mode, Mode)                                                  \
  KERNEL(gate_up_##format##_##mode##_m1, GateUpArgs, 256) GATE_UP_BODY(Format, Mode, 1)      \
  GATE_UP_M4(format, Format, mode, Mode)
// So many blocks on a processor of 65536 registers as fit with two words of stack at most.
#define GATE_UP_CODES(format, Format, blocks)                                                            \
  KERNEL_RESIDENT(gate_up_##format##_int8_m1, GateUpArgs, 256, blocks) GATE_UP_BODY(Format, Int8, 1)     \
  GATE_UP_M4(format, Format, int8, Int8)
GATE_UP_CODES(q4_0, Q4_0, 4)
GATE_UP_CODES(q8_0, Q8_0, 4)
GATE_UP_CODES(q4_k, Q4_K, 4)
GATE_UP_CODES(q5_k, Q5_K, 3)
GATE_UP_CODES(q6_k, Q6_K, 3)
GATE_UP(q4_0, Q4_0, half, Half)
GATE_UP(q8_0, Q8_0, half, Half)
GATE_UP(q4_k, Q4_K, half, Half)
GATE_UP(q5_k, Q5_K, half, Half)
GATE_UP(q6_k, Q6_K, half, Half)
GATE_UP(f32, F32, half, Plain)
GATE_UP(f16, F16, half, Plain)
GATE_UP(bf16, BF16, half, Plain)

// Where gate and up are of different types, and come from products of their own. A block of threads per pair.
KERNEL(silu_multiply, SiluMultiplyArgs, 256) {
  dependency_wait();
  launch_dependents();
  if (static_cast<int32_t>(block_x()) >= a.batch.header[0] * a.used) return;
  for (int64_t begin = 0; begin < a.out.stride; begin += block_threads()) {
    int64_t i = begin + thread_index(), at = block_x() * a.columns + i;
    float value = i < a.columns ? silu(a.gate[at]) * a.up[at] : 0.0f;
    bool live = i < a.out.stride;
    store_block(a.out, lane_index(), block_x(), live ? i / 32 * 32 : 0, value, live);
  }
}
