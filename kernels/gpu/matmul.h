// Products of many rows of activations, one launch per op: the same for every unit that multiplies.
//
// A block of threads owns a tile: Unit::rows rows of weights times up to Unit::tokens rows of activations, those of the
// batch or the pairs of one expert. Tiles of activations are the grid's x, so that blocks that run at the same time read
// the same weights and one of them brings those into the L2 cache for all. While a step's tile is multiplied, the next
// one is on its way into registers: with two blocks on a processor some 24 KB are under way at any time.
//
// A unit says how a warp (of Unit::lanes threads) multiplies: its warps lie warp_rows x warp_tokens over the tile, each with
// fragments of m rows x n tokens, of which a lane holds `results`. All units add a step's blocks in the same order and
// with the same roundings, so that int8 products have the same bits on each of them.
#pragma once

#include "maths.h"
#include "matmul_tile.h"
#include "tiles.h"

// The rows of activations of a block: where each is read and written.
template <int TOKENS>
struct TileRows {
  int32_t source[TOKENS], target[TOKENS];
};

// How many rows tile `block_x()` has, 0: nothing to do. All threads of the block get there.
template <int TOKENS>
DEVICE int32_t dense_rows(const BatchArg& batch, int32_t choice, TileRows<TOKENS>& rows) {
  int32_t first = static_cast<int32_t>(block_x()) * TOKENS, left = row_count(batch, choice) - first;
  int32_t count = left < TOKENS ? left : TOKENS;
  if (count <= 0) return 0;
  int32_t i = static_cast<int32_t>(thread_index());
  if (i < TOKENS) rows.source[i] = rows.target[i] = first + (i < count ? i : count - 1);
  barrier();
  return count;
}

template <int TOKENS>
DEVICE int32_t pair_rows(const TilesArg& tiles, bool by_row, TileRows<TOKENS>& rows, int32_t* matrix) {
  if (static_cast<int32_t>(block_x()) >= *tiles.tile_count) return 0;
  ExpertTile tile = tiles.tiles[block_x()];
  int32_t i = static_cast<int32_t>(thread_index());
  *matrix = tile.expert;
  if (i < TOKENS && tile.count > 0) {
    int32_t pair = tiles.pair[tile.begin + (i < tile.count ? i : tile.count - 1)];
    rows.target[i] = pair;
    rows.source[i] = by_row ? pair / tiles.used : pair;
  }
  barrier();
  return tile.count;
}

// --- a tile -----------------------------------------------------------------------------------------------------------

template <typename Unit>
struct Fragments {
  static constexpr int row_tiles = Unit::rows / Unit::warp_rows / Unit::m;
  static constexpr int token_tiles = Unit::tokens / Unit::warp_tokens / Unit::n;
  using Sums = float[row_tiles][token_tiles][Unit::results];
  Sums sum;

  static DEVICE_MEMBER int warp() { return static_cast<int>(thread_index()) / Unit::lanes; }
  static DEVICE_MEMBER int first_row() { return warp() % Unit::warp_rows * (row_tiles * Unit::m); }
  static DEVICE_MEMBER int first_token() { return warp() / Unit::warp_rows * (token_tiles * Unit::n); }
};

template <typename Unit>
DEVICE void clear(typename Fragments<Unit>::Sums& sum) {
  UNROLL
  for (int r = 0; r < Fragments<Unit>::row_tiles; r++) {
    UNROLL
    for (int t = 0; t < Fragments<Unit>::token_tiles; t++) {
      UNROLL
      for (int i = 0; i < Unit::results; i++) sum[r][t][i] = 0;
    }
  }
}

// Result i of tiles r and t takes up the sum of the products of a run's codes.
template <typename Unit, typename T, typename Shared>
DEVICE void add_run(const Shared& shared, Fragments<Unit>& f, int run, int r, int t, int i, float value) {
  int block = run * T::run / 32, at = f.first_row() + r * Unit::m + Unit::row(i);
  InputScale x = shared.input_scale[block][f.first_token() + t * Unit::n + Unit::token(i)];
  float sum = fma(value * x.scale, shared.scale[run][at], f.sum[r][t][i]);
  if constexpr (T::minimums) sum = fma(-x.scaled_sum, shared.minimum[block][at], sum);
  f.sum[r][t][i] = sum;
}

// A sum of products of codes starts at the bits of 1.5 * 2^23 as a float: it stays below 2^22, so that its bits are those
// of 1.5 * 2^23 + sum, and a subtraction makes the float that a slow conversion would.
constexpr int32_t float_start = 0x4b400000;

// One step of codes; LIVE tiles of the warp's have tokens.
template <int LIVE, typename Unit, typename T, typename Shared>
DEVICE void multiply_codes(const Shared& shared, Fragments<Unit>& f) {
  constexpr int halves = T::run / 16;
  _Pragma("unroll 1")
  for (int run = 0; run < step_columns / T::run; run++) {
    typename Unit::B b[LIVE][halves];
    UNROLL
    for (int t = 0; t < LIVE; t++) {
      UNROLL
      for (int h = 0; h < halves; h++) {
        Unit::load_b(b[t][h], shared.inputs + (f.first_token() + t * Unit::n) * Shared::row_bytes + run * T::run + h * 16,
                     Shared::row_bytes);
      }
    }
    UNROLL
    for (int r = 0; r < f.row_tiles; r++) {
      typename Unit::A a[halves];
      int row = f.first_row() + r * Unit::m;
      UNROLL
      for (int h = 0; h < halves; h++) {
        Unit::load_a(a[h], shared.weights + row * Shared::row_bytes + run * T::run + h * 16, Shared::row_bytes);
      }
      UNROLL
      for (int t = 0; t < LIVE; t++) {
        int32_t dot[Unit::results];
        UNROLL
        for (int i = 0; i < Unit::results; i++) dot[i] = float_start;
        Unit::multiply(a, b[t], dot);
        UNROLL
        for (int i = 0; i < Unit::results; i++) {
          float value = bits_float(static_cast<uint32_t>(dot[i])) - bits_float(float_start);
          add_run<Unit, T>(shared, f, run, r, t, i, value);
        }
      }
    }
  }
}

// Numbers of columns [begin, end) of a step.
template <int LIVE, typename Unit, typename Shared>
DEVICE void multiply_numbers(const Shared& shared, int begin, int end, typename Fragments<Unit>::Sums& sum) {
  using F = Fragments<Unit>;
  _Pragma("unroll 1")
  for (int k = begin; k < end; k += Unit::k) {
    typename Unit::B b[LIVE];
    UNROLL
    for (int t = 0; t < LIVE; t++) {
      Unit::load_b(b[t], shared.inputs + (F::first_token() + t * Unit::n) * Shared::row_bytes + k * Unit::Element::bytes,
                   Shared::row_bytes);
    }
    UNROLL
    for (int r = 0; r < F::row_tiles; r++) {
      typename Unit::A a;
      Unit::load_a(a, shared.weights + (F::first_row() + r * Unit::m) * Shared::row_bytes + k * Unit::Element::bytes,
                   Shared::row_bytes);
      UNROLL
      for (int t = 0; t < LIVE; t++) Unit::multiply(a, b[t], sum[r][t]);
    }
  }
}

// One step of codes that are multiplied as numbers.
template <int LIVE, typename Unit, typename T, typename Shared>
DEVICE void multiply_codes_as_numbers(const Shared& shared, Fragments<Unit>& f) {
  _Pragma("unroll 1")
  for (int run = 0; run < step_columns / T::run; run++) {
    typename Fragments<Unit>::Sums dot;
    clear<Unit>(dot);
    multiply_numbers<LIVE, Unit>(shared, run * T::run, (run + 1) * T::run, dot);
    UNROLL
    for (int r = 0; r < f.row_tiles; r++) {
      UNROLL
      for (int t = 0; t < LIVE; t++) {
        UNROLL
        for (int i = 0; i < Unit::results; i++) add_run<Unit, T>(shared, f, run, r, t, i, dot[r][t][i]);
      }
    }
  }
}

template <int LIVE, typename Unit, typename T, typename Shared>
DEVICE void multiply_live(const Shared& shared, Fragments<Unit>& f) {
  if constexpr (!Unit::Element::codes) {
    multiply_numbers<LIVE, Unit>(shared, 0, step_columns, f.sum);
  } else if constexpr (Unit::Element::bytes == 1) {
    multiply_codes<LIVE, Unit, T>(shared, f);
  } else {
    multiply_codes_as_numbers<LIVE, Unit, T>(shared, f);
  }
}

// `count`: of the block's tokens. The same way for all lanes of a warp.
template <typename Unit, typename T, typename Shared>
DEVICE void multiply_step(const Shared& shared, Fragments<Unit>& f, int32_t count) {
  constexpr int all = Fragments<Unit>::token_tiles, few = (all + 3) / 4;
  int32_t mine = count - f.first_token();
  if (mine <= 0) return;
  if (mine <= few * Unit::n) {
    multiply_live<few, Unit, T>(shared, f);
  } else {
    multiply_live<all, Unit, T>(shared, f);
  }
}

// The whole tile. Row r of it is row row_of(r) of matrix matrix_of(r) of the two.
template <typename Unit, typename Format, typename Shared, typename RowOf>
DEVICE void multiply_tile(const RowOf& rows, const RowsArg& in, const int32_t* source, int32_t count, Shared& shared,
                          Fragments<Unit>& f) {
  using T = Traits<Format>;
  using Weights = WeightTile<Format, typename Unit::Element, T::plain>;
  constexpr int each = step_columns / Format::values, all = Unit::rows * each;
  constexpr int loads = (all + matmul_threads - 1) / matmul_threads;
  clear<Unit>(f.sum);
  typename Weights::Raw raw[loads];
  InputTile<Unit::tokens, typename Unit::Element> input;
  int32_t last = Weights::chunks(rows.matrix(0)) - 1, steps = last / each + 1;
  // Behind the last chunk it repeats: activations are zeros there.
  auto load = [&](int32_t step) {
    UNROLL
    for (int i = 0; i < loads; i++) {
      int index = static_cast<int>(thread_index()) + i * matmul_threads;
      int32_t chunk = step * each + index % each;
      if (index < all) raw[i] = Weights::load(rows.matrix(index / each), rows.row(index / each), chunk < last ? chunk : last);
    }
    input.template load<T>(in, source, step);
  };
  load(0);
  for (int32_t step = 0; step < steps; step++) {
    UNROLL
    for (int i = 0; i < loads; i++) {
      int index = static_cast<int>(thread_index()) + i * matmul_threads;
      if (index < all) Weights::store(shared, index / each, step * each + index % each, raw[i]);
    }
    input.store(shared);
    barrier();
    if (step + 1 < steps) load(step + 1);
    multiply_step<Unit, T>(shared, f, count);
    barrier();
  }
}

// --- product ----------------------------------------------------------------------------------------------------------

struct ProductTileRows {
  Matrix m;
  int32_t begin, last;
  DEVICE_MEMBER Matrix matrix(int) const { return m; }
  DEVICE_MEMBER int64_t row(int r) const { return begin + r < last ? begin + r : last; }
};

template <typename Unit>
struct ProductShared {
  TileShared<Unit::rows, Unit::tokens, typename Unit::Element> tile;
  TileRows<Unit::tokens> rows;
};

template <typename Unit, typename Format>
DEVICE void product_of_tiles(const ProductArgs& a, ProductShared<Unit>& shared) {
  dependency_wait();
  launch_dependents();
  int32_t matrix = 0;
  int32_t count = a.grouped == NONE ? dense_rows(a.batch, a.choice, shared.rows)
                                    : pair_rows(a.tiles, a.grouped == PAIRS_OF_ROWS, shared.rows, &matrix);
  if (count == 0) return;
  int32_t begin = static_cast<int32_t>(block_y()) * Unit::rows;
  ProductTileRows rows = {matrix_of(a.weight, matrix), begin, static_cast<int32_t>(a.weight.rows) - 1};
  Fragments<Unit> f;
  multiply_tile<Unit, Format>(rows, a.in, shared.rows.source, count, shared.tile, f);
  UNROLL
  for (int t = 0; t < f.token_tiles; t++) {
    UNROLL
    for (int i = 0; i < Unit::results; i++) {
      int token = f.first_token() + t * Unit::n + Unit::token(i);
      if (token >= count) continue;
      int64_t row_target = shared.rows.target[token];
      float weight = 1;
      if (a.grouped == PAIRS) {
        const int32_t* routing = a.tiles.routing + row_target / a.tiles.used * (2 * a.tiles.used);
        weight = bits_float(static_cast<uint32_t>(routing[a.tiles.used + row_target % a.tiles.used]));
      }
      UNROLL
      for (int r = 0; r < f.row_tiles; r++) {
        int32_t row = begin + f.first_row() + r * Unit::m + Unit::row(i);
        if (row >= a.weight.rows) continue;
        float* target = a.target + row_target * a.target_stride + row;
        float value = f.sum[r][t][i] * weight;
        *target = a.add != 0 ? *target + value : value;
      }
    }
  }
}

// --- gate and up ------------------------------------------------------------------------------------------------------

// A warp's rows are half of gate's, half of up's, the same ones: a lane then holds both factors of a result.
template <typename Unit>
struct GateUpTileRows {
  static constexpr int half = Unit::rows / Unit::warp_rows / 2;
  Matrix gate, up;
  int32_t begin, last;
  DEVICE_MEMBER Matrix matrix(int r) const {
    bool first = r % (2 * half) < half;
    return {first ? gate.first : up.first,   first ? gate.second : up.second, first ? gate.third : up.third,
            first ? gate.fourth : up.fourth, gate.columns,                    gate.row_bytes};
  }
  DEVICE_MEMBER int64_t row(int r) const {
    int32_t at = begin + r / (2 * half) * half + r % half;
    return at < last ? at : last;
  }
};

template <typename Unit>
struct GateUpShared {
  static constexpr int columns = Unit::rows / 2;
  union {
    TileShared<Unit::rows, Unit::tokens, typename Unit::Element> tile;
    float gated[Unit::tokens][columns + 4];
  };
  TileRows<Unit::tokens> rows;
};

template <typename Unit, typename Format>
DEVICE void gate_up_of_tiles(const GateUpArgs& a, GateUpShared<Unit>& shared) {
  dependency_wait();
  launch_dependents();
  constexpr int columns = GateUpShared<Unit>::columns, blocks = columns / 32;
  int32_t matrix = 0;
  int32_t count = pair_rows(a.tiles, true, shared.rows, &matrix);
  if (count == 0) return;
  int32_t begin = static_cast<int32_t>(block_y()) * columns;
  GateUpTileRows<Unit> rows = {matrix_of(a.gate, matrix), matrix_of(a.up, matrix), begin,
                               static_cast<int32_t>(a.gate.rows) - 1};
  Fragments<Unit> f;
  multiply_tile<Unit, Format>(rows, a.in, shared.rows.source, count, shared.tile, f);
  UNROLL
  for (int r = 0; r < f.row_tiles / 2; r++) {
    UNROLL
    for (int t = 0; t < f.token_tiles; t++) {
      UNROLL
      for (int i = 0; i < Unit::results; i++) {
        int column = f.first_row() / 2 + r * Unit::m + Unit::row(i);
        float value = silu(f.sum[r][t][i]) * f.sum[r + f.row_tiles / 2][t][i];
        shared.gated[f.first_token() + t * Unit::n + Unit::token(i)][column] = begin + column < a.gate.rows ? value : 0;
      }
    }
  }
  barrier();
  for (int i = static_cast<int>(warp_index()); i < Unit::tokens * blocks; i += matmul_threads / 32) {
    int token = i / blocks, column = i % blocks * 32;
    float value = shared.gated[token][column + static_cast<int>(lane_index())];
    bool live = token < count && begin + column < a.out.stride;
    store_block(a.out, lane_index(), shared.rows.target[token], begin + column, value, live);
  }
}

#define MATMUL(format, Format, mode, Unit, unit) MATMUL_OF_BLOCKS(format, Format, mode, Unit, unit, 2)
#define MATMUL_OF_BLOCKS(format, Format, mode, Unit, unit, blocks)                 \
  KERNEL_OF_BLOCKS(product_##format##_##mode##_##unit, ProductArgs, 256, blocks) { \
    SHARED(ProductShared<Unit>, shared);                                           \
    product_of_tiles<Unit, Format>(a, shared);                                     \
  }                                                                                \
  KERNEL_OF_BLOCKS(gate_up_##format##_##mode##_##unit, GateUpArgs, 256, blocks) {  \
    SHARED(GateUpShared<Unit>, shared);                                            \
    gate_up_of_tiles<Unit, Format>(a, shared);                                     \
  }
