#!/usr/bin/env bash
# Checks what compilers don't: format, include rule and, over the release build, clang-tidy.
#   lint.sh            all three        lint.sh --format   only the format
set -euo pipefail
cd "$(dirname "$0")/.."

# Versions differ in what they call right: the one of tools/requirements.txt decides where it is.
PATH="$PWD/.venv/bin:$PATH"

echo "== clang-format"
find include src tests \( -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' \) -print0 |
  xargs -0 clang-format --dry-run -Werror
if [[ ${1:-} == --format ]]; then exit 0; fi

echo "== Include rule"
python3 tools/check_includes.py .

echo "== clang-tidy"
[[ -e build/release/compile_commands.json ]] || cmake --preset release > /dev/null
python3 tools/clang_tidy.py build/release
