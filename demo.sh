#!/usr/bin/env bash
# From a fresh Debian 12 or 13 to an answer: installs what is missing, builds a release and lets the
# shipped checkpoint solve a worded problem. Run it again at will: what is done stays done.
set -euo pipefail
cd "$(dirname "$0")"

tools/install_dependencies.sh

echo "== Building a release in build/release"
cmake --preset release -DFASTDLLM_TESTS=OFF > /dev/null
cmake --build --preset release --target fast-dllm

echo "== Answering with the shipped checkpoint (a tiny one: it is right two times out of three)"
visual=()
if [[ -t 1 ]]; then visual=(--visual); fi
set -x
build/release/bin/fast-dllm generate --model models/llada-mini "${visual[@]}" \
  --prompt "Ava was preparing for a potluck party at her house, where she intended to serve shrimp scampi. \
She noticed that she was out of plastic forks, so she bought a new package of forks. Later, her husband \
also bought a package of 5 new forks and gave them to Ava. While Ava was making the shrimp scampi, she \
used 6 of the forks to sample her shrimp scampi. Later, when she went to set the table, she had a total \
of 23 forks. How many forks were in the package that Ava bought? Give the result as your final answer. Do \
not include units."
