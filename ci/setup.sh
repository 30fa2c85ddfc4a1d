#!/usr/bin/env bash
# Installs what a fresh Debian or Ubuntu lacks for building and testing Talaria; only lists it where it may not install.
# Does nothing if all is there. Fails if something is missing in the end.
set -u
# shellcheck source=ci/find-jdk.sh
. "$(dirname "${BASH_SOURCE[0]}")/find-jdk.sh"

say() {
  printf 'setup: %s\n' "$*" >&2
}

# Sets `packages` to what is missing, and `jdk` to the JDK or to nothing.
look() {
  packages=''
  command -v git >/dev/null || packages="$packages git"
  command -v mvn >/dev/null || packages="$packages maven"
  command -v cmake >/dev/null || packages="$packages cmake"
  command -v "${CXX:-c++}" >/dev/null || packages="$packages g++"
  command -v make >/dev/null || packages="$packages make"
  find_jdk javac
}

# Adds a JDK to `packages`, if this system has one that will do.
add_jdk() {
  local candidate
  for candidate in openjdk-21-jdk-headless openjdk-25-jdk-headless; do
    if apt-cache show "$candidate" >/dev/null 2>&1; then
      packages="$packages $candidate"
      return
    fi
  done
}

have_apt() {
  command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]
}

update_lists() {
  export DEBIAN_FRONTEND=noninteractive
  ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || apt-get update >&2
}

install() {
  update_lists
  [ -n "$jdk" ] || add_jdk
  [ -n "$packages" ] || return 0
  say "installing$packages"
  # shellcheck disable=SC2086 # a list of words
  apt-get install -y --no-install-recommends $packages >&2 ||
    { apt-get update >&2 && apt-get install -y --no-install-recommends $packages >&2; }
}

# What one stage alone needs, and says when it is missing: clang, lld and llvm of version 18 or later, for AMD's GPUs.
look_for_clang() {
  local version
  for version in 24 23 22 21 20 19 18; do
    if command -v "clang++-$version" && command -v "ld.lld-$version" && command -v "llvm-objdump-$version"; then
      return 0
    fi
  done >/dev/null
  return 1
}

install_clang() {
  local version
  update_lists
  for version in 19 20 21 18; do
    if apt-cache show "clang-$version" "lld-$version" "llvm-$version" >/dev/null 2>&1; then
      say "installing clang-$version, lld-$version and llvm-$version"
      apt-get install -y --no-install-recommends "clang-$version" "lld-$version" "llvm-$version" >&2 ||
        say "they could not be installed; kernels for AMD's GPUs are not tested"
      return
    fi
  done
  say "this system has no clang 18 or later; kernels for AMD's GPUs are not tested"
}

# The same: a loader of OpenCL, and PoCL, which makes a device of the processor.
look_for_opencl() {
  ls /etc/OpenCL/vendors/*.icd >/dev/null 2>&1 && { ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null | grep -q libOpenCL
}

install_opencl() {
  update_lists
  if apt-cache show pocl-opencl-icd ocl-icd-libopencl1 >/dev/null 2>&1; then
    say "installing pocl-opencl-icd and ocl-icd-libopencl1"
    apt-get install -y --no-install-recommends pocl-opencl-icd ocl-icd-libopencl1 >&2 ||
      say "they could not be installed; OpenCL is not tested"
  else
    say "this system has no PoCL; OpenCL is not tested"
  fi
}

look
if { [ -n "$packages" ] || [ -z "$jdk" ]; } && have_apt; then
  install
  look
fi
if ! look_for_clang && have_apt; then
  install_clang
fi
if ! look_for_opencl && have_apt; then
  install_opencl
fi

status=0
if [ -n "$packages" ]; then
  say "missing:$packages. On Debian and Ubuntu: sudo apt-get install$packages"
  status=1
fi
if [ -z "$jdk" ]; then
  say "there is no JDK 21 or later. $jdk_advice"
  status=1
fi
if version=$(cmake --version 2>/dev/null | sed -n '1s/[^0-9]*\([0-9]*\.[0-9]*\).*/\1/p') && [ -n "$version" ]; then
  if [ "${version%%.*}" -lt 3 ] || { [ "${version%%.*}" -eq 3 ] && [ "${version#*.}" -lt 22 ]; }; then
    say "CMake is $version and must be 3.22 or later: Debian 12 and Ubuntu 22.04 have that"
    status=1
  fi
fi
exit $status
