"""`fast-dllm eval` from end to end: logs, kills, comparison, refusals."""
import json
import os
import random
import select
import signal
import subprocess
import time
import unittest

from support import BINARY, DREAM, LLADA, TestCase, open_terminal, run

KILLS = 10


def questions(count):
    return [{"question": f"Sam has {n} rocks and Olga has 8 more rocks than Sam. How many rocks do "
                         "they have together?",
             "answer": f"Olga has {n} + 8 = {n + 8}. #### {2 * n + 8}"}
            for n in range(2, 2 + count)]


class EvalCase(TestCase):
    def lines(self, name, items):
        return self.write(name, "".join(json.dumps(item) + "\n" for item in items))

    def arguments(self, count=12, *more):
        data = self.lines("data.jsonl", questions(count))
        return ["eval", "--task", "jsonl", "--data", data, "--model", LLADA, "--gen-length", 64,
                "--threads", 1, *more]

    def summary(self, *arguments):
        return self.json_lines(*arguments, "--json")[0]

    def log(self, path):
        header, *items = [json.loads(line)
                          for line in path.read_text(encoding="utf-8").splitlines()]
        self.assertEqual(header["eval"], "fast-dllm")
        return header, items


class Running(EvalCase):
    def test_summary_and_log(self):
        path = self.folder / "log.jsonl"
        summary = self.summary(*self.arguments(12, "--output", path))
        header, items = self.log(path)
        self.assertEqual(header["settings"], summary["settings"])
        self.assertEqual(sorted(int(item["id"]) for item in items), list(range(12)))
        self.assertEqual(summary["items"], 12)
        self.assertEqual(summary["accuracy"]["correct"], sum(item["correct"] for item in items))
        low, high = summary["accuracy"]["interval_95"]
        self.assertLessEqual(low, summary["accuracy"]["fraction"])
        self.assertGreaterEqual(high, summary["accuracy"]["fraction"])
        tokens = sum(item["useful_tokens"] for item in items)
        forwards = sum(sum(item["forwards"].values()) for item in items)
        self.assertEqual(summary["useful_tokens"], tokens)
        self.assertAlmostEqual(summary["forwards_per_token"], forwards / tokens)
        self.assertAlmostEqual(summary["tokens_per_forward"], tokens / forwards)
        self.assertAlmostEqual(summary["useful_tokens_per_second"], tokens / summary["seconds"])
        self.assertAlmostEqual(summary["seconds"], max(item["clock"] for item in items))
        self.assertEqual(summary["settings"]["options"]["threshold"], 0.9)
        self.assertTrue(summary["about"]["cpu"])
        for item, question in zip(sorted(items, key=lambda item: int(item["id"])), questions(12)):
            expected = question["answer"].split("#### ")[1]
            self.assertEqual(item["expected"], expected)
            self.assertEqual(item["correct"], item["extracted"] == expected)
            self.assertIn("####", item["text"])
            self.assertEqual(item["finish"], "stop")

    def test_text_summary(self):
        done = self.succeed(*self.arguments(5))
        self.assertRegex(done.stdout, r"accuracy +\d+\.\d % \(95 % interval \d+\.\d to \d+\.\d\), \d of 5")
        self.assertRegex(done.stdout, r"speed +[\d.]+ useful tokens/s")
        self.assertRegex(done.stdout, r"forwards +[\d.]+ per token")

    def test_batches_change_no_answer(self):
        logs = []
        for concurrency in (1, 7):
            path = self.folder / f"{concurrency}.jsonl"
            self.succeed(*self.arguments(9, "--concurrency", concurrency, "--output", path))
            logs.append({item["id"]: (item["text"], item["forwards"], item["useful_tokens"])
                         for item in self.log(path)[1]})
        self.assertEqual(*logs)

    def test_dream_and_raw_prompts(self):
        data = self.lines("d.jsonl", questions(2))
        summary = self.summary("eval", "--task", "jsonl", "--data", data, "--model", DREAM,
                               "--gen-length", 32, "--no-chat")
        self.assertEqual(summary["settings"]["chat"], False)
        self.assertEqual(summary["settings"]["stop"], ["Question:"])

    def test_shots_in_turns(self):
        shots = self.lines("shots.jsonl", [{"question": "a?", "answer": "1", "solution": "so 1"}])
        arguments = self.arguments(1, "--fewshot-data", shots, "--shots", 1, "--print-prompts")
        prompt = self.json_lines(*arguments)[0]["prompt"]
        self.assertLess(prompt.index("a?"), prompt.index("so 1"))
        self.assertEqual(prompt.count("<|start_header_id|>assistant"), 2)
        prompt = self.json_lines(*arguments, "--shots-as", "text")[0]["prompt"]
        self.assertIn("Question: a?\nAnswer: so 1\n\nQuestion: Sam", prompt)
        self.assertEqual(prompt.count("<|start_header_id|>assistant"), 1)

    def test_progress_on_a_terminal(self):
        master, slave = open_terminal()
        self.addCleanup(os.close, master)
        arguments = [str(word) for word in self.arguments(40, "--cache", "none", "--steps", 64)]
        with subprocess.Popen([BINARY, *arguments], stdout=subprocess.DEVNULL, stderr=slave,
                              stdin=subprocess.DEVNULL) as process:
            os.close(slave)
            shown = b""
            while True:
                ready, _, _ = select.select([master], [], [], 60)
                try:
                    part = os.read(master, 4096) if ready else b""
                except OSError:
                    break
                if not part:
                    break
                shown += part
            self.assertEqual(process.wait(60), 0)
        self.assertRegex(shown.decode(), r"\d+/40 items  .*[\d.]+ % right, [\d.]+ useful tokens/s  "
                                         r"[\d.:]+ (s )?left")


class Killing(EvalCase):
    def test_ten_kills(self):
        """Killed at ten random moments, a run loses no item and repeats none."""
        draw = random.Random()
        seed = draw.randrange(1 << 32)
        draw.seed(seed)
        slow = ["--cache", "none", "--steps", 64, "--concurrency", 3]
        whole = self.folder / "whole.jsonl"
        begin = time.monotonic()
        wanted = self.summary(*self.arguments(36, *slow, "--output", whole))
        taken = time.monotonic() - begin
        broken = self.folder / "broken.jsonl"
        arguments = [str(word) for word in self.arguments(36, *slow, "--output", broken)]
        grown = set()
        for _ in range(KILLS):
            with subprocess.Popen([BINARY, *arguments], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as process:
                time.sleep(draw.uniform(0, taken / 6))
                process.kill()
                process.wait(60)
            lines = broken.read_bytes().count(b"\n") if broken.exists() else 0
            grown.add(lines)
            ids = [json.loads(line)["id"]
                   for line in broken.read_bytes().splitlines(keepends=True)[1:]
                   if line.endswith(b"\n")] if broken.exists() else []
            self.assertEqual(len(ids), len(set(ids)), f"seed {seed}")
        self.assertGreater(len(grown), 2, f"no kill met a run that had begun; seed {seed}")
        before = max(grown)
        resumed = self.summary(*arguments)
        items = self.log(broken)[1]
        self.assertGreater(len(items) + 1, before - 1)
        ids = [item["id"] for item in items]
        self.assertEqual(sorted(ids, key=int), [str(n) for n in range(36)], f"seed {seed}")
        of = lambda item: (item["text"], item["correct"], item["forwards"], item["prompt_hash"])
        self.assertEqual({item["id"]: of(item) for item in items},
                         {item["id"]: of(item) for item in self.log(whole)[1]})
        self.assertEqual(resumed["accuracy"], wanted["accuracy"])
        self.assertEqual(resumed["useful_tokens"], wanted["useful_tokens"])
        self.assertEqual(resumed["settings"], wanted["settings"])
        self.assertGreater(max(item["session"] for item in items), 1)

    def test_a_finished_log_runs_nothing(self):
        path = self.folder / "log.jsonl"
        first = self.summary(*self.arguments(5, "--output", path))
        before = path.read_bytes()
        again = self.summary(*self.arguments(5, "--output", path))
        self.assertEqual(path.read_bytes(), before)
        self.assertEqual(again, first)

    def test_a_longer_limit_goes_on(self):
        path = self.folder / "log.jsonl"
        self.assertEqual(self.summary(*self.arguments(9, "--output", path, "--limit", 4))["items"], 4)
        self.assertEqual(self.summary(*self.arguments(9, "--output", path))["items"], 9)
        self.assertEqual(self.summary(*self.arguments(9, "--output", path, "--limit", 4))["items"], 4)

    def test_an_interrupt_keeps_what_is_done(self):
        path = self.folder / "log.jsonl"
        arguments = [str(word) for word in self.arguments(
            200, "--cache", "none", "--steps", 64, "--concurrency", 2, "--output", path)]
        with subprocess.Popen([BINARY, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as process:
            end = time.monotonic() + 60
            while time.monotonic() < end and not (path.exists()
                                                  and path.read_bytes().count(b"\n") > 2):
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, err)
        self.assertEqual(out, "")
        self.assertIn("the same command goes on where it stopped", err)
        self.assertGreater(len(self.log(path)[1]), 1)


class Comparing(EvalCase):
    def test_compare(self):
        logs = []
        for name, more in (("a", ()), ("b", ("--tokens-per-forward", 8))):
            logs.append(self.folder / f"{name}.jsonl")
            self.succeed(*self.arguments(20, *more, "--output", logs[-1]))
        first, second = ({item["id"]: item["correct"] for item in self.log(path)[1]}
                         for path in logs)
        compared = self.summary("eval", "--compare", *logs)
        gained = sum(second[item] and not first[item] for item in first)
        lost = sum(first[item] and not second[item] for item in first)
        self.assertEqual(compared["items"], 20)
        self.assertEqual((compared["only_second"], compared["only_first"]), (gained, lost))
        self.assertAlmostEqual(compared["difference"], (gained - lost) / 20)
        low, high = compared["interval_95"]
        self.assertTrue(low <= compared["difference"] <= high)
        text = self.succeed("eval", "--compare", *logs).stdout
        self.assertRegex(text, r"difference +[+-]\d+\.\d\d points")
        self.assertIn("exact McNemar p", text)

    def test_other_questions_do_not_compare(self):
        logs = []
        for count in (2, 3):
            logs.append(self.folder / f"{count}.jsonl")
            self.succeed(*self.arguments(count, "--output", logs[-1]))
        self.assertIn("different questions", self.fail_with(2, "eval", "--compare", *logs))


class Refusing(EvalCase):
    def test_usage(self):
        data = self.lines("d.jsonl", questions(1))
        for code, part, arguments in (
                (2, "--task is missing", ["--data", data]),
                (2, "--data is missing", ["--task", "jsonl"]),
                (2, "expected one of gsm8k, jsonl", ["--task", "humaneval", "--data", data]),
                (3, "none.jsonl", ["--task", "jsonl", "--data", self.folder / "none.jsonl"]),
                (2, "contradicts", ["--task", "jsonl", "--data", data, "--chat", "--no-chat"]),
                (2, "--fewshot-data", ["--task", "gsm8k", "--data", data]),
                (2, "--limit", ["--task", "jsonl", "--data", data, "--limit", 0]),
                (2, "--shots-as", ["--task", "jsonl", "--data", data, "--shots-as", "images"]),
                (2, "--gen-length", ["--task", "jsonl", "--data", data, "--gen-length", -33]),
                (2, "--compare", ["--compare", data]),
                (4, "d.jsonl:1", ["--compare", data, data])):
            with self.subTest(arguments=arguments):
                self.assertIn(part, self.fail_with(code, "eval", *arguments, env={
                    "FDLLM_MODEL": str(LLADA)}))

    def test_other_settings(self):
        path = self.folder / "log.jsonl"
        self.succeed(*self.arguments(2, "--output", path))
        message = self.fail_with(2, *self.arguments(2, "--output", path, "--threshold", 0.8))
        self.assertIn("options.threshold was 0.9, is 0.8", message)
        self.lines("data.jsonl", questions(3))
        message = self.fail_with(2, *self.arguments(3, "--output", path))
        self.assertIn("data_hash", message)
        copy = self.copy_model()
        config = copy / "config.json"
        config.write_text(config.read_text(encoding="utf-8") + " ", encoding="utf-8")
        arguments = [copy if word == LLADA else word
                     for word in self.arguments(2, "--output", path)]
        message = self.fail_with(2, *arguments)
        self.assertIn("model.fingerprint", message)

    def test_a_prompt_that_is_too_long_is_an_error_of_its_item(self):
        data = self.lines("d.jsonl", [*questions(1), {"question": "and 5 " * 4000, "answer": "1"}])
        done = run("eval", "--task", "jsonl", "--data", data, "--model", LLADA, "--gen-length", 32,
                   "--json")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(json.loads(done.stdout)["failed"], 1)
        self.assertRegex(done.stderr, "item 1: .*the prompt has")

    def test_a_log_is_a_regular_file(self):
        for path in ("/dev/zero", self.folder):
            self.assertIn("--output", self.fail_with(
                3 if path == self.folder else 2, *self.arguments(2, "--output", path)))

    def test_a_log_that_cannot_grow(self):
        """With a limit on the size of files, as a full disk would have it."""
        path = self.folder / "log.jsonl"
        words = [BINARY, *map(str, self.arguments(9, "--output", path))]
        done = subprocess.run(["bash", "-c", "trap '' XFSZ; ulimit -f 2; exec \"$@\"", "-", *words],
                              capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn("log.jsonl: cannot be written", done.stderr)
        self.assertEqual(self.summary(*self.arguments(9, "--output", path))["items"], 9)


if __name__ == "__main__":
    unittest.main()
