#!/usr/bin/env python3
"""Writes fresh worded problems of the six kinds that the shipped checkpoints were trained on.

usage: make_problems.py PROMPTS.jsonl ANSWERS.jsonl [--count 300] [--seed 1] [--avoid F] [--worked W]
PROMPTS gets {id, prompt} a line, as `fast-dllm generate --prompts` reads them, ANSWERS {id, answer},
as score_problems.py reads them, and W {id, prompt, answer} with the answers worked out as in
training, as `fast-dllm bench loss --data` reads them.
"""
import argparse
import json
import random

NAMES = ("Ana Ben Cara Dan Eva Finn Gia Hugo Iris Jack Kira Leo Mia Noah Olga Paul Rosa Sam Tara "
         "Uma Vera Will Yara Zoe").split()
THINGS = ("apples books cards coins eggs flags grapes hats jars keys lamps marbles nuts pens rocks "
          "shells stamps toys").split()


def buy_and_give(draw):
    name, other, thing = draw.choice(NAMES), draw.choice(NAMES), draw.choice(THINGS)
    has, buys = draw.randint(2, 30), draw.randint(2, 19)
    gives = draw.randint(1, has + buys - 1)
    return (f"{name} has {has} {thing}. {name} buys {buys} more {thing} and gives {gives} {thing} "
            f"to {other}. How many {thing} does {name} have now?"), has + buys - gives, (
            f"{name} starts with {has} {thing}. After buying, {has} + {buys} = {has + buys}. "
            f"After giving, {has + buys} - {gives} = {has + buys - gives}.")


def boxes(draw):
    name, thing = draw.choice(NAMES), draw.choice(THINGS)
    count, each, rest = draw.randint(2, 9), draw.randint(2, 9), draw.randint(1, 19)
    return (f"{name} packs {count} boxes with {each} {thing} in each box. There are {rest} {thing} "
            f"left over. How many {thing} are there in total?"), count * each + rest, (
            f"The boxes hold {count} * {each} = {count * each} {thing}. With the rest, "
            f"{count * each} + {rest} = {count * each + rest}.")


def change(draw):
    name, thing = draw.choice(NAMES), draw.choice(THINGS)
    count, price, back = draw.randint(2, 9), draw.randint(2, 9), draw.randint(1, 19)
    return (f"{name} buys {count} {thing} for {price} dollars each and pays with "
            f"{count * price + back} dollars. How many dollars does {name} get back?"), back, (
            f"The {thing} cost {count} * {price} = {count * price} dollars. The change is "
            f"{count * price + back} - {count * price} = {back} dollars.")


def together(draw):
    name, other, thing = draw.choice(NAMES), draw.choice(NAMES), draw.choice(THINGS)
    has, more = draw.randint(2, 25), draw.randint(2, 19)
    return (f"{name} has {has} {thing} and {other} has {more} more {thing} than {name}. "
            f"How many {thing} do they have together?"), 2 * has + more, (
            f"{other} has {has} + {more} = {has + more} {thing}. Together they have "
            f"{has} + {has + more} = {2 * has + more}.")


def compute(draw):
    value = draw.randint(1, 40)
    terms, steps = [str(value)], []
    for _ in range(draw.randint(1, 2)):
        term = draw.randint(1, 19)
        plus = value < term or draw.random() < 0.5
        before, sign = value, "+" if plus else "-"
        value += term if plus else -term
        terms += [sign, str(term)]
        steps.append(f"{before} {sign} {term} = {value}.")
    return f"Compute {' '.join(terms)}.", value, " ".join(steps)


def sort_numbers(draw):
    numbers = [draw.randint(0, 99) for _ in range(draw.randint(3, 4))]
    answer = " ".join(map(str, sorted(numbers)))
    return f"Sort the numbers {' '.join(map(str, numbers))}.", answer, f"In order they are {answer}."


KINDS = [buy_and_give, boxes, change, together, compute, sort_numbers]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prompts", type=argparse.FileType("w", encoding="utf-8"))
    parser.add_argument("answers", type=argparse.FileType("w", encoding="utf-8"))
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--avoid", action="append", default=[], metavar="JSONL",
                        type=argparse.FileType(encoding="utf-8"),
                        help="golden traces or prompts whose questions must not come up")
    parser.add_argument("--worked", metavar="JSONL", type=argparse.FileType("w", encoding="utf-8"))
    options = parser.parse_args()

    seen = set()
    for file in options.avoid:
        for record in map(json.loads, file):
            seen.add(record["question"] if "question" in record else record["prompt"])
    draw = random.Random(options.seed)
    written = 0
    while written < options.count:
        kind = draw.choice(KINDS)
        question, answer, steps = kind(draw)
        if question in seen:
            continue
        seen.add(question)
        name = f"{kind.__name__}-{written}"
        print(json.dumps({"id": name, "prompt": question}), file=options.prompts)
        print(json.dumps({"id": name, "answer": str(answer)}), file=options.answers)
        if options.worked:
            worked = {"id": name, "prompt": question, "answer": f"{steps} #### {answer}"}
            print(json.dumps(worked), file=options.worked)
        written += 1


if __name__ == "__main__":
    main()
