// q, k and v of few rows in one launch, turned by RoPE, and k and v appended to the cache.
//
// A block of threads owns 32 rows of one of the three weights: as many as a block of a Q8_0 cache has values. A warp takes
// two rows at a time, which are a pair that RoPE turns.
#include "../gpu/dot.h"
#include "../gpu/kv.h"
#include "../gpu/maths.h"
#include "../gpu/tiles.h"
#include "kernel.h"

constant constexpr int rows_per_block = 32, warps = 8;

template <int M>
struct InputShared {
  float result[M][rows_per_block];
};

template <typename Mode, typename Format, int M>
DEVICE void fill_results(Place at, constant AttentionInputArgs& a, constant WeightArg& weight, int64_t begin,
                         const thread RowTile<M>& tile, threadgroup InputShared<M>& shared) {
  Matrix m = matrix_of(weight, Format::type, 0), matrices[2] = {m, m};
  for (int r = static_cast<int>(at.warp()) * 2; r < rows_per_block; r += 2 * warps) {
    int64_t row[2] = {smaller(begin + r, weight.rows - 1), smaller(begin + r + 1, weight.rows - 1)};
    float sum[2][M];
    warp_products<Mode, Format, 2, M>(at.lane(), matrices, row, a.in, tile.source, sum);
    UNROLL
    for (int i = 0; i < M; i++) {
      if (at.lane() < 2 && static_cast<int>(at.lane()) + r < rows_per_block) {
        shared.result[i][r + static_cast<int>(at.lane())] = at.lane() == 0 ? sum[0][i] : sum[1][i];
      }
    }
  }
}

// The weights of a layer may differ in type: a current Q4_K_M file has q in Q4_K and k and v in Q8_0.
template <bool INT8, int M>
DEVICE void fill_any(Place at, constant AttentionInputArgs& a, constant WeightArg& weight, int64_t begin,
                     const thread RowTile<M>& tile, threadgroup InputShared<M>& shared) {
  switch (weight.type) {
    case TALARIA_F32: return fill_results<Plain, F32, M>(at, a, weight, begin, tile, shared);
    case TALARIA_F16: return fill_results<Plain, F16, M>(at, a, weight, begin, tile, shared);
    case TALARIA_BF16: return fill_results<Plain, BF16, M>(at, a, weight, begin, tile, shared);
    default: break;
  }
  if constexpr (INT8) {
    switch (weight.type) {
      case TALARIA_Q4_0: return fill_results<Int8, Q4_0, M>(at, a, weight, begin, tile, shared);
      case TALARIA_Q8_0: return fill_results<Int8, Q8_0, M>(at, a, weight, begin, tile, shared);
      case TALARIA_Q4_K: return fill_results<Int8, Q4_K, M>(at, a, weight, begin, tile, shared);
      case TALARIA_Q5_K: return fill_results<Int8, Q5_K, M>(at, a, weight, begin, tile, shared);
      default: return fill_results<Int8, Q6_K, M>(at, a, weight, begin, tile, shared);
    }
  } else {
    switch (weight.type) {
      case TALARIA_Q4_0: return fill_results<Half, Q4_0, M>(at, a, weight, begin, tile, shared);
      case TALARIA_Q8_0: return fill_results<Half, Q8_0, M>(at, a, weight, begin, tile, shared);
      case TALARIA_Q4_K: return fill_results<Half, Q4_K, M>(at, a, weight, begin, tile, shared);
      case TALARIA_Q5_K: return fill_results<Half, Q5_K, M>(at, a, weight, begin, tile, shared);
      default: return fill_results<Half, Q6_K, M>(at, a, weight, begin, tile, shared);
    }
  }
}

// The pair (2i, 2i + 1) of a head turned by position * frequency[i]; each lane has one of the two.
DEVICE float turn(constant AttentionInputArgs& a, float value, int64_t column, int32_t position) {
  float other = shuffle_xor(value, 1);
  int64_t within = column % a.kv.head_dim;
  if (within >= a.rope_dims) return value;
  SinCos angle = sin_cos(static_cast<uint64_t>(position) * a.frequency[within / 2]);
  return column % 2 == 0 ? value * angle.cos - other * angle.sin : other * angle.sin + value * angle.cos;
}

template <bool INT8, int M>
DEVICE void attention_input(Place at, constant AttentionInputArgs& a, threadgroup InputShared<M>& shared) {
  RowTile<M> tile = dense_tile<M>(a.batch, BATCH_ROWS, at.block.y);
  if (tile.count == 0) return;
  int64_t q_blocks = (a.wq.rows + 31) / 32, kv_blocks = (a.wk.rows + 31) / 32, block = at.block.x;
  int which = block < q_blocks ? 0 : block < q_blocks + kv_blocks ? 1 : 2;
  constant WeightArg& weight = which == 0 ? a.wq : which == 1 ? a.wk : a.wv;
  int64_t begin = (which == 0 ? block : which == 1 ? block - q_blocks : block - q_blocks - kv_blocks) * rows_per_block;
  fill_any<INT8, M>(at, a, weight, begin, tile, shared);
  barrier();
  int i = static_cast<int>(at.warp()) % M;
  bool live = static_cast<int>(at.warp()) < tile.count;
  int64_t row = pick(tile.source, i), column = begin + at.lane();
  int32_t position = a.batch.position[row];
  float value = column < weight.rows ? shared.result[i][at.lane()] : 0.0f;
  if (which != 2) value = turn(a, value, column, position);
  if (which == 0) {
    if (live && column < weight.rows) a.q[row * weight.rows + column] = value;
  } else {
    device uint8_t* cache = which == 1 ? a.kv.keys : a.kv.values;
    store_kv_block(a.kv, cache, at.lane(), kv_row(a.kv, a.batch, row, position), begin, value, live);
  }
}

#define ATTENTION_INPUT(mode, int8, m)                                  \
  KERNEL(attention_input_##mode##_m##m, AttentionInputArgs, 256) {      \
    SHARED(InputShared<m>, shared);                                     \
    attention_input<int8, m>(HERE, a, shared);                                \
  }
ATTENTION_INPUT(int8, true, 1)
ATTENTION_INPUT(int8, true, 4)
ATTENTION_INPUT(half, false, 1)
ATTENTION_INPUT(half, false, 4)
