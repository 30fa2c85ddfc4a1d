#!/usr/bin/env bash
# What a GPU machine can show and no other: that the kernels compute right on it, and how fast.
# Needs bash, awk and coreutils there; from an unpacked distribution no JDK, Maven or network.
# Usage: ci/gpu.sh --stage validate|bench|sanitize|peer|split [option]...
#   --device DEVICE    Default: cuda:0
#   --dist DIR         an unpacked distribution; else the one that this script lies in, or the project
#   --out DIR          where reports go. Default: gpu-report
#   --budget SECONDS   ends a stage after so long; the same command again goes on from there. Default: 440
#   --second DEVICE    what split has beside --device. Default: the same once more, as two devices of one GPU
#   --shape SHAPE, --layers N, --formats 'Q4_K_M …', --depths '0 …', --repeat N   what bench, peer and split measure
#   --peer-bin FILE    llama.cpp's llama-bench
#   --fresh            forgets what the stage has already
# Writes DIR/STAGE/*.json, and of all stages DIR/report.json and DIR/report.md. Exit codes: 0 done, 1 something failed,
# 2 bad arguments, 4 no such device, or the stage cannot run here, 75 out of time: run it again.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P) || exit 1

fail() {
  printf 'ci/gpu.sh: %s\n' "$2" >&2
  exit "$1"
}

stage='' device=cuda:0 dist=$here out=gpu-report budget=440 shape=mixtral-8x7b layers='' repeat=3 peer='' fresh='' second=''
formats='Q4_K_M Q6_K Q8_0 F16' depths='0 4096 16384'
command_line="ci/gpu.sh $*"
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) sed -n '2,17s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --fresh) fresh=1; shift; continue ;;
  esac
  [ $# -ge 2 ] || fail 2 "'$1' is no option, or lacks its value; see --help"
  case $1 in
    --stage) stage=$2 ;;
    --device) device=$2 ;;
    --second) second=$2 ;;
    --dist) dist=$2 ;;
    --out) out=$2 ;;
    --budget) budget=$2 ;;
    --shape) shape=$2 ;;
    --layers) layers=$2 ;;
    --formats) formats=$2 ;;
    --depths) depths=$2 ;;
    --repeat) repeat=$2 ;;
    --peer-bin) peer=$2 ;;
    *) fail 2 "there is no option '$1'; see --help" ;;
  esac
  shift 2
done
case $stage in validate | bench | sanitize | peer | split) ;; *) fail 2 'write --stage validate, bench, sanitize, peer or split' ;; esac
second=${second:-$device}
case $budget$repeat in *[!0-9]*) fail 2 '--budget and --repeat are numbers' ;; esac
dist=$(cd "$dist" 2>/dev/null && pwd -P) || fail 2 '--dist is no folder'
platform=linux-x86_64 suffix=so
case $(uname -sm) in
  'Darwin arm64') platform=macosx-arm64 suffix=dylib ;;
  'Linux aarch64') platform=linux-arm64 ;;
esac
if [ -x "$dist/bin/talaria" ]; then
  talaria=$dist/bin/talaria native=$dist/native/io/talaria/backend/jni/$platform ops=$dist/tests/kernels/ops
elif [ -x "$dist/talaria" ]; then
  talaria=$dist/talaria native=$dist/target/classes/io/talaria/backend/jni/$platform
  ops=$dist/build/tests/tests/kernels/ops
else
  fail 2 "$dist has neither bin/talaria nor talaria"
fi
golden=$dist/tests/data/golden library=$native/libtalaria_${device%%:*}.$suffix
layer_args=()
[ -z "$layers" ] || layer_args=(--layers "$layers")

# macOS has no timeout.
command -v timeout > /dev/null || timeout() {
  local code
  shift 2
  perl -e 'alarm shift; exec @ARGV' "$@"
  code=$?
  [ $code -ne 142 ] || code=124
  return $code
}

# --- the machine --------------------------------------------------------------------------------------------------------

# text FILE: a file's content as a JSON string.
text() {
  printf '"'
  tr -d '\000-\010\013-\037' < "$1" | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/	/\\t/g' | awk '{ printf "%s%s", sep, $0; sep = "\\n" }'
  printf '"'
}

quoted() {
  text <(printf '%s' "$1")
}

mkdir -p "$out/$stage" || exit 1
out=$(cd "$out" && pwd -P)
scratch=$(mktemp -d) made=''
trap 'rm -rf "$scratch"; [ -z "$made" ] || rm -f "$made"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

"$talaria" devices --json > "$scratch/devices.json" 2> "$scratch/devices.log" || fail 4 "$(tail -n 1 "$scratch/devices.log")"
# The name of the device, from the entry that has it; or the reason why its backend is absent.
device_name=$(awk -F'" : "' -v device="$device" '
  /"device" :/ { found = $2 ~ "^" device "\"" }
  found && /"name" :/ { sub(/",?$/, "", $2); print $2; exit }' "$scratch/devices.json")
if [ -z "$device_name" ]; then
  reason=$(awk -F'" : "' -v backend="${device%%:*}" '
    /"backend" :/ { found = $2 ~ "^" backend "\"" }
    found && /"reason" :/ { sub(/",?$/, "", $2); print $2; exit }' "$scratch/devices.json")
  fail 4 "there is no $device here${reason:+: $reason}; nothing was run"
fi

commit=$(sed -n 's/.*"commit": "\([^"]*\)".*/\1/p' "$dist/build.json" 2>/dev/null)
[ -n "$commit" ] || commit=$(git -C "$dist" rev-parse --short HEAD 2>/dev/null) || commit=unknown
driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)
[ -n "$driver" ] || driver=$(sed -n '1s/^NVRM version: *//p' /proc/driver/nvidia/version 2>/dev/null)
processor=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2>/dev/null | head -n 1)
{
  printf '{"system": %s, "processor": %s, "driver": %s, "device": %s, "device_name": %s, "commit": %s, "devices": ' \
    "$(quoted "$(uname -srm)")" "$(quoted "$processor")" "$(quoted "${driver:-none}")" "$(quoted "$device")" \
    "$(quoted "$device_name")" "$(quoted "$commit")"
  cat "$scratch/devices.json"
  printf '}\n'
} > "$out/machine.json"

# --- steps --------------------------------------------------------------------------------------------------------------

key="$commit, $device, $device_name"
done_steps=0 failed_steps=0 ran=0 unfinished=''
SECONDS=0

# known NAME: true if a step was done before, with the same build on the same device, and did not fail.
known() {
  [ -z "$fresh" ] && grep -qsF "\"key\": $(quoted "$key")" "$out/$stage/$1.json" &&
    ! grep -q '"outcome": "failed"' "$out/$stage/$1.json"
}

# step NAME COMMAND...: runs a command and keeps what it printed, unless it is known. What takes longer than what is left of
# the budget is left for the next time.
step() {
  local name=$1 left=$((budget - SECONDS)) begin=$SECONDS code outcome
  shift
  [ -z "$unfinished" ] || return 0
  if known "$name"; then
    done_steps=$((done_steps + 1))
    printf '%-34s done before\n' "$name"
    return 0
  fi
  if [ "$left" -le 0 ]; then
    unfinished=$name
    return 0
  fi
  printf '%-34s ' "$name"
  timeout -k 5 "$left" "$@" > "$scratch/step.out" 2> "$scratch/step.err" < /dev/null
  code=$?
  if [ $code -eq 124 ] || [ $code -eq 137 ]; then
    if [ $ran -gt 0 ]; then # next time it comes first and has all of it
      printf 'out of time\n'
      unfinished=$name
      return 0
    fi
    printf 'ci/gpu.sh: it takes longer than the budget of %d s\n' "$budget" >> "$scratch/step.err"
  fi
  ran=$((ran + 1))
  case $code in
    0) outcome=passed ;;
    4) outcome='not run' ;;
    *) outcome=failed failed_steps=$((failed_steps + 1)) ;;
  esac
  done_steps=$((done_steps + 1))
  record "$name" "$outcome" "$code" $((SECONDS - begin)) "$*"
  printf '%s, %d s\n' "$outcome" $((SECONDS - begin))
  [ $code -eq 0 ] || tail -n 3 "$scratch/step.err" | sed 's/^/    /'
}

# record NAME OUTCOME CODE SECONDS COMMAND: the step's report, put in place at once.
record() {
  {
    printf '{"step": "%s",\n"key": %s,\n"outcome": "%s",\n"exit_code": %d, "seconds": %d, "date": "%s",\n"command": %s,\n' \
      "$1" "$(quoted "$key")" "$2" "$3" "$4" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(quoted "$5")"
    printf '"messages": %s,\n"result":\n' "$(text <(tail -n 20 "$scratch/step.err"))"
    case $(head -c 1 "$scratch/step.out") in
      '{' | '[') cat "$scratch/step.out" ;;
      *) text "$scratch/step.out" ;;
    esac
    printf '\n}\n'
  } > "$out/$stage/$1.json.new"
  mv "$out/$stage/$1.json.new" "$out/$stage/$1.json"
}

# --- validate -----------------------------------------------------------------------------------------------------------

# tokens JSON PROMPT: the token ids of a golden prompt, with commas.
tokens() {
  awk -v wanted="$2" '
    /"prompts"/ { prompts = 1 }
    prompts && /"tokens": \[/ { list = ++count == wanted + 1; next }
    list && /\]/ { exit }
    list { gsub(/[ ,]/, ""); printf "%s%s", sep, $0; sep = "," }' "$1"
}

# stated JSON FILE NAME: what the golden file says of a prompt's rows when activations are rounded in blocks of 32.
stated() {
  awk -v file="\"$2\"" -v name="\"$3\":" '
    index($0, "\"file\":") { mine = index($0, file) }
    mine && /"32":/ { block = 1 }
    mine && block && index($0, name) { gsub(/[^0-9.e+-]/, "", $2); print $2; exit }' "$1"
}

# logits MODEL PROMPT MODE CHUNK: a golden prompt's logits, compared row by row with those that are exact.
logits() {
  local model=$1 json=$golden/${1%%-*}.json exact=$golden/$1.$2.logits.f32 median over
  if [ "$3" = half ]; then
    median=1.5e-6 over=''
  else
    median=$(stated "$json" "$1.$2.logits.f32" median_row_nmse)
    over=$(stated "$json" "$1.$2.logits.f32" rows_over_1e-2)
    [ -n "$median" ] && [ -n "$over" ] || { echo "$json states no bound for $1.$2" >&2; return 1; }
  fi
  "$talaria" logits "$golden/$model.gguf" --tokens "$(tokens "$json" "$2")" --device "$device" --activations "$3" \
    --chunk "$4" --out "$scratch/logits.f32" --json > "$scratch/logits.json" || return
  local columns
  columns=$(sed -n 's/.*"columns" : \([0-9]*\).*/\1/p' "$scratch/logits.json")
  [ "$(wc -c < "$scratch/logits.f32")" -eq "$(wc -c < "$exact")" ] || { echo "$model.$2: another number of logits" >&2; return 1; }
  paste <(od -An -v -w4 -tf4 "$scratch/logits.f32") <(od -An -v -w4 -tf4 "$exact") |
    awk -v columns="$columns" '
      $1 !~ /^-?[0-9.]+(e[-+]?[0-9]+)?$/ { broken = 1 }
      { error += ($1 - $2) * ($1 - $2); power += $2 * $2 }
      NR % columns == 0 { printf "%.6e\n", broken ? 1e30 : error / power; error = power = broken = 0 }' |
    LC_ALL=C sort -g > "$scratch/errors"
  awk -v bound="$median" -v stated="$over" '
    { error[NR] = $1; over += $1 > 1e-2 }
    END {
      if (NR == 0) exit 1
      median = NR % 2 ? error[(NR + 1) / 2] : (error[NR / 2] + error[NR / 2 + 1]) / 2
      limit = stated == "" ? bound + 0 : 1.3 * bound
      printf "{\"rows\": %d, \"median_nmse\": %.3e, \"bound\": %.3e, \"worst_nmse\": %.3e, \"rows_over_1e-2\": %d}\n",
        NR, median, limit, error[NR], over
      exit !(median <= limit && (stated == "" || over <= stated + NR / 10))
    }' "$scratch/errors"
}

stage_validate() {
  if [ -x "$ops" ] && [ -f "$library" ]; then
    step ops "$ops" "$library"
  else
    printf '%-34s not run: %s\n' ops "there is no program of the ops ($ops) or no $library"
  fi
  [ -f "$golden/wide-Q6_K.gguf" ] || fail 4 "the golden models are not in $golden; make the distribution without --no-golden"
  step verbs "$talaria" validate --device "$device" --json
  local model prompt mode chunk
  for model in nano-Q4_K_M wide-Q6_K; do
    step "layers-$model" "$talaria" validate "$golden/$model.gguf" --model-only --device "$device" --json
  done
  export -f logits tokens stated
  export golden talaria device scratch
  for model in nano-Q4_K_M wide-Q6_K; do
    for prompt in 0 1; do
      for mode in half int8; do
        for chunk in 512 1; do
          step "logits-$model.$prompt-$mode-$chunk" bash -c 'logits "$@"' logits "$model" "$prompt" "$mode" "$chunk"
        done
      done
    done
  done
  local format
  for format in $formats; do # two layers of real size; the whole takes a reference some minutes
    step "made-up-$shape-$format" "$talaria" validate --synthetic "$shape:$format" --layers "${layers:-2}" --model-only \
      --device "$device" --json
  done
}

# --- bench --------------------------------------------------------------------------------------------------------------

stage_bench() {
  local format depth picture
  for format in $formats; do
    for depth in $depths; do
      picture=()
      [ "$depth" != 0 ] || picture=(--svg "$out/$stage/$format.svg")
      step "$format-d$depth" "$talaria" bench --synthetic "$shape:$format" ${layer_args[@]+"${layer_args[@]}"} \
        --device "$device" -p 512 -n 128 -d "$depth" -r "$repeat" --ops ${picture[@]+"${picture[@]}"} --json
    done
  done
}

# --- sanitize -----------------------------------------------------------------------------------------------------------

stage_sanitize() {
  local tool sanitizer
  [ -x "$ops" ] && [ -f "$library" ] || fail 4 "there is no program of the ops ($ops) or no $library; nothing was run"
  for sanitizer in "$(command -v compute-sanitizer)" /usr/local/cuda/bin/compute-sanitizer /usr/local/cuda-*/bin/compute-sanitizer; do
    [ ! -x "$sanitizer" ] || break
  done
  [ -x "$sanitizer" ] || fail 4 'compute-sanitizer is not here (it comes with the CUDA toolkit); nothing was run'
  for tool in memcheck racecheck synccheck; do
    step "$tool" "$sanitizer" --tool "$tool" --error-exitcode 1 "$ops" "$library" --short
  done
}

# --- peer ---------------------------------------------------------------------------------------------------------------

# A model's file in memory, made when the first step needs it.
shared_file() {
  local free
  [ "$made" != "/dev/shm/talaria-$shape-$1-$$.gguf" ] || return 0
  [ -z "$made" ] || rm -f "$made"
  made=/dev/shm/talaria-$shape-$1-$$.gguf
  printf '%-34s ' "(writing $shape:$1 to /dev/shm)"
  timeout -k 5 $((budget - SECONDS)) "$talaria" synthesize "$made" --shape "$shape" --format "$1" \
    ${layer_args[@]+"${layer_args[@]}"} > "$scratch/synthesize.log" 2>&1
  case $? in
    0) free=$(wc -c < "$made"); printf '%d MB\n' $((free / 1000000)) ;;
    124 | 137) printf 'out of time\n'; unfinished="$1" ; return 1 ;;
    *) printf 'not run: %s\n' "$(tail -n 1 "$scratch/synthesize.log")"; return 1 ;;
  esac
}

# Both engines in turns on the same file, so that what slows the machine meanwhile slows both.
stage_peer() {
  local format depth round layers_on_gpu=99
  [ -n "$peer" ] || fail 2 'write --peer-bin with the path of llama-bench'
  [ -x "$peer" ] || fail 4 "$peer is no program; nothing was run"
  case $device in cpu*) layers_on_gpu=0 ;; esac
  for format in $formats; do
    for depth in $depths; do
      for round in $(seq "$repeat"); do
        [ -z "$unfinished" ] && [ "$SECONDS" -lt "$budget" ] || { unfinished=${unfinished:-$format-d$depth-$round}; break; }
        { known "$format-d$depth-$round-talaria" && known "$format-d$depth-$round-peer"; } || shared_file "$format" || break
        step "$format-d$depth-$round-talaria" "$talaria" bench "$made" --device "$device" -p 512 -n 128 -d "$depth" -r 1 --json
        step "$format-d$depth-$round-peer" "$peer" -m "$made" -p 512 -n 128 -d "$depth" -r 1 -ngl $layers_on_gpu -o json
      done
    done
  done
}

# --- split --------------------------------------------------------------------------------------------------------------

# same MODEL SPLIT: a golden prompt's logits over two devices, which must be those of one to the bit.
same() {
  local tokens
  tokens=$(tokens "$golden/${1%%-*}.json" 0)
  "$talaria" logits "$golden/$1.gguf" --tokens "$tokens" --device "$device" --chunk 7 --out "$scratch/one.f32" --json > /dev/null || return
  "$talaria" logits "$golden/$1.gguf" --tokens "$tokens" --device "$device,$second" --split "$2" --chunk 7 \
    --out "$scratch/two.f32" --json > /dev/null || return
  cmp "$scratch/one.f32" "$scratch/two.f32" >&2 && printf '{"equal_bytes": %d}\n' "$(wc -c < "$scratch/two.f32")"
}

# overhead SPLIT: what a layer takes longer over two devices of one GPU than on one, from the reports of both.
overhead() {
  local count
  count=$("$talaria" plan --shape "$shape:$first_format" ${layer_args[@]+"${layer_args[@]}"} --device "$device" --json |
    sed -n 's/.*"layers" : \([0-9]*\).*/\1/p' | head -n 1)
  awk -v layers="$count" '
    /"test" :/ { writing = /"tg/ }
    writing && /"tokens_per_second" :/ { gsub(/[^0-9.]/, ""); us[++n] = 1e6 / $0; writing = 0 }
    END {
      if (n != 2 || layers < 1) exit 1
      printf "{\"layers\": %d, \"one_us\": %.1f, \"two_us\": %.1f, \"overhead_us_per_layer\": %.2f}\n", layers, us[1], us[2], (us[2] - us[1]) / layers
    }' "$out/split/one.json" "$out/split/$1.json"
}

# Two devices, or one GPU as two: equal results, and what exchanges cost.
stage_split() {
  local split first_format=${formats%% *}
  export -f same overhead tokens
  export golden talaria device second scratch shape first_format out
  for split in experts layers; do # whole experts and layers are the same bits wherever they are
    [ "${device%%:*}" != "${second%%:*}" ] || step "same-$split" bash -c 'same "$@"' same wide-Q6_K "$split"
  done
  step link "$talaria" experts simulate --shape "$shape:$first_format" ${layer_args[@]+"${layer_args[@]}"} \
    --device "$device,$second" --json
  step one "$talaria" bench --synthetic "$shape:$first_format" ${layer_args[@]+"${layer_args[@]}"} --device "$device" -p 512 -n 128 \
    -r "$repeat" --json
  for split in experts ffn tensor layers; do
    step "$split" "$talaria" bench --synthetic "$shape:$first_format" ${layer_args[@]+"${layer_args[@]}"} \
      --device "$device,$second" --split "$split" -p 512 -n 128 -r "$repeat" --json
    [ "$device" != "$second" ] || ! known "$split" || step "overhead-$split" bash -c 'layer_args=('"${layers:+--layers $layers}"'); overhead "$@"' overhead "$split"
  done
  case $device in
    cpu*) ;;
    *) step half-on-cpu "$talaria" bench --synthetic "$shape:$first_format" ${layer_args[@]+"${layer_args[@]}"} --device "$device" \
      --cpu-experts 4 -p 512 -n 32 -r 1 --json ;;
  esac
}

# --- reports ------------------------------------------------------------------------------------------------------------

report_json() {
  local folder file separator='' inner
  printf '{"date": "%s",\n"command": %s,\n"machine":\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(quoted "$command_line")"
  cat "$out/machine.json"
  printf ',\n"stages": {'
  for folder in validate bench sanitize peer split; do
    [ -d "$out/$folder" ] || continue
    printf '%s\n"%s": [' "$separator" "$folder"
    separator=, inner=''
    for file in "$out/$folder"/*.json; do
      [ -f "$file" ] || continue
      printf '%s\n' "$inner"
      cat "$file"
      inner=,
    done
    printf ']'
  done
  printf '}}\n'
}

# The numbers of a step's report: its outcome, and what each kind of result has.
summary() {
  awk -v step="$1" '
    function value(line) { sub(/^[^:]*: */, "", line); gsub(/^"|",?$|,$/, "", line); return line }
    /^"outcome":/ { outcome = value($0) }
    /^"exit_code":/ { seconds = $0; sub(/.*"seconds": /, "", seconds); sub(/,.*/, "", seconds) }
    /^"messages":/ { messages = value($0); n = split(messages, lines, /\\n/); last = lines[n] }
    /"read_bandwidth_gb_s" :/ { bandwidth = value($0) }
    /"test" :/ { test = value($0) }
    /"tokens_per_second" :/ { result = result sprintf("%s%s %.1f tokens/s", result == "" ? "" : "; ", test, value($0)) }
    test != "" && /"bandwidth_fraction" :/ && !/null/ { result = result sprintf(" (%.0f %% of the bandwidth)", 100 * value($0)); test = "" }
    /"n_prompt":/ { prompt = value($0) }
    /"n_gen":/ { generated = value($0) }
    /"avg_ts":/ { result = result sprintf("%s%s %.1f tokens/s", result == "" ? "" : "; ", prompt > 0 ? "pp" prompt : "tg" generated, value($0)) }
    /^  "passed" :/ { passed = value($0) }
    /^  "failed" :/ { failed = value($0) }
    /^  "unsupported" :/ { result = passed " passed, " failed " failed, " value($0) " unsupported" }
    /"median_nmse":/ { match($0, /"median_nmse": [^,]*/); median = substr($0, RSTART + 15, RLENGTH - 15)
      match($0, /"bound": [^,]*/); result = "median error " median " of " substr($0, RSTART + 9, RLENGTH - 9) }
    /"overhead_us_per_layer":/ { match($0, /per_layer": [^}]*/); result = substr($0, RSTART + 12, RLENGTH - 12) " us per layer" }
    /"equal_bytes":/ { result = "equal to the bit" }
    /"gb_s" :/ && link == "" { link = value($0) }
    /"microseconds" :/ && link != "" && result == "" { result = sprintf("%.3g GB/s, %.3g us a transfer", link, value($0)) }
    /^"op  / { n = split($0, lines, /\\n/); result = lines[n]; sub(/"$/, "", result); gsub(/ +/, " ", result) }
    END {
      if (result == "" || outcome != "passed") result = result (result == "" ? "" : "; ") last
      gsub(/\|/, "/", result)
      printf "| %s | %s | %s | %s |\n", step, outcome, seconds, result
    }' "$2"
}

# Of the rows of a peer stage: medians of both engines side by side.
compare() {
  awk -F' \\| ' '
    function median(key,   n, i, j, v, t) {
      n = split(values[key], v, " ")
      for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
      return n % 2 ? v[(n + 1) / 2] + 0 : (v[n / 2] + v[n / 2 + 1]) / 2
    }
    {
      step = $1
      sub(/^\| /, "", step)
      engine = step ~ /-peer$/ ? "peer" : "talaria"
      sub(/-[0-9]+-(peer|talaria)$/, "", step)
      n = split($4, results, "; ")
      for (i = 1; i <= n; i++) {
        split(results[i], words, " ")
        if (results[i] !~ /tokens\/s/) continue
        key = step " | " words[1]
        if (!(key in seen)) { seen[key] = 1; keys[++count] = key }
        match(results[i], /[0-9.]+ tokens/)
        values[key, engine] = values[key, engine] " " substr(results[i], RSTART, RLENGTH - 7)
      }
    }
    END {
      print "\n| model and depth | test | Talaria | peer | Talaria : peer |\n|---|---|---|---|---|"
      for (i = 1; i <= count; i++) {
        ours = median(keys[i] SUBSEP "talaria")
        theirs = median(keys[i] SUBSEP "peer")
        if (theirs > 0) printf "| %s | %.1f | %.1f | %.2f |\n", keys[i], ours, theirs, ours / theirs
      }
    }' "$1"
}

report_markdown() {
  local folder file
  printf '# %s\n\n%s on %s, driver %s, commit %s, %s\n' "$device_name" "$device" "$(uname -srm)" "${driver:-none}" "$commit" \
    "$(date -u +%Y-%m-%d)"
  for folder in validate bench sanitize peer split; do
    ls "$out/$folder"/*.json > /dev/null 2>&1 || continue
    printf '\n## %s\n\n| step | outcome | seconds | result |\n|---|---|---|---|\n' "$folder"
    for file in "$out/$folder"/*.json; do
      summary "$(basename "$file" .json)" "$file"
    done > "$scratch/rows"
    cat "$scratch/rows"
    [ "$folder" != peer ] || compare "$scratch/rows"
  done
}

printf '%s: %s (%s), commit %s\n' "$stage" "$device" "$device_name" "$commit"
"stage_$stage"
report_json > "$out/report.json.new" && mv "$out/report.json.new" "$out/report.json"
report_markdown > "$out/report.md"
printf '%d steps done, %d failed, %d s; %s\n' $done_steps $failed_steps $SECONDS "$out/report.md"
if [ $failed_steps -gt 0 ]; then
  exit 1
fi
[ -z "$unfinished" ] || fail 75 "out of time before $unfinished; the same command again goes on from there"
