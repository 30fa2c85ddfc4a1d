// Batches: their size in words, and the check of every word before a kernel sees it.
#include "../include/batch_layout.hpp"
#include "core.hpp"

namespace talaria {

namespace {

struct Range {
  const char* name;
  int32_t value, low, high;
};

void require(bool ok, const char* what, int64_t at, int64_t value) {
  if (!ok)
    fail(TALARIA_INVALID, "batch: %s %lld is %lld", what, static_cast<long long>(at), static_cast<long long>(value));
}

// Every block that attention reads for a row: those of positions 0 .. its own.
void check_blocks(const BatchLimits& limits, const int32_t* words, const BatchLayout& at, int32_t row) {
  int64_t position = words[at.position + row];
  int64_t table = words[at.table + row];
  int64_t last = position / limits.kv_positions;
  require(last < limits.shape.blocks, "position past the block table in row", row, position);
  const int32_t* blocks = words + at.block + table * limits.shape.blocks;
  for (int64_t i = 0; i <= last; i++) {
    require(blocks[i] >= 0 && blocks[i] < limits.kv_blocks, "KV block in column", i, blocks[i]);
  }
}

// No two rows may write the same place of the KV cache: which of them came last would be chance.
void check_writes(const BatchLimits& limits, const int32_t* words, const BatchLayout& at, int32_t rows) {
  std::vector<int64_t> places(static_cast<size_t>(rows));
  for (int32_t row = 0; row < rows; row++) {
    int64_t position = words[at.position + row], column = position / limits.kv_positions;
    int64_t block = words[at.block + int64_t{words[at.table + row]} * limits.shape.blocks + column];
    places[row] = block * limits.kv_positions + position % limits.kv_positions;
  }
  std::sort(places.begin(), places.end());
  auto twice = std::adjacent_find(places.begin(), places.end());
  if (twice != places.end()) {
    fail(TALARIA_INVALID, "batch: two rows write position %lld of KV block %lld",
         static_cast<long long>(*twice % limits.kv_positions), static_cast<long long>(*twice / limits.kv_positions));
  }
}

}  // namespace

void check_batch_shape(const talaria_batch_shape& shape) {
  const Range ranges[] = {
      {"rows", shape.rows, 1, 1 << 16},
      {"wanted", shape.wanted, 0, shape.rows},
      {"tables", shape.tables, 1, 1 << 12},
      {"blocks", shape.blocks, 1, 1 << 16},
      {"targets", shape.targets, 0, 64},
      {"adjustments", shape.adjustments, 0, 1 << 20},
      {"mask_words", shape.mask_words, 0, 1 << 13},
      {"reserved", shape.reserved, 0, 0},
  };
  for (const Range& range : ranges) {
    if (range.value < range.low || range.value > range.high) {
      fail(TALARIA_INVALID, "batch shape: %s is %d, must be %d to %d", range.name, range.value, range.low, range.high);
    }
  }
  if (batch_words(shape) > 1 << 27) fail(TALARIA_INVALID, "batch shape: a batch would have over 2^27 words");
}

int64_t batch_words(const talaria_batch_shape& shape) { return BatchLayout(shape).end; }

void check_batch(const BatchLimits& limits, const int32_t* words, int64_t count) {
  const talaria_batch_shape& shape = limits.shape;
  BatchLayout at(shape);
  if (count != at.end)
    fail(TALARIA_INVALID, "batch: %lld words, not %lld", static_cast<long long>(count), static_cast<long long>(at.end));
  int32_t rows = words[0], wanted = words[1], masked = words[2];
  require(rows >= 1 && rows <= shape.rows, "word", 0, rows);
  require(wanted >= 0 && wanted <= shape.wanted && wanted <= rows, "word", 1, wanted);
  require(masked == 0 || (masked == 1 && shape.mask_words > 0), "word", 2, masked);
  require(words[3] == 0, "word", 3, words[3]);

  for (int32_t row = 0; row < rows; row++) {
    int32_t token = words[at.token + row], position = words[at.position + row], table = words[at.table + row];
    require(token >= 0 && token < limits.vocabulary, "token of row", row, token);
    require(position >= 0, "position of row", row, position);
    require(table >= 0 && table < shape.tables, "block table of row", row, table);
    if (limits.kv_blocks > 0) check_blocks(limits, words, at, row);
  }
  if (limits.writes_kv) check_writes(limits, words, at, rows);
  for (int32_t i = 0; i < wanted; i++) {
    int32_t row = words[at.wanted_row + i];
    require(row >= 0 && row < rows && (i == 0 || row > words[at.wanted_row + i - 1]), "wanted row", i, row);
    for (int32_t j = 0; j < shape.targets; j++) {
      int32_t target = words[at.target + static_cast<int64_t>(i) * shape.targets + j];
      require(target >= -1 && target < limits.output_vocabulary, "target of wanted row", i, target);
    }
  }
  require(words[at.adjust_begin] == 0, "adjust_begin", 0, words[at.adjust_begin]);
  for (int32_t i = 0; i < wanted; i++) {
    int32_t begin = words[at.adjust_begin + i], end = words[at.adjust_begin + i + 1];
    require(end >= begin && end <= shape.adjustments, "adjust_begin", i + 1, end);
  }
  for (int32_t i = 0, end = words[at.adjust_begin + wanted]; i < end; i++) {
    int32_t token = words[at.adjust_token + i];
    require(token >= 0 && token < limits.output_vocabulary, "adjusted token", i, token);
  }
}

}  // namespace talaria
