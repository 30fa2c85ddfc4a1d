// rope_append: RoPE and the appending of keys and values on the emulator, against arithmetic in double.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "../../kernels/common/formats.h"
#include "../../kernels/cpu/kernels.hpp"
#include "../../kernels/gpu/launch_args.h"
#include "../simt/simt.hpp"

namespace {

using namespace talaria;

long cases = 0, failures = 0;

void expect(bool ok, const char* what, double actual, double expected) {
  cases++;
  if (!ok && failures++ < 20) fprintf(stderr, "rope_append: %s: %.9g, expected %.9g\n", what, actual, expected);
}

struct Shape {
  int32_t heads, kv_heads, head_dim, rope_dims, rows, capacity, kv_type;
  double base;
};

constexpr int32_t positions = 16, blocks = 40, layers = 2, layer = 1, tables = 2;

float noise(uint64_t i) {
  uint64_t z = (i + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  return static_cast<float>(static_cast<double>(z >> 11) / 9007199254740992.0 * 4 - 2);
}

std::vector<float> rows_of(const Shape& s, int64_t width, uint64_t seed) {
  std::vector<float> values(static_cast<size_t>(s.capacity * width));
  for (size_t i = 0; i < values.size(); i++) values[i] = noise(i + seed * 1000003);
  return values;
}

// What column `column` of a row becomes.
double turned(const Shape& s, const float* row, int64_t column, int32_t position) {
  int64_t within = column % s.head_dim;
  if (within >= s.rope_dims) return row[column];
  double angle = position * std::pow(s.base, -2.0 * static_cast<double>(within / 2) / s.rope_dims);
  double even = row[column / 2 * 2], odd = row[column / 2 * 2 + 1];
  return column % 2 == 0 ? even * std::cos(angle) - odd * std::sin(angle) : even * std::sin(angle) + odd * std::cos(angle);
}

struct Cache {
  int64_t rows = int64_t{layers} * blocks * positions, width;
  int32_t type;
  std::vector<uint8_t> bytes;
  Cache(int32_t type, int64_t width) : width(width), type(type) {
    int64_t size = type == TALARIA_F32 ? width * 4 : type == TALARIA_F16 ? width * 2 : width + width / 32 * 2;
    bytes.assign(static_cast<size_t>(rows * size), 0xa5);
  }
  // The bytes that keep a value, and for Q8_0 those of its scale.
  std::vector<size_t> places(int64_t row, int64_t column) const {
    size_t at = static_cast<size_t>(row * width + column);
    if (type == TALARIA_F32) return {4 * at, 4 * at + 1, 4 * at + 2, 4 * at + 3};
    if (type == TALARIA_F16) return {2 * at, 2 * at + 1};
    size_t scale = static_cast<size_t>(rows * width) + at / 32 * 2;
    return {at, scale, scale + 1};
  }
  void check(int64_t row, int64_t column, double expected, double largest) const {
    size_t at = static_cast<size_t>(row * width + column);
    if (type == TALARIA_F32) {
      float value;
      std::memcpy(&value, &bytes[4 * at], 4);
      expect(std::fabs(value - expected) <= 2e-6, "F32 cache", value, expected);
      return;
    }
    uint16_t half;
    std::memcpy(&half, &bytes[type == TALARIA_F16 ? 2 * at : static_cast<size_t>(rows * width) + at / 32 * 2], 2);
    double value = cpu::half_to_float(half);
    if (type == TALARIA_F16) {
      expect(std::fabs(value - expected) <= std::fabs(expected) * 0x1p-11 + 2e-6, "F16 cache", value, expected);
      return;
    }
    expect(std::fabs(value - largest / 127) <= largest / 127 * 0x1p-10, "scale of a Q8_0 cache", value, largest / 127);
    double code = static_cast<int8_t>(bytes[at]);
    expect(std::fabs(code * largest / 127 - expected) <= largest / 127 * 0.501, "Q8_0 cache", code * largest / 127, expected);
  }
};

void check_shape(const Shape& s, int turn) {
  int64_t q_width = int64_t{s.heads} * s.head_dim, width = int64_t{s.kv_heads} * s.head_dim;
  std::vector<float> q = rows_of(s, q_width, 1), k = rows_of(s, width, 2), v = rows_of(s, width, 3), before = q;
  std::vector<uint64_t> frequency(static_cast<size_t>(s.rope_dims / 2));
  for (size_t i = 0; i < frequency.size(); i++) {
    double turns = std::pow(s.base, -2.0 * static_cast<double>(i) / s.rope_dims) / 6.283185307179586;
    frequency[i] = static_cast<uint64_t>(std::ldexp(turns, 64));
  }
  std::vector<int32_t> position, table, block(tables * blocks);
  // Blocks of the pool in another order; positions of the first table are far apart, and far out: those blocks repeat.
  for (int32_t i = 0; i < tables * blocks; i++) block[static_cast<size_t>(i)] = i * 7 % blocks;
  for (int32_t row = 0; row < s.capacity; row++) {
    position.push_back(row % (positions * blocks));
    table.push_back(0);
  }
  int32_t header[4] = {s.rows, 0, 0, 0};
  Cache keys(s.kv_type, width), values(s.kv_type, width), fresh(s.kv_type, width);
  RopeAppendArgs args{};
  args.q = q.data(), args.k = k.data(), args.v = v.data();
  args.kv.keys = keys.bytes.data(), args.kv.values = values.bytes.data();
  args.kv.layer_row = int64_t{layer} * blocks * positions, args.kv.all_rows = keys.rows;
  args.kv.positions = positions, args.kv.width = static_cast<int32_t>(width), args.kv.type = s.kv_type;
  args.kv.head_dim = s.head_dim;
  args.batch.header = header, args.batch.position = position.data(), args.batch.table = table.data();
  args.batch.block = block.data(), args.batch.blocks = blocks;
  args.frequency = frequency.data(), args.q_width = q_width, args.rope_dims = s.rope_dims;
  const simt::Registration* kernel = simt::find("rope_append");
  if (kernel == nullptr) throw std::runtime_error("there is no kernel rope_append");
  int64_t parts = (q_width + 31) / 32 + 2 * ((width + 31) / 32);
  simt::Grid grid = {{static_cast<uint32_t>((parts + 7) / 8), static_cast<uint32_t>(s.capacity), 1}, 256, 0};
  simt::Order order = turn % 3 == 0 ? simt::Order::FORWARD : turn % 3 == 1 ? simt::Order::REVERSE : simt::Order::RANDOM;
  simt::run(*kernel, grid, &args, sizeof args, order, static_cast<uint64_t>(turn));

  std::vector<bool> written(keys.bytes.size());
  for (int32_t row = 0; row < s.capacity; row++) {
    for (int64_t c = 0; c < q_width; c++) {
      size_t at = static_cast<size_t>(row * q_width + c);
      double expected = row < s.rows ? turned(s, &before[static_cast<size_t>(row * q_width)], c, position[static_cast<size_t>(row)])
                                     : before[at];
      expect(std::fabs(q[at] - expected) <= (row < s.rows ? 2e-6 : 0), "q", q[at], expected);
    }
    if (row >= s.rows) continue;
    int32_t p = position[static_cast<size_t>(row)];
    int64_t kept = (int64_t{layer} * blocks + block[static_cast<size_t>(p / positions)]) * positions + p % positions;
    for (int64_t c = 0; c < width; c++) {
      double largest_k = 0, largest_v = 0;
      for (int64_t i = c / 32 * 32; i < std::min(c / 32 * 32 + 32, width); i++) {
        largest_k = std::max(largest_k, std::fabs(turned(s, &k[static_cast<size_t>(row * width)], i, p)));
        largest_v = std::max(largest_v, std::fabs(static_cast<double>(v[static_cast<size_t>(row * width + i)])));
      }
      keys.check(kept, c, turned(s, &k[static_cast<size_t>(row * width)], c, p), largest_k);
      values.check(kept, c, v[static_cast<size_t>(row * width + c)], largest_v);
      for (size_t place : keys.places(kept, c)) written[place] = true;
    }
  }
  long strays = 0;
  for (size_t i = 0; i < written.size(); i++) {
    strays += !written[i] && (keys.bytes[i] != fresh.bytes[i] || values.bytes[i] != fresh.bytes[i]);
  }
  expect(strays == 0, "bytes written beside the rows", static_cast<double>(strays), 0);
}

}  // namespace

int main() {
  const Shape shapes[] = {
      {4, 2, 64, 64, 20, 20, TALARIA_F32, 1e6},  {4, 2, 64, 48, 33, 40, TALARIA_F16, 1e4},
      {8, 2, 32, 32, 17, 20, TALARIA_Q8_0, 1e6}, {2, 1, 16, 16, 5, 8, TALARIA_F16, 1e4},
      {3, 3, 32, 8, 600, 601, TALARIA_F32, 1e6}, {2, 2, 128, 128, 1, 1, TALARIA_Q8_0, 1e4},
  };
  try {
    int turn = 0;
    for (const Shape& shape : shapes) check_shape(shape, turn++);
  } catch (const std::exception& e) {
    fprintf(stderr, "rope_append: %s\n", e.what());
    return 1;
  }
  printf("rope_append: %ld checks on warps of %u lanes, %ld failed\n", cases, simt::lanes, failures);
  return failures != 0 || cases < 10000 ? 1 : 0;
}
