// The moves between lanes of kernels/gpu/xor_lanes.h, on a warp as AMD's manuals of the instruction sets ("Vega", "CDNA2",
// "RDNA2", "RDNA3") describe it: every lane gets the right lane's value, so that sums over lanes have the bits that they
// have on other devices.
#include "../../kernels/gpu/xor_lanes.h"

#include <array>
#include <bit>
#include <random>
#include <vector>

#include "expect.hpp"

namespace {

// What all lanes of a hardware warp have in one register.
struct Register {
  std::vector<uint32_t> lane;
};

template <typename From>
Register gathered(const Register& value, const From& from) {
  Register result;
  for (uint32_t i = 0; i < value.lane.size(); i++) result.lane.push_back(value.lane.at(from(i)));
  return result;
}

// DPP_CTRL: 0x00-0xff a permutation within four lanes; within rows of 16, 0x121-0x12f rotation to the right, 0x140 and 0x141
// mirrors of the row and of its halves, and, from gfx10 on, 0x160-0x16f the exclusive or with a number.
template <bool GFX10>
struct ModelMoves {
  template <uint32_t control>
  static Register dpp(const Register& value) {
    static_assert(control <= 0xff || (control >= 0x121 && control <= 0x12f) || control == 0x140 || control == 0x141 ||
                  (GFX10 && control >= 0x160 && control <= 0x16f));
    return gathered(value, [](uint32_t i) {
      uint32_t row = i / 16 * 16, at = i % 16;
      if (control <= 0xff) return i / 4 * 4 + (control >> i % 4 * 2 & 3);
      if (control < 0x130) return row + (at + 16 - (control - 0x120)) % 16;
      if (control == 0x140) return row + 15 - at;
      if (control == 0x141) return row + at / 8 * 8 + 7 - at % 8;
      return row + (at ^ (control - 0x160));
    });
  }
  // DS_SWIZZLE_B32, bit 15 not set: within 32 lanes, the masks of and, or and exclusive or have five bits each.
  template <uint32_t pattern>
  static Register swizzle(const Register& value) {
    static_assert(pattern < 0x8000);
    return gathered(value, [](uint32_t i) {
      return i / 32 * 32 + (((i % 32 & pattern % 32) | (pattern >> 5 & 31)) ^ (pattern >> 10 & 31));
    });
  }
  // V_PERMLANEX16_B32: lane i of a row, from the lane of the row beside it that digit i of the selection names.
  static Register other_row(const Register& value) {
    static_assert(GFX10);
    constexpr uint64_t selection = uint64_t{xor_lanes::row_high} << 32 | xor_lanes::row_low;
    return gathered(value, [](uint32_t i) { return (i / 16 ^ 1) * 16 + static_cast<uint32_t>(selection >> i % 16 * 4 & 15); });
  }
  // DS_BPERMUTE_B32.
  static Register permute(const Register& value, uint32_t mask) {
    return gathered(value, [&](uint32_t i) { return (i ^ mask) % value.lane.size(); });
  }
};

struct Gfx9 {
  static constexpr uint32_t lanes = 64;
  static Register shuffle_xor(const Register& value, uint32_t mask) { return xor_lanes::gfx9<ModelMoves<false>>(value, mask); }
};
struct Rdna {
  static constexpr uint32_t lanes = 32;
  static Register shuffle_xor(const Register& value, uint32_t mask) { return xor_lanes::rdna<ModelMoves<true>>(value, mask); }
};

template <typename Device>
void test_lanes(const std::string& name) {
  Register numbers;
  for (uint32_t i = 0; i < Device::lanes; i++) numbers.lane.push_back(i);
  for (uint32_t mask = 1; mask < Device::lanes; mask++) {
    Register got = Device::shuffle_xor(numbers, mask);
    for (uint32_t i = 0; i < Device::lanes; i++) {
      expect(got.lane[i] == (i ^ mask), name + ": lane " + std::to_string(i) + " by " + std::to_string(mask));
    }
  }
}

// warp_sum of reduce.h, with every lane's partner taken by its number, against the same by the device's moves.
template <typename Device>
void test_sums(const std::string& name) {
  std::mt19937 random(Device::lanes);
  for (int turn = 0; turn < 100; turn++) {
    std::vector<float> plain;
    Register moved;
    for (uint32_t i = 0; i < Device::lanes; i++) {
      plain.push_back(std::ldexp(static_cast<float>(static_cast<int32_t>(random())), static_cast<int>(random() % 40) - 60));
      moved.lane.push_back(std::bit_cast<uint32_t>(plain.back()));
    }
    for (uint32_t step = 16; step > 0; step /= 2) {
      std::vector<float> before = plain;
      Register other = Device::shuffle_xor(moved, step);
      for (uint32_t i = 0; i < Device::lanes; i++) {
        plain[i] = before[i] + before[i ^ step];
        moved.lane[i] = std::bit_cast<uint32_t>(std::bit_cast<float>(moved.lane[i]) + std::bit_cast<float>(other.lane[i]));
      }
    }
    for (uint32_t i = 0; i < Device::lanes; i++) {
      expect(moved.lane[i] == std::bit_cast<uint32_t>(plain[i]), name + ": the sum in lane " + std::to_string(i));
    }
  }
}

}  // namespace

int main() {
  test_lanes<Gfx9>("gfx9");
  test_lanes<Rdna>("gfx10 and later");
  test_sums<Gfx9>("gfx9");
  test_sums<Rdna>("gfx10 and later");
  return report_expectations("xor_lanes");
}
