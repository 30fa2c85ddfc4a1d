// Products of a weight, or of a part of one, with rows of activations: each piece of it is decoded once for up to ROWS rows.
#include "dot.clh"
#include "tiles.clh"

TEAM_PRODUCTS(weight_products, WEIGHT_ROWS)

// What one lane of a team stores: its rows of the weight, from `first` on, for each row of the tile.
DEVICE void store_products(const float* sum, Weight w, Tiles tiles, RowTile t, int first, __global float* target,
                           long target_stride, int add, int grouped) {
  UNROLL
  for (int i = 0; i < ROWS; i++) {
    if (i >= t.count) continue;
    float weight_of_row = grouped == PAIRS ? weight_of_pair(tiles, t.target[i]) : 1.0f;
    __global float* to = target + t.target[i] * target_stride + w.first_row + first;
    UNROLL
    for (int r = 0; r < WEIGHT_ROWS; r++) {
      if (first + r >= w.part_rows) continue;
      float value = sum[r * ROWS + i] * weight_of_row;
      to[r] = t.plane < 0 ? 0.0f : add ? to[r] + value : value;
    }
  }
}

// Grid: tiles of rows, which so share what the caches hold of a weight; blocks of TEAMS * WEIGHT_ROWS rows of the weight.
// target[target_begin + row * target_stride ...] = w in (+ target, * the routing weight)
KERNEL(TEAM_LANES * TEAMS)
void KERNEL_NAME(product)(BATCH_ARGS, ROWS_IN_ARGS, WEIGHT_ARGS(weight), TILES_ARGS, __global float* target,
                          long target_begin, long target_stride, int add, int grouped) {
#if TEAM_LANES > 1
  __local float scratch[TEAM_SCRATCH(WEIGHT_ROWS)];
#else
  __local float scratch[1];
#endif
  RowsIn in = ROWS_IN;
  Weight w = WEIGHT(weight);
  Tiles tiles = TILES;
  RowTile t = grouped == NONE ? dense_tile(batch, choice, first_wanted, group_x())
                              : pair_tile(tiles, batch, grouped == PAIRS_OF_ROWS, group_x());
  // Pairs whose expert is elsewhere become zeros: where the first expert is, once.
  bool absent = t.plane < 0;
  if (t.count == 0 || (absent ? grouped != PAIRS || w.first_plane != 0 : !holds_plane(w, t.plane))) return;
  Matrix one = matrix_of(w, absent ? w.first_plane : t.plane), m[WEIGHT_ROWS];
  long row[WEIGHT_ROWS];
  int first = (group_y() * TEAMS + lane_index() / TEAM_LANES) * WEIGHT_ROWS;
  UNROLL
  for (int r = 0; r < WEIGHT_ROWS; r++) m[r] = one, row[r] = smaller(first + r, w.part_rows - 1);
  float sum[WEIGHT_ROWS * ROWS];
  weight_products(m, row, in, t.source, absent ? 0 : t.count, sum, scratch);
  if (lane_index() % TEAM_LANES == 0) {
    store_products(sum, w, tiles, t, first, target + target_begin, target_stride, add, grouped);
  }
}
