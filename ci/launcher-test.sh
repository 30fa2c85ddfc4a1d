#!/usr/bin/env bash
# Tests the launcher in a small tree with a Maven and a Java that are shell scripts, then starts the real one.
# Prints "ok NAME" or "FAILED NAME" for each test, and fails if any failed.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
root=$(pwd -P)
work=$(mktemp -d) || exit 1
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
failures=0

# check NAME COMMAND...: the command's success is the test's.
check() {
  local name=$1
  shift
  if "$@"; then
    printf 'ok %s\n' "$name"
  else
    printf 'FAILED %s\n' "$name"
    failures=$((failures + 1))
  fi
}

equal() {
  [ "$1" = "$2" ] || { printf '  expected: %s\n  found:    %s\n' "$2" "$1"; return 1; }
}

contains() {
  case $1 in
    *"$2"*) ;;
    *) printf '  "%s" is not in: %s\n' "$2" "$1"; return 1 ;;
  esac
}

# --- the small tree ---------------------------------------------------------------------------------------------------

tree="$work/a folder/talaria"
mkdir -p "$tree/ci" "$tree/java" "$tree/native" "$tree/kernels" "$tree/cmake" "$work/bin" "$work/empty"
cp talaria "$tree/"
cp ci/find-jdk.sh "$tree/ci/"
touch "$tree/pom.xml" "$tree/CMakeLists.txt" "$tree/java/A.java" "$tree/java/B.java"

# jdk NAME VERSION: a JDK whose java prints NAME and its last arguments, one a line, and returns $JAVA_RESULT.
jdk() {
  mkdir -p "$work/$1/bin"
  printf 'IMPLEMENTOR="Nobody"\nJAVA_VERSION="%s"\n' "$2" > "$work/$1/release"
  cat > "$work/$1/bin/java" <<END
#!/bin/sh
echo $1
while [ "\$1" != io.talaria.cli.Main ]; do shift; done
shift
for argument; do echo "<\$argument>"; done
[ -z "\${READ_INPUT:-}" ] || cat
exit \${JAVA_RESULT:-0}
END
  cp "$work/$1/bin/java" "$work/$1/bin/javac"
  chmod +x "$work/$1/bin/java" "$work/$1/bin/javac"
}
jdk jdk17 17.0.1
jdk jdk21 21
jdk jdk99 99.0.1+9

# A Maven that writes down its start and end, and fails where a source says so.
cat > "$work/bin/mvn" <<'END'
#!/bin/sh
echo start >> "$BUILDS"
echo "$*" > "$BUILDS.arguments"
cat > /dev/null
sleep "${MAVEN_SECONDS:-0}"
if grep -rq WRONG java; then
  echo "[INFO] something of no interest"
  echo "[ERROR] java/A.java:[1,1] WRONG is wrong"
  exit 1
fi
mkdir -p target/classes
echo end >> "$BUILDS"
END
chmod +x "$work/bin/mvn"
for tool in bash sh env cat uname find sort head tail cksum readlink dirname ln rm mkdir rmdir mv sleep grep awk sed kill ps locale make; do
  file=$(command -v "$tool") && [ -x "$file" ] && ln -sf "$file" "$work/bin/$tool"
done
cp "$work/bin/mvn" "$work/bin/cmake"
cp "$work/bin/mvn" "$work/bin/c++"

# start ARGUMENT...: the launcher, without anything of this machine's environment. Its errors go to $work/errors.
start() {
  env -i PATH="$work/bin" HOME="$work/empty" BUILDS="$work/builds" JAVA_HOME="$work/jdk99" \
    ${VARIABLES[@]+"${VARIABLES[@]}"} "${LAUNCHER:-$tree/talaria}" "$@" 2> "$work/errors"
}

builds() {
  [ ! -f "$work/builds" ] || grep -c "${1:-end}" "$work/builds"
}

# rebuilds NAME: the next start builds, the one after it does not.
rebuilds() {
  rm -f "$work/builds"
  start > /dev/null
  start > /dev/null
  check "$1" equal "$(builds)" 1
}

# --- building ---------------------------------------------------------------------------------------------------------

rebuilds 'the first start builds, the second does not'
rm "$work/bin/mvn"
check 'an unchanged tree starts without Maven' equal "$(start)" jdk99
touch "$tree/java/C.java"
check 'a missing tool is named' test "$(start; echo $?)" = 1
check 'with what to install' contains "$(cat "$work/errors")" "apt-get install maven'"
rm "$tree/java/C.java"
cp "$work/bin/cmake" "$work/bin/mvn"

sleep 1.1
echo 1 > "$tree/java/A.java"
rebuilds 'an edit builds'
touch "$tree/kernels/new.cpp"
rebuilds 'a new file builds'
rm "$tree/kernels/new.cpp"
rebuilds 'a deleted file builds'
mv "$tree/java/B.java" "$tree/java/D.java"
rebuilds 'a renamed file builds'
touch "$tree/java/.A.java.swp"
check 'a hidden file does not' equal "$(rm -f "$work/builds"; start > /dev/null; builds)" ''
touch -t 200001010000 "$tree/pom.xml"
check 'nor does an older date' equal "$(rm -f "$work/builds"; start > /dev/null; builds)" ''
echo 2 > "$tree/pom.xml"
touch -t 200001010000 "$tree/pom.xml"
rebuilds 'an edit with an old date builds'
sleep 1.1
touch "$tree/java/A.java"
rebuilds 'a newer date builds, as an edit may have been built and taken back'

echo WRONG > "$tree/java/A.java"
check 'a failing build returns 1' equal "$(start > /dev/null; echo $?)" 1
check 'and says what is wrong' contains "$(cat "$work/errors")" 'A.java:[1,1] WRONG is wrong'
check 'and not what is not' equal "$(grep -c 'no interest' "$work/errors")" 0
check 'and leaves no lock' test ! -L "$tree/target/build.lock"
echo 1 > "$tree/java/A.java"
rebuilds 'when it is put right, it builds'

rm -rf "$tree/target" "$work/builds"
VARIABLES=(MAVEN_SECONDS=1)
start > "$work/one" &
sleep 0.3
start > "$work/two"
errors=$(cat "$work/errors")
wait $!
check 'two starts at once build once' equal "$(builds)" 1
check 'the second says that it waits' contains "$errors" 'Another start is building'
check 'and both run' equal "$(cat "$work/one" "$work/two" | tr '\n' ' ')" 'jdk99 jdk99 '

rm -rf "$tree/target"
mkdir "$tree/target"
sleep 0 &
wait $!
ln -s $! "$tree/target/build.lock"
VARIABLES=()
rebuilds 'the lock of a process that is gone is cleared'

# Where interrupts are ignored, as under nohup or in a background job, no child can hear one: then an end will do.
signal=INT signalled=130
if bash -c 'kill -INT $$; exit 0' 2>/dev/null; then
  signal=TERM signalled=143
fi
rm -rf "$tree/target" "$work/builds"
set -m # gives the next job a process group of its own, as a terminal does
VARIABLES=(MAVEN_SECONDS=5)
start > /dev/null &
set +m
sleep 1
kill -$signal -- -$!
wait $!
check "a build ended by $signal returns $signalled" equal $? $signalled
# The signal went to the launcher and to the shell that waits for it here, which may be gone first.
for _ in 1 2 3 4 5 6 7 8 9 10; do
  [ -L "$tree/target/build.lock" ] || break
  sleep 0.2
done
check 'leaves no lock' test ! -L "$tree/target/build.lock"
check 'nor Maven running' equal "$(builds start)$(builds)" 10
VARIABLES=()
rebuilds 'and the next start builds'

# --- GPUs -------------------------------------------------------------------------------------------------------------

# options: what the next start gives to CMake.
options() {
  rm -f "$work/builds.arguments"
  start > /dev/null
  sed -n 's/.*-Dcmake.args=-DTALARIA_TESTS=OFF \(.*\) process-classes.*/\1/p' "$work/builds.arguments"
}

devices=$work/devices
rm -rf "$tree/target"
VARIABLES=(TALARIA_DEVICES="$devices")
check 'without a GPU no kernels are built' equal "$(options)" '-DTALARIA_CUDA=OFF -DTALARIA_HIP=OFF'
mkdir -p "$devices/dev" "$devices/sys/class/kfd/kfd/topology/nodes/0" "$devices/sys/class/kfd/kfd/topology/nodes/1"
touch "$devices/dev/nvidia0"
check 'nor without a compiler for it' equal "$(options)" '-DTALARIA_CUDA=OFF -DTALARIA_HIP=OFF'
check 'which is said' contains "$(cat "$work/errors")" 'There is an NVIDIA GPU here, but no nvcc'
cp "$work/bin/cmake" "$work/bin/nvcc"
printf '#!/bin/sh\nprintf "8.6\\n12.0\\n9.0\\n8.6\\n"\n' > "$work/bin/nvidia-smi"
chmod +x "$work/bin/nvidia-smi"
rm -rf "$tree/target"
check 'kernels are built for the GPUs that are there' equal "$(options)" \
  '-DTALARIA_CUDA=AUTO -DTALARIA_CUDA_ARCHS=120;86;90a -DTALARIA_HIP=OFF'
rm "$work/bin/nvidia-smi" "$devices/dev/nvidia0"
touch "$devices/dev/kfd"
printf 'simd_count 0\ngfx_target_version 0\n' > "$devices/sys/class/kfd/kfd/topology/nodes/0/properties"
printf 'simd_count 440\ngfx_target_version 90010\n' > "$devices/sys/class/kfd/kfd/topology/nodes/1/properties"
check 'a GPU that comes or goes builds' equal "$(options)" '-DTALARIA_CUDA=OFF -DTALARIA_HIP=OFF'
check 'without clang not for AMD' contains "$(cat "$work/errors")" 'There is an AMD GPU here, but no clang'
cp "$work/bin/cmake" "$work/bin/clang++-19"
check "AMD's are known by their number" equal "$(options)" '-DTALARIA_CUDA=OFF -DTALARIA_HIP=AUTO -DTALARIA_HIP_ARCHS=gfx90a'
VARIABLES=(TALARIA_DEVICES="$devices" HSA_OVERRIDE_GFX_VERSION=10.3.0)
check 'or by the one that they pass for' equal "$(options)" \
  '-DTALARIA_CUDA=OFF -DTALARIA_HIP=AUTO -DTALARIA_HIP_ARCHS=gfx1030'
VARIABLES=(TALARIA_DEVICES="$work/empty")
rebuilds 'the next start without them builds'
check 'the emulator is built when it is named' equal "$(start bench -d simt:0 > /dev/null; cat "$work/builds.arguments")" \
  "--build $tree/target/native --target talaria_simt --parallel $(getconf _NPROCESSORS_ONLN)"
rm -f "$work/builds"
check 'and once' equal "$(start bench -d simt:0 > /dev/null; start bench --device=cpu,simt:1 > /dev/null; builds)" ''
rm "$work/bin/nvcc" "$work/bin/clang++-19"
VARIABLES=()
start > /dev/null

# --- running ----------------------------------------------------------------------------------------------------------

check 'arguments arrive as they are' equal "$(start 'a b' '' "\"'\$x\\" '*' 'é漢')" \
  "$(printf 'jdk99\n<a b>\n<>\n<%s>\n<*>\n<é漢>' "\"'\$x\\")"
check 'no arguments are none' equal "$(start)" jdk99
VARIABLES=(JAVA_RESULT=70)
check 'the exit code arrives' equal "$(start > /dev/null; echo $?)" 70
VARIABLES=(READ_INPUT=1)
check 'standard input arrives' equal "$(echo text | start)" "$(printf 'jdk99\ntext')"
rm -rf "$tree/target"
check 'even if it must build first' equal "$(echo text | start)" "$(printf 'jdk99\ntext')"
VARIABLES=()
ln -s "a folder/talaria/talaria" "$work/link"
ln -s link "$work/link2"
LAUNCHER=$work/link2
check 'links are followed' equal "$(start)" jdk99
LAUNCHER=../ci/../talaria
check 'any folder will do' equal "$(cd "$tree/java" && start)" jdk99
LAUNCHER=
chmod -R a-w "$tree"
check 'so will one that cannot be written' equal "$(start)" jdk99
chmod -R u+w "$tree"

# --- JDKs -------------------------------------------------------------------------------------------------------------

VARIABLES=(JAVA_HOME="$work/jdk21")
check 'JAVA_HOME wins if it is new enough' equal "$(start)" jdk21
VARIABLES=(JAVA_HOME="$work/jdk17" HOME="$work/home")
mkdir -p "$work/home/.sdkman/candidates/java"
ln -s "$work/jdk21" "$work/home/.sdkman/candidates/java/21"
ln -s "$work/jdk99" "$work/home/.sdkman/candidates/java/99"
check 'or else the newest' equal "$(start)" jdk99

[ "${1:-}" != --fake ] || exit $((failures > 0))
printf '\n'
real=$("$root/talaria" --version 2> "$work/errors") || cat "$work/errors"
check 'the real launcher starts the real program' contains "$real" 'talaria '
check 'which talks' test -n "$(echo Hello | "$root/talaria" chat -n 4 --temp 0 2> "$work/errors" || cat "$work/errors" >&2)"
[ $failures -eq 0 ]
