// Tiles of queries for attention over many rows: which queries a tile has. Query i of a tile is its row i / block_heads at
// query head i % block_heads of those that the block works on.
#pragma once

#include "kv_values.h"

struct AttentionTile {
  int32_t row, rows;     // of the batch
  int32_t position;      // of the first row
  int32_t end;           // positions [0, end) are seen by the last row
  int32_t kv_head;
  int32_t head, heads;   // the block's query heads
  int32_t block_heads;
};

DEVICE int32_t tile_count(ARGS AttentionArgs& a) { return a.runs.words[0]; }

DEVICE AttentionTile attention_tile_of(ARGS AttentionArgs& a, int32_t index, uint32_t head_block) {
  const GLOBAL int32_t* pair = a.runs.words + 2 + a.runs.most_single + 2 * index;
  int32_t group = a.heads / (a.kv.width / a.kv.head_dim), blocks = (group + a.block_heads - 1) / a.block_heads;
  AttentionTile tile;
  tile.row = pair[0], tile.rows = pair[1];
  tile.position = a.batch.position[tile.row];
  tile.end = tile.position + tile.rows;
  tile.kv_head = static_cast<int32_t>(head_block) / blocks;
  int32_t in_group = static_cast<int32_t>(head_block) % blocks * a.block_heads;
  tile.head = tile.kv_head * group + in_group;
  tile.heads = group - in_group < a.block_heads ? group - in_group : a.block_heads;
  tile.block_heads = a.block_heads;
  return tile;
}

DEVICE bool has_query(const LOCAL AttentionTile& tile, int32_t query) {
  return query / tile.block_heads < tile.rows && query % tile.block_heads < tile.heads;
}

// The last position that a query sees; for queries that are not there, the tile's.
DEVICE int32_t query_position(const LOCAL AttentionTile& tile, int32_t query) {
  int32_t row = query / tile.block_heads;
  return tile.position + (row < tile.rows ? row : tile.rows - 1);
}

// Where a query's values begin in q and in the result; for queries that are not there, those of one that is.
DEVICE int64_t query_begin(ARGS AttentionArgs& a, const LOCAL AttentionTile& tile, int32_t query) {
  int32_t row = query / tile.block_heads, head = query % tile.block_heads;
  row = tile.row + (row < tile.rows ? row : tile.rows - 1);
  head = tile.head + (head < tile.heads ? head : tile.heads - 1);
  return (static_cast<int64_t>(row) * a.heads + head) * a.kv.head_dim;
}
