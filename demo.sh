#!/usr/bin/env bash
# From a fresh Debian 12 to an answer: installs what is missing, builds a release and lets the
# shipped checkpoint solve a worded problem. Run it again at will: what is done stays done.
set -euo pipefail
cd "$(dirname "$0")"

tools/install_dependencies.sh

echo "== Building a release in build/release"
cmake --preset release -DFASTDLLM_TESTS=OFF > /dev/null
cmake --build --preset release --target fast-dllm

echo "== Answering with the shipped checkpoint (a tiny one: it is right about once in five)"
visual=()
if [[ -t 1 ]]; then visual=(--visual); fi
set -x
build/release/bin/fast-dllm generate --model models/llada-nano --gen-length 64 "${visual[@]}" \
  --prompt "Jack packs 6 boxes with 7 apples in each box. There are 6 apples left over. How many apples are there in total?"
