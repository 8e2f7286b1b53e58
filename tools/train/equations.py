"""Canvases packed with unrelated equations or expressions and their working: arithmetic in its densest form, an
exercise for training only.

Half of the equations stand in worked answers of the training problems, as they are written there; the others are
drawn with numbers of few digits above all.
"""

import random
import re
from collections import deque

import torch
from problems import Mixture, drill
from tokenizers import Tokenizer

NUMBER = r"[$€£]?\d+(?:\.\d+)?"
EQUATION = re.compile(rf"(?<![\d.,]){NUMBER}(?: ?[-+*/×x÷] ?{NUMBER})+ ?= ?{NUMBER}(?![\d.,%]*\d)")
POOL, LENGTH = 40_000, 128


def holds(equation: str) -> bool:
    """Whether both sides are equal, to a cent."""
    left, right = re.sub(r"[$€£ ]", "", equation).replace("×", "*").replace("x", "*").replace("÷", "/").rsplit("=", 1)
    try:
        return abs(eval(left, {"__builtins__": {}}) - float(right)) < 0.006  # digits and operators only, by EQUATION
    except (SyntaxError, ZeroDivisionError):
        return False


def drawn(r: random.Random) -> str:
    """An equation of two or three small numbers in one of the ways in which the worked answers write them."""
    if r.random() < 0.3:
        line = drill(r).solution.split("\n")[0]
        # sums at once, since the worked answers of worded problems don't take them apart
        return line if "*" in line else f"{line.split('=')[0]}={line.rsplit('=', 1)[1]}"
    operator = r.choice("++-**")
    a, b = (r.randrange(10 ** r.choice((1, 1, 2, 2, 3))) for _ in range(2))
    if operator == "*":
        a = a % 10 if min(a, b) > 9 else a
        a *= 10 if r.random() < 0.3 else 1
    if operator == "-" and a < b and r.random() < 0.6:
        a, b = b, a
    signs = r.random()  # of one in four, as negative results leave them
    a, b = -a if signs < 0.18 else a, -b if signs > 0.93 or signs < 0.06 else b
    value = {"+": a + b, "-": a - b, "*": a * b}[operator]
    if operator == "*":
        operator = r.choice("**×x")
    return f"{a}{operator}{b}={value}" if r.random() < 0.5 else f"{a} {operator} {b} = {value}"


class Equations:
    def __init__(self, tokenizer: Tokenizer, seed: int, tokens: int):
        self.tokenizer, self.random, self.rows = tokenizer, random.Random(seed), tokens // LENGTH
        self.mixture = Mixture(seed, {"gsm_symbolic": 1.0})
        self.expressions = Mixture(seed + 1, {"chain_sum": 0.4, "basic_arithmetic": 0.6})
        self.found: deque[str] = deque(maxlen=POOL)
        self.harvest(4_000)

    def harvest(self, problems: int) -> None:
        for _ in range(problems):
            self.found.extend(e for e in EQUATION.findall(self.mixture.next().solution) if holds(e))

    def equation(self) -> tuple[str, int, int, float]:
        """(line, begin and end of what to hide, share of its tokens): the result, now and then an operand instead."""
        r = self.random
        equation = r.choice(self.found) if r.random() < 0.5 else drawn(r)
        begin, end = equation.rindex("=") + 1, len(equation)
        begin += equation[begin] == " "
        if r.random() < 0.15:
            begin, end = r.choice([m.span() for m in re.finditer(r"\d+(?:\.\d+)?", equation)])
        return equation + "\n", begin, end, r.uniform(0.4, 1.4)

    def working(self) -> tuple[str, int, int, float]:
        """The same of an expression and its working, which is what to hide."""
        problem = self.expressions.next()
        expression = re.search(r"[-(\d][-+*/() \d]*", problem.question).group().strip()
        text = f"{expression}\n{problem.solution}\n"
        return text, len(expression) + 1, len(text), self.random.uniform(0.2, 1.2)

    def next(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(canvas, masked, counted) [rows, LENGTH].

        In half of the rows all from somewhere in a result or working on is masked, as in decoding, which doesn't know
        how long it is; of that only the rest of this result or working counts.
        """
        r = self.random
        self.harvest(10)
        texts, hidden = [], []
        for _ in range(self.rows):
            text, spans = "", []
            make = self.equation if r.random() < 0.6 else self.working
            while len(text) < 4 * LENGTH:
                line, begin, end, chance = make()
                spans.append((len(text) + begin, len(text) + end, chance))
                text += line
            texts.append(text)
            hidden.append(spans)
        canvas, masked, counted = [], [], []
        for encoding, spans in zip(self.tokenizer.encode_batch(texts), hidden):
            place = [next((k for k, (begin, end, _) in enumerate(spans) if first < end and last > begin), None)
                     for first, last in encoding.offsets[:LENGTH]]
            hide = [k is not None and r.random() < spans[k][2] for k in place]
            count = hide[:]
            starts = [i for i, k in enumerate(place) if k is not None and (i == 0 or place[i - 1] != k)]
            if r.random() < 0.5:
                cut = r.choice(starts[len(starts) // 3 :])
                cut = r.choice([i for i in range(cut, LENGTH) if place[i] == place[cut]])
                hide[cut:] = [True] * (LENGTH - cut)
                count[cut:] = [k == place[cut] for k in place[cut:]]
            canvas.append(encoding.ids[:LENGTH])
            masked.append(hide)
            counted.append(count)
        return torch.tensor(canvas), torch.tensor(masked), torch.tensor(counted)
