// Products of many rows of activations, one launch per op, by the 8 x 8 matrices of a simdgroup.
//
// A block of threads owns a tile: 64 rows of weights times up to 64 rows of activations, those of the batch or the pairs of
// one expert. It goes through the columns in steps of 32: weights and activations come into block memory as float32, each
// eight warps multiply 32 x 16 of the tile, and the next step is on its way into registers meanwhile. Nothing is rounded
// to float16: that would show on rows whose products cancel each other, and Apple's GPUs up to M4 multiply both as fast.
// Codes are multiplied as the numbers that they stand for: there is no dot product of int8.
#include "../gpu/dot.h"
#include "../gpu/maths.h"
#include "../gpu/tiles.h"
#include "kernel.h"

constant constexpr int tile_rows = 64, tile_tokens = 64, step_columns = 32, run = 16;
constant constexpr int stride = step_columns + 4, sum_stride = tile_rows + 4;  // floats from row to row
constant constexpr int warp_rows = 32, warp_tokens = 16;                       // of the tile, a warp's

struct StepMemory {
  float weights[tile_rows * stride], inputs[tile_tokens * stride];
};
struct alignas(16) MatmulMemory {
  union {
    StepMemory step;
    float sums[tile_tokens * sum_stride];
  };
  int32_t source[tile_tokens], target[tile_tokens];  // where rows of activations are read and written
};

// How many rows tile `block.x` has, 0: nothing to do. All threads of the block get there.
DEVICE int32_t dense_rows(Place at, constant BatchArg& batch, int32_t choice, threadgroup MatmulMemory& memory) {
  int32_t first = static_cast<int32_t>(at.block.x) * tile_tokens, left = row_count(batch, choice) - first;
  int32_t count = left < tile_tokens ? left : tile_tokens, i = static_cast<int32_t>(at.index);
  if (count <= 0) return 0;
  if (i < tile_tokens) memory.source[i] = memory.target[i] = first + (i < count ? i : count - 1);
  barrier();
  return count;
}

DEVICE int32_t pair_rows(Place at, constant TilesArg& tiles, bool by_row, threadgroup MatmulMemory& memory,
                         thread int32_t* matrix) {
  if (static_cast<int32_t>(at.block.x) >= *tiles.tile_count) return 0;
  const device ExpertTile& tile = tiles.tiles[at.block.x];
  int32_t i = static_cast<int32_t>(at.index), count = tile.count;
  *matrix = tile.expert;
  if (i < tile_tokens && count > 0) {
    int32_t pair = tiles.pair[tile.begin + (i < count ? i : count - 1)];
    memory.target[i] = pair;
    memory.source[i] = by_row ? pair / tiles.used : pair;
  }
  barrier();
  return count;
}

// --- a thread's share of a step: one run of 16 values, between global and block memory ------------------------------------

template <typename Format>
struct QuantisedRun {
  typename Format::Raw raw;
  // A step has a chunk of two runs, or two of one.
  static int32_t chunk(int32_t step, int which) { return Format::runs == 2 ? step : 2 * step + which; }
  static int32_t column(int32_t step, int which) {
    return Format::run_column(chunk(step, which), Format::runs == 2 ? which : 0);
  }
  void load(const thread Matrix& m, int64_t row, int32_t step, int which) {
    raw = Format::load(m, row, chunk(step, which));
  }
  void store(threadgroup Floats4* to, int32_t step, int which) const {
    Chunk<Format::runs> c = Format::decode(raw, chunk(step, which));
    bool second = Format::runs == 2 && which == 1;
    constexpr int last = Format::runs - 1;
    float scale = second ? c.scale[last] : c.scale[0], minimum = second ? c.minimum[last] : c.minimum[0];
    UNROLL
    for (int j = 0; j < 4; j++) {
      uint32_t word = second ? c.code[last][j] : c.code[0][j];
      float v[4];
      UNROLL
      for (int b = 0; b < 4; b++) v[b] = fma(scale, static_cast<float>(static_cast<int8_t>(word >> 8 * b)), -minimum);
      Floats4 four = {v[0], v[1], v[2], v[3]};
      to[j] = four;
    }
  }
};

template <typename Format>
struct PlainRun {
  Words4 raw[run / Format::values];
  static int32_t column(int32_t step, int which) { return step * step_columns + which * run; }
  // Behind the last chunk it repeats: activations are zeros there.
  void load(const thread Matrix& m, int64_t row, int32_t step, int which) {
    int32_t last = static_cast<int32_t>(m.row_bytes / 16) - 1, first = column(step, which) / Format::values;
    UNROLL
    for (int i = 0; i < run / Format::values; i++) {
      raw[i] = load_once<Words4>(m.first + row * m.row_bytes + (first + i < last ? first + i : last) * 16);
    }
  }
  void store(threadgroup Floats4* to, int32_t, int) const {
    UNROLL
    for (int j = 0; j < run / 4; j++) {
      Words4 words = raw[4 * j / Format::values];
      int i = 4 * j % Format::values;
      Floats4 four = {Format::value(words, i), Format::value(words, i + 1), Format::value(words, i + 2),
                      Format::value(words, i + 3)};
      to[j] = four;
    }
  }
};

struct CodesInput {
  Words4 codes;
  float scale;
  void load(constant RowsArg& in, int64_t row, int32_t column) {
    Words4 none = {0, 0, 0, 0};
    codes = none, scale = 0;
    if (column >= in.stride) return;
    int64_t from = row * in.stride + column;
    codes = *reinterpret_cast<const device Words4*>(in.codes + from);
    scale = in.scales[from / 32].scale;
  }
  void store(threadgroup Floats4* to) const {
    UNROLL
    for (int j = 0; j < 4; j++) {
      float v[4];
      UNROLL
      for (int b = 0; b < 4; b++) v[b] = scale * static_cast<float>(static_cast<int8_t>(word_of(codes, j) >> 8 * b));
      Floats4 four = {v[0], v[1], v[2], v[3]};
      to[j] = four;
    }
  }
};

struct ValuesInput {
  Floats4 values[run / 4];
  void load(constant RowsArg& in, int64_t row, int32_t column) {
    UNROLL
    for (int j = 0; j < run / 4; j++) {
      Floats4 none = {0, 0, 0, 0};
      values[j] = none;
      if (column >= in.stride) continue;
      values[j] = *reinterpret_cast<const device Floats4*>(in.values + row * in.stride + column + 4 * j);
    }
  }
  void store(threadgroup Floats4* to) const {
    UNROLL
    for (int j = 0; j < run / 4; j++) to[j] = values[j];
  }
};

// --- a tile -------------------------------------------------------------------------------------------------------------

// A warp's part of a tile: 4 x 2 matrices, rows of weights x rows of activations.
struct WarpSums {
  simdgroup_float8x8 at[warp_rows / 8][warp_tokens / 8];
  static int first_row(Place at) { return static_cast<int>(at.warp() % 2) * warp_rows; }
  static int first_token(Place at) { return static_cast<int>(at.warp() / 2) * warp_tokens; }
};

DEVICE void multiply_step(Place at, const threadgroup StepMemory& step, thread WarpSums& sums) {
  for (int k = 0; k < step_columns; k += 8) {
    simdgroup_float8x8 inputs[warp_tokens / 8];
    UNROLL
    for (int t = 0; t < warp_tokens / 8; t++) {
      simdgroup_load(inputs[t], step.inputs + (WarpSums::first_token(at) + 8 * t) * stride + k, stride, 0, true);
    }
    UNROLL
    for (int r = 0; r < warp_rows / 8; r++) {
      simdgroup_float8x8 weights;
      simdgroup_load(weights, step.weights + (WarpSums::first_row(at) + 8 * r) * stride + k, stride);
      UNROLL
      for (int t = 0; t < warp_tokens / 8; t++) {
        simdgroup_multiply_accumulate(sums.at[r][t], weights, inputs[t], sums.at[r][t]);
      }
    }
  }
}

// The whole tile, into memory.sums [token][row]. The first half of the threads bring weights, each of `row` of `m`, the
// others activations.
template <typename Weights, typename Input>
DEVICE void multiply_tile(Place at, const thread Matrix& m, int64_t row, constant RowsArg& in, int32_t count,
                          threadgroup MatmulMemory& memory) {
  int which = static_cast<int>(at.index % 2), line = static_cast<int>(at.index / 2) % tile_rows;
  bool brings_weights = at.index < 2 * tile_rows;
  int64_t source = memory.source[line];
  threadgroup float* place = (brings_weights ? memory.step.weights : memory.step.inputs) + line * stride + which * run;
  threadgroup Floats4* to = reinterpret_cast<threadgroup Floats4*>(place);
  WarpSums sums;
  UNROLL
  for (int r = 0; r < warp_rows / 8; r++) {
    UNROLL
    for (int t = 0; t < warp_tokens / 8; t++) sums.at[r][t] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  }
  Weights weights;
  Input input;
  int32_t steps = static_cast<int32_t>((m.columns + step_columns - 1) / step_columns);
  for (int32_t step = 0; step <= steps; step++) {
    if (step > 0) {
      if (brings_weights) {
        weights.store(to, step - 1, which);
      } else {
        input.store(to);
      }
      barrier();
    }
    if (step < steps) {
      if (brings_weights) {
        weights.load(m, row, step, which);
      } else {
        input.load(in, source, Weights::column(step, which));
      }
    }
    if (step > 0) {
      if (WarpSums::first_token(at) < count) multiply_step(at, memory.step, sums);  // the same for all lanes of a warp
      barrier();
    }
  }
  UNROLL
  for (int r = 0; r < warp_rows / 8; r++) {
    UNROLL
    for (int t = 0; t < warp_tokens / 8; t++) {
      int first = (WarpSums::first_token(at) + 8 * t) * sum_stride + WarpSums::first_row(at) + 8 * r;
      simdgroup_store(sums.at[r][t], memory.sums + first, sum_stride, 0, true);
    }
  }
  barrier();
}

// --- product and gate_up --------------------------------------------------------------------------------------------------

template <typename Weights, typename Input>
DEVICE void product_of_tiles(Place at, constant ProductArgs& a, threadgroup MatmulMemory& memory) {
  int32_t matrix = 0;
  int32_t count = a.grouped == NONE ? dense_rows(at, a.batch, a.choice, memory)
                                    : pair_rows(at, a.tiles, a.grouped == PAIRS_OF_ROWS, memory, &matrix);
  if (count == 0) return;
  int64_t begin = static_cast<int64_t>(at.block.y) * tile_rows;
  int64_t row = smaller(begin + at.index / 2 % tile_rows, a.weight.rows - 1);
  multiply_tile<Weights, Input>(at, matrix_of(a.weight, matrix), row, a.in, count, memory);
  for (int i = static_cast<int>(at.index); i < count * tile_rows; i += static_cast<int>(at.threads)) {
    int token = i / tile_rows, column = i % tile_rows;
    if (begin + column >= a.weight.rows) continue;
    int64_t row_target = memory.target[token];
    float value = memory.sums[token * sum_stride + column];
    if (a.grouped == PAIRS) {
      const device int32_t* routing = a.tiles.routing + row_target / a.tiles.used * (2 * a.tiles.used);
      value *= bits_float(static_cast<uint32_t>(routing[a.tiles.used + row_target % a.tiles.used]));
    }
    device float* target = a.target + row_target * a.target_stride + begin + column;
    *target = a.add != 0 ? *target + value : value;
  }
}

// The first half of the tile's rows are gate's, the other the same ones of up.
template <typename Weights, typename Input>
DEVICE void gate_up_of_tiles(Place at, constant GateUpArgs& a, threadgroup MatmulMemory& memory) {
  constexpr int columns = tile_rows / 2;
  int32_t matrix = 0, count = pair_rows(at, a.tiles, true, memory, &matrix);
  if (count == 0) return;
  int64_t begin = static_cast<int64_t>(at.block.y) * columns;
  int line = static_cast<int>(at.index / 2) % tile_rows;
  int64_t row = smaller(begin + line % columns, a.gate.rows - 1);
  multiply_tile<Weights, Input>(at, matrix_of(line < columns ? a.gate : a.up, matrix), row, a.in, count, memory);
  int32_t lane = static_cast<int32_t>(at.lane());
  for (int token = static_cast<int>(at.warp()); token < count; token += static_cast<int>(at.threads / 32)) {
    const threadgroup float* sums = memory.sums + token * sum_stride;
    float value = begin + lane < a.gate.rows ? silu(sums[lane]) * sums[columns + lane] : 0.0f;
    store_block(a.out, at.lane(), memory.target[token], begin, value, true);
  }
}

#define MATMUL(format, mode, Weights, Input)                          \
  KERNEL(product_##format##_##mode##_tile, ProductArgs, 256) {        \
    SHARED(MatmulMemory, memory);                                     \
    product_of_tiles<Weights, Input>(HERE, a, memory);                \
  }                                                                   \
  KERNEL(gate_up_##format##_##mode##_tile, GateUpArgs, 256) {         \
    SHARED(MatmulMemory, memory);                                     \
    gate_up_of_tiles<Weights, Input>(HERE, a, memory);                \
  }
MATMUL(q4_0, int8, QuantisedRun<Q4_0>, CodesInput)
MATMUL(q8_0, int8, QuantisedRun<Q8_0>, CodesInput)
MATMUL(q4_k, int8, QuantisedRun<Q4_K>, CodesInput)
MATMUL(q5_k, int8, QuantisedRun<Q5_K>, CodesInput)
MATMUL(q6_k, int8, QuantisedRun<Q6_K>, CodesInput)
MATMUL(q4_0, half, QuantisedRun<Q4_0>, ValuesInput)
MATMUL(q8_0, half, QuantisedRun<Q8_0>, ValuesInput)
MATMUL(q4_k, half, QuantisedRun<Q4_K>, ValuesInput)
MATMUL(q5_k, half, QuantisedRun<Q5_K>, ValuesInput)
MATMUL(q6_k, half, QuantisedRun<Q6_K>, ValuesInput)
MATMUL(f32, half, PlainRun<F32>, ValuesInput)
MATMUL(f16, half, PlainRun<F16>, ValuesInput)
MATMUL(bf16, half, PlainRun<BF16>, ValuesInput)
