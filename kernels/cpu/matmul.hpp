// Products of a weight matrix with rows of activations, in strips of 16 rows of weights: what every op shares out to the
// threads.
#pragma once

#include <algorithm>
#include <atomic>

#include "kernels.hpp"
#include "packed.hpp"
#include "simd.hpp"

namespace talaria::cpu {

constexpr int64_t strip_rows = panel_rows;

// A weight matrix [rows][columns].
struct Matrix {
  int32_t type;
  bool packed;
  const uint8_t* data;
  int64_t rows, columns, row_bytes;

  // Plane `plane` of a weight [planes][rows][columns].
  explicit Matrix(const talaria_tensor_view& v, int64_t plane = 0);
  int64_t strips() const { return (rows + strip_rows - 1) / strip_rows; }
  // One row in the file's layout; `copy` has room for it and is used if it lies in a panel.
  const uint8_t* row(int64_t index, uint8_t* copy) const;
};

// Rows of activations in tiles of up to 16, rounded to int8 for weights of one type.
struct Int8Rows {
  int64_t rows, columns;
  int8_t* q;
  float* scale;
  int32_t* correction;

  // The memory for so many rows, in floats, and the rows in it.
  static int64_t scratch(int64_t rows, int64_t columns);
  Int8Rows(float* scratch, int64_t rows, int64_t columns);

  Int8Tile tile(int64_t first_row) const;
  // Rows [first, first + count) as rows of their own.
  Int8Rows part(int64_t first, int64_t count) const;
};

// What meets a matrix: floats, or int8 where the mode and the weights' type have it so.
struct Input {
  const float* floats;    // [rows][columns]
  const Int8Rows* int8;   // null: the floats are taken
  int64_t rows;
};

bool takes_int8(int32_t weight_type, const Mode& mode);

// Whether rows rounded for one type of weights may meet another's.
bool same_rounding(int32_t type, int32_t other);

// Rounds `rows` rows, shared out in pieces of rows: source(i) are the floats of the i-th, tile(i) is where it goes, and
// row(i) which row of the tile it becomes.
template <typename Source, typename Tile, typename Row>
void round_rows(int32_t type, int64_t rows, int64_t columns, Pool& pool, Source source, Tile tile, Row row) {
  constexpr int64_t piece_blocks = 32;
  int64_t blocks = columns / 32, pieces = (blocks + piece_blocks - 1) / piece_blocks;
  pool.run(rows * pieces, [&](int64_t task, int32_t) {
    int64_t i = task / pieces, begin = task % pieces * piece_blocks, count = std::min(piece_blocks, blocks - begin);
    Int8Tile whole = tile(i);
    int64_t offset = begin * whole.rows, corrections = type == TALARIA_Q6_K ? 2 : 1;
    Int8Tile piece{32 * count, whole.rows, whole.q + 32 * offset, whole.scale + offset, whole.correction + corrections * offset};
    simd().quantise_row(type, source(i) + 32 * begin, piece, row(i));
  });
}

// y[r][i] = w[16 * strip + i] . x[first + r] for up to 16 rows from `first` on, a multiple of 16. y: [16][16]; past the last
// row of weights it holds anything.
void strip_product(const Matrix& w, int64_t strip, const Input& x, int64_t first, float* y);

// Calls body(first, end) for runs of up to `run` of so many strips. Each thread has a range of its own and goes through it in
// order, since long stretches of memory are read half as fast again as short ones; who is done early helps the others.
template <typename Body>
void for_runs(int64_t strips, int64_t run, Pool& pool, Body body) {
  constexpr int64_t most_ranges = 64;
  struct alignas(64) Range {
    std::atomic<int64_t> next;
    int64_t end;
  };
  Range ranges[most_ranges];
  int64_t count = std::min<int64_t>(pool.threads(), most_ranges);
  for (int64_t i = 0; i < count; i++) {
    ranges[i].next = strips * i / count;
    ranges[i].end = strips * (i + 1) / count;
  }
  pool.run(pool.threads(), [&](int64_t task, int32_t) {
    for (int64_t i = 0; i < count; i++) {
      Range& range = ranges[(task + i) % count];
      for (int64_t first = range.next.fetch_add(run); first < range.end; first = range.next.fetch_add(run)) {
        body(first, std::min(first + run, range.end));
      }
    }
  });
}

// Calls body(strip) for each of so many strips.
template <typename Body>
void for_strips(int64_t strips, Pool& pool, Body body) {
  for_runs(strips, 2, pool, [&](int64_t first, int64_t end) {
    for (int64_t strip = first; strip < end; strip++) body(strip);
  });
}

// y[r][o] = w[o] . x[r] for a few matrices that share their input, each with a y of its own. x: [rows][columns].
struct Product {
  Matrix w;
  float* y;  // [rows][w.rows]
};
int64_t matmul_scratch(int64_t rows, int64_t columns, int64_t products);
void matmul(std::initializer_list<Product> products, const float* x, int64_t rows, const Context& context, float* scratch);

}  // namespace talaria::cpu
