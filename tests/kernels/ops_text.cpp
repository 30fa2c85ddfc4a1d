// Texts by printf's rules.
#include <cstdarg>
#include <cstdio>

#include "ops.hpp"

namespace ops {

std::string text(const char* format, ...) {
  char buffer[700];
  va_list list;
  va_start(list, format);
  std::vsnprintf(buffer, sizeof buffer, format, list);
  va_end(list);
  return buffer;
}

void wrong(const char* format, ...) {
  char buffer[700];
  va_list list;
  va_start(list, format);
  std::vsnprintf(buffer, sizeof buffer, format, list);
  va_end(list);
  throw Wrong{buffer};
}

}  // namespace ops
