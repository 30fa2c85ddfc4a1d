// What code behind a backend's table throws, and how the table's functions report it.
#pragma once

#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <system_error>

#include "../include/talaria.h"

namespace talaria {

struct Fault {
  int32_t code;  // talaria_code
  std::string text;
};

// Of a wait for an event that was abandoned.
inline constexpr const char* abandoned_text = "the device whose signal this one waited for has failed";

// Fills a status, without allocating; returns the code. In queue.cpp.
int32_t report(talaria_status* status, int32_t code, const char* text) noexcept;

// Runs the body of a function of a backend's table, which may throw, and reports.
template <typename Body>
int32_t reporting(talaria_status* status, Body body) noexcept {
  try {
    body();
    return TALARIA_OK;
  } catch (const Fault& fault) {
    return report(status, fault.code, fault.text.c_str());
  } catch (const std::bad_alloc&) {
    return report(status, TALARIA_OUT_OF_MEMORY, "the host is out of memory");
  } catch (const std::system_error&) {
    return report(status, TALARIA_OUT_OF_MEMORY, "the host has no more threads");
  } catch (const std::exception& thrown) {
    return report(status, TALARIA_INVALID, thrown.what());
  }
}

}  // namespace talaria
