// The first half of experts: gate, up and SiLU in one launch, the result rounded in the epilogue. Few rows; see product.metal.
//
// A block of threads owns 32 rows of gate and up, as those give one block of int8 activations; a warp takes a row of each
// at a time.
#include "../gpu/dot.h"
#include "../gpu/maths.h"
#include "../gpu/tiles.h"
#include "kernel.h"

constant constexpr uint32_t rows_per_block = 32;

template <int M>
struct GateUpShared {
  float gate[M][rows_per_block], up[M][rows_per_block];
};

template <typename Mode, typename Format, int M>
DEVICE void gate_up(Place at, constant GateUpArgs& a, threadgroup GateUpShared<M>& shared) {
  RowTile<M> tile = pair_tile<M>(a.tiles, a.batch, a.gate.matrices, true, at.block.y);
  if (tile.count == 0 || tile.matrix < 0) return;
  Matrix matrices[2] = {matrix_of(a.gate, Format::type, tile.matrix), matrix_of(a.up, Format::type, tile.matrix)};
  int64_t begin = static_cast<int64_t>(at.block.x) * rows_per_block;
  for (uint32_t r = at.warp(); r < rows_per_block; r += at.threads / 32) {
    int64_t one = smaller(begin + r, a.gate.rows - 1), row[2] = {one, one};
    float sum[2][M];
    warp_products<Mode, Format, 2, M>(at.lane(), matrices, row, a.in, tile.source, sum);
    UNROLL
    for (int i = 0; i < M; i++) {
      if (static_cast<int>(at.lane()) == i) shared.gate[i][r] = sum[0][i], shared.up[i][r] = sum[1][i];
    }
  }
  barrier();
  int i = static_cast<int>(at.warp()) % M;  // a lane has a row of the weights now
  float value = silu(shared.gate[i][at.lane()]) * shared.up[i][at.lane()];
  store_block(a.out, at.lane(), pick(tile.target, i), begin, begin + at.lane() < a.gate.rows ? value : 0.0f,
              static_cast<int>(at.warp()) < tile.count);
}

#define GATE_UP_M(format, Format, mode, Mode, m)                           \
  KERNEL(gate_up_##format##_##mode##_m##m, GateUpArgs, 256) {              \
    SHARED(GateUpShared<m>, shared);                                       \
    gate_up<Mode, Format, m>(HERE, a, shared);                                   \
  }
#define GATE_UP(format, Format, mode, Mode)    \
  GATE_UP_M(format, Format, mode, Mode, 1)     \
  GATE_UP_M(format, Format, mode, Mode, 4)
GATE_UP(q4_0, Q4_0, int8, Int8)
GATE_UP(q8_0, Q8_0, int8, Int8)
GATE_UP(q4_k, Q4_K, int8, Int8)
GATE_UP(q5_k, Q5_K, int8, Int8)
GATE_UP(q6_k, Q6_K, int8, Int8)
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
  Place at = HERE;
  if (static_cast<int32_t>(at.block.x) >= a.batch.header[0] * a.used) return;
  for (int64_t begin = 0; begin < a.out.stride; begin += at.threads) {
    int64_t i = begin + at.index, from = at.block.x * a.columns + i;
    float value = i < a.columns ? silu(a.gate[from]) * a.up[from] : 0.0f;
    bool live = i < a.out.stride;
    store_block(a.out, at.lane(), at.block.x, live ? i / 32 * 32 : 0, value, live);
  }
}
