#include "matrix.hpp"

#include "machine.hpp"

namespace ptx {
namespace {

// The elements that lane and register hold: `element` counts those of the lane's fragment in order.
struct Place {
  int row, column;
};

// A lane's group of four, and its number in that.
struct Quad {
  int group, lane;
};
Quad quad(int lane) { return {lane / 4, lane % 4}; }

// --- layouts of m16n8k16 and m16n8k8 for elements of 16 bits, and of m16n8k32, m16n8k16 and m8n8k16 for those of 8 -----------

// Per: elements of a word. Words alternate between rows `group` and `group + 8` (of 16 rows), then move on by 4 words.
template <int M, int Per>
Place a_place(int lane, int element) {
  const auto [group, in_group] = quad(lane);
  const int word = element / Per, rows = M / 8;
  return {group + 8 * (word % rows), in_group * Per + element % Per + 4 * Per * (word / rows)};
}
template <int Per>
Place b_place(int lane, int element) {
  const auto [group, in_group] = quad(lane);
  return {in_group * Per + element % Per + 4 * Per * (element / Per), group};
}
Place c_place(int lane, int element) {
  const auto [group, in_group] = quad(lane);
  return {group + 8 * (element / 2), in_group * 2 + element % 2};
}

int32_t integer(uint32_t word, int part) { return static_cast<int8_t>(word >> (8 * part)); }
float half(uint32_t word, int part) { return half_value(word >> (16 * part)); }
float bfloat(uint32_t word, int part) { return std::bit_cast<float>((word >> (16 * part) & 0xffff) << 16); }

void require_whole(const Warp& w) {
  if (!w.whole()) throw Fault("a warp of fewer lanes than a matrix needs");
}

// to: D; from: A, B, C, in words. A register may be of C and, elsewhere, of D: C is read first.
template <int M, int K, int Per, typename Element, Element (*read)(uint32_t, int), typename Sum>
void multiply(Warp& w, const Instruction& i, uint32_t) {
  constexpr int a_words = M * K / Per / lanes, b_words = 8 * K / Per / lanes, c_words = M * 8 / lanes;
  require_whole(w);
  Element a[M][K], b[K][8];
  for (int lane = 0; lane < lanes; lane++) {
    for (int e = 0; e < a_words * Per; e++) {
      const Place at = a_place<M, Per>(lane, e);
      a[at.row][at.column] = read(w.narrow(i.from[e / Per])[lane], e % Per);
    }
    for (int e = 0; e < b_words * Per; e++) {
      const Place at = b_place<Per>(lane, e);
      b[at.row][at.column] = read(w.narrow(i.from[a_words + e / Per])[lane], e % Per);
    }
  }
  for (int lane = 0; lane < lanes; lane++) {
    uint32_t d[c_words];
    for (int e = 0; e < c_words; e++) {
      const Place at = c_place(lane, e);
      const uint32_t before = w.narrow(i.from[a_words + b_words + e])[lane];
      // Integers wrap; products of halves are exact in double, and their sums closer than a GPU's.
      if constexpr (std::is_same_v<Sum, int32_t>) {
        uint32_t sum = before;
        for (int k = 0; k < K; k++) sum += static_cast<uint32_t>(a[at.row][k] * b[k][at.column]);
        d[e] = sum;
      } else {
        double sum = std::bit_cast<float>(before);
        for (int k = 0; k < K; k++) sum += static_cast<double>(a[at.row][k]) * static_cast<double>(b[k][at.column]);
        d[e] = float_bits(static_cast<float>(sum));
      }
    }
    for (int e = 0; e < c_words; e++) w.narrow(i.to[e])[lane] = d[e];
  }
}

// Four products of 8 x 8 x 4, each by the lanes q to q + 3 and q + 16 to q + 19. A lane holds a column of B, or of B by rows
// four elements of row lane % 4.
template <bool by_rows>
void multiply_quads(Warp& w, const Instruction& i, uint32_t) {
  require_whole(w);
  for (int first = 0; first < 16; first += 4) {
    float a[8][4], b[4][8];
    auto all_lanes = [&](auto&& f) {
      for (int lane = first; lane < first + 4; lane++) f(lane), f(lane + 16);
    };
    all_lanes([&](int lane) {
      const int of_lane = lane % 4 + (lane < 16 ? 0 : 4);
      for (int e = 0; e < 4; e++) {
        a[of_lane][e] = half(w.narrow(i.from[e / 2])[lane], e % 2);
        const float element = half(w.narrow(i.from[2 + e / 2])[lane], e % 2);
        (by_rows ? b[lane % 4][e + (lane < 16 ? 0 : 4)] : b[e][of_lane]) = element;
      }
    });
    all_lanes([&](int lane) {
      uint32_t d[8];
      for (int e = 0; e < 8; e++) {
        const int row = (lane & 1) + (e & 2) + (lane < 16 ? 0 : 4), column = (e & 4) + (lane & 2) + (e & 1);
        double sum = std::bit_cast<float>(w.narrow(i.from[4 + e])[lane]);
        for (int k = 0; k < 4; k++) sum += static_cast<double>(a[row][k]) * static_cast<double>(b[k][column]);
        d[e] = float_bits(static_cast<float>(sum));
      }
      for (int e = 0; e < 8; e++) w.narrow(i.to[e])[lane] = d[e];
    });
  }
}

// Lanes 8 m to 8 m + 7 name the rows of matrix m; of a transposed one a lane gets a column's elements.
template <int matrices, bool transposed>
void load_matrices(Warp& w, const Instruction& i, uint32_t mask) {
  require_whole(w);
  uint8_t* where[lanes];
  const uint32_t naming = matrices == 4 ? ~0u : (1u << 8 * matrices) - 1;
  w.locate(i, mask & naming, i.from[0], false, where);
  for (int m = 0; m < matrices; m++) {
    uint32_t words[lanes];
    for (int lane = 0; lane < lanes; lane++) {
      uint16_t part[2];
      for (int e = 0; e < 2; e++) {
        const int row = transposed ? lane % 4 * 2 + e : lane / 4, column = transposed ? lane / 4 : lane % 4 * 2 + e;
        std::memcpy(&part[e], where[8 * m + row] + column * 2, 2);
      }
      words[lane] = part[0] | static_cast<uint32_t>(part[1]) << 16;
    }
    std::memcpy(w.narrow(i.to[m]), words, sizeof words);
  }
}

}  // namespace

const std::vector<MatrixOperation>& matrix_operations() {
  static const std::vector<MatrixOperation> operations = {
      {"mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32", multiply<16, 32, 4, int32_t, integer, int32_t>, false},
      {"mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32", multiply<16, 16, 4, int32_t, integer, int32_t>, false},
      {"mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32", multiply<8, 16, 4, int32_t, integer, int32_t>, false},
      {"mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", multiply<16, 16, 2, float, half, float>, false},
      {"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", multiply<16, 16, 2, float, bfloat, float>, false},
      {"mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32", multiply<16, 8, 2, float, half, float>, false},
      {"mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32", multiply_quads<false>, false},
      {"mma.sync.aligned.m8n8k4.row.row.f32.f16.f16.f32", multiply_quads<true>, false},
      {"ldmatrix.sync.aligned.m8n8.x4.shared.b16", load_matrices<4, false>, true},
      {"ldmatrix.sync.aligned.m8n8.x2.shared.b16", load_matrices<2, false>, true},
      {"ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16", load_matrices<4, true>, true},
      {"ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16", load_matrices<2, true>, true},
  };
  return operations;
}

}  // namespace ptx
