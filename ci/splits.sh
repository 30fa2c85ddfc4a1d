#!/usr/bin/env bash
# Prints the tables of docs/splits.md: simulated speeds of splits over pairs of GPUs, each below the command that prints it.
# $TALARIA is the program to ask; ./talaria if it is not set.
set -eu
cd "$(dirname "$0")/.."

# table TITLE ARGUMENTS...
table() {
  local title=$1 argument command='talaria experts simulate'
  shift
  for argument; do
    case $argument in *' '*) command="$command '$argument'" ;; *) command="$command $argument" ;; esac
  done
  printf '**%s.** `%s --md`\n\n' "$title" "$command"
  "${TALARIA:-./talaria}" experts simulate "$@" --md
  echo
}

# Dense, FP16 with FP32 sums. 5090: a quarter of the 838 TFLOPS that are stated with sparsity and FP16 sums. MI100: as stated.
for pair in \
  'NVIDIA RTX 5090,NVIDIA RTX 5090|209.5|pcie5-pinned pcie5-peer' \
  'MI100,MI100|184.6|pcie4-pinned infinity-fabric' \
  'NVIDIA RTX 5090,MI100|209.5,184.6|pcie4-pinned'; do
  gpus=${pair%%|*}
  rest=${pair#*|}
  tflops=${rest%%|*}
  case $gpus in
    NVIDIA*NVIDIA*) echo '### Two RTX 5090' ;;
    NVIDIA*) echo '### An RTX 5090 and an MI100' ;;
    *) echo '### Two MI100' ;;
  esac
  echo
  for link in ${rest#*|}; do
    case $link in
      *-pinned) table 'Through host memory' --gpu "$gpus" --tflops "$tflops" --link "$link" ;;
      *) table "Over $link" --gpu "$gpus" --tflops "$tflops" --link "$link" ;;
    esac
  done
done
