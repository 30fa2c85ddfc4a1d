// Attention's input after its products: q and k turned by RoPE, k and v appended to the cache.
#include "kv.clh"
#include "../common/maths.h"

// A work-item takes 32 columns of q, k or v of a row: as many as a block of a Q8_0 cache has values. Grid: those, rows.
KERNEL(ROW_LANES)
void rope_append(TABLE_ARGS, KV_ARGS, __global float* q, __global const float* k, __global const float* v,
                 __global uchar* keys, __global uchar* values, __global const uint64_t* frequency, int q_width, int rope_dims) {
  long row = group_y();
  Kv kv = KV;
  int q_blocks = (q_width + 31) / 32, kv_blocks = (kv.width + 31) / 32, index = group_x() * ROW_LANES + lane_index();
  if (row >= batch[0] || index >= q_blocks + 2 * kv_blocks) return;
  bool is_q = index < q_blocks, is_v = index >= q_blocks + kv_blocks;
  int begin = (is_q ? index : is_v ? index - q_blocks - kv_blocks : index - q_blocks) * 32;
  int width = is_q ? q_width : kv.width, position = batch[position_at + row];
  __global const float* source = (is_q ? q : is_v ? v : k) + row * width;
  float value[32];
  for (int i = 0; i < 32; i++) value[i] = begin + i < width ? source[begin + i] : 0.0f;
  if (!is_v) {
    for (int i = 0; i < 32; i += 2) {
      int within = (begin + i) % kv.head_dim;
      if (within >= rope_dims) continue;
      SinCos angle = sin_cos((uint64_t)position * frequency[within / 2]);
      float x0 = value[i], x1 = value[i + 1];
      value[i] = x0 * angle.cos - x1 * angle.sin;
      value[i + 1] = x0 * angle.sin + x1 * angle.cos;
    }
  }
  if (is_q) {
    for (int i = 0; i < 32; i++) {
      if (begin + i < width) q[row * width + begin + i] = value[i];
    }
    return;
  }
  long to = kv_row(kv, batch, position_at, table_at, block_at, blocks, row, position);
  store_kv_block(kv, is_v ? values : keys, to, begin, value);
}
