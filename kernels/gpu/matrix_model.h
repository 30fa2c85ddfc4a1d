// What the emulator's models of matrix instructions share: fragments of all lanes, and sums of products of packed elements.
#pragma once

#include "dialect.h"

namespace matrix_model {

// A word's elements as the model multiplies them: 8-bit ones packed as they are, 16-bit ones decoded.
template <float decode(uint16_t)>
struct Pair {
  float value[2];
  static Pair of(uint32_t word) {
    return {{decode(static_cast<uint16_t>(word)), decode(static_cast<uint16_t>(word >> 16))}};
  }
  // Products are exact in double; a sum of them is rounded once, at its end.
  using Sum = double;
  static double add(double sum, const Pair& a, const Pair& b) {
    sum += static_cast<double>(a.value[0]) * b.value[0];
    return sum + static_cast<double>(a.value[1]) * b.value[1];
  }
  bool same(const Pair& other) const { return std::memcmp(this, &other, sizeof other) == 0; }
};
inline float decode_half(uint16_t bits) { return half_to_float(bits); }
inline float decode_bfloat(uint16_t bits) { return bits_float(static_cast<uint32_t>(bits) << 16); }
using Half = Pair<decode_half>;
using Bfloat = Pair<decode_bfloat>;

struct Int8 {
  uint32_t word;
  static Int8 of(uint32_t word) { return {word}; }
  using Sum = int32_t;  // modulo 2^32
  static int32_t add(int32_t sum, const Int8& a, const Int8& b) { return dot4(a.word, b.word, sum); }
  bool same(const Int8& other) const { return word == other.word; }
};

// What each lane of a hardware warp holds of A and of B.
template <typename Element, uint32_t a_words, uint32_t b_words>
class Fragments {
 public:
  Fragments(const uint32_t (&a)[a_words], const uint32_t (&b)[b_words], const char* file, int line) {
    Element mine[a_words + b_words];
    for (uint32_t word = 0; word < a_words; word++) mine[word] = Element::of(a[word]);
    for (uint32_t word = 0; word < b_words; word++) mine[a_words + word] = Element::of(b[word]);
    ::talaria::simt::exchange(mine, sizeof mine, file, line);
  }
  Element a(uint32_t lane, uint32_t word) const { return held(lane, word); }
  Element b(uint32_t lane, uint32_t word) const { return held(lane, a_words + word); }

 private:
  static Element held(uint32_t lane, uint32_t word) {
    Element element;
    std::memcpy(&element, static_cast<const char*>(::talaria::simt::received(lane)) + sizeof(Element) * word, sizeof element);
    return element;
  }
};

}  // namespace matrix_model
