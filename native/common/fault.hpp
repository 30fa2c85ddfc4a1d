// What code behind a backend's table throws, and how the table's functions report it.
#pragma once

#include <cstdint>
#include <string>

#include "../include/talaria.h"

namespace talaria {

struct Fault {
  int32_t code;  // talaria_code
  std::string text;
};

}  // namespace talaria
