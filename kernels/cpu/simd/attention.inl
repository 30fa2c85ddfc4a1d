// Attention over decoded keys and values with an online softmax. Included by kernels.inl.

void decode_kv(int32_t type, const uint8_t* source, float* target, int64_t n, int64_t padded) {
  int64_t i = 0;
  if (type == TALARIA_F16) {
    for (; i + lanes <= n; i += lanes) store(target + i, halves(source + 2 * i));
    if (i < n) decode(type, source + 2 * i, target + i, n - i);
  } else if (type == TALARIA_Q8_0) {
    for (; i < n; i += 32, source += sizeof(talaria_block_q8_0)) {
      talaria_block_q8_0 block;
      std::memcpy(&block, source, sizeof block);
      Floats d = broadcast(half_to_float(block.d));
      const auto* bytes = reinterpret_cast<const uint8_t*>(block.qs);
      store(target + i, multiply(d, signed_bytes(bytes)));
      store(target + i + lanes, multiply(d, signed_bytes(bytes + lanes)));
    }
  } else {
    decode(type, source, target, n);
  }
  std::fill(target + n, target + padded, 0.0f);
}

void encode_halves(const float* source, uint8_t* target, int64_t n) {
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store_halves(target + 2 * i, load_floats(source + i));
  for (; i < n; i++) {
    uint16_t half = float_to_half(source[i]);
    std::memcpy(target + 2 * i, &half, 2);
  }
}

constexpr int64_t most_positions = 32;

// weights = exp(score - largest) of one head; zeros past the last position. Takes the state from its largest score so far to
// the new one.
void soften(float* scores, int64_t positions, int64_t padded, float* state) {
  float largest = *std::max_element(scores, scores + positions);
  for (int64_t p = 0; p < positions; p++) {
    if (std::isnan(scores[p])) largest = scores[p];  // must not get lost in the comparisons
  }
  if (!(largest <= state[0])) {
    float before[lanes] = {state[0] - largest}, shrink[lanes];
    store(shrink, exp(load_floats(before)));
    float factor = state[1] == 0 ? 0.0f : shrink[0];
    state[0] = largest;
    state[1] *= factor;
    for (int64_t i = 0; i < padded; i += lanes) {
      store(state + 2 + i, multiply(load_floats(state + 2 + i), broadcast(factor)));
    }
  }
  for (int64_t i = 0; i < most_positions; i += lanes) {
    store(scores + i, exp(add(load_floats(scores + i), broadcast(-state[0]))));
  }
  std::fill(scores + positions, scores + most_positions, 0.0f);
  state[1] += total(add(load_floats(scores), load_floats(scores + lanes)));
}

void attend(const AttentionHeads& shape, const float* q, float scale, const float* keys, const float* values,
            int64_t positions, float* state) {
  for (int64_t head = 0; head < shape.heads; head++, q += shape.padded, state += 2 + shape.padded) {
    float scores[most_positions] = {};
    for (int64_t p = 0; p < positions; p++) {
      Floats sum = zero_floats();
      for (int64_t i = 0; i < shape.padded; i += lanes) {
        sum = multiply_add(load_floats(keys + p * shape.padded + i), load_floats(q + i), sum);
      }
      scores[p] = scale * total(sum);
    }
    soften(scores, positions, shape.padded, state);
    for (int64_t i = 0; i < shape.padded; i += lanes) {
      Floats sum = load_floats(state + 2 + i);
      for (int64_t p = 0; p < positions; p++) {
        sum = multiply_add(broadcast(scores[p]), load_floats(values + p * shape.padded + i), sum);
      }
      store(state + 2 + i, sum);
    }
  }
}
