// PTX in the form that the machine runs: a kernel is a list of instructions whose operands are rows of a register file, one
// value for each of a warp's 32 lanes. Constants and special registers are rows like all others.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace ptx {

class Warp;
struct Instruction;

constexpr int lanes = 32;

// What is wrong with a text, or with what a kernel did; it ends the launch.
struct Trap : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What an instruction refuses to do, before it is known where: a Trap by the time it leaves the machine.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

using Run = void (*)(Warp& warp, const Instruction& instruction, uint32_t mask);

enum class Flow : uint8_t {
  NEXT,
  BRANCH,
  EXIT,
  BLOCK_BARRIER,
  WARP,  // all lanes of the warp that have not exited run it together
};

// Memory by who sees it: PTX calls these param, global, shared and local.
enum class Space : uint8_t { PARAMETER, GRID, BLOCK, THREAD, GENERIC };

// What is counted.
enum class Class : uint8_t { OTHER, FLOAT, INTEGER, DOT, MATRIX, MOVE, CONTROL, MEMORY };

// A register's row, as an offset into the file in bytes; for predicates, an index. Values of 64 bits have rows of 256 bytes,
// others of 128.
struct Operand {
  int32_t row = -1;
  bool wide = false;
};

struct Instruction {
  Run run = nullptr;
  Flow flow = Flow::NEXT;
  Class kind = Class::OTHER;
  Space space = Space::GENERIC;
  uint8_t bytes = 0;        // of each element in memory
  uint8_t vector = 1;       // elements in memory
  bool exempt = false;      // from the search for races: an access that is meant to meet others
  bool unchanging = false;  // reads what nobody may write while the launch runs
  bool guard_negated = false;
  int16_t guard = -1;   // a predicate
  int32_t text = 0;     // line in the module's text
  uint32_t target = 0;  // of a branch
  int64_t offset = 0;   // of an address, beyond its register
  Operand to[8], from[24];
};

struct Kernel {
  std::string name, file;
  std::vector<Instruction> code;
  std::vector<std::string> text;  // of each instruction
  std::vector<std::pair<Operand, uint64_t>> constants;
  std::vector<std::pair<Operand, int>> specials;  // numbers of special_names
  size_t file_bytes = 0;                          // of registers, of one warp
  int predicates = 0;
  uint32_t parameter_bytes = 0, shared_bytes = 0, local_bytes = 0, most_threads = 1024;
  int target = 0;  // 90 for sm_90a
};

inline const char* const special_names[] = {"%tid.x",    "%tid.y",    "%tid.z",  "%ctaid.x", "%ctaid.y",
                                            "%ctaid.z",  "%ntid.x",   "%ntid.y", "%ntid.z",  "%nctaid.x",
                                            "%nctaid.y", "%nctaid.z", "%laneid", "%warpid"};

// The kernels of a text. Throws Trap, which names the line that is not understood.
std::vector<std::unique_ptr<Kernel>> parse(const std::string& text, const std::string& file);

// Fills in how an instruction runs, by its name; false if there is none such.
bool find_operation(const std::string& name, Instruction& instruction);

// Whether a source of an operation, and what it gives, has 64 bits; of those that are not of memory.
bool reads_wide(const std::string& name, int index);
bool writes_wide(const std::string& name);

}  // namespace ptx
