#!/usr/bin/env bash
# Installs what is missing, builds everything and runs all tests, closing with CTest's summary.
# Where CI is set, warnings are errors, and so is a test that was skipped unexpectedly.
#   ./test.sh         the tests: unit, golden, oracle, package, format, include rule, short fuzzing
#   ./test.sh --lint  clang-tidy first (minutes on a small machine; unchanged files are skipped)
set -euo pipefail
cd "$(dirname "$0")"
case "${1:-}" in "" | --lint) ;; *) echo "usage: $0 [--lint]" >&2; exit 2 ;; esac
jobs=$(nproc)

tools/install_dependencies.sh --tests

requirements=(tools/requirements.txt tools/requirements-clients.txt tools/requirements-plot.txt)
if ! cat "${requirements[@]}" | cmp --silent - .venv/installed.txt; then
  echo "== Installing the tests' Python packages into .venv"
  python3 -m venv .venv
  # The index may be away for a moment.
  for wait in 5 30 stop; do
    .venv/bin/pip install --quiet --disable-pip-version-check "${requirements[@]/#/--requirement=}" &&
      break
    if [[ $wait == stop ]]; then exit 1; fi
    sleep "$wait"
  done
  cat "${requirements[@]}" > .venv/installed.txt
fi

werror=OFF
if [[ -n ${CI:-} ]]; then werror=ON; fi

echo "== Building the release and its tests in build/release"
cmake --preset release -DFASTDLLM_TESTS=ON -DFASTDLLM_FUZZ_SECONDS=10 -DFASTDLLM_WERROR=$werror \
  -DFASTDLLM_PYTHON="$PWD/.venv/bin/python" > /dev/null
cmake --build --preset release --parallel "$jobs"

echo "== Building the fuzz targets (clang, address and undefined-behaviour sanitizers) in build/fuzz"
cmake --preset fuzz -DFASTDLLM_WERROR=$werror > /dev/null
cmake --build --preset fuzz --parallel "$jobs"

if [[ ${1:-} == --lint ]]; then
  tools/lint.sh
fi

echo "== Running all tests"
ctest --preset release --parallel "$jobs" --output-junit "$PWD/build/release/results.xml"
if [[ -n ${CI:-} ]]; then
  python3 tools/check_skips.py build/release/results.xml tests/expected_skips.txt
fi
