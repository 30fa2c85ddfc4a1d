// Attention of runs of rows of one sequence on the matrix unit, for caches in F16 and Q8_0.
//
// A warp has 16 queries of a tile. Queries and weights are sums of two f16 numbers, and the scales of keys in Q8_0 are
// applied to sums of codes: a weight rounded to f16 once moved so many int8 codes of the next product that a golden file
// was over its bound. Only values in Q8_0 are rounded to f16.
#include "attention_runs.h"
#include "kv_halves.h"
#include "maths.h"
#include "mma.h"

#if defined(TALARIA_HAS_MMA)

namespace {

constexpr int threads = 128, warp_queries = 16;
#if defined(TALARIA_SMALL_MMA)
constexpr int tile_positions = 32;  // a processor of sm_75 has 64 KB for its blocks, of which it has registers for two
#else
constexpr int tile_positions = 64;
#endif
static_assert(threads / 32 * warp_queries == ATTENTION_MMA_QUERIES);
constexpr int depth_steps = ATTENTION_TILE_MOST_DIM / 16, position_tiles = tile_positions / 8;
constexpr int row_pieces = ATTENTION_TILE_MOST_DIM / 8 + 1;  // of eight halves; rows begin in different banks

struct alignas(16) MmaMemory {
  Words4 keys[tile_positions][row_pieces], values[tile_positions][row_pieces];
  float scale[tile_positions][depth_steps];  // of keys in Q8_0: 16 columns are within a block
  int64_t row[tile_positions];
};

// With g = lane / 4 and t = lane % 4, a lane has queries g and g + 8, and of those positions or columns 8 * i + 2 * t and
// the next, for each tile i of eight.
struct MmaState {
  uint32_t query[depth_steps][4], rest[depth_steps][4];  // times the scale: what f16 holds, and what is left
  float value[2 * depth_steps][4];
  float maximum[2], sum[2];  // the sum of what the lane has
};

DEVICE uint32_t lane_group() { return lane_index() / 4; }
DEVICE uint32_t lane_pair() { return lane_index() % 4 * 2; }

DEVICE void begin_state(const AttentionArgs& a, const AttentionTile& tile, MmaState& state) {
  int32_t first = static_cast<int32_t>(warp_index() * warp_queries + lane_group());
  const float* q[2] = {a.q + query_begin(a, tile, first), a.q + query_begin(a, tile, first + 8)};
  UNROLL
  for (int k = 0; k < depth_steps; k++) {
    UNROLL
    for (int w = 0; w < 4; w++) {
      int32_t column = 16 * k + w / 2 * 8 + static_cast<int32_t>(lane_pair());
      bool there = column < a.kv.head_dim;
      float low = there ? q[w % 2][column] * a.scale : 0.0f, high = there ? q[w % 2][column + 1] * a.scale : 0.0f;
      uint32_t halves = pack_halves(low, high);
      state.query[k][w] = halves;
      state.rest[k][w] = pack_halves(low - low_half(halves), high - high_half(halves));
    }
  }
  UNROLL
  for (int n = 0; n < 2 * depth_steps; n++) {
    UNROLL
    for (int i = 0; i < 4; i++) state.value[n][i] = 0;
  }
  UNROLL
  for (int r = 0; r < 2; r++) state.maximum[r] = bits_float(0xff800000), state.sum[r] = 0;
}

template <typename Kv>
DEVICE void load_tile(const AttentionArgs& a, const AttentionTile& tile, MmaMemory& memory) {
  int32_t pieces = a.kv.head_dim / 8;
  int64_t first = static_cast<int64_t>(tile.kv_head) * a.kv.head_dim;
  _Pragma("unroll 4")
  for (int32_t i = static_cast<int32_t>(thread_index()); i < tile_positions * pieces; i += threads) {
    int32_t p = i / pieces, piece = i % pieces;
    int64_t at = memory.row[p] * a.kv.width + first + piece * 8;
    typename Kv::Raw key = Kv::load(a.kv, a.kv.keys, at, 8), value = Kv::load(a.kv, a.kv.values, at, 8);
    memory.keys[p][piece] = key_halves(key, &memory.scale[p][piece / 2]);
    memory.values[p][piece] = value_halves(value);
  }
}

// Query times key; SCALED: keys are codes.
template <bool SCALED>
DEVICE void scores(const AttentionArgs& a, const MmaMemory& memory, const MmaState& state,
                   float (&score)[position_tiles][4]) {
  uint32_t lane = lane_index(), row = lane / 16 * 8 + lane % 8, piece = lane / 8 % 2;
  UNROLL
  for (int n = 0; n < position_tiles; n++) {
    UNROLL
    for (int i = 0; i < 4; i++) score[n][i] = 0;
  }
  UNROLL
  for (int k = 0; k < depth_steps; k++) {
    if (16 * k >= a.kv.head_dim) continue;
    UNROLL
    for (int n = 0; n < position_tiles; n += 2) {
      uint32_t words[4];
      ldmatrix_x4(words, &memory.keys[8 * n + row][2 * k + piece]);
      UNROLL
      for (int j = 0; j < 2; j++) {
        uint32_t key[2] = {words[2 * j], words[2 * j + 1]};
        if constexpr (SCALED) {
          float sum[4] = {0, 0, 0, 0};
          mma_m16n8k16_f16(sum, state.query[k], key);
          mma_m16n8k16_f16(sum, state.rest[k], key);
          UNROLL
          for (int i = 0; i < 4; i++) {
            float scale = memory.scale[8 * (n + j) + lane_pair() + i % 2][k];
            score[n + j][i] = fma(scale, sum[i], score[n + j][i]);
          }
        } else {
          mma_m16n8k16_f16(score[n + j], state.query[k], key);
          mma_m16n8k16_f16(score[n + j], state.rest[k], key);
        }
      }
    }
  }
}

// Scores of the positions from `begin` on become weights; the state is brought to the new maximum.
DEVICE void weigh(const AttentionTile& tile, int32_t begin, MmaState& state, float (&score)[position_tiles][4]) {
  int32_t first = static_cast<int32_t>(warp_index() * warp_queries + lane_group());
  UNROLL
  for (int r = 0; r < 2; r++) {
    int32_t last = query_position(tile, first + 8 * r) - begin - static_cast<int32_t>(lane_pair());
    float maximum = state.maximum[r];
    UNROLL
    for (int n = 0; n < position_tiles; n++) {
      UNROLL
      for (int i = 0; i < 2; i++) {
        float& s = score[n][2 * r + i];
        if (8 * n + i > last) s = bits_float(0xff800000);
        maximum = larger(maximum, s);
      }
    }
    maximum = larger(maximum, shuffle_xor(maximum, 1));
    maximum = larger(maximum, shuffle_xor(maximum, 2));
    float shrink = exp_float(state.maximum[r] - maximum), sum = 0;
    UNROLL
    for (int n = 0; n < position_tiles; n++) {
      UNROLL
      for (int i = 0; i < 2; i++) {
        float& s = score[n][2 * r + i];
        s = exp_float(s - maximum);
        sum += s;
      }
    }
    state.maximum[r] = maximum;
    state.sum[r] = fma(state.sum[r], shrink, sum);
    UNROLL
    for (int n = 0; n < 2 * depth_steps; n++) state.value[n][2 * r] *= shrink, state.value[n][2 * r + 1] *= shrink;
  }
}

DEVICE void add_values(const AttentionArgs& a, const MmaMemory& memory, const float (&weight)[position_tiles][4],
                       MmaState& state) {
  uint32_t lane = lane_index(), row = lane / 8 % 2 * 8 + lane % 8, piece = lane / 16;
  UNROLL
  for (int p = 0; p < position_tiles; p += 2) {
    uint32_t weights[4], rest[4];
    UNROLL
    for (int w = 0; w < 4; w++) {
      float low = weight[p + w / 2][w % 2 * 2], high = weight[p + w / 2][w % 2 * 2 + 1];
      weights[w] = pack_halves(low, high);
      rest[w] = pack_halves(low - low_half(weights[w]), high - high_half(weights[w]));
    }
    UNROLL
    for (int n = 0; n < depth_steps; n++) {
      if (16 * n >= a.kv.head_dim) continue;
      uint32_t words[4];
      ldmatrix_x4_trans(words, &memory.values[8 * p + row][2 * n + piece]);
      UNROLL
      for (int j = 0; j < 2; j++) {
        uint32_t values[2] = {words[2 * j], words[2 * j + 1]};
        mma_m16n8k16_f16(state.value[2 * n + j], weights, values);
        mma_m16n8k16_f16(state.value[2 * n + j], rest, values);
      }
    }
  }
}

DEVICE void store_tile(const AttentionArgs& a, const AttentionTile& tile, const MmaState& state) {
  UNROLL
  for (int r = 0; r < 2; r++) {
    int32_t query = static_cast<int32_t>(warp_index() * warp_queries + lane_group()) + 8 * r;
    float sum = state.sum[r];
    sum += shuffle_xor(sum, 1);
    sum += shuffle_xor(sum, 2);
    bool live = has_query(tile, query);
    float* to = a.attended + query_begin(a, tile, query) + lane_pair();
    UNROLL
    for (int n = 0; n < 2 * depth_steps; n++) {
      if (8 * n >= a.kv.head_dim || !live) continue;
      to[8 * n] = state.value[n][2 * r] / sum, to[8 * n + 1] = state.value[n][2 * r + 1] / sum;
    }
  }
}

template <typename Kv, bool SCALED>
DEVICE void attend_tile(const AttentionArgs& a, const AttentionTile& tile, MmaMemory& memory) {
  MmaState state;
  begin_state(a, tile, state);
  for (int32_t begin = 0; begin < tile.end; begin += tile_positions) {
    if (thread_index() < tile_positions) {  // past the end: the last position, to be ignored
      int32_t p = begin + static_cast<int32_t>(thread_index());
      memory.row[thread_index()] = kv_row(a.kv, a.batch, tile.row, p < tile.end ? p : tile.end - 1);
    }
    barrier();
    load_tile<Kv>(a, tile, memory);
    barrier();
    float score[position_tiles][4];
    scores<SCALED>(a, memory, state, score);
    weigh(tile, begin, state, score);
    add_values(a, memory, score, state);
    barrier();
  }
  store_tile(a, tile, state);
}

}  // namespace

// Grid: tiles, of which a block takes every grid-th; KV heads times blocks of a group's heads.
KERNEL(attention_mma, AttentionArgs, 128) {
  SHARED(MmaMemory, memory);
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
