// Attention over a paged KV cache, the positions cut into splits of a fixed size: attention_split computes each split's
// part, attention_combine adds the parts. What a row gets depends on nothing but the row.
#include "kv.clh"
#include "../common/maths.h"

#define SPLIT_POSITIONS 128
#define SPLIT_HEADS 4  // query heads of one KV head that a work-group takes at once
#define MOST_DIM 256

DEVICE float dot4(float4 a, float4 b) {
  float4 product = a * b;
  return (product.x + product.y) + (product.z + product.w);
}

// Of each head, over the lanes.
DEVICE float4 lanes_max(float4 value, __local float4* scratch) {
  scratch[lane_index()] = value;
  local_barrier();
  float4 largest = scratch[0];
  for (int i = 1; i < ATTENTION_LANES; i++) largest = fmax(largest, scratch[i]);
  local_barrier();
  return largest;
}

DEVICE float4 lanes_sum(float4 value, __local float4* scratch) {
  scratch[lane_index()] = value;
  local_barrier();
  float4 sum = scratch[0];
  for (int i = 1; i < ATTENTION_LANES; i++) sum += scratch[i];
  local_barrier();
  return sum;
}

DEVICE float4 exp_float4(float4 x) {
  return (float4)(exp_float(x.x), exp_float(x.y), exp_float(x.z), exp_float(x.w));
}

// scale * q k of the lane's positions; each key is read once for all heads.
DEVICE void split_scores(Kv kv, __global const uchar* keys, __local const float* query, __local const long* at, int count,
                         float scale, __local float4* score) {
  for (int p = lane_index(); p < count; p += ATTENTION_LANES) {
    float4 sum[SPLIT_HEADS];
    UNROLL
    for (int h = 0; h < SPLIT_HEADS; h++) sum[h] = 0;
    for (int d = 0; d < kv.head_dim; d += 4) {
      float4 key = kv_load4(kv, keys, at[p] + d, kv.head_dim - d);
      UNROLL
      for (int h = 0; h < SPLIT_HEADS; h++) sum[h] = multiply_add4(vload4(0, query + h * MOST_DIM + d), key, sum[h]);
    }
    score[p] = scale * (float4)(dot4(sum[0], 1), dot4(sum[1], 1), dot4(sum[2], 1), dot4(sum[3], 1));
  }
  local_barrier();
}

// The weighted values, each lane four columns of every slices-th position; then the slices are added. `part` is that of the
// first head, and heads lie 2 + head_dim apart.
DEVICE void split_values(Kv kv, __global const uchar* values, __local const long* at, int count,
                         __local const float4* weight, __local float4* slice_sum, int heads, __global float* part) {
  int units = (kv.head_dim + 3) / 4, lanes = smaller(units, ATTENTION_LANES), slices = ATTENTION_LANES / lanes;
  int slice = lane_index() / lanes;
  for (int base = 0; base < units; base += lanes) {
    int unit = base + lane_index() % lanes, d = smaller(unit, units - 1) * 4;
    float4 sum[SPLIT_HEADS];
    UNROLL
    for (int h = 0; h < SPLIT_HEADS; h++) sum[h] = 0;
    for (int p = slice < slices ? slice : count; p < count; p += slices) {
      float4 value = kv_load4(kv, values, at[p] + d, kv.head_dim - d), w = weight[p];
      sum[0] = multiply_add4((float4)(w.x), value, sum[0]), sum[1] = multiply_add4((float4)(w.y), value, sum[1]);
      sum[2] = multiply_add4((float4)(w.z), value, sum[2]), sum[3] = multiply_add4((float4)(w.w), value, sum[3]);
    }
    for (int h = 0; h < heads; h++) {
      slice_sum[lane_index()] = h == 0 ? sum[0] : h == 1 ? sum[1] : h == 2 ? sum[2] : sum[3];
      local_barrier();
      if (slice == 0 && unit < units) {
        float4 total = slice_sum[lane_index()];
        for (int s = 1; s < slices; s++) total += slice_sum[s * lanes + lane_index()];
        float all[4] = {total.x, total.y, total.z, total.w};
        for (int i = 0; i < smaller(4, kv.head_dim - d); i++) part[h * (2 + kv.head_dim) + 2 + d + i] = all[i];
      }
      local_barrier();
    }
  }
}

// partial [launched rows][splits][N][2 + D]: maximum, sum, weighted values. Grid: splits; KV heads times blocks of their
// query heads; rows from first_row on.
KERNEL(ATTENTION_LANES)
void attention_split(TABLE_ARGS, KV_ARGS, __global const float* q, __global const uchar* keys,
                     __global const uchar* values, __global float* partial, int heads, int splits, int first_row,
                     float scale) {
  __local float4 score[SPLIT_POSITIONS];  // then weights
  __local long at[SPLIT_POSITIONS];       // where a position's values begin in the cache
  __local float4 scratch[ATTENTION_LANES];
  __local float query[SPLIT_HEADS * MOST_DIM];
  long row = first_row + group_z();
  if (row >= batch[0]) return;
  Kv kv = KV;
  int begin = group_x() * SPLIT_POSITIONS, count = smaller(batch[position_at + row] + 1 - begin, SPLIT_POSITIONS);
  if (count <= 0) return;
  int group = heads / (kv.width / kv.head_dim), head_blocks = (group + SPLIT_HEADS - 1) / SPLIT_HEADS;
  int kv_head = group_y() / head_blocks, in_group = group_y() % head_blocks * SPLIT_HEADS;
  int first_head = kv_head * group + in_group, mine = smaller(group - in_group, SPLIT_HEADS);
  for (int i = lane_index(); i < SPLIT_HEADS * MOST_DIM; i += ATTENTION_LANES) {
    int h = i / MOST_DIM, d = i % MOST_DIM;
    query[i] = h < mine && d < kv.head_dim ? q[(row * heads + first_head + h) * kv.head_dim + d] : 0.0f;
  }
  for (int p = lane_index(); p < count; p += ATTENTION_LANES) {
    at[p] = kv_row(kv, batch, position_at, table_at, block_at, blocks, row, begin + p) * kv.width + kv_head * kv.head_dim;
  }
  local_barrier();
  split_scores(kv, keys, query, at, count, scale, score);

  float4 maximum = (float4)(as_float(INFINITE_BITS | 0x80000000u)), sum = 0;
  for (int p = lane_index(); p < count; p += ATTENTION_LANES) maximum = fmax(maximum, score[p]);
  maximum = lanes_max(maximum, scratch);
  for (int p = lane_index(); p < count; p += ATTENTION_LANES) sum += score[p] = exp_float4(score[p] - maximum);
  sum = lanes_sum(sum, scratch);
  __global float* part = partial + (((long)group_z() * splits + group_x()) * heads + first_head) * (2 + kv.head_dim);
  if (lane_index() == 0) {
    float maxima[4] = {maximum.x, maximum.y, maximum.z, maximum.w}, sums[4] = {sum.x, sum.y, sum.z, sum.w};
    for (int h = 0; h < mine; h++) part[h * (2 + kv.head_dim)] = maxima[h], part[h * (2 + kv.head_dim) + 1] = sums[h];
  }
  split_values(kv, values, at, count, score, scratch, mine, part);
}

// Grid: heads, rows.
KERNEL(ROW_LANES)
void attention_combine(__global const int* batch, int position_at, __global const float* partial,
                       __global float* attended, int heads, int head_dim, int splits, int first_row) {
  long row = first_row + group_y();
  if (row >= batch[0]) return;
  int head = group_x(), count = batch[position_at + row] / SPLIT_POSITIONS + 1;
  long stride = (long)heads * (2 + head_dim);  // from split to split
  __global const float* part = partial + group_y() * splits * stride + head * (2 + head_dim);
  float maximum = part[0];
  for (int s = 1; s < count; s++) maximum = larger(maximum, part[s * stride]);
  for (int d = lane_index(); d < head_dim; d += ROW_LANES) {
    float sum = 0, value = 0;
    for (int s = 0; s < count; s++) {
      float weight = exp_float(part[s * stride] - maximum);
      sum = multiply_add(weight, part[s * stride + 1], sum);
      value = multiply_add(weight, part[s * stride + 2 + d], value);
    }
    attended[(row * heads + head) * head_dim + d] = value / sum;
  }
}
