// The arguments of every op: one plain struct each, in the C subset that C, C++, CUDA, HIP, Metal and OpenCL accept.
//
// Java fills these structs (OpArgs), native/src/checks.cpp compares every shape with the tensors' own, and the
// backends read them. Rules that keep them the same everywhere:
//   - `size` first (bytes of the struct, so that a caller built against another layout is refused), then `reserved` (0),
//     then the tensors, then 64-bit numbers, then 32-bit ones; no implicit padding.
//   - a tensor is a handle at the C ABI; past the checks it is the address of the tensor's talaria_tensor_view.
//   - sizes that the tensors' shapes already give are not repeated.
// Shapes: R rows of the batch, W wanted rows, H hidden, N heads, G KV heads, D head size, E experts, L experts held
// here, K experts used per token, F feed-forward size, V vocabulary, S sources (devices that fill slots).
#ifndef TALARIA_ARGS_H
#define TALARIA_ARGS_H

#if defined(__OPENCL_VERSION__)
typedef int int32_t;
typedef uint uint32_t;
typedef long int64_t;
typedef ulong uint64_t;
#elif !defined(__METAL_VERSION__) && !defined(__CUDACC_RTC__)
#include <stdint.h>
#endif

typedef uint64_t talaria_tensor;  // 0: none, where a field says that it is optional
typedef uint64_t talaria_event;

// The capacities of a step: what its kernels are launched for. A batch fills them partly or wholly.
typedef struct talaria_batch_shape {
  int32_t rows;         // token rows
  int32_t wanted;       // rows whose logits are wanted
  int32_t tables;       // sequences, each with a row of the block table
  int32_t blocks;       // KV blocks that a sequence may have
  int32_t targets;      // target tokens whose log-probability is returned, per wanted row
  int32_t adjustments;  // logit adjustments, of the whole batch together
  int32_t mask_words;   // 32-bit words of the token mask per wanted row; 0: no masks
  int32_t reserved;
} talaria_batch_shape;

// A batch is a sequence of 32-bit words in this order (float32 by its bits):
//   rows, wanted, masked (1: the masks hold), reserved
//   token[shape.rows], position[shape.rows], table[shape.rows]        per row
//   wanted_row[shape.wanted]                                          ascending rows
//   target[shape.wanted][shape.targets]                               token, or -1 for none
//   adjust_begin[shape.wanted + 1]                                    ranges of the three arrays that follow
//   adjust_token[A], adjust_penalty[A], adjust_add[A]                 A = shape.adjustments; the last two are float32
//   block[shape.tables][shape.blocks]                                 KV block of positions [i * B, (i + 1) * B), or -1
//   mask[shape.wanted][shape.mask_words]                              bit t: token t may be chosen
// A logit becomes (logit > 0 ? logit / penalty : logit * penalty) + add.
#define TALARIA_BATCH_HEADER_WORDS 4

// x = table[token]
typedef struct talaria_embed_args {
  uint32_t size, reserved;
  talaria_tensor x;      // [R][H] F32, written
  talaria_tensor table;  // [V][H] weight
} talaria_embed_args;

// n = rms_norm(x) * norm; q = rope(wq n), k = rope(wk n), v = wv n; k and v go to the KV cache.
// RoPE turns the pairs (2i, 2i + 1) of the first rope_dims values of each head by position * base^(-2i / rope_dims).
typedef struct talaria_attention_input_args {
  uint32_t size, reserved;
  talaria_tensor q;     // [R][N * D] F32, written
  talaria_tensor x;     // [R][H] F32
  talaria_tensor norm;  // [H] F32 weight
  talaria_tensor wq;    // [N * D][H] weight
  talaria_tensor wk;    // [G * D][H] weight
  talaria_tensor wv;    // [G * D][H] weight
  talaria_tensor keys;    // KV [layers][blocks][B][G * D], appended at each row's position
  talaria_tensor values;  // KV, the same shape
  int32_t layer;
  int32_t head_dim;
  int32_t rope_dims;
  float rope_base;
  float epsilon;
  int32_t pad;
} talaria_attention_input_args;

// attended = softmax(scale * q k^T over positions 0 .. the row's own) v; head n reads KV head n / (N / G).
typedef struct talaria_attention_args {
  uint32_t size, reserved;
  talaria_tensor attended;  // [R][N * D] F32, written
  talaria_tensor q;         // [R][N * D] F32
  talaria_tensor keys;      // KV [layers][blocks][B][G * D]
  talaria_tensor values;    // KV, the same shape
  int32_t layer;
  int32_t head_dim;
  float scale;
  int32_t pad;
} talaria_attention_args;

// x += wo attended
typedef struct talaria_attention_output_args {
  uint32_t size, reserved;
  talaria_tensor x;         // [R][H] F32, added to
  talaria_tensor attended;  // [R][N * D] F32
  talaria_tensor wo;        // [H][N * D] weight
} talaria_attention_output_args;

// h = rms_norm(x) * norm; the K experts with the largest router h, ties to the lower id, largest first;
// weight = softmax over these K.
typedef struct talaria_route_args {
  uint32_t size, reserved;
  talaria_tensor routing;  // [R][2 * K] I32: K ids, then K weights as float32 bits; written
  talaria_tensor h;        // [R][H] F32, written
  talaria_tensor x;        // [R][H] F32
  talaria_tensor norm;     // [H] F32 weight
  talaria_tensor router;   // [E][H] weight, F32, F16 or BF16
  float epsilon;
  int32_t pad;
} talaria_route_args;

// slots[row][k] = weight * (down (silu(gate h) * (up h))) for the experts held here, zero for the others.
typedef struct talaria_experts_args {
  uint32_t size, reserved;
  talaria_tensor slots;    // [R][K][H] F32, written
  talaria_tensor h;        // [R][H] F32
  talaria_tensor routing;  // [R][2 * K] I32, from route
  talaria_tensor gate;     // [L][F][H] weight
  talaria_tensor up;       // [L][F][H] weight
  talaria_tensor down;     // [L][H][F] weight
  talaria_tensor map;      // optional: [E] I32, where expert e is held here, -1: elsewhere. None: expert e at e
} talaria_experts_args;

// x += the slots in slot order, each the sum over its sources in source order (all but one are zero when whole
// experts are placed, so that a placement cannot change a bit).
typedef struct talaria_add_slots_args {
  uint32_t size, reserved;
  talaria_tensor x;      // [R][H] F32, added to
  talaria_tensor slots;  // [S][R][K][H] F32
} talaria_add_slots_args;

// logits = output (rms_norm(x) * norm) of the wanted rows. `top` holds per wanted row, as 32-bit words: k token ids
// (-1 past the last token that the mask allows), their k adjusted logits, their k plain logits, then the log-sum-exp of the
// plain logits, then the log-probability of each target. Ids by falling adjusted logit, ties to the lower id; a NaN
// logit is never chosen and makes the log-sum-exp NaN.
typedef struct talaria_top_logits_args {
  uint32_t size, reserved;
  talaria_tensor top;     // [W][3 * k + 1 + targets] I32, written
  talaria_tensor x;       // [R][H] F32
  talaria_tensor norm;    // [H] F32 weight
  talaria_tensor output;  // [V][H] weight
  talaria_tensor logits;  // optional: [W][V] F32, written with the plain logits
  int32_t k;
  float epsilon;
} talaria_top_logits_args;

// Copies the batch's rows: rows * row_bytes bytes. Either may be a host or peer tensor.
typedef struct talaria_copy_args {
  uint32_t size, reserved;
  talaria_tensor target;
  talaria_tensor source;
  int64_t target_offset;  // bytes
  int64_t source_offset;  // bytes
  int64_t row_bytes;
} talaria_copy_args;

// Sets every byte of an activation or host tensor to zero.
typedef struct talaria_zero_args {
  uint32_t size, reserved;
  talaria_tensor target;
} talaria_zero_args;

// An event as it lies in memory that the host and devices share: `signals` is written by who signals alone, `takes` by who
// waits alone; signals - takes, modulo 2^32, is the count. The two lie apart, as each is written while the other is read.
typedef struct talaria_event_cell {
  uint32_t signals;
  uint32_t abandoned;  // not 0: no signal will come any more
  uint32_t apart[30];
  uint32_t takes;
  uint32_t end[31];
} talaria_event_cell;

// signal: the event's count + 1, once all before it on this queue is done. wait: when the count is at least 1, takes
// 1 and goes on; past the device's wait limit the device is lost. Of an event that is abandoned it fails.
typedef struct talaria_event_args {
  uint32_t size, reserved;
  talaria_event event;
} talaria_event_args;

#endif
