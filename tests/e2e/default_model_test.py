"""The shipped default model: found without --model, and right often enough to show what a setting costs."""
import json
import unittest

from support import ROOT, TestCase

MODEL = ROOT / "models" / "llada-mini"
ITEMS = 40


class DefaultModel(TestCase):
    def test_it_answers_without_a_model_given(self):
        done = self.succeed("generate", "--prompt", "Calculate 12 + 7.", "--json")
        self.assertIn(str(MODEL), done.stderr)
        (result,) = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertTrue(result["text"].rstrip().endswith("#### 19"), result["text"])

    def test_held_out_problems(self):
        for task, at_least in (("gsm_symbolic", 0.3), ("basic_arithmetic", 0.5)):
            with self.subTest(task=task):
                (summary,) = self.json_lines(
                    "eval", "--task", "jsonl", "--model", MODEL, "--data", ROOT / "data" / f"{task}.jsonl",
                    "--limit", ITEMS, "--preset", "paper", "--json")
                self.assertEqual(summary["items"], ITEMS)
                self.assertGreaterEqual(summary["accuracy"]["fraction"], at_least)


if __name__ == "__main__":
    unittest.main()
