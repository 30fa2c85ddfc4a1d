// ops: what its parts share. A case makes inputs up, has a device compute an op, and compares with the oracle.
//
// To add a case, write a function that takes a Session and throws Wrong, and give it to `add` in the file of its op.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../../native/include/talaria.h"
#include "oracle.hpp"

namespace ops {

using oracle::Floats;
using oracle::Mode;
using oracle::Values;
using oracle::Weight;
using Words = std::vector<int32_t>;

// --- outcomes ---------------------------------------------------------------------------------------------------------

struct Wrong {
  std::string text;
};
struct Unsupported {
  std::string text;
};
struct Skipped {
  std::string text;
};
[[noreturn]] void wrong(const char* format, ...) __attribute__((format(printf, 1, 2)));
std::string text(const char* format, ...) __attribute__((format(printf, 1, 2)));

// --- cases ------------------------------------------------------------------------------------------------------------

class Session;

struct Case {
  std::string op, name;
  bool brief;  // also with --short
  std::function<void(Session&)> run;
};

class CaseList {
 public:
  void add(const char* op, bool brief, std::string name, std::function<void(Session&)> run) {
    cases.push_back({op, std::string(op) + " " + name, brief, std::move(run)});
  }
  std::vector<Case> cases;
};
void add_row_cases(CaseList& list);        // embed, add_slots, copy, zero, signal and wait
void add_product_cases(CaseList& list);    // attention_output
void add_attention_cases(CaseList& list);  // attention_input, attention
void add_route_cases(CaseList& list);
void add_expert_cases(CaseList& list);
void add_top_cases(CaseList& list);    // top_logits
void add_layer_cases(CaseList& list);  // all ops in one step

constexpr Mode modes[] = {Mode::HALF, Mode::INT8};
inline const char* name_of(Mode mode) { return mode == Mode::HALF ? "half" : "int8"; }
inline const char* name_of(int32_t type) { return oracle::format(type).name; }
// Columns that a format allows: `size` values of a plain format, else so many blocks but few of 256.
int64_t columns_of(int32_t type, int64_t size);
// Sizes around the widths of warps, blocks and tiles.
constexpr int64_t sizes[] = {1, 2, 3, 31, 32, 33, 63, 65, 127, 255, 257};
constexpr int64_t size_count = sizeof sizes / sizeof *sizes;

// --- bounds: normalised mean squared errors of one row (docs/architecture.md) -------------------------------------------

// F32 weights meet float32 rows in any mode, and nothing is rounded on the way: what is wrong in the last bits of a
// function shows there.
constexpr double exact_bound = 1e-10, float_bound = 1e-7, half_bound = 5e-7, attention_bound = 1e-6, bf16_bound = 1e-5;
double product_bound(int32_t weight_type, Mode mode);
// Of values within a bound that are then rounded to int8 codes: a few of them may fall to either side.
double rounded_bound(double bound);

// --- made-up inputs -----------------------------------------------------------------------------------------------------

struct Dice {
  uint64_t state;
  uint64_t next();
  int64_t below(int64_t sides) { return static_cast<int64_t>(next() % static_cast<uint64_t>(sides)); }
  double uniform(double low, double high);
  double normal();
};

Weight random_weight(int32_t type, int64_t matrices, int64_t rows, int64_t columns, uint64_t seed);
Weight f32_weight(int64_t matrices, int64_t rows, int64_t columns, const Floats& values);
Weight norm_weight(int64_t columns, uint64_t seed);
void copy_row(Weight& weight, int64_t from, int64_t to);  // so that whatever meets the two rows ties

// Normally distributed; in each row one value, somewhere, is 50 times larger. Every fifth row may be small as a whole.
Floats random_rows(int64_t rows, int64_t columns, uint64_t seed, bool small = true);
// Moves values, by less than the rounding itself, away from where two correct devices might round them differently: to int8
// codes where a quantised weight meets them so, to bfloat16 before a weight of that type, else to float16. `types` are of the
// weights that meet the rows, after a norm or as they are.
Floats settled(const Floats& x, int64_t columns, oracle::Rounding rounding, std::initializer_list<int32_t> types);
Floats settled(const Floats& x, const Weight& norm, float epsilon, oracle::Rounding rounding,
               std::initializer_list<int32_t> types);
inline Values exact(const Floats& x) { return Values(x.begin(), x.end()); }

// --- batches ------------------------------------------------------------------------------------------------------------

// Words of a batch. What no row uses holds hostile numbers: who reads it shows.
class Batch {
 public:
  explicit Batch(talaria_batch_shape shape);
  // `rows` rows of one sequence in a step with room for three more, or in one for exactly these.
  static Batch of(int64_t rows, bool spare = true);

  talaria_batch_shape shape;
  Words words;
  talaria::BatchLayout at;

  void row(int32_t token, int32_t position, int32_t table);
  void block(int32_t table, int32_t column, int32_t block);
  void want(int32_t row);  // the next wanted row; the calls below are about it
  void target(int32_t slot, int32_t token);
  void adjust(int32_t token, float penalty, float add);
  void allow(const std::vector<int32_t>& tokens);  // and no others

  int64_t rows() const { return words[0]; }
  int64_t wanted() const { return words[1]; }
  bool allowed(int64_t wanted, int64_t token) const;
  oracle::BatchView view() const { return {shape, words, at}; }
};

// --- the device ---------------------------------------------------------------------------------------------------------

// Throws what a call's code says.
void expect_ok(const talaria_status& status, const char* call);

// An open device of a library.
class Session {
 public:
  explicit Session(const char* library);
  ~Session();
  uint64_t device() const { return device_; }
  const talaria_device_info& info() const { return info_; }
  void reopen_if_lost();
  bool replay = true;  // every step runs twice, and must give the same bits

 private:
  void open();
  uint64_t backend_ = 0, device_ = 0;
  talaria_device_info info_{};
};

// How an op uses a tensor: reads it, adds to it, or writes it whatever was there (NaN, before).
enum class Use { READ, ADD, WRITE };

// An activation of `rows` rows that an op may use, more rows behind them that must stay as they are, and a fence in front.
struct Buffer {
  const char* label;
  uint64_t handle, fence;
  Use use;
  Words before, after;
  size_t live;  // words that the op may use
};

// What one case makes on a device: tensors, steps, runs. Everything is freed at its end.
class Rig {
 public:
  Rig(Session& session, Mode mode, const Batch& batch);
  ~Rig();
  Rig(const Rig&) = delete;

  const oracle::Rounding rounding;
  bool invariant = false;  // of the steps that begin from here on
  uint64_t weight(const Weight& weight, const char* label = "weight");
  uint64_t kv(int32_t type, int64_t layers, int64_t blocks, int64_t positions, int64_t width, const char* label);
  // Rows of `columns` words, one per row of the batch (or `rows` of them) plus spare ones.
  Buffer& floats(const char* label, const Floats& values, int64_t columns, Use use = Use::READ);
  Buffer& ints(const char* label, const Words& values, int64_t columns, Use use = Use::READ);
  Buffer& output(const char* label, int64_t rows, int64_t columns, int32_t type = TALARIA_F32);
  // [sources][rows + spare][used][hidden]; values are [sources][rows][used][hidden], or empty to be written.
  Buffer& slots(int64_t sources, int64_t used, int64_t hidden, const Floats& values);
  // A tensor of exactly these words.
  Buffer& plain(const char* label, int32_t type, std::vector<int64_t> shape, const Words& values, Use use);
  uint64_t host(const Words& values);

  // A step for batches of this batch's shape, from here on; the first one has begun.
  void begin(const Batch& batch);
  template <typename Args>
  void append(int32_t op, Args args) {
    args.size = sizeof args;
    append(op, &args, sizeof args);
  }
  // Runs the step, twice if the session replays, and checks what must not have changed. Ends the step.
  void run();
  void run_once();
  // The same in pieces: what the tensors held at first; the end of the step; a run; what it left, and what it may not.
  void restore();
  void end();
  void start();
  void check();

  static Floats floats_of(const Buffer& buffer);  // what the last run left in the rows that count
  static Words words_of(const Buffer& buffer);

 private:
  void append(int32_t op, const void* args, int64_t bytes);
  Buffer& add(const char* label, int32_t type, std::vector<int64_t> shape, Words words, size_t live, Use use);
  uint64_t tensor(int32_t kind, int32_t type, std::vector<int64_t> shape, const char* label);

  Session& session_;
  Batch batch_;
  uint64_t step_ = 0;
  std::vector<uint64_t> tensors_, hosts_;
  std::list<Buffer> buffers_;
};

// --- comparing ----------------------------------------------------------------------------------------------------------

// Row by row; names the first wrong value of the first wrong row.
void compare(const char* what, const Floats& computed, const Values& expected, int64_t columns, double bound);
// The same of what was added to `before`: the last bit of the sum is forgiven.
void compare_added(const char* what, const Floats& computed, const Values& expected, const Floats& before,
                   int64_t columns, double bound);
void compare_bits(const char* what, const Floats& computed, const Floats& expected, int64_t columns);

}  // namespace ops
