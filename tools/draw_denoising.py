#!/usr/bin/env python3
"""Draws how an answer came about: one panel a forward, what it filled in marked, what is masked grey.

usage: draw_denoising.py TRACE.jsonl OUT.svg [--binary build/release/bin/fast-dllm] [--model llada-mini] [--width 76]

TRACE.jsonl: one line, as `fast-dllm generate --trace` writes it. docs/images/denoising.svg is made by

  fast-dllm generate --model llada-mini --gen-length 64 --trace trace.jsonl --prompt "..."
  tools/draw_denoising.py trace.jsonl docs/images/denoising.svg
"""

import argparse
import html
import json
import pathlib
import re
import subprocess

CHARACTER, LINE, GAP, LEFT, TOP = 7.83, 19, 10, 76, 12
END = " end "
STYLE = """
.back { fill: #ffffff } .text { fill: #1f2328 } .label { fill: #59636e }
.masked { fill: #d7dbe0 } .new { fill: #b6e3ff } .end { fill: #59636e; font-style: italic }
@media (prefers-color-scheme: dark) {
.back { fill: #0d1117 } .text { fill: #e6edf3 } .label { fill: #9198a1 }
.masked { fill: #30363d } .new { fill: #0c4a7d } .end { fill: #9198a1 }
}"""


def texts_of(ids, binary, model):
    """The texts of the answer's tokens up to the first end token, which is shown as a word."""
    done = subprocess.run([binary, "tokenize", "--model", model, "--json", "--decode", ",".join(map(str, ids))],
                          capture_output=True, text=True, check=True)
    texts = json.loads(done.stdout)["tokens"]
    end = next((index for index, text in enumerate(texts) if re.fullmatch(r"<\|.*\|>", text)), None)
    return texts if end is None else [*texts[:end], END]


def layout(texts, width):
    """(line, column) of each token, wrapped at `width` characters and after line ends; and the number of lines."""
    places, line, column = [], 0, 0
    for text in texts:
        shown = text.rstrip("\n")
        if column and column + len(shown) > width:
            line, column = line + 1, 0
        places.append((line, column))
        column += len(shown)
        if text.endswith("\n"):
            line, column = line + 1, 0
    return places, line + 1


def panel(top, label, texts, places, committed, new):
    parts = [f'<text class="label" x="12" y="{top + 14}">{label}</text>']
    for index, (text, (line, column)) in enumerate(zip(texts, places)):
        shown = text.rstrip("\n")
        x, y, width = LEFT + column * CHARACTER, top + line * LINE, len(shown) * CHARACTER
        if index not in committed or index in new:
            style = "new" if index in new else "masked"
            if shown:
                parts.append(f'<rect class="{style}" x="{x + .5:.2f}" y="{y}" width="{width - 1:.2f}" height="17" rx="3"/>')
        if index in committed and shown.strip():
            style = "end" if text == END else "text"
            parts.append(f'<text class="{style}" x="{x:.2f}" y="{y + 14}" textLength="{width:.2f}" '
                         f'xml:space="preserve">{html.escape(shown)}</text>')
    return parts


def draw(trace, texts, width):
    places, lines = layout(texts, width)
    first = len(trace["prompt_ids"])
    parts, committed, top = [], set(), TOP
    for number, forward in enumerate(trace["forwards"], 1):
        new = {position - first for position, _ in forward["unmasked"]} & set(range(len(texts)))
        if not new:
            continue
        committed |= new
        parts += panel(top, f"pass {number}", texts, places, committed, new)
        top += lines * LINE + GAP
    right = LEFT + round(width * CHARACTER) + 12
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right} {top}" width="{right}" height="{top}" '
        'font-family="ui-monospace, monospace" font-size="13">',
        f"<style>{STYLE}\n</style>", f'<rect class="back" width="{right}" height="{top}"/>', *parts, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("trace", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--binary", default="build/release/bin/fast-dllm")
    parser.add_argument("--model", default="llada-mini")
    parser.add_argument("--width", type=int, default=76, help="characters of a line")
    a = parser.parse_args()
    trace = json.loads(a.trace.read_text(encoding="utf-8").splitlines()[0])
    a.out.write_text(draw(trace, texts_of(trace["output_ids"], a.binary, a.model), a.width), encoding="utf-8")


if __name__ == "__main__":
    main()
