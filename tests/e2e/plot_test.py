"""tools/plot.py draws what `bench ladder` and `bench similarity` write."""
import json
import pathlib
import subprocess
import sys
import unittest
import xml.etree.ElementTree as ElementTree

try:
    import matplotlib  # noqa: F401 (what the script draws with)
except ImportError as missing:
    print(f"skipped: {missing} (tools/requirements-plot.txt names the package)")
    sys.exit(77)

from support import LLADA, QUESTION, ROOT, TestCase

SVG = "{http://www.w3.org/2000/svg}"


class Picture:
    """An SVG's texts, and how many marks each series has."""

    def __init__(self, path):
        root = ElementTree.parse(path).getroot()
        self.texts = ["".join(text.itertext()) for text in root.iter(SVG + "text")]
        self.series = {}
        for group in root.iter(SVG + "g"):
            if group.get("id", "").startswith("series "):
                marks = len(list(group.iter(SVG + "use")))
                self.series.setdefault(group.get("id").removeprefix("series "), []).append(marks)


class PlotCase(TestCase):
    def plot(self, *arguments):
        return subprocess.run([sys.executable, ROOT / "tools" / "plot.py", *map(str, arguments)],
                              capture_output=True, text=True, timeout=120)

    def pictures(self, *arguments):
        done = self.plot(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()


def cell(row, series, speed, accuracy, computed=(), **more):
    return {"row": row, "series": series, "gen_length": 64, "shots": 1, "eos_stop": True,
            "refused": "", "summary": {
                "accuracy": accuracy, "accuracy_interval": [accuracy - 0.1, accuracy + 0.1],
                "useful_tokens_per_second": speed, "computed_useful_tokens_per_second": computed},
            **more}


class Ladder(PlotCase):
    def test_series_labels_and_tables(self):
        cells = [cell("baseline", "baseline", 20, 0.7, [1.5]), cell("dual", "cache", 90, 0.6, [9]),
                 cell("prefix", "cache", 40, 0.7, [3]), cell("odd", "own rows", 0, 0),
                 cell("threshold=0.5", "threshold sweep", 300, 0.5, [20]),
                 cell("threshold=0.9", "threshold sweep", 200, 0.6, []),
                 cell("wrong", "own rows", 0, 0, refused="no such cache"),
                 cell("dual", "cache", 95, 0.6, [9], gen_length=128)]
        source = self.write("ladder.json", json.dumps(
            {"cells": cells, "prompts": [896], "costs": [{}], "cost_shape": "llada-8b int4"}))
        first = self.pictures("ladder", source)
        name = "ladder_gen64_shots1_eos-on"
        self.assertEqual(first, [str(self.folder / f"{each}.svg") for each in (
            name, f"{name}_computed_896", "ladder_gen128_shots1_eos-on",
            "ladder_gen128_shots1_eos-on_computed_896")])
        picture = Picture(first[0])
        self.assertEqual(picture.series, {"baseline": [1], "cache": [2], "threshold sweep": [2]})
        for text in ("gen 64, 1 shot, EOS stop on", "useful tokens per second", "accuracy, %",
                     "baseline", "dual", "prefix", "0.5", "0.9", "threshold sweep"):
            self.assertIn(text, picture.texts)
        self.assertNotIn("wrong", picture.texts)
        self.assertNotIn("odd", picture.texts)
        computed = Picture(first[1])
        self.assertEqual(computed.series["threshold sweep"], [1])
        self.assertIn("useful tokens per second, computed for llada-8b int4 at 896 + 64",
                      computed.texts)
        before = [pathlib.Path(path).read_bytes() for path in first]
        self.pictures("ladder", source)
        self.assertEqual([pathlib.Path(path).read_bytes() for path in first], before)
        (png, *_) = self.pictures("ladder", source, "--out", self.folder / "new", "--format", "png")
        self.assertEqual(pathlib.Path(png).read_bytes()[:4], b"\x89PNG")

    def test_what_the_program_writes(self):
        data = self.write("data.jsonl", '{"question": "What is 2 + 3?", "answer": "5"}\n')
        self.succeed("bench", "ladder", "--model", LLADA, "--data", data, "--gen-length", 32,
                     "--rows", "dual,dual+threshold", "--out", self.folder / "out")
        (path,) = self.pictures("ladder", self.folder / "out" / "ladder.json")
        self.assertEqual(Picture(path).series, {"cache": [1], "cache + parallel": [1]})

    def test_refusals(self):
        done = self.plot("ladder", self.folder / "none.json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("none.json", done.stderr)
        for text in ("{}", "[", '{"cells": [{}]}', "[]", '{"cells": 5}'):
            done = self.plot("ladder", self.write("bad.json", text))
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertRegex(done.stderr, r"^plot\.py: .*bad\.json: is it of `fast-dllm bench lad")


class Similarity(PlotCase):
    def test_what_the_program_writes(self):
        self.succeed("bench", "similarity", "--model", LLADA, "--prompt", QUESTION, "--gen-length",
                     64, "--map-steps", 8, "--out", self.folder)
        steps, layers, maps = map(Picture, self.pictures("similarity", self.folder))
        regions = {"prompt", "earlier blocks", "live block", "suffix"}
        self.assertEqual(set(steps.series), regions)
        self.assertLess(regions, set(steps.texts))
        self.assertIn("V of a step and the step before", steps.texts)
        self.assertEqual(layers.series, {region: [4] * 4 for region in regions})  # of 4 layers
        self.assertIn("K of a step and the block's first forward", layers.texts)
        for title in ("K, prompt", "V, first block", "V, last block", "cosine similarity"):
            self.assertIn(title, maps.texts)

    def test_refusals(self):
        self.assertIn("similarity.csv", self.plot("similarity", self.folder).stderr)
        self.write("similarity.csv", "a,b\n1,2\n")
        self.assertIn("is it of `fast-dllm bench similarity`",
                      self.plot("similarity", self.folder).stderr)


if __name__ == "__main__":
    unittest.main()
