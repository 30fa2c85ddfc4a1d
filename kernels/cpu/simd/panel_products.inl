// Rounding to int8, and products of int8 rows with panels of weights. Included by kernels.inl.
//
// A product walks down a panel of 16 rows, block by block. A weight vector holds 4 columns of all 16 rows; the same 4 columns
// of an activation row are broadcast to all lanes. The 8 vectors of 32 columns are decoded once for up to `most_rows` rows of
// activations. Sums of products are exact in int32; they meet their scales as floats once per 32 columns. What a row gets does
// not depend on how many rows come together.

// Where d is subnormal it is so coarse that quotients may exceed 127. The value comes first, so that a NaN becomes a bound; its
// block has a scale of NaN.
inline Ints to_quants(Floats v) { return to_ints(lesser(greater(v, broadcast(-127.0f)), broadcast(127.0f))); }

void quantise_row(int32_t type, const float* x, const Int8Tile& tile, int64_t row) {
  for (int64_t block = 0; block < tile.columns / 32; block++, x += 32) {
    int64_t at = block * tile.rows + row;
    Floats a = load_floats(x), b = load_floats(x + lanes);
    // As integers, magnitudes sort like floats, and a NaN above all.
    float d = std::bit_cast<float>(greatest(greater(magnitude_bits(a), magnitude_bits(b)))) / 127.0f;
    // Zeros stay zeros: any divisor but 0 does. A division, since 1 / d overflows where d is subnormal.
    Floats divisor = broadcast(d == 0 ? 1.0f : d);
    Ints low = to_quants(divide(a, divisor)), high = to_quants(divide(b, divisor));
    store_bytes(tile.q + 32 * at, low);
    store_bytes(tile.q + 32 * at + lanes, high);
    tile.scale[at] = d;
    int32_t sum0 = total(low), sum1 = total(high);
    switch (type) {
      case TALARIA_Q8_0: tile.correction[at] = -signed_bias * (sum0 + sum1); break;
      case TALARIA_Q4_0: tile.correction[at] = -8 * (sum0 + sum1); break;
      case TALARIA_Q6_K:
        tile.correction[2 * at] = -32 * sum0;
        tile.correction[2 * at + 1] = -32 * sum1;
        break;
      default: tile.correction[at] = std::bit_cast<int32_t>(d * static_cast<float>(sum0 + sum1));
    }
  }
}

// With few rows of activations the memory takes the time, and the processor's own prefetching ends with each 4 KiB page.
// Many rows compute for longer than they wait.
template <int R>
inline void fetch_ahead(const uint8_t* block, int64_t bytes) {
  constexpr int64_t ahead = 8192;
  if (R > 4) return;
  for (int64_t at = 0; at < bytes; at += 64) prefetch(block + ahead + at);
}

// R of a tile's rows, and their sums so far. C is the number of corrections per block.
template <int R, int C>
struct Rows {
  const Int8Tile& x;
  const int8_t* q;
  const float* scale;
  const int32_t* correction;
  Floats sum[R];

  Rows(const Int8Tile& tile, int64_t first)
      : x(tile), q(tile.q + 32 * first), scale(tile.scale + first), correction(tile.correction + C * first) {
    for (int r = 0; r < R; r++) sum[r] = zero_floats();
  }

  // 4 columns from 4 * c on of the block at hand.
  Ints four(int r, int c) const {
    int32_t bytes;
    std::memcpy(&bytes, q + 32 * r + 4 * c, 4);
    return broadcast(bytes);
  }

  Floats scale_of(int r) const { return broadcast(scale[r]); }
  Ints start(int r, int c = 0) const { return broadcast(correction[C * r + c]); }
  Floats sum32(int r) const {
    float value;
    std::memcpy(&value, correction + r, 4);
    return broadcast(value);
  }

  void next_block() {
    q += 32 * x.rows;
    scale += x.rows;
    correction += C * x.rows;
  }

  void store_sums(float* y, int64_t stride) const {
    for (int r = 0; r < R; r++) store(y + r * stride, sum[r]);
  }
};

template <int R>
void q8_0(const uint8_t* panel, const Int8Tile& x, int64_t first, float* y, int64_t stride) {
  constexpr int64_t block_bytes = lanes * sizeof(talaria_block_q8_0);
  Rows<R, 1> rows(x, first);
  for (int64_t block = 0; block < x.columns / 32; block++, panel += block_bytes, rows.next_block()) {
    if (block % 8 == 0) fetch_ahead<R>(panel, 8 * block_bytes);  // in runs like those of the larger blocks
    Floats d = halves(panel);
    Ints w[8];
#pragma GCC unroll 8
    for (int c = 0; c < 8; c++) w[c] = prepare_signed(load(panel + 32 + 64 * c));
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      Ints dots = signed_bias == 0 ? zero_ints() : rows.start(r);
#pragma GCC unroll 8
      for (int c = 0; c < 8; c++) dots = dot_signed(dots, w[c], rows.four(r, c));
      rows.sum[r] = multiply_add(d, multiply(to_floats(dots), rows.scale_of(r)), rows.sum[r]);
    }
  }
  rows.store_sums(y, stride);
}

template <int R>
void q4_0(const uint8_t* panel, const Int8Tile& x, int64_t first, float* y, int64_t stride) {
  constexpr int64_t block_bytes = lanes * sizeof(talaria_block_q4_0);
  Rows<R, 1> rows(x, first);
  for (int64_t block = 0; block < x.columns / 32; block++, panel += block_bytes, rows.next_block()) {
    if (block % 8 == 0) fetch_ahead<R>(panel, 8 * block_bytes);
    Floats d = halves(panel);
    Ints w[8];
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
      Ints nibbles = load(panel + 32 + 64 * c);
      w[c] = low_bits(nibbles, 0, 15);
      w[c + 4] = low_bits(nibbles, 4, 15);
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; r++) {
      Ints dots = rows.start(r);
#pragma GCC unroll 8
      for (int c = 0; c < 8; c++) dots = dot(dots, w[c], rows.four(r, c));
      rows.sum[r] = multiply_add(d, multiply(to_floats(dots), rows.scale_of(r)), rows.sum[r]);
    }
  }
  rows.store_sums(y, stride);
}

// The 6-bit scales and minimums of 16 rows' Q4_K and Q5_K blocks, a byte per row: [8 groups][16 rows] each.
struct GroupScales {
  uint8_t scale[8][lanes], minimum[8][lanes];

  explicit GroupScales(const uint8_t* bytes) {  // 12 scale bytes, each of 16 rows
    for (int g = 0; g < 4; g++) {
      const uint8_t *a = bytes + lanes * g, *b = a + 4 * lanes, *c = b + 4 * lanes;
      for (int i = 0; i < lanes; i++) {
        scale[g][i] = a[i] & 63;
        minimum[g][i] = b[i] & 63;
        scale[g + 4][i] = static_cast<uint8_t>((c[i] & 15) | (a[i] >> 6) << 4);
        minimum[g + 4][i] = static_cast<uint8_t>(c[i] >> 4 | (b[i] >> 6) << 4);
      }
    }
  }
};

// Q4_K, and Q5_K, which adds a fifth bit from vectors of its own before the nibbles.
template <int R, bool fifth_bit>
void q4_k_or_q5_k(const uint8_t* panel, const Int8Tile& x, int64_t first, float* y, int64_t stride) {
  constexpr int64_t block_bytes = lanes * (fifth_bit ? sizeof(talaria_block_q5_k) : sizeof(talaria_block_q4_k));
  constexpr int64_t high_at = lanes * 16, nibbles_at = fifth_bit ? lanes * 48 : lanes * 16;
  Rows<R, 1> rows(x, first);
  for (int64_t super = 0; super < x.columns / 256; super++, panel += block_bytes) {
    fetch_ahead<R>(panel, block_bytes);
    Floats d = halves(panel), dmin = halves(panel + 2 * lanes);
    GroupScales groups(panel + 4 * lanes);
    for (int g = 0; g < 8; g++, rows.next_block()) {
      Ints w[8];
#pragma GCC unroll 8
      for (int c = 0; c < 8; c++) {
        w[c] = low_bits(load(panel + nibbles_at + 64 * (8 * (g / 2) + c)), g % 2 * 4, 15);
        if (fifth_bit) w[c] = either(w[c], shift_left(low_bits(load(panel + high_at + 64 * c), g, 1), 4));
      }
      Floats scale = multiply(d, unsigned_bytes(groups.scale[g])), minimum = multiply(dmin, unsigned_bytes(groups.minimum[g]));
#pragma GCC unroll 16
      for (int r = 0; r < R; r++) {
        Ints dots = zero_ints();
#pragma GCC unroll 8
        for (int c = 0; c < 8; c++) dots = dot(dots, w[c], rows.four(r, c));
        rows.sum[r] = multiply_add(scale, multiply(to_floats(dots), rows.scale_of(r)), rows.sum[r]);
        rows.sum[r] = negative_multiply_add(minimum, rows.sum32(r), rows.sum[r]);
      }
    }
  }
  rows.store_sums(y, stride);
}

template <int R>
void q4_k(const uint8_t* panel, const Int8Tile& x, int64_t first, float* y, int64_t stride) {
  q4_k_or_q5_k<R, false>(panel, x, first, y, stride);
}

template <int R>
void q5_k(const uint8_t* panel, const Int8Tile& x, int64_t first, float* y, int64_t stride) {
  q4_k_or_q5_k<R, true>(panel, x, first, y, stride);
}

template <int R>
void q6_k(const uint8_t* panel, const Int8Tile& x, int64_t first, float* y, int64_t stride) {
  constexpr int64_t high_at = lanes * 128, scales_at = high_at + lanes * 64, d_at = scales_at + lanes * 16;
  constexpr int64_t block_bytes = lanes * sizeof(talaria_block_q6_k);
  Rows<R, 2> rows(x, first);
  for (int64_t super = 0; super < x.columns / 256; super++, panel += block_bytes) {
    fetch_ahead<R>(panel, block_bytes);
    Floats d = halves(panel + d_at);
    for (int g = 0; g < 8; g++, rows.next_block()) {  // 32 columns with two scales; 4 such groups share their vectors of bits
      const uint8_t* low_bytes = panel + 64 * (16 * (g / 4) + 8 * (g % 2));
      const uint8_t* high_bytes = panel + high_at + 64 * 8 * (g / 4);
      Ints w[8];
#pragma GCC unroll 8
      for (int c = 0; c < 8; c++) {
        Ints high = shift_left(low_bits(load(high_bytes + 64 * c), 2 * (g % 4), 3), 4);
        w[c] = either(low_bits(load(low_bytes + 64 * c), g % 4 / 2 * 4, 15), high);
      }
      const uint8_t* scales = panel + scales_at + lanes * 2 * g;
      Floats scale0 = multiply(d, signed_bytes(scales)), scale1 = multiply(d, signed_bytes(scales + lanes));
#pragma GCC unroll 16
      for (int r = 0; r < R; r++) {
        Ints dots0 = rows.start(r, 0), dots1 = rows.start(r, 1);
#pragma GCC unroll 4
        for (int c = 0; c < 4; c++) {
          dots0 = dot(dots0, w[c], rows.four(r, c));
          dots1 = dot(dots1, w[c + 4], rows.four(r, c + 4));
        }
        Floats value = multiply_add(to_floats(dots1), scale1, multiply(to_floats(dots0), scale0));
        rows.sum[r] = multiply_add(value, rows.scale_of(r), rows.sum[r]);
      }
    }
  }
  rows.store_sums(y, stride);
}

// The product of a whole tile: as many rows at a time as share a decoded weight, then the rest at once.
#define TALARIA_PANEL_PRODUCT(kernel)                                                                    \
  template <int R>                                                                                       \
  struct kernel##_of {                                                                                   \
    static void run(const uint8_t* panel, const Int8Tile& x, int64_t first, float* y, int64_t stride) {  \
      kernel<R>(panel, x, first, y, stride);                                                             \
    }                                                                                                    \
  };                                                                                                     \
  void kernel##_tile(const uint8_t* panel, const Int8Tile& x, float* y, int64_t stride) {                \
    product_of_tile<kernel##_of>(panel, x, y, stride, std::make_integer_sequence<int, most_rows>());     \
  }

template <template <int> typename Kernel, int... counts>
void product_of_tile(const uint8_t* panel, const Int8Tile& x, float* y, int64_t stride, std::integer_sequence<int, counts...>) {
  using Product = void (*)(const uint8_t*, const Int8Tile&, int64_t, float*, int64_t);
  constexpr Product of_rows[] = {Kernel<counts + 1>::run...};
  for (int64_t first = 0; first < x.rows; first += most_rows) {
    int64_t rows = std::min<int64_t>(most_rows, x.rows - first);
    of_rows[rows - 1](panel, x, first, y + first * stride, stride);
  }
}

TALARIA_PANEL_PRODUCT(q8_0)
TALARIA_PANEL_PRODUCT(q4_0)
TALARIA_PANEL_PRODUCT(q4_k)
TALARIA_PANEL_PRODUCT(q5_k)
TALARIA_PANEL_PRODUCT(q6_k)

PanelProduct panel_product(int32_t type) {
  switch (type) {
    case TALARIA_Q8_0: return q8_0_tile;
    case TALARIA_Q4_0: return q4_0_tile;
    case TALARIA_Q4_K: return q4_k_tile;
    case TALARIA_Q5_K: return q5_k_tile;
    case TALARIA_Q6_K: return q6_k_tile;
    default: return nullptr;
  }
}
