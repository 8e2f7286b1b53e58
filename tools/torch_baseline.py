#!/usr/bin/env python3
"""Fast-dLLM decoding of a LLaDA checkpoint in plain PyTorch on the CPU: what fast-dllm is timed
against.

torch_llada.py decodes, with the best thread count of those tried. On a GPU, or with random weights,
torch_bench.py is for that.

  torch_baseline.py MODEL --check TRACES.jsonl     same tokens and forwards as the golden traces?
  torch_baseline.py MODEL --prompts F.jsonl [--batch 1 16] [--binary build/release/bin/fast-dllm]
"""
import argparse
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import jinja2
import torch
from tokenizers import Tokenizer

from torch_llada import Llada, decode


def check(model, folder, path):
    """Decodes the traces that threshold and quota decoding can, one by one and all together."""
    with open(path, encoding="utf-8") as lines:
        traces = [json.loads(line) for line in lines]
    usable = [t for t in traces if t["model"] == folder.name and t["factor"] is None]
    groups = {}
    for trace in usable:
        options = {name: trace[name] for name in ("gen_length", "block_length", "cache",
                                                  "threshold", "steps")}
        groups.setdefault(json.dumps(options), []).append(trace)
    failed = 0
    for key, group in groups.items():
        options = {**json.loads(key), "eos_stop": False}
        prompts = [t["prompt_ids"] for t in group]
        alone = [decode(model, [ids], options) for ids in prompts]
        outputs, forwards = decode(model, prompts, options)
        for i, trace in enumerate(group):
            wanted = trace["output_ids"], len(trace["forwards"])
            for got in ((alone[i][0][0], alone[i][1][0]), (outputs[i], forwards[i])):
                if got != wanted:
                    failed += 1
                    print(f"differs from the trace: {key} {trace['question']}")
    print(f"{len(usable)} traces, alone and in batches ({len(traces) - len(usable)} of other rules "
          f"left out): {failed} differences")
    return 1 if failed or not usable else 0


def cut(ids, end_tokens):
    return list(itertools.takewhile(lambda token: token not in end_tokens, ids))


def time_torch(model, prompts, options, batch):
    """Decodes all prompts in batches; returns seconds and the answers' ids."""
    answers, ends = [], set(model.end_tokens.tolist())
    start = time.perf_counter()
    for i in range(0, len(prompts), batch):
        outputs, _ = decode(model, prompts[i:i + batch], options)
        answers += [cut(ids, ends) for ids in outputs]
    return time.perf_counter() - start, answers


def time_binary(binary, folder, prompts, options, batch, threads, weights):
    """The same by fast-dllm: one run with `batch` requests live at a time."""
    arguments = [binary, "generate", "--model", str(folder), "--json", "--weights", weights,
                 "--threads", str(threads), "--max-live-requests", str(batch),
                 "--cache", options["cache"], "--gen-length", str(options["gen_length"]),
                 "--block-length", str(options["block_length"]),
                 "--threshold", str(options["threshold"])]
    if not options["eos_stop"]:
        arguments.append("--no-eos-stop")
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps({"prompt_ids": ids}) + "\n" for ids in prompts)
        file.flush()
        run = subprocess.run(arguments + ["--prompts", file.name], check=True,
                             capture_output=True, text=True)
    results = [json.loads(line) for line in run.stdout.splitlines()]
    # Every request's clock starts when the run starts, so the last one's is the run's.
    return max(result["seconds"] for result in results), [result["ids"] for result in results]


def best_threads(model, prompts, options, batch):
    """The thread count of the fastest of two runs over a part of the prompts."""
    sample, seconds = prompts[:max(batch, 8)], {}
    for _ in range(2):
        for threads in range(1, (os.cpu_count() or 1) + 1):
            torch.set_num_threads(threads)
            taken, _ = time_torch(model, sample, options, batch)
            seconds[threads] = min(taken, seconds.get(threads, taken))
    return min(seconds, key=seconds.get)


def compare(model, folder, arguments):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    template = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(
        settings["chat_template"])
    prompts = []
    with open(arguments.prompts, encoding="utf-8") as lines:
        for line in lines:
            text = template.render(messages=[{"role": "user", "content": json.loads(line)["prompt"]}],
                                   bos_token=settings["bos_token"], add_generation_prompt=True)
            prompts.append(tokenizer.encode(text, add_special_tokens=False).ids)
    options = {"gen_length": arguments.gen_length, "block_length": arguments.block_length,
               "cache": arguments.cache, "threshold": arguments.threshold, "steps": None,
               "eos_stop": not arguments.no_eos_stop}
    print(f"{len(prompts)} prompts, {options}, torch {torch.__version__}")
    for batch in arguments.batch:
        threads = best_threads(model, prompts, options, batch)
        torch.set_num_threads(threads)
        theirs, ours, answers = [], {"f32": [], "bf16": []}, {}
        for _ in range(arguments.runs):
            seconds, expected = time_torch(model, prompts, options, batch)
            tokens = sum(map(len, expected))
            theirs.append(tokens / seconds)
            for weights in ours if arguments.binary else ():
                seconds, answers[weights] = time_binary(arguments.binary, folder, prompts, options,
                                                        batch, arguments.threads, weights)
                ours[weights].append(sum(map(len, answers[weights])) / seconds)
        print(f"batch {batch:2}: torch f32 {statistics.median(theirs):9.1f} tokens/s "
              f"({min(theirs):.1f} to {max(theirs):.1f}; {threads} threads)")
        for weights in answers:
            speeds = ours[weights]
            same = sum(a == b for a, b in zip(answers[weights], expected))
            print(f"     fast-dllm {weights:4} {statistics.median(speeds):9.1f} tokens/s "
                  f"({min(speeds):.1f} to {max(speeds):.1f}): "
                  f"{statistics.median(speeds) / statistics.median(theirs):.1f}x; "
                  f"{same} of {len(prompts)} answers the same")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--check", metavar="TRACES")
    parser.add_argument("--prompts", help="JSONL with a prompt a line (make_problems.py)")
    parser.add_argument("--binary", help="fast-dllm, to be timed in turn with PyTorch")
    parser.add_argument("--threads", type=int, default=0, help="fast-dllm's threads")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--gen-length", type=int, default=64)
    parser.add_argument("--block-length", type=int, default=32)
    parser.add_argument("--cache", default="dual", choices=["none", "prefix", "dual"])
    parser.add_argument("--threshold", type=float, default=0.9)
    parser.add_argument("--no-eos-stop", action="store_true")
    arguments = parser.parse_args()
    if not arguments.check and not arguments.prompts:
        parser.error("--check or --prompts is needed")
    folder = arguments.model.resolve()
    model = Llada.open(folder)
    if arguments.check and check(model, folder, arguments.check):
        return 1
    if arguments.prompts:
        compare(model, folder, arguments)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
