// What a lane does with a piece of a weight's row: one struct per format, for products of few rows.
//
// A chunk is what one load of 16 bytes brings. Of a quantised format it holds runs of 16 values, each within a block of 32
// activations: run i begins at column `column[i]` (run_column), run_step columns behind the one before, and is
// scale[i] * code - minimum[i]. Two runs 16 columns apart are a whole block, with one scale and one minimum. Loads are apart
// from decoding, so that those of several rows are under way at once.
//
// With much memory bandwidth these loops are bound by their instructions: an H200's lanes issue 6 for each byte that arrives
// (docs/gpu-backends.md). So offsets within a row have 32 bits and no sign, and what depends on a chunk's place among the 8
// of a block of 256 does so without branches: for a lane it is always the same.
#pragma once

#include "launch_args.h"
#include "rows.h"
#include "weights.h"

DEVICE uint32_t word_of(const LOCAL Words4& words, int i) {
  return i == 0 ? words.x : i == 1 ? words.y : i == 2 ? words.z : words.w;
}

// A matrix of a weight: its planes.
struct Matrix {
  const GLOBAL uint8_t *first, *second, *third, *fourth;
  int64_t columns, row_bytes;
};

DEVICE Matrix matrix_of(ARGS WeightArg& weight, int32_t type, int64_t index) {
  WeightLayout at = weight_layout(type, weight.rows, weight.columns);
  const GLOBAL uint8_t* data = weight.data + index * weight.matrix_bytes;
  return {data, data + at.second, data + at.third, data + at.fourth, weight.columns, plain_row_bytes(type, weight.columns)};
}
DEVICE Matrix matrix_of(ARGS WeightArg& weight, int64_t index) { return matrix_of(weight, weight.type, index); }

// A row of a quantised matrix: where it begins in each plane.
struct WeightRow {
  const GLOBAL uint8_t *first, *second, *third, *fourth;
};

template <int TYPE>
DEVICE WeightRow weight_row(const LOCAL Matrix& m, int64_t row) {
  const auto columns = static_cast<uint64_t>(m.columns);
  return {m.first + row * (columns * plane_bytes(TYPE, 0) / 256), m.second + row * (columns * plane_bytes(TYPE, 1) / 256),
          m.third + row * (columns * plane_bytes(TYPE, 2) / 256), m.fourth + row * (columns * plane_bytes(TYPE, 3) / 256)};
}

template <int RUNS>
struct Chunk {
  uint32_t code[RUNS][4];  // 16 int8 codes
  float scale[RUNS], minimum[RUNS];
  int32_t column[RUNS];
};

DEVICE float half_at(const GLOBAL uint8_t* address) {
  return half_to_float(*reinterpret_cast<const GLOBAL uint16_t*>(address));
}

struct Q4_0 {
  CONSTANT bool asks_ahead = true;
  CONSTANT int type = TALARIA_Q4_0, values = 32, runs = 2, run_step = 16;
  struct Raw {
    Words4 nibbles;
    uint16_t d;
  };
  static DEVICE_MEMBER int32_t run_column(int32_t chunk, int i) { return chunk * 32 + i * 16; }
  static DEVICE_MEMBER Raw load(const LOCAL WeightRow& row, int32_t chunk) {
    const auto c = static_cast<uint32_t>(chunk);
    return {load_once<Words4>(row.first + c * 16),
            load_again<uint16_t>(row.second + c * 2)};
  }
  static DEVICE_MEMBER Chunk<2> decode(const LOCAL Raw& raw, int32_t chunk) {
    Chunk<2> c;
    float d = half_to_float(raw.d);
    UNROLL
    for (int i = 0; i < 4; i++) {
      c.code[0][i] = word_of(raw.nibbles, i) & 0x0f0f0f0f;
      c.code[1][i] = word_of(raw.nibbles, i) >> 4 & 0x0f0f0f0f;
    }
    UNROLL
    for (int i = 0; i < 2; i++) c.scale[i] = d, c.minimum[i] = 8.0f * d, c.column[i] = run_column(chunk, i);
    return c;
  }
};

struct Q8_0 {
  CONSTANT bool asks_ahead = false;
  CONSTANT int type = TALARIA_Q8_0, values = 16, runs = 1, run_step = 16;
  struct Raw {
    Words4 codes;
    uint16_t d;
  };
  static DEVICE_MEMBER int32_t run_column(int32_t chunk, int i) { return chunk * 16 + i * 16; }
  static DEVICE_MEMBER Raw load(const LOCAL WeightRow& row, int32_t chunk) {
    const auto c = static_cast<uint32_t>(chunk);
    return {load_once<Words4>(row.first + c * 16),
            load_again<uint16_t>(row.second + c / 2 * 2)};
  }
  static DEVICE_MEMBER Chunk<1> decode(const LOCAL Raw& raw, int32_t chunk) {
    Chunk<1> c;
    UNROLL
    for (int i = 0; i < 4; i++) c.code[0][i] = word_of(raw.codes, i);
    c.scale[0] = half_to_float(raw.d), c.minimum[0] = 0, c.column[0] = run_column(chunk, 0);
    return c;
  }
};

// Scale and minimum of group g (0 to 7) of a K-format's head: 6 bits each. Those of the first four groups lie in bytes of
// their own, those of the others in the last word and in the high bits of the first ones' bytes.
DEVICE void group_scale(const LOCAL Words4& head, uint32_t g, LOCAL float& scale, LOCAL float& minimum) {
  const uint32_t high = g < 4 ? 0x3f : 0x30, low = g < 4 ? 0 : 0x0f, at = g % 4 * 8, high_at = g < 4 ? at : at + 2;
  const uint32_t scale_code = (head.y >> high_at & high) | (head.w >> at & low);
  const uint32_t minimum_code = (head.z >> high_at & high) | (head.w >> (at + 4) & low);
  scale = half_to_float(static_cast<uint16_t>(head.x)) * static_cast<float>(scale_code);
  minimum = half_to_float(static_cast<uint16_t>(head.x >> 16)) * static_cast<float>(minimum_code);
}

// Chunk g of a block's 8 is group g.
struct Q4_K {
  CONSTANT bool asks_ahead = true;
  CONSTANT int type = TALARIA_Q4_K, values = 32, runs = 2, run_step = 16;
  struct Raw {
    Words4 nibbles, head;
  };
  static DEVICE_MEMBER int32_t run_column(int32_t chunk, int i) { return chunk * 32 + i * 16; }
  static DEVICE_MEMBER Raw load(const LOCAL WeightRow& row, int32_t chunk) {
    const auto c = static_cast<uint32_t>(chunk);
    return {load_once<Words4>(row.first + c * 16),
            load_again<Words4>(row.second + c / 8 * 16)};
  }
  static DEVICE_MEMBER Chunk<2> decode(const LOCAL Raw& raw, int32_t chunk) {
    Chunk<2> c;
    UNROLL
    for (int i = 0; i < 4; i++) {
      c.code[0][i] = word_of(raw.nibbles, i) & 0x0f0f0f0f;
      c.code[1][i] = word_of(raw.nibbles, i) >> 4 & 0x0f0f0f0f;
    }
    group_scale(raw.head, static_cast<uint32_t>(chunk) % 8, c.scale[0], c.minimum[0]);
    c.scale[1] = c.scale[0], c.minimum[1] = c.minimum[0];
    UNROLL
    for (int i = 0; i < 2; i++) c.column[i] = run_column(chunk, i);
    return c;
  }
};

// Like Q4_K; bit 8b + k of a group's fifth bits belongs to its value 4k + b.
struct Q5_K {
  CONSTANT bool asks_ahead = true;
  CONSTANT int type = TALARIA_Q5_K, values = 32, runs = 2, run_step = 16;
  struct Raw {
    Words4 nibbles, head;
    uint32_t fifth;
  };
  static DEVICE_MEMBER int32_t run_column(int32_t chunk, int i) { return chunk * 32 + i * 16; }
  static DEVICE_MEMBER Raw load(const LOCAL WeightRow& row, int32_t chunk) {
    const auto c = static_cast<uint32_t>(chunk);
    return {load_once<Words4>(row.first + c * 16),
            load_again<Words4>(row.third + c / 8 * 16),
            load_again<uint32_t>(row.second + c * 4)};
  }
  static DEVICE_MEMBER Chunk<2> decode(const LOCAL Raw& raw, int32_t chunk) {
    Chunk<2> c = Q4_K::decode({raw.nibbles, raw.head}, chunk);
    UNROLL
    for (int i = 0; i < 4; i++) {
      c.code[0][i] |= raw.fifth << 4 >> i & 0x10101010;
      c.code[1][i] |= raw.fifth >> i & 0x10101010;
    }
    return c;
  }
};

// Chunk t of a block's 8 is quarter u = t % 4 of half t / 4: low nibbles are values 16u on of the half, high ones 64 further.
struct Q6_K {
  CONSTANT bool asks_ahead = true;
  CONSTANT int type = TALARIA_Q6_K, values = 32, runs = 2, run_step = 64;
  struct Raw {
    Words4 low, high;
    int8_t scale[2];
    uint16_t d;
  };
  static DEVICE_MEMBER uint32_t first_column(uint32_t chunk) { return chunk % 8 / 4 * 128 + chunk % 4 * 16; }
  static DEVICE_MEMBER int32_t run_column(int32_t chunk, int i) {
    const auto c = static_cast<uint32_t>(chunk);
    return static_cast<int32_t>(c / 8 * 256 + first_column(c)) + i * 64;
  }
  static DEVICE_MEMBER Raw load(const LOCAL WeightRow& row, int32_t chunk) {
    const auto c = static_cast<uint32_t>(chunk);
    const GLOBAL uint8_t* scales = row.third + (c / 8 * 16 + first_column(c) / 16);
    return {load_once<Words4>(row.first + c * 16),
            load_again<Words4>(row.second + (c / 4 * 32 + c % 2 * 16)),
            {load_again<int8_t>(scales), load_again<int8_t>(scales + 4)},
            load_again<uint16_t>(row.fourth + c / 8 * 2)};
  }
  static DEVICE_MEMBER Chunk<2> decode(const LOCAL Raw& raw, int32_t chunk) {
    Chunk<2> c;
    uint32_t shift = static_cast<uint32_t>(chunk) % 4 / 2 * 2;
    float d = half_to_float(raw.d);
    UNROLL
    for (int i = 0; i < 4; i++) {
      uint32_t low = word_of(raw.low, i), high = word_of(raw.high, i) >> shift;
      c.code[0][i] = (low & 0x0f0f0f0f) | (high & 0x03030303) << 4;
      c.code[1][i] = (low >> 4 & 0x0f0f0f0f) | (high >> 4 & 0x03030303) << 4;
    }
    UNROLL
    for (int i = 0; i < 2; i++) {
      c.scale[i] = d * static_cast<float>(raw.scale[i]), c.minimum[i] = 32.0f * c.scale[i];
      c.column[i] = run_column(chunk, i);
    }
    return c;
  }
};

// Plain numbers: N values of a chunk as floats.
struct F32 {
  CONSTANT bool asks_ahead = false;
  CONSTANT int type = TALARIA_F32, values = 4;
  static DEVICE_MEMBER float value(const LOCAL Words4& words, int i) { return bits_float(word_of(words, i)); }
};
struct F16 {
  CONSTANT bool asks_ahead = false;
  CONSTANT int type = TALARIA_F16, values = 8;
  static DEVICE_MEMBER float value(const LOCAL Words4& words, int i) {
    return half_to_float(static_cast<uint16_t>(word_of(words, i / 2) >> i % 2 * 16));
  }
};
struct BF16 {
  CONSTANT bool asks_ahead = false;
  CONSTANT int type = TALARIA_BF16, values = 8;
  static DEVICE_MEMBER float value(const LOCAL Words4& words, int i) {
    uint32_t word = word_of(words, i / 2);
    return bits_float(i % 2 ? word & 0xffff0000 : word << 16);
  }
};

// --- a chunk times a row of activations -------------------------------------------------------------------------------

// Where the activations of a chunk begin: `first` is the column, and `place` that of the lane's first chunk, which is as far
// into its block of 32.
struct Columns {
  uint32_t first, place;
};

// Int8 activations: exact within what has one scale of the weights and one of the activations, one rounding to float for each.
struct Int8 {
  template <typename Format>
  struct Weights {
    typename Format::Raw raw;
    static DEVICE_MEMBER int32_t chunks(const LOCAL Matrix& m) { return static_cast<int32_t>(m.columns / Format::values); }
    static DEVICE_MEMBER WeightRow row_of(const LOCAL Matrix& m, int64_t row) { return weight_row<Format::type>(m, row); }
    static DEVICE_MEMBER Weights load(const LOCAL WeightRow& row, int32_t chunk) { return {Format::load(row, chunk)}; }
    static DEVICE_MEMBER uint32_t column(uint32_t chunk) {
      return static_cast<uint32_t>(Format::run_column(static_cast<int32_t>(chunk), 0));
    }
    static DEVICE_MEMBER Chunk<Format::runs> decode(const LOCAL Weights& w, int32_t chunk) {
      return Format::decode(w.raw, chunk);
    }
  };
  template <typename Format>
  static DEVICE_MEMBER float times(const LOCAL Chunk<Format::runs>& c, ARGS RowsArg& in, int64_t row, Columns at, float sum) {
    const uint32_t index = static_cast<uint32_t>(row * in.stride) + at.first;  // which Composer::rows has seen to
    const GLOBAL int8_t* codes = in.codes + index;
    const GLOBAL Words2* scales = reinterpret_cast<const GLOBAL Words2*>(in.scales) + index / 32;
    if constexpr (Format::runs == 2 && Format::run_step == 16) {  // one block of activations and of weights
      Words2 packed = *scales;
      int32_t codes_sum = static_cast<int16_t>(packed.y) + (static_cast<int32_t>(packed.y) >> 16), dot = 0;
      UNROLL
      for (int i = 0; i < 2; i++) {
        Words4 x = *reinterpret_cast<const GLOBAL Words4*>(codes + i * 16);
        UNROLL
        for (int j = 0; j < 4; j++) dot = dot4(c.code[i][j], word_of(x, j), dot);
      }
      float part = fma(c.scale[0], static_cast<float>(dot), -(c.minimum[0] * static_cast<float>(codes_sum)));
      sum = fma(part, bits_float(packed.x), sum);
    } else {
      UNROLL
      for (int i = 0; i < Format::runs; i++) {
        Words4 x = *reinterpret_cast<const GLOBAL Words4*>(codes + i * Format::run_step);
        Words2 packed = scales[i * Format::run_step / 32];
        int32_t codes_sum = static_cast<int16_t>(packed.y >> (at.place / 16 + i * Format::run_step / 16) % 2 * 16);
        int32_t dot = 0;
        UNROLL
        for (int j = 0; j < 4; j++) dot = dot4(c.code[i][j], word_of(x, j), dot);
        float part = fma(c.scale[i], static_cast<float>(dot), -(c.minimum[i] * static_cast<float>(codes_sum)));
        sum = fma(part, bits_float(packed.x), sum);
      }
    }
    return sum;
  }
};

DEVICE float element(const LOCAL Floats4& v, int i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }

// Float activations and quantised weights.
struct Half {
  template <typename Format>
  using Weights = Int8::Weights<Format>;
  template <typename Format>
  static DEVICE_MEMBER float times(const LOCAL Chunk<Format::runs>& c, ARGS RowsArg& in, int64_t row, Columns at, float sum) {
    UNROLL
    for (int i = 0; i < Format::runs; i++) {
      const GLOBAL float* x = in.values + static_cast<uint32_t>(row * in.stride) + at.first + i * Format::run_step;
      UNROLL
      for (int j = 0; j < 4; j++) {
        Floats4 four = *reinterpret_cast<const GLOBAL Floats4*>(x + 4 * j);
        UNROLL
        for (int b = 0; b < 4; b++) {
          float code = static_cast<float>(static_cast<int8_t>(c.code[i][j] >> 8 * b));
          sum = fma(fma(c.scale[i], code, -c.minimum[i]), element(four, b), sum);
        }
      }
      in_order();
    }
    return sum;
  }
};

template <typename Format>
struct PlainChunk {
  Words4 words;
};

// Float activations and plain weights.
struct Plain {
  template <typename Format>
  struct Weights {
    Words4 raw;
    static DEVICE_MEMBER int32_t chunks(const LOCAL Matrix& m) { return static_cast<int32_t>(m.row_bytes / 16); }
    static DEVICE_MEMBER WeightRow row_of(const LOCAL Matrix& m, int64_t row) {
      return {m.first + row * m.row_bytes, nullptr, nullptr, nullptr};
    }
    static DEVICE_MEMBER Weights load(const LOCAL WeightRow& row, int32_t chunk) {
      return {load_once<Words4>(row.first + static_cast<uint32_t>(chunk) * 16)};
    }
    static DEVICE_MEMBER uint32_t column(uint32_t chunk) { return chunk * Format::values; }
    static DEVICE_MEMBER PlainChunk<Format> decode(const LOCAL Weights& w, int32_t) { return {w.raw}; }
  };
  template <typename Format>
  static DEVICE_MEMBER float times(const LOCAL PlainChunk<Format>& c, ARGS RowsArg& in, int64_t row, Columns at, float sum) {
    const GLOBAL float* x = in.values + static_cast<uint32_t>(row * in.stride) + at.first;
    UNROLL
    for (int j = 0; j < Format::values / 4; j++) {
      Floats4 four = *reinterpret_cast<const GLOBAL Floats4*>(x + 4 * j);
      UNROLL
      for (int b = 0; b < 4; b++) sum = fma(Format::value(c.words, 4 * j + b), element(four, b), sum);
    }
    return sum;
  }
};

// --- rows of weights times rows of activations ------------------------------------------------------------------------

// What is asked for ahead as a row's loads go on, before every 128th chunk: nothing. See prefetch.h.
struct AskNothing {
  CONSTANT bool asks = false;
  DEVICE_MEMBER void operator()(int32_t) const {}
};

// A warp's share of R rows of weights times M rows of activations, before the sum over lanes. Matrix m[r] and row row[r]
// are those of weight r. In the same order for every R and M, so that a row's bits do not depend on its company.
template <typename Mode, typename Format, int R, int M, typename Ask>
DEVICE void lane_products(uint32_t lane, const LOCAL Matrix (&m)[R], const LOCAL int64_t (&row)[R], ARGS RowsArg& in,
                          const LOCAL int64_t (&x)[M], LOCAL float (&sum)[R][M], Ask ask) {
  using Weights = typename Mode::template Weights<Format>;
  int32_t chunks = Weights::chunks(m[0]);
  UNROLL
  for (int r = 0; r < R; r++) {
    UNROLL
    for (int i = 0; i < M; i++) sum[r][i] = 0;
  }
  WeightRow rows[R];
  UNROLL
  for (int r = 0; r < R; r++) {
    rows[r] = Weights::row_of(m[r], row[r]);
    if constexpr (M == 1) keep(rows[r].first), keep(rows[r].second), keep(rows[r].third), keep(rows[r].fourth);
  }
  const uint32_t place = Weights::column(lane);
  [[maybe_unused]] constexpr int under_way = M == 1 ? 2 : 1;  // more would need more registers than there are
  _Pragma("unroll under_way")
  for (int32_t chunk = static_cast<int32_t>(lane); chunk < chunks; chunk += 32) {
    // 32 chunks are whole blocks of 256: what comes of a chunk's place in its block comes of the lane. With several rows of
    // activations it is computed anew for each chunk, which leaves more registers.
    const uint32_t first = place + (static_cast<uint32_t>(chunk) - lane) * Format::values;
    if constexpr (Ask::asks) {
      if ((static_cast<uint32_t>(chunk) & 96) == 0) ask(chunk - static_cast<int32_t>(lane));
    }
    Weights weights[R];
    UNROLL
    for (int r = 0; r < R; r++) weights[r] = Weights::load(M == 1 ? rows[r] : Weights::row_of(m[r], row[r]), chunk);
    UNROLL
    for (int r = 0; r < R; r++) {
      auto decoded = Weights::decode(weights[r], M == 1 ? static_cast<int32_t>(lane) : chunk);
      UNROLL
      for (int i = 0; i < M; i++) {
        sum[r][i] = Mode::template times<Format>(decoded, in, x[i], Columns{first, place}, sum[r][i]);
        if constexpr (M > 1) in_order();
      }
    }
  }
}

// The same, summed over lanes, in every lane.
template <typename Mode, typename Format, int R, int M, typename Ask = AskNothing>
DEVICE void warp_products(uint32_t lane, const LOCAL Matrix (&m)[R], const LOCAL int64_t (&row)[R], ARGS RowsArg& in,
                          const LOCAL int64_t (&x)[M], LOCAL float (&sum)[R][M], Ask ask = Ask()) {
  lane_products<Mode, Format, R, M>(lane, m, row, in, x, sum, ask);
  UNROLL
  for (int r = 0; r < R; r++) {
    UNROLL
    for (int i = 0; i < M; i++) sum[r][i] = warp_sum(sum[r][i]);
  }
}

DEVICE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
