// The CPU's fast path: packing, rounding, products and attention, against the plain decoders in double precision. Run for each
// instruction set by TALARIA_CPU in the environment.
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <vector>

#include "../../kernels/cpu/kernels.hpp"
#include "../../kernels/cpu/matmul.hpp"
#include "../../kernels/cpu/packed.hpp"
#include "../../kernels/cpu/simd.hpp"

using namespace talaria::cpu;

namespace {

constexpr int32_t types[] = {TALARIA_Q8_0, TALARIA_Q4_0, TALARIA_Q4_K, TALARIA_Q5_K, TALARIA_Q6_K};
// The bound of one op in int8 against the same rounding computed exactly.
constexpr double bound = 1e-7;

std::mt19937_64 random_bits(7);
int failures = 0;

void expect(bool ok, const char* what, int64_t a, int64_t b) {
  if (ok) return;
  failures++;
  std::printf("FAILED: %s (%lld, %lld)\n", what, static_cast<long long>(a), static_cast<long long>(b));
}

// Rows of random blocks with scales around 0.01.
std::vector<uint8_t> random_rows(int32_t type, int64_t rows, int64_t columns) {
  std::vector<uint8_t> bytes(static_cast<size_t>(rows * columns / block_values(type) * block_bytes(type)));
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random_bits());
  for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(block_bytes(type))) {
    uint16_t d = float_to_half(0.005f + 0.00001f * static_cast<float>(random_bits() % 1000));
    std::memcpy(&bytes[at + (type == TALARIA_Q6_K ? 208 : 0)], &d, 2);
    if (type == TALARIA_Q4_K || type == TALARIA_Q5_K) std::memcpy(&bytes[at + 2], &d, 2);
  }
  return bytes;
}

std::vector<float> random_floats(int64_t count) {
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(random_bits);
  values[random_bits() % values.size()] = 50;  // an outlier
  return values;
}

void test_packing() {
  for (int32_t type : types) {
    int64_t columns = 2 * 256, row_bytes = columns / block_values(type) * block_bytes(type);
    auto rows = random_rows(type, panel_rows, columns);
    std::vector<uint8_t> panel(rows.size()), back(rows.size()), row(static_cast<size_t>(row_bytes));
    pack_panel(type, rows.data(), row_bytes, panel.data());
    unpack_panel(type, panel.data(), row_bytes, back.data());
    expect(back == rows, "a panel is unpacked as it was packed", type, 0);
    expect(panel != rows, "a panel is another order", type, 0);
    for (int64_t r = 0; r < panel_rows; r++) {
      unpack_row(type, panel.data(), row_bytes, r, row.data());
      expect(std::memcmp(row.data(), rows.data() + r * row_bytes, row.size()) == 0, "one row of a panel", type, r);
    }
  }
}

// A weight that is written in random pieces reads back whole, with planes that do not end at a panel.
void test_writing(Pool& pool) {
  for (int32_t type : types) {
    constexpr int64_t planes = 3, plane_rows = 43, columns = 256;
    auto rows = random_rows(type, planes * plane_rows, columns);
    int64_t row_bytes = static_cast<int64_t>(rows.size()) / (planes * plane_rows);
    talaria_tensor_desc desc{};
    desc.kind = TALARIA_WEIGHT;
    desc.type = type;
    const int64_t shape[4] = {1, planes, plane_rows, columns};
    std::memcpy(desc.shape, shape, sizeof shape);
    Memory memory(desc, static_cast<int64_t>(rows.size()), false);
    for (int i = 0; i < 400; i++) {
      int64_t from = static_cast<int64_t>(random_bits() % (planes * plane_rows));
      int64_t count = 1 + static_cast<int64_t>(random_bits() % (planes * plane_rows - from));
      if (i % 2 == 0) count = std::min<int64_t>(count, 5);
      memory.write(from * row_bytes, rows.data() + from * row_bytes, count * row_bytes, pool);
    }
    memory.write(0, rows.data(), static_cast<int64_t>(rows.size()) / 2 / row_bytes * row_bytes, pool);
    talaria_tensor_view view{&memory, nullptr, TALARIA_WEIGHT, type, {1, planes, plane_rows, columns}, static_cast<int64_t>(rows.size())};
    std::vector<uint8_t> copy(static_cast<size_t>(row_bytes));
    for (int64_t row = 0; row < planes * plane_rows; row++) {
      const uint8_t* got = Matrix(view, row / plane_rows).row(row % plane_rows, copy.data());
      expect(std::memcmp(got, rows.data() + row * row_bytes, copy.size()) == 0, "a row that was written", type, row);
    }
  }
}

// The int8 rounding against the same in double, at magnitudes down to subnormal ones.
void test_rounding() {
  for (int32_t type : types) {
    for (int round = 0; round < 200; round++) {
      constexpr int64_t columns = 96, rows = 3;
      float magnitude = std::ldexp(1.0f, static_cast<int>(random_bits() % 260) - 145);
      auto x = random_floats(columns);
      for (float& value : x) value *= magnitude;
      if (round % 5 == 0) std::fill_n(x.begin(), 32, 0.0f);
      std::vector<float> memory(static_cast<size_t>(Int8Rows::scratch(rows, columns)));
      Int8Tile tile = Int8Rows(memory.data(), rows, columns).tile(0);
      simd().quantise_row(type, x.data(), tile, 1);
      for (int64_t block = 0; block < columns / 32; block++) {
        int64_t at = block * rows + 1;
        float largest = 0;
        for (int64_t i = 0; i < 32; i++) largest = std::max(largest, std::fabs(x[block * 32 + i]));
        float scale = largest / 127;
        expect(tile.scale[at] == scale, "the scale of a block", type, block);
        int32_t sums[2] = {};
        for (int64_t i = 0; i < 32; i++) {
          double quotient = scale > 0 ? static_cast<double>(x[block * 32 + i]) / scale : 0, q = std::nearbyint(quotient);
          quotient = std::clamp(quotient, -127.0, 127.0);  // a subnormal scale is so coarse that it may exceed them
          q = std::clamp(q, -127.0, 127.0);
          // Where the quotient is within a rounding error of a tie, either neighbour is right.
          bool tie = std::fabs(std::fabs(quotient - std::trunc(quotient)) - 0.5) < 1e-4;
          int8_t got = tile.q[32 * at + i];
          expect(tie ? std::fabs(quotient - got) <= 0.501 : got == q, "a rounded value", type, i);
          sums[i / 16] += got;
        }
        int32_t correction = tile.correction[type == TALARIA_Q6_K ? 2 * at : at];
        if (type == TALARIA_Q6_K) {
          expect(correction == -32 * sums[0] && tile.correction[2 * at + 1] == -32 * sums[1], "Q6_K's starts", type, block);
        } else if (type == TALARIA_Q4_0) {
          expect(correction == -8 * (sums[0] + sums[1]), "Q4_0's start", type, block);
        } else if (type != TALARIA_Q8_0) {
          float sum = scale * static_cast<float>(sums[0] + sums[1]);
          expect(correction == std::bit_cast<int32_t>(sum), "the sum of a block", type, block);
        }
      }
      x[columns - 1] = NAN;
      simd().quantise_row(type, x.data(), tile, 1);
      expect(std::isnan(tile.scale[2 * rows + 1]) && !std::isnan(tile.scale[rows + 1]), "a NaN stays in its block", type, 0);
    }
  }
}

// Products of panels with 1 to 16 rows: none may depend on how many come together.
void test_products() {
  for (int32_t type : types) {
    PanelProduct product = simd().panel_product(type);
    for (int64_t columns : {block_values(type), 3 * block_values(type), int64_t{4096}}) {
      int64_t row_bytes = columns / block_values(type) * block_bytes(type);
      auto weights = random_rows(type, panel_rows, columns);
      std::vector<uint8_t> panel(weights.size() + 8192);
      pack_panel(type, weights.data(), row_bytes, panel.data());
      auto x = random_floats(tile_rows * columns);
      std::vector<float> memory(static_cast<size_t>(Int8Rows::scratch(tile_rows, columns))), decoded(columns);
      std::vector<float> single(tile_rows * panel_rows);
      double error = 0, power = 0;
      for (int64_t r = 0; r < tile_rows; r++) {
        Int8Tile alone = Int8Rows(memory.data(), 1, columns).tile(0);
        simd().quantise_row(type, &x[r * columns], alone, 0);
        product(panel.data(), alone, &single[r * panel_rows], panel_rows);
        for (int64_t o = 0; o < panel_rows; o++) {
          decode(type, weights.data() + o * row_bytes, decoded.data(), columns);
          double exact = 0;
          for (int64_t i = 0; i < columns; i++) exact += static_cast<double>(decoded[i]) * alone.scale[i / 32] * alone.q[i];
          double difference = single[r * panel_rows + o] - exact;
          error += difference * difference;
          power += exact * exact;
        }
      }
      expect(error / power <= bound, "a product", type, columns);
      for (int64_t rows = 1; rows <= tile_rows; rows++) {
        Int8Tile tile = Int8Rows(memory.data(), rows, columns).tile(0);
        int64_t first = tile_rows - rows;
        for (int64_t r = 0; r < rows; r++) simd().quantise_row(type, &x[(first + r) * columns], tile, r);
        std::vector<float> together((rows + 1) * 24, -7.0f);
        product(panel.data(), tile, together.data(), 24);
        for (int64_t r = 0; r < rows; r++) {
          bool same = std::memcmp(&together[r * 24], &single[(first + r) * panel_rows], panel_rows * 4) == 0;
          expect(same, "rows together and alone give the same bits", type, rows);
          expect(together[r * 24 + 16] == -7.0f, "nothing is written past the lanes", type, rows);
        }
        expect(together[rows * 24] == -7.0f, "nothing is written past the rows", type, rows);
      }
    }
  }
}

// Float products of every width of the last vector, and that rows together and alone give the same bits.
void test_float_products() {
  for (int32_t type : {TALARIA_F32, TALARIA_F16, TALARIA_BF16}) {
    for (int64_t columns : {1, 15, 16, 17, 64, 100, 1000}) {
      constexpr int64_t w_rows = 7, x_rows = 6;
      int64_t row_bytes = columns * block_bytes(type);
      std::vector<uint8_t> weights(static_cast<size_t>(w_rows * row_bytes));
      for (int64_t i = 0; i < w_rows * columns; i++) {
        float value = std::ldexp(static_cast<float>(random_bits() % 255) - 127, -6);
        uint32_t bits = std::bit_cast<uint32_t>(value);
        uint16_t half = type == TALARIA_F16 ? float_to_half(value) : static_cast<uint16_t>(bits >> 16);
        if (type == TALARIA_F32) std::memcpy(&weights[4 * i], &value, 4);
        if (type != TALARIA_F32) std::memcpy(&weights[2 * i], &half, 2);
      }
      auto x = random_floats(x_rows * columns);
      std::vector<float> y(x_rows * 10, -7.0f), decoded(columns);
      simd().float_products(type, weights.data(), row_bytes, w_rows, x.data(), x_rows, columns, y.data(), 10);
      for (int64_t o = 0; o < w_rows; o++) {
        decode(type, weights.data() + o * row_bytes, decoded.data(), columns);
        for (int64_t r = 0; r < x_rows; r++) {
          double exact = 0, magnitudes = 0;
          for (int64_t i = 0; i < columns; i++) {
            double term = static_cast<double>(decoded[i]) * x[r * columns + i];
            exact += term;
            magnitudes += std::fabs(term);
          }
          expect(std::fabs(y[r * 10 + o] - exact) <= 1e-6 * magnitudes, "a float product", type, columns);
          float alone;
          simd().float_products(type, weights.data() + o * row_bytes, row_bytes, 1, &x[r * columns], 1, columns, &alone, 1);
          expect(alone == y[r * 10 + o], "floats together and alone give the same bits", type, columns);
          expect(y[r * 10 + w_rows] == -7.0f, "nothing is written past the weights", type, columns);
        }
      }
    }
  }
}

void test_functions() {
  for (int64_t n : {1, 16, 37, 2000}) {
    auto x = random_floats(n), up = random_floats(n);
    for (float& value : x) value *= 20;
    auto gate = x;
    simd().silu_multiply(gate.data(), up.data(), n);
    for (int64_t i = 0; i < n; i++) {
      double exact = x[i] / (1 + std::exp(-static_cast<double>(x[i]))) * up[i];
      expect(std::fabs(gate[i] - exact) <= 4e-7 * std::fabs(exact) + 1e-30, "silu", n, i);
    }
    float largest = *std::max_element(x.begin(), x.end());
    double exact = 0;
    for (float value : x) exact += std::exp(static_cast<double>(value) - largest);
    expect(std::fabs(simd().sum_of_exp(x.data(), n, largest) - exact) <= 1e-6 * exact, "the sum of exp", n, 0);
    x[n / 2] = NAN;
    expect(std::isnan(simd().sum_of_exp(x.data(), n, largest)), "a NaN reaches the sum", n, 0);
    simd().silu_multiply(x.data(), up.data(), n);
    expect(std::isnan(x[n / 2]) && (n == 1 || !std::isnan(x[0])), "a NaN stays where it is", n, 0);
  }
}

// The online softmax in pieces of any size, against softmax in double over all positions.
void test_attention() {
  for (int32_t type : {TALARIA_F32, TALARIA_F16, TALARIA_Q8_0}) {
    for (int64_t dim : {32, 64, 96, 128}) {
      constexpr int64_t positions = 101, heads = 3;
      int64_t row_bytes = kv_row_bytes(type, dim);
      std::vector<uint8_t> encoded(static_cast<size_t>(2 * positions * row_bytes));
      std::vector<float> keys(positions * dim), values(positions * dim), expected(dim), state(heads * (2 + dim)), q(heads * dim);
      for (int64_t p = 0; p < 2 * positions; p++) {
        auto row = random_floats(dim);
        encode_kv(type, row.data(), &encoded[p * row_bytes], dim);
        float* target = p < positions ? &keys[p * dim] : &values[(p - positions) * dim];
        simd().decode_kv(type, &encoded[p * row_bytes], target, dim, dim);
        decode(type, &encoded[p * row_bytes], expected.data(), dim);
        expect(std::equal(expected.begin(), expected.end(), target), "a decoded row of the cache", type, dim);
      }
      for (int64_t i = 0; i < heads * dim; i++) q[i] = random_floats(1)[0] / 25;
      for (int64_t h = 0; h < heads; h++) state[h * (2 + dim)] = -INFINITY;
      for (int64_t begin = 0, count; begin < positions; begin += count) {
        count = std::min<int64_t>(1 + static_cast<int64_t>(random_bits() % 32), positions - begin);
        simd().attend({dim, heads}, q.data(), 0.1f, &keys[begin * dim], &values[begin * dim], count, state.data());
      }
      for (int64_t h = 0; h < heads; h++) {
        std::vector<double> weights(positions), exact(dim);
        double sum = 0, error = 0, power = 0;
        for (int64_t p = 0; p < positions; p++) {
          double score = 0;
          for (int64_t i = 0; i < dim; i++) score += static_cast<double>(q[h * dim + i]) * keys[p * dim + i];
          sum += weights[p] = std::exp(0.1 * score);
        }
        for (int64_t p = 0; p < positions; p++) {
          for (int64_t i = 0; i < dim; i++) exact[i] += weights[p] / sum * values[p * dim + i];
        }
        const float* s = &state[h * (2 + dim)];
        for (int64_t i = 0; i < dim; i++) {
          double difference = s[2 + i] / s[1] - exact[i];
          error += difference * difference;
          power += exact[i] * exact[i];
        }
        expect(error / power <= 1e-9, "attention", type, dim);
      }
    }
  }
}

void test_pool() {
  for (int32_t threads : {1, 2, 5}) {
    Pool pool(threads);
    for (int64_t tasks : {0, 1, 2, 3, 1000}) {
      std::vector<std::atomic<int>> done(static_cast<size_t>(tasks));
      pool.run(tasks, [&](int64_t task, int32_t thread) {
        done[task]++;
        expect(thread >= 0 && thread < threads, "the number of a thread", thread, threads);
      });
      for (int64_t i = 0; i < tasks; i++) expect(done[i] == 1, "every task once", threads, i);
    }
    bool thrown = false;
    try {
      pool.run(100, [](int64_t task, int32_t) {
        if (task == 40) throw std::runtime_error("on purpose");
      });
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    expect(thrown, "what a task throws arrives", threads, 0);
    std::atomic<int64_t> sum{0};
    for (int i = 0; i < 2000; i++) pool.run(7, [&](int64_t task, int32_t) { sum += task; });
    expect(sum == 2000 * 21, "the pool works on after that", threads, sum);
  }
}

}  // namespace

int main() {
  std::printf("instruction set: %s\n", simd().name);
  Pool pool(2);
  test_packing();
  test_writing(pool);
  test_rounding();
  test_products();
  test_float_products();
  test_functions();
  test_attention();
  test_pool();
  std::printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
