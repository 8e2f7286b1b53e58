#!/usr/bin/env bash
# From a fresh Debian 12 to an answer: installs what is missing, builds a release and lets the
# shipped checkpoint solve a worded problem. Run it again at will: what is done stays done.
set -euo pipefail
cd "$(dirname "$0")"

tools/install_dependencies.sh

echo "== Building a release in build/release"
cmake --preset release -DFASTDLLM_TESTS=OFF > /dev/null
cmake --build --preset release --target fast-dllm

echo "== Answering (on a terminal you see the canvas lose its masks)"
set -x
build/release/bin/fast-dllm generate --model models/llada-nano --gen-length 64 --visual \
  --prompt "Mia has 12 coins. Mia buys 7 more coins and gives 5 coins to Leo. How many coins does Mia have now?"
