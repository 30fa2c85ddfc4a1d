// Attention's input of many rows, after its products: q and k turned by RoPE, k and v appended to the cache.
//
// A warp takes 32 columns of q, k or v of a row: as many as a block of a Q8_0 cache has values.
#include "kv.h"
#include "maths.h"

KERNEL(rope_append, RopeAppendArgs, 256) {
  dependency_wait();
  launch_dependents();
  if (!row_in_batch(a.batch, block_y())) return;
  int64_t row = block_y(), q_blocks = (a.q_width + 31) / 32, kv_blocks = (a.kv.width + 31) / 32;
  int64_t index = static_cast<int64_t>(block_x()) * (block_threads() / 32) + warp_index();
  int64_t first_k = q_blocks, first_v = q_blocks + kv_blocks;
  bool is_q = index < first_k, is_v = index >= first_v, live = index < first_v + kv_blocks;
  int64_t begin = (is_q ? index : is_v ? index - first_v : index - first_k) * 32, column = begin + lane_index();
  int64_t width = is_q ? a.q_width : a.kv.width;
  const float* source = is_q ? a.q : is_v ? a.v : a.k;
  int32_t position = a.batch.position[row];

  float value = live && column < width ? source[row * width + column] : 0.0f;
  float other = shuffle_xor(value, 1);
  int64_t within = column % a.kv.head_dim;
  if (!is_v && within < a.rope_dims) {
    SinCos angle = sin_cos(static_cast<uint64_t>(position) * a.frequency[within / 2]);
    value = column % 2 == 0 ? value * angle.cos - other * angle.sin : other * angle.sin + value * angle.cos;
  }
  if (is_q && column < width) a.q[row * width + column] = value;
  store_kv_block(a.kv, is_v ? a.kv.values : a.kv.keys, lane_index(), kv_row(a.kv, a.batch, row, position), begin, value,
                 live && !is_q);
}
