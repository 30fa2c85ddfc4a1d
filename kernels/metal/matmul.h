// Products of many rows of activations, one launch per op: what tiles of numbers and of codes have in common.
//
// A block of threads owns a tile: 64 rows of weights times up to 64 rows of activations, those of the batch or the pairs of
// one expert. It goes through the columns in steps; half of its threads bring weights of the next one into registers, the
// others activations, while the matrices of this one are multiplied. Eight warps have 32 x 16 of the tile each.
#pragma once

#include "../gpu/dot.h"
#include "../gpu/maths.h"
#include "../gpu/tiles.h"
#include "kernel.h"

constant constexpr int tile_rows = 64, tile_tokens = 64;
constant constexpr int sum_stride = tile_rows + 4;        // floats from a token's sums to the next one's
constant constexpr int warp_rows = 32, warp_tokens = 16;  // of the tile, a warp's

DEVICE int first_row(Place at) { return static_cast<int>(at.warp() % 2) * warp_rows; }
DEVICE int first_token(Place at) { return static_cast<int>(at.warp() / 2) * warp_tokens; }

template <typename Step>
struct alignas(16) MatmulMemory {
  union {
    Step step;
    float sums[tile_tokens * sum_stride];  // the tile's results [token][row]
  };
  int32_t source[tile_tokens], target[tile_tokens];  // where rows of activations are read and written
};

// A row of weights, or of activations, that a thread brings: two threads share one, each has half of its columns.
DEVICE bool brings_weights(Place at) { return at.index < 2 * tile_rows; }
DEVICE int line_of(Place at) { return static_cast<int>(at.index / 2) % tile_rows; }

// How many rows tile `block.x` has, 0: nothing to do. All threads of the block get there.
template <typename Memory>
DEVICE int32_t dense_rows(Place at, constant BatchArg& batch, int32_t choice, threadgroup Memory& memory) {
  int32_t first = static_cast<int32_t>(at.block.x) * tile_tokens, left = row_count(batch, choice) - first;
  int32_t count = left < tile_tokens ? left : tile_tokens, i = static_cast<int32_t>(at.index);
  if (count <= 0) return 0;
  if (i < tile_tokens) memory.source[i] = memory.target[i] = first + (i < count ? i : count - 1);
  barrier();
  return count;
}

template <typename Memory>
DEVICE int32_t pair_rows(Place at, constant TilesArg& tiles, bool by_row, threadgroup Memory& memory,
                         thread int32_t* matrix) {
  if (static_cast<int32_t>(at.block.x) >= *tiles.tile_count) return 0;
  const device ExpertTile& tile = tiles.tiles[at.block.x];
  int32_t i = static_cast<int32_t>(at.index), count = tile.count;
  *matrix = tile.expert;
  if (i < tile_tokens && count > 0) {
    int32_t pair = tiles.pair[tile.begin + (i < count ? i : count - 1)];
    memory.target[i] = pair;
    memory.source[i] = by_row ? pair / tiles.used : pair;
  }
  barrier();
  return count;
}

// --- product and gate_up: Tile::multiply() has left the tile in memory.sums ---------------------------------------------

template <typename Tile>
DEVICE void product_of_tiles(Place at, constant ProductArgs& a, threadgroup typename Tile::Memory& memory) {
  int32_t matrix = 0;
  int32_t count = a.grouped == NONE ? dense_rows(at, a.batch, a.choice, memory)
                                    : pair_rows(at, a.tiles, a.grouped == PAIRS_OF_ROWS, memory, &matrix);
  if (count == 0) return;
  int64_t begin = static_cast<int64_t>(at.block.y) * tile_rows;
  int64_t row = smaller(begin + line_of(at), a.weight.rows - 1);
  Tile::multiply(at, matrix_of(a.weight, matrix), row, a.in, count, memory);
  for (int i = static_cast<int>(at.index); i < count * tile_rows; i += static_cast<int>(at.threads)) {
    int token = i / tile_rows, column = i % tile_rows;
    if (begin + column >= a.weight.rows) continue;
    int64_t row_target = memory.target[token];
    float value = memory.sums[token * sum_stride + column];
    if (a.grouped == PAIRS) {
      const device int32_t* routing = a.tiles.routing + row_target / a.tiles.used * (2 * a.tiles.used);
      value *= bits_float(static_cast<uint32_t>(routing[a.tiles.used + row_target % a.tiles.used]));
    }
    device float* target = a.target + row_target * a.target_stride + begin + column;
    *target = a.add != 0 ? *target + value : value;
  }
}

// The first half of the tile's rows are gate's, the other the same ones of up.
template <typename Tile>
DEVICE void gate_up_of_tiles(Place at, constant GateUpArgs& a, threadgroup typename Tile::Memory& memory) {
  constexpr int columns = tile_rows / 2;
  int32_t matrix = 0, count = pair_rows(at, a.tiles, true, memory, &matrix);
  if (count == 0) return;
  int64_t begin = static_cast<int64_t>(at.block.y) * columns;
  int line = line_of(at);
  int64_t row = smaller(begin + line % columns, a.gate.rows - 1);
  Tile::multiply(at, matrix_of(line < columns ? a.gate : a.up, matrix), row, a.in, count, memory);
  int32_t lane = static_cast<int32_t>(at.lane());
  for (int token = static_cast<int>(at.warp()); token < count; token += static_cast<int>(at.threads / 32)) {
    const threadgroup float* sums = memory.sums + token * sum_stride;
    float value = begin + lane < a.gate.rows ? silu(sums[lane]) * sums[columns + lane] : 0.0f;
    store_block(a.out, at.lane(), memory.target[token], begin, value, true);
  }
}

#define MATMUL(format, mode, Tile)                              \
  KERNEL(product_##format##_##mode##_tile, ProductArgs, 256) {  \
    SHARED(Tile::Memory, memory);                               \
    product_of_tiles<Tile>(HERE, a, memory);                    \
  }                                                             \
  KERNEL(gate_up_##format##_##mode##_tile, GateUpArgs, 256) {   \
    SHARED(Tile::Memory, memory);                               \
    gate_up_of_tiles<Tile>(HERE, a, memory);                    \
  }
