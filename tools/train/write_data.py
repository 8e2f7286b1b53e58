"""Writes the held-out problems that the default model is measured on, as JSONL for `fast-dllm eval`.

usage: write_data.py FOLDER [--count 500] [--seed 1]
FOLDER/TASK.jsonl for each task: {"question", "solution", "answer"}; FOLDER/shots.jsonl: ten training problems of
gsm_symbolic to put before a question. Another seed from 4,000,000 to 5,000,000 gives problems that neither training
nor data/ has seen.
"""

import argparse
import json
from pathlib import Path

from problems import TEST_SEED, TRAIN_SEED, Problem, Problems, test_problems


def line(problem: Problem) -> str:
    return json.dumps(dict(question=problem.question, solution=problem.solution, answer=problem.answer), ensure_ascii=False) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=TEST_SEED)
    a = parser.parse_args()
    a.folder.mkdir(parents=True, exist_ok=True)
    training = Problems(TRAIN_SEED)
    for task in training.sets:
        (a.folder / f"{task}.jsonl").write_text("".join(line(p) for p in test_problems(task, a.count, a.seed)), encoding="utf-8")
    shots = [p for p in (training.item("gsm_symbolic", i) for i in range(20)) if p][:10]
    (a.folder / "shots.jsonl").write_text("".join(map(line, shots)), encoding="utf-8")


if __name__ == "__main__":
    main()
