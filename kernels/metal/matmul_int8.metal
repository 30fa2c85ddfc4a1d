// Products of many rows of int8 codes, in 8 x 8 matrices: the same bits as on other GPUs.
//
// Codes are float16 in block memory, which has them all, and their products are summed in float32: a run's sum stays below
// 2^24, and so it is exact. Then each lane scales those elements of a matrix that it holds, in the order and with the
// roundings of kernels/gpu/matmul.h. Metal does not say which ones they are: a matrix of numbers tells.
#include "matmul.h"

constant constexpr int step_columns = 64;
constant constexpr int stride = step_columns + 8;  // halves from row to row

struct CodesMemory {
  half weights[tile_rows * stride], inputs[tile_tokens * stride];
  float scale[step_columns / 16][tile_rows], minimum[step_columns / 32][tile_rows];
  float input_scale[step_columns / 32][tile_tokens], input_sum[step_columns / 32][tile_tokens];  // times its scale
};

// How a format's codes are multiplied. `run`: values with one scale. `offset`: what is subtracted from codes, so that they
// are signed and need no minimum. A step has two blocks of 32: where block `half` begins, and where in a step a column lies.
template <int RUN, int OFFSET, bool MINIMUMS>
struct Codes {
  CONSTANT int run = RUN, offset = OFFSET;
  CONSTANT bool minimums = MINIMUMS;
  static int32_t column(int32_t step, int32_t block) { return step * step_columns + block * 32; }
  static int32_t position(int32_t column) { return column % step_columns; }
};
// Of Q6_K two chunks that follow one another hold two blocks that are 64 columns apart.
struct CodesOfQ6_K {
  CONSTANT int run = 16, offset = 32;
  CONSTANT bool minimums = false;
  static int32_t column(int32_t step, int32_t block) { return step / 2 * 128 + step % 2 * 32 + block * 64; }
  static int32_t position(int32_t column) { return column % 128 / 64 * 32 + column % 32; }
};

// Four codes of a word, less `offset`.
DEVICE void store_codes(threadgroup half* to, uint32_t word, int offset) {
  UNROLL
  for (int b = 0; b < 4; b++) to[b] = static_cast<half>(static_cast<int8_t>(word >> 8 * b) - offset);
}

// A thread's share of a step's weights: 32 values of a row, in one chunk or two.
template <typename Format, typename T>
struct WeightCodes {
  CONSTANT int chunks = 32 / Format::values;
  typename Format::Raw raw[chunks];
  // Behind the last chunk it repeats: activations are zeros there.
  void load(const thread Matrix& m, int64_t row, int32_t step, int which) {
    int32_t last = static_cast<int32_t>(m.columns / Format::values) - 1, first = (2 * step + which) * chunks;
    UNROLL
    for (int c = 0; c < chunks; c++) raw[c] = Format::load(weight_row<Format::type>(m, row), first + c < last ? first + c : last);
  }
  void store(threadgroup CodesMemory& memory, int line, int32_t step, int which) const {
    UNROLL
    for (int c = 0; c < chunks; c++) {
      Chunk<Format::runs> chunk = Format::decode(raw[c], (2 * step + which) * chunks + c);
      UNROLL
      for (int i = 0; i < Format::runs; i++) {
        int32_t at = T::position(chunk.column[i]);
        UNROLL
        for (int j = 0; j < 4; j++) store_codes(memory.weights + line * stride + at + 4 * j, chunk.code[i][j], T::offset);
        // Of a run of two halves each chunk that has one stores the same scale.
        memory.scale[at / T::run][line] = chunk.scale[i];
        if (T::minimums) memory.minimum[at / 32][line] = chunk.minimum[i];
      }
    }
  }
};

// Of its activations: a block of 32.
struct InputCodes {
  Words4 codes[2];
  Words2 scale;
  void load(constant RowsArg& in, int64_t row, int32_t column) {
    Words4 none = {0, 0, 0, 0};
    Words2 zero = {0, 0};
    codes[0] = none, codes[1] = none, scale = zero;
    if (column >= in.stride) return;
    int64_t from = row * in.stride + column;
    codes[0] = *reinterpret_cast<const device Words4*>(in.codes + from);
    codes[1] = *reinterpret_cast<const device Words4*>(in.codes + from + 16);
    scale = *reinterpret_cast<const device Words2*>(in.scales + from / 32);
  }
  void store(threadgroup CodesMemory& memory, int line, int which) const {
    UNROLL
    for (int j = 0; j < 8; j++) {
      store_codes(memory.inputs + line * stride + which * 32 + 4 * j, word_of(codes[j / 4], j % 4), 0);
    }
    float x = bits_float(scale.x);
    int32_t sum = static_cast<int16_t>(scale.y) + static_cast<int16_t>(scale.y >> 16);
    memory.input_scale[which][line] = x, memory.input_sum[which][line] = x * static_cast<float>(sum);
  }
};

// Which elements of a matrix a lane holds: their rows and columns.
struct Elements {
  int row[2], column[2];
};

template <typename Memory>
DEVICE Elements elements_of(Place at, threadgroup Memory& memory) {
  if (at.index < 64) memory.sums[at.index] = static_cast<float>(at.index);
  barrier();
  simdgroup_float8x8 numbers;
  simdgroup_load(numbers, memory.sums, 8);
  Elements elements;
  UNROLL
  for (int e = 0; e < 2; e++) {
    int number = static_cast<int>(numbers.thread_elements()[e]);
    elements.row[e] = number / 8, elements.column[e] = number % 8;
  }
  barrier();
  return elements;
}

struct LaneSums {
  float at[warp_rows / 8][warp_tokens / 8][2];
};

template <typename T>
DEVICE void multiply_codes(Place at, const threadgroup CodesMemory& step, const thread Elements& elements,
                           thread LaneSums& sums) {
  constexpr int depth = T::run / 8;
  for (int run = 0; run < step_columns / T::run; run++) {
    int begin = run * T::run, block = begin / 32;
    simdgroup_half8x8 inputs[warp_tokens / 8][depth];
    UNROLL
    for (int t = 0; t < warp_tokens / 8; t++) {
      const threadgroup half* from = step.inputs + (first_token(at) + 8 * t) * stride + begin;
      UNROLL
      for (int k = 0; k < depth; k++) simdgroup_load(inputs[t][k], from + 8 * k, stride, 0, true);
    }
    UNROLL
    for (int r = 0; r < warp_rows / 8; r++) {
      simdgroup_half8x8 weights[depth];
      const threadgroup half* from = step.weights + (first_row(at) + 8 * r) * stride + begin;
      UNROLL
      for (int k = 0; k < depth; k++) simdgroup_load(weights[k], from + 8 * k, stride);
      UNROLL
      for (int t = 0; t < warp_tokens / 8; t++) {
        simdgroup_float8x8 dot = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
        UNROLL
        for (int k = 0; k < depth; k++) simdgroup_multiply_accumulate(dot, weights[k], inputs[t][k], dot);
        UNROLL
        for (int e = 0; e < 2; e++) {
          int row = first_row(at) + 8 * r + elements.row[e], token = first_token(at) + 8 * t + elements.column[e];
          float value = dot.thread_elements()[e] * step.input_scale[block][token];
          float sum = fma(value, step.scale[run][row], sums.at[r][t][e]);
          if (T::minimums) sum = fma(-step.input_sum[block][token], step.minimum[block][row], sum);
          sums.at[r][t][e] = sum;
        }
      }
    }
  }
}

// The whole tile. `row` of `m` is the one that the thread brings.
template <typename Format, typename T>
struct CodeTile {
  typedef MatmulMemory<CodesMemory> Memory;
  static void multiply(Place at, const thread Matrix& m, int64_t row, constant RowsArg& in, int32_t count,
                       threadgroup Memory& memory) {
    int which = static_cast<int>(at.index % 2), line = line_of(at);
    int64_t source = memory.source[line];
    Elements elements = elements_of(at, memory);
    LaneSums sums;
    UNROLL
    for (int r = 0; r < warp_rows / 8; r++) {
      UNROLL
      for (int t = 0; t < warp_tokens / 8; t++) sums.at[r][t][0] = 0, sums.at[r][t][1] = 0;
    }
    WeightCodes<Format, T> weights;
    InputCodes input;
    int32_t steps = static_cast<int32_t>((m.columns + step_columns - 1) / step_columns);
    for (int32_t step = 0; step <= steps; step++) {
      if (step > 0) {
        if (brings_weights(at)) {
          weights.store(memory.step, line, step - 1, which);
        } else {
          input.store(memory.step, line, which);
        }
        barrier();
      }
      if (step < steps) {
        if (brings_weights(at)) {
          weights.load(m, row, step, which);
        } else {
          input.load(in, source, T::column(step, which));
        }
      }
      if (step > 0) {
        if (first_token(at) < count) multiply_codes<T>(at, memory.step, elements, sums);  // the same for a warp's lanes
        barrier();
      }
    }
    UNROLL
    for (int r = 0; r < warp_rows / 8; r++) {
      UNROLL
      for (int t = 0; t < warp_tokens / 8; t++) {
        UNROLL
        for (int e = 0; e < 2; e++) {
          int token = first_token(at) + 8 * t + elements.column[e], at_row = first_row(at) + 8 * r + elements.row[e];
          memory.sums[token * sum_stride + at_row] = sums.at[r][t][e];
        }
      }
    }
    barrier();
  }
};

typedef Codes<32, 8, false> CodesOfQ4_0;
typedef Codes<32, 0, false> CodesOfQ8_0;
typedef Codes<32, 0, true> CodesOfK;  // Q4_K and Q5_K
typedef CodeTile<Q4_0, CodesOfQ4_0> TileOfQ4_0;
typedef CodeTile<Q8_0, CodesOfQ8_0> TileOfQ8_0;
typedef CodeTile<Q4_K, CodesOfK> TileOfQ4_K;
typedef CodeTile<Q5_K, CodesOfK> TileOfQ5_K;
typedef CodeTile<Q6_K, CodesOfQ6_K> TileOfQ6_K;
MATMUL(q4_0, int8, TileOfQ4_0)
MATMUL(q8_0, int8, TileOfQ8_0)
MATMUL(q4_k, int8, TileOfQ4_K)
MATMUL(q5_k, int8, TileOfQ5_K)
MATMUL(q6_k, int8, TileOfQ6_K)
