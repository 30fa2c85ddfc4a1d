// Weights and activations of a product of many rows, on their way into block memory.
//
// A block of threads goes through the columns in steps of 64. For each it holds a tile of weights and one of activations
// as rows of elements: int8 codes with their scales beside them, or numbers of 2 or 4 bytes. Between two rows lie 16 bytes
// more than they need, so that lanes which read one word of eight rows each meet all banks of the memory.
#pragma once

#include "dot.h"

constexpr int step_columns = 64, matmul_threads = 256;

// --- what an element is -----------------------------------------------------------------------------------------------

struct CodeElement {
  static constexpr int bytes = 1;
  static constexpr bool codes = true;
  // Sixteen codes as they lie in block memory.
  static DEVICE_MEMBER void widen(const Words4& codes, Words4 (&to)[1]) { to[0] = codes; }
};
struct FloatElement {
  static constexpr int bytes = 4;
  static constexpr bool codes = false;
  static DEVICE_MEMBER void store4(uint8_t* at, const Floats4& v) { *reinterpret_cast<Floats4*>(at) = v; }
};
struct HalfElement {
  static constexpr int bytes = 2;
  static constexpr bool codes = false;
  static DEVICE_MEMBER uint32_t pair(float a, float b) {
    return float_to_half(a) | static_cast<uint32_t>(float_to_half(b)) << 16;
  }
  static DEVICE_MEMBER void store4(uint8_t* at, const Floats4& v) {
    *reinterpret_cast<Words2*>(at) = {pair(v.x, v.y), pair(v.z, v.w)};
  }
};

// --- formats as products of many rows see them ------------------------------------------------------------------------

// `run`: values with one scale. `offset`: what is subtracted from codes, so that they are signed and need no minimum.
template <int RUN, int OFFSET, bool MINIMUMS>
struct BlockTraits {
  static constexpr int run = RUN, offset = OFFSET;
  static constexpr bool plain = false, minimums = MINIMUMS;
  // The first column of block `half` (0, 1) of a step, and where in a step a column lies.
  static DEVICE_MEMBER int32_t column(int32_t step, int32_t half) { return step * step_columns + half * 32; }
  static DEVICE_MEMBER int32_t position(int32_t column) { return column % step_columns; }
};
template <typename Format>
struct Traits : BlockTraits<32, 0, false> {};  // Q8_0
template <>
struct Traits<Q4_0> : BlockTraits<32, 8, false> {};
template <>
struct Traits<Q4_K> : BlockTraits<32, 0, true> {};
template <>
struct Traits<Q5_K> : BlockTraits<32, 0, true> {};
// Two chunks that follow one another hold two blocks that are 64 columns apart.
template <>
struct Traits<Q6_K> : BlockTraits<16, 32, false> {
  static DEVICE_MEMBER int32_t column(int32_t step, int32_t half) {
    return step / 2 * 128 + step % 2 * 32 + half * 64;
  }
  static DEVICE_MEMBER int32_t position(int32_t column) { return column % 128 / 64 * 32 + column % 32; }
};
struct PlainTraits : BlockTraits<0, 0, false> {
  static constexpr bool plain = true;
};
template <>
struct Traits<F32> : PlainTraits {};
template <>
struct Traits<F16> : PlainTraits {};
template <>
struct Traits<BF16> : PlainTraits {};

// Subtracts a number up to 32 from each of four codes below 64.
DEVICE uint32_t subtract_bytes(uint32_t codes, uint32_t number) {
  return ((codes | 0x80808080u) - number * 0x01010101u) ^ 0x80808080u;
}

// --- weights ----------------------------------------------------------------------------------------------------------

// How a format's chunks come into block memory as elements: `load` brings a chunk into registers, `store` decodes it.
template <typename Format, typename Element, bool PLAIN, bool CODES = Element::codes>
struct WeightTile;

template <typename Format, typename Element>
struct WeightTile<Format, Element, false, true> {
  using Raw = typename Format::Raw;
  static DEVICE_MEMBER int32_t chunks(const Matrix& m) { return static_cast<int32_t>(m.columns / Format::values); }
  static DEVICE_MEMBER Raw load(const Matrix& m, int64_t row, int32_t chunk) { return Format::load(weight_row<Format::type>(m, row), chunk); }
  template <typename Shared>
  static DEVICE_MEMBER void store(Shared& shared, int row, int32_t chunk, const Raw& raw) {
    using T = Traits<Format>;
    Chunk<Format::runs> c = Format::decode(raw, chunk);
    UNROLL
    for (int i = 0; i < Format::runs; i++) {
      int32_t at = T::position(c.column[i]);
      Words4 words = {c.code[i][0], c.code[i][1], c.code[i][2], c.code[i][3]};
      if constexpr (T::offset != 0) {
        words = {subtract_bytes(words.x, T::offset), subtract_bytes(words.y, T::offset),
                 subtract_bytes(words.z, T::offset), subtract_bytes(words.w, T::offset)};
      }
      Words4 wide[Element::bytes];
      Element::widen(words, wide);
      UNROLL
      for (int j = 0; j < Element::bytes; j++) {
        *reinterpret_cast<Words4*>(shared.weights + row * Shared::row_bytes + at * Element::bytes + 16 * j) = wide[j];
      }
      // Of a run of two halves each chunk that has one stores the same scale.
      shared.scale[at / T::run][row] = c.scale[i];
      if constexpr (T::minimums) shared.minimum[at / T::run][row] = c.minimum[i];
    }
  }
};

template <typename Format, typename Element>
struct WeightTile<Format, Element, false, false> {
  using Raw = typename Format::Raw;
  static DEVICE_MEMBER int32_t chunks(const Matrix& m) { return static_cast<int32_t>(m.columns / Format::values); }
  static DEVICE_MEMBER Raw load(const Matrix& m, int64_t row, int32_t chunk) { return Format::load(weight_row<Format::type>(m, row), chunk); }
  template <typename Shared>
  static DEVICE_MEMBER void store(Shared& shared, int row, int32_t chunk, const Raw& raw) {
    Chunk<Format::runs> c = Format::decode(raw, chunk);
    UNROLL
    for (int i = 0; i < Format::runs; i++) {
      uint8_t* at =
          shared.weights + row * Shared::row_bytes + Traits<Format>::position(c.column[i]) * Element::bytes;
      UNROLL
      for (int j = 0; j < 4; j++) {
        float v[4];
        UNROLL
        for (int b = 0; b < 4; b++) {
          v[b] = fma(c.scale[i], static_cast<float>(static_cast<int8_t>(c.code[i][j] >> 8 * b)), -c.minimum[i]);
        }
        Element::store4(at + 4 * j * Element::bytes, {v[0], v[1], v[2], v[3]});
      }
    }
  }
};

template <typename Format, typename Element>
struct WeightTile<Format, Element, true, false> {
  using Raw = Words4;
  static DEVICE_MEMBER int32_t chunks(const Matrix& m) { return static_cast<int32_t>(m.row_bytes / 16); }
  static DEVICE_MEMBER Raw load(const Matrix& m, int64_t row, int32_t chunk) {
    return load_once<Words4>(m.first + row * m.row_bytes + chunk * 16);
  }
  template <typename Shared>
  static DEVICE_MEMBER void store(Shared& shared, int row, int32_t chunk, const Raw& raw) {
    int32_t position = chunk * Format::values % step_columns;
    uint8_t* at = shared.weights + row * Shared::row_bytes + position * Element::bytes;
    if constexpr (Element::bytes == 16 / Format::values) {  // the format's own numbers
      *reinterpret_cast<Words4*>(at) = raw;
    } else {
      UNROLL
      for (int i = 0; i < Format::values; i += 4) {
        Element::store4(at + i * Element::bytes, {Format::value(raw, i), Format::value(raw, i + 1),
                                                  Format::value(raw, i + 2), Format::value(raw, i + 3)});
      }
    }
  }
};

// --- block memory -----------------------------------------------------------------------------------------------------

struct InputScale {
  float scale, scaled_sum;  // of a block of 32 codes
};

template <int ROWS, int TOKENS, typename Element, bool CODES = Element::codes>
struct TileShared {
  static constexpr int row_bytes = step_columns * Element::bytes + 16;
  alignas(16) uint8_t weights[ROWS * row_bytes];
  alignas(16) uint8_t inputs[TOKENS * row_bytes];
};
template <int ROWS, int TOKENS, typename Element>
struct TileShared<ROWS, TOKENS, Element, true> {
  static constexpr int row_bytes = step_columns * Element::bytes + 16;
  alignas(16) uint8_t weights[ROWS * row_bytes];
  alignas(16) uint8_t inputs[TOKENS * row_bytes];
  float scale[step_columns / 16][ROWS];
  float minimum[step_columns / 32][ROWS];
  InputScale input_scale[step_columns / 32][TOKENS];
};

// --- activations ------------------------------------------------------------------------------------------------------

// A thread's share of a step's activations, between global and block memory.
template <int TOKENS, typename Element, bool CODES = Element::codes>
struct InputTile {
  static constexpr int pieces = step_columns / 4, loads = TOKENS * pieces / matmul_threads;
  Floats4 values[loads];
  template <typename T>
  DEVICE_MEMBER void load(const RowsArg& in, const int32_t* source, int32_t step) {
    UNROLL
    for (int i = 0; i < loads; i++) {
      int index = static_cast<int>(thread_index()) + i * matmul_threads, piece = index % pieces;
      int32_t column = T::column(step, piece / 8) + piece % 8 * 4;
      values[i] = {0, 0, 0, 0};
      if (column < in.stride) {
        values[i] = *reinterpret_cast<const Floats4*>(in.values + source[index / pieces] * in.stride + column);
      }
    }
  }
  template <typename Shared>
  DEVICE_MEMBER void store(Shared& shared) const {
    UNROLL
    for (int i = 0; i < loads; i++) {
      int index = static_cast<int>(thread_index()) + i * matmul_threads;
      Element::store4(shared.inputs + index / pieces * Shared::row_bytes + index % pieces * 4 * Element::bytes, values[i]);
    }
  }
};

template <int TOKENS, typename Element>
struct InputTile<TOKENS, Element, true> {
  static constexpr int pieces = step_columns / 16, loads = TOKENS * pieces / matmul_threads;
  Words4 codes[loads];
  Words2 scale;
  template <typename T>
  DEVICE_MEMBER void load(const RowsArg& in, const int32_t* source, int32_t step) {
    UNROLL
    for (int i = 0; i < loads; i++) {
      int index = static_cast<int>(thread_index()) + i * matmul_threads, piece = index % pieces;
      int32_t column = T::column(step, piece / 2) + piece % 2 * 16;
      codes[i] = {0, 0, 0, 0};
      if (column < in.stride) {
        codes[i] = *reinterpret_cast<const Words4*>(in.codes + source[index / pieces] * in.stride + column);
      }
    }
    static_assert(TOKENS * 2 <= matmul_threads);
    int32_t column = T::column(step, static_cast<int32_t>(thread_index()) % 2);
    scale = {0, 0};
    if (thread_index() < TOKENS * 2 && column < in.stride) {
      scale = *reinterpret_cast<const Words2*>(in.scales + (source[thread_index() / 2] * in.stride + column) / 32);
    }
  }
  template <typename Shared>
  DEVICE_MEMBER void store(Shared& shared) const {
    UNROLL
    for (int i = 0; i < loads; i++) {
      int index = static_cast<int>(thread_index()) + i * matmul_threads;
      Words4 wide[Element::bytes];
      Element::widen(codes[i], wide);
      UNROLL
      for (int j = 0; j < Element::bytes; j++) {
        int at = (index % pieces * Element::bytes + j) * 16;
        *reinterpret_cast<Words4*>(shared.inputs + index / pieces * Shared::row_bytes + at) = wide[j];
      }
    }
    if (thread_index() >= TOKENS * 2) return;
    float x = bits_float(scale.x);
    int32_t sum = static_cast<int16_t>(scale.y) + static_cast<int16_t>(scale.y >> 16);
    shared.input_scale[thread_index() % 2][thread_index() / 2] = {x, x * static_cast<float>(sum)};
  }
};
