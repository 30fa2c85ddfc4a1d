#!/usr/bin/env bash
# Builds and tests everything that can be built here. Usage: ci/test.sh [--all] [--stage NAME]...
# With --all the GPU kernels are compiled for more architectures, and more of them run on the emulator.
# Goes on after a failing stage, closes with a table and a line of totals, and fails if any test failed or a stage broke.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
root=$(pwd -P)
exec </dev/null
. ci/find-jdk.sh

all_stages='java format native simt metal asan arm cuda ptx hip opencl launcher training'
logs=$root/build/logs
processors=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
bold='' red='' plain=''
if [ -t 1 ]; then
  bold=$'\033[1m' red=$'\033[31m' plain=$'\033[0m'
fi

usage() {
  printf 'usage: ci/test.sh [--all] [--stage NAME]...\nstages: %s; all of them if none is named\n' "$all_stages"
}

stages='' all=''
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h)
      usage
      exit 0
      ;;
    --all)
      all=1
      shift
      ;;
    --stage)
      case " $all_stages " in
        *" ${2:-?} "*) stages="$stages $2" ;;
        *)
          printf 'ci/test.sh: there is no stage "%s"\n' "${2:-}" >&2
          usage >&2
          exit 2
          ;;
      esac
      shift 2
      ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
done

# --- results ----------------------------------------------------------------------------------------------------------

# junit_totals FILE...: prints "passed failed skipped" over JUnit reports, as Maven and CTest write them.
junit_totals() {
  [ -f "$1" ] || { echo 0 0 0; return; }
  awk 'BEGIN { RS = "<" }
    /^!\[CDATA\[/ { text = 1 }
    text { if (/\]\]>/) text = 0; next }
    /^testcase[ \n\t]/ { tests++; decided = 0 }
    /^(failure|error)[ \n\t>\/]/ && !decided { failed++; decided = 1 }
    /^skipped[ \n\t>\/]/ && !decided { skipped++; decided = 1 }
    END { print tests - failed - skipped, failed + 0, skipped + 0 }' "$@"
}

# junit_reasons FILE...: for each reason of a skipped test, how many tests it kept from running. The reason is an
# attribute, or the first line of the text.
junit_reasons() {
  [ -f "$1" ] || return 0
  awk 'BEGIN { RS = "<" }
    function count_reason(reason) {
      sub(/^[a-zA-Z0-9.]*TestAbortedException: /, "", reason)
      sub(/^(not tested|Assumption failed): /, "", reason)
      gsub(/&quot;/, "\"", reason); gsub(/&apos;/, "\047", reason); gsub(/&lt;/, "<", reason)
      gsub(/&gt;/, ">", reason); gsub(/&#10;.*/, "", reason); gsub(/&amp;/, "\\&", reason)
      count[reason == "" ? "no reason given" : reason]++
    }
    /^!\[CDATA\[/ {
      text = 1
      if (wanted) { reason = substr($0, 9); sub(/(\n|\]\]>).*/, "", reason); count_reason(reason); wanted = 0 }
    }
    text { if (/\]\]>/) text = 0; next }
    wanted { count_reason(""); wanted = 0 }
    /^skipped[ \n\t>\/]/ {
      if (match($0, /message="[^"]*"/)) count_reason(substr($0, RSTART + 9, RLENGTH - 10)); else wanted = 1
    }
    END { for (reason in count) printf "%s (%d %s)\n", reason, count[reason], count[reason] == 1 ? "test" : "tests" }' "$@" |
    LC_ALL=C sort
}

minutes() {
  printf '%d.%d' $(($1 / 60)) $(($1 % 60 * 10 / 60))
}

rows=''        # the table
not_tested=''  # lines: what, and why
passed=0 failed=0 skipped=0

# run_stage NAME: runs stage_NAME, which leaves its log and sets `reports` to its JUnit reports, or `counts`.
run_stage() {
  local log=$logs/$1.log begin=$SECONDS result p f s spent
  printf '%s%s%s ... ' "$bold" "$1" "$plain"
  reports=() counts=''
  "stage_$1" > "$log" 2>&1
  result=$?
  [ -n "$counts" ] || counts=$(junit_totals "${reports[@]:-}")
  read -r p f s <<< "$counts"
  if [ $result -ne 0 ] && [ "$f" -eq 0 ]; then
    f=1 # the stage broke down, or is itself the one check
  fi
  spent=$(minutes $((SECONDS - begin)))
  if [ "$f" -gt 0 ]; then
    printf '%sFAILED%s after %s minutes; the end of build/logs/%s.log:\n' "$red" "$plain" "$spent" "$1"
    grep -vE '^\[INFO\]|^WARNING: |^\[ERROR\] *$|Help 1|e-run Maven|For more info|^[[:space:]]+at ' "$log" | tail -n 60
  else
    printf 'ok, %s minutes\n' "$spent"
  fi
  rows="$rows$(printf '%-10s | %6d | %6d | %7d | %7s' "$1" "$p" "$f" "$s" "$spent")
"
  local reason
  while IFS= read -r reason; do
    [ -z "$reason" ] || not_tested="$not_tested  $1: $reason
"
  done <<< "$(junit_reasons "${reports[@]:-}")"
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

# --- stages -----------------------------------------------------------------------------------------------------------

maven() {
  JAVA_HOME=$jdk PATH=$jdk/bin:$PATH mvn -B -ntp "-Dnative.jobs=$processors" "$@"
}

stage_java() {
  local result
  rm -rf target/surefire-reports
  fresh_cmake target/native
  maven ${all:+-Dtalaria.all=true} -Dcmake.args='-DTALARIA_TESTS=OFF -DTALARIA_SIMT=32 -DTALARIA_CUDA=OFF -DTALARIA_HIP=OFF' verify
  result=$?
  reports=(target/surefire-reports/TEST-*.xml)
  return $result
}

stage_format() {
  ci/format.sh --check
}

# CMake refuses a build folder that has been moved or copied.
fresh_cmake() {
  grep -qsxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$1/CMakeCache.txt" || rm -rf "$1"
}

# native_tests FOLDER CTEST-FILTER CMAKE-OPTION...   builds `targets`, or everything
native_tests() {
  local folder=$1 filter=$2 result
  shift 2
  fresh_cmake "$folder"
  rm -f "$folder/junit.xml"
  cmake -S . -B "$folder" -DTALARIA_TESTS=ON -DTALARIA_CUDA=OFF -DTALARIA_HIP=OFF -DTALARIA_METAL_EMULATED=OFF -DTALARIA_PTX=OFF "$@" &&
    cmake --build "$folder" --parallel "$processors" ${targets:+--target $targets} &&
    ctest --test-dir "$folder" --no-tests=error --output-on-failure --parallel "$processors" $filter \
      --output-junit "$root/$folder/junit.xml"
  result=$?
  reports=("$folder/junit.xml")
  return $result
}

emulated='^(simt_|ops_simt|faults_simt|attention_|matmul_|rope_append_)'

stage_native() {
  native_tests build/tests "-E $emulated" -DTALARIA_SANITIZE= -DTALARIA_SIMT=OFF
}

# The GPU kernels, on the emulator.
stage_simt() {
  native_tests build/tests "-R $emulated${all:+|^all_ops_simt}" -DTALARIA_SANITIZE= -DTALARIA_SIMT=ON
}

# The Metal kernels on the emulator, and what Apple's compilers will say of the sources, as far as clang can tell.
stage_metal() {
  local targets='talaria_metal_emulated talaria_metal_flat ops metal_working_set metal_cores' filter='-R ^(metal_|ops_metal)' version
  for version in -24 -23 -22 -21 -20 -19 -18; do
    command -v "clang++$version" || continue
    if [ -n "$all" ]; then
      targets="$targets faults" filter='-R _?metal(_|$)'
    fi
    native_tests build/tests "$filter" -DTALARIA_SANITIZE= -DTALARIA_SIMT=OFF -DTALARIA_METAL_EMULATED=ON || return
    [ -z "$all" ] || golden_metal
    return
  done
  no_compiler metal 17 "there is no clang of version 18 or later ('apt-get install clang-19')"
}

# Whole models on the emulated Metal backend.
golden_metal() {
  rm -rf target/surefire-reports
  fresh_cmake target/native
  TALARIA_METAL_EMULATED=1 maven -Dtest=DeviceGoldenTest -Dtalaria.only=metal \
    -Dcmake.args='-DTALARIA_TESTS=OFF -DTALARIA_CUDA=OFF -DTALARIA_HIP=OFF -DTALARIA_METAL_EMULATED=ON' test
  local result=$?
  reports+=(target/surefire-reports/TEST-*.xml)
  return $result
}

stage_asan() {
  UBSAN_OPTIONS=print_stacktrace=1 native_tests build/asan '' -DTALARIA_SANITIZE=address,undefined -DTALARIA_SIMT=${all:+ON}
}

# The NEON kernels, in an emulator.
stage_arm() {
  local tool result
  for tool in aarch64-linux-gnu-g++ qemu-aarch64; do
    if ! command -v "$tool"; then
      counts='0 0 2'
      not_tested="$not_tested  arm: there is no $tool (2 tests; 'apt-get install g++-aarch64-linux-gnu qemu-user')
"
      return 0
    fi
  done
  fresh_cmake build/arm
  rm -f build/arm/junit.xml
  cmake -S . -B build/arm -DTALARIA_TESTS=ON -DTALARIA_CUDA=OFF -DTALARIA_HIP=OFF -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
    -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ \
    -DCMAKE_EXE_LINKER_FLAGS=-static "-DCMAKE_CROSSCOMPILING_EMULATOR=qemu-aarch64;-cpu;max" &&
    cmake --build build/arm --parallel "$processors" --target simd decode &&
    ctest --test-dir build/arm --no-tests=error --output-on-failure -R '^(simd_best|decode)$' \
      --output-junit "$root/build/arm/junit.xml"
  result=$?
  reports=(build/arm/junit.xml)
  return $result
}

# gpu_kernels KIND CMAKE-OPTION...: the kernels, compiled and read; the library, loaded where there may be no driver. Each
# architecture's checks count as tests.
gpu_kernels() {
  local kind=$1 folder=build/$1 checks=build/$1/checks.txt result=0 p f s
  shift
  fresh_cmake "$folder"
  rm -f "$folder/junit.xml" "$checks"
  cmake -S . -B "$folder" -DTALARIA_TESTS=ON "$@" &&
    cmake --build "$folder" --parallel "$processors" --target "talaria_$kind" absent || return 1
  ctest --test-dir "$folder" --no-tests=error --output-on-failure -R "^absent_$kind\$" \
    --output-junit "$root/$folder/junit.xml" || result=1
  ci/check-kernels.sh "$kind" "$folder" > "$checks" || result=1
  cat "$checks"
  reports=("$folder/junit.xml")
  read -r p f s <<< "$(junit_totals "${reports[@]}")"
  counts="$((p + $(grep -c '^ok ' "$checks"))) $((f + $(grep -c '^FAILED ' "$checks"))) $s"
  return $result
}

# What a stage says that lacks a compiler.
no_compiler() {
  counts="0 0 $2"
  not_tested="$not_tested  $1: $3 ($2 tests)
"
}

stage_cuda() {
  local archs='-DTALARIA_CUDA_ARCHS=61;70;75;80;86;87;89;90a;120' # the first is beside others on some machines, and left out
  [ -z "$all" ] || archs=-UTALARIA_CUDA_ARCHS
  if ! command -v nvcc && [ ! -x "${CUDA_PATH:-/usr/local/cuda}/bin/nvcc" ]; then
    no_compiler cuda 23 'there is no nvcc, which comes with the CUDA toolkit'
    return 0
  fi
  gpu_kernels cuda -DTALARIA_CUDA=ON -DTALARIA_HIP=OFF "$archs"
}

# CUDA's kernels as the compilers make them, run as PTX; with --all those for all kinds of matrix unit.
stage_ptx() {
  local targets='ops ptx_driver ptx_machine talaria_ptx_90a' archs=90a version
  if [ -n "$all" ]; then
    targets="$targets talaria_ptx_75" archs="$archs;75"
    for version in -24 -23 -22 -21 -20 -19 -18; do
      command -v "clang++$version" || continue
      targets="$targets talaria_ptx_70" archs="$archs;70"
      break
    done
  fi
  if ! command -v nvcc && [ ! -x "${CUDA_PATH:-/usr/local/cuda}/bin/nvcc" ]; then
    no_compiler ptx 2 'there is no nvcc, which comes with the CUDA toolkit'
    return 0
  fi
  native_tests build/tests '-R ptx' -DTALARIA_SANITIZE= -DTALARIA_SIMT=OFF -DTALARIA_PTX=ON "-DTALARIA_PTX_ARCHS=$archs"
}

stage_hip() {
  local version
  for version in -24 -23 -22 -21 -20 -19 -18; do
    if command -v "clang++$version" && command -v "ld.lld$version" && command -v "llvm-objdump$version"; then
      # The last is in processors beside others, and left out: it has no dot product of int8.
      gpu_kernels hip -DTALARIA_CUDA=OFF -DTALARIA_HIP=ON '-DTALARIA_HIP_ARCHS=gfx906;gfx908;gfx90a;gfx1030;gfx1100;gfx1101;gfx90c'
      return
    fi
  done
  no_compiler hip 35 "there is no clang of version 18 or later with lld and llvm ('apt-get install clang-19 lld-19 llvm-19')"
}

# The OpenCL kernels as devices see them that are not here, by clang's parser; the java stage runs them on what is here.
stage_opencl() {
  local version result checks=build/opencl-checks.txt
  for version in -24 -23 -22 -21 -20 -19 -18 -17 -16 -15 ''; do
    if command -v "clang$version"; then
      ci/check-opencl.sh "clang$version" > "$checks"
      result=$?
      cat "$checks"
      counts="$(grep -c '^ok ' "$checks") $(grep -c '^FAILED ' "$checks") 0"
      return $result
    fi
  done
  no_compiler opencl 108 "there is no clang ('apt-get install clang')"
}

stage_launcher() {
  ci/launcher-test.sh
  local result=$?
  counts="$(grep -c '^ok ' "$logs/launcher.log") $(grep -c '^FAILED ' "$logs/launcher.log") 0"
  return $result
}

# A training of the small model of a few minutes, and the way of its weights into Talaria.
stage_training() {
  local python=${TALARIA_PYTHON:-python3} result
  if ! "$python" -c 'import torch, numpy, safetensors, sentencepiece, google.protobuf'; then
    counts='0 0 13'
    not_tested="$not_tested  training: $python lacks what training/requirements.txt lists (13 tests)
"
    return 0
  fi
  rm -rf build/training
  mkdir -p build/training
  "$python" training/smoke.py build/training | tee build/training/checks.txt
  result=${PIPESTATUS[0]}
  counts="$(grep -c '^ok ' build/training/checks.txt) $(grep -c '^FAILED ' build/training/checks.txt) 0"
  return $result
}

# What no stage can show, however it ends.
never_tested() {
  printf '  CUDA and HIP on GPUs: their kernels are compiled and read here, and run on the emulator, those of CUDA also as PTX\n'
  printf '  OpenCL on GPUs: its kernels run on a processor here; those for sub-groups, float16 and dot products are parsed\n'
  printf '  Metal on a GPU: its kernels run here on the emulator, and its runtime is only checked for types\n'
  printf '  systems other than this one (%s)\n' "$(uname -sm)"
}

# --- all of it --------------------------------------------------------------------------------------------------------

mkdir -p "$logs"
if ! ci/setup.sh; then
  printf 'ci/test.sh: nothing was tested, as what is listed above is missing\n0 passed, 1 failed, 0 skipped\n'
  exit 1
fi
find_jdk javac
printf 'JDK %s, %s processors, logs in build/logs\n' "$jdk" "$processors"
for stage in ${stages:-$all_stages}; do
  run_stage "$stage"
done

printf '\n%sstage      | passed | failed | skipped | minutes%s\n' "$bold" "$plain"
printf -- '-----------|--------|--------|---------|--------\n%s' "$rows"
printf '\nNot tested:\n%s' "$not_tested"
for stage in $all_stages; do
  case " ${stages:-$all_stages} " in
    *" $stage "*) ;;
    *) printf '  %s: not among the stages named\n' "$stage" ;;
  esac
done
never_tested
printf '\n%d passed, %d failed, %d skipped\n' $passed $failed $skipped
[ $failed -eq 0 ]
