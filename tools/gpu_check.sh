#!/usr/bin/env bash
# Builds the CUDA back end for this machine's GPU and checks and times it in one go, without
# downloads: the conformance suite, golden logits and traces, each weight format, compute-sanitizer,
# timings, and where PyTorch is installed the same decoding with it. Where there are two GPUs, golden
# logits and traces and timings on both together too.
#   gpu_check.sh [BUILD_FOLDER]      default: build/cuda
# DEVICE=cpu runs the same commands without a GPU, to check the script itself, SHAPE=llada-nano times
# another shape. PYTHON names the Python that has PyTorch.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${1:-build/cuda}
device=${DEVICE:-cuda}
shape=${SHAPE:-llada-8b}
python=${PYTHON:-python3}
cuda=OFF
architecture=90a
if [[ $device == cuda ]]; then
  cuda=ON
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
  architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
  # The instructions that only one generation has are in the target with an a.
  if [[ $architecture == 90 ]]; then architecture=90a; fi
fi

echo "== Build"
cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DFASTDLLM_TESTS=ON -DFASTDLLM_CUDA=$cuda \
  -DFASTDLLM_CUDA_ARCHITECTURES="$architecture" > /dev/null
cmake --build "$build" --parallel --target fast-dllm backend_test > "$build/build.log" 2>&1 || {
  tail -40 "$build/build.log"
  exit 1
}
program=$build/bin/fast-dllm

failed=0
run() {
  echo "== $*"
  "$@" || { echo "FAILED ($?): $*"; failed=1; }
}

filter='*/device_*'
if [[ $device == cpu ]]; then filter='*/scalar_*'; fi
run "$build/src/backend/backend_test" --gtest_brief=1 --gtest_filter="$filter"
devices=("$device")
if [[ $device == cuda && $(nvidia-smi --query-gpu=name --format=csv,noheader | wc -l) -ge 2 ]]; then
  devices+=(cuda:0,1)
fi
for each in "${devices[@]}"; do
  for model in llada-nano dream-nano; do
    logits=tests/golden/$model-logits.safetensors
    run "$program" verify --logits "$logits" --model "models/$model" --device "$each"
    run "$program" verify --logits "$logits" --model "models/$model" --device "$each" \
      --weights bf16 --tolerance 0.05
  done
  run "$program" verify tests/golden/*-traces.jsonl --models models --device "$each"
done
for weights in bf16 int8 int8-g128 int8-g32 int4 int4-g32; do
  run "$program" generate --model models/llada-nano --device "$device" --weights "$weights" \
    --prompt "What is 2 + 3?"
done

if [[ $device == cuda ]] && command -v compute-sanitizer > /dev/null; then
  for tool in memcheck racecheck synccheck; do
    for weights in f32 bf16 int4; do
      run compute-sanitizer --tool "$tool" --error-exitcode 9 "$program" verify \
        --logits tests/golden/llada-nano-logits.safetensors --model models/llada-nano \
        --device "$device" --weights "$weights" --tolerance 1
    done
  done
fi

if [[ $failed != 0 ]]; then
  echo "== Something failed; no timings"
  exit 1
fi
# The paper's setting: 3.25 tokens a forward are what its threshold commits on LLaDA-8B.
paper=(--shape "$shape" --gen-length 256 --tokens-per-forward 3.25
       --warmup 1)
if [[ $shape == llada-nano ]]; then paper+=(--prompt-length 128); fi
for each in "${devices[@]}"; do
  for weights in int8 int4; do
    run "$program" bench generate "${paper[@]}" --weights "$weights" --device "$each"
  done
done
if [[ ${#devices[@]} -ge 2 ]]; then
  for batch in 1 16; do
    run "$program" bench generate "${paper[@]}" --weights bf16 --device "${devices[1]}" \
      --batch "$batch"
  done
fi
torch=no
if "$python" -c "import sys, torch
sys.exit('$device' == 'cuda' and not torch.cuda.is_available())" 2> /dev/null; then
  torch=yes
else
  echo "== No PyTorch for '$device': nothing to compare with"
fi
for batch in 1 16; do
  settings=("${paper[@]}" --weights bf16 --device "$device" --batch "$batch")
  if [[ $torch == no ]]; then
    run "$program" bench generate "${settings[@]}"
    continue
  fi
  echo "== bench generate ${settings[*]}"
  if ! "$program" bench generate "${settings[@]}" --json > "$build/ours.json"; then
    failed=1
    continue
  fi
  heads=(masked)
  if [[ $batch == 1 ]]; then heads=(all masked); fi  # all: what the public code does
  for head in "${heads[@]}"; do
    run "$python" tools/torch_bench.py "${settings[@]}" --head "$head" \
      --against "$build/ours.json"
  done
done
exit $failed
