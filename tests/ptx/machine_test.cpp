// Tests of the machine that runs PTX: instructions against values that the PTX ISA's text gives, lanes that part and meet,
// registers that share rows, layouts of matrices, and all that must end a launch.
#include <cstdio>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "machine.hpp"

using namespace ptx;

namespace {

int64_t expectations = 0, failures = 0;

void expect(bool held, const std::string& what) {
  expectations++;
  if (!held && failures++ < 20) std::fprintf(stderr, "not so: %s\n", what.c_str());
}

// Words that kernels may touch.
struct Device {
  explicit Device(size_t n = 2046) : words(n) { Memory::all().add(words.data(), n * 4, false); }
  ~Device() { Memory::all().remove(words.data()); }
  std::vector<uint32_t> words;
};

// %rd0: the device's words, %rd1: that of the thread; %r0: the thread, %r1: the block.
std::string kernel(const std::string& body) {
  return ".version 8.0\n.target sm_90a\n.address_size 64\n.visible .entry test(\n.param .align 8 .b8 "
         "args[8]\n)\n.maxntid 1024\n{\n"
         ".reg .pred %p<4>;\n.reg .b16 %rs<10>;\n.reg .b32 %r<64>;\n.reg .b64 %rd<10>;\n"
         ".shared .align 16 .b8 shared[1024];\n.local .align 8 .b8 own[8];\n"
         "ld.param.u64 %rd0, [args];\nmov.u32 %r0, %tid.x;\nmov.u32 %r1, %ctaid.x;\n"
         "mul.wide.u32 %rd1, %r0, 4;\nadd.s64 %rd1, %rd0, %rd1;\n" +
         body + "\nret;\n}\n";
}

struct Shape {
  uint32_t threads = 32, blocks = 1;
  uint32_t early = 0;  // how many launches before this one may not have ended
};

uint32_t launches = 10;

// An empty string, or what is wrong with the kernel.
std::string complaint(const Device& device, const std::string& body, Shape shape = {}) {
  try {
    const auto kernels = parse(kernel(body), "test");
    Launch launch;
    launch.kernel = kernels.at(0).get();
    launch.grid[0] = shape.blocks, launch.threads[0] = shape.threads;
    launch.number = ++launches;
    if (shape.early != 0) launch.running_since = launch.number - shape.early;
    const void* words = device.words.data();
    launch.parameters.resize(sizeof words);
    std::memcpy(launch.parameters.data(), &words, sizeof words);
    run(launch);
  } catch (const Trap& trap) {
    return trap.what();
  }
  return {};
}

// The body leaves a word in %r9.
void expect_words(const std::string& body, const std::function<uint32_t(uint32_t)>& wanted, uint32_t threads = 32) {
  Device device;
  const std::string wrong = complaint(device, body + "\nst.global.u32 [%rd1], %r9;", {threads});
  expect(wrong.empty(), body + ": " + wrong);
  for (uint32_t t = 0; t < threads && wrong.empty(); t++) {
    expect(device.words[t] == wanted(t), body + ": thread " + std::to_string(t) + " has " +
                                             std::to_string(device.words[t]) + ", not " + std::to_string(wanted(t)));
  }
}
void expect_word(const std::string& body, uint32_t wanted) {
  expect_words(body, [=](uint32_t) { return wanted; });
}

// --- instructions -------------------------------------------------------------------------------------------------------

// `op` with "D" for %r9, and words for %r2 to %r4.
void expect_op(const std::string& op, std::initializer_list<uint32_t> sources, uint32_t wanted) {
  std::string body;
  int number = 2;
  for (uint32_t s : sources) body += "mov.u32 %r" + std::to_string(number++) + ", " + std::to_string(s) + ";\n";
  expect_word(body + op + ";", wanted);
}

// An operation of three operands of 16 bits, or with a result of 64 of which the high half counts.
std::string narrow(const std::string& op, const std::string& sign) {
  return "cvt.u16.u32 %rs1, %r2; cvt.u16.u32 %rs2, %r3; " + op + "; cvt." + sign + "32." + sign + "16 %r9, %rs0";
}
std::string high(const std::string& op) { return op + "; mov.b64 {%r8, %r9}, %rd9"; }

void test_integers() {
  expect_op("bfe.u32 %r9, %r2, 8, 16", {0x12345678}, 0x3456);
  expect_op("bfe.u32 %r9, %r2, 28, 8", {0xf0000000}, 0xf);
  expect_op("bfe.u32 %r9, %r2, 40, 8", {0xf0000000}, 0);
  expect_op("bfe.u32 %r9, %r2, 0, 32", {0xf0000001}, 0xf0000001);
  expect_op("bfe.u32 %r9, %r2, 0x104, 0x108", {0x12345678}, 0x67);  // eight bits of both count
  expect_op("bfe.s32 %r9, %r2, 4, 4", {0xf0}, 0xffffffff);
  expect_op("bfe.s32 %r9, %r2, 4, 4", {0x70}, 7);
  expect_op("bfe.s32 %r9, %r2, 28, 8", {0x90000000}, 0xfffffff9);
  expect_op("bfe.s32 %r9, %r2, 100, 8", {0x80000000}, 0xffffffff);
  expect_op("bfe.s32 %r9, %r2, 40, 30", {0x80000000}, 0xffffffff);
  expect_op("bfe.s32 %r9, %r2, 31, 0", {0x80000000}, 0);
  expect_op("bfi.b32 %r9, %r2, %r3, 28, 8", {0xfe, 0x12345678}, 0xe2345678);
  expect_op("bfi.b32 %r9, %r2, %r3, 32, 8", {0xff, 0x12345678}, 0x12345678);
  expect_op("bfi.b32 %r9, %r2, %r3, 8, 0", {0xff, 0x12345678}, 0x12345678);
  expect_op(high("mov.b64 %rd2, {%r2, %r2}; mov.b64 %rd3, {%r3, %r3}; bfi.b64 %rd9, %rd2, %rd3, 60, 8"),
            {0xfa, 0x12345678}, 0xa2345678);
  expect_op("prmt.b32 %r9, %r2, %r3, 0x7046", {0x44332211, 0x88776655}, 0x88115577);
  expect_op("prmt.b32 %r9, %r2, %r3, 0x0f80", {0x44332211, 0x88776655}, 0x11ff0011);  // signs
  expect_op("shl.b32 %r9, %r2, 32", {1}, 0);
  expect_op("shl.b32 %r9, %r2, 31", {3}, 0x80000000);
  expect_op("shr.u32 %r9, %r2, 40", {0x80000000}, 0);
  expect_op("shr.s32 %r9, %r2, 40", {0x80000000}, 0xffffffff);
  expect_op("shr.s32 %r9, %r2, %r3", {0x80000000, 0xffffffff}, 0xffffffff);
  expect_op(narrow("shr.s16 %rs0, %rs1, 3", "s"), {0x18000, 0}, 0xfffff000);
  expect_op(narrow("shr.u16 %rs0, %rs1, 3", "u"), {0x18000, 0}, 0x1000);
  expect_op(narrow("shl.b16 %rs0, %rs1, 16", "u"), {0xffff, 0}, 0);
  expect_op(high("mov.b64 %rd2, {%r2, %r3}; shr.s64 %rd9, %rd2, 70"), {1, 0x80000000}, 0xffffffff);
  expect_op(high("mov.b64 %rd2, {%r2, %r3}; shr.u64 %rd9, %rd2, 1"), {1, 0x80000000}, 0x40000000);
  expect_op("mul.lo.s32 %r9, %r2, %r3", {0x80000001, 3}, 0x80000003);
  expect_op(narrow("mul.lo.s16 %rs0, %rs1, %rs2", "s"), {0xffff, 0xffff}, 1);
  expect_op(narrow("add.s16 %rs0, %rs1, %rs2", "s"), {0x7fff, 1}, 0xffff8000);
  expect_op(narrow("div.u16 %rs0, %rs1, %rs2", "u"), {0x1fffe, 3}, 0x5554);
  expect_op(narrow("min.s16 %rs0, %rs1, %rs2", "s"), {0xffff, 1}, 0xffffffff);
  expect_op("cvt.u16.u32 %rs1, %r2; mul.wide.s16 %r9, %rs1, 3", {0xfffe}, 0xfffffffa);
  expect_op("cvt.u16.u32 %rs1, %r2; mul.wide.u16 %r9, %rs1, 3", {0xfffe}, 0x2fffa);
  expect_op(high("mul.wide.s32 %rd9, %r2, %r3"), {0xffffffff, 2}, 0xffffffff);
  expect_op(high("mul.wide.u32 %rd9, %r2, %r3"), {0xffffffff, 2}, 1);
  expect_op(high("mov.b64 %rd2, {%r4, %r4}; mad.wide.s32 %rd9, %r2, %r3, %rd2"), {0xffffffff, 2, 1}, 0);
  expect_op("div.s32 %r9, %r2, -1", {0x80000000}, 0x80000000);
  expect_op("rem.s32 %r9, %r2, -1", {0x80000000}, 0);
  expect_op("div.s32 %r9, %r2, 2", {0xfffffff9}, 0xfffffffd);
  expect_op("rem.s32 %r9, %r2, 2", {0xfffffff9}, 0xffffffff);
  expect_op("neg.s32 %r9, %r2", {0x80000000}, 0x80000000);
  expect_op("cvt.s8.s32 %r9, %r2", {0x180}, 0xffffff80);
  expect_op("cvt.u8.s32 %r9, %r2", {0x1ff}, 0xff);
  expect_op("cvt.u16.u32 %rs1, %r2; cvt.s16.s8 %rs2, %rs1; cvt.s32.s16 %r9, %rs2", {0xff80}, 0xffffff80);
  expect_op(high("cvt.s64.s32 %rd9, %r2"), {0x80000000}, 0xffffffff);
  expect_op(high("cvt.u64.u32 %rd9, %r2"), {0x80000000}, 0);
  expect_op("dp4a.s32.s32 %r9, %r2, %r3, %r4", {0x80ff7f01, 0x80027f02, 10}, 2 + 16129 - 2 + 16384 + 10);
  expect_op("setp.lt.s32 %p0, %r2, 1; selp.b32 %r9, 5, 6, %p0", {0xffffffff}, 5);
  expect_op("setp.lt.u32 %p0, %r2, 1; selp.b32 %r9, 5, 6, %p0", {0xffffffff}, 6);
  expect_op(
      "setp.lt.u32 %p0, %r2, 1; not.pred %p1, %p0; xor.pred %p2, %p0, %p1; @!%p2 mov.u32 %r2, 9; selp.b32 %r9, %r2, 6, "
      "%p1",
      {7}, 7);
  expect_op("mov.b32 {%rs1, %rs2}, %r2; mov.b32 %r9, {%rs2, %rs1}", {0x12345678}, 0x56781234);
  expect_op("st.global.u32 [%rd1], %r2; ld.global.s8 %r9, [%rd1+1]", {0x12348078}, 0xffffff80);
  expect_op("st.global.u32 [%rd1], %r2; st.global.u8 [%rd1+1], %r3; ld.global.u32 %r9, [%rd1]", {0x12345678, 0xabcd},
            0x1234cd78);
  expect_op(
      "st.local.u32 [own+4], %r2; mov.u64 %rd2, own; cvta.local.u64 %rd3, %rd2; ld.u64 %rd4, [%rd3]; shr.u64 %rd5, "
      "%rd4, 32; cvt.u32.u64 %r9, %rd5",
      {77}, 77);
}

void test_floats() {
  const uint32_t nan = 0x7fc12345, one = 0x3f800000, two = 0x40000000, minus_zero = 0x80000000, the_nan = 0x7fffffff;
  expect_op("add.rn.f32 %r9, %r2, %r3", {nan, one}, the_nan);
  expect_op("min.f32 %r9, %r2, %r3", {nan, one}, one);
  expect_op("max.f32 %r9, %r2, %r3", {one, nan}, one);
  expect_op("max.f32 %r9, %r2, %r3", {nan, nan}, the_nan);
  for (int turned = 0; turned < 2; turned++) {
    expect_op(turned ? "min.f32 %r9, %r2, %r3" : "min.f32 %r9, %r3, %r2", {minus_zero, 0}, minus_zero);
    expect_op(turned ? "max.f32 %r9, %r2, %r3" : "max.f32 %r9, %r3, %r2", {minus_zero, 0}, 0);
  }
  expect_op("fma.rn.f32 %r9, %r2, %r2, %r3", {0x3f800800, 0xbf801000}, 0x33800000);  // rounded once
  expect_op("mul.rn.f32 %r9, %r2, %r3", {0x00800000, 0x3f000000}, 0x00400000);       // not flushed
  expect_op("div.rn.f32 %r9, %r2, %r3", {one, 0x40400000}, 0x3eaaaaab);
  expect_op("rcp.rn.f32 %r9, %r2", {minus_zero}, 0xff800000);
  expect_op("sqrt.rn.f32 %r9, %r2", {two}, 0x3fb504f3);
  expect_op("cvt.rni.f32.f32 %r9, %r2", {0xbf000000}, minus_zero);
  expect_op("cvt.rni.s32.f32 %r9, %r2", {0x40200000}, 2);  // 2.5
  expect_op("cvt.rni.s32.f32 %r9, %r2", {0x40600000}, 4);  // 3.5
  expect_op("cvt.rzi.s32.f32 %r9, %r2", {0xbfc00000}, 0xffffffff);
  expect_op("cvt.rzi.s32.f32 %r9, %r2", {nan}, 0);
  expect_op("cvt.rzi.s32.f32 %r9, %r2", {0x4f800000}, 0x7fffffff);
  expect_op("cvt.rzi.s32.f32 %r9, %r2", {0xcf800000}, 0x80000000);
  expect_op("cvt.rzi.s16.f32 %rs1, %r2; cvt.s32.s16 %r9, %rs1", {0xc7800000}, 0xffff8000);  // -65536
  expect_op("cvt.rn.f32.u32 %r9, %r2", {0xffffffff}, 0x4f800000);
  expect_op("cvt.rn.f32.s32 %r9, %r2", {0xffffffff}, 0xbf800000);
  const std::pair<uint32_t, uint32_t> halves[] = {{0x477fefff, 0x7bff}, {0x477ff000, 0x7c00}, {nan, 0x7fff},
                                                  {0x33000000, 0},      {0x33000001, 1},      {0x3f801000, 0x3c00},
                                                  {0x3f803000, 0x3c02}};
  for (auto& [single, half] : halves) expect_op("cvt.rn.f16.f32 %rs1, %r2; cvt.u32.u16 %r9, %rs1", {single}, half);
  expect_op("cvt.u16.u32 %rs1, %r2; cvt.f32.f16 %r9, %rs1", {0x8001}, 0xb3800000);
  expect_op("sub.rn.f16x2 %r9, %r2, %r3", {0x7bff3c00, 0xfbff4000}, 0x7c00bc00);
  // Of a NaN and a number, and of numbers of which the first is less, as large, and more.
  struct {
    const char *name, *holds;
  } comparisons[] = {{"eq", "0010"},  {"ne", "0101"},  {"lt", "0100"},  {"le", "0110"},  {"gt", "0001"},
                     {"ge", "0011"},  {"num", "0111"}, {"equ", "1010"}, {"neu", "1101"}, {"ltu", "1100"},
                     {"leu", "1110"}, {"gtu", "1001"}, {"geu", "1011"}, {"nan", "1000"}};
  for (auto& c : comparisons) {
    const std::string op = std::string("setp.") + c.name + ".f32 %p0, %r2, %r3; selp.b32 %r9, 1, 0, %p0";
    auto holds = [&](int i) { return static_cast<uint32_t>(c.holds[i] - '0'); };
    expect_op(op, {nan, one}, holds(0));
    expect_op(op, {one, nan}, holds(0));
    expect_op(op, {one, two}, holds(1));
    expect_op(op, {two, two}, holds(2));
    expect_op(op, {two, one}, holds(3));
  }
}

// --- control flow and registers -----------------------------------------------------------------------------------------

void test_flow() {
  // A loop of as many rounds as the lane says, after which all meet for a shuffle.
  expect_words(
      "mov.u32 %r2, 0; mov.u32 %r3, 0;\n$L_loop:\nadd.s32 %r3, %r3, %r2; add.s32 %r2, %r2, 1; setp.le.u32 %p0, %r2, "
      "%r0; @%p0 bra $L_loop;\n"
      "shfl.sync.bfly.b32 %r9, %r3, 5, 0x1f, 0xffffffff;",
      [](uint32_t t) { return (t ^ 5) * ((t ^ 5) + 1) / 2; });
  // Two ways that join.
  expect_words(
      "and.b32 %r2, %r0, 1; setp.eq.u32 %p0, %r2, 0; @%p0 bra $L_even;\nadd.s32 %r3, %r0, 100; bra.uni "
      "$L_join;\n$L_even:\n"
      "add.s32 %r3, %r0, 200;\n$L_join:\nshfl.sync.idx.b32 %r9, %r3, 7, 0x1f, 0xffffffff;",
      [](uint32_t) { return 107u; });
  // Lanes that loop come to those that wait, further up in the text.
  expect_words(
      "mov.u32 %r3, 1; setp.ge.u32 %p0, %r0, 16; @%p0 bra $L_loop;\n$L_meet:\nshfl.sync.idx.b32 %r9, %r3, 31, 0x1f, "
      "0xffffffff; bra.uni $L_end;\n"
      "$L_loop:\nadd.s32 %r3, %r3, 1; setp.le.u32 %p0, %r3, %r0; @%p0 bra $L_loop;\nbra.uni $L_meet;\n$L_end:",
      [](uint32_t) { return 32u; });
  // Those that end do not keep others waiting.
  expect_words(
      "setp.ge.u32 %p0, %r0, 16; @%p0 bra $L_other;\nbar.warp.sync 0xffffffff; add.s32 %r9, %r0, 1; bra.uni $L_end;\n"
      "$L_other:\nst.global.u32 [%rd1], %r0; ret;\n$L_end:",
      [](uint32_t t) { return t < 16 ? t + 1 : t; });
  // Guards that hold nowhere skip even what all lanes have to run together.
  expect_words(
      "setp.gt.u32 %p0, %r0, 99; @%p0 bar.warp.sync 0xffffffff; @%p0 barrier.sync 0; mov.u32 %r9, 3;",
      [](uint32_t) { return 3u; }, 64);
  // Blocks not in the order of the text: %r2 is read in front of where %r4 to %r6 live, and after it.
  expect_words(
      "mov.u32 %r2, 1000; mov.u32 %r3, 0; bra.uni $L_start;\n$L_end:\nadd.s32 %r9, %r2, %r3; bra.uni "
      "$L_store;\n$L_start:\nmov.u32 %r4, 5; bra.uni $L_test;\n"
      "$L_body:\nadd.s32 %r5, %r4, 1; mul.lo.s32 %r6, %r5, 2; add.s32 %r3, %r3, %r6;\n$L_test:\nsetp.lt.u32 %p0, %r3, "
      "%r0; @%p0 bra $L_body;\nbra.uni $L_end;\n$L_store:",
      [](uint32_t t) { return 1000 + (t + 11) / 12 * 12; });
  // %r2 lives where %r4 and %r5 do, in front of all that names it.
  expect_words(
      "bra.uni $L_start;\n$L_through:\nadd.s32 %r4, %r0, 1; add.s32 %r5, %r4, %r4; st.global.u32 [%rd1], %r5; bra.uni "
      "$L_end;\n"
      "$L_start:\nmov.u32 %r2, 1000; bra.uni $L_through;\n$L_end:\nadd.s32 %r9, %r2, 1;",
      [](uint32_t) { return 1001u; });
  // %r8 is written under a guard: it keeps its row, though nobody in the loop reads it after %r4 to %r7 are written.
  expect_words(
      "mov.u32 %r8, 0; mov.u32 %r2, 0;\n$L_loop:\nsetp.eq.u32 %p0, %r2, %r0; @%p0 add.s32 %r8, %r2, 100; st.global.u32 "
      "[%rd1+512], %r8;\n"
      "mul.lo.s32 %r4, %r2, 3; add.s32 %r5, %r4, 1; xor.b32 %r6, %r5, %r4; add.s32 %r7, %r6, %r5; st.global.u32 "
      "[%rd1], %r7;\n"
      "add.s32 %r2, %r2, 1; setp.lt.u32 %p0, %r2, 40; @%p0 bra $L_loop;\nld.global.u32 %r9, [%rd1+512];",
      [](uint32_t t) { return t + 100; });
  // Inner braces have registers of their own, guards too.
  expect_words(
      "mov.u32 %r9, 4;\n{ .reg .pred q; .reg .b32 tmp; setp.gt.u32 q, %r0, 9; mov.u32 tmp, 8; @q mov.u32 %r9, tmp; }\n"
      "{ .reg .pred q; setp.gt.u32 q, %r0, 19; @!q add.s32 %r9, %r9, 1; }",
      [](uint32_t t) { return t > 19  ? 8
                              : t > 9 ? 9
                                      : 5u; });
}

// --- matrices -----------------------------------------------------------------------------------------------------------

struct At {
  int row, column, part = 0;  // of the four products of m8n8k4
};
struct Product {
  const char* name;
  int m, k, per;  // elements of a word
  bool bfloat;
  At (*a)(int group, int lane, int i), (*b)(int group, int lane, int i);  // lanes of a group of four, as in the ISA
};

int multiplied(int row, int column, int k, int part) { return (row * 7 + column * 13 + k * 5 + part * 3) % 15 - 7; }

void test_product(const Product& p) {
  const int parts = p.k == 4 ? 4 : 1;
  const int words[] = {parts * p.m * p.k / p.per / 32, parts * 8 * p.k / p.per / 32, parts * p.m * 8 / 32};
  const bool bytes = p.per == 4;
  auto encode = [&](int v) -> uint32_t {
    if (bytes) return static_cast<uint8_t>(v);
    return p.bfloat ? std::bit_cast<uint32_t>(static_cast<float>(v)) >> 16
                    : __builtin_bit_cast(uint16_t, static_cast<_Float16>(v));
  };
  auto whole = [&](int v) { return bytes ? static_cast<uint32_t>(v) : std::bit_cast<uint32_t>(static_cast<float>(v)); };
  auto a_value = [](At at) { return multiplied(at.row, at.column, 1, at.part); };
  auto b_value = [](At at) { return multiplied(at.row, at.column, 2, at.part); };
  auto c_place = [&](int lane, int i) -> At {
    if (parts == 4) return {(lane & 1) + (i & 2) + (lane < 16 ? 0 : 4), (i & 4) + (lane & 2) + (i & 1), lane % 16 / 4};
    return {i < 2 ? lane / 4 : lane / 4 + 8, lane % 4 * 2 + (i & 1)};
  };
  Device device;
  std::string body = "mul.wide.u32 %rd2, %r0, 128; add.s64 %rd2, %rd0, %rd2;\n", operands[4];
  int word = 0;
  for (int matrix = 0; matrix < 3; matrix++) {
    for (int w = 0; w < words[matrix]; w++, word++) {
      body += "ld.global.u32 %r" + std::to_string(10 + word) + ", [%rd2+" + std::to_string(4 * word) + "];\n";
      operands[matrix + 1] += (w == 0 ? "" : ", ") + ("%r" + std::to_string(10 + word));
      for (int lane = 0; lane < 32; lane++) {
        uint32_t& to = device.words[static_cast<size_t>(lane * 32 + word)];
        const int group = parts == 4 ? lane : lane / 4, in_group = lane % 4;
        if (matrix == 2)
          to = whole(multiplied(c_place(lane, w).row, c_place(lane, w).column, 9, c_place(lane, w).part));
        for (int e = 0; e < p.per && matrix < 2; e++) {
          const int i = w * p.per + e;
          to |= encode(matrix == 0 ? a_value(p.a(group, in_group, i)) : b_value(p.b(group, in_group, i)))
                << (32 / p.per * e);
        }
      }
    }
  }
  // D has the registers of C, the other way round.
  for (int w = 0; w < words[2]; w++) operands[0] += (w == 0 ? "" : ", ") + ("%r" + std::to_string(9 + word - w));
  body += std::string(p.name) + " {" + operands[0] + "}, {" + operands[1] + "}, {" + operands[2] + "}, {" +
          operands[3] + "};\n";
  for (int w = 0; w < words[2]; w++)
    body += "st.global.u32 [%rd2+" + std::to_string(4 * w) + "], %r" + std::to_string(9 + word - w) + ";\n";
  const std::string wrong = complaint(device, body);
  expect(wrong.empty(), wrong);
  for (int lane = 0; lane < 32; lane++) {
    for (int i = 0; i < words[2]; i++) {
      const At at = c_place(lane, i);
      int sum = multiplied(at.row, at.column, 9, at.part);
      for (int k = 0; k < p.k; k++) sum += a_value({at.row, k, at.part}) * b_value({k, at.column, at.part});
      expect(device.words[static_cast<size_t>(lane * 32 + i)] == whole(sum),
             std::string(p.name) + ", lane " + std::to_string(lane) + ", element " + std::to_string(i));
    }
  }
  expect(complaint(device, body, {16}).find("fewer lanes") != std::string::npos, "half a warp has no matrices");
}

void test_products() {
  const Product products[] = {
      {"mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32", 16, 32, 4, false,
       [](int g, int l, int i) {
         return At{i < 4 || (i >= 8 && i < 12) ? g : g + 8, l * 4 + (i & 3) + (i < 8 ? 0 : 16)};
       },
       [](int g, int l, int i) { return At{l * 4 + (i & 3) + (i < 4 ? 0 : 16), g}; }},
      {"mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32", 16, 16, 4, false,
       [](int g, int l, int i) { return At{i < 4 ? g : g + 8, l * 4 + (i & 3)}; },
       [](int g, int l, int i) { return At{l * 4 + i, g}; }},
      {"mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32", 8, 16, 4, false,
       [](int g, int l, int i) { return At{g, l * 4 + i}; }, [](int g, int l, int i) { return At{l * 4 + i, g}; }},
      {"mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", 16, 16, 2, false,
       [](int g, int l, int i) {
         return At{i < 2 || (i >= 4 && i < 6) ? g : g + 8, l * 2 + (i & 1) + (i < 4 ? 0 : 8)};
       },
       [](int g, int l, int i) { return At{l * 2 + (i & 1) + (i < 2 ? 0 : 8), g}; }},
      {"mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32", 16, 8, 2, false,
       [](int g, int l, int i) { return At{i < 2 ? g : g + 8, l * 2 + (i & 1)}; },
       [](int g, int l, int i) { return At{l * 2 + i, g}; }},
      {"mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32", 8, 4, 2, false,  // g: the lane of the warp
       [](int g, int l, int i) { return At{l + (g < 16 ? 0 : 4), i, g % 16 / 4}; },
       [](int g, int l, int i) { return At{i, l + (g < 16 ? 0 : 4), g % 16 / 4}; }}};
  for (const Product& p : products) test_product(p);
  Product bfloats = products[3];
  bfloats.name = "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", bfloats.bfloat = true;
  test_product(bfloats);
}

// Halves 100 r + c in rows r of block memory; lane l names row 31 - l.
void test_load_matrices() {
  for (int form = 0; form < 4; form++) {
    const int matrices = form % 2 == 0 ? 4 : 2;
    const bool transposed = form >= 2;
    std::string body = "mul.lo.s32 %r2, %r0, 100; shl.b32 %r3, %r0, 4; sub.s32 %r4, 496, %r3;\n";
    for (int w = 0; w < 4; w++) {
      const std::string to = "%r" + std::to_string(10 + w);
      body += "add.s32 %r5, %r2, " + std::to_string(2 * w) + "; add.s32 %r6, %r5, 1; shl.b32 %r7, %r6, 16; or.b32 " +
              to + ", %r5, %r7;\n";
    }
    body += "st.shared.v4.u32 [%r3], {%r10, %r11, %r12, %r13};\nbar.warp.sync 0xffffffff;\n";
    body += std::string("ldmatrix.sync.aligned.m8n8.x") + (matrices == 4 ? "4" : "2") + (transposed ? ".trans" : "") +
            ".shared.b16 " + (matrices == 4 ? "{%r20, %r21, %r22, %r23}" : "{%r20, %r21}") + ", [%r4];\n";
    for (int m = 0; m < matrices; m++) {
      expect_words(body + "mov.u32 %r9, %r2" + std::to_string(m) + ";", [=](uint32_t t) {
        auto half = [&](uint32_t e) {
          const uint32_t row = transposed ? t % 4 * 2 + e : t / 4, column = transposed ? t / 4 : t % 4 * 2 + e;
          return (31 - (static_cast<uint32_t>(m) * 8 + row)) * 100 + column;
        };
        return half(0) | half(1) << 16;
      });
    }
  }
}

// --- what must end a launch ---------------------------------------------------------------------------------------------

void expect_says(const std::string& part, const std::string& body, Shape shape = {}) {
  Device device;
  const std::string text = complaint(device, body, shape);
  expect(part.empty() ? text.empty() : text.find(part) != std::string::npos,
         body + ": \"" + text + "\" says \"" + part + "\"");
}

// %r2: the thread's byte in block memory, %r3: that of the thread's neighbour of the same warp, %r4: of the other warp's.
std::string in_block(const std::string& body) {
  return "shl.b32 %r2, %r0, 2; xor.b32 %r3, %r2, 4; xor.b32 %r4, %r2, 128; setp.eq.u32 %p0, %r0, 0; setp.eq.u32 %p1, "
         "%r0, 1; setp.eq.u32 %p2, %r0, 32;\n" +
         body;
}

void test_accesses() {
  expect_says("reads 4 bytes that nobody allocated", "ld.global.u32 %r9, [%rd0+8192];");
  expect_says("writes 4 bytes that nobody allocated", "st.global.u32 [%rd0+-4], %r0;");
  expect_says("that nobody allocated",
              "ld.global.u32 %r9, [%rd1]; mov.u64 %rd2, -4; ld.global.u32 %r9, [%rd2];");  // wraps
  expect_says(
      "lane 3 reads 16 bytes that nobody allocated",
      "mul.wide.u32 %rd2, %r0, 2720; add.s64 %rd3, %rd0, %rd2; ld.global.v4.u32 {%r5, %r6, %r7, %r8}, [%rd3+16];");
  expect_says("an odd address", "ld.global.u32 %r9, [%rd0+2];");
  const std::string ahead = "cp.async.bulk.prefetch.L2.global [%rd0], %r9;";
  expect_says("", "mov.u32 %r9, 64; " + ahead);
  expect_says("bytes that nobody allocated", "mov.u32 %r9, 16384; " + ahead);
  expect_says("other than multiples of 16 bytes", "mov.u32 %r9, 8; " + ahead);
  expect_says("other than multiples of 16 bytes", "mov.u32 %r9, 64; add.s64 %rd0, %rd0, 4; " + ahead);
  expect_says("an odd address", "ld.global.v4.u32 {%r5, %r6, %r7, %r8}, [%rd0+4];");
  expect_says("touches 4 bytes at 0x400 of 1024", "mov.u32 %r2, 1024; st.shared.u32 [%r2], %r0;");
  expect_says("touches 8 bytes at 0x4 of 1024", "ld.shared.u64 %rd2, [shared+4];");
  expect_says("touches 8 bytes at 0x8 of 8", "ld.param.u64 %rd2, [args+8];");
  expect_says("touches 4 bytes at 0x8 of 8", "st.local.u32 [own+8], %r0;");
  expect_says("touches what is not its own", "mov.u64 %rd2, own; cvta.local.u64 %rd3, %rd2; ld.u32 %r9, [%rd3+8];");
  expect_says("does not say that it is of block memory",
              "mov.u64 %rd2, shared; cvta.shared.u64 %rd3, %rd2; ld.u32 %r9, [%rd3];");
  expect_says("reads as unchanging what it wrote", "st.global.u32 [%rd1], %r0; ld.global.nc.u32 %r9, [%rd1];");
  expect_says("a division by zero: div.s32 %r9, %r1, %r2 (test, line", "mov.u32 %r2, 0; div.s32 %r9, %r1, %r2;");
  expect_says("a division by zero", "rem.u32 %r9, %r0, %r1;");
}

void test_block_races() {
  const std::string store = "st.shared.u32 [%r2], %r0;\n", sync = "bar.warp.sync 0xffffffff;\n",
                    barrier = "barrier.sync 0;\n";
  expect_says("reads what thread 0 wrote",
              in_block("@%p0 st.shared.u32 [shared], %r0; @%p2 ld.shared.u32 %r9, [shared];"), {64});
  expect_says("writes what thread 0 read",
              in_block("@%p0 ld.shared.u32 %r9, [shared]; @%p2 st.shared.u32 [shared], %r0;"), {64});
  expect_says("a race", in_block(store + "ld.shared.u32 %r9, [%r4];"), {64});
  expect_says("a race", in_block(store + sync + "ld.shared.u32 %r9, [%r4];"), {64});
  expect_says("", in_block(store + barrier + "ld.shared.u32 %r9, [%r4];"), {64});
  expect_says("reads what thread 1 wrote", in_block(store + "ld.shared.u32 %r9, [%r3];"));
  expect_says("reads what thread 1 wrote",
              in_block(store + "shfl.sync.bfly.b32 %r9, %r0, 1, 0x1f, 0xffffffff; ld.shared.u32 %r9, [%r3];"));
  expect_says("", in_block(store + sync + "ld.shared.u32 %r9, [%r3];"));
  expect_says("", in_block(store + "ld.shared.u32 %r9, [%r2];"));
  // Writes after reads; several readers are not forgotten when the writer is the last of them.
  expect_says("writes what thread 1 read", in_block("ld.shared.u32 %r9, [%r3]; st.shared.u32 [%r2], %r0;"));
  expect_says("", in_block("ld.shared.u32 %r9, [%r3];" + sync + "st.shared.u32 [%r2], %r0;"));
  expect_says(
      "writes what thread 0 and others read",
      in_block("ld.shared.u32 %r9, [shared]; @%p0 ld.shared.u32 %r9, [shared]; @%p0 st.shared.u32 [shared], %r0;"));
  expect_says("", in_block("ld.shared.u32 %r9, [shared];" + sync +
                           "@%p0 ld.shared.u32 %r9, [shared]; @%p0 st.shared.u32 [shared], %r0;"));
  expect_says("writes what thread 32 and others read",
              in_block("ld.shared.u32 %r9, [shared];" + sync +
                       "@%p2 ld.shared.u32 %r9, [shared]; @%p2 st.shared.u32 [shared], %r0;"),
              {64});
  expect_says("",
              in_block("ld.shared.u32 %r9, [shared];" + barrier +
                       "@%p2 ld.shared.u32 %r9, [shared]; @%p2 st.shared.u32 [shared], %r0;"),
              {64});
  // One value may be written by many, and another by none of them.
  expect_says("", in_block("st.shared.u32 [shared], %r1;"), {64});
  expect_says("writes another value", in_block("st.shared.u32 [shared], %r0;"));
  expect_says("writes another value", in_block("st.shared.u32 [shared], %r1; @%p2 st.shared.u32 [shared], %r0;"), {64});
  expect_says("", in_block("st.shared.u32 [shared], %r1;" + sync + "@%p1 st.shared.u32 [shared], %r0;"));
  expect_says("a race", in_block("st.shared.u32 [%r2], %r0; ld.shared.v4.u32 {%r5, %r6, %r7, %r8}, [shared+16];"));
  // Atomic operations may meet each other, and nothing else.
  const std::string add = "mov.u64 %rd2, shared; cvta.shared.u64 %rd3, %rd2; atom.add.u32 %r9, [%rd3], 1;";
  expect_says(
      "", in_block("@%p0 st.shared.u32 [shared], 0;" + barrier + add + add + barrier + "ld.shared.u32 %r9, [shared];"),
      {64});
  expect_says("adds to what thread 0 wrote", in_block("@%p0 st.shared.u32 [shared], 0;" + add));
  expect_says("adds to what thread 0 read", in_block("@%p0 ld.shared.u32 %r9, [shared];" + add), {64});
  expect_says("reads what thread 63 and others added to", in_block(add + "@%p2 ld.shared.u32 %r9, [shared];" + barrier),
              {64});
  expect_says(
      "touches 4 bytes at 0x400",
      in_block(add.substr(0, add.find("atom")) +
               "cvt.u64.u32 %rd4, %r0; shl.b64 %rd5, %rd4, 6; add.s64 %rd6, %rd3, %rd5; atom.add.u32 %r9, [%rd6], 1;"));
}

void test_grid_races() {
  const Shape two{1, 2}, three{1, 3};
  expect_says("block 1 writes what block 0 of the same launch use", "st.global.u32 [%rd0], %r0;", two);
  expect_says("block 1 reads what block 0",
              "setp.eq.u32 %p0, %r1, 0; @%p0 st.global.u32 [%rd0], %r0; ld.global.u32 %r9, [%rd0];", two);
  expect_says("block 1 writes what block 0",
              "setp.eq.u32 %p0, %r1, 1; @!%p0 ld.global.u32 %r9, [%rd0]; @%p0 st.global.u32 [%rd0], %r0;", two);
  expect_says("several blocks", "setp.eq.u32 %p0, %r1, 2; ld.global.u32 %r9, [%rd0]; @%p0 st.global.u32 [%rd0], %r0;",
              three);
  expect_says("",
              "ld.global.u32 %r9, [%rd0]; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd3, %rd0, %rd2; st.global.u32 [%rd3+4], "
              "%r9; ld.global.u32 %r9, [%rd3+4];",
              three);
  // Parts of a word.
  const std::string part = "cvt.u64.u32 %rd2, %r1; add.s64 %rd3, %rd0, %rd2;";
  expect_says("", part + "st.global.u8 [%rd3], %r0; ld.global.u8 %r9, [%rd3];", three);
  expect_says("a race", part + "st.global.u8 [%rd0+1], %r0;", two);
  expect_says("block 2 reads what several",
              part + "st.global.u8 [%rd3], %r0; setp.eq.u32 %p0, %r1, 2; @%p0 ld.global.u32 %r9, [%rd0];", three);
  expect_says("block 1 reads what block 0",
              "setp.eq.u32 %p0, %r1, 0; @%p0 st.global.u8 [%rd0], %r0; @%p0 st.global.u8 [%rd0+1], %r0; @!%p0 "
              "ld.global.u8 %r9, [%rd0];",
              two);
  // Those that are made for it; and blocks on several threads.
  expect_says(
      "", "st.relaxed.sys.global.u32 [%rd0], %r1; ld.relaxed.sys.global.u32 %r9, [%rd0]; atom.add.u32 %r9, [%rd0], 1;",
      three);
  expect_says("of the same launch",
              "setp.eq.u32 %p0, %r1, 70; @%p0 st.global.u32 [%rd0], %r0; ld.global.u32 %r9, [%rd0];", {32, 100});
}

void test_barriers() {
  const std::string half = "setp.lt.u32 %p0, %r0, 16;\n";
  expect_says("under a condition that not all lanes meet", half + "@%p0 barrier.sync 0;");
  expect_says("wait at different barriers",
              half + "@%p0 bra $L_one;\nbarrier.sync 0; bra.uni $L_end;\n$L_one:\nbarrier.sync 0;\n$L_end:");
  expect_says("lanes have ended that others wait for", half + "@%p0 ret; barrier.sync 0;");
  expect_says("warps have ended that others wait for", "setp.lt.u32 %p0, %r0, 32; @%p0 ret; barrier.sync 0;", {64});
  expect_says("", "barrier.sync 0;", {48});
  const std::string shuffle = "shfl.sync.idx.b32 %r9, %r0, 17, 0x1f, 0xffffffff;";
  expect_says("wait for the others, which do not come",
              half + "@%p0 bra $L_over;\n" + shuffle + "\n$L_over:\nbarrier.sync 0;");
  expect_says("part of a warp runs what all have to", half + "@%p0 " + shuffle);
  expect_says("takes from a lane that has ended", half + "@!%p0 ret; " + shuffle);
  expect_says("a shuffle within a part of a warp", "shfl.sync.idx.b32 %r9, %r0, 17, 0xf, 0xffffffff;");
  expect_says("a shuffle within a part of a warp", "shfl.sync.idx.b32 %r9, %r0, 17, 0x1f, 0xffff;");
  expect_says("a barrier of a part of a warp", "bar.warp.sync 0xffff;");
}

// Launches that begin before the one in front of them has ended.
void test_early_launches() {
  const std::string wait = "griddepcontrol.wait;\n", early = "before it has waited, a launch ";
  const std::string read = "ld.global.u32 %r9, [%rd1];\n", write = "st.global.u32 [%rd1], %r0;\n";
  struct {
    std::string first, second, says;
  } cases[] = {{write, read + wait, early + "reads"},
               {write, wait + read, ""},
               {write, write + wait, early + "writes"},
               {read, write + wait, early + "writes"},
               {read, read + wait, ""},
               {read, wait + write, ""},
               {write, "setp.eq.u32 %p0, %r0, 9; @!%p0 griddepcontrol.wait;\n" + read, early + "reads"},
               {"", write + read + wait, ""},
               {"", read, "none of an early launch's threads waits"}};
  for (auto& c : cases) {
    Device device;
    expect(complaint(device, c.first).empty(), c.first);
    const std::string text = complaint(device, c.second, {32, 1, 1});
    expect(c.says.empty() ? text.empty() : text.find(c.says) != std::string::npos,
           c.first + ", then " + c.second + ": \"" + text + "\" says \"" + c.says + "\"");
  }
  Device device;  // what has ended is in nobody's way
  expect(complaint(device, write).empty() && complaint(device, "").empty() &&
             complaint(device, read + wait, {32, 1, 1}).empty(),
         "a launch that has ended");
}

void test_refusals() {
  expect_says("there is no add.sat.s32", "add.sat.s32 %r9, %r0, %r1;");
  expect_says("there is no st.shared.u8", "st.shared.u8 [shared], %r0;");
  expect_says("there is no st.global.nc.u32", "st.global.nc.u32 [%rd1], %r0;");
  expect_says("there is no fma.rn.ftz.f32", "fma.rn.ftz.f32 %r9, %r0, %r1, %r2;");
  expect_says("no label $L_nowhere", "bra.uni $L_nowhere;");
  expect_says("a barrier of a part of a block", "barrier.sync 1;");
  expect_says("a barrier of a part of a block", "barrier.sync 0, 64;");
  expect_says("lanes may part where they may not", "setp.eq.u32 %p0, %r0, 0; @%p0 bra.uni $L_end;\n$L_end:");
  expect_says("other than two parts", "mov.b64 %rd2, {%rs1, %rs2, %rs3, %rs4};");
  expect_says("no number: 0d3FF0000000000000", "mov.u64 %rd2, 0d3FF0000000000000;");
  expect_says("no such register: %p9", "@%p9 ret;");
  expect_says("there is no register %r99", "mov.u32 %r9, %r99;");
  expect_says("the wrong width: %rd2", "cvt.s8.s32 %rd2, %r0;");
  expect_says("the wrong width: %rd2", "add.s32 %r9, %r0, %rd2;");
  expect_says("the wrong width: %r9", "ld.global.u64 %r9, [%rd1];");
  expect_says("the wrong width: %r0", "st.global.u64 [%rd1], %r0;");
  expect_says("the wrong width: %rd2", "ld.relaxed.sys.global.u32 %rd2, [%rd1];");
  expect_says("goes on behind its end", "@%p0");
}

}  // namespace

int main() {
  test_integers();
  test_floats();
  test_flow();
  test_products();
  test_load_matrices();
  test_accesses();
  test_block_races();
  test_grid_races();
  test_barriers();
  test_early_launches();
  test_refusals();
  std::printf("ptx_machine: %lld expectations, %lld failures\n", static_cast<long long>(expectations),
              static_cast<long long>(failures));
  return failures == 0 ? 0 : 1;
}
