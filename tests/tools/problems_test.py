"""The problems must be solvable as written, fresh and repeatable, and the scoring must count."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"


def run(tool, *arguments):
    return subprocess.run([sys.executable, TOOLS / tool, *map(str, arguments)],
                          capture_output=True, text=True)


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def solve(question):
    """Works the answer out from the question's numbers alone."""
    numbers = [int(word) for word in re.findall(r"\d+", question)]
    if question.startswith("Sort"):
        return " ".join(map(str, sorted(numbers)))
    if question.startswith("Compute"):
        return str(eval(re.fullmatch(r"Compute ([\d +-]+)\.", question)[1]))
    a, b, *c = numbers
    if "gives" in question:
        return str(a + b - c[0])
    if "boxes" in question:
        return str(a * b + c[0])
    if "dollars" in question:
        return str(c[0] - a * b)
    return str(a + a + b)


class Problems(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def make(self, name, *options):
        prompts, answers = self.folder / f"{name}-prompts", self.folder / f"{name}-answers"
        made = run("make_problems.py", prompts, answers, *options)
        self.assertEqual(made.returncode, 0, made.stderr)
        return prompts, answers

    def test_answers_are_right_and_kinds_all_there(self):
        prompts, answers = map(read, self.make("all", "--count", 300))
        self.assertEqual(len(prompts), 300)
        self.assertEqual(len({p["id"].rsplit("-", 1)[0] for p in prompts}), 6)
        for prompt, answer in zip(prompts, answers, strict=True):
            self.assertEqual(prompt.keys(), {"id", "prompt"})
            self.assertEqual(prompt["id"], answer["id"])
            self.assertEqual(solve(prompt["prompt"]), answer["answer"], prompt["prompt"])

    def test_worked_answers_are_right_line_by_line(self):
        worked = self.folder / "worked"
        prompts, answers = map(read, self.make("some", "--count", 300, "--worked", worked))
        for prompt, answer, text in zip(prompts, answers, read(worked), strict=True):
            self.assertEqual((text["id"], text["prompt"]), (prompt["id"], prompt["prompt"]))
            self.assertTrue(text["answer"].endswith(f". #### {answer['answer']}"), text)
            for left, right in re.findall(r"(\d+ [*+-] \d+) = (\d+)", text["answer"]):
                self.assertEqual(eval(left), int(right), text)
            if not prompt["prompt"].startswith("Sort"):
                last = re.findall(r"= (\d+)", text["answer"])[-1]
                self.assertEqual(last, answer["answer"], text)

    def test_a_seed_repeats_and_avoided_questions_stay_away(self):
        first, _ = self.make("first", "--count", 50)
        again, _ = self.make("again", "--count", 50)
        other, _ = self.make("other", "--count", 50, "--avoid", first)
        self.assertEqual(first.read_text(), again.read_text())
        questions = {p["prompt"] for p in read(first)}
        self.assertFalse(questions & {p["prompt"] for p in read(other)})

    def test_scoring_counts_what_follows_the_last_mark(self):
        answers, results = self.folder / "answers", self.folder / "results"
        answers.write_text('{"id": "boxes-0", "answer": "34"}\n{"id": "boxes-1", "answer": "5"}\n'
                           '{"id": "sort-2", "answer": "1 2"}\n')
        texts = ["6 * 3 = 18. #### 34", "#### 5 and then #### 6", "1 2"]
        forwards = {"refresh": 2, "window": 3}
        records = [{"id": name, "text": text, "tokens": 10, "forwards": forwards, "seconds": i + 1}
                   for i, (name, text) in enumerate(zip(("boxes-0", "boxes-1", "sort-2"), texts))]
        results.write_text("\n".join(map(json.dumps, records)))
        scored = run("score_problems.py", answers, results)
        self.assertEqual(scored.returncode, 0, scored.stderr)
        self.assertIn("right: 1 of 3", scored.stdout)
        self.assertIn("forwards: 15 (6 refresh, 9 window), tokens: 30, forwards per token: 0.500",
                      scored.stdout)
        self.assertIn("seconds: 3.00, tokens per second: 10.0", scored.stdout)

        results.write_text("\n".join(map(json.dumps, records[:2])))
        self.assertNotEqual(run("score_problems.py", answers, results).returncode, 0)
        results.write_text("\n".join(map(json.dumps, records[::-1])))
        self.assertNotEqual(run("score_problems.py", answers, results).returncode, 0)


if __name__ == "__main__":
    unittest.main()
