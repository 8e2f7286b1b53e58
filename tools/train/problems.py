"""The problems the default model is trained and tested on: a question and a worked answer that ends in `#### N`.

`gsm_symbolic`, `chain_sum` and `basic_arithmetic` are the tasks of the package reasoning-gym; the working of the last two,
which the package lacks, is that of working.py, one operation a line. `drill`, `recall` and `simple` (the worded problems of
tools/make_problems.py) are exercises for training only.
Training and test problems never share a seed, and a training problem whose question is in the test set is dropped.
"""

import random
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import reasoning_gym
from working import Working, multiply_in_steps, sum_of_parts

sys.path.append(str(Path(__file__).resolve().parent.parent))
from make_problems import KINDS  # noqa: E402

CLOSING = " Give the result as your final answer. Do not include units."
# of half of the training expressions: an expression should be known however it is asked
PHRASES = ("Compute {}.", "What is {}?", "How much is {}?", "{} =", "{}", "Work out {}.", "Evaluate {}.", "Please compute {}.")
# reasoning-gym draws problem i of a data set from seed + i, so these ranges keep the two apart
TEST_SEED = 1
TRAIN_SEED = 10_000_000
TEST_SIZE = 2_000
SIZE = 4_000_000
# 0.30000000000000004, as the package prints some sums of decimals: nothing to learn
ROUNDING = re.compile(r"\.\d{6}")


@dataclass(frozen=True)
class Problem:
    task: str
    question: str
    solution: str  # ends in "#### N"

    @property
    def answer(self) -> str:
        return self.solution.rsplit("####", 1)[1].strip()


def format_number(value) -> str:
    return str(int(value)) if value == int(value) else repr(round(float(value), 6))


class Problems:
    def __init__(self, seed: int):
        self.seed = seed
        make = reasoning_gym.create_dataset
        self.sets = {
            "gsm_symbolic": make("gsm_symbolic", size=SIZE, seed=seed),
            "chain_sum": make("chain_sum", size=SIZE, seed=seed, min_terms=2, max_terms=5, min_digits=1, max_digits=3),
            "basic_arithmetic": make(
                "basic_arithmetic", size=SIZE, seed=seed, min_terms=2, max_terms=4, min_digits=1, max_digits=2
            ),
        }

    def expression(self, task: str, index: int) -> str:
        return self.sets[task][index]["metadata"]["expression"]

    def item(self, task: str, index: int) -> Problem | None:
        """Problem `index` of a task, or None when its working doesn't end in the task's answer."""
        item = self.sets[task][index]
        if task == "gsm_symbolic":
            problem = Problem(task, item["question"], item["metadata"]["answer_cot"].strip())
            return problem if "####" in problem.solution and problem.answer == item["answer"] else None
        try:
            working = Working(item["metadata"]["expression"])
        except ValueError:
            return None
        lines = working.lines + [f"#### {working.value}"]
        return Problem(task, item["question"], "\n".join(lines)) if str(working.value) == item["answer"] else None


def test_problems(task: str, count: int = TEST_SIZE, seed: int = TEST_SEED) -> list[Problem]:
    """The first `count` problems from `seed` on of a task, with distinct questions."""
    problems, seen, found, index = Problems(seed), set(), [], 0
    while len(found) < count and index < SIZE:
        problem = problems.item(task, index)
        index += 1
        if problem and problem.question not in seen:
            seen.add(problem.question)
            found.append(problem)
    return found


def drill(r: random.Random) -> Problem:
    """One operation on numbers as they occur in the worked answers."""

    def number(digits: int) -> int:
        value = r.randrange(10 ** (digits - 1), 10**digits) if digits > 1 else r.randrange(10)
        return value // 10 * 10 if digits > 1 and r.random() < 0.25 else value

    kind = r.randrange(7)
    if kind == 0:
        a, b = number(r.choice((1, 2, 2, 3, 3, 4))), number(r.choice((1, 2, 2, 3, 3, 4)))
        question, line, value = f"{a} + {b}", f"{a}+{b}{sum_of_parts(a, b)}", a + b
    elif kind == 1:
        a, b = number(r.choice((2, 2, 3, 3, 4))), number(r.choice((1, 2, 2, 3, 3)))
        question, line, value = f"{a} - {b}", f"{a}-{b}{sum_of_parts(a, -b)}", a - b
    elif kind == 2:
        a, b = number(r.choice((1, 2, 2, 3, 3, 4))), number(1)
        if r.random() < 0.5:
            a, b = b, a
        question, line, value = f"{a} * {b}", multiply_in_steps(a, b), a * b
    elif kind == 3:
        a, b = number(r.choice((2, 2, 3))), number(2)
        question, line, value = f"{a} * {b}", multiply_in_steps(a, b), a * b
    elif kind == 4:
        b = r.choice((2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 20, 25))
        value = number(r.choice((1, 2, 2, 3)))
        a = b * value
        question, line = f"{a} / {b}", f"{a}/{b}={value}"
    elif kind == 5:
        percent, base = r.choice((5, 10, 15, 20, 25, 30, 40, 50, 60, 75, 80, 90)), r.randrange(1, 60) * r.choice((4, 10, 20))
        value = format_number(percent * base / 100)
        question, line = f"{percent}% of {base}", f"{base}*{format_number(percent / 100)}={value}"
    else:
        cents, count = r.randrange(1, 40) * r.choice((5, 10, 25, 50)), r.randrange(2, 30)
        value = format_number(cents * count / 100)
        question = f"{format_number(cents / 100)} * {count}"
        line = f"{format_number(cents / 100)}*{count}={value}"
    return Problem("drill", f"Calculate {question}.", f"{line}\n#### {value}")


def recall(r: random.Random, words: list[str]) -> Problem:
    """Copies what stands beside a name: what attention must learn before anything else."""
    owners, things = r.sample(words, 4), r.sample(words, 4)
    counts = [str(r.randrange(1, 10 ** r.choice((1, 2, 2, 3)))) for _ in owners]
    facts = [f"{o} has {c} {t}." for o, c, t in zip(owners, counts, things)]
    order = r.sample(range(4), 2)
    lines = [facts[i] for i in order]
    return Problem("recall", " ".join(facts) + f" What do {owners[order[0]]} and {owners[order[1]]} have?",
                   "\n".join(lines) + f"\n#### {counts[order[1]]}")


def simple(r: random.Random) -> Problem:
    question, answer, steps = r.choice(KINDS)(r)
    return Problem("simple", question, f"{steps}\n#### {answer}")


def rephrased(problem: Problem, expression: str, r: random.Random) -> Problem:
    if r.random() < 0.3:
        expression = expression.replace(" ", "")
    return replace(problem, question=r.choice(PHRASES).format(expression))


class Mixture:
    """An endless, reproducible stream of training problems."""

    def __init__(self, seed: int, weights: dict[str, float]):
        self.problems, self.random = Problems(TRAIN_SEED + seed * 10_000_000), random.Random(seed)
        self.names, self.weights = list(weights), list(weights.values())
        self.index = {task: 0 for task in self.problems.sets}
        self.held_out = {p.question for task in self.problems.sets for p in test_problems(task)}
        self.words = sorted({w for p in test_problems("gsm_symbolic", 500) for w in re.findall(r"[A-Za-z]{3,}", p.question)})

    def next(self) -> Problem:
        while True:
            task = self.random.choices(self.names, self.weights)[0]
            if task == "drill":
                problem = drill(self.random)
            elif task == "recall":
                problem = recall(self.random, self.words)
            elif task == "simple":
                problem = simple(self.random)
            else:
                problem = self.problems.item(task, self.index[task])
                if problem and task != "gsm_symbolic" and self.random.random() < 0.5:
                    problem = rephrased(problem, self.problems.expression(task, self.index[task]), self.random)
                self.index[task] += 1
            if problem and problem.question not in self.held_out and not ROUNDING.search(problem.solution):
                return problem
