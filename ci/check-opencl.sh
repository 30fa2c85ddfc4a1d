#!/usr/bin/env bash
# Parses the OpenCL kernels as every kind of device would have them parsed: each file, for product and gate_up each format,
# mode and number of rows, with nothing but OpenCL C 1.2, with what extensions add to it, and cut for a processor.
# Usage: ci/check-opencl.sh CLANG. Prints 'ok …' or 'FAILED …' and what the compiler says, for each.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../kernels/opencl" || exit 1
clang=${1:?name a clang}
processor='-DTEAM_LANES=1 -DTEAMS=1 -DWEIGHT_ROWS=4 -DROW_LANES=1 -DATTENTION_LANES=1'
failed=0

# parse WHAT FILE OPTION...
parse() {
  local what=$1 file=$2 said
  shift 2
  if said=$("$clang" -x cl -target spir64 -D__OPENCL_VERSION__=120 -fsyntax-only -Xclang -finclude-default-header -Wall -Wextra -Werror \
    -Wno-unused-function -Wno-unused-parameter "$@" "$file" 2>&1); then
    printf 'ok %s\n' "$what"
  else
    printf 'FAILED %s\n%s\n' "$what" "$said"
    failed=1
  fi
}

# kinds NAME FILE OPTION...: as three kinds of devices. The features' macros are those that compilers define themselves.
kinds() {
  local name=$1 file=$2
  shift 2
  parse "$name, OpenCL C 1.2" "$file" -cl-std=CL1.2 -Xclang -cl-ext=-all "$@"
  # shellcheck disable=SC2086 # a list of words
  parse "$name, for a processor" "$file" -cl-std=CL1.2 -Xclang -cl-ext=-all $processor "$@"
  parse "$name, with all extensions" "$file" -cl-std=CL3.0 -Xclang -cl-ext=+all "$@"
}

for file in memory norm rope_append attention route top_logits; do
  kinds "$file" "$file.cl"
done
for format in F32 F16 BF16 Q4_0 Q8_0 Q4_K Q5_K Q6_K; do
  for mode in INT8 HALF; do
    case $format-$mode in F32-INT8 | F16-INT8 | BF16-INT8) continue ;; esac # plain numbers meet no codes
    for file in product gate_up; do
      for rows in 1 8; do
        [ $rows = 8 ] || [ $format = Q4_K ] || continue # the number of rows is no matter of formats
        kinds "$file $format $mode, $rows rows" "$file.cl" -DFORMAT_$format -DFORMAT=x -DMODE_$mode -DMODE=y -DROWS=$rows
      done
    done
  done
done
exit $failed
