"""fast-dllm infill: holes of a length and with bounds, batches, and errors."""
import json
import unittest

from support import DREAM, LLADA, QUESTION, TestCase

TEXT = "Together they have <|hole:2|> + <|hole:2|> = <|hole:3|> marbles."


class Infill(TestCase):
    def test_given_text_is_kept(self):
        for model in (LLADA, DREAM):
            done = self.succeed("infill", "--model", model, "--text", TEXT)
            self.assertRegex(done.stdout, r"(?s)^Together they have .* \+ .* = .* marbles\.\n$")
            self.assertRegex(done.stderr, r"^loaded .*\n7 tokens, \d+ forwards")

    def test_json(self):
        (result,) = self.json_lines("infill", "--model", LLADA, "--text", TEXT, "--json",
                                    "--prompt", QUESTION, "--query", "masked")
        self.assertEqual([len(hole["ids"]) for hole in result["holes"]], [2, 2, 3])
        pieces = [hole["text"] for hole in result["holes"]]
        self.assertEqual(result["text"],
                         "Together they have {} + {} = {} marbles.".format(*pieces))
        self.assertEqual(result["canvases"], 1)
        self.assertLessEqual(result["mean_log_confidence"], 0)
        self.assertEqual(result["settings"]["query"], "masked")

    def test_bounds_take_the_most_probable_length(self):
        text = "Together they have <|hole:{}|> marbles."
        ask = ("infill", "--model", LLADA, "--json", "--prompt", QUESTION, "--text")
        (best,) = self.json_lines(*ask, text.format("1-4"))
        self.assertEqual(best["canvases"], 4)
        fixed = [self.json_lines(*ask, text.format(n))[0] for n in range(1, 5)]
        surest = max(fixed, key=lambda result: result["mean_log_confidence"])
        self.assertEqual(best["holes"], surest["holes"])
        self.assertEqual(best["mean_log_confidence"], surest["mean_log_confidence"])

    def test_batch(self):
        texts = [{"id": "a", "text": "x <|hole:2|>"}, {"text": "<|hole:1-2|> y", "prompt": "Hi"}]
        file = self.write("texts.jsonl", "\n".join(json.dumps(line) for line in texts))
        first, second = self.json_lines("infill", "--model", LLADA, "--texts", file, "--json")
        self.assertEqual(first["id"], "a")
        self.assertTrue(first["text"].startswith("x "))
        self.assertTrue(second["text"].endswith(" y"))
        self.assertEqual(second["canvases"], 2)
        (alone,) = self.json_lines("infill", "--model", LLADA, "--text", "x <|hole:2|>", "--json")
        self.assertEqual(alone["holes"], first["holes"])

    def test_refusals(self):
        ask = ("infill", "--model", LLADA)
        self.assertIn("at least one hole", self.fail_with(2, *ask, "--text", "no hole"))
        self.assertIn("length", self.fail_with(2, *ask, "--text", "<|hole:0|>"))
        self.assertIn("narrower", self.fail_with(2, *ask, "--text", "<|hole:1-65|>"))
        self.assertIn("positions", self.fail_with(2, *ask, "--text", "<|hole:1000000|>"))
        self.assertIn("--gen-length",
                      self.fail_with(2, *ask, "--text", "<|hole:2|>", "--gen-length", 8))
        # That it was given counts, not that it is the default.
        self.assertIn("--gen-length",
                      self.fail_with(2, *ask, "--text", "<|hole:2|>", "--gen-length", 128))
        self.assertIn("--stop", self.fail_with(2, *ask, "--text", "<|hole:2|>", "--stop", "x"))
        self.assertIn("probabilities", self.fail_with(2, *ask, "--text", "<|hole:1-2|>",
                                                      "--entropy-bound", 0.1))
        self.assertIn("contradict", self.fail_with(2, *ask, "--text", "a", "--texts", "b"))
        self.assertIn("--initial-length", self.fail_with(2, *ask, "--text", "<|hole:2|>",
                                                       "--initial-length", 2))


if __name__ == "__main__":
    unittest.main()
