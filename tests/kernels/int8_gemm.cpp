// The CPU's fast path: packing, rounding and products in int8, against the plain decoders in double precision. Run for each
// instruction set by TALARIA_CPU in the environment.
#include <atomic>
#include <cmath>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <vector>

#include "../../kernels/cpu/int8_gemm.hpp"
#include "../../kernels/cpu/kernels.hpp"
#include "../../kernels/cpu/packed.hpp"

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
    constexpr int64_t planes = 3, plane_rows = 27, columns = 256;
    auto rows = random_rows(type, planes * plane_rows, columns);
    int64_t row_bytes = static_cast<int64_t>(rows.size()) / (planes * plane_rows);
    talaria_tensor_desc desc{};
    desc.kind = TALARIA_WEIGHT;
    desc.type = type;
    const int64_t shape[4] = {1, planes, plane_rows, columns};
    std::memcpy(desc.shape, shape, sizeof shape);
    Memory memory(desc, static_cast<int64_t>(rows.size()));
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

void test_rounding() {
  if (panel_product(TALARIA_Q8_0) == nullptr) return;
  for (int64_t columns : {32, 96, 4096}) {
    auto x = random_floats(columns);
    std::fill_n(x.begin(), columns > 32 ? 32 : 0, 0.0f);
    std::vector<float> rounded = x, scale(columns / 32), sum16(columns / 16);
    std::vector<int8_t> q(columns);
    round_to_int8(rounded.data(), columns);
    quantise_row(x.data(), columns, q.data(), scale.data(), sum16.data());
    for (int64_t i = 0; i < columns; i++) {
      expect(scale[i / 32] * static_cast<float>(q[i]) == rounded[i], "both roundings agree to the bit", columns, i);
    }
    for (int64_t i = 0; i < columns / 16; i++) {
      int32_t sum = 0;
      for (int64_t j = 0; j < 16; j++) sum += q[16 * i + j];
      expect(sum16[i] == scale[i / 2] * static_cast<float>(sum), "the sum of 16", columns, i);
    }
    x[columns - 1] = NAN;
    quantise_row(x.data(), columns, q.data(), scale.data(), sum16.data());
    expect(std::isnan(scale[columns / 32 - 1]), "a NaN reaches its block's scale", columns, 0);
  }
}

// Products of panels with 1 to 9 rows: none may depend on how many come together.
void test_products() {
  for (int32_t type : types) {
    PanelProduct product = panel_product(type);
    if (product == nullptr) continue;
    for (int64_t columns : {block_values(type), 3 * block_values(type), int64_t{4096}}) {
      constexpr int64_t most = 9;
      int64_t row_bytes = columns / block_values(type) * block_bytes(type);
      auto weights = random_rows(type, panel_rows, columns);
      std::vector<uint8_t> panel(weights.size());
      pack_panel(type, weights.data(), row_bytes, panel.data());
      auto x = random_floats(most * columns);
      std::vector<int8_t> q(x.size());
      std::vector<float> scale(x.size() / 32), sum16(x.size() / 16), decoded(columns), single(most * panel_rows);
      for (int64_t r = 0; r < most; r++) {
        quantise_row(&x[r * columns], columns, &q[r * columns], &scale[r * columns / 32], &sum16[r * columns / 16]);
        round_to_int8(&x[r * columns], columns);
      }
      Int8Rows in{columns, q.data(), scale.data(), sum16.data()};
      for (int64_t r = 0; r < most; r++) product(panel.data(), in, r, 1, &single[r * panel_rows], panel_rows);
      double error = 0, power = 0;
      for (int64_t o = 0; o < panel_rows; o++) {
        decode(type, weights.data() + o * row_bytes, decoded.data(), columns);
        for (int64_t r = 0; r < most; r++) {
          double exact = 0;
          for (int64_t i = 0; i < columns; i++) exact += static_cast<double>(decoded[i]) * x[r * columns + i];
          double difference = single[r * panel_rows + o] - exact;
          error += difference * difference;
          power += exact * exact;
        }
      }
      expect(error / power <= bound, "a product", type, columns);
      for (int64_t rows = 1; rows <= most; rows++) {
        std::vector<float> together(most * 16, -7.0f);
        product(panel.data(), in, most - rows, rows, together.data(), 16);
        for (int64_t r = 0; r < rows; r++) {
          bool same = std::memcmp(&together[r * 16], &single[(most - rows + r) * panel_rows], panel_rows * 4) == 0;
          expect(same, "rows together and alone give the same bits", type, rows);
          expect(together[r * 16 + 8] == -7.0f, "nothing is written past the lanes", type, rows);
        }
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
  std::printf("instruction set: %s\n", instruction_set());
  Pool pool(2);
  test_packing();
  test_writing(pool);
  test_rounding();
  test_products();
  test_pool();
  std::printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
