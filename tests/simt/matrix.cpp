// The models of matrix instructions against plain products of matrices. Fragments are built element by element as the
// manuals give them, not by the formulas of the code under test.
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "../../kernels/gpu/matrix_unit.h"
#if defined(TALARIA_HAS_MMA)
#include "../../kernels/gpu/mma_small.h"
#endif
#include "expect.hpp"

using namespace talaria;

namespace {

struct FragmentArgs {
  const uint32_t* a;  // [thread][words]
  const uint32_t* b;
  uint32_t* c;        // [thread][sums], updated
};

// Where the manual says that element i of a lane's fragment lies.
struct Place {
  uint32_t row, column;
};
using Layout = std::function<Place(uint32_t lane, uint32_t i)>;

struct Instruction {
  const char* kernel;
  uint32_t lanes, rows, columns, depth;
  uint32_t a_elements, b_elements, c_elements;  // of a lane
  Layout a, b, c;                               // of b: row is the depth
};

enum Element { INT8, HALF, BFLOAT };

uint16_t encode(Element type, float value) {
  return type == HALF ? float_to_half(value) : static_cast<uint16_t>(float_bits(value) >> 16);
}
float decode(Element type, uint16_t bits) {
  return type == HALF ? half_to_float(bits) : bits_float(static_cast<uint32_t>(bits) << 16);
}

// Random matrices: of int8, all values, the largest among them; of the others, values that the type has.
std::vector<double> random_matrix(Element type, size_t count, std::mt19937& random) {
  std::vector<double> matrix(count);
  for (double& value : matrix) {
    if (type == INT8) {
      value = random() % 8 == 0 ? -128 : static_cast<int8_t>(random());
    } else {
      float any = std::ldexp(static_cast<float>(static_cast<int32_t>(random())), -31 - static_cast<int>(random() % 9));
      value = decode(type, encode(type, any));
    }
  }
  return matrix;
}

void put(std::vector<uint32_t>& words, Element type, size_t element, double value) {
  if (type == INT8) {
    words[element / 4] |= static_cast<uint32_t>(static_cast<uint8_t>(static_cast<int8_t>(value))) << element % 4 * 8;
  } else {
    words[element / 2] |= static_cast<uint32_t>(encode(type, static_cast<float>(value))) << element % 2 * 16;
  }
}

void test_instruction(const Instruction& in, Element type) {
  std::mt19937 random(in.rows * 100 + in.depth);
  constexpr uint32_t warps = 2;
  uint32_t per_word = type == INT8 ? 4 : 2, threads = warps * in.lanes;
  for (simt::Order order : {simt::Order::FORWARD, simt::Order::REVERSE, simt::Order::RANDOM}) {
    std::vector<uint32_t> a(threads * in.a_elements / per_word), b(threads * in.b_elements / per_word);
    std::vector<uint32_t> c(threads * in.c_elements);
    std::vector<double> wanted(c.size());
    for (uint32_t warp = 0; warp < warps; warp++) {
      auto ma = random_matrix(type, in.rows * in.depth, random);
      auto mb = random_matrix(type, in.depth * in.columns, random);
      auto mc = random_matrix(type, in.rows * in.columns, random);
      for (uint32_t lane = 0; lane < in.lanes; lane++) {
        size_t thread = warp * in.lanes + lane;
        for (uint32_t i = 0; i < in.a_elements; i++) {
          Place p = in.a(lane, i);
          put(a, type, thread * in.a_elements + i, ma[p.row * in.depth + p.column]);
        }
        for (uint32_t i = 0; i < in.b_elements; i++) {
          Place p = in.b(lane, i);
          put(b, type, thread * in.b_elements + i, mb[p.row * in.columns + p.column]);
        }
        for (uint32_t i = 0; i < in.c_elements; i++) {
          Place p = in.c(lane, i);
          double sum = mc[p.row * in.columns + p.column];
          c[thread * in.c_elements + i] =
              type == INT8 ? static_cast<uint32_t>(static_cast<int32_t>(sum)) : float_bits(static_cast<float>(sum));
          for (uint32_t k = 0; k < in.depth; k++) sum += ma[p.row * in.depth + k] * mb[k * in.columns + p.column];
          wanted[thread * in.c_elements + i] = sum;
        }
      }
    }
    FragmentArgs args{a.data(), b.data(), c.data()};
    simt::run(*simt::find(in.kernel), {{1, 1, 1}, threads, 0}, &args, sizeof args, order, 3);
    for (size_t i = 0; i < c.size(); i++) {
      double got = type == INT8 ? static_cast<int32_t>(c[i]) : static_cast<double>(bits_float(c[i]));
      bool right = std::fabs(got - wanted[i]) <= (type == INT8 ? 0 : 1e-6);
      expect(right, std::string(in.kernel) + ", value " + std::to_string(i));
    }
  }
}

// A unit's own words about its layout, against the manual's.
template <typename Unit>
void test_unit(const Instruction& in, Element type) {
  test_instruction(in, type);
  expect(Unit::lanes == in.lanes && Unit::rows == in.rows && Unit::columns == in.columns && Unit::depth == in.depth,
         std::string(in.kernel) + "'s shape");
  expect(Unit::a_words * Unit::per_word == in.a_elements && Unit::b_words * Unit::per_word == in.b_elements &&
             Unit::sums == in.c_elements,
         std::string(in.kernel) + "'s counts");
  for (uint32_t lane = 0; lane < in.lanes; lane++) {
    for (uint32_t i = 0; i < in.a_elements; i++) {
      uint32_t word = i / Unit::per_word, e = i % Unit::per_word;
      expect_equal(Unit::a_row(lane, word), in.a(lane, i).row);
      expect_equal(Unit::a_depth(lane, word) + e, in.a(lane, i).column);
    }
    for (uint32_t i = 0; i < in.b_elements; i++) {
      uint32_t word = i / Unit::per_word, e = i % Unit::per_word;
      expect_equal(Unit::b_column(lane, word), in.b(lane, i).column);
      expect_equal(Unit::b_depth(lane, word) + e, in.b(lane, i).row);
    }
    for (uint32_t i = 0; i < in.c_elements; i++) {
      expect_equal(Unit::c_row(lane, i), in.c(lane, i).row);
      expect_equal(Unit::c_column(lane, i), in.c(lane, i).column);
    }
  }
}

}  // namespace

// Multiplies once, with the fragments that the arguments have for each lane.
#define MULTIPLY_KERNEL(name, Unit)                                                                                   \
  KERNEL(name, FragmentArgs, 128) {                                                                                   \
    uint32_t left[Unit::a_words], right[Unit::b_words];                                                               \
    Unit::Sum sum[Unit::sums];                                                                                        \
    for (uint32_t i = 0; i < Unit::a_words; i++) left[i] = a.a[thread_index() * Unit::a_words + i];                   \
    for (uint32_t i = 0; i < Unit::b_words; i++) right[i] = a.b[thread_index() * Unit::b_words + i];                  \
    std::memcpy(sum, a.c + thread_index() * Unit::sums, sizeof sum);                                                  \
    Unit::multiply(sum, left, right);                                                                                 \
    std::memcpy(a.c + thread_index() * Unit::sums, sum, sizeof sum);                                                  \
  }

#if defined(TALARIA_HAS_MMA)
MULTIPLY_KERNEL(m16n8k32_s8, MmaInt8)
MULTIPLY_KERNEL(m16n8k16_f16, MmaHalf)
MULTIPLY_KERNEL(m16n8k16_bf16, MmaBfloat)

KERNEL(m16n8k16_s8, FragmentArgs, 128) {
  uint32_t left[2] = {a.a[thread_index() * 2], a.a[thread_index() * 2 + 1]}, right[1] = {a.b[thread_index()]};
  int32_t sum[4];
  std::memcpy(sum, a.c + thread_index() * 4, sizeof sum);
  mma_m16n8k16_s8(sum, left, right);
  std::memcpy(a.c + thread_index() * 4, sum, sizeof sum);
}

// Those of sm_75, and those that are made up of them.
KERNEL(m8n8k16_s8, FragmentArgs, 128) {
  int32_t sum[2];
  std::memcpy(sum, a.c + thread_index() * 2, sizeof sum);
  mma_m8n8k16_s8(sum, a.a[thread_index()], a.b[thread_index()]);
  std::memcpy(a.c + thread_index() * 2, sum, sizeof sum);
}
KERNEL(m16n8k8_f16, FragmentArgs, 128) {
  float sum[4];
  std::memcpy(sum, a.c + thread_index() * 4, sizeof sum);
  mma_m16n8k8_f16(sum, {a.a[thread_index() * 2], a.a[thread_index() * 2 + 1]}, a.b[thread_index()]);
  std::memcpy(a.c + thread_index() * 4, sum, sizeof sum);
}
namespace {
struct SmallMmaInt8 : MmaInt8 {
  static void multiply(int32_t (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { small_mma::m16n8k32_s8(c, a, b); }
};
struct SmallMmaHalf : MmaHalf {
  static void multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { small_mma::m16n8k16_f16(c, a, b); }
};
}  // namespace
MULTIPLY_KERNEL(small_m16n8k32_s8, SmallMmaInt8)
MULTIPLY_KERNEL(small_m16n8k16_f16, SmallMmaHalf)

KERNEL(small_m16n8k16_s8, FragmentArgs, 128) {
  int32_t sum[4];
  std::memcpy(sum, a.c + thread_index() * 4, sizeof sum);
  small_mma::m16n8k16_s8(sum, {a.a[thread_index() * 2], a.a[thread_index() * 2 + 1]}, {a.b[thread_index()]});
  std::memcpy(a.c + thread_index() * 4, sum, sizeof sum);
}

namespace {
struct Tiles {
  uint16_t at[4][8][24];  // rows wider than a tile's
};
struct TilesArgs {
  const uint16_t* source;
  uint32_t* words;  // [thread][4]
  int32_t count, transposed, misaligned, pad;
};
}  // namespace

KERNEL(load_tiles, TilesArgs, 32) {
  SHARED(Tiles, shared);
  for (uint32_t i = thread_index(); i < 4 * 8 * 24; i += 32) (&shared.at[0][0][0])[i] = a.source[i];
  barrier();
  uint32_t lane = thread_index();
  const uint16_t* row = shared.at[lane / 8][lane % 8] + 8 + (a.misaligned != 0 && lane == 3 ? 4 : 0);
  uint32_t words[4] = {}, two[2] = {};
  if (a.count == 2) {
    if (lane >= 16) row = nullptr;
    if (a.transposed != 0) ldmatrix_x2_trans(two, row);
    if (a.transposed == 0) ldmatrix_x2(two, row);
    words[0] = two[0], words[1] = two[1];
  } else {
    if (a.transposed != 0) ldmatrix_x4_trans(words, row);
    if (a.transposed == 0) ldmatrix_x4(words, row);
  }
  shared.at[lane / 8][lane % 8][8] = 0;  // must not disturb lanes that have still to run
  for (uint32_t i = 0; i < 4; i++) a.words[lane * 4 + i] = words[i];
}

namespace {

// PTX manual, "Matrix fragments for mma.m16n8k32 / m16n8k16": groupID = lane >> 2, threadID_in_group = lane % 4.
void test_mma() {
  Layout c = [](uint32_t lane, uint32_t i) { return Place{(lane >> 2) + (i < 2 ? 0 : 8), lane % 4 * 2 + (i & 1)}; };
  Layout a8 = [](uint32_t lane, uint32_t i) {
    bool upper = i < 4 || (8 <= i && i < 12);
    return Place{(lane >> 2) + (upper ? 0 : 8), lane % 4 * 4 + (i & 3) + (i < 8 ? 0 : 16)};
  };
  Layout b8 = [](uint32_t lane, uint32_t i) { return Place{lane % 4 * 4 + (i & 3) + (i < 4 ? 0 : 16), lane >> 2}; };
  Layout a16 = [](uint32_t lane, uint32_t i) {
    bool upper = i < 2 || (4 <= i && i < 6);
    return Place{(lane >> 2) + (upper ? 0 : 8), lane % 4 * 2 + (i & 1) + (i < 4 ? 0 : 8)};
  };
  Layout b16 = [](uint32_t lane, uint32_t i) { return Place{lane % 4 * 2 + (i & 1) + (i < 2 ? 0 : 8), lane >> 2}; };
  test_unit<MmaInt8>({"m16n8k32_s8", 32, 16, 8, 32, 16, 8, 4, a8, b8, c}, INT8);
  test_instruction({"m16n8k16_s8", 32, 16, 8, 16, 8, 4, 4, a8, b8, c}, INT8);
  test_unit<MmaHalf>({"m16n8k16_f16", 32, 16, 8, 16, 8, 4, 4, a16, b16, c}, HALF);
  test_unit<MmaBfloat>({"m16n8k16_bf16", 32, 16, 8, 16, 8, 4, 4, a16, b16, c}, BFLOAT);
  test_unit<SmallMmaInt8>({"small_m16n8k32_s8", 32, 16, 8, 32, 16, 8, 4, a8, b8, c}, INT8);
  test_instruction({"small_m16n8k16_s8", 32, 16, 8, 16, 8, 4, 4, a8, b8, c}, INT8);
  test_unit<SmallMmaHalf>({"small_m16n8k16_f16", 32, 16, 8, 16, 8, 4, 4, a16, b16, c}, HALF);
}

// PTX manual, "Matrix fragments for mma.m8n8k16" and "mma.m16n8k8".
void test_small_mma() {
  Layout a8 = [](uint32_t lane, uint32_t i) { return Place{lane >> 2, lane % 4 * 4 + i}; };
  Layout b8 = [](uint32_t lane, uint32_t i) { return Place{lane % 4 * 4 + i, lane >> 2}; };
  Layout c8 = [](uint32_t lane, uint32_t i) { return Place{lane >> 2, lane % 4 * 2 + i}; };
  Layout a16 = [](uint32_t lane, uint32_t i) { return Place{(lane >> 2) + (i < 2 ? 0 : 8), lane % 4 * 2 + (i & 1)}; };
  Layout b16 = [](uint32_t lane, uint32_t i) { return Place{lane % 4 * 2 + i, lane >> 2}; };
  Layout c16 = [](uint32_t lane, uint32_t i) { return Place{(lane >> 2) + (i < 2 ? 0 : 8), lane % 4 * 2 + (i & 1)}; };
  test_instruction({"m8n8k16_s8", 32, 8, 8, 16, 4, 4, 2, a8, b8, c8}, INT8);
  test_instruction({"m16n8k8_f16", 32, 16, 8, 8, 4, 2, 4, a16, b16, c16}, HALF);
}

// Random fragments of all lanes: the larger instruction's model and what stands in for it must give the same. Both round
// float16's sums, one of them twice.
void test_same_as_small(const char* large, const char* small, uint32_t a_words, uint32_t b_words, Element type) {
  std::mt19937 random(a_words + b_words);
  std::vector<uint32_t> a(32 * a_words), b(32 * b_words), c(32 * 4), d;
  for (auto* words : {&a, &b}) {
    for (uint32_t& word : *words) word = type == INT8 ? random() : (random() & 0xbbffbbff);  // below 1
  }
  for (uint32_t& word : c) word = type == INT8 ? random() : float_bits(static_cast<float>(random() % 1000) / 1000);
  d = c;
  FragmentArgs large_args{a.data(), b.data(), c.data()}, small_args{a.data(), b.data(), d.data()};
  simt::run(*simt::find(large), {{1, 1, 1}, 32, 0}, &large_args, sizeof large_args, simt::Order::FORWARD, 3);
  simt::run(*simt::find(small), {{1, 1, 1}, 32, 0}, &small_args, sizeof small_args, simt::Order::REVERSE, 3);
  for (size_t i = 0; i < c.size(); i++) {
    bool right = type == INT8 ? c[i] == d[i] : std::fabs(bits_float(c[i]) - bits_float(d[i])) <= 2e-6f;
    expect(right, std::string(small) + " and " + large + ", value " + std::to_string(i));
  }
}

void test_ldmatrix() {
  std::vector<uint16_t> source(4 * 8 * 24);
  for (size_t i = 0; i < source.size(); i++) source[i] = static_cast<uint16_t>(i * 7 + 1);
  for (int32_t count : {2, 4}) {
    for (int32_t transposed : {0, 1}) {
      for (simt::Order order : {simt::Order::FORWARD, simt::Order::REVERSE, simt::Order::RANDOM}) {
        std::vector<uint32_t> words(32 * 4);
        TilesArgs args{source.data(), words.data(), count, transposed, 0, 0};
        simt::run(*simt::find("load_tiles"), {{1, 1, 1}, 32, 0}, &args, sizeof args, order, 3);
        for (uint32_t lane = 0; lane < 32; lane++) {
          for (int32_t tile = 0; tile < count; tile++) {
            // Row lane / 4 of the tile, columns lane % 4 * 2 and the next; of the tile's transpose if asked for.
            for (uint32_t e = 0; e < 2; e++) {
              uint32_t row = lane / 4, column = lane % 4 * 2 + e;
              if (transposed != 0) std::swap(row, column);
              expect_equal(words[lane * 4 + tile] >> 16 * e & 0xffff, source[tile * 192 + row * 24 + 8 + column]);
            }
          }
        }
      }
    }
  }
  std::vector<uint32_t> words(32 * 4);
  TilesArgs args{source.data(), words.data(), 4, 0, 1, 0};
  std::string text = complaint("load_tiles", {{1, 1, 1}, 32, 0}, args);
  expect(text.find("thread 3 reads from the misaligned address") != std::string::npos, text);
}

}  // namespace
#endif

#if defined(TALARIA_HAS_MFMA)
MULTIPLY_KERNEL(mfma16_s8, Mfma16Int8)
MULTIPLY_KERNEL(mfma32_s8, Mfma32Int8)
MULTIPLY_KERNEL(mfma16_f16, Mfma16Half)
MULTIPLY_KERNEL(mfma32_f16, Mfma32Half)
MULTIPLY_KERNEL(mfma16_bf16, Mfma16Bfloat)
MULTIPLY_KERNEL(mfma32_bf16, Mfma32Bfloat)

namespace {

// AMD's matrix instruction calculator: A[i][k] is in lane i + 16 * (k / 4), element k % 4, and so on.
void test_mfma() {
  Layout a16 = [](uint32_t lane, uint32_t i) { return Place{lane & 15, (lane >> 4) * 4 + i}; };
  Layout b16 = [](uint32_t lane, uint32_t i) { return Place{(lane >> 4) * 4 + i, lane & 15}; };
  Layout c16 = [](uint32_t lane, uint32_t i) { return Place{(lane >> 4) * 4 + i, lane & 15}; };
  Layout a32 = [](uint32_t lane, uint32_t i) { return Place{lane & 31, (lane >> 5) * 4 + i}; };
  Layout b32 = [](uint32_t lane, uint32_t i) { return Place{(lane >> 5) * 4 + i, lane & 31}; };
  Layout c32 = [](uint32_t lane, uint32_t i) { return Place{(i >> 2) * 8 + (lane >> 5) * 4 + (i & 3), lane & 31}; };
  test_unit<Mfma16Int8>({"mfma16_s8", 64, 16, 16, 16, 4, 4, 4, a16, b16, c16}, INT8);
  test_unit<Mfma32Int8>({"mfma32_s8", 64, 32, 32, 8, 4, 4, 16, a32, b32, c32}, INT8);
  test_unit<Mfma16Half>({"mfma16_f16", 64, 16, 16, 16, 4, 4, 4, a16, b16, c16}, HALF);
  test_unit<Mfma32Half>({"mfma32_f16", 64, 32, 32, 8, 4, 4, 16, a32, b32, c32}, HALF);
  test_unit<Mfma16Bfloat>({"mfma16_bf16", 64, 16, 16, 16, 4, 4, 4, a16, b16, c16}, BFLOAT);
  test_unit<Mfma32Bfloat>({"mfma32_bf16", 64, 32, 32, 8, 4, 4, 16, a32, b32, c32}, BFLOAT);
}

}  // namespace
#endif

#if defined(TALARIA_HAS_HMMA)
MULTIPLY_KERNEL(m8n8k4_f16, HmmaHalf)

KERNEL(m8n8k4_f16_rows, FragmentArgs, 128) {
  float sum[8];
  const uint32_t *left = a.a + thread_index() * 2, *right = a.b + thread_index() * 2;
  std::memcpy(sum, a.c + thread_index() * 8, sizeof sum);
  hmma_m8n8k4_f16_rows(sum, {left[0], left[1]}, {right[0], right[1]});
  std::memcpy(a.c + thread_index() * 8, sum, sizeof sum);
}

KERNEL(halves_of_codes, FragmentArgs, 128) {
  codes_as_halves(a.a[thread_index()], a.c[thread_index() * 2], a.c[thread_index() * 2 + 1]);
}

namespace {

// PTX manual, "Matrix fragments for mma.m8n8k4 with .f16 floating point type": four products of 8 x 8 x 4, computation q by
// lanes 4 * q to 4 * q + 3 and 16 + 4 * q to 16 + 4 * q + 3. The unit makes one matrix of them: rows 0 to 3 of computations
// 0 and 1 are its rows 0 to 3, their rows 4 to 7 its rows 8 to 11, those of the others come 4 behind; and the columns
// alike, of computations 0 and 2 first.
void test_hmma() {
  auto computation = [](uint32_t lane) { return lane % 16 / 4; };
  auto placed = [](uint32_t within, bool behind) { return (within < 4 ? within : within + 4) + (behind ? 4 : 0); };
  Layout a = [=](uint32_t lane, uint32_t i) {
    uint32_t row = lane < 16 ? lane % 4 : lane % 4 + 4;
    return Place{placed(row, computation(lane) >= 2), i};
  };
  Layout b = [=](uint32_t lane, uint32_t i) {
    uint32_t column = lane < 16 ? lane % 4 : lane % 4 + 4;
    return Place{i, placed(column, computation(lane) % 2 == 1)};
  };
  Layout c = [=](uint32_t lane, uint32_t i) {
    uint32_t x = (lane & 1) + (i & 2), row = lane < 16 ? x : x + 4, column = (i & 4) + (lane & 2) + (i & 1);
    return Place{placed(row, computation(lane) >= 2), placed(column, computation(lane) % 2 == 1)};
  };
  test_unit<HmmaHalf>({"m8n8k4_f16", 32, 16, 16, 4, 4, 4, 8, a, b, c}, HALF);
  Layout b_by_rows = [=](uint32_t lane, uint32_t i) {
    return Place{lane % 4, placed(lane < 16 ? i : i + 4, computation(lane) % 2 == 1)};
  };
  test_instruction({"m8n8k4_f16_rows", 32, 16, 16, 4, 4, 4, 8, a, b_by_rows, c}, HALF);
}

void test_halves_of_codes() {
  std::vector<uint32_t> codes(64), halves(128);
  for (uint32_t i = 0; i < 256; i++) codes[i / 4] |= i << i % 4 * 8;
  FragmentArgs args{codes.data(), nullptr, halves.data()};
  simt::run(*simt::find("halves_of_codes"), {{1, 1, 1}, 64, 0}, &args, sizeof args, simt::Order::FORWARD, 3);
  for (uint32_t i = 0; i < 256; i++) {
    expect_equal(half_to_float(static_cast<uint16_t>(halves[i / 2] >> i % 2 * 16)), static_cast<float>(static_cast<int8_t>(i)));
  }
}

}  // namespace
#endif

#if defined(TALARIA_HAS_WMMA)
MULTIPLY_KERNEL(wmma_s8, WmmaInt8)
MULTIPLY_KERNEL(wmma_f16, WmmaHalf)
MULTIPLY_KERNEL(wmma_bf16, WmmaBfloat)

KERNEL(wmma_of_different_halves, FragmentArgs, 32) {
  uint32_t words[4] = {thread_index(), 0, 0, 0};
  int32_t sums[8] = {};
  wmma_16x16x16_s8(sums, words, words);
  a.c[thread_index()] = static_cast<uint32_t>(sums[0]);
}

namespace {

// AMD's matrix instruction calculator: A[i][k] is in lanes i and i + 16, element k;
// D[i][j] in lane j + 16 * (i % 2), element i / 2.
void test_wmma() {
  Layout a = [](uint32_t lane, uint32_t i) { return Place{lane & 15, i}; };
  Layout b = [](uint32_t lane, uint32_t i) { return Place{i, lane & 15}; };
  Layout c = [](uint32_t lane, uint32_t i) { return Place{i * 2 + (lane >> 4), lane & 15}; };
  test_unit<WmmaInt8>({"wmma_s8", 32, 16, 16, 16, 16, 16, 8, a, b, c}, INT8);
  test_unit<WmmaHalf>({"wmma_f16", 32, 16, 16, 16, 16, 16, 8, a, b, c}, HALF);
  test_unit<WmmaBfloat>({"wmma_bf16", 32, 16, 16, 16, 16, 16, 8, a, b, c}, BFLOAT);
  std::vector<uint32_t> out(32);
  FragmentArgs args{nullptr, nullptr, out.data()};
  std::string text = complaint("wmma_of_different_halves", {{1, 1, 1}, 32, 0}, args);
  expect(text.find("lanes 16 apart do not hold the same") != std::string::npos, text);
}

}  // namespace
#endif

int main() {
#if defined(TALARIA_HAS_MMA)
  test_mma();
  test_small_mma();
  test_same_as_small("m16n8k32_s8", "small_m16n8k32_s8", 4, 2, INT8);
  test_same_as_small("m16n8k16_s8", "small_m16n8k16_s8", 2, 1, INT8);
  test_same_as_small("m16n8k16_f16", "small_m16n8k16_f16", 4, 2, HALF);
  test_ldmatrix();
#endif
#if defined(TALARIA_HAS_HMMA)
  test_hmma();
  test_halves_of_codes();
#endif
#if defined(TALARIA_HAS_WMMA)
  test_wmma();
#endif
#if defined(TALARIA_HAS_MFMA)
  test_mfma();
#endif
  return report_expectations("matrix");
}
