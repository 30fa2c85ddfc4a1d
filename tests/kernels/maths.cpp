// The kernels' own functions (kernels/gpu/maths.h) against the host's in double precision. Compiled for the emulator, and
// so with the arithmetic that every device has.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "../../kernels/gpu/maths.h"

namespace {

int failures = 0;

void check(const char* what, double worst, double bound) {
  bool ok = worst <= bound;
  std::printf("%s %s: worst %.3g, bound %.3g\n", ok ? "ok    " : "FAILED", what, worst, bound);
  failures += !ok;
}

// The error in units of the last place of a float32 result.
double ulps(float computed, double expected) {
  float nearest = static_cast<float>(expected);
  double unit = std::nextafter(std::fabs(nearest), INFINITY) - std::fabs(nearest);
  return std::fabs(computed - expected) / std::max(unit, 0x1p-149);
}

void exponentials() {
  double worst = 0, subnormal = 0;
  for (float x = -104.5f; x < 88.7f; x += 0.00037f) {
    double expected = std::exp(static_cast<double>(x));
    double& of = expected < 0x1p-126 ? subnormal : worst;
    of = std::max(of, ulps(exp_float(x), expected));
  }
  check("exp in ulp", worst, 2);
  check("exp of subnormal results in ulp", subnormal, 2);
  bool limits = exp_float(-INFINITY) == 0 && exp_float(-200.0f) == 0 && exp_float(200.0f) == INFINITY &&
                exp_float(INFINITY) == INFINITY && std::isnan(exp_float(NAN)) && exp_float(0.0f) == 1.0f;
  check("exp at its limits", limits ? 0 : 1, 0);
}

void logarithms() {
  double worst = 0;
  for (float x = 1.0f; x < 1e9f; x *= 1.00011f) {
    double expected = std::log(static_cast<double>(x));
    worst = std::max(worst, std::min(ulps(log_float(x), expected), std::fabs(log_float(x) - expected) * 0x1p24));
  }
  check("log in ulp", worst, 2);
  check("log at its limits", log_float(1.0f) == 0 && std::isnan(log_float(NAN)) && log_float(INFINITY) == INFINITY ? 0 : 1, 0);
}

void angles() {
  double worst = 0;
  for (int position = 0; position < 32768; position += 13) {
    for (int i = 0; i < 64; i++) {
      double frequency = std::pow(1e6, -i / 64.0), angle = position * frequency;
      uint64_t turns = position * static_cast<uint64_t>(std::ldexp(frequency / 6.283185307179586, 64));
      SinCos computed = sin_cos(turns);
      worst = std::max({worst, std::fabs(computed.sin - std::sin(angle)), std::fabs(computed.cos - std::cos(angle))});
      computed = sin_cos(-turns);
      worst = std::max({worst, std::fabs(computed.sin + std::sin(angle)), std::fabs(computed.cos - std::cos(angle))});
    }
  }
  check("sin and cos", worst, 1.2e-7);
}

}  // namespace

int main() {
  exponentials();
  logarithms();
  angles();
  return failures == 0 ? 0 : 1;
}
