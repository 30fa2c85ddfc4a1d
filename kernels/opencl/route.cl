// The router: norm, product, the best experts and their softmax in one kernel; pairs sorted by expert; what is left of
// experts when gate and up are of different types.
#include "tiles.clh"
#include "weights.clh"
#include "../common/maths.h"

#define MOST_EXPERTS 512
#define EXPERTS_AT_ONCE 8

// logit[e] = router[e] h, eight experts at a time so that h is read once for them.
DEVICE void router_logits(Weight router, int type, __global const float* h, __local float8* scratch, __local float* logit) {
  Matrix m = matrix_of(router, router.first_plane);
  int lane = lane_index();
  for (int first = 0; first < router.part_rows; first += EXPERTS_AT_ONCE) {
    float sum[EXPERTS_AT_ONCE];
    UNROLL
    for (int e = 0; e < EXPERTS_AT_ONCE; e++) sum[e] = 0;
    for (int i = lane; i < router.columns; i += ROW_LANES) {
      float value = h[i];
      UNROLL
      for (int e = 0; e < EXPERTS_AT_ONCE; e++) {
        int row = smaller(first + e, router.part_rows - 1);
        sum[e] = multiply_add(weight_value(m, type, row, i), value, sum[e]);
      }
    }
    scratch[lane] = (float8)(sum[0], sum[1], sum[2], sum[3], sum[4], sum[5], sum[6], sum[7]);
    local_barrier();
    for (int step = ROW_LANES / 2; step > 0; step /= 2) {
      if (lane < step) scratch[lane] += scratch[lane + step];
      local_barrier();
    }
    if (lane == 0) vstore8(scratch[0], 0, logit + first);
    local_barrier();
  }
}

// The K largest, largest first, ties to the lower id; NaN is never larger. Their softmax.
DEVICE void choose_experts(__local const float* logit, int experts, int used, __global int* ids) {
  for (int k = 0; k < used; k++) {
    int best = -1;
    for (int e = 0; e < experts; e++) {
      bool taken = false;
      for (int j = 0; j < k; j++) taken = taken || ids[j] == e;
      if (taken) continue;
      float largest = best < 0 ? 0.0f : logit[best];
      if (best < 0 || logit[e] > largest || (largest != largest && logit[e] == logit[e])) best = e;
    }
    ids[k] = best;
  }
  float largest = logit[ids[0]], sum = 0;
  for (int k = 0; k < used; k++) sum += exp_float(logit[ids[k]] - largest);
  for (int k = 0; k < used; k++) ids[used + k] = as_int(exp_float(logit[ids[k]] - largest) / sum);
}

// A work-group per row.
KERNEL(ROW_LANES)
void route(BATCH_ARGS, __global const float* x, __global const float* norm_weight, WEIGHT_ARGS(router), int type,
           __global float* h, __global int* routing, int used, float epsilon, ROWS_OUT_ARGS) {
  __local float8 scratch[ROW_LANES];
  __local float logit[MOST_EXPERTS];
  long row = group_x();
  if (row >= row_count(batch, choice, first_wanted)) return;
  Weight r = WEIGHT(router);
  int columns = r.columns;
  __global const float* from = x + row * columns;
  __global float* to = h + row * columns;
  float squares = 0;
  for (int i = lane_index(); i < columns; i += ROW_LANES) squares = multiply_add(from[i], from[i], squares);
  float mean = group_sum(squares, (__local float*)scratch) / (float)columns, scale = 1.0f / sqrt(mean + epsilon);
  RowsOut out = ROWS_OUT;
  for (long begin = lane_index() * 32; begin < columns; begin += ROW_LANES * 32) {
    float value[32];
    UNROLL
    for (int i = 0; i < 32; i++) {
      value[i] = begin + i < columns ? from[begin + i] * scale * norm_weight[begin + i] : 0.0f;
      if (begin + i < columns) to[begin + i] = value[i];
    }
    store_block(out, row, begin, value);
  }
  barrier(CLK_GLOBAL_MEM_FENCE);
  router_logits(r, type, to, scratch, logit);
  if (lane_index() == 0) choose_experts(logit, r.part_rows, used, routing + row * 2 * used);
}

// One work-group; a lane has every ROW_LANES-th expert, whose pairs it lists in their order.
KERNEL(ROW_LANES)
void sort_pairs(__global const int* batch, TILES_ARGS, __global int4* tiles_out, __global int* count_out,
                __global int* pair_out, int tile_pairs) {
  __local int count[MOST_EXPERTS], first[MOST_EXPERTS], first_tile[MOST_EXPERTS];
  Tiles tiles = TILES;
  int pairs = batch[0] * used;
  for (int e = lane_index(); e < held; e += ROW_LANES) {
    int mine = 0;
    for (int p = 0; p < pairs; p++) mine += expert_of_pair(tiles, p) == e;
    count[e] = mine;
  }
  local_barrier();
  if (lane_index() == 0) {
    int begin = 0, tile_index = 0;
    for (int e = 0; e < held; e++) {
      first[e] = begin, first_tile[e] = tile_index;
      begin += count[e], tile_index += (count[e] + tile_pairs - 1) / tile_pairs;
    }
    *count_out = tile_index;
  }
  local_barrier();
  for (int e = lane_index(); e < held; e += ROW_LANES) {
    int at = first[e];
    for (int p = 0; p < pairs && at < first[e] + count[e]; p++) {
      if (expert_of_pair(tiles, p) == e) pair_out[at++] = p;
    }
    for (int begin = 0, t = first_tile[e]; begin < count[e]; begin += tile_pairs, t++) {
      tiles_out[t] = (int4)(e, first[e] + begin, smaller(tile_pairs, count[e] - begin), 0);
    }
  }
}

// Zeros for the pairs whose expert is not held here. A work-group per pair.
KERNEL(ROW_LANES)
void zero_absent(__global const int* batch, TILES_ARGS, __global float* slots, int columns) {
  Tiles tiles = TILES;
  int p = group_x();
  if (p >= batch[0] * used || expert_of_pair(tiles, p) >= 0) return;
  for (int i = lane_index(); i < columns; i += ROW_LANES) slots[(long)p * columns + i] = 0.0f;
}

// out[pair] = silu(gate) * up, where both come from products of their own. A work-group per pair.
KERNEL(ROW_LANES)
void silu_multiply(__global const int* batch, __global const float* gate, __global const float* up, int columns, int used,
                   ROWS_OUT_ARGS) {
  long p = group_x();
  if (p >= batch[0] * used) return;
  RowsOut out = ROWS_OUT;
  for (long begin = lane_index() * 32; begin < out_stride; begin += ROW_LANES * 32) {
    float value[32];
    for (int i = 0; i < 32; i++) {
      long at = p * columns + begin + i;
      value[i] = begin + i < columns ? silu(gate[at]) * up[at] : 0.0f;
    }
    store_block(out, p, begin, value);
  }
}
