#!/usr/bin/env bash
# Installs what is missing, builds everything and runs all tests, closing with CTest's summary.
#   ./test.sh         the tests: unit, golden, oracle, package, format, include rule, short fuzzing
#   ./test.sh --lint  clang-tidy first (minutes on a small machine; unchanged files are skipped)
set -euo pipefail
cd "$(dirname "$0")"
case "${1:-}" in "" | --lint) ;; *) echo "usage: $0 [--lint]" >&2; exit 2 ;; esac
jobs=$(nproc)

tools/install_dependencies.sh --tests

requirements=(tools/requirements.txt tools/requirements-clients.txt)
if ! cat "${requirements[@]}" | cmp --silent - .venv/installed.txt; then
  echo "== Installing the oracles' and clients' Python packages into .venv"
  python3 -m venv .venv
  .venv/bin/pip install --quiet --disable-pip-version-check "${requirements[@]/#/--requirement=}"
  cat "${requirements[@]}" > .venv/installed.txt
fi

echo "== Building the release and its tests in build/release"
cmake --preset release -DFASTDLLM_TESTS=ON -DFASTDLLM_FUZZ_SECONDS=10 \
  -DFASTDLLM_PYTHON="$PWD/.venv/bin/python" > /dev/null
cmake --build --preset release --parallel "$jobs"

echo "== Building the fuzz targets (clang, address and undefined-behaviour sanitizers) in build/fuzz"
cmake --preset fuzz > /dev/null
cmake --build --preset fuzz --parallel "$jobs"

if [[ ${1:-} == --lint ]]; then
  tools/lint.sh
fi

echo "== Running all tests"
ctest --preset release --parallel "$jobs"
