#!/usr/bin/env bash
# Formats the Java sources; with --check it only says what the formatter would change.
# The formatter parses with the compiler of the JDK that Maven runs on, and older ones do not know Java 21.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
. ci/find-jdk.sh
find_jdk javac || { printf 'ci/format.sh: there is no JDK 21 or later. %s\n' "$jdk_advice" >&2; exit 1; }
if [ "${1:-}" = --check ]; then
  JAVA_HOME=$jdk mvn -B -ntp -q spotless:check || { printf "'ci/format.sh' formats these files.\n" >&2; exit 1; }
else
  JAVA_HOME=$jdk mvn -B -ntp -q spotless:apply
fi
