// Products of many rows of floats, in 8 x 8 matrices of float32.
//
// Weights come into block memory decoded. Nothing is rounded to float16: that would show on rows whose products cancel each
// other, and Apple's GPUs up to M4 multiply both as fast.
#include "matmul.h"

constant constexpr int step_columns = 32, run = 16;
constant constexpr int stride = step_columns + 4;  // floats from row to row

struct StepMemory {
  float weights[tile_rows * stride], inputs[tile_tokens * stride];
};

// --- a thread's share of a step: one run of 16 values, between global and block memory ----------------------------------

template <typename Format>
struct QuantisedRun {
  typename Format::Raw raw;
  // A step has a chunk of two runs, or two of one.
  static int32_t chunk(int32_t step, int which) { return Format::runs == 2 ? step : 2 * step + which; }
  static int32_t column(int32_t step, int which) {
    return Format::run_column(chunk(step, which), Format::runs == 2 ? which : 0);
  }
  void load(const thread Matrix& m, int64_t row, int32_t step, int which) {
    raw = Format::load(weight_row<Format::type>(m, row), chunk(step, which));
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
};

DEVICE void multiply_step(Place at, const threadgroup StepMemory& step, thread WarpSums& sums) {
  for (int k = 0; k < step_columns; k += 8) {
    simdgroup_float8x8 inputs[warp_tokens / 8];
    UNROLL
    for (int t = 0; t < warp_tokens / 8; t++) {
      simdgroup_load(inputs[t], step.inputs + (first_token(at) + 8 * t) * stride + k, stride, 0, true);
    }
    UNROLL
    for (int r = 0; r < warp_rows / 8; r++) {
      simdgroup_float8x8 weights;
      simdgroup_load(weights, step.weights + (first_row(at) + 8 * r) * stride + k, stride);
      UNROLL
      for (int t = 0; t < warp_tokens / 8; t++) {
        simdgroup_multiply_accumulate(sums.at[r][t], weights, inputs[t], sums.at[r][t]);
      }
    }
  }
}

// The whole tile. `row` of `m` is the one that the thread brings.
template <typename Weights>
struct NumberTile {
  typedef MatmulMemory<StepMemory> Memory;
  static void multiply(Place at, const thread Matrix& m, int64_t row, constant RowsArg& in, int32_t count,
                       threadgroup Memory& memory) {
    int which = static_cast<int>(at.index % 2), line = line_of(at);
    int64_t source = memory.source[line];
    threadgroup float* place = brings_weights(at) ? memory.step.weights : memory.step.inputs;
    threadgroup Floats4* to = reinterpret_cast<threadgroup Floats4*>(place + line * stride + which * run);
    WarpSums sums;
    UNROLL
    for (int r = 0; r < warp_rows / 8; r++) {
      UNROLL
      for (int t = 0; t < warp_tokens / 8; t++) sums.at[r][t] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    }
    Weights weights;
    ValuesInput input;
    int32_t steps = static_cast<int32_t>((m.columns + step_columns - 1) / step_columns);
    for (int32_t step = 0; step <= steps; step++) {
      if (step > 0) {
        if (brings_weights(at)) {
          weights.store(to, step - 1, which);
        } else {
          input.store(to);
        }
        barrier();
      }
      if (step < steps) {
        if (brings_weights(at)) {
          weights.load(m, row, step, which);
        } else {
          input.load(in, source, Weights::column(step, which));
        }
      }
      if (step > 0) {
        if (first_token(at) < count) multiply_step(at, memory.step, sums);  // the same for all lanes of a warp
        barrier();
      }
    }
    UNROLL
    for (int r = 0; r < warp_rows / 8; r++) {
      UNROLL
      for (int t = 0; t < warp_tokens / 8; t++) {
        int first = (first_token(at) + 8 * t) * sum_stride + first_row(at) + 8 * r;
        simdgroup_store(sums.at[r][t], memory.sums + first, sum_stride, 0, true);
      }
    }
    barrier();
  }
};

MATMUL(q4_0, half, NumberTile<QuantisedRun<Q4_0>>)
MATMUL(q8_0, half, NumberTile<QuantisedRun<Q8_0>>)
MATMUL(q4_k, half, NumberTile<QuantisedRun<Q4_K>>)
MATMUL(q5_k, half, NumberTile<QuantisedRun<Q5_K>>)
MATMUL(q6_k, half, NumberTile<QuantisedRun<Q6_K>>)
MATMUL(f32, half, NumberTile<PlainRun<F32>>)
MATMUL(f16, half, NumberTile<PlainRun<F16>>)
MATMUL(bf16, half, NumberTile<PlainRun<BF16>>)
