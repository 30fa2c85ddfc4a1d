// Cases of embed, add_slots, copy, zero, signal and wait.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "ops.hpp"

namespace ops {

namespace {

// --- embed: what a weight decodes to, to the bit ------------------------------------------------------------------------

void embed(Session& session, int32_t type, Mode mode, int64_t rows, int64_t vocabulary, int64_t columns,
           uint64_t seed) {
  Weight table = random_weight(type, 1, vocabulary, columns, seed);
  Batch batch({static_cast<int32_t>(rows + 3), 0, 1, 1, 0, 0, 0, 0});
  Floats expected;
  for (int64_t row = 0; row < rows; row++) {
    auto token = static_cast<int32_t>((vocabulary - 1) * (row + 1) % vocabulary);
    batch.row(token, static_cast<int32_t>(row), 0);
    Floats values = table.row(0, token);
    expected.insert(expected.end(), values.begin(), values.end());
  }
  Rig rig(session, mode, batch);
  Buffer& x = rig.output("x", rows, columns);
  rig.append(TALARIA_OP_EMBED, talaria_embed_args{.x = x.handle, .table = rig.weight(table, "table")});
  rig.run();
  compare_bits("x", Rig::floats_of(x), expected, columns);
}

// --- add_slots: float32 sums in a given order, to the bit ----------------------------------------------------------------

void add_slots(Session& session, int64_t rows, int64_t sources, int64_t used, int64_t hidden, uint64_t seed) {
  Floats x = random_rows(rows, hidden, seed), slots = random_rows(sources * rows * used, hidden, seed + 1),
         expected = x;
  for (int64_t i = 0; i < rows * hidden; i++) {
    int64_t row = i / hidden, column = i % hidden;
    for (int64_t k = 0; k < used; k++) {
      float sum = 0;
      for (int64_t s = 0; s < sources; s++) {
        float slot = slots[((s * rows + row) * used + k) * hidden + column];
        sum = s == 0 ? slot : sum + slot;
      }
      expected[i] += sum;
    }
  }
  Rig rig(session, Mode::HALF, Batch::of(rows));
  Buffer& sum = rig.floats("x", x, hidden, Use::ADD);
  Buffer& added = rig.slots(sources, used, hidden, slots);
  rig.append(TALARIA_OP_ADD_SLOTS, talaria_add_slots_args{.x = sum.handle, .slots = added.handle});
  rig.run();
  compare_bits("x", Rig::floats_of(sum), expected, hidden);
}

// --- copy, zero -----------------------------------------------------------------------------------------------------------

Words numbers(size_t count, uint64_t seed) {
  Dice dice{seed};
  Words words(count);
  for (int32_t& word : words) word = static_cast<int32_t>(dice.next());  // NaNs too: bits are copied, not numbers
  return words;
}

enum class Way { DEVICE, FROM_HOST, TO_HOST };

// Copies the batch's rows between two offsets; whatever else the target holds must stay.
void copy(Session& session, Way way, int64_t rows, int64_t row_words, int64_t target_at, int64_t source_at) {
  Batch batch = Batch::of(rows);
  int64_t most = batch.shape.rows * row_words, count = rows * row_words;
  Words source = numbers(source_at + most + 5, 1), target = numbers(target_at + most + 7, 2), expected = target;
  std::copy_n(source.begin() + source_at, count, expected.begin() + target_at);
  Rig rig(session, Mode::HALF, batch);
  uint64_t from, to;
  Buffer* result = nullptr;
  auto size = [](const Words& words) { return std::vector<int64_t>{static_cast<int64_t>(words.size())}; };
  from = way == Way::FROM_HOST ? rig.host(source)
                               : rig.plain("source", TALARIA_I32, size(source), source, Use::READ).handle;
  if (way == Way::TO_HOST) {
    to = rig.host(target);
  } else {
    result = &rig.plain("target", TALARIA_I32, size(target), target, Use::ADD);
    to = result->handle;
  }
  rig.append(TALARIA_OP_COPY, talaria_copy_args{.target = to,
                                                .source = from,
                                                .target_offset = target_at * 4,
                                                .source_offset = source_at * 4,
                                                .row_bytes = row_words * 4});
  rig.run();
  Words computed(expected.size());
  if (result != nullptr) {
    computed = Rig::words_of(*result);
  } else {
    talaria_status status;
    talaria_read(0, to, 0, reinterpret_cast<uint8_t*>(computed.data()), computed.size() * 4, &status);
    expect_ok(status, "read");
  }
  for (size_t i = 0; i < expected.size(); i++) {
    if (computed[i] != expected[i]) wrong("target: word %zu is %08x, expected %08x", i, computed[i], expected[i]);
  }
}

// a to b; b, from its fourth word on, to the host; that to c; and then something else into a. Each copy has what the one before
// it wrote.
void copy_chain(Session& session, int64_t words) {
  Batch batch = Batch::of(1);
  Rig rig(session, Mode::HALF, batch);
  int64_t size = batch.shape.rows * words + 3;  // for whole batches, of which one row is there
  Words first = numbers(size, 6), other = numbers(size, 7);
  Buffer& a = rig.plain("a", TALARIA_I32, {size}, first, Use::ADD);
  Buffer& b = rig.plain("b", TALARIA_I32, {size}, other, Use::ADD);
  Buffer& c = rig.plain("c", TALARIA_I32, {size}, other, Use::ADD);
  Buffer& source = rig.plain("source", TALARIA_I32, {size}, other, Use::READ);
  uint64_t host = rig.host(other);
  auto copies = [&](uint64_t target, uint64_t from, int64_t from_word) {
    rig.append(TALARIA_OP_COPY,
               talaria_copy_args{.target = target, .source = from, .source_offset = from_word * 4, .row_bytes = words * 4});
  };
  copies(b.handle, a.handle, 0);
  copies(host, b.handle, 3);
  copies(c.handle, host, 0);
  copies(a.handle, source.handle, 0);
  rig.run();
  auto expect = [&](const Buffer& buffer, const Words& row, int64_t from, const Words& behind) {
    Words expected = behind;
    std::copy_n(row.begin() + from, words, expected.begin());
    if (Rig::words_of(buffer) != expected) wrong("%s: not what was copied there", buffer.label);
  };
  expect(a, other, 0, first);
  expect(b, first, 0, other);
  Words in_b = other;
  std::copy_n(first.begin(), words, in_b.begin());
  expect(c, in_b, 3, other);
}

void zero(Session& session, int64_t words, bool on_host) {
  Batch batch = Batch::of(1);
  Words full = numbers(words, 3);
  Rig rig(session, Mode::HALF, batch);
  Buffer& front = rig.plain("front", TALARIA_I32, {words}, full, Use::READ);
  Buffer& target = rig.plain("target", TALARIA_I32, {words}, full, Use::WRITE);
  Buffer& behind = rig.plain("behind", TALARIA_I32, {words}, full, Use::READ);
  uint64_t host = rig.host(full);
  (void)front, (void)behind;
  rig.append(TALARIA_OP_ZERO, talaria_zero_args{.target = on_host ? host : target.handle});
  rig.run();
  Words left = Rig::words_of(target);
  if (on_host) {
    talaria_status status;
    if (left != full) wrong("target: changed, though it was not the one to zero");
    talaria_read(0, host, 0, reinterpret_cast<uint8_t*>(left.data()), words * 4, &status);
    expect_ok(status, "read");
  }
  for (int64_t i = 0; i < words; i++) {
    if (left[i] != 0) wrong("target: word %lld is %08x, expected 0", static_cast<long long>(i), left[i]);
  }
}

// A step that signals and one that waits for it, between two ops whose order shows.
void signal_and_wait(Session& session) {
  talaria_status status;
  uint64_t event = talaria_event_new(&status);
  expect_ok(status, "event_new");
  struct Free {
    uint64_t event;
    ~Free() { talaria_event_free(event, nullptr); }
  } free{event};
  Rig rig(session, Mode::HALF, Batch::of(1));
  Words full = numbers(33, 4), other = numbers(33, 5);
  Buffer& source = rig.plain("source", TALARIA_I32, {33}, full, Use::READ);
  Buffer& target = rig.plain("target", TALARIA_I32, {33}, other, Use::WRITE);
  rig.append(TALARIA_OP_ZERO, talaria_zero_args{.target = target.handle});
  rig.append(TALARIA_OP_SIGNAL, talaria_event_args{.event = event});
  rig.append(TALARIA_OP_WAIT, talaria_event_args{.event = event});
  rig.append(TALARIA_OP_SIGNAL, talaria_event_args{.event = event});
  rig.append(TALARIA_OP_SIGNAL, talaria_event_args{.event = event});
  rig.append(TALARIA_OP_WAIT, talaria_event_args{.event = event});
  rig.append(TALARIA_OP_WAIT, talaria_event_args{.event = event});
  rig.append(TALARIA_OP_COPY, talaria_copy_args{.target = target.handle, .source = source.handle, .row_bytes = 32});
  rig.run();
  Words left = Rig::words_of(target);
  for (size_t i = 0; i < left.size(); i++) {
    if (left[i] != (i < 8 ? full[i] : 0)) wrong("target: word %zu is %08x", i, left[i]);
  }
  // Every signal has been taken: another wait finds none.
  if (talaria_event_wait(event, 1, &status) == TALARIA_OK) wrong("event: a signal was left over");
}

}  // namespace

void add_row_cases(CaseList& list) {
  for (const oracle::Format& format : oracle::formats) {
    int32_t type = format.type;
    for (int64_t i = 0; i < size_count; i++) {
      int64_t rows = sizes[i], columns = columns_of(type, sizes[(i * 3 + 2) % size_count]),
              vocabulary = sizes[i * 7 % size_count] + 3;
      Mode mode = modes[i % 2];
      bool brief = rows == 3 || rows == 33;
      list.add("embed", brief,
               text("%s %s %lld rows of %lld", name_of(type), name_of(mode), (long long)rows, (long long)columns),
               [=](Session& s) { embed(s, type, mode, rows, vocabulary, columns, i); });
    }
  }
  for (int64_t i = 0; i < size_count; i++) {
    int64_t rows = sizes[i], sources = i % 3 + 1, used = i % 4 + 1, hidden = sizes[(i * 5 + 4) % size_count];
    list.add("add_slots", i % 3 == 2,
             text("F32 %lld rows of %lld, %lld slots from %lld", (long long)rows, (long long)hidden, (long long)used,
                  (long long)sources),
             [=](Session& s) { add_slots(s, rows, sources, used, hidden, i); });
  }
  for (Way way : {Way::DEVICE, Way::FROM_HOST, Way::TO_HOST}) {
    const char* name = way == Way::DEVICE      ? "device to device"
                       : way == Way::FROM_HOST ? "host to device"
                                               : "device to host";
    for (int64_t i = 0; i < size_count; i++) {
      int64_t rows = sizes[i], width = sizes[(i * 5 + 3) % size_count], target = i % 4 * 3, source = i % 3 * 5;
      list.add("copy", i == 3, text("%s %lld rows of %lld words", name, (long long)rows, (long long)width),
               [=](Session& s) { copy(s, way, rows, width, target, source); });
    }
  }
  for (int64_t words : {1, 33, 5000, 70000}) {
    list.add("copy", true, text("of copies, %lld words", (long long)words),
             [=](Session& s) { copy_chain(s, words); });
  }
  for (int64_t words : {1, 3, 64, 255, 100001}) {
    for (bool host : {false, true}) {
      list.add("zero", words < 100, text("%lld words%s", (long long)words, host ? " of the host" : ""),
               [=](Session& s) { zero(s, words, host); });
    }
  }
  list.add("signal_wait", true, "in one step", signal_and_wait);
}

}  // namespace ops
