"""Worked answers of arithmetic: each operation a line, taken apart where its numbers are long."""

import re


def split(value: int) -> tuple[int, int]:
    """(hundreds, rest), both with the sign of `value`: -457 is -400 and -57."""
    rest = abs(value) % 100
    return (value + rest, -rest) if value < 0 else (value - rest, rest)


def signed(terms: list[int]) -> str:
    """The sum of the terms, with one sign before each: 3-4+5."""
    return str(terms[0]) + "".join(f"{term:+}" for term in terms[1:])


def sum_of_parts(a: int, b: int) -> str:
    """What follows `a+b` up to its value: hundreds and the rest apart when both have two digits and one has three."""
    parts = [[part for part in halves if part] for halves in zip(split(a), split(b))]
    if min(abs(a), abs(b)) < 10 or max(abs(a), abs(b)) < 100 or not parts[1] or len(parts[0] + parts[1]) == 2:
        return f"={a + b}"
    return f"={signed(parts[0] + parts[1])}={signed([*map(sum, parts)])}={a + b}"


def multiply_in_steps(a: int, b: int) -> str:
    """The product as one chain of equations, the digits of the shorter factor apart, or the hundreds of the longer one."""
    short, long = sorted((a, b), key=abs)
    sign = -1 if short < 0 else 1
    digits = str(abs(short))
    parts = [sign * int(d) * 10 ** (len(digits) - i - 1) for i, d in enumerate(digits) if d != "0"]
    if abs(short) < 10:
        hundreds, rest = split(long)
        if abs(short) < 2 or not hundreds or not rest:
            return f"{a}*{b}={a * b}"
        return f"{a}*{b}={hundreds}*{short}+{rest}*{short}={signed([hundreds * short, rest * short])}={a * b}"
    if len(parts) == 1:
        return f"{a}*{b}={a * b}"
    total, *rest = [part * long for part in parts]
    chain = f"{a}*{b}=" + "+".join(f"{part}*{long}" for part in parts) + "=" + signed([total, *rest])
    for i, term in enumerate(rest, 1):
        chain += sum_of_parts(total, term) if i == len(rest) else "=" + signed([total + term, *rest[i:]])
        total += term
    return chain


class Working:
    """Evaluates an arithmetic expression of integers and writes each operation as a line."""

    def __init__(self, expression: str):
        self.tokens = re.findall(r"\d+|[-+*/()]", expression)
        self.position = 0
        self.lines: list[str] = []
        self.value = self.sum()

    def peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self) -> str:
        self.position += 1
        return self.tokens[self.position - 1]

    def apply(self, a: int, operator: str, b: int) -> int:
        if operator == "*":
            self.lines.append(multiply_in_steps(a, b))
            return a * b
        if operator == "/" and (b == 0 or a % b):
            raise ValueError("not a whole quotient")
        if operator == "/":
            self.lines.append(f"{a}/{b}={a // b}")
            return a // b
        term = b if operator == "+" else -b
        one_sign = f"={signed([a, term])}" if b < 0 else ""
        self.lines.append(f"{a}{operator}{b}{one_sign}{sum_of_parts(a, term)}")
        return a + term

    def sum(self) -> int:
        value = self.product()
        while self.peek() in ("+", "-"):
            operator = self.take()
            value = self.apply(value, operator, self.product())
        return value

    def product(self) -> int:
        value = self.factor()
        while self.peek() in ("*", "/"):
            operator = self.take()
            value = self.apply(value, operator, self.factor())
        return value

    def factor(self) -> int:
        token = self.take()
        if token == "-":
            is_expression = self.peek() in ("(", "-")
            value = self.factor()
            if is_expression:
                self.lines.append(f"-({value})={-value}")
            return -value
        if token == "(":
            value = self.sum()
            self.take()
            return value
        return int(token)
