#!/usr/bin/env bash
# Races fast-dllm against llama.cpp's llama-diffusion-cli: same shape, same GGUF file of random
# weights, same threads, in turn. Prints the ratios per forward and per sample.
#
#   race_llama_cpp.sh [--shape llada-8b|dream-7b] [--type Q4_0] [--weights int4] [--layers N]
#                     [--threads 2] [--rounds 5] [--steps 3] [--sample-steps 2] [--no-sample]
#                     [--autoregressive]
#
# --layers     fewer than the model has: a quick try, whose ratios are not the model's
# --steps      forwards of each of the rival's runs of 256 rows, and of ours
# --no-sample  only the forward of 256 rows
# --autoregressive  instead: LLaDA-8B here against Llama 3 8B there, which writes a token a forward
# In the environment: FASTDLLM_BINARY (default build/release/bin/fast-dllm), LLAMA_BUILD (a build of
# llama.cpp to use instead of making one), PYTHON (default python3; needs the packages gguf and
# numpy), RACE_CACHE (default build/race: the rival's sources, its build and the model files).
#
# What is timed. Forward: a canvas of 256 tokens, 128 of them prompt, the whole of it computed; ours
# scores the 32 rows of a block, the rival always computes the logits of all rows. Sample: 896
# tokens of prompt and 256 generated; ours runs in full, dual cache, blocks of 32, 3.25 tokens
# committed per forward (what threshold 0.9 commits on LLaDA-8B), the rival unmasks one token per
# forward, 256 forwards of the canvas of 1,152, extrapolated from the time of a few.
#
# How many forwards the rival runs: with --diffusion-block-length B and --diffusion-steps S it
# makes canvas / B blocks of S / (canvas / B) forwards, counted from the end of the prompt, and those
# past the end of the canvas stop after one forward that unmasks nothing. One block as long as the
# canvas wastes none: exactly S forwards while masks are left. Its own default use, blocks of 32,
# wastes one for each 32 tokens of prompt, which is not held against it. Nor is the time that it
# spends choosing tokens: it is taken off. The canvas must fit one micro-batch (-ub).
#
# Autoregressive: tokens per second of llama-bench's tg128 (128 tokens, no prompt) with a Q4_0 file
# of Llama 3 8B's shape, and of 128 tokens here without a prompt, with the presets fast and turbo and as
# many tokens committed per forward as they commit before the end token on llada-mini.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
shape=llada-8b type=Q4_0 weights=int4 layers="" threads=2 rounds=5 steps=3 sample_steps=2 sample=1 autoregressive=0
while (($#)); do
  option=$1
  case $option in
    --no-sample) sample=0; shift; continue ;;
    --autoregressive) autoregressive=1; shift; continue ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    --shape | --type | --weights | --layers | --threads | --rounds | --steps | --sample-steps) ;;
    *) echo "$0: unknown option '$option'; see --help" >&2; exit 2 ;;
  esac
  (($# > 1)) || { echo "$0: $option needs a value" >&2; exit 2; }
  name=${option#--}
  if [[ ! $name =~ ^(shape|type|weights)$ && ! $2 =~ ^[1-9][0-9]*$ ]]; then
    echo "$0: $option: expected a number above 0, found '$2'" >&2; exit 2
  fi
  printf -v "${name//-/_}" %s "$2"
  shift 2
done
case $shape in
  llada-8b | dream-7b) ;;
  *) echo "$0: --shape: expected llada-8b or dream-7b, found '$shape'" >&2; exit 2 ;;
esac
python=${PYTHON:-python3}
ours=${FASTDLLM_BINARY:-$root/build/release/bin/fast-dllm}
cache=${RACE_CACHE:-$root/build/race}
[[ -x $ours ]] || { echo "$0: no $ours; build it, or set FASTDLLM_BINARY" >&2; exit 1; }
mkdir -p "$cache"

version=0.3.36
if [[ -z ${LLAMA_BUILD:-} ]]; then
  LLAMA_BUILD=$cache/llama-build
  if [[ ! -x $LLAMA_BUILD/bin/llama-diffusion-cli ]]; then
    sources=$cache/llama_cpp_python-$version
    if [[ ! -d $sources ]]; then
      "$python" -m pip download --no-binary llama-cpp-python --no-deps -d "$cache" \
        "llama-cpp-python==$version"
      tar -xzf "$cache/llama_cpp_python-$version.tar.gz" -C "$cache"
    fi
    cmake -S "$sources/vendor/llama.cpp" -B "$LLAMA_BUILD" -G Ninja -DCMAKE_BUILD_TYPE=Release \
      -DGGML_NATIVE=ON -DLLAMA_CURL=OFF
    cmake --build "$LLAMA_BUILD" --target llama-diffusion-cli llama-bench
  fi
fi
rival=$LLAMA_BUILD/bin/llama-diffusion-cli
[[ -x $rival ]] || { echo "$0: no $rival" >&2; exit 1; }

model_file() {  # SHAPE: makes its file unless it is there, prints its path
  local file=$cache/$1-$type${layers:+-$layers-layers}.gguf
  if [[ ! -s $file ]]; then
    "$python" "$root/tools/make_random_gguf.py" "$file.part" --shape "$1" --type "$type" \
      ${layers:+--layers "$layers"}
    mv "$file.part" "$file"
  fi
  echo "$file"
}

# Letters in alphabetical order are one token each in that file.
letters() { printf 'abcdefghijklmnopqrstuvwxyz%.0s' {1..99} | head -c "$1"; }

# Milliseconds of one forward, from the rival's own log: without its time for choosing tokens.
rival_forward() {  # CANVAS PROMPT STEPS
  local log
  log=$("$rival" -m "$model" -p "$(letters "$2")" -c "$1" -b "$1" -ub "$1" -t "$threads" \
    -tb "$threads" --temp 0 --top-k 1 --diffusion-eps 0 --diffusion-block-length "$1" \
    --diffusion-algorithm 4 --diffusion-steps "$3" 2>&1 | tr '\r' '\n')
  local shown
  shown=$(grep -o "diffusion step: " <<<"$log" | wc -l)
  if [[ $shown != "$3" ]]; then
    echo "$0: expected $3 forwards in the rival's log, found $shown:" >&2
    tail -20 <<<"$log" >&2
    return 1
  fi
  sed -nE 's/.*total time: ([0-9.]+)ms, .*sampling time per step: ([0-9.]+)ms.*/\1 \2/p' <<<"$log" |
    awk -v steps="$3" 'NF == 2 { print $1 / steps - $2; found = 1 } END { exit !found }'
}

json() { "$python" -c 'import functools, json, sys
print(functools.reduce(lambda value, key: value[int(key) if key.isdigit() else key], sys.argv[1:], json.load(sys.stdin)))' "$@"; }

our_forward() {
  "$ours" bench step --model "$model" --weights "$weights" --threads "$threads" --rows 256 \
    --attend 256 --score 32 --repeat "$steps" --no-peaks --json | json ms median | awk '{ printf "%.1f\n", $1 }'
}

our_sample() {  # milliseconds of the whole sample
  "$ours" bench generate --model "$model" --weights "$weights" --threads "$threads" \
    --prompt-length 896 --gen-length 256 --block-length 32 --cache dual --tokens-per-forward 3.25 \
    --json | json seconds | awk '{ print 1e3 * $1 }'
}

our_tokens_per_second() {  # PRESET TOKENS_PER_FORWARD
  "$ours" bench generate --shape llada-8b ${layers:+--layers "$layers"} --weights "$weights" \
    --threads "$threads" --preset "$1" --prompt-length 1 --gen-length 128 \
    --tokens-per-forward "$2" --no-eos-stop --json | json tokens_per_second | xargs printf '%.2f\n'
}

median() { sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
summary() { printf '%s (%s to %s)' "$(median <"$1")" "$(sort -g "$1" | head -1)" "$(sort -g "$1" | tail -1)"; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

times=$(mktemp -d)
trap 'rm -rf "$times"' EXIT

if ((autoregressive)); then
  rival_model=$(model_file llama-8b)
  for ((round = 1; round <= rounds; ++round)); do
    "${LLAMA_BUILD}/bin/llama-bench" -m "$rival_model" -t "$threads" -p 0 -n 128 -r 1 -o json |
      json 0 avg_ts | xargs printf '%.2f\n' >>"$times/rival"
    our_tokens_per_second fast 4.6 >>"$times/fast"
    our_tokens_per_second turbo 6.5 >>"$times/turbo"
    paste -d' ' "$times/rival" "$times/fast" "$times/turbo" | tail -1 |
      sed "s/^/round $round: tokens per second, rival, fast and turbo: /" >&2
  done
  echo "8B shapes${layers:+, only $layers layers}, 128 tokens without a prompt, $threads threads, tokens per second, medians of $rounds rounds (ranges)"
  echo "llama.cpp, Llama 3 $type, a token a forward: $(summary "$times/rival")"
  for preset in fast turbo; do
    echo "fast-dllm, LLaDA $weights, preset $preset: $(summary "$times/$preset"), ratio $(ratio "$(median <"$times/$preset")" "$(median <"$times/rival")")"
  done
  exit
fi

model=$(model_file "$shape")
for ((round = 1; round <= rounds; ++round)); do
  rival_forward 256 128 "$steps" >>"$times/rival_forward"
  our_forward >>"$times/our_forward"
  paste -d' ' "$times/rival_forward" "$times/our_forward" | tail -1 |
    sed "s/^/round $round: forward of 256 rows, ms, rival and ours: /" >&2
  if ((sample)); then
    rival_forward 1152 896 "$sample_steps" >>"$times/rival_long"
    our_sample >>"$times/our_sample"
    paste -d' ' "$times/rival_long" "$times/our_sample" | tail -1 |
      sed "s/^/round $round: rival's forward of 1152 rows, ms, and our whole sample: /" >&2
  fi
done

echo "$shape${layers:+, only $layers layers}, $type file, ours with $weights weights, $threads threads, medians of $rounds rounds (ranges)"
echo "whole canvas of 256 rows, ms per forward: llama.cpp $(summary "$times/rival_forward"), fast-dllm $(summary "$times/our_forward")"
echo "  ratio per forward: $(ratio "$(median <"$times/rival_forward")" "$(median <"$times/our_forward")")"
if ((sample)); then
  long=$(median <"$times/rival_long")
  whole=$(awk -v ms="$long" 'BEGIN { print 256 * ms }')
  echo "sample of 896 + 256 tokens: llama.cpp $(summary "$times/rival_long") ms per forward of 1152 rows, so 256 forwards would take $(awk -v ms="$whole" 'BEGIN { printf "%.1f", ms / 1e3 }') s (extrapolated from $sample_steps forwards a round)"
  echo "  fast-dllm $(summary "$times/our_sample") ms for the whole sample (measured)"
  echo "  ratio per sample: $(ratio "$whole" "$(median <"$times/our_sample")")"
fi
