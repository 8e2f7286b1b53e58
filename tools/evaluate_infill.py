#!/usr/bin/env python3
"""Restores a line that was cut out of a worked answer, with what follows in sight and without.

usage: evaluate_infill.py BINARY MODEL DATA.jsonl [--limit 200] [--seed 1] [-- OPTIONS OF infill]

DATA has {"question", "solution"} lines (`data/gsm_symbolic.jsonl`). From each solution one line that
computes something and is not the last is replaced by a hole of as many tokens as it had. `infill` sees
the rest of the answer on both sides; the left-to-right refill sees only what precedes the hole, as a
model that writes from left to right would. A restored line is right when the answer that it makes
whole leads to the same final answer: it ends its reckoning with the number that the cut line ended
with, and each equation in it holds. Differences are paired, with half a 95 % interval.
"""
import argparse
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

from weight_quality import paired_points

NUMBER = re.compile(r"\d+(?:\.\d+)?")
EQUATION = re.compile(r"(\d+(?:\.\d+)?(?:\s*[-+*/×]\s*\d+(?:\.\d+)?)+)\s*=\s*\$?(\d+(?:\.\d+)?)(?![\d*/+×-])")


def evaluate(expression):
    return eval(expression.replace("×", "*"), {"__builtins__": {}})  # digits and operators only, by EQUATION


def equations_hold(line):
    try:
        return all(abs(evaluate(left) - float(right)) < 0.01 for left, right in EQUATION.findall(line))
    except (ZeroDivisionError, SyntaxError):
        return False


def is_right(line, restored):
    found = NUMBER.findall(restored)
    return bool(found) and float(found[-1]) == float(NUMBER.findall(line)[-1]) and equations_hold(restored)


def cut(solution, chooser):
    """(before, line with its line end, after) for a line that computes something, or None."""
    lines = solution.split("\n")
    candidates = [i for i, line in enumerate(lines[:-1]) if EQUATION.search(line) and equations_hold(line)]
    if not candidates:
        return None
    i = chooser.choice(candidates)
    return "".join(f"{line}\n" for line in lines[:i]), lines[i] + "\n", "\n".join(lines[i + 1:])


def run(binary, command, rows, options):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "texts.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        done = subprocess.run([binary, command, "--texts", path, "--json", *options], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def count_tokens(binary, model, text):
    done = subprocess.run([binary, "tokenize", "--model", model, "--json", "-"], input=text, check=True,
                          capture_output=True, text=True)
    return len(json.loads(done.stdout)["ids"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary")
    parser.add_argument("model")
    parser.add_argument("data")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    a, options = parser.parse_args(sys.argv[1:end]), sys.argv[end + 1:]
    chooser = random.Random(a.seed)
    cuts = []
    with open(a.data, encoding="utf-8") as lines:
        for line in lines:
            item = json.loads(line)
            if (found := cut(item["solution"], chooser)) and len(cuts) < a.limit:
                cuts.append((item["question"], *found))
    lengths = [count_tokens(a.binary, a.model, line) for _, _, line, _ in cuts]
    right = {}
    for name in ("infill", "left to right"):
        rows = [{"id": i, "prompt": question,
                 "text": f"{before}<|hole:{length}|>" + (after if name == "infill" else "")}
                for i, ((question, before, _, after), length) in enumerate(zip(cuts, lengths))]
        results = run(a.binary, "infill", rows, ["--model", a.model, *options])
        right[name] = [is_right(line, result["holes"][0]["text"])
                       for (_, _, line, _), result in zip(cuts, results, strict=True)]
        print(f"{name:14} {sum(right[name])} of {len(cuts)} ({100 * sum(right[name]) / len(cuts):.1f} %)")
    difference, interval, gained, lost = paired_points(right["left to right"], right["infill"])
    print(f"difference     {difference:+.1f} +- {interval:.1f} points ({gained} gained, {lost} lost)")


if __name__ == "__main__":
    main()
