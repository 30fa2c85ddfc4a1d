// A step has the op many times, each with weights of its own, so that what is measured comes from memory and not from a cache.
#include "ops_bench.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <set>

namespace ops {

namespace {

constexpr int64_t hidden = 4096, ffn = 14336, expert_count = 8, used = 2, vocabulary = 32002;
constexpr int64_t head_count = 32, kv_heads = 8, head_dim = 128;
constexpr int64_t q_width = head_count * head_dim, kv_width = kv_heads * head_dim, block_positions = 32;
constexpr int runs = 9;

// An op and how many bytes of weights or KV one of it reads.
struct Op {
  int64_t bytes;
  std::function<void(Rig&)> append;  // one op; it makes its own weights
};

struct Bench {
  std::string op, name;
  Mode mode;
  std::function<Batch()> batch;
  std::function<Op(Rig&, const Batch&)> make;
};

// Made once per format and size: every op of a step gets a copy.
Weight quick_weight(int32_t type, int64_t matrices, int64_t rows, int64_t columns) {
  Weight weight = random_weight(type, 1, 64, columns, 1);
  Weight all{type, matrices, rows, columns, {}};
  all.bytes.resize(static_cast<size_t>(matrices * rows * all.row_bytes()));
  for (size_t at = 0; at < all.bytes.size(); at += weight.bytes.size()) {
    std::memcpy(&all.bytes[at], weight.bytes.data(), std::min(weight.bytes.size(), all.bytes.size() - at));
  }
  return all;
}

int64_t bytes_of(const Weight& weight) { return static_cast<int64_t>(weight.bytes.size()); }

Batch rows_at(int64_t rows, int64_t position, bool wanted) {
  auto n = static_cast<int32_t>(rows), columns = static_cast<int32_t>((position + rows) / block_positions + 1);
  Batch batch({n, wanted ? n : 0, 1, columns, 0, 0, 0, 0});
  for (int32_t column = 0; column < columns; column++) batch.block(0, column, (column * 7 + 3) % columns);
  if (columns % 7 == 0) {
    for (int32_t column = 0; column < columns; column++) batch.block(0, column, columns - 1 - column);
  }
  for (int32_t row = 0; row < n; row++) {
    batch.row(row, static_cast<int32_t>(position) + row, 0);
    if (wanted) batch.want(row);
  }
  return batch;
}

// --- the ops --------------------------------------------------------------------------------------------------------------

Op attention_output(Rig& rig, const Batch& batch, int32_t type) {
  uint64_t x = rig.floats("x", random_rows(batch.rows(), hidden, 1), hidden, Use::ADD).handle;
  uint64_t in = rig.floats("attended", random_rows(batch.rows(), q_width, 2), q_width).handle;
  Weight wo = quick_weight(type, 1, hidden, q_width);
  return {bytes_of(wo), [=](Rig& r) {
            r.append(TALARIA_OP_ATTENTION_OUTPUT,
                     talaria_attention_output_args{.x = x, .attended = in, .wo = r.weight(wo)});
          }};
}

Op attention_input(Rig& rig, const Batch& batch, int32_t type) {
  uint64_t x = rig.floats("x", random_rows(batch.rows(), hidden, 1), hidden).handle;
  uint64_t q = rig.output("q", batch.rows(), q_width).handle;
  uint64_t keys = rig.kv(TALARIA_F16, 1, batch.shape.blocks, block_positions, kv_width, "keys");
  uint64_t values = rig.kv(TALARIA_F16, 1, batch.shape.blocks, block_positions, kv_width, "values");
  uint64_t norm = rig.weight(norm_weight(hidden, 1));
  Weight wq = quick_weight(type, 1, q_width, hidden), wk = quick_weight(type, 1, kv_width, hidden);
  return {bytes_of(wq) + 2 * bytes_of(wk), [=](Rig& r) {
            r.append(TALARIA_OP_ATTENTION_INPUT, talaria_attention_input_args{.q = q,
                                                                              .x = x,
                                                                              .norm = norm,
                                                                              .wq = r.weight(wq),
                                                                              .wk = r.weight(wk),
                                                                              .wv = r.weight(wk),
                                                                              .keys = keys,
                                                                              .values = values,
                                                                              .layer = 0,
                                                                              .head_dim = head_dim,
                                                                              .rope_dims = head_dim,
                                                                              .rope_base = 1e6f,
                                                                              .epsilon = 1e-5f});
          }};
}

Op attention(Rig& rig, const Batch& batch, int32_t type) {
  uint64_t attended = rig.output("attended", batch.rows(), q_width).handle;
  uint64_t q = rig.floats("q", random_rows(batch.rows(), q_width, 2), q_width).handle;
  int64_t blocks = batch.shape.blocks;
  int64_t row_bytes = type == TALARIA_Q8_0 ? kv_width / 32 * 34 : kv_width * (type == TALARIA_F16 ? 2 : 4);
  return {2 * blocks * block_positions * row_bytes, [=](Rig& r) {
            uint64_t keys = r.kv(type, 1, blocks, block_positions, kv_width, "keys");
            uint64_t values = r.kv(type, 1, blocks, block_positions, kv_width, "values");
            r.append(TALARIA_OP_ATTENTION, talaria_attention_args{.attended = attended,
                                                                  .q = q,
                                                                  .keys = keys,
                                                                  .values = values,
                                                                  .layer = 0,
                                                                  .head_dim = head_dim,
                                                                  .scale = static_cast<float>(1 / std::sqrt(128.0))});
          }};
}

Op experts(Rig& rig, const Batch& batch, int32_t gate_type, int32_t down_type) {
  Dice dice{1};
  Words routing(batch.rows() * 2 * used, 0x3f000000);
  std::set<int32_t> met;
  for (int64_t row = 0; row < batch.rows(); row++) {
    auto first = static_cast<int32_t>(dice.below(expert_count));
    auto second = static_cast<int32_t>((first + 1 + dice.below(expert_count - 1)) % expert_count);
    routing[row * 4] = first, routing[row * 4 + 1] = second;
    met.insert({first, second});
  }
  uint64_t h = rig.floats("h", random_rows(batch.rows(), hidden, 1), hidden).handle;
  uint64_t chosen = rig.ints("routing", routing, 2 * used).handle, slots = rig.slots(1, used, hidden, {}).handle;
  Weight gate = quick_weight(gate_type, expert_count, ffn, hidden),
         down = quick_weight(down_type, expert_count, hidden, ffn);
  int64_t bytes = (2 * bytes_of(gate) + bytes_of(down)) / expert_count * static_cast<int64_t>(met.size());
  return {bytes, [=](Rig& r) {
            r.append(TALARIA_OP_EXPERTS, talaria_experts_args{.slots = slots,
                                                              .h = h,
                                                              .routing = chosen,
                                                              .gate = r.weight(gate),
                                                              .up = r.weight(gate),
                                                              .down = r.weight(down),
                                                              .map = 0});
          }};
}

Op route(Rig& rig, const Batch& batch) {
  uint64_t x = rig.floats("x", random_rows(batch.rows(), hidden, 1), hidden).handle;
  uint64_t h = rig.output("h", batch.rows(), hidden).handle;
  uint64_t routing = rig.output("routing", batch.rows(), 2 * used, TALARIA_I32).handle,
           norm = rig.weight(norm_weight(hidden, 1));
  Weight router = quick_weight(TALARIA_F32, 1, expert_count, hidden);
  return {bytes_of(router), [=](Rig& r) {
            r.append(
                TALARIA_OP_ROUTE,
                talaria_route_args{
                    .routing = routing, .h = h, .x = x, .norm = norm, .router = r.weight(router), .epsilon = 1e-5f});
          }};
}

Op top_logits(Rig& rig, const Batch& batch, int32_t type) {
  uint64_t x = rig.floats("x", random_rows(batch.rows(), hidden, 1), hidden).handle;
  uint64_t top = rig.output("top", batch.wanted(), 3 * 64 + 1, TALARIA_I32).handle,
           norm = rig.weight(norm_weight(hidden, 1));
  Weight output = quick_weight(type, 1, vocabulary, hidden);
  return {
      bytes_of(output), [=](Rig& r) {
        r.append(
            TALARIA_OP_TOP_LOGITS,
            talaria_top_logits_args{
                .top = top, .x = x, .norm = norm, .output = r.weight(output), .logits = 0, .k = 64, .epsilon = 1e-5f});
      }};
}

std::vector<Bench> all_benches() {
  std::vector<Bench> list;
  auto add = [&](const char* op, const std::string& format, Mode mode, int64_t rows, int64_t position, bool wanted,
                 auto make) {
    std::string name = text("%s %s %s %lld rows", op, format.c_str(), name_of(mode), (long long)rows);
    if (position > 0) name += text(" at %lld", (long long)position);
    list.push_back({op, name, mode, [=] { return rows_at(rows, position, wanted); }, make});
  };
  for (int64_t rows : {1, 4, 16, 128, 512}) {
    for (Mode mode : {Mode::INT8, Mode::HALF}) {
      for (int32_t type :
           {TALARIA_Q4_K, TALARIA_Q5_K, TALARIA_Q6_K, TALARIA_Q8_0, TALARIA_Q4_0, TALARIA_F16, TALARIA_BF16}) {
        add("attention_input", name_of(type), mode, rows, 0, false,
            [=](Rig& r, const Batch& b) { return attention_input(r, b, type); });
        add("attention_output", name_of(type), mode, rows, 0, false,
            [=](Rig& r, const Batch& b) { return attention_output(r, b, type); });
        add("experts", name_of(type), mode, rows, 0, false,
            [=](Rig& r, const Batch& b) { return experts(r, b, type, type); });
        if (rows <= 16)
          add("top_logits", name_of(type), mode, rows, 0, true,
              [=](Rig& r, const Batch& b) { return top_logits(r, b, type); });
      }
      add("experts", "Q4_K-Q6_K", mode, rows, 0, false,
          [=](Rig& r, const Batch& b) { return experts(r, b, TALARIA_Q4_K, TALARIA_Q6_K); });
    }
    for (int64_t position : {512, 4096, 31744}) {
      for (int32_t type : {TALARIA_F16, TALARIA_Q8_0}) {
        add("attention", type == TALARIA_F16 ? "KV-F16" : "KV-Q8_0", Mode::INT8, rows, position, false,
            [=](Rig& r, const Batch& b) { return attention(r, b, type); });
      }
    }
    add("route", "F32", Mode::INT8, rows, 0, false, [](Rig& r, const Batch& b) { return route(r, b); });
  }
  return list;
}

// --- measuring ------------------------------------------------------------------------------------------------------------

struct Result {
  double milliseconds;  // of one op
  int64_t bytes;
  int ops;
};

Result measure(Session& session, const Bench& b, const BenchOptions& options) {
  Batch batch = b.batch();
  Rig rig(session, b.mode, batch);
  Op op = b.make(rig, batch);
  int ops = static_cast<int>(std::clamp<int64_t>(options.megabytes * 1000000 / std::max<int64_t>(op.bytes, 1), 1, 64));
  for (int i = 0; i < ops; i++) op.append(rig);
  rig.end();
  rig.start();  // twice: the first run compiles, captures, or fetches pages
  rig.start();
  std::vector<double> times;
  for (int i = 0; i < runs; i++) {
    auto begin = std::chrono::steady_clock::now();
    rig.start();
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  }
  std::nth_element(times.begin(), times.begin() + runs / 2, times.end());
  return {times[runs / 2] / ops, op.bytes, ops};
}

}  // namespace

int bench(Session& session, const char* filter, const BenchOptions& options) {
  talaria_status status;
  double bandwidth =
      talaria_read_bandwidth(session.device(), std::max<int64_t>(options.megabytes, 64) * 1000000, &status);
  expect_ok(status, "read_bandwidth");
  if (options.json) {
    std::printf("{\"device\":\"%s\",\"read_bandwidth_gb_s\":%.2f}\n", session.info().name, bandwidth);
  } else {
    std::printf("%s: reads %.1f GB/s\n", session.info().name, bandwidth);
    std::printf("%-48s%12s%12s%10s%8s\n", "op", "ms", "MB", "GB/s", "share");
  }
  for (const Bench& b : all_benches()) {
    if (b.name.find(filter) == std::string::npos) continue;
    try {
      Result r = measure(session, b, options);
      double rate = static_cast<double>(r.bytes) / r.milliseconds / 1e6;
      if (options.json) {
        std::printf(
            "{\"op\":\"%s\",\"case\":\"%s\",\"ms\":%.5f,\"bytes\":%lld,\"gb_s\":%.2f,\"bandwidth_fraction\":%.4f,"
            "\"ops\":%d}\n",
            b.op.c_str(), b.name.c_str(), r.milliseconds, static_cast<long long>(r.bytes), rate, rate / bandwidth,
            r.ops);
      } else {
        std::printf("%-48s%12.4f%12.3f%10.1f%7.1f%%\n", b.name.c_str(), r.milliseconds,
                    static_cast<double>(r.bytes) / 1e6, rate, 100 * rate / bandwidth);
      }
    } catch (const Unsupported& e) {
      std::fprintf(stderr, "%s: unsupported: %s\n", b.name.c_str(), e.text.c_str());
    } catch (const Skipped& e) {
      std::fprintf(stderr, "%s: skipped: %s\n", b.name.c_str(), e.text.c_str());
    }
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace ops
