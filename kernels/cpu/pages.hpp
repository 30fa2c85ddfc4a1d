// Zeroed memory for tensors: in huge pages where the system has them, which are read a quarter faster than small ones and
// save most of the page faults of loading.
#pragma once

#include <cstddef>
#include <cstdint>

namespace talaria::cpu {

class Pages {
 public:
  explicit Pages(int64_t bytes);  // zeros; 0 takes nothing; throws std::bad_alloc
  static int64_t taken(int64_t bytes);  // rounded up to what is taken
  ~Pages();
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  uint8_t* data() const { return data_; }  // aligned to 64 bytes

 private:
  uint8_t* data_ = nullptr;
  size_t mapped_ = 0;  // bytes to unmap; 0: to be freed
};

}  // namespace talaria::cpu
