"""The shipped models: the default one is found without --model, and they are right often enough to show what a setting costs."""
import json
import unittest

from support import ROOT, TestCase

MODEL = ROOT / "models" / "llada-mini"
DREAM = ROOT / "models" / "dream-mini"
ITEMS = 40


class ShippedModels(TestCase):
    def test_it_answers_without_a_model_given(self):
        done = self.succeed("generate", "--prompt", "Calculate 12 + 7.", "--json")
        self.assertIn(str(MODEL), done.stderr)
        (result,) = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertTrue(result["text"].rstrip().endswith("#### 19"), result["text"])

    def test_every_number_below_a_thousand_is_one_token(self):
        for model in (MODEL, DREAM):
            for numbers in (range(10), range(10, 100), range(100, 1000)):
                text = "+".join(map(str, numbers))
                ids = self.succeed("tokenize", "--model", model, text).stdout.replace(",", " ").split()
                self.assertEqual(len(ids), 2 * len(numbers) - 1)

    def test_held_out_problems(self):
        for model, task, at_least in ((MODEL, "gsm_symbolic", 0.45), (MODEL, "chain_sum", 0.8),
                                      (MODEL, "basic_arithmetic", 0.7), (DREAM, "gsm_symbolic", 0.45),
                                      (DREAM, "chain_sum", 0.8), (DREAM, "basic_arithmetic", 0.7)):
            with self.subTest(model=model.name, task=task):
                (summary,) = self.json_lines(
                    "eval", "--task", "jsonl", "--model", model, "--data", ROOT / "data" / f"{task}.jsonl",
                    "--limit", ITEMS, "--preset", "paper", "--json")
                self.assertEqual(summary["items"], ITEMS)
                self.assertGreaterEqual(summary["accuracy"]["fraction"], at_least)


if __name__ == "__main__":
    unittest.main()
