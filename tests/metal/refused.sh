#!/usr/bin/env bash
# Can lint.sh fail? Every file of refused/ must be refused, with the words of its first line. Usage: refused.sh CLANG
set -u
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
result=0
for file in refused/*.metal; do
  words=$(sed -n '1s/^\/\/ refused: //p' "$file")
  if text=$(./lint.sh "${1:?a clang}" "$file" 2>&1); then
    printf 'FAILED %s passes\n' "$file"
    result=1
  elif [ -z "$words" ] || [[ $text != *"$words"* ]]; then
    printf 'FAILED %s is refused, but not as "%s":\n%s\n' "$file" "$words" "$text"
    result=1
  else
    printf 'ok     %s: %s\n' "$file" "$words"
  fi
done
exit $result
