// decode [GOLDEN FOLDER...]: the number formats of the CPU kernels, against golden blocks and against arithmetic in
// double that shares nothing with them; and where a batch's words are looked for.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "../../kernels/cpu/kernels.hpp"

namespace {

using namespace talaria::cpu;

long cases = 0, failures = 0;

void expect(bool ok, const char* what, double a, double b) {
  cases++;
  if (ok) return;
  if (failures++ < 20) fprintf(stderr, "decode: %s: %.9g, %.9g\n", what, a, b);
}

bool same(float a, float b) { return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b); }

struct Random {
  uint64_t state;
  uint32_t next() {  // splitmix64
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return static_cast<uint32_t>(z >> 32);
  }
  float in(float magnitude) { return static_cast<float>(next() / 2147483648.0 - 1) * magnitude; }
};

// --- golden blocks ------------------------------------------------------------------------------------------------------

std::vector<uint8_t> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Format {
  int32_t type;
  const char* name;
  int64_t block_values, block_bytes;
};

constexpr Format formats[] = {
    {TALARIA_Q4_0, "Q4_0", 32, 18},   {TALARIA_Q8_0, "Q8_0", 32, 34},   {TALARIA_Q4_K, "Q4_K", 256, 144},
    {TALARIA_Q5_K, "Q5_K", 256, 176}, {TALARIA_Q6_K, "Q6_K", 256, 210},
};

bool check_golden(const std::string& folder, const Format& format) {
  std::vector<uint8_t> blocks = read_file(folder + "/" + format.name + ".bin"),
                       values = read_file(folder + "/" + format.name + ".f32");
  if (blocks.empty() || values.empty()) return false;
  int64_t count = static_cast<int64_t>(blocks.size()) / format.block_bytes * format.block_values;
  expect(static_cast<int64_t>(values.size()) == count * 4, format.name, static_cast<double>(values.size()),
         static_cast<double>(count) * 4);
  if (static_cast<int64_t>(values.size()) != count * 4) return true;
  std::vector<float> decoded(static_cast<size_t>(count));
  decode(format.type, blocks.data(), decoded.data(), count);
  for (size_t i = 0; i < decoded.size(); i++) {
    float golden;
    std::memcpy(&golden, &values[i * 4], 4);
    expect(same(decoded[i], golden), format.name, decoded[i], golden);
  }
  return true;
}

void check_plain() {
  const uint16_t words[] = {0x3f80, 0xc000, 0x7f80, 0x0001};
  float values[4];
  decode(TALARIA_BF16, reinterpret_cast<const uint8_t*>(words), values, 4);
  expect(values[0] == 1 && values[1] == -2 && values[2] == INFINITY && values[3] == 0x1p-133f, "BF16", values[0],
         values[3]);
  decode(TALARIA_F16, reinterpret_cast<const uint8_t*>(words), values, 4);
  expect(values[0] == 1.875f && values[1] == -2 && values[3] == 0x1p-24f, "F16", values[0], values[3]);
}

// --- float16 ------------------------------------------------------------------------------------------------------------

double half_value(uint32_t h) {
  uint32_t exponent = h >> 10 & 31, mantissa = h & 1023;
  double sign = h & 0x8000 ? -1 : 1;
  if (exponent == 31) return mantissa != 0 ? NAN : sign * INFINITY;
  return sign *
         (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, static_cast<int>(exponent) - 25));
}

// The nearest float16 to a number, ties to even: in units of its last bit, which double holds exactly.
uint32_t nearest_half(float value) {
  uint32_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return sign | 0x7e00;
  double magnitude = std::fabs(static_cast<double>(value));
  if (magnitude >= 65520) return sign | 0x7c00;
  int exponent = std::max(magnitude > 0 ? std::ilogb(magnitude) : -14, -14);
  double units = std::nearbyint(std::ldexp(magnitude, 10 - exponent));  // below 1024: subnormal
  // One more unit than fits carries into the exponent, as it should.
  return sign | static_cast<uint32_t>(units + (exponent + 14) * 1024);
}

void check_half(float value) {
  expect(float_to_half(value) == nearest_half(value), "float_to_half", value, half_value(float_to_half(value)));
}

void check_halves() {
  for (uint32_t h = 0; h < 65536; h++) {
    float value = half_to_float(static_cast<uint16_t>(h));
    bool nan = std::isnan(half_value(h));
    expect(nan ? std::isnan(value) : same(value, static_cast<float>(half_value(h))), "half_to_float", h, value);
    expect(float_to_half(value) == (nan ? ((h & 0x8000) | 0x7e00) : h), "half and back", h, value);
    if (nan) continue;
    // Around the middle between this half and the next.
    float middle = (value + half_to_float(static_cast<uint16_t>(h + 1))) / 2;
    for (float v : {middle, std::nextafter(middle, 0.0f), std::nextafter(middle, middle * 2)}) check_half(v);
  }
  for (float v : {0.0f, 0x1p-24f, 0x1p-25f, 0x1p-149f, 0x1p-14f, 65504.0f, 65519.996f, 65520.0f, 65536.0f, 3.4e38f,
                  INFINITY, NAN}) {
    for (float s : {v, -v, std::nextafter(v, 0.0f), std::nextafter(v, INFINITY)}) check_half(s);
  }
  Random random{1};
  for (int i = 0; i < 5000000; i++) {
    check_half(std::bit_cast<float>(random.next()));
    // Exponents that float16 has, and a few below and above.
    uint32_t bits = random.next();
    check_half(std::bit_cast<float>((bits & 0x807fffff) | (127 - 27 + (bits >> 23 & 0xff) % 45) << 23));
  }
}

// --- the KV cache ---------------------------------------------------------------------------------------------------------

void check_q8_0(const float (&row)[32]) {
  talaria_block_q8_0 block;
  encode_kv(TALARIA_Q8_0, row, reinterpret_cast<uint8_t*>(&block), 32);
  float largest = 0, decoded[32];
  for (float v : row) largest = std::max(largest, std::fabs(v));
  float d = largest / 127, inverse = d > 0 ? 1 / d : 0;
  expect(block.d == nearest_half(d), "scale", block.d, d);
  decode(TALARIA_Q8_0, reinterpret_cast<const uint8_t*>(&block), decoded, 32);
  for (int i = 0; i < 32; i++) {
    // Half away from zero, in double, where adding a half is exact.
    double scaled = static_cast<double>(row[i] * inverse),
           q = std::copysign(std::floor(std::fabs(scaled) + 0.5), scaled);
    if (std::isfinite(inverse)) expect(block.qs[i] == q, "q", block.qs[i], q);
    expect(std::fabs(decoded[i] - row[i]) <= d * 0.5f * 1.001f + 127 * (d * 0x1p-11f + 0x1p-25f), "decoded", decoded[i],
           row[i]);
  }
}

void check_kv() {
  Random random{2};
  for (int n = 0; n < 20000; n++) {
    float row[32], magnitude = std::ldexp(1.0f, static_cast<int>(random.next() % 60) - 40);
    for (float& v : row) v = random.in(magnitude);
    if (n % 7 == 0) row[n % 32] = 0;
    check_q8_0(row);
    uint8_t halves[64];
    encode_kv(TALARIA_F16, row, halves, 32);
    for (int i = 0; i < 32; i++)
      expect((halves[2 * i] | halves[2 * i + 1] << 8) == static_cast<int>(nearest_half(row[i])), "F16", row[i], i);
  }
  for (float fill : {0.0f, 1e-40f, 0x1p-149f, 127.0f, -8e6f}) {
    float row[32];
    std::fill_n(row, 32, fill);
    check_q8_0(row);
  }
  for (float odd : {NAN, -NAN, INFINITY, -INFINITY}) {
    float row[32] = {1, 2, 3}, decoded[32];
    row[17] = odd;
    talaria_block_q8_0 block;
    encode_kv(TALARIA_Q8_0, row, reinterpret_cast<uint8_t*>(&block), 32);
    decode(TALARIA_Q8_0, reinterpret_cast<const uint8_t*>(&block), decoded, 32);
    for (float v : decoded) expect(std::isnan(v), "a block with a NaN or an infinity decodes to NaN", odd, v);
  }
  expect(kv_row_bytes(TALARIA_Q8_0, 96) == 102 && kv_row_bytes(TALARIA_F16, 96) == 192 &&
             kv_row_bytes(TALARIA_F32, 96) == 384,
         "row bytes", 0, 0);
}

// --- batches --------------------------------------------------------------------------------------------------------------

void check_batch() {
  talaria_batch_shape shape = {3, 2, 2, 5, 4, 7, 6, 0};
  std::vector<int32_t> words(200);
  for (size_t i = 0; i < words.size(); i++) words[i] = static_cast<int32_t>(i);
  Batch batch(shape, words.data());
  const int32_t found[] = {batch.rows,
                           batch.wanted,
                           batch.masked,
                           *batch.token,
                           *batch.position,
                           *batch.table,
                           *batch.wanted_row,
                           *batch.target,
                           *batch.adjust_begin,
                           *batch.adjust_token,
                           *batch.adjust_penalty,
                           *batch.adjust_add,
                           *batch.block,
                           static_cast<int32_t>(*batch.mask)};
  // token, position, table: 3 each from 4 on; wanted_row 2; target 2 * 4; adjust_begin 3; adjust_*: 7 each; block 2 * 5
  const int32_t expected[] = {0, 1, 2, 4, 7, 10, 13, 15, 23, 26, 33, 40, 47, 57};
  for (size_t i = 0; i < std::size(expected); i++)
    expect(found[i] == expected[i], "batch section", static_cast<double>(i), found[i]);
}

}  // namespace

int main(int count, char** arguments) {
  for (const Format& format : formats) {
    bool found = false;
    for (int i = 1; i < count && !found; i++) found = check_golden(arguments[i], format);
    if (!found) printf("decode: not tested: golden blocks of %s are not here\n", format.name);
  }
  check_plain();
  check_halves();
  check_kv();
  check_batch();
  printf("decode: %ld cases, %ld failures\n", cases, failures);
  return failures != 0;
}
