// The rows of activations that a block of threads works on: of the batch, or pairs of one expert.
#pragma once

#include "launch_args.h"
#include "rows.h"

// Where an expert lies among those held here, or -1. Ids come from device memory: none is trusted.
DEVICE int32_t local_expert(ARGS TilesArg& tiles, int32_t id, int32_t held) {
  if (tiles.map != nullptr) {
    if (id < 0 || id >= tiles.experts) return -1;
    id = tiles.map[id];
  }
  return id >= 0 && id < held ? id : -1;
}

// Up to M rows: where they are read and written. Past `count` they repeat the last one.
template <int M>
struct RowTile {
  int32_t count;       // 0: nothing to do
  int32_t matrix;      // of the weight; -1: held elsewhere
  int64_t source[M];   // rows of the input
  int64_t target[M];   // rows of the result
};

// The i-th of a few numbers, kept in registers.
template <int M>
DEVICE int64_t pick(const LOCAL int64_t (&numbers)[M], int i) {
  int64_t result = numbers[0];
  UNROLL
  for (int j = 1; j < M; j++) {
    if (i == j) result = numbers[j];
  }
  return result;
}

// Tile `index` of the batch's rows, or of the wanted ones.
template <int M>
DEVICE RowTile<M> dense_tile(ARGS BatchArg& batch, int32_t choice, uint32_t index) {
  RowTile<M> tile;
  int32_t first = static_cast<int32_t>(index) * M, rows = row_count(batch, choice);
  tile.count = rows - first < M ? rows - first : M;
  if (tile.count < 0) tile.count = 0;
  tile.matrix = 0;
  UNROLL
  for (int i = 0; i < M; i++) {
    int32_t row = first + (i < tile.count ? i : tile.count - 1);
    tile.source[i] = tile.target[i] = row < 0 ? 0 : row;
  }
  return tile;
}

// Tile `index` of the pairs: one of the list, or where there is no list, a pair by itself.
template <int M>
DEVICE RowTile<M> pair_tile(ARGS TilesArg& tiles, ARGS BatchArg& batch, int32_t held, bool by_row, uint32_t index) {
  RowTile<M> tile;
  tile.count = 0, tile.matrix = -1;
  int32_t begin = 0;
  if (tiles.tiles != nullptr) {
    if (static_cast<int32_t>(index) < *tiles.tile_count) {
      const GLOBAL ExpertTile& listed = tiles.tiles[index];
      tile.matrix = listed.expert, tile.count = listed.count, begin = listed.begin;
    }
  } else if (static_cast<int32_t>(index) < batch.header[0] * tiles.used) {
    int32_t row = static_cast<int32_t>(index) / tiles.used, k = static_cast<int32_t>(index) % tiles.used;
    tile.matrix = local_expert(tiles, tiles.routing[row * 2 * tiles.used + k], held);
    tile.count = 1;
  }
  UNROLL
  for (int i = 0; i < M; i++) {
    int32_t at = begin + (i < tile.count ? i : tile.count - 1);
    int32_t pair = tile.count == 0 ? 0 : tiles.tiles != nullptr ? tiles.pair[at] : static_cast<int32_t>(index);
    tile.target[i] = pair;
    tile.source[i] = by_row ? pair / tiles.used : pair;
  }
  return tile;
}
