"""The table of weight_quality.py: its statistics by hand, and a run of it with the program."""
import math
import os
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True
import weight_quality  # noqa: E402


class Statistics(unittest.TestCase):
    def test_points_count_only_what_differs(self):
        base = [True] * 30 + [False] * 70
        other = [True] * 24 + [False] * 6 + [True] * 2 + [False] * 68
        points, interval, gained, lost = weight_quality.paired_points(base, other)
        self.assertAlmostEqual(points, -4)
        self.assertEqual((gained, lost), (2, 6))
        self.assertAlmostEqual(interval, 196 * math.sqrt((0.08 - 0.04 ** 2) / 100))
        self.assertEqual(weight_quality.paired_points(base, base), (0, 0, 0, 0))

    def test_loss_is_paired_text_by_text(self):
        report = lambda *losses: {"texts": [{"loss": loss} for loss in losses]}
        difference, interval = weight_quality.paired_loss(report(1, 5, 9), report(1.1, 5.3, 9.2))
        self.assertAlmostEqual(difference, 0.2)
        self.assertAlmostEqual(interval, 1.96 * 0.1 / math.sqrt(3))
        difference, interval = weight_quality.paired_loss(report(1, 9), report(2, 10))
        self.assertAlmostEqual(difference, 1)
        self.assertAlmostEqual(interval, 0)
        self.assertTrue(math.isnan(weight_quality.paired_loss(report(1, 2), report(1, None))[0]))
        with self.assertRaises(ValueError):
            weight_quality.paired_loss(report(1, 2), report(1))

    def test_the_answer_follows_the_last_mark(self):
        self.assertTrue(weight_quality.is_right("2 + 2 = 4. #### 5 #### 4", "4"))
        self.assertFalse(weight_quality.is_right("2 + 2 = 4. #### 4 #### 5", "4"))
        self.assertFalse(weight_quality.is_right("4", "4"))


@unittest.skipUnless("FASTDLLM_BINARY" in os.environ, "needs FASTDLLM_BINARY, the program")
class Table(unittest.TestCase):
    def run_tool(self, *arguments):
        command = [sys.executable, ROOT / "tools" / "weight_quality.py",
                   os.environ["FASTDLLM_BINARY"], *arguments]
        return subprocess.run([*map(str, command)], capture_output=True, text=True)

    def test_rows_and_columns(self):
        done = self.run_tool(ROOT / "models" / "llada-nano", "--count", 12, "--samples", 2,
                             "--weights", "bf16", "int4", "--logits",
                             ROOT / "tests" / "golden" / "llada-nano-logits.safetensors")
        self.assertEqual(done.returncode, 0, done.stderr)
        head, rule, *rows = [line.strip("|").split("|") for line in done.stdout.splitlines()]
        self.assertEqual(len(head), 8)
        self.assertEqual(rule, ["---"] * 8)
        cells = [[cell.strip() for cell in row] for row in rows]
        self.assertEqual([row[:2] for row in cells],
                         [["llada-nano", weights] for weights in ("f32", "bf16", "int4")])
        self.assertEqual(cells[0][6], "+0.00000 +- 0.00000")
        errors = [float(row[7]) for row in cells]
        self.assertLess(errors[0], 1e-4)
        self.assertLess(errors[0], errors[1])
        self.assertLess(errors[1], errors[2])
        for row in cells:
            self.assertTrue(0 < float(row[5]) < 1, row)

    def test_errors_say_what_failed(self):
        done = self.run_tool("/no/such/model", "--count", 2)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("/no/such/model", done.stderr)


if __name__ == "__main__":
    unittest.main()
