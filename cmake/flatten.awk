# A file with what it includes in quotes, each header once: sources that are compiled where there are no files.
# Usage: awk -f cmake/flatten.awk FILE
function expand(path, folder, line) {
  while (sub(/[^\/]+\/\.\.\//, "", path)) {}
  if (path in seen) return
  seen[path] = 1
  folder = path
  sub(/[^\/]*$/, "", folder)
  while ((getline line < path) > 0) {
    if (line ~ /^#pragma once/) continue
    if (line ~ /^#include "/) {
      split(line, parts, "\"")
      expand(folder parts[2])
    } else {
      print line
    }
  }
  close(path)
}
BEGIN {
  expand(ARGV[1])
  exit
}
