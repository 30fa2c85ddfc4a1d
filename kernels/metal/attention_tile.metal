// Attention of runs of rows of one sequence: keys and values go through block memory once for all queries of a tile.
#include "../gpu/attention_runs.h"
#include "../gpu/maths.h"
#include "kernel.h"

constant constexpr int threads = 128, tile_positions = 16;
constant constexpr int row_pieces = ATTENTION_TILE_MOST_DIM / 4 + 1;  // so that rows begin in different banks

struct TileMemory {
  Floats4 query[ATTENTION_TILE_QUERIES][row_pieces];
  Floats4 cache[tile_positions][row_pieces];  // keys, then values
  float weight[ATTENTION_TILE_QUERIES][tile_positions + 1];
  int64_t row[tile_positions];
};

// A warp has eight queries: 16 lanes for four of them. In scores a lane has position lane, in sums columns 4 * lane and
// 64 + 4 * lane on. So a query's maximum and sum are known to just those lanes that need them.
constant constexpr int lane_queries = 4;

struct TileState {
  float maximum[lane_queries], sum[lane_queries];
  Floats4 value[lane_queries][2];
};

DEVICE float dot4_floats(Floats4 a, Floats4 b, float sum) {
  return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}

DEVICE void add_scaled(thread Floats4& to, float factor, Floats4 value) {
  to.x = fma(factor, value.x, to.x), to.y = fma(factor, value.y, to.y);
  to.z = fma(factor, value.z, to.z), to.w = fma(factor, value.w, to.w);
}

// The maximum or the sum over the 16 lanes that share queries.
DEVICE float lanes_max(float value) {
  UNROLL
  for (uint32_t step = 8; step > 0; step /= 2) value = larger(value, shuffle_xor(value, step));
  return value;
}
DEVICE float lanes_sum(float value) {
  UNROLL
  for (uint32_t step = 8; step > 0; step /= 2) value += shuffle_xor(value, step);
  return value;
}

DEVICE void load_queries(Place at, constant AttentionArgs& a, const thread AttentionTile& tile,
                         threadgroup TileMemory& memory) {
  int32_t pieces = a.kv.head_dim / 4;
  for (int32_t i = static_cast<int32_t>(at.index); i < ATTENTION_TILE_QUERIES * pieces; i += threads) {
    int32_t query = i / pieces, piece = i % pieces;
    memory.query[query][piece] = load_once<Floats4>(a.q + query_begin(a, tile, query) + 4 * piece);
  }
}

template <typename Kv>
DEVICE void load_cache(Place at, constant AttentionArgs& a, const thread AttentionTile& tile,
                       const device uint8_t* cache, threadgroup TileMemory& memory) {
  int32_t pieces = a.kv.head_dim / 8;
  int64_t first = static_cast<int64_t>(tile.kv_head) * a.kv.head_dim;
  _Pragma("unroll 4")
  for (int32_t i = static_cast<int32_t>(at.index); i < tile_positions * pieces; i += threads) {
    int32_t p = i / pieces, column = i % pieces * 8;
    Floats8 v = Kv::decode(Kv::load(a.kv, cache, memory.row[p] * a.kv.width + first + column, 8));
    Floats4 low = {v.at[0], v.at[1], v.at[2], v.at[3]}, high = {v.at[4], v.at[5], v.at[6], v.at[7]};
    memory.cache[p][column / 4] = low, memory.cache[p][column / 4 + 1] = high;
  }
}

// Scores of the positions from `begin` on become weights; the state is brought to the new maximum.
DEVICE void weigh(Place at, constant AttentionArgs& a, const thread AttentionTile& tile, threadgroup TileMemory& memory,
                  int32_t begin, thread TileState& state) {
  int first = static_cast<int>(at.index / 16) * lane_queries, lane = static_cast<int>(at.index % 16);
  float score[lane_queries];
  UNROLL
  for (int i = 0; i < lane_queries; i++) score[i] = 0;
  for (int piece = 0; piece < a.kv.head_dim / 4; piece++) {
    Floats4 key = memory.cache[lane][piece];
    UNROLL
    for (int i = 0; i < lane_queries; i++) score[i] = dot4_floats(memory.query[first + i][piece], key, score[i]);
  }
  float hidden = bits_float(0xff800000);  // -infinity: of positions that a query does not see
  UNROLL
  for (int i = 0; i < lane_queries; i++) {
    int32_t last = query_position(tile, first + i) - begin;
    float seen = lane <= last ? score[i] * a.scale : hidden, maximum = larger(state.maximum[i], lanes_max(seen));
    float shrink = exp_float(state.maximum[i] - maximum), weight = exp_float(seen - maximum);
    state.maximum[i] = maximum;
    state.sum[i] = fma(state.sum[i], shrink, lanes_sum(weight));
    UNROLL
    for (int j = 0; j < 2; j++) state.value[i][j] *= shrink;
    memory.weight[first + i][lane] = weight;
  }
}

DEVICE void add_values(Place at, constant AttentionArgs& a, const threadgroup TileMemory& memory,
                       thread TileState& state) {
  int first = static_cast<int>(at.index / 16) * lane_queries, piece = static_cast<int>(at.index % 16);
  for (int p = 0; p < tile_positions; p++) {
    UNROLL
    for (int j = 0; j < 2; j++) {
      if (4 * piece + 64 * j >= a.kv.head_dim) continue;
      Floats4 value = memory.cache[p][piece + 16 * j];
      UNROLL
      for (int i = 0; i < lane_queries; i++) add_scaled(state.value[i][j], memory.weight[first + i][p], value);
    }
  }
}

DEVICE void store_tile(Place at, constant AttentionArgs& a, const thread AttentionTile& tile,
                       const thread TileState& state) {
  int first = static_cast<int>(at.index / 16) * lane_queries, column = static_cast<int>(at.index % 16) * 4;
  UNROLL
  for (int i = 0; i < lane_queries; i++) {
    if (!has_query(tile, first + i)) continue;
    UNROLL
    for (int j = 0; j < 2; j++) {
      if (column + 64 * j >= a.kv.head_dim) continue;
      device float* to = a.attended + query_begin(a, tile, first + i) + column + 64 * j;
      *reinterpret_cast<device Floats4*>(to) = state.value[i][j] / state.sum[i];
    }
  }
}

template <typename Kv>
DEVICE void attend_tile(Place at, constant AttentionArgs& a, const thread AttentionTile& tile,
                        threadgroup TileMemory& memory) {
  TileState state;
  Floats4 none = {0, 0, 0, 0};
  UNROLL
  for (int i = 0; i < lane_queries; i++) {
    state.maximum[i] = bits_float(0xff800000), state.sum[i] = 0;
    state.value[i][0] = none, state.value[i][1] = none;
  }
  load_queries(at, a, tile, memory);
  for (int32_t begin = 0; begin < tile.end; begin += tile_positions) {
    if (at.index < tile_positions) {  // past the end: the last position, to be ignored
      int32_t p = begin + static_cast<int32_t>(at.index);
      memory.row[at.index] = kv_row(a.kv, a.batch, tile.row, p < tile.end ? p : tile.end - 1);
    }
    barrier();
    load_cache<Kv>(at, a, tile, a.kv.keys, memory);
    barrier();
    weigh(at, a, tile, memory, begin, state);
    barrier();
    load_cache<Kv>(at, a, tile, a.kv.values, memory);
    barrier();
    add_values(at, a, memory, state);
    barrier();
  }
  store_tile(at, a, tile, state);
}

// --- finding tiles --------------------------------------------------------------------------------------------------

// A row begins a tile where it does not follow the row before, and at every row number that is a multiple of tile_rows.
DEVICE bool follows(constant BatchArg& batch, int32_t row, int32_t tile_rows) {
  return row % tile_rows != 0 && batch.table[row] == batch.table[row - 1] &&
         batch.position[row] == batch.position[row - 1] + 1;
}

// The rows of the tile that begins at `row`; 0: none does.
DEVICE int32_t rows_from(constant AttentionArgs& a, int32_t row) {
  int32_t rows = a.batch.header[0];
  if (row >= rows || follows(a.batch, row, a.runs.tile_rows)) return 0;
  int32_t count = 1;
  while (row + count < rows && follows(a.batch, row + count, a.runs.tile_rows)) count++;
  return count;
}

// The sum over the threads before this one; *total: over all of them.
DEVICE uint32_t sum_before(Place at, uint32_t mine, threadgroup uint32_t (&scratch)[8], thread uint32_t* total) {
  uint32_t sum = mine;
  UNROLL
  for (uint32_t step = 1; step < 32; step *= 2) {
    uint32_t before = shuffle(sum, at.lane() - step);
    if (at.lane() >= step) sum += before;
  }
  if (at.lane() == 31) scratch[at.warp()] = sum;
  barrier();
  uint32_t before = 0;
  *total = 0;
  for (uint32_t warp = 0; warp < 8; warp++) {
    if (warp < at.warp()) before += scratch[warp];
    *total += scratch[warp];
  }
  barrier();
  return before + sum - mine;
}

struct RunsMemory {
  uint32_t scratch[8];
};

// One block.
KERNEL(attention_runs, AttentionArgs, 256) {
  SHARED(RunsMemory, memory);
  Place at = HERE;
  device int32_t *single = a.runs.words + 2, *pair = single + a.runs.most_single;
  int32_t tiles = 0, singles = 0;
  for (int32_t begin = 0; begin < a.batch.header[0]; begin += 256) {
    int32_t row = begin + static_cast<int32_t>(at.index), count = rows_from(a, row);
    uint32_t total, before = sum_before(at, count == 1, memory.scratch, &total);
    int32_t place = singles + static_cast<int32_t>(before);
    bool is_single = count == 1 && place < a.runs.most_single;
    if (is_single) single[place] = row;
    singles += static_cast<int32_t>(total);
    before = sum_before(at, count > 0 && !is_single, memory.scratch, &total);
    if (count > 0 && !is_single) {
      place = tiles + static_cast<int32_t>(before);
      pair[2 * place] = row, pair[2 * place + 1] = count;
    }
    tiles += static_cast<int32_t>(total);
  }
  if (at.index != 0) return;
  a.runs.words[0] = tiles;
  a.runs.words[1] = singles < a.runs.most_single ? singles : a.runs.most_single;
}

// Grid: tiles, of which a block takes every grid-th; KV heads times blocks of a group's heads.
KERNEL(attention_tile, AttentionArgs, 128) {
  SHARED(TileMemory, memory);
  Place at = HERE;
  int32_t tiles = tile_count(a);
  for (int32_t t = static_cast<int32_t>(at.block.x); t < tiles; t += static_cast<int32_t>(at.grid.x)) {
    AttentionTile tile = attention_tile_of(a, t, at.block.y);
    if (a.kv.type == TALARIA_F32) {
      attend_tile<KvF32>(at, a, tile, memory);
    } else if (a.kv.type == TALARIA_F16) {
      attend_tile<KvF16>(at, a, tile, memory);
    } else {
      attend_tile<KvQ8_0>(at, a, tile, memory);
    }
  }
}
