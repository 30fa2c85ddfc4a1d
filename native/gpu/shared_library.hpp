// A shared library that may not be there: opened by name, its functions found by name.
#pragma once

#include <dlfcn.h>

#include <initializer_list>

namespace talaria::gpu {

class SharedLibrary {
 public:
  SharedLibrary() = default;
  SharedLibrary(const SharedLibrary&) = delete;
  SharedLibrary& operator=(const SharedLibrary&) = delete;

  // Opens the first of the names that there is. Drivers' libraries are never closed: they have threads of their own.
  bool open(std::initializer_list<const char*> names) {
    for (const char* name : names) {
      if (handle_ == nullptr) handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    }
    return handle_ != nullptr;
  }

  // Whether the function is there; null if it is not.
  template <typename Function>
  bool find(Function*& function, const char* name) const {
    function = handle_ == nullptr ? nullptr : reinterpret_cast<Function*>(dlsym(handle_, name));
    return function != nullptr;
  }

 private:
  void* handle_ = nullptr;
};

}  // namespace talaria::gpu
