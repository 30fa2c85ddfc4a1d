#!/usr/bin/env bash
# Builds the distribution: a folder with a Java runtime of its own, and an archive of it, in build/dist.
# Usage: ci/package.sh [--no-build] [--backends 'cpu cuda …'] [--native FOLDER]... [--ops FILE] [--no-golden]
#   --no-build         takes target/ as it is; else Maven builds it first, with kernels for all GPUs that there is a
#                      compiler for, which takes many minutes
#   --cmake ARGS       more arguments for CMake, such as -DTALARIA_CUDA_ARCHS=90a
#   --backends NAMES   which libtalaria_NAME.so to take; without it all that are found, but the emulator
#   --native FOLDER    looks for libraries there too, such as in a build of the GPU backends; the first one found counts
#   --ops FILE         the native test program of the ops; without it the one of build/tests or target/native, if any
#   --no-golden        leaves out the small models with exact logits, and so what 'ci/gpu.sh --stage validate' compares with
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. ci/find-jdk.sh

root=$(pwd -P)
limit_mib=64 # what travels to a GPU machine
platform=linux-x86_64
# What Talaria and its libraries use; jdeps names more, which the JSON library does without.
modules=java.base,java.logging,jdk.unsupported

fail() {
  printf 'ci/package.sh: %s\n' "$*" >&2
  exit 1
}

build=1 backends='' golden=1 ops='' folders='' cmake=''
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --no-build) build='' ;;
    --no-golden) golden='' ;;
    --cmake) cmake=${2:?arguments are missing}; shift ;;
    --backends) backends=${2:?names are missing}; shift ;;
    --native) folders="$folders ${2:?a folder is missing}"; shift ;;
    --ops) ops=${2:?a file is missing}; shift ;;
    *) printf "ci/package.sh: there is no option '%s'; see --help\n" "$1" >&2; exit 2 ;;
  esac
  shift
done
[ "$(uname -sm)" = 'Linux x86_64' ] || fail "distributions are made on Linux on x86-64 alone"
find_jdk jlink || fail "there is no JDK 21 or later with jlink. $jdk_advice"
[ -z "$build" ] || JAVA_HOME=$jdk PATH=$jdk/bin:$PATH mvn -B -ntp -q -DskipTests \
  "-Dcmake.args=-DTALARIA_TESTS=OFF -DTALARIA_CUDA=AUTO -DTALARIA_HIP=AUTO $cmake" process-classes >&2
classes=target/classes
built=$classes/io/talaria/backend/jni/$platform
[ -f "$built/libjnitalaria.so" ] || fail "$built has no libjnitalaria.so; leave out --no-build"

version=$(sed -n 's/^  <version>\(.*\)<\/version>$/\1/p' pom.xml | head -n 1)
name=talaria-$version-$platform
image=build/dist/$name
rm -rf "$image" "$image".tar.*
mkdir -p "$image/bin" "$image/lib" "$image/ci"

# The runtime.
"$jdk/bin/jlink" --add-modules "$modules" --compress zip-9 --strip-debug --no-header-files --no-man-pages \
  --output "$image/runtime"
if command -v strip >/dev/null; then
  find "$image/runtime" -name '*.so' -exec strip --strip-unneeded {} +
fi

# Classes in one jar, native libraries in a folder of the class path, where they are loaded in place.
staging=$(mktemp -d)
trap 'rm -rf "$staging"' EXIT
cp -r "$classes/." "$staging"
find "$staging" -name '*.so' -delete
"$jdk/bin/jar" --create --file "$image/lib/talaria.jar" --no-manifest -C "$staging" .
native=$image/native/io/talaria/backend/jni/$platform
mkdir -p "$native"
cp "$built/libjnitalaria.so" "$native"
# What plans for GPUs that are not here is no backend of anybody's choice, and belongs to every distribution.
[ -z "$backends" ] || backends="$backends plan"
for library in "$built"/libtalaria_*.so $(for folder in $folders; do find "$folder" -name 'libtalaria_*.so'; done); do
  backend=${library##*/libtalaria_}
  backend=${backend%.so}
  case " ${backends:-${backend%simt*}} " in
    *" $backend "*) [ -f "$native/${library##*/}" ] || cp "$library" "$native" ;;
  esac
done
for backend in $backends; do
  [ -f "$native/libtalaria_$backend.so" ] || fail "libtalaria_$backend.so was not built; --native names where else to look"
done
if command -v strip >/dev/null; then
  strip --strip-unneeded "$native"/*.so
fi

# Libraries. Of CUDA's bindings only those of NVML are used: their classes, and the one library behind them.
mkdir "$staging/nvml"
for jar in target/lib/*.jar; do
  case $jar in
    */cuda-*) (cd "$staging/nvml" && "$jdk/bin/jar" xf "$root/$jar" org/bytedeco/cuda/nvml org/bytedeco/cuda/global/nvml.class \
      org/bytedeco/cuda/presets "org/bytedeco/cuda/$platform/libjninvml.so" META-INF/LICENSE META-INF/NOTICE) ;;
    *) cp "$jar" "$image/lib" ;;
  esac
done
if [ -d "$staging/nvml/org" ]; then
  mkdir -p "$image/native/org/bytedeco/cuda/$platform"
  mv "$staging/nvml/org/bytedeco/cuda/$platform"/*.so "$image/native/org/bytedeco/cuda/$platform"
  "$jdk/bin/jar" --create --file "$image/lib/nvml.jar" --no-manifest -C "$staging/nvml" .
fi

# What a GPU machine needs to check and to measure.
install -m 755 ci/launch-image.sh "$image/bin/talaria"
install -m 755 ci/gpu.sh "$image/ci/gpu.sh"
if [ -z "$ops" ]; then
  for candidate in build/tests/tests/kernels/ops target/native/tests/kernels/ops; do
    [ ! -x "$candidate" ] || { ops=$candidate; break; }
  done
fi
if [ -n "$ops" ]; then
  mkdir -p "$image/tests/kernels"
  install -m 755 "$ops" "$image/tests/kernels/ops"
fi
if [ -n "$golden" ]; then
  mkdir -p "$image/tests/data/golden"
  for model in nano-Q4_K_M wide-Q6_K; do
    cp tests/data/golden/$model.gguf tests/data/golden/$model.*.logits.f32 "tests/data/golden/${model%%-*}.json" \
      "$image/tests/data/golden"
  done
fi
mkdir -p "$image/models"
cp -R models/talaria-small "$image/models"
cp README.md "$image"
for notice in LICENSE NOTICE; do
  [ ! -f "$notice" ] || cp "$notice" "$image"
done
{
  printf 'This distribution has parts of others; their licences:\n\n'
  printf 'runtime/: %s, in runtime/legal\n' "$(sed -n 's/^IMPLEMENTOR="\(.*\)"/\1/p' "$jdk/release")'s build of OpenJDK"
  for jar in "$image"/lib/*.jar; do
    case ${jar##*/} in
      talaria.jar) ;;
      jackson-* | javacpp-* | nvml.jar | picocli-*) printf 'lib/%s: Apache License 2.0\n' "${jar##*/}" ;;
      jline-*) printf 'lib/%s: BSD 3-Clause License\n' "${jar##*/}" ;;
      jocl-*) printf 'lib/%s: MIT License\n' "${jar##*/}" ;;
      *) fail "which licence ${jar##*/} has is not known here; add it" ;;
    esac
  done
} > "$image/THIRD-PARTY"
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain 2>/dev/null)" ] || commit="$commit, with changes"
printf '{"version": "%s", "commit": "%s", "backends": "%s"}\n' "$version" "$commit" \
  "$(cd "$native" && printf '%s ' libtalaria_*.so | sed 's/libtalaria_plan.so //; s/libtalaria_//g; s/\.so//g; s/ $//')" > "$image/build.json"

# Archives.
tar -C build/dist --owner 0 --group 0 -cf "build/dist/$name.tar" "$name"
if command -v zstd >/dev/null; then
  zstd -q -12 -T0 "build/dist/$name.tar" -o "build/dist/$name.tar.zst"
fi
gzip -9 "build/dist/$name.tar"

# Sizes.
kib() { du -sk --apparent-size "$1" | cut -f 1; }
for part in runtime lib native tests; do
  [ ! -e "$image/$part" ] || printf '%8d KiB  %s\n' "$(kib "$image/$part")" "$part"
done
for file in "$native"/*.so; do
  printf '%8d KiB  native: %s\n' "$(kib "$file")" "${file##*/}"
done
total=$(kib "$image")
printf '%8d KiB  %s\n' "$total" "$image"
for archive in "$image".tar.*; do
  printf '%8d KiB  %s\n' "$(kib "$archive")" "$archive"
done
if [ "$total" -gt $((limit_mib * 1024)) ]; then
  fail "the folder is larger than $limit_mib MiB, which is what a GPU machine takes; leave something out with --backends"
fi
