// q, k and v of few rows in one launch, turned by RoPE, and k and v appended to the cache.
//
// A block of threads owns 32 rows of one of the three weights: as many as a block of a Q8_0 cache has values. A warp takes
// two rows at a time, which are a pair that RoPE turns.
#include "dot.h"
#include "kv.h"
#include "maths.h"
#include "prefetch.h"
#include "tiles.h"

namespace {

constexpr int rows_per_block = 32, warps = 8;

template <int M>
struct InputShared {
  float result[M][rows_per_block];
};

template <typename Mode, typename Format, int M>
DEVICE void fill_results(const AttentionInputArgs& a, const WeightArg& weight, int64_t begin, const RowTile<M>& tile,
                         InputShared<M>& shared) {
  Matrix m = matrix_of(weight, Format::type, 0), matrices[2] = {m, m};
  for (int r = static_cast<int>(warp_index()) * 2; r < rows_per_block; r += 2 * warps) {
    int64_t row[2] = {smaller(begin + r, weight.rows - 1), smaller(begin + r + 1, weight.rows - 1)};
    float sum[2][M];
    warp_products<Mode, Format, 2, M>(lane_index(), matrices, row, a.in, tile.source, sum);
    UNROLL
    for (int i = 0; i < M; i++) {
      if (lane_index() < 2 && static_cast<int>(lane_index()) + r < rows_per_block) {
        shared.result[i][r + static_cast<int>(lane_index())] = lane_index() == 0 ? sum[0][i] : sum[1][i];
      }
    }
  }
}

// The weights of a layer may differ in type: a current Q4_K_M file has q in Q4_K and k and v in Q8_0.
template <bool INT8, int M>
DEVICE void fill_any(const AttentionInputArgs& a, const WeightArg& weight, int64_t begin, const RowTile<M>& tile,
                     InputShared<M>& shared) {
  switch (weight.type) {
    case TALARIA_F32: return fill_results<Plain, F32, M>(a, weight, begin, tile, shared);
    case TALARIA_F16: return fill_results<Plain, F16, M>(a, weight, begin, tile, shared);
    case TALARIA_BF16: return fill_results<Plain, BF16, M>(a, weight, begin, tile, shared);
    default: break;
  }
  if constexpr (INT8) {
    switch (weight.type) {
      case TALARIA_Q4_0: return fill_results<Int8, Q4_0, M>(a, weight, begin, tile, shared);
      case TALARIA_Q8_0: return fill_results<Int8, Q8_0, M>(a, weight, begin, tile, shared);
      case TALARIA_Q4_K: return fill_results<Int8, Q4_K, M>(a, weight, begin, tile, shared);
      case TALARIA_Q5_K: return fill_results<Int8, Q5_K, M>(a, weight, begin, tile, shared);
      default: return fill_results<Int8, Q6_K, M>(a, weight, begin, tile, shared);
    }
  } else {
    switch (weight.type) {
      case TALARIA_Q4_0: return fill_results<Half, Q4_0, M>(a, weight, begin, tile, shared);
      case TALARIA_Q8_0: return fill_results<Half, Q8_0, M>(a, weight, begin, tile, shared);
      case TALARIA_Q4_K: return fill_results<Half, Q4_K, M>(a, weight, begin, tile, shared);
      case TALARIA_Q5_K: return fill_results<Half, Q5_K, M>(a, weight, begin, tile, shared);
      default: return fill_results<Half, Q6_K, M>(a, weight, begin, tile, shared);
    }
  }
}

// The pair (2i, 2i + 1) of a head turned by position * frequency[i]; each lane has one of the two.
DEVICE float turn(const AttentionInputArgs& a, float value, int64_t column, int32_t position) {
  float other = shuffle_xor(value, 1);
  int64_t within = column % a.kv.head_dim;
  if (within >= a.rope_dims) return value;
  SinCos angle = sin_cos(static_cast<uint64_t>(position) * a.frequency[within / 2]);
  return column % 2 == 0 ? value * angle.cos - other * angle.sin : other * angle.sin + value * angle.cos;
}

// A lane asks for a plane of one of the four rows that its warp takes.
[[maybe_unused]] DEVICE void prefetch_input(const WeightArg& weight, int64_t begin) {
  const int64_t row = begin + warp_index() * 2 + lane_index() / 4 % 2 + lane_index() / 8 * (2 * warps);
  if (lane_index() >= 16 || block_y() != 0 || row >= weight.rows) return;
  prefetch_piece(prefetch_plane(weight, weight.type, 0, lane_index() % 4), row, 0);
}

template <bool INT8, int M>
DEVICE void attention_input(const AttentionInputArgs& a, InputShared<M>& shared) {
  int64_t q_blocks = (a.wq.rows + 31) / 32, kv_blocks = (a.wk.rows + 31) / 32, block = block_x();
  int which = block < q_blocks ? 0 : block < q_blocks + kv_blocks ? 1 : 2;
  const WeightArg& weight = which == 0 ? a.wq : which == 1 ? a.wk : a.wv;
  int64_t begin = (which == 0 ? block : which == 1 ? block - q_blocks : block - q_blocks - kv_blocks) * rows_per_block;
  if constexpr (prefetches) prefetch_input(weight, begin);
  dependency_wait();
  launch_dependents();
  RowTile<M> tile = dense_tile<M>(a.batch, BATCH_ROWS, block_y());
  if (tile.count == 0) return;
  fill_any<INT8, M>(a, weight, begin, tile, shared);
  barrier();
  int i = static_cast<int>(warp_index()) % M;
  bool live = static_cast<int>(warp_index()) < tile.count;
  int64_t row = pick(tile.source, i), column = begin + lane_index();
  int32_t position = a.batch.position[row];
  float value = column < weight.rows ? shared.result[i][lane_index()] : 0.0f;
  if (which != 2) value = turn(a, value, column, position);
  if (which == 0) {
    if (live && column < weight.rows) a.q[row * weight.rows + column] = value;
  } else {
    uint8_t* cache = which == 1 ? a.kv.keys : a.kv.values;
    store_kv_block(a.kv, cache, lane_index(), kv_row(a.kv, a.batch, row, position), begin, value, live);
  }
}

}  // namespace

#define ATTENTION_INPUT(int8, m)           \
  {                                        \
    SHARED(InputShared<m>, shared);        \
    attention_input<int8, m>(a, shared);   \
  }
KERNEL(attention_input_int8_m1, AttentionInputArgs, 256) ATTENTION_INPUT(true, 1)
KERNEL_OF_MANY(attention_input_int8_m4, AttentionInputArgs, 256) ATTENTION_INPUT(true, 4)
KERNEL_UNRATIONED(attention_input_half_m1, AttentionInputArgs, 256) ATTENTION_INPUT(false, 1)
KERNEL_OF_MANY(attention_input_half_m4, AttentionInputArgs, 256) ATTENTION_INPUT(false, 4)
