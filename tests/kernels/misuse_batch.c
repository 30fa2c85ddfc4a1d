// Batches: valid ones, and ones with a few words spoilt.
#include <string.h>

#include "misuse.h"

// The sections of a batch in the order of args.h, as offsets in words.
typedef struct layout {
  int64_t token, position, table, wanted_row, target, adjust_begin, adjust_token, adjust_penalty, adjust_add, block,
      mask, end;
} layout;

static layout layout_of(const talaria_batch_shape* s) {
  layout at;
  at.token = TALARIA_BATCH_HEADER_WORDS;
  at.position = at.token + s->rows;
  at.table = at.position + s->rows;
  at.wanted_row = at.table + s->rows;
  at.target = at.wanted_row + s->wanted;
  at.adjust_begin = at.target + (int64_t)s->wanted * s->targets;
  at.adjust_token = at.adjust_begin + s->wanted + 1;
  at.adjust_penalty = at.adjust_token + s->adjustments;
  at.adjust_add = at.adjust_penalty + s->adjustments;
  at.block = at.adjust_add + s->adjustments;
  at.mask = at.block + (int64_t)s->tables * s->blocks;
  at.end = at.mask + (int64_t)s->wanted * s->mask_words;
  return at;
}

int64_t words_of(const talaria_batch_shape* shape) { return layout_of(shape).end; }

static void fill_rows(dice* d, const talaria_batch_shape* s, const layout* at, int32_t* words) {
  int64_t columns = s->blocks < KV_BLOCKS ? s->blocks : KV_BLOCKS;
  words[0] = (int32_t)(1 + roll(d, s->rows));
  for (int32_t row = 0; row < words[0]; row++) {
    words[at->token + row] = (int32_t)roll(d, VOCABULARY);
    // Another place within the block for each row, as no two may write the same one.
    words[at->position + row] = (int32_t)(KV_POSITIONS * roll(d, columns) + row % KV_POSITIONS);
    words[at->table + row] = (int32_t)roll(d, s->tables);
  }
  for (int64_t i = at->block; i < at->mask; i++) words[i] = (int32_t)roll(d, KV_BLOCKS);
}

static void fill_wanted(dice* d, const talaria_batch_shape* s, const layout* at, int32_t* words) {
  int32_t wanted = 0, adjusted = 0;
  words[at->adjust_begin] = 0;
  for (int32_t row = 0; row < words[0] && wanted < s->wanted; row++) {
    if (one_in(d, 4)) continue;
    words[at->wanted_row + wanted] = row;
    for (int32_t i = 0; i < s->targets; i++) {
      words[at->target + (int64_t)wanted * s->targets + i] = (int32_t)roll(d, VOCABULARY + 1) - 1;
    }
    adjusted += (int32_t)roll(d, s->adjustments - adjusted + 1);
    wanted++;
    words[at->adjust_begin + wanted] = adjusted;
  }
  words[1] = wanted;
  for (int32_t i = 0; i < adjusted; i++) {
    words[at->adjust_token + i] = (int32_t)roll(d, VOCABULARY);
    words[at->adjust_penalty + i] = hostile32(d);  // floats are not checked: any bits will do
    words[at->adjust_add + i] = hostile32(d);
  }
  for (int64_t i = at->mask; i < at->end; i++) words[i] = (int32_t)roll64(d);
}

void fill_batch(dice* d, const talaria_batch_shape* shape, int32_t* words) {
  layout at = layout_of(shape);
  // Words that no row uses are noise: nothing may look at them.
  for (int64_t i = 0; i < at.end; i++) words[i] = (int32_t)roll64(d);
  words[2] = shape->mask_words > 0 && one_in(d, 2);
  words[3] = 0;
  fill_rows(d, shape, &at, words);
  fill_wanted(d, shape, &at, words);
}

void spoil_batch(dice* d, const talaria_batch_shape* shape, int32_t* words) {
  int64_t end = words_of(shape);
  for (int64_t n = 1 + roll(d, 2); n > 0; n--) {
    // A quarter of the time one of the first words, where the counts are.
    int64_t at = one_in(d, 4) ? roll(d, TALARIA_BATCH_HEADER_WORDS) : roll(d, end);
    switch (roll(d, 4)) {
      case 0: words[at] = (int32_t)((uint32_t)words[at] + 1); break;
      case 1: words[at] = (int32_t)((uint32_t)words[at] - 1); break;
      case 2: words[at] = (int32_t)roll(d, 64); break;
      default: words[at] = hostile32(d);
    }
  }
}
