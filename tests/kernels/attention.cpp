// Attention's kernels on the emulator, by the launches that a step appends, against loops in double precision over the
// decoded cache.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "../../kernels/common/formats.h"
#include "../../native/gpu/attention.hpp"
#include "../simt/simt.hpp"

using namespace talaria;

namespace {

constexpr float nan_float = std::numeric_limits<float>::quiet_NaN();
std::mt19937_64 random_bits(11);
int failures = 0, checked = 0;

void expect(bool ok, const std::string& what) {
  checked++;
  if (ok) return;
  if (++failures <= 20) std::printf("FAILED: %s\n", what.c_str());
}

float random_normal() {
  static std::normal_distribution<float> normal;
  return normal(random_bits);
}

float half_value(uint16_t bits) {
  _Float16 half;
  std::memcpy(&half, &bits, 2);
  return static_cast<float>(half);
}

uint16_t half_bits(float value) {
  _Float16 half = static_cast<_Float16>(value);
  uint16_t bits;
  std::memcpy(&bits, &half, 2);
  return bits;
}

// One half of a cache: as the device has it, and decoded.
struct Cache {
  int32_t type, width;
  int64_t rows;
  std::vector<uint8_t> bytes;
  std::vector<double> decoded;

  Cache(int32_t type, int32_t width, int64_t rows) : type(type), width(width), rows(rows) {
    int64_t values = rows * width;
    int64_t size = type == TALARIA_F32 ? 4 * values : type == TALARIA_F16 ? 2 * values : values + values / 16;
    bytes.assign(static_cast<size_t>(size), 255);
    decoded.assign(static_cast<size_t>(values), std::nan(""));
  }
  // Rows that are never filled stay NaN: all bits set, in scales too.
  void fill(int64_t row) {
    for (int64_t at = row * width; at < (row + 1) * width; at++) {
      float value = random_normal();
      if (type == TALARIA_F32) {
        std::memcpy(&bytes[static_cast<size_t>(at * 4)], &value, 4);
      } else if (type == TALARIA_F16) {
        uint16_t half = half_bits(value);
        value = half_value(half);
        std::memcpy(&bytes[static_cast<size_t>(at * 2)], &half, 2);
      } else {
        uint16_t scale = half_bits(0.01f + 0.001f * static_cast<float>(at / 32 % 17));
        auto code = static_cast<int8_t>(std::clamp(value / half_value(scale), -127.0f, 127.0f));
        value = half_value(scale) * static_cast<float>(code);
        bytes[static_cast<size_t>(at)] = static_cast<uint8_t>(code);
        std::memcpy(&bytes[static_cast<size_t>(rows * width + at / 32 * 2)], &scale, 2);
      }
      decoded[static_cast<size_t>(at)] = value;
    }
  }
};

struct Row {
  int32_t sequence, position;
};

struct Case {
  int32_t type, dim, kv_heads, group, block_positions;
  std::vector<Row> rows;
  int32_t heads() const { return kv_heads * group; }
  int64_t columns() const { return int64_t{heads()} * dim; }
  int32_t width() const { return kv_heads * dim; }
  std::string name() const {
    return "type " + std::to_string(type) + ", dim " + std::to_string(dim) + ", " + std::to_string(kv_heads) + " x " +
           std::to_string(group) + " heads, " + std::to_string(rows.size()) + " rows";
  }
};

// A case's cache, block tables and queries. Blocks are scattered; what no sequence has is NaN, or -1 in the tables.
struct World {
  Case c;
  int32_t blocks = 0, sequences = 0;  // blocks of a table
  int64_t cache_blocks = 0;
  std::vector<int32_t> block;  // [sequences][blocks]
  std::vector<Cache> cache;    // keys, values
  std::vector<float> q;
  float scale;

  explicit World(const Case& of) : c(of), scale(1.0f / std::sqrt(static_cast<float>(of.dim))) {
    std::vector<int32_t> lengths;
    for (const Row& row : c.rows) {
      sequences = std::max(sequences, row.sequence + 1);
      lengths.resize(static_cast<size_t>(sequences));
      int32_t& length = lengths[static_cast<size_t>(row.sequence)];
      length = std::max(length, row.position + 1);
    }
    for (int32_t length : lengths) blocks = std::max(blocks, (length + c.block_positions - 1) / c.block_positions);
    blocks++;  // one that nobody has
    cache_blocks = int64_t{sequences} * blocks;
    std::vector<int32_t> order(static_cast<size_t>(cache_blocks));
    for (size_t i = 0; i < order.size(); i++) order[i] = static_cast<int32_t>(i);
    std::shuffle(order.begin(), order.end(), random_bits);
    block.assign(order.size(), -1);
    cache.assign(2, Cache(c.type, c.width(), 2 * cache_blocks * c.block_positions));
    for (int32_t s = 0; s < sequences; s++) {
      for (int32_t p = 0; p < lengths[static_cast<size_t>(s)]; p++) {
        size_t at = static_cast<size_t>(s * blocks + p / c.block_positions);
        block[at] = order[at];
        cache[0].fill(cache_row(s, p)), cache[1].fill(cache_row(s, p));
      }
    }
    q.resize(c.rows.size() * static_cast<size_t>(c.columns()));
    for (float& value : q) value = random_normal() * 1.5f;
  }

  int64_t layer_row() const { return cache_blocks * c.block_positions; }  // of the second of two layers
  int64_t cache_row(int32_t sequence, int32_t position) const {
    int64_t of = block[static_cast<size_t>(sequence * blocks + position / c.block_positions)];
    return layer_row() + of * c.block_positions + position % c.block_positions;
  }

  std::vector<double> attend(size_t row) const {
    std::vector<double> result;
    for (int32_t head = 0; head < c.heads(); head++) {
      const float* query = &q[row * static_cast<size_t>(c.columns()) + static_cast<size_t>(head * c.dim)];
      std::vector<double> score, value(static_cast<size_t>(c.dim));
      for (int32_t p = 0; p <= c.rows[row].position; p++) {
        const double* key = at(0, c.rows[row].sequence, p, head);
        double dot = 0;
        for (int32_t i = 0; i < c.dim; i++) dot += query[i] * key[i];
        score.push_back(dot * static_cast<double>(scale));
      }
      double maximum = *std::max_element(score.begin(), score.end()), sum = 0;
      for (int32_t p = 0; p <= c.rows[row].position; p++) {
        double weight = std::exp(score[static_cast<size_t>(p)] - maximum);
        sum += weight;
        const double* v = at(1, c.rows[row].sequence, p, head);
        for (int32_t i = 0; i < c.dim; i++) value[static_cast<size_t>(i)] += weight * v[i];
      }
      for (double v : value) result.push_back(v / sum);
    }
    return result;
  }
  const double* at(size_t which, int32_t sequence, int32_t position, int32_t head) const {
    return &cache[which].decoded[static_cast<size_t>(cache_row(sequence, position) * c.width() + head / c.group * c.dim)];
  }
};

// What a run has written, for all rows of its capacity.
struct Output {
  std::vector<float> attended, values;
  std::vector<int8_t> codes;
  std::vector<BlockScale> scales;
};

constexpr int8_t guard_code = 99;
constexpr size_t guard_bytes = 4096;

struct Mode {
  bool batch_invariant;
  uint32_t needs;  // of the device
  simt::Order order;
};

void launch(const gpu::Launch& launch, simt::Order order) {
  const simt::Registration* kernel = simt::find(gpu::kernel_name(launch.kernel));
  if (kernel == nullptr) throw std::runtime_error(std::string("no kernel ") + gpu::kernel_name(launch.kernel));
  simt::Grid grid{{launch.grid[0], launch.grid[1], launch.grid[2]}, launch.threads, launch.shared_bytes};
  simt::run(*kernel, grid, launch.args, launch.args_bytes, order, 5);
}

// Runs rows [begin, begin + count) of a world as a batch for `capacity` rows, and for `positions` if those are more than the
// world has.
Output run(World& w, size_t begin, size_t count, int32_t capacity, const Mode& mode, int32_t positions = 0) {
  const Case& c = w.c;
  size_t rows = static_cast<size_t>(capacity), columns = static_cast<size_t>(c.columns());
  size_t stride = (columns + 31) / 32 * 32;
  Output out{std::vector<float>(rows * columns, nan_float), std::vector<float>(rows * stride, nan_float),
             std::vector<int8_t>(rows * stride, guard_code),
             std::vector<BlockScale>(rows * stride / 32, {nan_float, {1, 1}})};
  std::vector<int32_t> header{static_cast<int32_t>(count), 0, 0, 0}, position(rows, 1 << 30), table(rows, 1 << 30);
  for (size_t i = 0; i < count; i++) position[i] = c.rows[begin + i].position, table[i] = c.rows[begin + i].sequence;
  std::vector<float> q(rows * columns, nan_float);
  std::copy_n(w.q.begin() + static_cast<std::ptrdiff_t>(begin * columns), count * columns, q.begin());

  AttentionArgs args{};
  args.q = q.data(), args.attended = out.attended.data(), args.scale = w.scale;
  args.out = {out.values.data(), out.codes.data(), out.scales.data(), static_cast<int64_t>(stride)};
  args.kv = {w.cache[0].bytes.data(), w.cache[1].bytes.data(), w.layer_row(), w.cache[0].rows,
             c.block_positions, c.width(), c.type, c.dim};
  args.batch.header = header.data(), args.batch.position = position.data(), args.batch.table = table.data();
  args.batch.block = w.block.data(), args.batch.blocks = w.blocks;
  gpu::Properties properties;
  properties.needs = mode.needs;
  gpu::AttentionShape shape{capacity, std::max(positions, w.blocks * c.block_positions), c.heads(), c.kv_heads, c.dim,
                            mode.batch_invariant};
  size_t scratch_bytes = static_cast<size_t>(gpu::attention_scratch_bytes(properties, shape));
  std::vector<uint8_t> memory(scratch_bytes + 256 + guard_bytes, 255);
  auto* scratch = reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(memory.data()) + 255) / 256 * 256);
  std::vector<gpu::Launch> launches;
  gpu::append_attention(launches, properties, shape, args, scratch);
  for (const gpu::Launch& next : launches) launch(next, mode.order);
  const uint8_t* end = memory.data() + memory.size();
  bool untouched = std::all_of<const uint8_t*>(scratch + scratch_bytes, end, [](uint8_t byte) { return byte == 255; });
  expect(untouched, c.name() + ": past the scratch");
  return out;
}

// The rows' worst normalised mean squared error.
double worst_error(const World& w, const Output& out) {
  double worst = 0;
  size_t columns = static_cast<size_t>(w.c.columns());
  for (size_t row = 0; row < w.c.rows.size(); row++) {
    std::vector<double> right = w.attend(row);
    double error = 0, norm = 0;
    for (size_t i = 0; i < columns; i++) {
      double difference = static_cast<double>(out.attended[row * columns + i]) - right[i];
      error += difference * difference, norm += right[i] * right[i];
    }
    double relative = error / norm;
    worst = relative <= worst ? worst : relative;  // NaN too
    if (relative != relative) return relative;
  }
  return worst;
}

// The other forms of what was attended, and that rows past the batch's are as they were.
void check_forms(const World& w, const Output& out) {
  size_t columns = static_cast<size_t>(w.c.columns()), stride = (columns + 31) / 32 * 32, rows = out.values.size() / stride;
  bool values = true, codes = true, scales = true, untouched = true;
  for (size_t row = 0; row < rows; row++) {
    for (size_t block = 0; block < stride / 32; block++) {
      const BlockScale& scale = out.scales[(row * stride + block * 32) / 32];
      float x[32], largest = 0;
      int32_t sum[2] = {0, 0};
      for (size_t i = 0; i < 32; i++) {
        size_t column = block * 32 + i;
        x[i] = column < columns ? out.attended[row * columns + column] : 0.0f;
        largest = std::max(largest, std::fabs(x[i]));
        float value = out.values[row * stride + column];
        int8_t code = out.codes[row * stride + column];
        if (row >= w.c.rows.size()) {
          untouched = untouched && std::isnan(value) && (column >= columns || std::isnan(x[i])) && code == guard_code;
          continue;
        }
        values = values && std::memcmp(&value, &x[i], 4) == 0;
        sum[i / 16] += code;
      }
      if (row >= w.c.rows.size()) {
        untouched = untouched && std::isnan(scale.scale);
        continue;
      }
      scales = scales && scale.scale == largest / 127.0f && scale.sum[0] == sum[0] && scale.sum[1] == sum[1];
      for (size_t i = 0; i < 32; i++) {
        float code = scale.scale > 0 ? std::nearbyint(x[i] / scale.scale) : 0.0f;
        codes = codes && out.codes[row * stride + block * 32 + i] == static_cast<int8_t>(code);
      }
    }
  }
  expect(values, w.c.name() + ": rows of floats");
  expect(codes && scales, w.c.name() + ": codes and scales");
  expect(untouched, w.c.name() + ": rows past the batch's");
}

double worst_seen = 0;

void check(World& w, int32_t capacity, const Mode& mode, double bound, const char* what) {
  Output out = run(w, 0, w.c.rows.size(), capacity, mode);
  double error = worst_error(w, out);
  worst_seen = std::max(worst_seen, error);
  char text[200];
  std::snprintf(text, sizeof text, "%s, %s: error %.2e", w.c.name().c_str(), what, error);
  expect(error <= bound, text);
  check_forms(w, out);
}

// Without subnormal numbers, values below 2^-14 are lost: a few of a row, whose others are about 1.
constexpr double float_bound = 1e-11, matrix_bound = 2e-7, flush_bound = 1e-9;
constexpr int32_t types[] = {TALARIA_F32, TALARIA_F16, TALARIA_Q8_0};

// A Q8_0 row is whole blocks of 32.
int32_t kv_heads_of(int32_t type, int32_t dim, int32_t least) {
  int32_t heads = least;
  while (type == TALARIA_Q8_0 && heads * dim % 32 != 0) heads++;
  return heads;
}

// Rows of several sequences, each at a place of its own.
void test_single_rows() {
  const std::vector<int32_t> positions = {0, 1, 31, 255, 256, 257, 600, 1000};
  int turn = 0;
  for (int32_t type : types) {
    for (int32_t dim : {32, 36, 64, 80, 128, 256, 2}) {
      for (int32_t group : {1, 2, 3, 4, 6}) {
        Case c{type, dim, kv_heads_of(type, dim, 2), group, turn % 2 == 0 ? 16 : 7, {}};
        // All positions in one batch for some, one of them for each of the others.
        bool all = group == 4 || group == 1;
        for (size_t i = 0; i < positions.size(); i++) {
          if (all || i == static_cast<size_t>(turn) % positions.size()) {
            c.rows.push_back({static_cast<int32_t>(c.rows.size()), positions[i]});
          }
        }
        World w(c);
        Mode mode{turn % 4 != 0, 0, static_cast<simt::Order>(turn % 3)};
        check(w, static_cast<int32_t>(c.rows.size()) + turn % 3, mode, float_bound, "single rows");
        turn++;
      }
    }
  }
}

// A prompt's end, a prompt's beginning, and single rows between them.
std::vector<Row> mixed_rows() {
  std::vector<Row> rows;
  for (int32_t p = 290; p < 311; p++) rows.push_back({0, p});
  rows.push_back({1, 77});
  rows.push_back({2, 200});
  for (int32_t p = 0; p < 45; p++) rows.push_back({3, p});
  rows.push_back({1, 78});
  rows.push_back({1, 80});  // does not follow the row before
  return rows;
}

// A row gets the same bits alone and in any batch, whatever the order of blocks and threads.
void test_batch_invariance() {
  for (int32_t type : types) {
    for (int32_t dim : {64, 128, 36}) {
      World w({type, dim, kv_heads_of(type, dim, 1), 4, 16, mixed_rows()});
      Mode mode{true, 0, simt::Order::RANDOM};
      Output together = run(w, 0, w.c.rows.size(), 80, mode);
      double error = worst_error(w, together);
      expect(error <= float_bound, w.c.name() + ", batch invariant");
      check_forms(w, together);
      mode.order = simt::Order::FORWARD;
      size_t columns = static_cast<size_t>(w.c.columns());
      for (size_t row = 0; row < w.c.rows.size(); row += 5) {
        Output alone = run(w, row, 1, row % 2 == 0 ? 1 : 4, mode);
        expect(std::memcmp(alone.attended.data(), &together.attended[row * columns], columns * 4) == 0,
               w.c.name() + ": a row alone");
      }
    }
  }
}

// For so many positions that there is scratch for some rows only.
void test_long_capacity() {
  World w({TALARIA_F16, 128, 1, 4, 16, mixed_rows()});
  Mode mode{true, 0, simt::Order::REVERSE};
  int32_t rows = static_cast<int32_t>(w.c.rows.size());
  Output output = run(w, 0, w.c.rows.size(), rows, mode, 1 << 17), usual = run(w, 0, w.c.rows.size(), rows, mode);
  bool same = std::memcmp(output.attended.data(), usual.attended.data(), usual.attended.size() * 4) == 0;
  expect(same, "rows in several launches");
  check_forms(w, output);
}

void test_large_heads() {
  try {
    gpu::attention_scratch_bytes(gpu::Properties(), {1, 16, 1, 1, ATTENTION_MOST_DIM + 8, false});
    expect(false, "heads that are too large are refused");
  } catch (const Fault& fault) {
    expect(fault.code == TALARIA_UNSUPPORTED, fault.text);
  }
}

// The lists of tiles and single rows, against a loop.
void test_runs() {
  for (int32_t tile_rows : {8, 32}) {
    for (int32_t most_single : {2, 64}) {
      std::vector<int32_t> position, table;
      while (position.size() < 700) {
        int32_t length = static_cast<int32_t>(random_bits() % 3 == 0 ? 1 + random_bits() % 90 : 1);
        int32_t sequence = static_cast<int32_t>(random_bits() % 5);
        int32_t first = static_cast<int32_t>(random_bits() % 50);
        for (int32_t i = 0; i < length; i++) position.push_back(first + i), table.push_back(sequence);
      }
      int32_t rows = static_cast<int32_t>(position.size());
      std::vector<int32_t> header{rows, 0, 0, 0}, singles, pairs;
      for (int32_t begin = 0, end; begin < rows; begin = end) {
        for (end = begin + 1; end < rows && end % tile_rows != 0; end++) {
          size_t i = static_cast<size_t>(end);
          if (table[i] != table[i - 1] || position[i] != position[i - 1] + 1) break;
        }
        if (end == begin + 1 && static_cast<int32_t>(singles.size()) < most_single) {
          singles.push_back(begin);
        } else {
          pairs.push_back(begin), pairs.push_back(end - begin);
        }
      }
      std::vector<int32_t> words(static_cast<size_t>(2 + most_single + 2 * rows), -7);
      AttentionArgs args{};
      args.batch.header = header.data(), args.batch.position = position.data(), args.batch.table = table.data();
      args.runs = {words.data(), tile_rows, most_single};
      launch(gpu::Launch::of(gpu::Kernel::attention_runs, 1, 1, 1, 256, args), simt::Order::RANDOM);
      words[0] *= 2;
      std::vector<int32_t> right{static_cast<int32_t>(pairs.size()), static_cast<int32_t>(singles.size())};
      right.insert(right.end(), singles.begin(), singles.end());
      right.resize(static_cast<size_t>(2 + most_single), -7);
      right.insert(right.end(), pairs.begin(), pairs.end());
      right.resize(words.size(), -7);
      expect(words == right, "tiles of " + std::to_string(tile_rows) + " rows, up to " + std::to_string(most_single) + " single");
    }
  }
}

struct Bounds {
  double halves, codes;  // of caches in F16, in Q8_0
  double of(int32_t type) const {
    return type == TALARIA_F16 ? halves : type == TALARIA_Q8_0 ? codes : float_bound;
  }
};

void test_tiles(uint32_t needs, const Bounds& bounds, const std::string& what) {
  int turn = 0;
  for (int32_t type : types) {
    worst_seen = 0;
    for (int32_t dim : {32, 64, 80, 128, 40}) {
      for (int32_t group : {1, 2, 3, 4}) {
        World w({type, dim, kv_heads_of(type, dim, 1), group, turn % 2 == 0 ? 16 : 7, mixed_rows()});
        Mode mode{false, needs, static_cast<simt::Order>(turn % 3)};
        check(w, static_cast<int32_t>(w.c.rows.size()) + turn % 3, mode, bounds.of(type), what.c_str());
        turn++;
      }
    }
    std::printf("%s, type %d: worst row's error %.2e\n", what.c_str(), type, worst_seen);
  }
}

struct MatrixUnit {
  std::string name;
  uint32_t needs;
};
const MatrixUnit matrix_units[] = {
    {"mma", gpu::MMA_F16}, {"hmma", gpu::HMMA}, {"mfma", gpu::MFMA}, {"wmma", gpu::WMMA}};

void test_matrix_unit(const MatrixUnit& unit) {
  test_tiles(unit.needs, {float_bound, matrix_bound}, unit.name);
  if (unit.needs != gpu::MFMA) return;
  simt::flush_subnormals = true;
  test_tiles(unit.needs, {flush_bound, matrix_bound}, unit.name + " without subnormal numbers");
  simt::flush_subnormals = false;
}

}  // namespace

int main(int argc, char** argv) {
  std::string only = argc > 1 ? argv[1] : "";
  try {
    if (only.empty() || only == "single") test_single_rows();
    if (only.empty() || only == "invariant") test_batch_invariance();
    if (only.empty() || only == "invariant") test_long_capacity();
    if (only.empty() || only == "runs") test_runs(), test_large_heads();
    if (only.empty() || only == "tile") test_tiles(0, {float_bound, float_bound}, "tiles");
    for (const MatrixUnit& unit : matrix_units) {
      bool there = simt::find(("attention_" + unit.name).c_str()) != nullptr;  // by the lanes of a warp
      if (there && (only.empty() || only == unit.name)) test_matrix_unit(unit);
    }
  } catch (const std::exception& e) {
    std::printf("FAILED: %s\n", e.what());
    return 1;
  }
  std::printf("%d checks, %d failed\n", checked, failures);
  return failures == 0 ? 0 : 1;
}
