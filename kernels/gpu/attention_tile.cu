// Attention of runs of rows of one sequence: keys and values go through block memory once for all queries of a tile.
#include "attention_runs.h"
#include "maths.h"

namespace {

constexpr int threads = 128, tile_positions = 32;
constexpr int padded_dim = ATTENTION_TILE_MOST_DIM + 4;     // rows of 16-byte pieces that begin in different banks
constexpr int padded_positions = tile_positions + 4;

struct alignas(16) TileMemory {
  float query[ATTENTION_TILE_QUERIES][padded_dim];
  float cache[tile_positions][padded_dim];  // keys, then values
  float weight[ATTENTION_TILE_QUERIES][padded_positions];
  int64_t row[tile_positions];
};

// A warp has eight queries: 16 lanes for four of them. In scores a lane has positions lane and lane + 16, in sums columns
// 4 * lane and 64 + 4 * lane on. So a query's maximum and sum are known to just those lanes that need them.
constexpr int lane_queries = 4;

struct TileState {
  float maximum[lane_queries], sum[lane_queries];
  Floats4 value[lane_queries][2];
};

DEVICE Floats4 load4(const float* from) { return *reinterpret_cast<const Floats4*>(from); }
DEVICE void store4(float* to, const Floats4& value) { *reinterpret_cast<Floats4*>(to) = value; }

DEVICE float dot4_floats(const Floats4& a, const Floats4& b, float sum) {
  return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}

DEVICE void add_scaled(Floats4& to, float factor, const Floats4& value) {
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

DEVICE void load_queries(const AttentionArgs& a, const AttentionTile& tile, TileMemory& memory) {
  int32_t pieces = a.kv.head_dim / 4;
  for (int32_t i = static_cast<int32_t>(thread_index()); i < ATTENTION_TILE_QUERIES * pieces; i += threads) {
    int32_t query = i / pieces, column = i % pieces * 4;
    store4(&memory.query[query][column], load4(a.q + query_begin(a, tile, query) + column));
  }
}

template <typename Kv>
DEVICE void load_cache(const AttentionArgs& a, const AttentionTile& tile, const uint8_t* cache, TileMemory& memory) {
  int32_t pieces = a.kv.head_dim / 8;
  int64_t first = static_cast<int64_t>(tile.kv_head) * a.kv.head_dim;
  _Pragma("unroll 4")
  for (int32_t i = static_cast<int32_t>(thread_index()); i < tile_positions * pieces; i += threads) {
    int32_t p = i / pieces, column = i % pieces * 8;
    Floats8 v = Kv::decode(Kv::load(a.kv, cache, memory.row[p] * a.kv.width + first + column, 8));
    store4(&memory.cache[p][column], {v.at[0], v.at[1], v.at[2], v.at[3]});
    store4(&memory.cache[p][column + 4], {v.at[4], v.at[5], v.at[6], v.at[7]});
  }
}

// Scores of the positions from `begin` on become weights; the state is brought to the new maximum.
DEVICE void weigh(const AttentionArgs& a, const AttentionTile& tile, TileMemory& memory, int32_t begin, TileState& state) {
  int first = static_cast<int>(thread_index() / 16) * lane_queries, lane = static_cast<int>(thread_index() % 16);
  float score[lane_queries][2];
  UNROLL
  for (int i = 0; i < lane_queries; i++) score[i][0] = score[i][1] = 0;
  for (int column = 0; column < a.kv.head_dim; column += 4) {
    Floats4 key[2] = {load4(&memory.cache[lane][column]), load4(&memory.cache[lane + 16][column])};
    UNROLL
    for (int i = 0; i < lane_queries; i++) {
      Floats4 query = load4(&memory.query[first + i][column]);
      UNROLL
      for (int j = 0; j < 2; j++) score[i][j] = dot4_floats(query, key[j], score[i][j]);
    }
  }
  float hidden = bits_float(0xff800000);  // -infinity: of positions that a query does not see
  UNROLL
  for (int i = 0; i < lane_queries; i++) {
    int32_t last = query_position(tile, first + i) - begin;
    UNROLL
    for (int j = 0; j < 2; j++) score[i][j] = lane + 16 * j <= last ? score[i][j] * a.scale : hidden;
    float maximum = larger(state.maximum[i], lanes_max(larger(score[i][0], score[i][1])));
    float shrink = exp_float(state.maximum[i] - maximum);
    float weight[2] = {exp_float(score[i][0] - maximum), exp_float(score[i][1] - maximum)};
    state.maximum[i] = maximum;
    state.sum[i] = fma(state.sum[i], shrink, lanes_sum(weight[0] + weight[1]));
    UNROLL
    for (int j = 0; j < 2; j++) {
      Floats4& value = state.value[i][j];
      value.x *= shrink, value.y *= shrink, value.z *= shrink, value.w *= shrink;
      memory.weight[first + i][lane + 16 * j] = weight[j];
    }
  }
}

DEVICE void add_values(const AttentionArgs& a, const TileMemory& memory, TileState& state) {
  int first = static_cast<int>(thread_index() / 16) * lane_queries, column = static_cast<int>(thread_index() % 16) * 4;
  for (int begin = 0; begin < tile_positions; begin += 4) {
    Floats4 weight[lane_queries];
    UNROLL
    for (int i = 0; i < lane_queries; i++) weight[i] = load4(&memory.weight[first + i][begin]);
    UNROLL
    for (int p = 0; p < 4; p++) {
      UNROLL
      for (int j = 0; j < 2; j++) {
        if (column + 64 * j >= a.kv.head_dim) continue;
        Floats4 value = load4(&memory.cache[begin + p][column + 64 * j]);
        UNROLL
        for (int i = 0; i < lane_queries; i++) {
          float factor = p == 0 ? weight[i].x : p == 1 ? weight[i].y : p == 2 ? weight[i].z : weight[i].w;
          add_scaled(state.value[i][j], factor, value);
        }
      }
    }
  }
}

DEVICE void store_tile(const AttentionArgs& a, const AttentionTile& tile, const TileState& state) {
  int first = static_cast<int>(thread_index() / 16) * lane_queries, column = static_cast<int>(thread_index() % 16) * 4;
  UNROLL
  for (int i = 0; i < lane_queries; i++) {
    if (!has_query(tile, first + i)) continue;
    UNROLL
    for (int j = 0; j < 2; j++) {
      if (column + 64 * j >= a.kv.head_dim) continue;
      const Floats4& v = state.value[i][j];
      float sum = state.sum[i];
      store4(a.attended + query_begin(a, tile, first + i) + column + 64 * j,
             {v.x / sum, v.y / sum, v.z / sum, v.w / sum});
    }
  }
}

template <typename Kv>
DEVICE void attend_tile(const AttentionArgs& a, const AttentionTile& tile, TileMemory& memory) {
  TileState state;
  UNROLL
  for (int i = 0; i < lane_queries; i++) {
    state.maximum[i] = bits_float(0xff800000), state.sum[i] = 0;
    state.value[i][0] = state.value[i][1] = {0, 0, 0, 0};
  }
  load_queries(a, tile, memory);
  for (int32_t begin = 0; begin < tile.end; begin += tile_positions) {
    if (thread_index() < tile_positions) {  // past the end: the last position, to be ignored
      int32_t p = begin + static_cast<int32_t>(thread_index());
      memory.row[thread_index()] = kv_row(a.kv, a.batch, tile.row, p < tile.end ? p : tile.end - 1);
    }
    barrier();
    load_cache<Kv>(a, tile, a.kv.keys, memory);
    barrier();
    weigh(a, tile, memory, begin, state);
    barrier();
    load_cache<Kv>(a, tile, a.kv.values, memory);
    barrier();
    add_values(a, memory, state);
    barrier();
  }
  store_tile(a, tile, state);
}

// --- finding tiles ----------------------------------------------------------------------------------------------------

// A row begins a tile where it does not follow the row before, and at every row number that is a multiple of tile_rows.
DEVICE bool follows(const BatchArg& batch, int32_t row, int32_t tile_rows) {
  return row % tile_rows != 0 && batch.table[row] == batch.table[row - 1] &&
         batch.position[row] == batch.position[row - 1] + 1;
}

// The rows of the tile that begins at `row`; 0: none does.
DEVICE int32_t rows_from(const AttentionArgs& a, int32_t row) {
  int32_t rows = a.batch.header[0];
  if (row >= rows || follows(a.batch, row, a.runs.tile_rows)) return 0;
  int32_t count = 1;
  while (row + count < rows && follows(a.batch, row + count, a.runs.tile_rows)) count++;
  return count;
}

// The sum over the threads before this one; *total: over all of them.
DEVICE uint32_t sum_before(uint32_t mine, uint32_t (&scratch)[8], uint32_t* total) {
  uint32_t sum = mine;
  UNROLL
  for (uint32_t step = 1; step < 32; step *= 2) {
    uint32_t before = shuffle(sum, lane_index() - step);
    if (lane_index() >= step) sum += before;
  }
  if (lane_index() == 31) scratch[warp_index()] = sum;
  barrier();
  uint32_t before = 0;
  *total = 0;
  for (uint32_t warp = 0; warp < 8; warp++) {
    if (warp < warp_index()) before += scratch[warp];
    *total += scratch[warp];
  }
  barrier();
  return before + sum - mine;
}

struct RunsMemory {
  uint32_t scratch[8];
};

}  // namespace

// One block.
KERNEL(attention_runs, AttentionArgs, 256) {
  SHARED(RunsMemory, memory);
  dependency_wait();
  launch_dependents();
  int32_t *single = a.runs.words + 2, *pair = single + a.runs.most_single, tiles = 0, singles = 0;
  for (int32_t begin = 0; begin < a.batch.header[0]; begin += 256) {
    int32_t row = begin + static_cast<int32_t>(thread_index()), count = rows_from(a, row);
    uint32_t total, before = sum_before(count == 1, memory.scratch, &total);
    int32_t place = singles + static_cast<int32_t>(before);
    bool is_single = count == 1 && place < a.runs.most_single;
    if (is_single) single[place] = row;
    singles += static_cast<int32_t>(total);
    before = sum_before(count > 0 && !is_single, memory.scratch, &total);
    if (count > 0 && !is_single) {
      place = tiles + static_cast<int32_t>(before);
      pair[2 * place] = row, pair[2 * place + 1] = count;
    }
    tiles += static_cast<int32_t>(total);
  }
  if (thread_index() != 0) return;
  a.runs.words[0] = tiles;
  a.runs.words[1] = singles < a.runs.most_single ? singles : a.runs.most_single;
}

// Grid: tiles, of which a block takes every grid-th; KV heads times blocks of a group's heads.
KERNEL(attention_tile, AttentionArgs, 128) {
  SHARED(TileMemory, memory);
  dependency_wait();
  launch_dependents();
  int32_t tiles = tile_count(a);
  for (int32_t t = static_cast<int32_t>(block_x()); t < tiles; t += static_cast<int32_t>(grid_x())) {
    AttentionTile tile = attention_tile_of(a, t, block_y());
    if (a.kv.type == TALARIA_F32) {
      attend_tile<KvF32>(a, tile, memory);
    } else if (a.kv.type == TALARIA_F16) {
      attend_tile<KvF16>(a, tile, memory);
    } else {
      attend_tile<KvQ8_0>(a, tile, memory);
    }
  }
}
