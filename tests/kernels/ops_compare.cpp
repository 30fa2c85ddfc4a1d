// Comparisons, row by row: the worst row counts, so that large values cannot hide a wrong small one.
#include <bit>
#include <cmath>

#include "ops.hpp"

namespace ops {

namespace {

// `difference` is infinite where a number is none.
void compare_rows(const char* what, const Floats& computed, const Values& expected, const Values& power,
                  const Values& difference, int64_t columns, double bound) {
  for (size_t begin = 0; begin < expected.size(); begin += columns) {
    double error = 0, all = 0;
    for (int64_t i = 0; i < columns; i++) {
      error += difference[begin + i] * difference[begin + i];
      all += power[begin + i] * power[begin + i];
    }
    if (error == 0 || error <= bound * all) continue;
    // The first value that is off by more than an even spread of the error would have it.
    double even = std::sqrt(std::isfinite(error) ? error / static_cast<double>(columns) : 1e300);
    size_t first = begin;
    while (difference[first] < even * 0.999) first++;
    wrong("%s: row %zu, value %zu is %.8g, expected %.8g (nmse of the row %.3g, bound %.3g)", what, begin / columns,
          first - begin, computed[first], expected[first], error / all, bound);
  }
}

}  // namespace

void compare(const char* what, const Floats& computed, const Values& expected, int64_t columns, double bound) {
  Values difference(expected.size());
  for (size_t i = 0; i < expected.size(); i++) {
    double d = std::fabs(computed[i] - expected[i]);
    difference[i] = std::isnan(d) ? INFINITY : d;
  }
  compare_rows(what, computed, expected, expected, difference, columns, bound);
}

void compare_added(const char* what, const Floats& computed, const Values& expected, const Floats& before,
                   int64_t columns, double bound) {
  Values difference(expected.size()), power(expected.size());
  for (size_t i = 0; i < expected.size(); i++) {
    double largest = std::max(std::fabs(expected[i]), std::fabs(static_cast<double>(before[i])));
    double last_bit = largest == 0 ? 0 : std::ldexp(1, std::ilogb(largest) - 23);
    double d = std::fabs(computed[i] - expected[i]) - last_bit;
    difference[i] = std::isnan(d) ? INFINITY : std::max(0.0, d);
    power[i] = expected[i] - before[i];
  }
  compare_rows(what, computed, expected, power, difference, columns, bound);
}

void compare_bits(const char* what, const Floats& computed, const Floats& expected, int64_t columns) {
  for (size_t i = 0; i < expected.size(); i++) {
    if (std::bit_cast<int32_t>(computed[i]) == std::bit_cast<int32_t>(expected[i])) continue;
    wrong("%s: row %zu, value %zu is %.9g, expected exactly %.9g", what, i / columns, i % columns, computed[i],
          expected[i]);
  }
}

}  // namespace ops
