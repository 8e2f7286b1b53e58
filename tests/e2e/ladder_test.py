"""fast-dllm bench ladder, costs and similarity: tables, going on after a kill, refusals."""
import csv
import json
import shutil
import signal
import subprocess
import time
import unittest

from support import BINARY, DREAM, LLADA, QUESTION, TestCase

ITEMS = [{"question": f"Mia has {a} coins. Mia buys {b} more coins. How many coins does Mia have "
                      "now?", "answer": f"{a} + {b} = {a + b}. #### {a + b}"}
         for a, b in ((12, 7), (3, 9), (20, 14))]


class LadderCase(TestCase):
    def setUp(self):
        super().setUp()
        self.data = self.write("data.jsonl", "".join(json.dumps(item) + "\n" for item in ITEMS))
        self.out = self.folder / "out"

    def arguments(self, *more):
        return ["bench", "ladder", "--model", LLADA, "--data", self.data, "--gen-length", 64,
                "--threads", 1, "--out", self.out, *more]

    def ladder(self, *more):
        return self.succeed(*self.arguments(*more))

    def cells(self):
        content = json.loads((self.out / "ladder.json").read_text())
        return {(cell["row"], cell["gen_length"], cell["shots"], cell["eos_stop"]): cell
                for cell in content["cells"]}


class Ladder(LadderCase):
    def test_tables_and_figures(self):
        costs = self.write("costs.json", self.succeed(
            "bench", "costs", "--shape", "llada-nano", "--rows", "1,32,200", "--attend", 200,
            "--seconds", 0.01, "--threads", 1, "--json").stdout)
        done = self.ladder("--rows", "baseline,dual,threshold,dual+threshold,dual+factor,fixed-4",
                           "--row", "mine: cache=dual threshold=0.5", "--row",
                           "wrong: cache=dual block-length=0", "--eos-stop", "both", "--costs",
                           costs, "--at-prompt", "100,200")
        self.assertIn("## gen 64, 0 shots, EOS stop off", done.stdout)
        self.assertIn("computed, llada-nano bf16 at 200 + 64", done.stdout)
        self.assertEqual(done.stdout, (self.out / "ladder.md").read_text())
        cells = self.cells()
        self.assertEqual(len(cells), 16)
        base = cells["baseline", 64, 0, False]
        self.assertEqual([item["forwards"] for item in base["items"]], [64] * 3)
        self.assertNotIn("difference", base["summary"])
        self.assertEqual([item["forwards"] for item in cells["fixed-4", 64, 0, False]["items"]],
                         [16] * 3)
        for (row, _, _, eos_stop), cell in cells.items():
            if row == "wrong":
                self.assertIn("block_length", cell["refused"])
                continue
            summary, items = cell["summary"], cell["items"]
            self.assertEqual(sum(count["count"] for count in cell["forward_counts"]),
                             sum(item["forwards"] for item in items))
            self.assertEqual(summary["accuracy"], sum(item["correct"] for item in items) / 3)
            self.assertEqual(len(summary["computed_seconds"]), 2)
            self.assertLess(*summary["computed_seconds"])
            useful, seconds = (sum(item[name] for item in items) for name in ("useful", "seconds"))
            self.assertAlmostEqual(summary["useful_tokens_per_second"], useful / seconds)
            if row != "baseline":
                self.assertIn("interval", summary["difference"])
                self.assertGreater(summary["speed_up"], 0)
            full = cells[row, 64, 0, False]["items"]
            if eos_stop:
                self.assertEqual([item["useful"] for item in items],
                                 [item["useful"] for item in full])
                self.assertLessEqual(sum(item["forwards"] for item in items),
                                     sum(item["forwards"] for item in full))

    def test_adds_to_what_is_there_and_measures_again_what_differs(self):
        self.ladder("--rows", "baseline,dual+threshold", "--limit", 2)
        first = self.cells()
        done = self.ladder("--rows", "baseline", "--sweep", "threshold", "--limit", 2)
        self.assertIn("done before", done.stderr)
        second = self.cells()
        self.assertEqual(second["baseline", 64, 0, False], first["baseline", 64, 0, False])
        self.assertEqual(len(second), 2 + 7)
        self.assertIn("threshold=0.95", (self.out / "ladder.md").read_text())
        self.ladder("--rows", "dual+threshold", "--limit", 2, "--block-length", 16)
        third = self.cells()["dual+threshold", 64, 0, False]
        self.assertIn("block-length=16", third["options"])
        message = self.fail_with(2, *self.arguments("--rows", "dual", "--limit", 3))
        self.assertIn("--fresh", message)
        self.ladder("--rows", "dual", "--limit", 3, "--fresh")
        self.assertEqual(len(self.cells()), 1)

    def test_knows_the_model_by_its_files_and_not_by_its_card(self):
        model = self.folder / "model"
        shutil.copytree(LLADA, model)
        command = ["bench", "ladder", "--model", model, "--data", self.data, "--gen-length", 64,
                   "--limit", 1, "--out", self.out, "--rows"]
        self.succeed(*command, "dual")
        (model / "README.md").write_text("written anew")
        self.succeed(*command, "dual+threshold")
        self.assertEqual(len(self.cells()), 2)
        config = model / "config.json"
        config.write_text(config.read_text() + "\n")
        self.assertIn("another model", self.fail_with(2, *command, "dual"))

    def test_goes_on_after_a_kill(self):
        command = [BINARY, *map(str, self.arguments("--rows", "paper"))]
        path = self.out / "ladder.json"
        for _ in range(3):
            cells_before = len(self.cells()) if path.exists() else 0
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            end = time.monotonic() + 60
            while process.poll() is None and time.monotonic() < end:
                if path.exists() and len(self.cells()) > cells_before + 1:
                    break
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait()
        kept = self.cells()
        self.ladder("--rows", "paper")
        cells = self.cells()
        self.assertEqual(len(cells), 12)
        for key, cell in kept.items():
            self.assertEqual(cells[key]["items"], cell["items"])
        for cell in cells.values():
            self.assertEqual([item["id"] for item in cell["items"]], ["0", "1", "2"])

    def test_shots_are_tables_of_their_own(self):
        self.ladder("--rows", "dual+threshold", "--shots", "0,1", "--fewshot-data", self.data,
                    "--limit", 1)
        cells = self.cells()
        lengths = [cells["dual+threshold", 64, shots, False]["items"][0]["prompt_tokens"]
                   for shots in (0, 1)]
        self.assertLess(*lengths)

    def test_dream_has_its_rows_and_refuses_the_others(self):
        self.succeed("bench", "ladder", "--model", DREAM, "--data", self.data, "--gen-length", 64,
                     "--limit", 1, "--out", self.out, "--rows", "baseline,dual+threshold,factor")
        cells = self.cells()
        self.assertEqual(cells["baseline", 64, 0, False]["items"][0]["forwards"], 64)
        self.assertIn("factor", cells["factor", 64, 0, False]["refused"])
        self.assertEqual(cells["dual+threshold", 64, 0, False]["refused"], "")

    def test_refusals(self):
        for part, arguments in (("--rows", ["--rows", "fastest"]), ("--sweep", ["--sweep", "x"]),
                                ("no generate option 'x'", ["--row", "mine: x=1"]),
                                ("--shots", ["--shots", "-1"])):
            self.assertIn(part, self.fail_with(2, *self.arguments(*arguments)))
        self.assertIn("--data", self.fail_with(2, "bench", "ladder", "--model", LLADA))
        self.out.mkdir()
        for text in ("{}", "[1", '{"identity": 5}', "[]"):
            (self.out / "ladder.json").write_text(text)
            self.assertIn("ladder.json", self.fail_with(
                4 if text == "[1" else 2, *self.arguments("--rows", "dual")))
        costs = self.write("costs.json", '{"model": "m", "weights": "w", "costs": [{"rows": 0}]}')
        self.assertIn("'rows'", self.fail_with(2, *self.arguments("--fresh", "--costs", costs)))


class Costs(TestCase):
    def test_text_and_json(self):
        arguments = ["bench", "costs", "--shape", "llada-nano", "--rows", "1,8,300", "--attend",
                     64, "--seconds", 0.01, "--threads", 1]
        text = self.succeed(*arguments).stdout
        self.assertIn("attention ms", text)
        (costs,) = self.json_lines(*arguments, "--json")
        self.assertEqual(costs["command"], "bench costs")
        self.assertEqual([(point["rows"], point["attend"], point["score"])
                          for point in costs["costs"]], [(1, 64, 1), (8, 64, 8), (300, 300, 32)])
        for point in costs["costs"]:
            self.assertGreater(point["seconds"], point["attention_seconds"] + point["head_seconds"])
        self.assertIn("--rows", self.fail_with(2, *arguments[:4], "--rows", "1,1"))


class Similarity(TestCase):
    def test_tables(self):
        out = self.folder / "similarity"
        (report,) = self.json_lines("bench", "similarity", "--model", LLADA, "--prompt", QUESTION,
                                    "--gen-length", 64, "--threads", 1, "--out", out, "--json")
        self.assertEqual((report["steps"], report["prompts"]), (64, 1))
        regions = {entry["region"]: entry for entry in report["regions"]}
        self.assertEqual(list(regions), ["prompt", "earlier blocks", "live block", "suffix"])
        self.assertGreater(regions["prompt"]["K"]["step_before_mean"], 0.99)
        with (out / "similarity.csv").open() as lines:
            rows = list(csv.DictReader(lines))
        # 63 pairs of steps, three parts (no earlier blocks, then no suffix), four layers
        self.assertEqual(len(rows), 63 * 3 * 4)
        self.assertTrue(all(-1 <= float(row["v_least"]) <= float(row["v_mean"]) + 1e-6 <= 1.00001
                            for row in rows))
        with (out / "similarity_maps.csv").open() as lines:
            cosines = [row for row in csv.DictReader(lines)]
        self.assertEqual(len(cosines), 3 * 2 * 64 * 64)
        self.assertTrue(all(float(row["cosine"]) > 0.999999 for row in cosines
                            if row["step_a"] == row["step_b"]))

    def test_refusals(self):
        command = ["bench", "similarity", "--model", LLADA]
        self.assertIn("--prompt", self.fail_with(2, *command))
        self.assertIn("--map-steps", self.fail_with(2, *command, "--prompt", "x", "--map-steps", 0))
        self.assertIn("--block-length",
                      self.fail_with(2, *command, "--prompt", "x", "--block-length", 0))
        blocked = self.write("blocked", "a file")
        self.assertIn("blocked", self.fail_with(2, *command, "--prompt", "x", "--out", blocked))


if __name__ == "__main__":
    unittest.main()
