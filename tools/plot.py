#!/usr/bin/env python3
"""Draws what `fast-dllm bench ladder` and `fast-dllm bench similarity` wrote to their --out.

usage: plot.py ladder LADDER.json [--out FOLDER] [--format svg|png|pdf]
       plot.py similarity FOLDER [--out FOLDER] [--format svg|png|pdf]

ladder: a picture of each table, accuracy against useful tokens per second, named after the table's
gen-length, shots and stop; and with --costs one for each length of prompt that was computed.
similarity: the cosine of K and V to the step before over the steps (similarity_steps), over the
layers with that to the block's first forward (similarity_layers), and between any two steps
(similarity_maps). Needs matplotlib: tools/requirements-plot.txt. Equal data give equal pictures.
"""
import argparse
import collections
import csv
import json
import math
import pathlib
import sys

try:
    import matplotlib
except ImportError as missing:
    sys.exit(f"plot.py: {missing}: pip install -r tools/requirements-plot.txt")
matplotlib.use("Agg")
matplotlib.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "fast-dllm", "font.family": "sans-serif",
    "font.size": 9, "axes.grid": True, "grid.color": "#e3e5e9", "axes.axisbelow": True,
    "axes.titlesize": 10, "legend.frameon": False, "figure.constrained_layout.use": True})
import matplotlib.pyplot as plt
from matplotlib.transforms import Bbox

KINDS = ("K", "V")
REGIONS = ("prompt", "earlier blocks", "live block", "suffix")
MARKS = "osD^vPXp"


def save(figure, folder, name, suffix):
    path = folder / f"{name}.{suffix}"
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    figure.savefig(path, metadata=dates.get(suffix), dpi=150)
    plt.close(figure)
    print(path)


# The ladder.

def table_name(cell):
    shots = cell["shots"]
    return (f"gen {cell['gen_length']}, {shots} shot{'' if shots == 1 else 's'}, "
            f"EOS stop {'on' if cell['eos_stop'] else 'off'}")


def label_of(cell):
    """A row's name; of a sweep's only the value, since the series names the option."""
    name, _, value = cell["row"].partition("=")
    return value if cell["series"].endswith(" sweep") and value else cell["row"]


def place_labels(axes, points):
    """Writes each point's label beside it, as near as no other label or point lies."""
    figure = axes.figure
    figure.canvas.draw()
    places = [axes.transData.transform(place) for place, _ in points]
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in places]
    sides = (("left", 7, 0), ("right", -7, 0), ("center", 0, 9), ("center", 0, -9))
    for place, text in points:
        label = axes.annotate(text, place, (0, 0), textcoords="offset points", va="center",
                              fontsize=8, color="#59636e", in_layout=False)
        for distance in range(12):
            for side, x, y in sides + sides[:2]:
                away = 7 * distance * (-1 if y < 0 or distance % 2 else 1)
                label.set(ha=side, position=(x, y + away))
                box = label.get_window_extent()
                inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
                if inside and not any(box.overlaps(other) for other in taken):
                    break
            else:
                continue
            break
        taken.append(label.get_window_extent())


def draw_table(cells, speed_of, x_label):
    figure, axes = plt.subplots(figsize=(7, 5))
    series = collections.defaultdict(list)
    for cell in cells:
        speed = None if cell["refused"] else speed_of(cell["summary"])
        if speed and speed > 0:
            series[cell["series"]].append((speed, cell))
    points = []
    for number, (name, entries) in enumerate(series.items()):
        x = [speed for speed, _ in entries]
        y = [100 * cell["summary"]["accuracy"] for _, cell in entries]
        ends = [[100 * end for end in cell["summary"]["accuracy_interval"]] for _, cell in entries]
        errors = [[value - low for value, (low, _) in zip(y, ends)],
                  [high - value for value, (_, high) in zip(y, ends)]]
        axes.errorbar(x, y, errors, fmt="none", ecolor="#b5bac1", elinewidth=1)
        (line,) = axes.plot(x, y, marker=MARKS[number % len(MARKS)], label=name,
                            linestyle="-" if name.endswith(" sweep") else "none")
        line.set_gid(f"series {name}")
        points += [((a, b), label_of(cell)) for a, b, (_, cell) in zip(x, y, entries)]
    axes.set(title=table_name(cells[0]), xlabel=x_label, ylabel="accuracy, %", xscale="log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.margins(x=0.2)
    if points:
        figure.legend(loc="outside lower center", ncols=4)
        place_labels(axes, points)
    return figure


def draw_ladder(ladder, folder, suffix):
    tables = collections.defaultdict(list)
    for cell in ladder["cells"]:
        tables[cell["gen_length"], cell["shots"], cell["eos_stop"]].append(cell)
    for (gen_length, shots, eos_stop), cells in tables.items():
        name = f"ladder_gen{gen_length}_shots{shots}_eos-{'on' if eos_stop else 'off'}"
        speed = "useful tokens per second"
        save(draw_table(cells, lambda summary: summary["useful_tokens_per_second"], speed),
             folder, name, suffix)
        for index, prompt in enumerate(ladder["prompts"] if ladder["costs"] else []):
            def computed(summary, index=index):
                speeds = summary["computed_useful_tokens_per_second"]
                return speeds[index] if index < len(speeds) else None
            label = f"{speed}, computed for {ladder['cost_shape']} at {prompt} + {gen_length}"
            save(draw_table(cells, computed, label), folder, f"{name}_computed_{prompt}", suffix)


# The similarity of K and V.

def read_csv(path):
    with open(path, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def draw_curves(axes, rows, column, key):
    """Of each region the mean over rows of `column`, by the step or layer that `key` names."""
    least = 1.0
    for region in REGIONS:
        sums = collections.defaultdict(lambda: [0.0, 0])
        for row in rows:
            if row["region"] == region:
                entry = sums[int(row[key])]
                entry[0] += float(row[column]) * int(row["rows"])
                entry[1] += int(row["rows"])
        means = {at: total / count for at, (total, count) in sorted(sums.items())}
        (line,) = axes.plot(means.keys(), means.values(), label=region, linewidth=1.2,
                            marker="o" if key == "layer" else None, markersize=4)
        line.set_gid(f"series {region}")
        least = min([least, *means.values()])
    axes.set(xlabel=key, ylabel="cosine similarity", ylim=(least - 0.05 * max(1 - least, 1e-3), 1))


def draw_regions(rows, key, against):
    """A panel for K and for V of each column in `against`: {"mean": "the step before", ...}."""
    panels = [(kind, column, what) for column, what in against.items() for kind in KINDS]
    figure, row_of_axes = plt.subplots(1, len(panels), figsize=(5 * len(panels), 3.6))
    for axes, (kind, column, what) in zip(row_of_axes, panels):
        draw_curves(axes, rows, f"{kind.lower()}_{column}", key)
        axes.set_title(f"{kind} of a step and {what}")
    figure.legend(*row_of_axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def draw_maps(rows):
    """K in the upper row, V in the lower one; of the prompt, the first and the last block."""
    maps = collections.defaultdict(dict)
    for row in rows:
        at = int(row["step_a"]), int(row["step_b"])
        maps[row["kind"], row["rows"]][at] = float(row["cosine"])
    names = list(dict.fromkeys(row["rows"] for row in rows))
    least = min(float(row["cosine"]) for row in rows)
    figure, grid = plt.subplots(len(KINDS), len(names), squeeze=False,
                                figsize=(3.3 * len(names) + 1, 3.2 * len(KINDS)))
    for kind, row_of_axes in zip(KINDS, grid):
        for name, axes in zip(names, row_of_axes):
            cosines = maps[kind, name]
            steps = sorted({step for step, _ in cosines})
            image = axes.imshow([[cosines[a, b] for b in steps] for a in steps], origin="lower",
                                vmin=min(math.floor(least * 20) / 20, 0.95), vmax=1,
                                interpolation="nearest")
            ticks = range(0, len(steps), max(1, (len(steps) + 4) // 5))
            labels = [steps[tick] for tick in ticks]
            axes.set(title=f"{kind}, {name}", xlabel="step", ylabel="step")
            axes.set_xticks(ticks, labels)
            axes.set_yticks(ticks, labels)
            axes.grid(False)
    figure.colorbar(image, ax=grid, label="cosine similarity")
    return figure


def draw_similarity(source, folder, suffix):
    rows = read_csv(source / "similarity.csv")
    before = {"mean": "the step before"}
    save(draw_regions(rows, "step", before), folder, "similarity_steps", suffix)
    save(draw_regions(rows, "layer", {**before, "refresh": "the block's first forward"}), folder,
         "similarity_layers", suffix)
    save(draw_maps(read_csv(source / "similarity_maps.csv")), folder, "similarity_maps", suffix)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0],
                                     epilog=__doc__.split("\n\n", maxsplit=2)[2],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["ladder", "similarity"])
    parser.add_argument("source", type=pathlib.Path, help="ladder.json, or similarity's folder")
    parser.add_argument("--out", type=pathlib.Path, help="folder (default: beside the source)")
    parser.add_argument("--format", choices=["svg", "png", "pdf"], default="svg")
    given = parser.parse_args()
    is_ladder = given.what == "ladder"
    folder = given.out or (given.source.parent if is_ladder else given.source)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if is_ladder:
            ladder = json.loads(given.source.read_text(encoding="utf-8"))
            draw_ladder(ladder, folder, given.format)
        else:
            draw_similarity(given.source, folder, given.format)
    except OSError as error:
        sys.exit(f"plot.py: {error}")
    except (KeyError, TypeError, ValueError) as error:
        sys.exit(f"plot.py: {given.source}: is it of `fast-dllm bench {given.what}`? "
                 f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
