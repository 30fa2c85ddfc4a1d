// Cases of attention_output, the plainest product: x += wo attended.
#include "ops.hpp"

namespace ops {

namespace {

struct Size {
  int64_t rows, outputs, columns;
};

void attention_output(Session& session, int32_t type, Mode mode, Size size, bool spare, uint64_t seed) {
  Weight wo = random_weight(type, 1, size.outputs, size.columns, seed);
  Rig rig(session, mode, Batch::of(size.rows, spare));
  Floats attended = settled(random_rows(size.rows, size.columns, seed + 1), size.columns, rig.rounding, {type});
  Floats before = random_rows(size.rows, size.outputs, seed + 2);
  Values expected = oracle::product(wo, 0, exact(attended), rig.rounding);
  for (size_t i = 0; i < expected.size(); i++) expected[i] += before[i];

  Buffer& x = rig.floats("x", before, size.outputs, Use::ADD);
  Buffer& in = rig.floats("attended", attended, size.columns);
  rig.append(TALARIA_OP_ATTENTION_OUTPUT,
             talaria_attention_output_args{.x = x.handle, .attended = in.handle, .wo = rig.weight(wo, "wo")});
  rig.run();
  compare_added("x", Rig::floats_of(x), expected, before, size.outputs, product_bound(type, mode));
}

}  // namespace

void add_product_cases(CaseList& list) {
  for (const oracle::Format& format : oracle::formats) {
    for (Mode mode : modes) {
      int32_t type = format.type;
      auto add = [&](Size size, bool spare, bool brief) {
        list.add("attention_output", brief,
                 text("%s %s %lld rows, %lld to %lld%s", format.name, name_of(mode), (long long)size.rows,
                      (long long)size.columns, (long long)size.outputs, spare ? "" : ", step full"),
                 [=](Session& s) { attention_output(s, type, mode, size, spare, size.rows * 31 + size.outputs); });
      };
      for (int64_t i = 0; i < size_count; i++) {
        int64_t outputs = sizes[(i * 4 + 5) % size_count], columns = columns_of(type, sizes[(i * 7 + 3) % size_count]);
        add({sizes[i], outputs, columns}, i % 3 != 0, sizes[i] == 1 || sizes[i] == 3 || sizes[i] == 33);
      }
      add({1, 512, columns_of(type, 512)}, false, true);
      add({65, 130, columns_of(type, 640)}, true, true);  // so many that tiles are taken on any GPU
      add({4, 33, columns_of(type, 64)}, false, false);
      add({5, 64, columns_of(type, 128)}, true, false);
      add({8, 96, columns_of(type, 32)}, false, false);
      add({16, 257, columns_of(type, 32)}, false, false);
      add({64, 128, columns_of(type, 255)}, false, false);
      add({129, 65, columns_of(type, 63)}, true, false);
    }
  }
}

}  // namespace ops
