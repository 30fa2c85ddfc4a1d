// Where the sections of a batch lie, for those who read one: the checks, and the backends' host code.
#pragma once

#include "../../kernels/common/args.h"

namespace talaria {

// Offsets in words, in the order that args.h gives; `end` is the number of all words.
struct BatchLayout {
  int64_t token, position, table, wanted_row, target, adjust_begin, adjust_token, adjust_penalty, adjust_add, block,
      mask, end;

  explicit BatchLayout(const talaria_batch_shape& s) {
    int64_t at = TALARIA_BATCH_HEADER_WORDS;
    auto take = [&at](int64_t words) {
      int64_t begin = at;
      at += words;
      return begin;
    };
    token = take(s.rows);
    position = take(s.rows);
    table = take(s.rows);
    wanted_row = take(s.wanted);
    target = take(int64_t{s.wanted} * s.targets);
    adjust_begin = take(int64_t{s.wanted} + 1);
    adjust_token = take(s.adjustments);
    adjust_penalty = take(s.adjustments);
    adjust_add = take(s.adjustments);
    block = take(int64_t{s.tables} * s.blocks);
    mask = take(int64_t{s.wanted} * s.mask_words);
    end = at;
  }
};

}  // namespace talaria
