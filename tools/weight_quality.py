#!/usr/bin/env python3
"""What a checkpoint loses by each way of keeping its weights: accuracy, masked loss and logits.

usage: weight_quality.py BINARY MODEL [MODEL...] [--weights bf16 int8 int4] [--count 500] [--seed 778]
                         [--logits F.safetensors ...] [--avoid F.jsonl ...] [--samples 8]

Makes fresh problems (make_problems.py) and answers them with f32 and with each of the weights, all
with the program's default decoding, then measures the masked loss of the worked answers (`bench
loss`), every time with the same maskings. Prints a Markdown table. Differences are paired with f32,
problem by problem, and +- is half a 95 % interval: of problems that only one of the two gets right,
of the losses of each text. Logits files, one for each model, add the largest error of a logit
relative to the largest logit (`verify --logits`).
"""
import argparse
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile

TOOLS = pathlib.Path(__file__).resolve().parent
Z95 = 1.96  # half the width of a 95 % interval, in standard errors


def is_right(text, answer):
    _, mark, last = text.rpartition("####")
    return bool(mark) and last.split() == answer.split()


def paired_points(base, other):
    """(difference, half a 95 % interval, gained, lost) in points of accuracy, from who is right."""
    count = len(base)
    gained = sum(not a and b for a, b in zip(base, other, strict=True))
    lost = sum(a and not b for a, b in zip(base, other, strict=True))
    difference = (gained - lost) / count
    variance = ((gained + lost) / count - difference ** 2) / count
    return 100 * difference, 100 * Z95 * math.sqrt(variance), gained, lost


def paired_loss(base, other):
    """(difference, half a 95 % interval) of the losses of two reports of `bench loss --json`. Texts
    of equal weight; a loss that is no number (JSON null) makes both NaN."""
    pairs = zip(base["texts"], other["texts"], strict=True)
    differences = [math.nan if a["loss"] is None or b["loss"] is None else b["loss"] - a["loss"]
                   for a, b in pairs]
    count = len(differences)
    mean = math.fsum(differences) / count
    squares = math.fsum((difference - mean) ** 2 for difference in differences)
    return mean, Z95 * math.sqrt(squares / max(count - 1, 1) / count)


def run(*command):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def read_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def largest_logits_error(binary, model, weights, logits):
    done = subprocess.run([binary, "verify", "--model", model, "--weights", weights, "--logits",
                           logits, "--tolerance", "1e9"], capture_output=True, text=True)
    errors = [float(error) for error in re.findall(r"max\|b\| = (\S+)", done.stdout)]
    if not errors:
        sys.exit(f"verify --logits {logits}: no result\n{done.stdout}{done.stderr}")
    return max(errors)


def measure(options, model, logits, weights, files):
    results = read_lines(run(options.binary, "generate", "--model", model, "--prompts",
                             files["prompts"], "--gen-length", options.gen_length, "--weights",
                             weights, "--json"))
    answers = read_lines(files["answers"].read_text(encoding="utf-8"))
    return {
        "right": [is_right(result["text"], answer["answer"])
                  for result, answer in zip(results, answers, strict=True)],
        "loss": json.loads(run(options.binary, "bench", "loss", "--model", model, "--data",
                               files["worked"], "--gen-length", options.gen_length, "--samples",
                               options.samples, "--weights", weights, "--json")),
        "logits": largest_logits_error(options.binary, model, weights, logits) if logits else None,
    }


def row(name, weights, base, other):
    points, points_95, gained, lost = paired_points(base["right"], other["right"])
    loss, loss_95 = paired_loss(base["loss"], other["loss"])
    cells = [name, weights, str(sum(other["right"])), f"{points:+.2f} +- {points_95:.2f}",
             f"{gained} / {lost}", "NaN" if other["loss"]["loss"] is None
             else f"{other['loss']['loss']:.5f}", f"{loss:+.5f} +- {loss_95:.5f}"]
    if other["logits"] is not None:
        cells.append(f"{other['logits']:.2g}")
    return "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", help="fast-dllm")
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--weights", nargs="+", default=["bf16", "int8", "int4"])
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=778)
    parser.add_argument("--gen-length", type=int, default=64)
    parser.add_argument("--samples", type=int, default=8, help="maskings of each text")
    parser.add_argument("--logits", nargs="+", default=[], metavar="F.safetensors")
    parser.add_argument("--avoid", nargs="+", default=[], metavar="F.jsonl")
    options = parser.parse_args()
    if options.logits and len(options.logits) != len(options.models):
        parser.error(f"{len(options.models)} models, but {len(options.logits)} files of logits")

    with tempfile.TemporaryDirectory() as folder:
        files = {name: pathlib.Path(folder, name) for name in ("prompts", "answers", "worked")}
        avoid = [part for file in options.avoid for part in ("--avoid", file)]
        run(sys.executable, TOOLS / "make_problems.py", files["prompts"], files["answers"],
            "--worked", files["worked"], "--count", options.count, "--seed", options.seed, *avoid)
        head = ["model", "weights", f"right of {options.count}", "points to f32", "gained / lost",
                "masked loss", "to f32"] + (["logits"] if options.logits else [])
        print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|", flush=True)
        for i, model in enumerate(options.models):
            logits = options.logits[i] if options.logits else None
            name = pathlib.Path(model).name
            base = measure(options, model, logits, "f32", files)
            print(row(name, "f32", base, base), flush=True)
            for weights in options.weights:
                other = measure(options, model, logits, weights, files)
                print(row(name, weights, base, other), flush=True)


if __name__ == "__main__":
    main()
