// Attention of runs of rows of one sequence on the matrix units of Volta (sm_70, sm_72), for caches in F16 and Q8_0.
//
// A warp has 16 queries of a tile. Queries and weights are sums of two f16 numbers, and the scales of keys in Q8_0 are
// applied to sums of codes, as in attention_mma.cu. Volta cuts off what a float32 does not hold of a sum, always towards
// zero: so no sum that the unit makes is longer than 8 depths of a score or 32 positions of a result, and float32 adds those.
//
// Eight queries belong to two quad pairs, sides 0 and 1, lanes 4 apart. Of 16 columns of a head each side has eight, in both
// products, so that nothing of queries and results is there twice: 128 registers. For that, sides add up their scores, of
// which each then has half the positions, and exchange their weights.
//
// In cycles of a processor, as matmul_hmma.cu counts them: for 32 positions and heads of 128 a warp has 256 mma, 512 cycles,
// and reads for 256. float32 alone would take 2048.
#include "attention_runs.h"
#include "hmma.h"
#include "kv_halves.h"
#include "maths.h"

#if defined(TALARIA_HAS_HMMA)

namespace {

constexpr int threads = 128, warp_queries = 16, tile_positions = 32;
static_assert(threads / 32 * warp_queries == ATTENTION_MMA_QUERIES);
constexpr int depth_steps = ATTENTION_TILE_MOST_DIM / 16, position_steps = tile_positions / 8;
constexpr int row_pieces = ATTENTION_TILE_MOST_DIM / 8 + 2;  // of eight halves; four rows begin in different banks

struct alignas(16) HmmaMemory {
  Words4 keys[tile_positions][row_pieces], values[tile_positions][row_pieces];
  float scale[depth_steps][tile_positions + 4];  // of keys in Q8_0: 16 columns are within a block
  int64_t row[tile_positions];
};

// A lane brings one query, hmma_a_row() of the warp's, of which it knows the maximum and the sum; results it has of two.
struct HmmaState {
  uint32_t query[depth_steps][4], rest[depth_steps][4];  // times the scale: what f16 holds, and what is left
  float value[depth_steps][8];  // as hmma_c_row() and hmma_c_column() say
  float maximum, sum;           // the sum of the side's positions
};

struct HmmaWeights {
  uint32_t half[position_steps][4], rest[position_steps][4];  // of the lane's query
  float shrink[2];                                            // of the two queries whose results it has
};

DEVICE uint32_t lane_side() { return lane_index() / 4 % 2; }
// Where the eight positions of a step begin. A side begins with those that it weighs.
DEVICE uint32_t step_position(int step) { return lane_side() * 16 ^ static_cast<uint32_t>(8 * step); }
DEVICE int32_t warp_query(uint32_t query) { return static_cast<int32_t>(warp_index() * warp_queries + query); }

// Results of a lane and of the one 2 further are of two queries, the first of which is the lower lane's own.
DEVICE bool has_second_query() { return lane_index() / 2 % 2 != 0; }
DEVICE void both_queries(float own, float (&both)[2]) {
  float other = shuffle_xor(own, 2);
  both[0] = has_second_query() ? other : own, both[1] = has_second_query() ? own : other;
}
// Eight results, four of each query, become the eight of the lane's own, in the order of columns.
DEVICE void own_query(float (&value)[8]) {
  bool second = has_second_query();
  UNROLL
  for (int i = 0; i < 4; i++) {
    float &one = value[i / 2 * 4 + i % 2], &two = value[i / 2 * 4 + i % 2 + 2];
    float other = shuffle_xor(second ? one : two, 2);
    one = second ? other : one, two = second ? two : other;
  }
}

DEVICE void begin_state(const AttentionArgs& a, const AttentionTile& tile, HmmaState& state) {
  const float* q = a.q + query_begin(a, tile, warp_query(hmma_a_row(lane_index()))) + 8 * lane_side();
  UNROLL
  for (int k = 0; k < depth_steps; k++) {
    float query[8];
    UNROLL
    for (int i = 0; i < 8; i++) {
      query[i] = 16 * k < a.kv.head_dim ? q[16 * k + i] * a.scale : 0.0f;
      state.value[k][i] = 0;
    }
    split_halves(query, state.query[k], state.rest[k]);
  }
  state.maximum = bits_float(0xff800000), state.sum = 0;
}

template <typename Kv>
DEVICE void load_tile(const AttentionArgs& a, const AttentionTile& tile, HmmaMemory& memory) {
  int32_t pieces = a.kv.head_dim / 8;
  int64_t first = static_cast<int64_t>(tile.kv_head) * a.kv.head_dim;
  _Pragma("unroll 4")
  for (int32_t i = static_cast<int32_t>(thread_index()); i < tile_positions * pieces; i += threads) {
    int32_t p = i / pieces, piece = i % pieces;
    int64_t at = memory.row[p] * a.kv.width + first + piece * 8;
    typename Kv::Raw key = Kv::load(a.kv, a.kv.keys, at, 8), value = Kv::load(a.kv, a.kv.values, at, 8);
    memory.keys[p][piece] = key_halves(key, &memory.scale[piece / 2][p]);
    memory.values[p][piece] = value_halves(value);
  }
}

// Query times key, of the side's depths; SCALED: keys are codes.
template <bool SCALED>
DEVICE void scores(const AttentionArgs& a, const HmmaMemory& memory, const HmmaState& state,
                   float (&score)[position_steps][8]) {
  uint32_t row = lane_index() % 4 + lane_index() / 16 * 4, pair = lane_index() / 2 % 2 * 2;
  UNROLL
  for (int p = 0; p < position_steps; p++) {
    UNROLL
    for (int i = 0; i < 8; i++) score[p][i] = 0;
  }
  UNROLL
  for (int k = 0; k < depth_steps; k++) {
    if (16 * k >= a.kv.head_dim) continue;
    const uint32_t(&query)[4] = state.query[k], (&rest)[4] = state.rest[k];
    UNROLL
    for (int p = 0; p < position_steps; p++) {
      Words4 key = memory.keys[step_position(p) + row][2 * k + lane_side()];
      float sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};
      hmma_m8n8k4_f16(sum, {rest[0], rest[1]}, {key.x, key.y});
      hmma_m8n8k4_f16(sum, {rest[2], rest[3]}, {key.z, key.w});
      hmma_m8n8k4_f16(sum, {query[0], query[1]}, {key.x, key.y});
      hmma_m8n8k4_f16(sum, {query[2], query[3]}, {key.z, key.w});
      const float* scale = &memory.scale[k][step_position(p) + pair];
      UNROLL
      for (int i = 0; i < 8; i++) {
        score[p][i] = SCALED ? fma(scale[i / 4 * 4 + i % 2], sum[i], score[p][i]) : score[p][i] + sum[i];
      }
    }
  }
}

// Scores of the positions from `begin` on become weights, and the state's sum is brought to the new maximum.
DEVICE void weigh(const AttentionTile& tile, int32_t begin, HmmaState& state, float (&score)[position_steps][8],
                  HmmaWeights& weights) {
  constexpr int own = position_steps / 2;  // steps that the side weighs
  int32_t last = query_position(tile, warp_query(hmma_a_row(lane_index()))) - begin - static_cast<int32_t>(step_position(0));
  float maximum = state.maximum;
  UNROLL
  for (int p = 0; p < own; p++) {
    UNROLL
    for (int i = 0; i < 8; i++) score[p][i] += shuffle_xor(score[p + own][i], 4);
    own_query(score[p]);
    UNROLL
    for (int i = 0; i < 8; i++) {
      if (8 * p + i > last) score[p][i] = bits_float(0xff800000);
      maximum = larger(maximum, score[p][i]);
    }
  }
  maximum = larger(maximum, shuffle_xor(maximum, 4));
  float shrink = exp_float(state.maximum - maximum), sum = 0;
  UNROLL
  for (int p = 0; p < own; p++) {
    UNROLL
    for (int i = 0; i < 8; i++) {
      score[p][i] = exp_float(score[p][i] - maximum);
      sum += score[p][i];
    }
    split_halves(score[p], weights.half[p], weights.rest[p]);
    UNROLL
    for (int w = 0; w < 4; w++) {
      weights.half[p + own][w] = shuffle_xor(weights.half[p][w], 4);
      weights.rest[p + own][w] = shuffle_xor(weights.rest[p][w], 4);
    }
  }
  state.maximum = maximum;
  state.sum = fma(state.sum, shrink, sum);
  both_queries(shrink, weights.shrink);
}

DEVICE void add_values(const AttentionArgs& a, const HmmaMemory& memory, const HmmaWeights& weights, HmmaState& state) {
  uint32_t row = lane_index() % 4, piece = lane_index() / 16;
  UNROLL
  for (int n = 0; n < depth_steps; n++) {
    if (16 * n >= a.kv.head_dim) continue;
    float sum[8] = {0, 0, 0, 0, 0, 0, 0, 0}, rest_sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};  // two, so that less has to wait
    UNROLL
    for (int p = 0; p < 2 * position_steps; p++) {
      const uint32_t *half = &weights.half[p / 2][p % 2 * 2], *rest = &weights.rest[p / 2][p % 2 * 2];
      const Words4& eight = memory.values[step_position(p / 2) + p % 2 * 4 + row][2 * n + piece];
      Words2 values = reinterpret_cast<const Words2*>(&eight)[lane_side()];
      hmma_m8n8k4_f16_rows(rest_sum, {rest[0], rest[1]}, {values.x, values.y});
      hmma_m8n8k4_f16_rows(sum, {half[0], half[1]}, {values.x, values.y});
    }
    UNROLL
    for (int i = 0; i < 8; i++) {
      state.value[n][i] = fma(state.value[n][i], weights.shrink[i / 2 % 2], sum[i] + rest_sum[i]);
    }
  }
}

DEVICE void store_tile(const AttentionArgs& a, const AttentionTile& tile, const HmmaState& state) {
  float sum[2];
  both_queries(state.sum + shuffle_xor(state.sum, 4), sum);
  UNROLL
  for (int r = 0; r < 2; r++) {
    int32_t query = warp_query(hmma_c_row(lane_index(), 2 * r));
    bool live = has_query(tile, query);
    float* to = a.attended + query_begin(a, tile, query) + hmma_c_column(lane_index(), 0);
    UNROLL
    for (int n = 0; n < depth_steps; n++) {
      if (16 * n >= a.kv.head_dim || !live) continue;
      UNROLL
      for (int i = 0; i < 4; i++) to[16 * n + i / 2 * 8 + i % 2] = state.value[n][i / 2 * 4 + 2 * r + i % 2] / sum[r];
    }
  }
}

template <typename Kv, bool SCALED>
DEVICE void attend_tile(const AttentionArgs& a, const AttentionTile& tile, HmmaMemory& memory) {
  HmmaState state;
  begin_state(a, tile, state);
  for (int32_t begin = 0; begin < tile.end; begin += tile_positions) {
    if (thread_index() < tile_positions) {  // past the end: the last position, to be ignored
      int32_t p = begin + static_cast<int32_t>(thread_index());
      memory.row[thread_index()] = kv_row(a.kv, a.batch, tile.row, p < tile.end ? p : tile.end - 1);
    }
    barrier();
    load_tile<Kv>(a, tile, memory);
    barrier();
    float score[position_steps][8];
    scores<SCALED>(a, memory, state, score);
    HmmaWeights weights;
    weigh(tile, begin, state, score, weights);
    add_values(a, memory, weights, state);
    barrier();
  }
  store_tile(a, tile, state);
}

}  // namespace

// Grid: tiles, of which a block takes every grid-th; KV heads times blocks of a group's heads.
KERNEL(attention_hmma, AttentionArgs, 128) {
  SHARED(HmmaMemory, memory);
  dependency_wait();
  launch_dependents();
  int32_t tiles = tile_count(a);
  for (int32_t t = static_cast<int32_t>(block_x()); t < tiles; t += static_cast<int32_t>(grid_x())) {
    AttentionTile tile = attention_tile_of(a, t, block_y());
    if (a.kv.type == TALARIA_F16) {
      attend_tile<KvF16, false>(a, tile, memory);
    } else {
      attend_tile<KvQ8_0, true>(a, tile, memory);
    }
  }
}

#endif
