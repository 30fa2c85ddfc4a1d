#!/usr/bin/env bash
# Are the tests of GPU ops strong enough? Plants each bug of tests/kernels/mutations in a copy of the sources, builds the
# emulator's backend with it, and demands that a test fails. Usage: ci/mutate.sh [NAME]...   all bugs if none is named
# Ends with 1 if a bug is not found, or its place in the sources is not.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
root=$(pwd -P)
exec </dev/null

work=$(mktemp -d "${TMPDIR:-/tmp}/talaria-mutate.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
clean=$work/clean tree=$work/tree log=$work/log

# field NAME: the value of a line "NAME: value" in front of the texts.
field() { sed -n "/^--- before/q; s/^$1: //p" "$bug"; }

# Reads the bug: its texts before and after, with every newline that is theirs.
read_texts() {
  local all
  all=$(cat "$bug" && printf x)
  all=${all%x}
  before=${all#*"--- before"$'\n'}
  before=${before%%$'\n'"--- after"$'\n'*}
  after=${all##*"--- after"$'\n'}
  after=${after%$'\n'}
}

# plant FILE: exchanges the texts, if the first is there exactly once.
plant() {
  local all head tail
  all=$(cat "$1" && printf x) || return 1
  all=${all%x}
  head=${all%%"$before"*}
  [ "$head" != "$all" ] || return 1
  tail=${all#*"$before"}
  case $tail in *"$before"*) return 1 ;; esac
  printf '%s%s%s' "$head" "$after" "$tail" >"$1"
}

# build TARGET...
build() { cmake --build "$tree/build" --target "$@" >"$log" 2>&1; }

# test_with BACKEND NEEDS ORDER FILTER: 0 if all cases pass. A bug may make a kernel run for ever.
test_with() {
  (
    compute=${1#ptx_}
    case $1 in ptx_*) export TALARIA_PTX_COMPUTE=${compute%a} ;; esac
    LD_LIBRARY_PATH=$tree/build/tests/ptx TALARIA_SIMT_NEEDS=$2 TALARIA_SIMT_ORDER=$3 TALARIA_PTX_ORDER=$3 timeout 300 "$tree/build/tests/kernels/ops" "$tree/build/lib/libtalaria_$1".* \
      --short --first --no-replay --filter "$4" >"$log" 2>&1
    exit $?
  ) 2>/dev/null
}

# try_bug: sets outcome and by.
try_bug() {
  local file order code backend test
  file=$(field file) order=$(field order) backend=$(field backend) test=$(field test)
  backend=${backend:-simt}
  read_texts
  rm -rf "$tree" && cp -a "$clean" "$tree" || exit 1
  by=''
  if ! plant "$tree/$file"; then
    outcome='NOT PLANTED' by="its text is not in $file exactly once"
    return
  fi
  # shellcheck disable=SC2086 # two targets
  if ! build ${test:-"talaria_$backend" ops}; then
    outcome='DOES NOT BUILD' by=$(grep -m1 -E 'error|FAILED' "$log")
    return
  fi
  if [ -n "$test" ]; then
    outcome='NOT FOUND'
    timeout 300 "$tree/build/tests/simt/$test" >"$log" 2>&1 || outcome=found by=$test
    return
  fi
  for order in ${order:-forward reverse}; do
    test_with "$backend" "$(field needs)" "$order" "$(field filter)"
    code=$?
    [ $code -eq 0 ] && continue
    outcome=found by=$(sed -n 's/^FAILED \([^:]*\):.*/\1/p' "$log" | head -n 1)
    [ -n "$by" ] || by="ops ended with $code"
    [ "$order" = forward ] || by="$by ($order)"
    return
  done
  outcome='NOT FOUND'
}

mkdir -p "$clean/tests" && cp -a CMakeLists.txt cmake kernels native "$clean" || exit 1
for part in tests/*; do
  case $part in */data | */java) ;; *) cp -a "$part" "$clean/tests" || exit 1 ;; esac
done
cp -a "$clean" "$tree"
bugs=()
for bug in "$root"/tests/kernels/mutations/*.txt; do
  name=$(basename "$bug" .txt)
  if [ $# -gt 0 ]; then
    case " $* " in *" $name "*) ;; *) continue ;; esac
  fi
  bugs+=("$bug")
done
targets=(talaria_simt) options=(-DCMAKE_BUILD_TYPE=Release) kept=()
for bug in "${bugs[@]}"; do
  backend=$(field backend)
  case $backend in
    ptx_*)
      if ! command -v nvcc >/dev/null; then
        printf '%s is left out, as there is no nvcc\n' "$(basename "$bug" .txt)" >&2
        continue
      fi
      targets+=("talaria_$backend" ptx_driver) options+=(-DTALARIA_PTX=ON)
      ;;
    ?*) targets+=("talaria_$backend") ;;
  esac
  kept+=("$bug")
done
bugs=("${kept[@]}")
generator=''
command -v ninja >/dev/null && generator='-G Ninja'
# shellcheck disable=SC2086
if ! cmake $generator -S "$tree" -B "$tree/build" "${options[@]}" >"$log" 2>&1 || ! build "${targets[@]}" ops; then
  tail -n 20 "$log" >&2
  exit 1
fi
if ! test_with simt '' forward ''; then
  printf 'ci/mutate.sh: ops fails without any bug\n' >&2
  tail -n 20 "$log" >&2
  exit 1
fi
rm -rf "$clean" && cp -a "$tree" "$clean"

planted=0 missed=0
printf '%-30s%-16s%-76s%s\n' bug outcome 'what it is' 'found by'
for bug in "${bugs[@]}"; do
  name=$(basename "$bug" .txt)
  try_bug
  planted=$((planted + 1))
  [ "$outcome" = found ] || missed=$((missed + 1))
  printf '%-30s%-16s%-76s%s\n' "$name" "$outcome" "$(field shows)" "$by"
done
printf '%d bugs, %d not found\n' "$planted" "$missed"
[ "$planted" -gt 0 ] && [ "$missed" -eq 0 ]
