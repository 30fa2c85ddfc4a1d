#!/usr/bin/env bash
# What compilers made of the GPU kernels, without a GPU. Usage: ci/check-kernels.sh cuda|hip BUILD-FOLDER
# Prints a table of all kernels, then "ok ARCHITECTURE: CHECK" or "FAILED ..." with what is wrong; fails if any failed.
set -u
kind=${1:?cuda or hip} build=${2:?a build folder}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failures=0

# Kernels that run for every token: no array and no more than a few values may leave the registers. Those few are
# ptxas' own choice: it gives up to 16 words for room for one more block.
few=64
decoding='_m[14]$|^attention_(split|combine)$|^(route|norm|quantize)$'
# Kernels that add over lanes, and get at other lanes in no other way.
reducing='_(int8|half)_m[14]$|^(attention_split|norm|quantize)$'

# check NAME FILE: the test is that FILE, which lists what is wrong, is empty.
check() {
  if [ -s "$2" ]; then
    printf 'FAILED %s\n' "$1"
    sed 's/^/    /' "$2"
    failures=$((failures + 1))
  else
    printf 'ok %s\n' "$1"
  fi
}

# tool NAME: prints the newest of LLVM's tools of that name.
tool() {
  local version
  for version in -24 -23 -22 -21 -20 -19 -18 ''; do
    if command -v "$1$version"; then return; fi
  done
  for version in "${ROCM_PATH:-/opt/rocm}/llvm/bin/$1"; do
    if [ -x "$version" ]; then echo "$version" && return; fi
  done
  return 1
}

# embedded ENDING: the files that the library has in it; others may be left from other builds.
embedded() {
  grep -o "/[^\"\\]*$1" "$build/$kind/images.cpp"
}

# Every kernel of kernels.def with what it needs, one a line, as the preprocessor gives them.
printf '#define TALARIA_GPU_KERNEL(name, needs) @ name needs\n#include "%s"\n' "$root/kernels/gpu/kernels.def" |
  "${CXX:-c++}" -E -P -x c++ - | tr '@' '\n' | awk 'NF >= 2 { print $1, $2 }' > "$work/listed"
[ -s "$work/listed" ] || { echo 'kernels.def lists nothing'; exit 1; }

# missing ARCHITECTURE NEED...: the listed kernels that need nothing, or one of NEED, and are not in the table.
missing() {
  local arch=$1
  shift
  awk -v arch="$arch" -v has=" ANY EXCHANGE $* " '
    FILENAME == ARGV[1] { if ($2 == arch) there[$1] = 1; next }
    index(has, " " $2 " ") && !($1 in there) { print $1 " is in kernels.def and was not compiled" }' "$work/table" "$work/listed"
}

# The table: kernel, architecture, registers, shared bytes, bytes of stack or scratch, bytes or registers spilled.
header='kernel architecture registers shared stack spills'

print_table() {
  { echo "$header"; LC_ALL=C sort "$work/table"; } | awk '{ printf "%-40s %-12s %9s %7s %6s %6s\n", $1, $2, $3, $4, $5, $6 }'
}

# --- CUDA -------------------------------------------------------------------------------------------------------------

check_cuda() {
  local arch kernel
  embedded '\.fatbin' | sed 's/fatbin$/ptxas.txt/' | xargs cat | awk '
    /Compiling entry function/ { split($0, part, "\047"); name = part[2]; sub(/^talaria_/, "", name); arch = part[4] }
    /bytes stack frame/ { stack = $1; spills = $5 + $9 }
    /Used [0-9]+ registers/ {
      registers = shared = 0
      for (i = 1; i < NF; i++) {
        if ($(i + 1) ~ /^registers/) registers = $i
        if ($(i + 1) == "bytes" && $(i + 2) ~ /^smem/) shared = $i
      }
      print name, arch, registers, shared, stack, spills
    }' > "$work/table"
  print_table
  for arch in $(awk '{ print $2 }' "$work/table" | sort -u); do
    awk -v arch="$arch" -v decoding="$decoding" -v few=$few '$2 == arch && $1 ~ decoding && ($6 > few || $5 > few / 2) {
      print $1 " has " $5 " bytes of stack and spills " $6 }' "$work/table" > "$work/spills"
    check "$arch: decoding stays in registers" "$work/spills"
    case $arch in
      sm_70 | sm_72) missing "$arch" HMMA > "$work/missing" ;;
      *) missing "$arch" MMA_INT8 MMA_F16 > "$work/missing" ;;
    esac
    check "$arch: every kernel is there" "$work/missing"
  done
  if embedded '\.ptx' > "$work/texts"; then
    # shellcheck disable=SC2046 # a list of files
    awk '/^\.visible \.entry/ { name = $3; sub(/^talaria_/, "", name); sub(/\(.*/, "", name); print name, "sm_70", 0, 0, 0, 0 }' \
      $(cat "$work/texts") > "$work/table"
    missing sm_70 HMMA > "$work/missing"
    check 'sm_70 (PTX): every kernel is there' "$work/missing"
    # shellcheck disable=SC2046 # a list of files
    lacks '^\\.visible \\.entry' 'dp4a' '_int8_(m[14]|tile)$' $(cat "$work/texts") > "$work/lacks"
    check 'sm_70 (PTX): int8 kernels use dp4a' "$work/lacks"
    # shellcheck disable=SC2046 # a list of files
    lacks '^\\.visible \\.entry' 'mma\\.sync\\.aligned\\.m8n8k4' '_hmma$' $(cat "$work/texts") > "$work/lacks"
    check 'sm_70 (PTX): matrix kernels use mma.m8n8k4' "$work/lacks"
    # shellcheck disable=SC2046 # a list of files
    has '^\\.visible \\.entry' '\\.local|__local_depot' '_hmma$' $(cat "$work/texts") > "$work/local"
    check 'sm_70 (PTX): matrix kernels have no local memory' "$work/local"
    check_texts
  fi
  check_mma
}

# Drivers assemble these texts: the toolkit's assembler does too, for the oldest GPU that it knows from sm_70 on. Attention
# has no register to spare, and that GPU as many as Volta.
check_texts() {
  local nvcc arch text
  nvcc=$(nvcc_of_build)
  arch=$("$nvcc" --list-gpu-code | grep -oE '[0-9]+$' | sort -n | awk '$1 >= 70' | head -n 1)
  while read -r text; do
    "$nvcc" -cubin -Xptxas -v "-arch=sm_$arch" -o "$work/assembled" "$text" > "$work/said" 2>&1 || echo "${text##*/} is refused"
    grep -vE '^$|^ptxas info|bytes stack frame' "$work/said"
    awk -v name="${text##*/}" '/bytes stack frame/ && name ~ /^attention_hmma/ && $1 + $5 + $9 != 0 { print name ":" $0 }' \
      "$work/said" >> "$work/stacks"
  done < "$work/texts" > "$work/refused"
  check "sm_70 (PTX): ptxas takes it, for sm_$arch" "$work/refused"
  check "sm_70 (PTX): attention_hmma stays in registers, for sm_$arch" "$work/stacks"
}

nvcc_of_build() {
  sed -n 's/^TALARIA_NVCC:[A-Z]*=//p' "$build/CMakeCache.txt"
}

# any NAMES: whether the table has kernels of such a name.
any() {
  awk -v names="$1" '$1 ~ names { found = 1 } END { exit !found }' "$work/table"
}

# lacks BEGIN INSTRUCTION NAMES FILE...: kernels whose name matches NAMES and whose text, from a line that matches BEGIN
# and has the name in it, has no line that matches INSTRUCTION.
lacks() {
  local begin=$1 instruction=$2 names=$3
  shift 3
  awk -v begin="$begin" -v instruction="$instruction" -v names="$names" '
    $0 ~ begin && match($0, /talaria_[a-z0-9_]+/) { name = substr($0, RSTART + 8, RLENGTH - 8); if (name ~ names) all[name] += 0; next }
    name in all && $0 ~ instruction { all[name]++ }
    END { for (name in all) if (!all[name]) print name " has no instruction like " instruction }' "$@" | LC_ALL=C sort
}

# has BEGIN INSTRUCTION NAMES FILE...: the same kernels, where a line does match.
has() {
  local begin=$1 instruction=$2 names=$3
  shift 3
  awk -v begin="$begin" -v instruction="$instruction" -v names="$names" '
    $0 ~ begin && match($0, /talaria_[a-z0-9_]+/) { name = substr($0, RSTART + 8, RLENGTH - 8); next }
    name ~ names && $0 ~ instruction { found[name]++ }
    END { for (name in found) print name " has " found[name] " instructions like " instruction }' "$@" | LC_ALL=C sort
}

# Fat binaries cannot be read without the toolkit's own tools: PTX is made for the files that use matrix units.
check_mma() {
  local nvcc arch source shapes
  ls "$root"/kernels/gpu/*_mma.cu >/dev/null 2>&1 || return 0
  nvcc=$(nvcc_of_build)
  for arch in 75 80; do
    mkdir "$work/$arch"
    shapes='m16n8k(16|32)'
    [ $arch = 80 ] || shapes='m(8n8k16|16n8k8)'
    for source in "$root"/kernels/gpu/*_mma.cu; do
      "$nvcc" -ptx -std=c++17 -fmad=false -allow-unsupported-compiler "-arch=compute_$arch" -o "$work/$arch/$(basename "$source").ptx" "$source" ||
        echo "$source does not compile"
    done > "$work/lacks" 2>&1
    lacks '^\\.visible \\.entry' "mma\\\\.sync\\\\.aligned\\\\.$shapes\\\\." '_mma$' "$work/$arch"/*.ptx >> "$work/lacks"
    check "compute_$arch (PTX): matrix kernels use mma" "$work/lacks"
  done
}

# --- HIP --------------------------------------------------------------------------------------------------------------

check_hip() {
  local arch file readelf objdump needs
  readelf=$(tool llvm-readelf) && objdump=$(tool llvm-objdump) || {
    echo 'FAILED there is no llvm-readelf or llvm-objdump'
    exit 1
  }
  for file in $(embedded '\.co'); do
    arch=${file%.co}
    arch=${arch##*.}
    "$readelf" --notes "$file" | awk -v arch="$arch" '
      $1 == ".agpr_count:" { agprs = $2 }
      $1 == ".group_segment_fixed_size:" { shared = $2 }
      $1 == ".name:" && $2 ~ /^talaria_/ { name = $2; sub(/^talaria_/, "", name) }
      $1 == ".private_segment_fixed_size:" { stack = $2 }
      $1 == ".uses_dynamic_stack:" && $2 == "true" { stack = "dynamic" }
      $1 == ".vgpr_count:" { registers = $2 }
      $1 == ".vgpr_spill_count:" { print name, arch, registers, shared, stack, $2 }' >> "$work/table"
    # Code object version 5 is what every ROCm from 5.2 on loads.
    "$readelf" -h "$file" | grep -q 'ABI Version: *3$' || echo "$file is not of code object version 5" >> "$work/$arch.object"
    "$readelf" --dyn-syms "$file" | awk -v file="${file##*/}" '$7 == "UND" && $8 != "" { print file " lacks " $8 }' >> "$work/$arch.object"
    "$objdump" -d "$file" >> "$work/$arch.text"
  done
  print_table
  for arch in $(awk '{ print $2 }' "$work/table" | sort -u); do
    check "$arch: code objects of version 5, complete in themselves" "$work/$arch.object"
    awk -v arch="$arch" '$2 == arch && ($5 != 0 || $6 != 0) { print $1 " has " $5 " bytes of scratch memory and spills " $6 }' \
      "$work/table" > "$work/spills"
    check "$arch: no scratch memory" "$work/spills"
    needs=''
    case $arch in
      gfx908 | gfx90a) needs=MFMA ;;
      gfx11*) needs=WMMA ;;
    esac
    # shellcheck disable=SC2086 # nothing or a word
    missing "$arch" $needs > "$work/missing"
    check "$arch: every kernel is there" "$work/missing"
    lacks '>:$' 'v_dot4c?_i32_iu?8' '_int8_m[14]$' "$work/$arch.text" > "$work/lacks"
    check "$arch: int8 kernels use the int8 dot" "$work/lacks"
    lacks '>:$' '_dpp|permlanex16' "$reducing" "$work/$arch.text" > "$work/lacks"
    has '>:$' 'ds_bpermute' "$reducing" "$work/$arch.text" >> "$work/lacks"
    check "$arch: sums over lanes use DPP, not block memory's unit" "$work/lacks"
    if [ "$needs" = MFMA ] && any '_mfma$'; then
      lacks '>:$' 'v_mfma_' '_mfma$' "$work/$arch.text" > "$work/lacks"
      check "$arch: matrix kernels use MFMA" "$work/lacks"
    elif [ "$needs" = WMMA ] && any '_wmma$'; then
      lacks '>:$' 'v_wmma_' '_wmma$' "$work/$arch.text" > "$work/lacks"
      check "$arch: matrix kernels use WMMA" "$work/lacks"
    fi
  done
}

check_"$kind"
[ $failures -eq 0 ]
