#!/usr/bin/env python3
"""Scores answers: accuracy by kind, forwards per token and tokens per second.

usage: score_problems.py ANSWERS.jsonl RESULTS.jsonl
ANSWERS come from make_problems.py, RESULTS from `fast-dllm generate --prompts PROMPTS --json`, in
the same order. A text is right when what follows its last '####' is the problem's answer.
"""
import collections
import json
import sys


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def main(answers_path, results_path):
    problems, results = read(answers_path), read(results_path)
    if not problems or len(problems) != len(results):
        sys.exit(f"{len(problems)} problems, but {len(results)} results")
    right, asked = collections.Counter(), collections.Counter()
    tokens = refresh = window = 0
    for problem, result in zip(problems, results):
        if result.get("id") != problem["id"]:
            sys.exit(f"result of {result.get('id')} where {problem['id']} was expected")
        if "text" not in result:
            sys.exit(f"{problem['id']}: no text in the result: {result}")
        kind = problem["id"].rsplit("-", 1)[0]
        asked[kind] += 1
        _, mark, answer = result["text"].rpartition("####")
        right[kind] += bool(mark) and answer.split() == problem["answer"].split()
        tokens += result["tokens"]
        refresh += result["forwards"]["refresh"]
        window += result["forwards"]["window"]
    for kind in sorted(asked):
        print(f"{kind:14} {right[kind]:4} of {asked[kind]:4}")
    total, forwards = len(problems), refresh + window
    print(f"right: {right.total()} of {total} ({100 * right.total() / total:.1f} %)")
    print(f"forwards: {forwards} ({refresh} refresh, {window} window), tokens: {tokens}, "
          f"forwards per token: {forwards / max(tokens, 1):.3f}")
    # All requests arrive together, so the last one's seconds are the whole run's.
    seconds = max(result["seconds"] for result in results)
    print(f"seconds: {seconds:.2f}, tokens per second: {tokens / seconds:.1f}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
