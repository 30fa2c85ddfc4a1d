#!/usr/bin/env bash
# Refuses what Apple's compiler would refuse in a kernel's file, as far as that shows without it.
# Usage: lint.sh CLANG FILE
# Three looks: at the words, as preprocessed; at address spaces, by clang, for which they are types; at calls, for recursion.
set -u
clang=${1:?a clang} file=${2:?a file}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
work=$(mktemp -d "${TMPDIR:-/tmp}/talaria-lint.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
result=0

"$clang" -E -P -x c++ -std=c++14 -nostdinc -D__METAL_VERSION__=310 -I"$here/words" "$file" > "$work/text" || result=1
awk '{ gsub(/[{};]/, "&\n"); print }' "$work/text" > "$work/words"
awk -v name="$(basename "$file")" -f "$here/lint.awk" "$work/words" || result=1

shim=(-x c++ -std=c++14 -D__METAL_VERSION__=310 -I"$here/shim" -fno-exceptions -fno-rtti -Wall -Wextra -Werror -Wvla
  -Wno-c++17-extensions -Wno-unused-function)
"$clang" "${shim[@]}" -DTALARIA_METAL_SPACES -fsyntax-only "$file" || result=1

# Calls as "caller callee": tsort finds a circle.
if "$clang" "${shim[@]}" -O0 -Xclang -disable-O0-optnone -fno-inline -S -emit-llvm -o "$work/code" "$file"; then
  awk '/^define / { match($0, /@[^(]*/); caller = substr($0, RSTART, RLENGTH) }
    / call / && match($0, /@[A-Za-z0-9_."$]+\(/) { print caller, substr($0, RSTART, RLENGTH - 1) }' "$work/code" > "$work/calls"
  tsort "$work/calls" > "$work/order" 2> "$work/circle" && [ ! -s "$work/circle" ] ||
    { printf '%s: recursion: %s\n' "$(basename "$file")" "$(tr '\n' ' ' < "$work/circle")"; result=1; }
  # tsort takes "a a" for a name by itself.
  awk -v name="$(basename "$file")" '$1 == $2 { print name ": recursion: " $1; failed = 1 } END { exit failed }' "$work/calls" || result=1
else
  result=1
fi
exit $result
