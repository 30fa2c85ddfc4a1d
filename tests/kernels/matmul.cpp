// matmul [SEED]: products of many rows on the emulator, against loops in double over weights that the CPU's decoder read
// and over the same int8 codes. Targets and block memory begin as NaNs; what lies behind a target must not change.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "../../kernels/cpu/kernels.hpp"
#include "../../kernels/gpu/launch_args.h"
#include "../../kernels/gpu/weights.h"
#include "../simt/simt.hpp"

namespace {

using namespace talaria;

long cases = 0, failures = 0;

void expect(bool ok, const std::string& what, double value, double bound) {
  cases++;
  if (!ok && failures++ < 40) fprintf(stderr, "matmul: %s: %.3g, at most %.3g\n", what.c_str(), value, bound);
}

struct Random {
  uint64_t state;
  uint32_t next() {  // splitmix64
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return static_cast<uint32_t>(z >> 32);
  }
  int32_t below(int32_t n) { return static_cast<int32_t>(next() % static_cast<uint32_t>(n)); }
  float in(float magnitude) { return static_cast<float>(next() / 2147483648.0 - 1) * magnitude; }
};

struct Format {
  int32_t type;
  const char* name;
  int64_t values, bytes;  // of a block
  bool quantised() const { return values > 1; }
};
constexpr Format formats[] = {
    {TALARIA_Q4_0, "q4_0", 32, 18},   {TALARIA_Q8_0, "q8_0", 32, 34},   {TALARIA_Q4_K, "q4_k", 256, 144},
    {TALARIA_Q5_K, "q5_k", 256, 176}, {TALARIA_Q6_K, "q6_k", 256, 210}, {TALARIA_F32, "f32", 1, 4},
    {TALARIA_F16, "f16", 1, 2},       {TALARIA_BF16, "bf16", 1, 2},
};

// How a kernel is named, and how many of what its tiles have.
struct Variant {
  const char *mode, *unit;
  int64_t weight_rows;
  int32_t tokens;
  bool int8() const { return std::strcmp(mode, "int8") == 0; }
};

simt::Order order_of(int i) {
  return i % 3 == 0 ? simt::Order::FORWARD : i % 3 == 1 ? simt::Order::REVERSE : simt::Order::RANDOM;
}

int runs = 0;

template <typename Args>
void launch(const std::string& name, uint32_t x, uint32_t y, const Args& args) {
  const simt::Registration* kernel = simt::find(name.c_str());
  if (kernel == nullptr) throw std::runtime_error("there is no kernel " + name);
  simt::Grid grid = {{x, y, 1}, 256, 0};
  simt::run(*kernel, grid, &args, sizeof args, order_of(runs), static_cast<uint64_t>(runs));
  runs++;
}

// --- a weight, as numbers and as it lies on a device ------------------------------------------------------------------

struct Weight {
  Format format;
  int64_t matrices, rows, columns;
  std::vector<float> values;
  std::vector<uint8_t> data;
  WeightArg arg{};

  Weight(const Format& format, int64_t matrices, int64_t rows, int64_t columns, Random& random)
      : format(format), matrices(matrices), rows(rows), columns(columns) {
    std::vector<uint8_t> file(static_cast<size_t>(matrices * rows * columns / format.values * format.bytes));
    for (uint8_t& byte : file) byte = static_cast<uint8_t>(random.next());
    for (size_t at = 0; at < file.size(); at += static_cast<size_t>(format.bytes)) sane_block(&file[at], random);
    values.resize(static_cast<size_t>(matrices * rows * columns));
    cpu::decode(format.type, file.data(), values.data(), matrices * rows * columns);
    arg = {nullptr, weight_layout(format.type, rows, columns).bytes, rows, columns, format.type,
           static_cast<int32_t>(matrices)};
    data.assign(static_cast<size_t>(arg.matrix_bytes * matrices) + 256, 0xff);
    uint8_t* begin = data.data() + (-reinterpret_cast<uintptr_t>(data.data()) & 255);
    arg.data = begin;
    RepackArgs repack = {file.data(), begin, arg.matrix_bytes, rows, columns, 0, matrices * rows, format.type, 0};
    launch("repack", static_cast<uint32_t>(matrices * rows), 1, repack);
  }

  // Random bytes, but scales of a size that weights have.
  void sane_block(uint8_t* block, Random& random) const {
    auto put = [&](size_t at, float value) {
      uint16_t half = cpu::float_to_half(value);
      std::memcpy(block + at, &half, 2);
    };
    switch (format.type) {
      case TALARIA_F32: {
        float value = random.in(0.05f);
        std::memcpy(block, &value, 4);
        break;
      }
      case TALARIA_F16: put(0, random.in(0.05f)); break;
      case TALARIA_BF16: {
        uint16_t bits = static_cast<uint16_t>(std::bit_cast<uint32_t>(random.in(0.05f)) >> 16);
        std::memcpy(block, &bits, 2);
        break;
      }
      case TALARIA_Q6_K: put(208, random.in(2e-4f)); break;
      case TALARIA_Q4_K:
      case TALARIA_Q5_K:
        put(0, random.in(2e-4f));
        put(2, random.in(2e-3f));
        break;
      default: put(0, random.in(5e-3f));
    }
  }
  double at(int64_t matrix, int64_t row, int64_t column) const {
    return values[static_cast<size_t>((matrix * rows + row) * columns + column)];
  }
};

// --- activations ------------------------------------------------------------------------------------------------------

template <typename T>
std::vector<T> noise(size_t count) {
  std::vector<T> result(count);
  std::memset(result.data(), 0xff, count * sizeof(T));  // NaNs, as floats
  return result;
}

struct Rows {
  int64_t rows, columns, stride;
  std::vector<float> values;
  std::vector<int8_t> codes;
  std::vector<BlockScale> scales;

  Rows(int64_t rows, int64_t columns)
      : rows(rows), columns(columns), stride((columns + 31) / 32 * 32), values(noise<float>(count())),
        codes(noise<int8_t>(count())), scales(noise<BlockScale>(count() / 32)) {}
  size_t count() const { return static_cast<size_t>((rows + 1) * stride); }  // a guard behind
  RowsArg arg(bool plain, bool int8) {
    return {plain ? values.data() : nullptr, int8 ? codes.data() : nullptr, int8 ? scales.data() : nullptr, stride};
  }
  void quantise() {
    for (size_t block = 0; block < static_cast<size_t>(rows * stride / 32); block++) {
      float largest = 0;
      for (size_t i = 0; i < 32; i++) largest = std::max(largest, std::fabs(values[block * 32 + i]));
      BlockScale scale = {largest / 127.0f, {0, 0}};
      for (size_t i = 0; i < 32; i++) {
        float code = scale.scale > 0 ? std::nearbyint(values[block * 32 + i] / scale.scale) : 0.0f;
        codes[block * 32 + i] = static_cast<int8_t>(code);
        scale.sum[i / 16] = static_cast<int16_t>(scale.sum[i / 16] + static_cast<int>(code));
      }
      scales[block] = scale;
    }
  }
  // As weights of the type see it.
  double seen(int64_t row, int64_t column, int32_t type, const Variant& variant) const {
    size_t at = static_cast<size_t>(row * stride + column);
    if (variant.int8()) return static_cast<double>(scales[at / 32].scale) * codes[at];
    if (std::strcmp(variant.unit, "tile") == 0) return values[at];
    if (type != TALARIA_BF16) return cpu::half_to_float(cpu::float_to_half(values[at]));
    uint32_t bits = std::bit_cast<uint32_t>(values[at]);
    return std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
  }
};

Rows random_rows(int64_t rows, int64_t columns, Random& random) {
  Rows x(rows, columns);
  for (int64_t i = 0; i < rows * x.stride; i++) {
    float value = random.in(1.5f);
    if (random.below(97) == 0) value *= 20;  // outliers
    x.values[static_cast<size_t>(i)] = i % x.stride < columns ? value : 0;
  }
  x.quantise();
  return x;
}

// `energy`: the sum of all squared terms, what the result's squares come to where signs are random. It is what errors are
// compared with, as a single result may cancel to nearly nothing.
std::vector<double> product(const Weight& w, int64_t matrix, const Rows& x, int64_t row, const Variant& variant,
                            double* energy) {
  std::vector<double> result(static_cast<size_t>(w.rows));
  std::vector<double> seen(static_cast<size_t>(w.columns));
  for (int64_t c = 0; c < w.columns; c++) seen[static_cast<size_t>(c)] = x.seen(row, c, w.format.type, variant);
  *energy = 0;
  for (int64_t r = 0; r < w.rows; r++) {
    double sum = 0;
    for (int64_t c = 0; c < w.columns; c++) {
      double term = w.at(matrix, r, c) * seen[static_cast<size_t>(c)];
      sum += term;
      *energy += term * term;
    }
    result[static_cast<size_t>(r)] = sum;
  }
  return result;
}

// Normalised mean squared error of a row.
double error(const float* actual, const std::vector<double>& expected, double energy) {
  double wrong = 0;
  for (size_t i = 0; i < expected.size(); i++) wrong += (actual[i] - expected[i]) * (actual[i] - expected[i]);
  return wrong / (energy + 1e-30);
}

// Activations are rounded as the kernel rounds them: what is left are quantised weights in float16, and sums in float32.
double bound(const Format& format, const Variant& variant) {
  bool rounds_weights = !variant.int8() && std::strcmp(variant.unit, "tile") != 0 && format.quantised();
  return rounds_weights ? 5e-7 : 1e-11;
}

template <typename T>
bool untouched(const T* from, const T* to) {
  const uint8_t *begin = reinterpret_cast<const uint8_t*>(from), *end = reinterpret_cast<const uint8_t*>(to);
  return std::all_of(begin, end, [](uint8_t byte) { return byte == 0xff; });
}

// --- pairs of rows and experts, sorted into tiles -----------------------------------------------------------------------

struct Pairs {
  int32_t rows, used;
  std::vector<int32_t> routing, pair, expert_of;
  std::vector<ExpertTile> tiles;
  int32_t tile_count = 0, header[4];
  static constexpr int32_t spare = 2;  // tiles that a launch is sized for, and that are not there

  Pairs(int32_t rows, int32_t used, int32_t experts, int32_t tile_pairs, Random& random)
      : rows(rows), used(used), expert_of(static_cast<size_t>(rows * used)), header{rows, 0, 0, 0} {
    for (int32_t row = 0; row < rows; row++) {
      for (int32_t k = 0; k < used; k++) {
        // Expert 1 is nobody's; the others are unevenly liked.
        int32_t e = random.below(4) != 0 ? 0 : random.below(experts);
        expert_of[static_cast<size_t>(row * used + k)] = e == 1 ? experts - 1 : e;
        routing.push_back(e == 1 ? experts - 1 : e);
      }
      for (int32_t k = 0; k < used; k++) routing.push_back(std::bit_cast<int32_t>(0.1f + std::fabs(random.in(0.8f))));
    }
    for (int32_t e = 0; e < experts; e++) {
      int32_t begin = static_cast<int32_t>(pair.size());
      for (int32_t p = 0; p < rows * used; p++) {
        if (expert_of[static_cast<size_t>(p)] == e) pair.push_back(p);
      }
      for (int32_t end = static_cast<int32_t>(pair.size()); begin < end; begin += tile_pairs) {
        tiles.push_back({e, begin, std::min(tile_pairs, end - begin), 0});
      }
    }
    tile_count = static_cast<int32_t>(tiles.size());
    tiles.resize(tiles.size() + spare, {1 << 20, 1 << 20, 1 << 20, 0});
  }
  TilesArg arg() const { return {tiles.data(), &tile_count, pair.data(), routing.data(), nullptr, 0, used}; }
  float weight(int32_t p) const {
    return std::bit_cast<float>(routing[static_cast<size_t>(p / used * 2 * used + used + p % used)]);
  }
  uint32_t grid() const { return static_cast<uint32_t>(tiles.size()); }
};

std::string name_of(const char* op, const Format& format, const Variant& variant) {
  return std::string(op) + "_" + format.name + "_" + variant.mode + "_" + variant.unit;
}

uint32_t blocks(int64_t count, int64_t each) { return static_cast<uint32_t>((count + each - 1) / each); }

// What a target holds before a product is added to it.
float before(size_t i) { return static_cast<float>(i % 7) * 0.25f - 0.5f; }

// --- the cases --------------------------------------------------------------------------------------------------------

using Bits = std::vector<uint32_t>;  // of a target, to compare units with each other

Bits bits_of(const std::vector<float>& values) {
  Bits bits(values.size());
  std::memcpy(bits.data(), values.data(), values.size() * 4);
  return bits;
}

Bits check_dense(const Weight& w, const Rows& x, int32_t rows, bool wanted, bool add, const Variant& variant) {
  std::string name = name_of("product", w.format, variant);
  int64_t stride = w.rows + 3;
  std::vector<float> target = noise<float>(static_cast<size_t>(x.rows * stride + 64));
  for (int64_t i = 0; add && i < rows * stride; i++) {
    if (i % stride < w.rows) target[static_cast<size_t>(i)] = before(static_cast<size_t>(i));
  }
  int32_t header[4] = {wanted ? 0 : rows, wanted ? rows : 0, 0, 0};
  ProductArgs args{};
  args.in = const_cast<Rows&>(x).arg(!variant.int8(), variant.int8());
  args.weight = w.arg, args.target = target.data(), args.batch.header = header;
  args.target_stride = stride, args.add = add, args.choice = wanted ? WANTED_ROWS : BATCH_ROWS, args.grouped = NONE;
  launch(name, blocks(x.rows, variant.tokens), blocks(w.rows, variant.weight_rows), args);
  for (int32_t row = 0; row < rows; row++) {
    double energy;
    std::vector<double> expected = product(w, 0, x, row, variant, &energy);
    const float* actual = &target[static_cast<size_t>(row * stride)];
    for (size_t i = 0; add && i < expected.size(); i++) {
      double value = before(static_cast<size_t>(row * stride) + i);
      expected[i] += value, energy += value * value;
    }
    double off = error(actual, expected, energy);
    expect(off <= bound(w.format, variant), name, off, bound(w.format, variant));
    expect(untouched(actual + w.rows, actual + stride), name + " wrote behind a row", 1, 0);
  }
  expect(untouched(target.data() + rows * stride, target.data() + target.size()), name + " wrote behind the rows", 1, 0);
  return bits_of(target);
}

Bits check_pairs(const Weight& w, const Rows& x, const Pairs& pairs, int32_t grouped, bool add, const Variant& variant) {
  std::string name = name_of("product", w.format, variant) + (grouped == PAIRS ? " of pairs" : " of pairs' rows");
  int64_t count = pairs.rows * pairs.used;
  std::vector<float> target = noise<float>(static_cast<size_t>(count * w.rows + 64));
  for (int64_t i = 0; add && i < count * w.rows; i++) target[static_cast<size_t>(i)] = before(static_cast<size_t>(i));
  ProductArgs args{};
  args.in = const_cast<Rows&>(x).arg(!variant.int8(), variant.int8());
  args.weight = w.arg, args.target = target.data(), args.batch.header = pairs.header, args.tiles = pairs.arg();
  args.target_stride = w.rows, args.add = add, args.grouped = grouped;
  launch(name_of("product", w.format, variant), pairs.grid(), blocks(w.rows, variant.weight_rows), args);
  for (int32_t p = 0; p < count; p++) {
    int64_t source = grouped == PAIRS ? p : p / pairs.used;
    double energy;
    std::vector<double> expected = product(w, pairs.expert_of[static_cast<size_t>(p)], x, source, variant, &energy);
    if (grouped == PAIRS) energy *= pairs.weight(p) * pairs.weight(p);
    for (size_t i = 0; i < expected.size(); i++) {
      if (grouped == PAIRS) expected[i] *= pairs.weight(p);
      double value = add ? before(static_cast<size_t>(p * w.rows) + i) : 0;
      expected[i] += value, energy += value * value;
    }
    double off = error(&target[static_cast<size_t>(p * w.rows)], expected, energy);
    expect(off <= bound(w.format, variant), name, off, bound(w.format, variant));
  }
  expect(untouched(target.data() + count * w.rows, target.data() + target.size()), name + " wrote behind", 1, 0);
  return bits_of(target);
}

Bits check_gate_up(const Weight& gate, const Weight& up, const Rows& x, const Pairs& pairs, bool plain, bool int8,
                   const Variant& variant) {
  std::string name = name_of("gate_up", gate.format, variant);
  int64_t count = pairs.rows * pairs.used;
  Rows out(count, gate.rows);
  GateUpArgs args{};
  args.in = const_cast<Rows&>(x).arg(!variant.int8(), variant.int8());
  args.gate = gate.arg, args.up = up.arg, args.out = out.arg(plain, int8);
  args.batch.header = pairs.header, args.tiles = pairs.arg();
  launch(name, pairs.grid(), blocks(gate.rows, variant.weight_rows / 2), args);
  std::vector<float> values = out.values;
  if (plain && int8) {  // the codes are those of the values, bit for bit
    std::vector<int8_t> codes = out.codes;
    std::vector<BlockScale> scales = out.scales;
    out.quantise();
    expect(codes == out.codes, name + "'s codes", 1, 0);
    expect(std::memcmp(scales.data(), out.scales.data(), scales.size() * sizeof(BlockScale)) == 0, name + "'s scales", 1, 0);
  }
  for (int32_t p = 0; p < count; p++) {
    int64_t e = pairs.expert_of[static_cast<size_t>(p)];
    double energy;
    std::vector<double> expected = product(gate, e, x, p / pairs.used, variant, &energy),
                        factor = product(up, e, x, p / pairs.used, variant, &energy);
    energy = 0;
    for (size_t i = 0; i < expected.size(); i++) {
      expected[i] *= factor[i] / (1 + std::exp(-expected[i]));
      energy += expected[i] * expected[i];
    }
    std::vector<float> actual(static_cast<size_t>(out.stride));
    for (size_t i = 0; i < actual.size(); i++) {
      actual[i] = plain ? values[static_cast<size_t>(p * out.stride) + i]
                        : static_cast<float>(out.seen(p, static_cast<int64_t>(i), 0, {"int8", "", 0, 0}));
    }
    double most = plain ? 4 * bound(gate.format, variant) : 1e-3, off = error(actual.data(), expected, energy);
    expect(off <= most, name, off, most);
    for (size_t i = static_cast<size_t>(gate.rows); i < actual.size(); i++) {
      expect(actual[i] == 0, name + " behind a row", actual[i], 0);
    }
  }
  const float* end = out.values.data() + out.values.size();
  expect(untouched(end - out.stride, end), name + " wrote behind the rows", 1, 0);
  expect(untouched(out.codes.data() + count * out.stride, out.codes.data() + out.codes.size()),
         name + " wrote behind the codes", 1, 0);
  Bits bits = bits_of(values);
  for (int8_t code : out.codes) bits.push_back(static_cast<uint32_t>(code));
  return bits;
}

// All units of a mode on the same input: those of codes must agree bit for bit.
void compare(const std::vector<Bits>& results, const std::string& what, bool same) {
  for (size_t i = 1; same && i < results.size(); i++) expect(results[i] == results[0], what + ": units differ", 1, 0);
}

std::vector<Variant> variants_of(const Format& format, const char* mode) {
  std::vector<Variant> result;
  bool int8 = std::strcmp(mode, "int8") == 0;
  if (int8 && !format.quantised()) return result;
  result.push_back({mode, "tile", int8 ? 128 : 64, 64});
  if (!int8 && format.type != TALARIA_F16) return result;  // a matrix unit would round the weights
  if (simt::lanes == 32) {
    result.push_back({mode, "mma", 128, 64});
    result.push_back({mode, "wmma", 128, 64});
    result.push_back({mode, "hmma", 128, 64});
  } else {
    result.push_back({mode, "mfma", 128, 64});
  }
  return result;
}

void check_format(const Format& format, const char* mode, Random& random) {
  std::vector<Variant> variants = variants_of(format, mode);
  if (variants.empty()) return;
  bool int8 = variants[0].int8(), large = format.values == 256;
  struct Shape {
    int64_t rows, columns;
    int32_t capacity, tokens;
  };
  const Shape shapes[] = {{1, large ? 256 : 32, 1, 1},      {33, large ? 512 : 96, 64, 17},
                          {77, large ? 768 : 288, 130, 130}, {200, large ? 256 : 160, 255, 255},
                          {129, large ? 256 : 64, 70, 65}};
  int turn = 0;
  for (const Shape& shape : shapes) {
    Weight w(format, 1, shape.rows, shape.columns, random);
    Rows x = random_rows(shape.capacity, shape.columns, random);
    std::vector<Bits> results;
    for (const Variant& v : variants) results.push_back(check_dense(w, x, shape.tokens, turn == 1, turn % 2 == 0, v));
    compare(results, format.name, int8);
    turn++;
  }
  const Shape grouped[] = {{40, large ? 256 : 96, 5, 5}, {96, large ? 512 : 64, 90, 90}, {130, large ? 256 : 32, 40, 40}};
  for (const Shape& shape : grouped) {
    constexpr int32_t experts = 4, used = 2;
    Weight gate(format, experts, shape.rows, shape.columns, random), up(format, experts, shape.rows, shape.columns, random);
    Rows x = random_rows(shape.tokens, shape.columns, random);
    Rows x_pairs = random_rows(shape.tokens * used, shape.columns, random);
    Pairs pairs(shape.tokens, used, experts, variants[0].tokens, random);
    std::vector<Bits> results[3];
    for (const Variant& v : variants) {
      results[0].push_back(check_gate_up(gate, up, x, pairs, turn % 3 != 0, turn % 3 != 1, v));
      results[1].push_back(check_pairs(gate, x_pairs, pairs, PAIRS, turn % 2 == 0, v));
      results[2].push_back(check_pairs(up, x, pairs, PAIRS_OF_ROWS, false, v));
    }
    for (const auto& r : results) compare(r, format.name, int8);
    turn++;
  }
}

}  // namespace

int main(int argc, char** argv) {
  Random random{argc > 1 ? strtoull(argv[1], nullptr, 10) : 1};
  try {
    for (const Format& format : formats) {
      for (const char* mode : {"int8", "half"}) check_format(format, mode, random);
    }
  } catch (const std::exception& e) {
    fprintf(stderr, "matmul: %s\n", e.what());
    return 1;
  }
  printf("matmul: %ld checks on warps of %u lanes, %d launches, %ld failed\n", cases, simt::lanes, runs, failures);
  return failures != 0 || cases < 5000 ? 1 : 0;
}
