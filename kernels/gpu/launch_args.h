// The arguments of every GPU kernel: plain structs with device addresses, passed by value. Host and device code.
//
// Shapes: R rows of the batch, H hidden, N heads, G KV heads, D head size, E experts, L experts held, K experts used, F
// feed-forward size, V vocabulary. Grids are launched for a step's capacity; kernels stop at what the batch holds.
#pragma once

#if !defined(__METAL_VERSION__)
#include "../common/args.h"
#endif
#include "spaces.h"

// A quantised row's blocks of 32 values: x = scale * code; the sums of each 16 codes, for formats with minimums.
struct BlockScale {
  float scale;
  int16_t sum[2];
};

// Rows of activations as products read them. Null where nobody asks for that form.
struct RowsArg {
  GLOBAL float* values;       // [rows][stride], zeros behind the columns
  GLOBAL int8_t* codes;       // [rows][stride]
  GLOBAL BlockScale* scales;  // [rows][stride / 32]
  int64_t stride;      // columns, rounded up to 32
};

struct WeightArg {
  const GLOBAL uint8_t* data;  // weights.h
  int64_t matrix_bytes;
  int64_t rows, columns;
  int32_t type;
  int32_t matrices;
};

struct KvArg {
  GLOBAL uint8_t* keys;
  GLOBAL uint8_t* values;
  int64_t layer_row;     // the layer's first row: layer * blocks * positions
  int64_t all_rows;      // layers * blocks * positions: for Q8_0, scales begin at all_rows * width
  int32_t positions;     // per block
  int32_t width;         // G * D
  int32_t type;
  int32_t head_dim;
};

// The sections of a batch (kernels/common/args.h) that lie in device memory.
struct BatchArg {
  const GLOBAL int32_t* header;    // rows, wanted, masked, 0
  const GLOBAL int32_t* token;     // [R]
  const GLOBAL int32_t* position;  // [R]
  const GLOBAL int32_t* table;     // [R]
  const GLOBAL int32_t* wanted_row;
  const GLOBAL int32_t* target;
  const GLOBAL int32_t* adjust_begin;
  const GLOBAL int32_t* adjust_token;
  const GLOBAL int32_t* adjust_penalty;  // float32 by their bits
  const GLOBAL int32_t* adjust_add;      // float32 by their bits
  const GLOBAL int32_t* block;  // [tables][blocks]
  const GLOBAL uint32_t* mask;
  int32_t blocks, targets, mask_words;
  int32_t first_wanted;  // what concerns wanted rows begins at this one
};

// Which rows a launch works on: those of the batch, or the wanted ones (row i is wanted_row[i]).
enum RowChoice { BATCH_ROWS = 0, WANTED_ROWS = 1 };

// Pairs (row, k) of a batch, sorted by expert and cut into tiles of one expert each, so that a weight is read once for all
// rows of a tile. Without tiles, pair p is row p / used with its p % used-th expert.
struct ExpertTile {
  int32_t expert, begin, count, pad;  // the pairs at [begin, begin + count) of `pair`
};
struct TilesArg {
  const GLOBAL ExpertTile* tiles;      // null: none, each pair is a tile of its own
  const GLOBAL int32_t* tile_count;
  const GLOBAL int32_t* pair;   // [R * K], row * K + k
  const GLOBAL int32_t* routing;       // [R][2 * K]: ids, then weights as float32 bits
  const GLOBAL int32_t* map;    // [E] or null
  int32_t experts;              // length of the map
  int32_t used;                 // K
};

// Bytes [row][block] of a file's layout to weights.h's.
struct RepackArgs {
  const GLOBAL uint8_t* source;
  GLOBAL uint8_t* target;  // of the whole weight
  int64_t matrix_bytes, rows, columns;
  int64_t first_row, count;  // rows counted over all matrices
  int32_t type, pad;
};

// x[row] = table[token]
struct EmbedArgs {
  GLOBAL float* x;  // [R][H]
  WeightArg table;
  BatchArg batch;
};

// x += slots, if there are any; then n = rms_norm(x) * norm in the forms that are asked for.
struct NormArgs {
  GLOBAL float* x;     // [R][H]
  const GLOBAL float* slots;  // [S][slot_rows][K][H], or null
  const GLOBAL float* norm;   // [H]
  GLOBAL float* plain; // [R][H] as a tensor of the model, or null
  RowsArg out;
  BatchArg batch;
  int64_t columns, slot_rows;
  int32_t sources, used;
  int32_t choice;  // RowChoice; of wanted rows only out is written, x is not changed
  float epsilon;
};

struct AddSlotsArgs {
  GLOBAL float* x;
  const GLOBAL float* slots;
  BatchArg batch;
  int64_t columns, slot_rows;
  int32_t sources, used;
};

struct QuantizeArgs {
  const GLOBAL float* rows;  // [R][columns]
  RowsArg out;
  BatchArg batch;
  int64_t columns;
};

// q, k, v = w n; RoPE; k and v into the cache.
struct AttentionInputArgs {
  RowsArg in;
  WeightArg wq, wk, wv;
  GLOBAL float* q;          // [R][N * D]
  KvArg kv;
  BatchArg batch;
  const GLOBAL uint64_t* frequency;  // [rope_dims / 2], in turns (maths.h)
  int32_t rope_dims, pad;
};

// A split is so many positions at most, and a head so many values.
enum { ATTENTION_MOST_POSITIONS = 256, ATTENTION_MOST_DIM = 256 };
// Queries of a tile: rows times the heads that a block takes. Heads are at most so large there.
enum { ATTENTION_TILE_QUERIES = 32, ATTENTION_MMA_QUERIES = 64, ATTENTION_TILE_MOST_DIM = 128 };

// The batch's rows for attention, when there are many: tiles, which are runs of consecutive rows at consecutive positions
// of one sequence, and single rows. attention_runs writes it: numbers of tiles and of single rows, the single rows
// [most_single], and the tiles' pairs (first row, rows).
struct AttentionRuns {
  GLOBAL int32_t* words;       // [2 + most_single + 2 * R]; null: every row is a single one
  int32_t tile_rows;    // of a tile, at most
  int32_t most_single;  // an even number; rows past it are tiles of one row
};

// RoPE of q and k, and k and v into the cache.
struct RopeAppendArgs {
  GLOBAL float* q;              // [R][q_width], turned in place
  const GLOBAL float *k, *v;    // [R][kv.width]
  KvArg kv;
  BatchArg batch;
  const GLOBAL uint64_t* frequency;  // [rope_dims / 2], in turns (maths.h)
  int64_t q_width;
  int32_t rope_dims, pad;
};

struct AttentionArgs {
  const GLOBAL float* q;   // [R][N * D]
  GLOBAL float* partial;   // [launched rows][splits][N][2 + D]: maximum, sum, weighted values
  GLOBAL float* attended;  // [R][N * D], or null
  RowsArg out;
  KvArg kv;
  BatchArg batch;
  AttentionRuns runs;
  int32_t heads, splits;
  int32_t split_positions;  // of a split
  int32_t block_heads;      // query heads that a block takes at once: 1, 2 or 4
  int32_t first_row;        // of the batch, or of the single rows, that the launch begins with
  float scale;
};

// NONE: rows of the batch. PAIRS: by the experts of `tiles`; rows of `in` and of the target are pairs, times their routing
// weights. PAIRS_OF_ROWS: the same, but a pair's input is that of its row, and there is no routing weight.
enum ProductGroups { NONE = 0, PAIRS = 1, PAIRS_OF_ROWS = 2 };

// target = w in (+ target, * the routing weight)
struct ProductArgs {
  RowsArg in;
  WeightArg weight;
  GLOBAL float* target;
  BatchArg batch;
  TilesArg tiles;   // of experts
  int64_t target_stride;
  int32_t add;      // 1: target += product
  int32_t choice;   // RowChoice
  int32_t grouped;  // ProductGroups
  int32_t zero_absent;  // 1: pairs whose expert is not held here become zeros
};

// out[pair] = silu(gate h) * (up h)
struct GateUpArgs {
  RowsArg in;    // [R][H]
  WeightArg gate, up;
  RowsArg out;   // [R * K][F]
  BatchArg batch;
  TilesArg tiles;
};

// out[pair] = silu(gate) * up, where both come from products of their own.
struct SiluMultiplyArgs {
  const GLOBAL float *gate, *up;  // [R * K][F]
  RowsArg out;
  BatchArg batch;
  int64_t columns;
  int32_t used, pad;
};

struct RouteArgs {
  const GLOBAL float* x;     // [R][H]
  const GLOBAL float* norm;  // [H]
  WeightArg router;   // [E][H]
  GLOBAL float* h;    // [R][H]
  GLOBAL int32_t* routing;   // [R][2 * K]
  RowsArg out;
  BatchArg batch;
  int64_t columns;
  int32_t used;
  float epsilon;
};

// Sorts pairs by expert and cuts them into tiles.
struct SortPairsArgs {
  TilesArg tiles;  // its arrays are written
  GLOBAL ExpertTile* tile;
  GLOBAL int32_t* tile_count;
  GLOBAL int32_t* pair;
  BatchArg batch;
  int32_t held;        // L
  int32_t tile_pairs;  // of a tile, at most
};

// Zeros for the pairs whose expert is not held here.
struct ZeroAbsentArgs {
  GLOBAL float* slots;  // [R][K][H]
  TilesArg tiles;
  BatchArg batch;
  int64_t columns;
  int32_t held, pad;
};

struct TopLogitsArgs {
  GLOBAL float* logits;   // [W][V], plain
  GLOBAL int32_t* top;    // [W][3 * k + 1 + targets]
  GLOBAL uint64_t* keys;  // [W][V] scratch
  BatchArg batch;
  int64_t vocabulary;
  int32_t k, pad;
};

struct FillArgs {
  GLOBAL uint8_t* target;
  int64_t bytes;
  uint32_t value, pad;
};

struct ReadArgs {
  const GLOBAL uint8_t* source;
  GLOBAL uint32_t* sums;  // [grid]
  int64_t bytes;
};

#if !defined(__METAL_VERSION__)
// Rows that travel between a tensor of the device and pages that it shares with the host; one of the two is there.
struct RowsOnTheWay {
  GLOBAL uint32_t* target;
  const GLOBAL uint32_t* source;
  int64_t row_words;
};

// Of a device, in memory of the host that its kernels reach.
struct Meetings {
  uint32_t closing;  // the device is being closed: whoever waits goes on at once
  uint32_t failed;   // a talaria_waited: why a wait has ended without a signal
};

// Waits for one event, copies the batch's rows, signals another; each of the three may be left out.
struct ExchangeArgs {
  const GLOBAL int32_t* header;  // of the batch
  GLOBAL talaria_event_cell* wait;
  GLOBAL talaria_event_cell* signal;
  GLOBAL Meetings* meetings;
  GLOBAL uint32_t* failed;  // of this run of the step: a wait has, so that what follows is not what it seems
  RowsOnTheWay copy[4];
  int32_t copies, limit_ms;
};
#endif
