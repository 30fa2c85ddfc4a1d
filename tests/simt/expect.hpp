// Expectations of the emulator's tests: counted, the first few failures printed.
#pragma once

#include <cstdio>
#include <iostream>
#include <source_location>
#include <stdexcept>
#include <string>

#include "simt.hpp"

inline int64_t expectations = 0, failures = 0;

inline void expect(bool held, const std::string& what, std::source_location at = std::source_location::current()) {
  expectations++;
  if (held) return;
  if (failures++ < 20) std::fprintf(stderr, "%s:%u: not so: %s\n", at.file_name(), at.line(), what.c_str());
}

template <typename A, typename B>
void expect_equal(const A& actual, const B& wanted, std::source_location at = std::source_location::current()) {
  expectations++;
  if (actual == wanted) return;
  if (failures++ >= 20) return;
  std::cerr << at.file_name() << ":" << at.line() << ": " << actual << ", not " << wanted << "\n";
}

// An empty string, or what the emulator says is wrong.
template <typename Args>
std::string complaint(const char* kernel, talaria::simt::Grid grid, const Args& args,
                      talaria::simt::Order order = talaria::simt::Order::FORWARD) {
  try {
    talaria::simt::run(*talaria::simt::find(kernel), grid, &args, sizeof args, order, 7);
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return {};
}

// What main returns.
inline int report_expectations(const char* name) {
  std::printf("%s: %lld expectations, %lld failures\n", name, static_cast<long long>(expectations),
              static_cast<long long>(failures));
  return failures == 0 ? 0 : 1;
}
