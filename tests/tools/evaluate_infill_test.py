"""What evaluate_infill.py cuts out of an answer, and what it takes for a right restoration."""
import pathlib
import random
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True
import evaluate_infill  # noqa: E402

SOLUTION = "Sam packs 6*7=42 apples.\nSome are left.\nIn all there are 42 + 6 = 48.\n#### 48"


class Cut(unittest.TestCase):
    def test_a_line_that_computes_and_what_is_around_it(self):
        lines = set()
        for seed in range(20):
            before, line, after = evaluate_infill.cut(SOLUTION, random.Random(seed))
            self.assertEqual(before + line + after, SOLUTION)
            lines.add(line)
        self.assertEqual(lines, {"Sam packs 6*7=42 apples.\n", "In all there are 42 + 6 = 48.\n"})

    def test_no_line_to_cut(self):
        self.assertIsNone(evaluate_infill.cut("Nothing here.\n#### 4", random.Random(1)))
        self.assertIsNone(evaluate_infill.cut("A wrong one: 2+2=5\n#### 5", random.Random(1)))


class Right(unittest.TestCase):
    def test_the_result_must_stay(self):
        line = "In all there are 42 + 6 = 48.\n"
        self.assertTrue(evaluate_infill.is_right(line, line))
        self.assertTrue(evaluate_infill.is_right(line, "That makes 40+8=48 apples.\n"))
        self.assertFalse(evaluate_infill.is_right(line, "In all there are 42 + 7 = 49.\n"))
        self.assertFalse(evaluate_infill.is_right(line, "No number."))

    def test_equations_must_hold(self):
        line = "In all there are 42 + 6 = 48.\n"
        self.assertFalse(evaluate_infill.is_right(line, "In all there are 42 + 7 = 48.\n"))
        self.assertTrue(evaluate_infill.is_right("5 × 3 = 15", "3 × 5 = 15"))
        self.assertFalse(evaluate_infill.is_right("8/2=4", "8/0=4"))


if __name__ == "__main__":
    unittest.main()
