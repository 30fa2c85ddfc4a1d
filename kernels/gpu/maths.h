// The functions of ../common/maths.h in this dialect.
#pragma once

#include "dialect.h"

#include "../common/maths.h"

// Of an angle that may be large: it is reduced in double, as float32 would be off by 1e-3 at position 32,000.
DEVICE SinCos sin_cos(double angle) {
  double turns = angle * 0.63661977236758134;  // quarters
  int64_t whole = static_cast<int64_t>(turns + (turns < 0 ? -0.5 : 0.5));
  float r = static_cast<float>((turns - static_cast<double>(whole)) * 1.5707963267948966);  // in [-pi/4, pi/4]
  return sin_cos_quarter(r, static_cast<int32_t>(whole & 3));
}
