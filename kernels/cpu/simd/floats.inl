// Products and functions in float32, and reading for its own sake. Included by kernels.inl.

// The sum of the lanes, in a fixed order.
inline float total(Floats v) {
  float values[lanes];
  store(values, v);
  for (int64_t width = lanes / 2; width > 0; width /= 2) {
    for (int64_t i = 0; i < width; i++) values[i] += values[i + width];
  }
  return values[0];
}

template <int32_t type>
inline Floats load_values(const uint8_t* at) {
  if constexpr (type == TALARIA_F16) return halves(at);
  if constexpr (type == TALARIA_BF16) return bfloats(at);
  return load_floats(reinterpret_cast<const float*>(at));
}

template <int32_t type>
constexpr int64_t value_bytes = type == TALARIA_F32 ? 4 : 2;

// W rows of weights with R rows of activations.
template <int32_t type, int W, int R>
void float_block(const uint8_t* w, int64_t row_bytes, const float* x, int64_t columns, float* y, int64_t y_stride) {
  Floats sums[W][R];
  for (auto& row : sums) {
    for (Floats& sum : row) sum = zero_floats();
  }
  int64_t i = 0;
  for (; i + lanes <= columns; i += lanes) {
    Floats values[W];
#pragma GCC unroll 4
    for (int o = 0; o < W; o++) values[o] = load_values<type>(w + o * row_bytes + i * value_bytes<type>);
#pragma GCC unroll 4
    for (int r = 0; r < R; r++) {
      Floats in = load_floats(x + r * columns + i);
#pragma GCC unroll 4
      for (int o = 0; o < W; o++) sums[o][r] = multiply_add(values[o], in, sums[o][r]);
    }
  }
  for (int o = 0; i < columns && o < W; o++) {  // the last columns, with zeros behind them
    uint8_t rest[lanes * value_bytes<type>] = {};
    std::memcpy(rest, w + o * row_bytes + i * value_bytes<type>, static_cast<size_t>((columns - i) * value_bytes<type>));
    for (int r = 0; r < R; r++) {
      float in[lanes] = {};
      std::copy_n(x + r * columns + i, columns - i, in);
      sums[o][r] = multiply_add(load_values<type>(rest), load_floats(in), sums[o][r]);
    }
  }
  for (int o = 0; o < W; o++) {
    for (int r = 0; r < R; r++) y[r * y_stride + o] = total(sums[o][r]);
  }
}

template <int32_t type, int W>
void float_rows(const uint8_t* w, int64_t row_bytes, const float* x, int64_t x_rows, int64_t columns, float* y, int64_t y_stride) {
  constexpr int most = most_rows >= 16 ? 4 : 2;  // as many sums as there are registers
  int64_t r = 0;
  for (; r + most <= x_rows; r += most) {
    float_block<type, W, most>(w, row_bytes, x + r * columns, columns, y + r * y_stride, y_stride);
  }
  for (; r < x_rows; r++) float_block<type, W, 1>(w, row_bytes, x + r * columns, columns, y + r * y_stride, y_stride);
}

template <int32_t type>
void float_products_of(const uint8_t* w, int64_t row_bytes, int64_t w_rows, const float* x, int64_t x_rows, int64_t columns,
                       float* y, int64_t y_stride) {
  int64_t o = 0;
  for (; o + 4 <= w_rows; o += 4) float_rows<type, 4>(w + o * row_bytes, row_bytes, x, x_rows, columns, y + o, y_stride);
  for (; o < w_rows; o++) float_rows<type, 1>(w + o * row_bytes, row_bytes, x, x_rows, columns, y + o, y_stride);
}

void float_products(int32_t type, const uint8_t* w, int64_t row_bytes, int64_t w_rows, const float* x, int64_t x_rows,
                    int64_t columns, float* y, int64_t y_stride) {
  switch (type) {
    case TALARIA_F16: return float_products_of<TALARIA_F16>(w, row_bytes, w_rows, x, x_rows, columns, y, y_stride);
    case TALARIA_BF16: return float_products_of<TALARIA_BF16>(w, row_bytes, w_rows, x, x_rows, columns, y, y_stride);
    default: return float_products_of<TALARIA_F32>(w, row_bytes, w_rows, x, x_rows, columns, y, y_stride);
  }
}

// e^x to about one unit in the last place; 0 below -87 within what float32 can add to 1, and NaN stays NaN.
inline Floats exp(Floats x) {
  x = lesser(broadcast(88.0f), greater(broadcast(-87.0f), x));  // the bound first: a NaN passes through
  Floats n = nearest(multiply(x, broadcast(1.44269504f)));
  Floats f = negative_multiply_add(n, broadcast(0.693359375f), x);  // ln 2 in two parts, the first of few bits
  f = negative_multiply_add(n, broadcast(-2.12194440e-4f), f);
  Floats sum = broadcast(1.0f / 5040);
  for (float coefficient : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) {
    sum = multiply_add(sum, f, broadcast(coefficient));
  }
  return times_power_of_two(sum, n);
}

void silu_multiply(float* gate, const float* up, int64_t n) {
  for (int64_t i = 0; i < n; i += lanes) {
    float g[lanes] = {}, u[lanes] = {};
    int64_t count = std::min(lanes, n - i);
    std::copy_n(gate + i, count, g);
    std::copy_n(up + i, count, u);
    Floats x = load_floats(g);
    Floats silu = divide(x, add(broadcast(1.0f), exp(multiply(x, broadcast(-1.0f)))));
    store(g, multiply(silu, load_floats(u)));
    std::copy_n(g, count, gate + i);
  }
}

double sum_of_exp(const float* x, int64_t n, float largest) {
  constexpr int64_t piece = 64 * lanes;  // so many in float32, the pieces in double
  double sum = 0;
  for (int64_t begin = 0; begin < n; begin += piece) {
    Floats sums = zero_floats();
    int64_t i = begin, end = std::min(n, begin + piece);
    for (; i + lanes <= end; i += lanes) sums = add(sums, exp(add(load_floats(x + i), broadcast(-largest))));
    sum += total(sums);
    for (; i < end; i++) sum += std::exp(x[i] - largest);
  }
  return sum;
}

// Four sums side by side, so that no addition waits for the one before.
template <bool ahead>
int64_t read_all(const uint8_t* bytes, int64_t n) {
  constexpr int64_t step = 4 * 64;
  Ints sums[4] = {zero_ints(), zero_ints(), zero_ints(), zero_ints()};
  for (int64_t at = 0; at + step <= n; at += step) {
    for (int64_t line = 0; ahead && line < step; line += 64) prefetch(bytes + at + line + 4096);
    for (int i = 0; i < 4; i++) sums[i] = either(sums[i], load(bytes + at + 64 * i));
  }
  return total(either(either(sums[0], sums[1]), either(sums[2], sums[3])));
}
