// Products with few rows of activations: bound by reading the weights, each once for up to 4 rows.
//
// A warp takes two rows of weights, so that a row's activations are read once for both and four loads of 16 bytes are under
// way per lane. Lanes go through a row together, 512 bytes at a time.
#include "dot.h"
#include "prefetch.h"
#include "tiles.h"

namespace {

constexpr int rows_per_warp = 2;

template <int M>
DEVICE RowTile<M> product_tile(const ProductArgs& a) {
  if (a.grouped == NONE) return dense_tile<M>(a.batch, a.choice, block_y());
  return pair_tile<M>(a.tiles, a.batch, a.weight.matrices, a.grouped == PAIRS_OF_ROWS, block_y());
}

// The matrix of a pair by itself, before what comes before has ended, or -1. The launch that chose the expert comes before that
// one and has ended; were the id stale all the same, the wrong rows would be asked for, and the right ones loaded later.
[[maybe_unused]] DEVICE int32_t early_matrix(const ProductArgs& a) {
  const int32_t pair = static_cast<int32_t>(block_y()), used = a.tiles.used;
  if (a.grouped != PAIRS || a.tiles.tiles != nullptr || pair >= a.batch.header[0] * used) return -1;
  const int32_t* id = a.tiles.routing + pair / used * 2 * used + pair % used;
  return local_expert(a.tiles, static_cast<int32_t>(load_system(reinterpret_cast<const uint32_t*>(id))), a.weight.matrices);
}

// A lane asks for a plane of one of the warp's rows.
struct AskForRow {
  [[maybe_unused]] CONSTANT bool asks = true;
  PrefetchPlane plane;
  int64_t row;
  DEVICE_MEMBER void operator()(int32_t chunk) const { prefetch_piece(plane, row, chunk + 128); }
};

template <typename Format>
DEVICE AskForRow ask_for_row(const ProductArgs& a, int32_t matrix, int64_t first) {
  const int64_t row = first + lane_index() / 4;
  if (lane_index() >= 4 * rows_per_warp || row >= a.weight.rows || matrix < 0) return {};
  return {prefetch_plane(a.weight, Format::type, matrix, lane_index() % 4), row};
}

template <typename Mode, typename Format, int M>
DEVICE void product(const ProductArgs& a) {
  int64_t first = (static_cast<int64_t>(block_x()) * (block_threads() / 32) + warp_index()) * rows_per_warp;
  if constexpr (prefetches) {
    AskForRow early = ask_for_row<Format>(a, a.grouped != NONE ? early_matrix(a) : block_y() == 0 ? 0 : -1, first);
    prefetch_piece(early.plane, early.row, 0);
  }
  dependency_wait();
  launch_dependents();
  RowTile<M> tile = product_tile<M>(a);
  if (tile.count == 0) return;
  bool absent = tile.matrix < 0;
  if (absent && a.zero_absent == 0) return;
  Matrix m = matrix_of(a.weight, Format::type, absent ? 0 : tile.matrix), matrices[rows_per_warp] = {m, m};
  int64_t row[rows_per_warp];
  UNROLL
  for (int r = 0; r < rows_per_warp; r++) row[r] = smaller(first + r, a.weight.rows - 1);
  float sum[rows_per_warp][M];
  if constexpr (prefetches && M == 1 && Format::asks_ahead) {
    warp_products<Mode, Format, rows_per_warp, M>(lane_index(), matrices, row, a.in, tile.source, sum,
                                                  ask_for_row<Format>(a, tile.matrix, first));
  } else {
    warp_products<Mode, Format, rows_per_warp, M>(lane_index(), matrices, row, a.in, tile.source, sum);
  }
  UNROLL
  for (int r = 0; r < rows_per_warp; r++) {
    UNROLL
    for (int i = 0; i < M; i++) {
      if (static_cast<int>(lane_index()) != r * M + i || i >= tile.count || first + r >= a.weight.rows) continue;
      float value = sum[r][i];
      if (a.grouped == PAIRS) {
        const int32_t* routing = a.tiles.routing + tile.target[i] / a.tiles.used * (2 * a.tiles.used);
        value *= bits_float(static_cast<uint32_t>(routing[a.tiles.used + tile.target[i] % a.tiles.used]));
      }
      float* target = a.target + tile.target[i] * a.target_stride + first + r;
      *target = absent ? 0.0f : a.add != 0 ? *target + value : value;
    }
  }
}

}  // namespace

#define PRODUCT_M4(format, Format, mode, Mode) \
  KERNEL_UNRATIONED(product_##format##_##mode##_m4, ProductArgs, 128) { product<Mode, Format, 4>(a); }
#define PRODUCT(format, Format, mode, Mode)                                                  \
  KERNEL(product_##format##_##mode##_m1, ProductArgs, 128) { product<Mode, Format, 1>(a); }  \
  PRODUCT_M4(format, Format, mode, Mode)
// So many blocks on a processor of 65536 registers as fit with two words of stack at most.
#define PRODUCT_CODES(format, Format, blocks)                                                              \
  KERNEL_RESIDENT(product_##format##_int8_m1, ProductArgs, 128, blocks) { product<Int8, Format, 1>(a); }   \
  PRODUCT_M4(format, Format, int8, Int8)
PRODUCT_CODES(q4_0, Q4_0, 8)
PRODUCT_CODES(q8_0, Q8_0, 8)
PRODUCT_CODES(q4_k, Q4_K, 8)
PRODUCT_CODES(q5_k, Q5_K, 7)
PRODUCT_CODES(q6_k, Q6_K, 6)
PRODUCT(q4_0, Q4_0, half, Half)
PRODUCT(q8_0, Q8_0, half, Half)
PRODUCT(q4_k, Q4_K, half, Half)
PRODUCT(q5_k, Q5_K, half, Half)
PRODUCT(q6_k, Q6_K, half, Half)
PRODUCT(f32, F32, half, Plain)
PRODUCT(f16, F16, half, Plain)
PRODUCT(bf16, BF16, half, Plain)
