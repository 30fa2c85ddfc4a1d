#!/usr/bin/env bash
# Starts Talaria from an unpacked distribution: its own Java runtime, nothing to build. Plain bash 3.2.
set -u
unset CDPATH

# The folder of this file, whatever links lead to it.
self=${BASH_SOURCE[0]}
while [ -L "$self" ]; do
  link=$(readlink "$self")
  case $link in
    /*) self=$link ;;
    *) self=$(dirname "$self")/$link ;;
  esac
done
home=$(cd "$(dirname "$self")/.." && pwd -P) || { printf 'talaria: the folder of %s cannot be entered\n' "$self" >&2; exit 1; }

# Java takes its arguments to be in the locale's character set, and where that is ASCII it loses everything else.
[ "$(locale charmap 2>/dev/null)" = UTF-8 ] || export LC_ALL=C.UTF-8

set -f # options are words, and no patterns for files
# shellcheck disable=SC2206
options=(${TALARIA_JAVA_OPTS:-})
set +f
case ${TALARIA_JAVA_OPTS:-}${JDK_JAVA_OPTIONS:-}${JAVA_TOOL_OPTIONS:-} in
  *+Use*GC*) ;;
  *) options=(-XX:+UseSerialGC ${options[@]+"${options[@]}"}) ;;
esac
if [ -t 0 ]; then options=(-Dtalaria.keyboard=true ${options[@]+"${options[@]}"}); fi
if [ -t 2 ]; then options=(-Dtalaria.terminal=true ${options[@]+"${options[@]}"}); fi

exec "$home/runtime/bin/java" --enable-native-access=ALL-UNNAMED "-Dtalaria.home=$home" \
  ${options[@]+"${options[@]}"} -cp "$home/native:$home/lib/*" io.talaria.cli.Main "$@"
