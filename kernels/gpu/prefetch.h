// Rows of weights asked for ahead of their loads: they come into the second cache, where loads find them sooner.
//
// A launch's weights do not depend on the launch before it, so an early one asks for its first rows while that one ends and
// memory would have nothing to do. And where a lane has too few registers for as many bytes as an H200 has on their way
// (docs/gpu-backends.md), a warp asks for its next piece before it multiplies the one it has.
#pragma once

#include "launch_args.h"
#include "weights.h"

// What a warp asks for at once: what its lanes read in four turns, 2 KB of a row's first plane, and of the others what belongs to
// the same columns. All blocks that a GPU runs at once must not ask for more than its second cache holds.
constexpr uint32_t piece_bytes = 2048;

// A matrix's plane.
struct PrefetchPlane {
  const GLOBAL uint8_t* data;
  int64_t row_bytes;  // 0: there is no such plane
  int64_t piece;      // bytes of a piece
};

DEVICE PrefetchPlane prefetch_plane(const WeightArg& weight, int32_t type, int64_t matrix, uint32_t plane) {
  const WeightLayout at = weight_layout(type, weight.rows, weight.columns);
  const uint32_t unit = plane_bytes(type, plane), first_unit = plane_bytes(type, 0);
  const int64_t begin = plane == 0 ? 0 : plane == 1 ? at.second : plane == 2 ? at.third : at.fourth;
  const int64_t row_bytes = first_unit >= 512 ? plain_row_bytes(type, weight.columns) : weight.columns * unit / 256;
  return {weight.data + matrix * weight.matrix_bytes + begin, unit == 0 ? 0 : row_bytes, piece_bytes * unit / first_unit};
}

// The piece of a row that begins at chunk `chunk` (dot.h), a multiple of 128. By whole 16s: planes begin and matrices end at such.
DEVICE void prefetch_piece(const PrefetchPlane& plane, int64_t row, int32_t chunk) {
  const int64_t from = chunk / 128 * plane.piece, left = plane.row_bytes - from;
  if (left <= 0) return;
  const int64_t begin = row * plane.row_bytes + from, end = begin + (left < plane.piece ? left : plane.piece);
  const int64_t aligned = begin & ~int64_t{15};
  prefetch(plane.data + aligned, static_cast<uint32_t>((end - aligned + 15) & ~int64_t{15}));
}

// Whole 16s of an array that one thread of a launch asks for.
DEVICE void prefetch_array(const void* data, int64_t bytes) {
  const auto begin = reinterpret_cast<uintptr_t>(data), first = (begin + 15) & ~uintptr_t{15};
  const uintptr_t end = (begin + static_cast<uintptr_t>(bytes)) & ~uintptr_t{15};
  if (first < end) prefetch(reinterpret_cast<const uint8_t*>(first), static_cast<uint32_t>(end - first));
}
