#!/usr/bin/env bash
# How fast a model is loaded onto the cpu device, beside what the disk and the page cache give, and the memory it then takes.
# Usage: ci/load-bench.sh MODEL [ROUNDS]. Needs Linux and dd of GNU; what else runs on the machine falsifies it.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. ci/find-jdk.sh
[ $# -ge 1 ] && [ -r "$1" ] || { printf 'usage: ci/load-bench.sh MODEL [ROUNDS]\n' >&2; exit 2; }
model=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
rounds=${2:-5}
find_jdk javac || { printf 'ci/load-bench.sh: there is no JDK 21 or later. %s\n' "$jdk_advice" >&2; exit 1; }
JAVA_HOME=$jdk mvn -B -ntp -q -DskipTests test-compile >/dev/null

sync "$model" # what is not on the disk yet stays in the page cache
bytes=$(stat -L -c %s "$model")
times=$(mktemp -d)
trap 'rm -rf "$times"' EXIT

# Takes the file out of the page cache.
drop() { dd if="$model" of=/dev/null iflag=nocache count=0 status=none; }

# seconds COMMAND...: wall time.
seconds() {
  local begin=$EPOCHREALTIME
  "$@" >/dev/null
  awk -v begin="$begin" -v end="$EPOCHREALTIME" 'BEGIN { printf "%.3f\n", end - begin }'
}

load() {
  "$jdk/bin/java" -XX:+UseSerialGC --enable-native-access=ALL-UNNAMED \
    -cp 'target/classes:target/test-classes:target/lib/*' io.talaria.bench.LoadProbe "$model" cpu
}

# record NAME: keeps what a load printed.
record() {
  local line
  line=$(load)
  field load_seconds "$line" >> "$times/$1"
  printf '%s\n' "$line" > "$times/line"
}

field() { sed -E "s/.*$1=([0-9.-]+).*/\\1/" <<< "$2"; }

row() {
  sort -n "$times/$1" | awk -v name="$2" -v bytes="$bytes" '
    { all[NR] = $1 }
    END {
      median = NR % 2 ? all[(NR + 1) / 2] : (all[NR / 2] + all[NR / 2 + 1]) / 2
      printf "%-34s %8.3f s  %6.2f GB/s  (%.3f to %.3f s)\n", name, median, bytes / median / 1e9, all[1], all[NR]
    }'
}

for ((round = 0; round < rounds; round++)); do
  drop
  seconds dd if="$model" of=/dev/null iflag=direct bs=64M status=none >> "$times/dd"
  drop
  record cold
  seconds cat "$model" >> "$times/cat"
  record warm
done

printf '%s, %s bytes, medians of %s alternating rounds\n' "$(basename "$model")" "$bytes" "$rounds"
row dd 'dd, direct, from the disk'
row cold 'load, from the disk'
row cat 'cat, from the page cache'
row warm 'load, from the page cache'
line=$(cat "$times/line")
awk -v file="$bytes" -v kv="$(field kv_bytes "$line")" -v resident="$(field resident_bytes "$line")" 'BEGIN {
  printf "resident %.0f MB = file %.0f MB + KV cache %.0f MB + %.0f MB\n",
    resident / 1e6, file / 1e6, kv / 1e6, (resident - file - kv) / 1e6 }'
