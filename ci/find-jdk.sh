# Finds a JDK from 21 on; sourced by ../talaria, setup.sh and test.sh. Reads files alone, as starting java to ask for
# its version would take longer than all else that the launcher does.

# shellcheck disable=SC2034 # for those who source this
jdk_advice="Install one: Debian 13 and Ubuntu have it ('apt-get install openjdk-21-jdk-headless'), for Debian 12 and all\
 other systems there are Temurin (https://adoptium.net) and SDKMAN ('sdk install java'); or set JAVA_HOME to one."

# suits HOME TOOL: true if HOME is a Java of 21 or later that has bin/TOOL. Leaves its version in `major`.
suits() {
  local line
  major=0
  [ -x "$1/bin/$2" ] && [ -r "$1/release" ] || return 1
  while IFS= read -r line; do
    case $line in
      JAVA_VERSION=*)
        line=${line#*=\"}
        major=${line%%[!0-9]*}
        ;;
    esac
  done < "$1/release"
  [ "${major:-0}" -ge 21 ]
}

# find_jdk TOOL: sets `jdk` to JAVA_HOME if that suits, else to the newest JDK found that has bin/TOOL (java to run,
# javac to build). False if there is none.
find_jdk() {
  local candidate best=0 on_path=
  jdk=
  if [ -n "${JAVA_HOME:-}" ] && suits "$JAVA_HOME" "$1"; then
    jdk=$JAVA_HOME
    return 0
  fi
  if on_path=$(command -v java); then
    on_path=$(readlink -f "$on_path" 2>/dev/null) || on_path=
  fi
  for candidate in "${on_path%/bin/java}" \
    /usr/lib/jvm/* \
    /Library/Java/JavaVirtualMachines/*/Contents/Home \
    "${HOME:-}"/Library/Java/JavaVirtualMachines/*/Contents/Home \
    /opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home \
    /usr/local/opt/openjdk*/libexec/openjdk.jdk/Contents/Home \
    "${HOME:-}"/.sdkman/candidates/java/* \
    "${HOME:-}"/.jdks/*; do
    if suits "$candidate" "$1" && [ "$major" -gt "$best" ]; then
      best=$major
      jdk=$candidate
    fi
  done
  [ -n "$jdk" ] || ask_for_jdk "$1"
}

# The slow ways, for a java on PATH that is a wrapper script, and for macOS.
ask_for_jdk() {
  local candidate
  if [ -x /usr/libexec/java_home ] && candidate=$(/usr/libexec/java_home -v 21+ 2>/dev/null) && suits "$candidate" "$1"; then
    jdk=$candidate
    return 0
  fi
  candidate=$(java -XshowSettings:properties -version 2>&1 </dev/null | sed -n 's/^ *java\.home = //p')
  if [ -n "$candidate" ] && suits "$candidate" "$1"; then
    jdk=$candidate
    return 0
  fi
  return 1
}
