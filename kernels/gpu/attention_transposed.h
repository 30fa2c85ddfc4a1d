// Attention of runs of rows of one sequence on AMD's matrix units, for caches in F16 and Q8_0.
//
// A warp has 16 queries of a tile. Both products are transposed: scores are keys times queries, results are values turned
// over times weights, so that a query is a column throughout and belongs to the lanes of its number modulo 16. Of each 16
// rows of a result, such a lane is given `part` that follow each other, by the order in which rows lie in block memory; and
// for the next product it has to bring just those: weights stay in the lanes that made them.
//
// Queries and weights are sums of two f16 numbers, and the scales of keys in Q8_0 are applied to sums of codes, as in
// attention_mma.cu. gfx90a takes subnormal f16 numbers for zeros, and such are most second numbers of small ones: so queries
// are multiplied by a power of two that brings their largest value to 2^12, and weights by 2^15.
#pragma once

#include "attention_runs.h"
#include "kv_halves.h"
#include "maths.h"

// A Unit has `lanes` in a warp, of which each has `part` of 16 rows of a result. Rows of keys and of turned values have
// key_stride and value_stride halves in block memory. row(i): where the i-th of 16 rows belongs so that lanes have what
// follows each other. load(): a lane's words of A from 16 halves of its row. whole(): its words of B from the lanes' parts.
namespace attention_transposed {

constexpr int warps = 4, warp_queries = 16, tile_positions = 32;
static_assert(warps * warp_queries == ATTENTION_MMA_QUERIES);
constexpr int depth_steps = ATTENTION_TILE_MOST_DIM / 16, position_steps = tile_positions / 16;

template <typename Unit>
struct alignas(16) Memory {
  uint16_t keys[tile_positions][Unit::key_stride];
  uint16_t values[ATTENTION_TILE_MOST_DIM][Unit::value_stride];
  alignas(16) float scale[depth_steps][tile_positions];  // of keys in Q8_0: 16 columns are within a block
  int64_t row[tile_positions];
};

template <typename Unit>
struct State {
  static constexpr int words = Unit::part / 2;
  uint32_t query[depth_steps][words], rest[depth_steps][words];  // times `up`: what f16 holds, and what is left
  float down;                                                    // 1 / up
  float value[depth_steps][Unit::part];
  float maximum, sum;  // the sum of what the lane has, times weight_scale
};

constexpr float weight_scale = 32768.0f;

template <typename Unit>
DEVICE uint32_t unit_lane() {
  return thread_index() % Unit::lanes;
}
template <typename Unit>
DEVICE int32_t lane_query() {
  return static_cast<int32_t>(thread_index() / Unit::lanes * warp_queries + unit_lane<Unit>() % 16);
}
// The first of each 16 rows that the lane has.
template <typename Unit>
DEVICE uint32_t first_row() {
  return unit_lane<Unit>() / 16 * Unit::part;
}

// Over the lanes that share a query.
template <typename Unit>
DEVICE float query_max(float value) {
  value = larger(value, shuffle_xor(value, 16));
  if constexpr (Unit::lanes == 64) value = larger(value, Unit::other_half(value));
  return value;
}
template <typename Unit>
DEVICE float query_sum(float value) {
  value += shuffle_xor(value, 16);
  if constexpr (Unit::lanes == 64) value += Unit::other_half(value);
  return value;
}

template <typename Unit>
DEVICE void begin_state(const AttentionArgs& a, const AttentionTile& tile, State<Unit>& state) {
  const float* q = a.q + query_begin(a, tile, lane_query<Unit>()) + first_row<Unit>();
  float query[depth_steps][Unit::part], largest = 0;
  UNROLL
  for (int k = 0; k < depth_steps; k++) {
    UNROLL
    for (int i = 0; i < Unit::part; i++) {
      query[k][i] = 16 * k < a.kv.head_dim ? q[16 * k + i] * a.scale : 0.0f;
      largest = larger(absolute(query[k][i]), largest);
    }
  }
  uint32_t exponent = float_bits(query_max<Unit>(largest)) >> 23;
  if (exponent < 13) exponent = 13;  // up and down have to be normal numbers
  float up = bits_float((127 + 12 + 127 - exponent) << 23);
  state.down = bits_float((exponent - 12) << 23);
  UNROLL
  for (int k = 0; k < depth_steps; k++) {
    UNROLL
    for (int i = 0; i < Unit::part; i++) query[k][i] *= up, state.value[k][i] = 0;
    split_halves(query[k], state.query[k], state.rest[k]);
  }
  state.maximum = bits_float(0xff800000), state.sum = 0;
}

// --- block memory -----------------------------------------------------------------------------------------------------

template <typename Unit>
DEVICE void store_key(Memory<Unit>& memory, int32_t position, int32_t piece, const Words4& halves) {
  auto* to = reinterpret_cast<Words2*>(&memory.keys[position / 16 * 16 + Unit::row(position % 16)][8 * piece]);
  to[0] = {halves.x, halves.y}, to[1] = {halves.z, halves.w};
}

// Eight columns of two positions that follow each other.
template <typename Unit>
DEVICE void store_values(Memory<Unit>& memory, int32_t position, int32_t piece, const Words4& one, const Words4& next) {
  const uint32_t low[4] = {one.x, one.y, one.z, one.w}, high[4] = {next.x, next.y, next.z, next.w};
  UNROLL
  for (int j = 0; j < 8; j++) {
    uint32_t both = j % 2 == 0 ? (low[j / 2] & 0xffffu) | high[j / 2] << 16 : low[j / 2] >> 16 | (high[j / 2] & 0xffff0000u);
    uint16_t* row = memory.values[piece / 2 * 16 + Unit::row(piece % 2 * 8 + j)];
    *reinterpret_cast<uint32_t*>(row + position) = both;
  }
}

// A thread takes two positions at a time, so that turned values are stored by whole words.
template <typename Unit, typename Kv>
DEVICE void load_tile(const AttentionArgs& a, const AttentionTile& tile, Memory<Unit>& memory) {
  constexpr int32_t pairs = tile_positions / 2;
  int32_t pieces = a.kv.head_dim / 8;
  int64_t first = static_cast<int64_t>(tile.kv_head) * a.kv.head_dim;
  _Pragma("unroll 2")
  for (int32_t i = static_cast<int32_t>(thread_index()); i < pairs * pieces; i += warps * Unit::lanes) {
    int32_t position = i % pairs * 2, piece = i / pairs;
    int64_t at = memory.row[position] * a.kv.width + first + piece * 8;
    int64_t next = memory.row[position + 1] * a.kv.width + first + piece * 8;
    typename Kv::Raw key = Kv::load(a.kv, a.kv.keys, at, 8), next_key = Kv::load(a.kv, a.kv.keys, next, 8);
    typename Kv::Raw value = Kv::load(a.kv, a.kv.values, at, 8), next_value = Kv::load(a.kv, a.kv.values, next, 8);
    float* scale = &memory.scale[piece / 2][position];
    store_key(memory, position, piece, key_halves(key, scale));
    store_key(memory, position + 1, piece, key_halves(next_key, scale + 1));
    store_values(memory, position, piece, value_halves(value), value_halves(next_value));
  }
}

// --- products ---------------------------------------------------------------------------------------------------------

// Key times query; SCALED: keys are codes.
template <bool SCALED, typename Unit>
DEVICE void scores(const AttentionArgs& a, const Memory<Unit>& memory, const State<Unit>& state,
                   float (&score)[position_steps][Unit::part]) {
  uint32_t row = unit_lane<Unit>() % 16;
  UNROLL
  for (int p = 0; p < position_steps; p++) {
    UNROLL
    for (int i = 0; i < Unit::part; i++) score[p][i] = 0;
  }
  UNROLL
  for (int k = 0; k < depth_steps; k++) {
    if (16 * k >= a.kv.head_dim) continue;
    typename Unit::Operand query, rest, key;
    Unit::whole(query, state.query[k]);
    Unit::whole(rest, state.rest[k]);
    UNROLL
    for (int p = 0; p < position_steps; p++) {
      Unit::load(key, &memory.keys[16 * p + row][16 * k]);
      if constexpr (SCALED) {
        float sum[Unit::part];
        UNROLL
        for (int i = 0; i < Unit::part; i++) sum[i] = 0;
        Unit::multiply(sum, key, query);
        Unit::multiply(sum, key, rest);
        const float* scale = &memory.scale[k][16 * p + first_row<Unit>()];
        UNROLL
        for (int i = 0; i < Unit::part; i++) score[p][i] = fma(scale[i], sum[i], score[p][i]);
      } else {
        Unit::multiply(score[p], key, query);
        Unit::multiply(score[p], key, rest);
      }
    }
  }
}

// Scores of the positions from `begin` on become weights; the state is brought to the new maximum.
template <typename Unit>
DEVICE void weigh(const AttentionTile& tile, int32_t begin, State<Unit>& state, float (&score)[position_steps][Unit::part]) {
  int32_t last = query_position(tile, lane_query<Unit>()) - begin - static_cast<int32_t>(first_row<Unit>());
  float maximum = state.maximum;
  UNROLL
  for (int p = 0; p < position_steps; p++) {
    UNROLL
    for (int i = 0; i < Unit::part; i++) {
      float& s = score[p][i];
      s = 16 * p + i <= last ? s * state.down : bits_float(0xff800000);
      maximum = larger(maximum, s);
    }
  }
  maximum = query_max<Unit>(maximum);
  float shrink = exp_float(state.maximum - maximum), sum = 0;
  UNROLL
  for (int p = 0; p < position_steps; p++) {
    UNROLL
    for (int i = 0; i < Unit::part; i++) {
      float& s = score[p][i];
      s = exp_float(s - maximum) * weight_scale;
      sum += s;
    }
  }
  state.maximum = maximum;
  state.sum = fma(state.sum, shrink, sum);
  UNROLL
  for (int n = 0; n < depth_steps; n++) {
    UNROLL
    for (int i = 0; i < Unit::part; i++) state.value[n][i] *= shrink;
  }
}

template <typename Unit>
DEVICE void add_values(const AttentionArgs& a, const Memory<Unit>& memory, const float (&weight)[position_steps][Unit::part],
                       State<Unit>& state) {
  uint32_t row = unit_lane<Unit>() % 16;
  UNROLL
  for (int p = 0; p < position_steps; p++) {
    uint32_t part[Unit::part / 2], rest_part[Unit::part / 2];
    split_halves(weight[p], part, rest_part);
    typename Unit::Operand weights, rest, values;
    Unit::whole(weights, part);
    Unit::whole(rest, rest_part);
    UNROLL
    for (int n = 0; n < depth_steps; n++) {
      if (16 * n >= a.kv.head_dim) continue;
      Unit::load(values, &memory.values[16 * n + row][16 * p]);
      Unit::multiply(state.value[n], values, weights);
      Unit::multiply(state.value[n], values, rest);
    }
  }
}

template <typename Unit>
DEVICE void store_tile(const AttentionArgs& a, const AttentionTile& tile, const State<Unit>& state) {
  int32_t query = lane_query<Unit>();
  float sum = query_sum<Unit>(state.sum);
  if (!has_query(tile, query)) return;
  float* to = a.attended + query_begin(a, tile, query) + first_row<Unit>();
  UNROLL
  for (int n = 0; n < depth_steps; n++) {
    if (16 * n >= a.kv.head_dim) continue;
    UNROLL
    for (int i = 0; i < Unit::part; i += 4) {
      const float* v = state.value[n] + i;
      *reinterpret_cast<Floats4*>(to + 16 * n + i) = {v[0] / sum, v[1] / sum, v[2] / sum, v[3] / sum};
    }
  }
}

template <typename Unit, typename Kv, bool SCALED>
DEVICE void attend_tile(const AttentionArgs& a, const AttentionTile& tile, Memory<Unit>& memory) {
  State<Unit> state;
  begin_state(a, tile, state);
  for (int32_t begin = 0; begin < tile.end; begin += tile_positions) {
    if (thread_index() < tile_positions) {  // past the end: the last position, to be ignored
      int32_t p = begin + static_cast<int32_t>(thread_index());
      memory.row[thread_index()] = kv_row(a.kv, a.batch, tile.row, p < tile.end ? p : tile.end - 1);
    }
    barrier();
    load_tile<Unit, Kv>(a, tile, memory);
    barrier();
    float score[position_steps][Unit::part];
    scores<SCALED>(a, memory, state, score);
    weigh(tile, begin, state, score);
    add_values(a, memory, score, state);
    barrier();
  }
  store_tile(a, tile, state);
}

// Grid: tiles, of which a block takes every grid-th; KV heads times blocks of a group's heads.
template <typename Unit>
DEVICE void attend(const AttentionArgs& a, Memory<Unit>& memory) {
  dependency_wait();
  launch_dependents();
  int32_t tiles = tile_count(a);
  for (int32_t t = static_cast<int32_t>(block_x()); t < tiles; t += static_cast<int32_t>(grid_x())) {
    AttentionTile tile = attention_tile_of(a, t, block_y());
    if (a.kv.type == TALARIA_F16) {
      attend_tile<Unit, KvF16, false>(a, tile, memory);
    } else {
      attend_tile<Unit, KvQ8_0, true>(a, tile, memory);
    }
  }
}

}  // namespace attention_transposed
