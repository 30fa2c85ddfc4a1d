// Products with few rows of activations: bound by reading the weights, each once for up to 4 rows.
//
// A warp takes two rows of weights, so that a row's activations are read once for both and four loads of 16 bytes are under
// way per lane. Lanes go through a row together, 512 bytes at a time.
#include "../gpu/dot.h"
#include "../gpu/tiles.h"
#include "kernel.h"

constant constexpr int rows_per_warp = 2;

template <int M>
DEVICE RowTile<M> product_tile(Place at, constant ProductArgs& a) {
  if (a.grouped == NONE) return dense_tile<M>(a.batch, a.choice, at.block.y);
  return pair_tile<M>(a.tiles, a.batch, a.weight.matrices, a.grouped == PAIRS_OF_ROWS, at.block.y);
}

template <typename Mode, typename Format, int M>
DEVICE void product(Place at, constant ProductArgs& a) {
  RowTile<M> tile = product_tile<M>(at, a);
  if (tile.count == 0) return;
  bool absent = tile.matrix < 0;
  if (absent && a.zero_absent == 0) return;
  Matrix m = matrix_of(a.weight, Format::type, absent ? 0 : tile.matrix), matrices[rows_per_warp] = {m, m};
  int64_t first = (static_cast<int64_t>(at.block.x) * (at.threads / 32) + at.warp()) * rows_per_warp;
  int64_t row[rows_per_warp];
  UNROLL
  for (int r = 0; r < rows_per_warp; r++) row[r] = smaller(first + r, a.weight.rows - 1);
  float sum[rows_per_warp][M];
  warp_products<Mode, Format, rows_per_warp, M>(at.lane(), matrices, row, a.in, tile.source, sum);
  UNROLL
  for (int r = 0; r < rows_per_warp; r++) {
    UNROLL
    for (int i = 0; i < M; i++) {
      if (static_cast<int>(at.lane()) != r * M + i || i >= tile.count || first + r >= a.weight.rows) continue;
      float value = sum[r][i];
      if (a.grouped == PAIRS) {
        const device int32_t* routing = a.tiles.routing + tile.target[i] / a.tiles.used * (2 * a.tiles.used);
        value *= bits_float(static_cast<uint32_t>(routing[a.tiles.used + tile.target[i] % a.tiles.used]));
      }
      device float* target = a.target + tile.target[i] * a.target_stride + first + r;
      *target = absent ? 0.0f : a.add != 0 ? *target + value : value;
    }
  }
}

#define PRODUCT(format, Format, mode, Mode)                                                        \
  KERNEL(product_##format##_##mode##_m1, ProductArgs, 128) { product<Mode, Format, 1>(HERE, a); }  \
  KERNEL(product_##format##_##mode##_m4, ProductArgs, 128) { product<Mode, Format, 4>(HERE, a); }
PRODUCT(q4_0, Q4_0, int8, Int8)
PRODUCT(q8_0, Q8_0, int8, Int8)
PRODUCT(q4_k, Q4_K, int8, Int8)
PRODUCT(q5_k, Q5_K, int8, Int8)
PRODUCT(q6_k, Q6_K, int8, Int8)
PRODUCT(q4_0, Q4_0, half, Half)
PRODUCT(q8_0, Q8_0, half, Half)
PRODUCT(q4_k, Q4_K, half, Half)
PRODUCT(q5_k, Q5_K, half, Half)
PRODUCT(q6_k, Q6_K, half, Half)
PRODUCT(f32, F32, half, Plain)
PRODUCT(f16, F16, half, Plain)
PRODUCT(bf16, BF16, half, Plain)
