#!/usr/bin/env python3
"""`fast-dllm bench generate` in PyTorch: times whole generations and prints the same JSON fields.

  torch_bench.py --shape llada-8b --tokens-per-forward 3.25 [--device cuda] [--batch 16]
  torch_bench.py --model DIR --threshold 0.9 [--against OURS.json]

Prompts are random tokens. The first of two runs is not timed (--warmup). --against names what
`fast-dllm bench generate --json` printed for the same settings, and prints how many times faster it
was on standard error. --head all decodes as the public Fast-dLLM code does: logits of every row of
a forward, and their softmax in float64.
"""
import argparse
import json
import pathlib
import sys
import time

import torch

from torch_llada import SHAPES, Batch, Llada

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    model = parser.add_mutually_exclusive_group()
    model.add_argument("--shape", choices=SHAPES, help="random weights (default llada-8b)")
    model.add_argument("--model", type=pathlib.Path, help="a LLaDA checkpoint's folder")
    parser.add_argument("--layers", type=int, help="with --shape: so many layers")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--weights", choices=DTYPES, help="default: bf16 on a GPU, else f32")
    parser.add_argument("--prompt-length", type=int, default=896)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--gen-length", type=int, default=128)
    parser.add_argument("--block-length", type=int, default=32)
    parser.add_argument("--cache", default="dual", choices=["none", "prefix", "dual"])
    rule = parser.add_mutually_exclusive_group(required=True)
    rule.add_argument("--tokens-per-forward", type=float)
    rule.add_argument("--threshold", type=float)
    rule.add_argument("--steps", type=int)
    parser.add_argument("--head", default="masked", choices=["masked", "all"])
    parser.add_argument("--warmup", type=int, default=1, help="runs that are not timed")
    parser.add_argument("--against", type=pathlib.Path)
    arguments = parser.parse_args()
    blocks, rest = divmod(arguments.gen_length, arguments.block_length)
    if rest or blocks < 1:
        parser.error("--gen-length must be a multiple of --block-length")
    if arguments.steps is not None and (arguments.steps < blocks or arguments.steps % blocks):
        parser.error("--steps must be a multiple of the number of blocks")
    if arguments.tokens_per_forward is not None and arguments.tokens_per_forward < 1:
        parser.error("--tokens-per-forward must be at least 1")
    if arguments.layers is not None and arguments.model is not None:
        parser.error("--layers contradicts --model")
    return arguments


def run(model, prompts, options):
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    with torch.inference_mode():
        batch = Batch(model, prompts, options)
        batch.run()
    return time.perf_counter() - start, batch


def per_second(count, seconds):
    return count / seconds if seconds > 0 else 0


def ratio(report, path):
    """Prints how much faster the other run was; an error where its settings differ."""
    ours = json.loads(path.read_text())
    pairs = [(name, report[name], ours[name]) for name in ("layers", "prompt_length", "batch")]
    pairs += [(name, value, ours["settings"].get(name))
              for name, value in report["settings"].items() if value is not None]
    pairs += [(f"{kind} forwards", report["forwards"][kind]["count"],
               ours["forwards"][kind]["count"]) for kind in ("refresh", "window")]
    different = [f"{name}: {a} here, {b} there" for name, a, b in pairs if a != b]
    if different:
        sys.exit(f"{path}: not the same run: {'; '.join(different)}")
    speed, other = ours["tokens_per_second"], report["tokens_per_second"]
    print(f"fast-dllm {ours['weights']} on {ours['backend']}: {speed:.1f} tokens/s; "
          f"{report['backend']} {report['weights']}, head of {report['head']} rows: "
          f"{other:.1f} tokens/s; {speed / other:.2f} times faster", file=sys.stderr)
    for kind, here in report["forwards"].items():
        if here["count"]:
            there = ours["forwards"][kind]
            print(f"  {kind}: {there['mean_ms']:.2f} ms, PyTorch {here['mean_ms']:.2f} ms",
                  file=sys.stderr)


def main():
    arguments = parse()
    weights = arguments.weights or ("bf16" if arguments.device.startswith("cuda") else "f32")
    start = time.perf_counter()
    if arguments.model:
        model = Llada.open(arguments.model, arguments.device, DTYPES[weights])
    else:
        config = dict(SHAPES[arguments.shape or "llada-8b"])
        config["n_layers"] = arguments.layers or config["n_layers"]
        model = Llada.random(config, arguments.device, DTYPES[weights])
    load_seconds = time.perf_counter() - start
    generator = torch.Generator().manual_seed(1)
    # Ids below the mask token's and the special ones that come before it.
    prompts = torch.randint(0, model.vocab // 2, (arguments.batch, arguments.prompt_length),
                            generator=generator).tolist()
    settings = {name: getattr(arguments, name) for name in
                ("gen_length", "block_length", "cache", "tokens_per_forward", "threshold",
                 "steps")}
    options = {**settings, "eos_stop": False, "head": arguments.head}
    for _ in range(arguments.warmup):
        run(model, prompts, options)
    seconds, batch = run(model, prompts, options)
    tokens = arguments.batch * arguments.gen_length
    forwards = {kind: {"count": count, "seconds": spent,
                       "mean_ms": 1e3 * spent / count if count else 0}
                for kind, (count, spent) in batch.times.items()}
    on_gpu = model.device.type == "cuda"
    report = {
        "command": "bench generate",
        "model": str(arguments.model or arguments.shape or "llada-8b"),
        "random_weights": arguments.model is None, "family": "llada",
        "layers": len(model.layers), "weights": weights,
        "backend": f"torch {torch.__version__} "
                   + (torch.cuda.get_device_name(model.device) if on_gpu else "cpu"),
        "threads": torch.get_num_threads(), "load_seconds": load_seconds,
        "head": arguments.head, "prompt_length": arguments.prompt_length,
        "batch": arguments.batch, "warmup": arguments.warmup, "settings": settings,
        "seconds": seconds, "forwards": forwards, "tokens": tokens,
        "tokens_per_second": per_second(tokens, seconds),
        "tokens_per_forward": tokens / sum(batch.times[kind][0] for kind in batch.times)
                              / arguments.batch,
        "peak_device_bytes": torch.cuda.max_memory_allocated(model.device) if on_gpu else 0,
    }
    print(json.dumps(report))
    if arguments.against:
        ratio(report, arguments.against)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
