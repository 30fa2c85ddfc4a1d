// The first half of experts: gate, up and SiLU in one launch, the result rounded at its end.
#include "dot.clh"
#include "tiles.clh"
#include "../common/maths.h"

TEAM_PRODUCTS(gate_up_products, 2)

#define BLOCK_ROWS 32

// Grid: tiles of pairs; blocks of 32 rows of gate and up, as those give one block of int8 activations. A team takes a row
// of each at a time. out[pair] = silu(gate h) * (up h)
KERNEL(TEAM_LANES * TEAMS)
void KERNEL_NAME(gate_up)(BATCH_ARGS, ROWS_IN_ARGS, WEIGHT_ARGS(gate), WEIGHT_ARGS(up), TILES_ARGS, ROWS_OUT_ARGS) {
#if TEAM_LANES > 1
  __local float scratch[TEAM_SCRATCH(2)];
#else
  __local float scratch[1];
#endif
  __local float gated[ROWS][BLOCK_ROWS];
  RowsIn in = ROWS_IN;
  Weight g = WEIGHT(gate), u = WEIGHT(up);
  Tiles tiles = TILES;
  RowTile t = pair_tile(tiles, batch, true, group_x());
  if (t.count == 0 || t.plane < 0 || !holds_plane(g, t.plane)) return;
  Matrix m[2] = {matrix_of(g, t.plane), matrix_of(u, t.plane)};
  int begin = group_y() * BLOCK_ROWS;
  for (int r = lane_index() / TEAM_LANES; r < BLOCK_ROWS; r += TEAMS) {
    long at = smaller(begin + r, g.part_rows - 1), row[2] = {at, at};
    float sum[2 * ROWS];
    gate_up_products(m, row, in, t.source, t.count, sum, scratch);
    UNROLL
    for (int i = 0; i < ROWS; i++) {
      if (lane_index() % TEAM_LANES == 0 && i < t.count) gated[i][r] = begin + r < g.part_rows ? silu(sum[i]) * sum[ROWS + i] : 0.0f;
    }
  }
  local_barrier();
  RowsOut out = ROWS_OUT;
  for (int i = lane_index(); i < t.count; i += TEAM_LANES * TEAMS) {
    int pair_row = tiles.listed ? tiles.pair[tiles.tile[group_x()].y + i] : group_x();
    float value[BLOCK_ROWS];
    UNROLL
    for (int j = 0; j < BLOCK_ROWS; j++) value[j] = gated[i][j];
    store_block(out, pair_row, g.first_row + begin, value);
  }
}
