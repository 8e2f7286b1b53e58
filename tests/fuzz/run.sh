#!/usr/bin/env bash
# Fuzzes a while: first replays the committed corpus, then mutates it.
#   run.sh BUILD_DIR SECONDS [TARGET...]   targets: the parts of fuzz_TARGET's names; default: all
# New inputs go to a temporary folder, so that the repository stays as it is; a crashing input is
# left in BUILD_DIR/crashes, from where it belongs into tests/fuzz/corpus and into a unit test.
set -euo pipefail
build=${1:?build folder} seconds=${2:?seconds for each target}
shift 2
corpus=$(cd "$(dirname "$0")" && pwd)/corpus

targets=("$@")
if ((${#targets[@]} == 0)); then
  mapfile -t targets < <(find "$build" -type f -name 'fuzz_*' -perm -u+x -printf '%f\n' |
    sed 's/^fuzz_//' | sort)
fi
((${#targets[@]})) || { echo "$0: no fuzz targets in $build; build them: cmake --preset fuzz && cmake --build --preset fuzz" >&2; exit 1; }

for target in "${targets[@]}"; do
  program=$(find "$build" -type f -name "fuzz_$target" -perm -u+x -print -quit)
  [[ -n $program ]] || { echo "$0: no fuzz_$target in $build; build it: cmake --preset fuzz && cmake --build --preset fuzz" >&2; exit 1; }
  [[ -n $(ls "$corpus/$target") ]] || { echo "$0: no corpus $corpus/$target" >&2; exit 1; }
  found=$(mktemp -d)
  trap 'rm -rf "$found"' EXIT
  mkdir -p "$build/crashes"
  echo "== fuzz_$target: corpus, then $seconds s"
  limits=(-timeout=10 -rss_limit_mb=2048 -verbosity=0 -artifact_prefix="$build/crashes/$target-")
  "$program" -runs=0 "${limits[@]}" "$corpus/$target"
  "$program" -max_total_time="$seconds" -print_final_stats=1 "${limits[@]}" "$found" "$corpus/$target"
  rm -rf "$found"
done
