// ops LIBRARY [--short] [--filter TEXT] [--list] [--verbose] [--first] [--no-replay]
//   each op of a backend against the oracle; exit 1 on a failure
// ops LIBRARY --bench [--filter TEXT] [--json] [--megabytes N]
//   the same ops at real shapes: time, bytes, bandwidth
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "ops_bench.hpp"

namespace ops {

namespace {

struct Count {
  int passed = 0, failed = 0, unsupported = 0, skipped = 0;
  double seconds = 0;
  std::string why;  // the first reason why a case is unsupported or skipped
};

// Runs a case and prints what is wrong with it.
void run_case(Session& session, const Case& c, Count& count, bool verbose) {
  auto begin = std::chrono::steady_clock::now();
  try {
    c.run(session);
    count.passed++;
  } catch (const Wrong& e) {
    count.failed++;
    std::printf("FAILED %s: %s\n", c.name.c_str(), e.text.c_str());
  } catch (const Unsupported& e) {
    count.unsupported++;
    if (count.why.empty()) count.why = e.text;
  } catch (const Skipped& e) {
    count.skipped++;
    if (count.why.empty()) count.why = e.text;
  }
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  count.seconds += seconds;
  if (verbose) std::printf("%8.3f s  %s\n", seconds, c.name.c_str());
  std::fflush(stdout);
}

int run_cases(Session& session, const std::vector<Case>& cases, bool stop, bool verbose) {
  std::vector<std::string> order;
  std::map<std::string, Count> counts;
  for (const Case& c : cases) {
    if (!counts.count(c.op)) order.push_back(c.op);
    run_case(session, c, counts[c.op], verbose);
    if (stop && counts[c.op].failed > 0) break;
    session.reopen_if_lost();
  }
  Count all;
  std::printf("%-18s%8s%8s%13s%9s%10s\n", "op", "passed", "failed", "unsupported", "skipped", "seconds");
  auto line = [](const char* name, const Count& n) {
    std::printf("%-18s%8d%8d%13d%9d%10.2f  %s\n", name, n.passed, n.failed, n.unsupported, n.skipped, n.seconds,
                n.why.c_str());
  };
  for (const std::string& op : order) {
    const Count& n = counts[op];
    line(op.c_str(), n);
    all.passed += n.passed, all.failed += n.failed, all.unsupported += n.unsupported, all.skipped += n.skipped;
    all.seconds += n.seconds;
  }
  line(session.info().name, all);
  return all.failed > 0 || all.passed == 0 ? 1 : 0;
}

struct Arguments {
  const char* library = nullptr;
  const char* filter = "";
  bool brief = false, list = false, first = false, verbose = false, bench = false,
       replay = true;  // first: stops at the first failure
  BenchOptions options;

  bool parse(int count, char** arguments) {
    for (int i = 1; i < count; i++) {
      const char* a = arguments[i];
      bool more = i + 1 < count;
      if (!std::strcmp(a, "--short"))
        brief = true;
      else if (!std::strcmp(a, "--list"))
        list = true;
      else if (!std::strcmp(a, "--verbose"))
        verbose = true;
      else if (!std::strcmp(a, "--first"))
        first = true;
      else if (!std::strcmp(a, "--bench"))
        bench = true;
      else if (!std::strcmp(a, "--json"))
        options.json = true;
      else if (!std::strcmp(a, "--no-replay"))
        replay = false;
      else if (!std::strcmp(a, "--filter") && more)
        filter = arguments[++i];
      else if (!std::strcmp(a, "--megabytes") && more)
        options.megabytes = std::atoll(arguments[++i]);
      else if (library == nullptr && a[0] != '-')
        library = a;
      else
        return false;
    }
    return library != nullptr && options.megabytes > 0;
  }
};

int run(const Arguments& arguments) {
  CaseList list;
  add_row_cases(list);
  add_attention_cases(list);
  add_product_cases(list);
  add_route_cases(list);
  add_expert_cases(list);
  add_top_cases(list);
  add_layer_cases(list);
  std::erase_if(list.cases, [&](const Case& c) {
    return (arguments.brief && !c.brief) || c.name.find(arguments.filter) == std::string::npos;
  });
  if (arguments.list) {
    for (const Case& c : list.cases) std::printf("%s\n", c.name.c_str());
    return 0;
  }
  try {
    Session session(arguments.library);
    session.replay = arguments.replay;
    if (arguments.bench) return bench(session, arguments.filter, arguments.options);
    return run_cases(session, list.cases, arguments.first, arguments.verbose);
  } catch (const Wrong& e) {
    std::fprintf(stderr, "ops: %s\n", e.text.c_str());
  } catch (const Unsupported& e) {
    std::fprintf(stderr, "ops: %s\n", e.text.c_str());
  } catch (const Skipped& e) {
    std::fprintf(stderr, "ops: %s\n", e.text.c_str());
  }
  return 4;
}

}  // namespace
}  // namespace ops

int main(int count, char** arguments) {
  ops::Arguments parsed;
  if (!parsed.parse(count, arguments)) {
    std::fprintf(stderr,
                 "usage: ops LIBRARY [--short] [--filter TEXT] [--list] [--verbose] [--first] [--no-replay]\n"
                 "       ops LIBRARY --bench [--filter TEXT] [--json] [--megabytes N]\n");
    return 2;
  }
  return ops::run(parsed);
}
