// What a lane does with a piece of a weight's row: one struct per format, for products of few rows.
//
// A chunk is what one load of 16 bytes brings. Of a quantised format it holds runs of 16 values, each within a block of 32
// activations: run i begins at column `column[i]` (run_column) and is scale[i] * code - minimum[i]. Loads are apart from
// decoding, so that those of several rows are under way at once.
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

DEVICE Matrix matrix_of(ARGS WeightArg& weight, int64_t index) {
  WeightLayout at = weight_layout(weight.type, weight.rows, weight.columns);
  const GLOBAL uint8_t* data = weight.data + index * weight.matrix_bytes;
  return {data, data + at.second, data + at.third, data + at.fourth, weight.columns,
          plain_row_bytes(weight.type, weight.columns)};
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
  CONSTANT int values = 32, runs = 2;
  struct Raw {
    Words4 nibbles;
    uint16_t d;
  };
  static DEVICE_MEMBER int32_t run_column(int32_t chunk, int i) { return chunk * 32 + i * 16; }
  static DEVICE_MEMBER Raw load(const LOCAL Matrix& m, int64_t row, int32_t chunk) {
    int64_t block = row * (m.columns / 32) + chunk;
    return {load_once<Words4>(m.first + block * 16), reinterpret_cast<const GLOBAL uint16_t*>(m.second)[block]};
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
  CONSTANT int values = 16, runs = 1;
  struct Raw {
    Words4 codes;
    uint16_t d;
  };
  static DEVICE_MEMBER int32_t run_column(int32_t chunk, int i) { return chunk * 16 + i * 16; }
  static DEVICE_MEMBER Raw load(const LOCAL Matrix& m, int64_t row, int32_t chunk) {
    int64_t at = row * m.columns + chunk * 16;
    return {load_once<Words4>(m.first + at), reinterpret_cast<const GLOBAL uint16_t*>(m.second)[at / 32]};
  }
  static DEVICE_MEMBER Chunk<1> decode(const LOCAL Raw& raw, int32_t chunk) {
    Chunk<1> c;
    UNROLL
    for (int i = 0; i < 4; i++) c.code[0][i] = word_of(raw.codes, i);
    c.scale[0] = half_to_float(raw.d), c.minimum[0] = 0, c.column[0] = run_column(chunk, 0);
    return c;
  }
};

// Scale and minimum of group g (0 to 7) of a K-format's head: 6 bits each.
DEVICE uint32_t head_byte(const LOCAL Words4& head, int i) { return word_of(head, 1 + i / 4) >> i % 4 * 8 & 255; }

DEVICE void head_group(const LOCAL Words4& head, int g, LOCAL float* scale, LOCAL float* minimum) {
  uint32_t s, m;
  if (g < 4) {
    s = head_byte(head, g) & 63, m = head_byte(head, g + 4) & 63;
  } else {
    uint32_t high = head_byte(head, g + 4);
    s = (high & 15) | (head_byte(head, g - 4) >> 6) << 4, m = high >> 4 | (head_byte(head, g) >> 6) << 4;
  }
  *scale = half_to_float(static_cast<uint16_t>(head.x)) * static_cast<float>(s);
  *minimum = half_to_float(static_cast<uint16_t>(head.x >> 16)) * static_cast<float>(m);
}

DEVICE int32_t group_column(int32_t chunk, int i) { return chunk / 2 * 64 + i * 32 + chunk % 2 * 16; }

// Chunk t of a block's 8: the nibbles of groups 2j and 2j + 1 (j = t / 2), their first or second half.
struct Q4_K {
  CONSTANT int values = 32, runs = 2;
  struct Raw {
    Words4 nibbles, head;
  };
  static DEVICE_MEMBER int32_t run_column(int32_t chunk, int i) { return group_column(chunk, i); }
  static DEVICE_MEMBER Raw load(const LOCAL Matrix& m, int64_t row, int32_t chunk) {
    int64_t at = row * (m.columns / 32) + chunk;
    return {load_once<Words4>(m.first + at * 16), *reinterpret_cast<const GLOBAL Words4*>(m.second + at / 8 * 16)};
  }
  static DEVICE_MEMBER Chunk<2> decode(const LOCAL Raw& raw, int32_t chunk) {
    Chunk<2> c;
    int j = chunk % 8 / 2;
    UNROLL
    for (int i = 0; i < 4; i++) {
      c.code[0][i] = word_of(raw.nibbles, i) & 0x0f0f0f0f;
      c.code[1][i] = word_of(raw.nibbles, i) >> 4 & 0x0f0f0f0f;
    }
    UNROLL
    for (int i = 0; i < 2; i++) {
      head_group(raw.head, 2 * j + i, &c.scale[i], &c.minimum[i]);
      c.column[i] = run_column(chunk, i);
    }
    return c;
  }
};

// Like Q4_K; bit g of byte i of the fifth bits belongs to value i of group g.
struct Q5_K {
  CONSTANT int values = 32, runs = 2;
  struct Raw {
    Words4 nibbles, fifth, head;
  };
  static DEVICE_MEMBER int32_t run_column(int32_t chunk, int i) { return group_column(chunk, i); }
  static DEVICE_MEMBER Raw load(const LOCAL Matrix& m, int64_t row, int32_t chunk) {
    int64_t at = row * (m.columns / 32) + chunk;
    return {load_once<Words4>(m.first + at * 16),
            *reinterpret_cast<const GLOBAL Words4*>(m.second + at / 8 * 32 + chunk % 2 * 16),
            *reinterpret_cast<const GLOBAL Words4*>(m.third + at / 8 * 16)};
  }
  static DEVICE_MEMBER Chunk<2> decode(const LOCAL Raw& raw, int32_t chunk) {
    Chunk<2> c;
    int j = chunk % 8 / 2;
    UNROLL
    for (int i = 0; i < 4; i++) {
      uint32_t nibbles = word_of(raw.nibbles, i), fifth = word_of(raw.fifth, i) >> 2 * j;
      c.code[0][i] = (nibbles & 0x0f0f0f0f) | (fifth & 0x01010101) << 4;
      c.code[1][i] = (nibbles >> 4 & 0x0f0f0f0f) | (fifth >> 1 & 0x01010101) << 4;
    }
    UNROLL
    for (int i = 0; i < 2; i++) {
      head_group(raw.head, 2 * j + i, &c.scale[i], &c.minimum[i]);
      c.column[i] = run_column(chunk, i);
    }
    return c;
  }
};

// Chunk t of a block's 8 is quarter u = t % 4 of half t / 4: low nibbles are values 16u on of the half, high ones 64 further.
struct Q6_K {
  CONSTANT int values = 32, runs = 2;
  struct Raw {
    Words4 low, high;
    int8_t scale[2];
    uint16_t d;
  };
  static DEVICE_MEMBER int32_t first_column(int32_t chunk) { return chunk % 8 / 4 * 128 + chunk % 4 * 16; }
  static DEVICE_MEMBER int32_t run_column(int32_t chunk, int i) {
    return chunk / 8 * 256 + first_column(chunk) + i * 64;
  }
  static DEVICE_MEMBER Raw load(const LOCAL Matrix& m, int64_t row, int32_t chunk) {
    int64_t at = row * (m.columns / 32) + chunk, block = at / 8;
    const GLOBAL int8_t* scales = reinterpret_cast<const GLOBAL int8_t*>(m.third) + block * 16 + first_column(chunk) / 16;
    return {load_once<Words4>(m.first + at * 16),
            *reinterpret_cast<const GLOBAL Words4*>(m.second + block * 64 + chunk % 8 / 4 * 32 + chunk % 2 * 16),
            {scales[0], scales[4]},
            reinterpret_cast<const GLOBAL uint16_t*>(m.fourth)[block]};
  }
  static DEVICE_MEMBER Chunk<2> decode(const LOCAL Raw& raw, int32_t chunk) {
    Chunk<2> c;
    int shift = chunk % 4 / 2 * 2;
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
  CONSTANT int values = 4;
  static DEVICE_MEMBER float value(const LOCAL Words4& words, int i) { return bits_float(word_of(words, i)); }
};
struct F16 {
  CONSTANT int values = 8;
  static DEVICE_MEMBER float value(const LOCAL Words4& words, int i) {
    return half_to_float(static_cast<uint16_t>(word_of(words, i / 2) >> i % 2 * 16));
  }
};
struct BF16 {
  CONSTANT int values = 8;
  static DEVICE_MEMBER float value(const LOCAL Words4& words, int i) {
    uint32_t word = word_of(words, i / 2);
    return bits_float(i % 2 ? word & 0xffff0000 : word << 16);
  }
};

// --- a chunk times a row of activations -------------------------------------------------------------------------------

// Int8 activations: exact within a run, one rounding to float for each.
struct Int8 {
  template <typename Format>
  struct Weights {
    typename Format::Raw raw;
    static DEVICE_MEMBER int32_t chunks(const LOCAL Matrix& m) { return static_cast<int32_t>(m.columns / Format::values); }
    static DEVICE_MEMBER Weights load(const LOCAL Matrix& m, int64_t row, int32_t chunk) {
      return {Format::load(m, row, chunk)};
    }
    static DEVICE_MEMBER Chunk<Format::runs> decode(const LOCAL Weights& w, int32_t chunk) {
      return Format::decode(w.raw, chunk);
    }
  };
  template <int RUNS>
  static DEVICE_MEMBER float times(const LOCAL Chunk<RUNS>& c, ARGS RowsArg& in, int64_t row, float sum) {
    UNROLL
    for (int i = 0; i < RUNS; i++) {
      int64_t at = row * in.stride + c.column[i];
      Words4 x = *reinterpret_cast<const GLOBAL Words4*>(in.codes + at);
      Words2 packed = *reinterpret_cast<const GLOBAL Words2*>(in.scales + at / 32);
      int32_t codes_sum = static_cast<int16_t>(packed.y >> c.column[i] / 16 % 2 * 16);
      int32_t dot = 0;
      UNROLL
      for (int j = 0; j < 4; j++) dot = dot4(c.code[i][j], word_of(x, j), dot);
      float part = fma(c.scale[i], static_cast<float>(dot), -(c.minimum[i] * static_cast<float>(codes_sum)));
      sum = fma(part, bits_float(packed.x), sum);
    }
    return sum;
  }
};

DEVICE float element(const LOCAL Floats4& v, int i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }

// Float activations and quantised weights.
struct Half {
  template <typename Format>
  using Weights = Int8::Weights<Format>;
  template <int RUNS>
  static DEVICE_MEMBER float times(const LOCAL Chunk<RUNS>& c, ARGS RowsArg& in, int64_t row, float sum) {
    UNROLL
    for (int i = 0; i < RUNS; i++) {
      const GLOBAL float* x = in.values + row * in.stride + c.column[i];
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
  int32_t column;
};

// Float activations and plain weights.
struct Plain {
  template <typename Format>
  struct Weights {
    Words4 raw;
    static DEVICE_MEMBER int32_t chunks(const LOCAL Matrix& m) { return static_cast<int32_t>(m.row_bytes / 16); }
    static DEVICE_MEMBER Weights load(const LOCAL Matrix& m, int64_t row, int32_t chunk) {
      return {load_once<Words4>(m.first + row * m.row_bytes + chunk * 16)};
    }
    static DEVICE_MEMBER PlainChunk<Format> decode(const LOCAL Weights& w, int32_t chunk) {
      return {w.raw, chunk * Format::values};
    }
  };
  template <typename Format>
  static DEVICE_MEMBER float times(const LOCAL PlainChunk<Format>& c, ARGS RowsArg& in, int64_t row, float sum) {
    const GLOBAL float* x = in.values + row * in.stride + c.column;
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

// A warp's share of R rows of weights times M rows of activations, before the sum over lanes. Matrix m[r] and row row[r]
// are those of weight r. In the same order for every R and M, so that a row's bits do not depend on its company.
template <typename Mode, typename Format, int R, int M>
DEVICE void lane_products(uint32_t lane, const LOCAL Matrix (&m)[R], const LOCAL int64_t (&row)[R], ARGS RowsArg& in,
                          const LOCAL int64_t (&x)[M], LOCAL float (&sum)[R][M]) {
  using Weights = typename Mode::template Weights<Format>;
  int32_t chunks = Weights::chunks(m[0]);
  UNROLL
  for (int r = 0; r < R; r++) {
    UNROLL
    for (int i = 0; i < M; i++) sum[r][i] = 0;
  }
  [[maybe_unused]] constexpr int under_way = M == 1 ? 2 : 1;  // more would need more registers than there are
  _Pragma("unroll under_way")
  for (int32_t chunk = static_cast<int32_t>(lane); chunk < chunks; chunk += 32) {
    Weights weights[R];
    UNROLL
    for (int r = 0; r < R; r++) weights[r] = Weights::load(m[r], row[r], chunk);
    UNROLL
    for (int r = 0; r < R; r++) {
      auto decoded = Weights::decode(weights[r], chunk);
      UNROLL
      for (int i = 0; i < M; i++) {
        sum[r][i] = Mode::times(decoded, in, x[i], sum[r][i]);
        if constexpr (M > 1) in_order();
      }
    }
  }
}

// The same, summed over lanes, in every lane.
template <typename Mode, typename Format, int R, int M>
DEVICE void warp_products(uint32_t lane, const LOCAL Matrix (&m)[R], const LOCAL int64_t (&row)[R], ARGS RowsArg& in,
                          const LOCAL int64_t (&x)[M], LOCAL float (&sum)[R][M]) {
  lane_products<Mode, Format, R, M>(lane, m, row, in, x, sum);
  UNROLL
  for (int r = 0; r < R; r++) {
    UNROLL
    for (int i = 0; i < M; i++) sum[r][i] = warp_sum(sum[r][i]);
  }
}

DEVICE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
