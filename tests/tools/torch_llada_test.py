"""torch_llada.py decodes as fast-dllm does, and torch_bench.py reports as `bench generate` does.
Skipped (exit code 77) where PyTorch is not installed: tools/requirements-torch.txt."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

try:
    import torch
except ImportError:
    print("PyTorch is not installed")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True
import torch_llada  # noqa: E402

BINARY = os.environ["FASTDLLM_BINARY"]
MODEL = ROOT / "models" / "llada-nano"
TRACES = ROOT / "tests" / "golden" / "llada-nano-traces.jsonl"


def ours(*arguments):
    done = subprocess.run([BINARY, *map(str, arguments)], check=True, capture_output=True,
                          text=True, timeout=300)
    return [json.loads(line) for line in done.stdout.splitlines()]


class Decoding(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.set_num_threads(1)
        cls.model = torch_llada.Llada.open(MODEL)
        with open(TRACES, encoding="utf-8") as lines:
            cls.traces = [json.loads(line) for line in lines]

    def prompts(self, count):
        seen = {trace["question"]: trace["prompt_ids"] for trace in self.traces}
        return list(seen.values())[:count]

    def test_a_golden_trace_of_each_kind(self):
        tested = {}
        for trace in self.traces:
            steps = None if trace["threshold"] else trace["steps"]
            kind = trace["cache"], trace["threshold"], steps
            if trace["factor"] is None and kind not in tested:
                tested[kind] = trace
        self.assertGreaterEqual(len(tested), 6)
        for kind, trace in tested.items():
            for head in ("masked", "all"):
                options = {name: trace[name] for name in
                           ("gen_length", "block_length", "cache", "threshold", "steps")}
                answers, forwards = torch_llada.decode(
                    self.model, [trace["prompt_ids"]], {**options, "eos_stop": False, "head": head})
                self.assertEqual(answers[0], trace["output_ids"], (kind, head))
                self.assertEqual(forwards[0], len(trace["forwards"]), (kind, head))

    def test_a_fixed_rate_decodes_as_the_engine_does(self):
        prompts = self.prompts(4)
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.writelines(json.dumps({"prompt_ids": ids}) + "\n" for ids in prompts)
            file.flush()
            for cache in ("none", "prefix", "dual"):
                expected = ours("generate", "--model", MODEL, "--weights", "f32", "--json",
                                "--cache", cache, "--gen-length", 64, "--block-length", 32,
                                "--tokens-per-forward", 3.25, "--no-eos-stop", "--prompts",
                                file.name)
                options = {"gen_length": 64, "block_length": 32, "cache": cache,
                           "tokens_per_forward": 3.25, "eos_stop": False}
                answers, forwards = torch_llada.decode(self.model, prompts, options)
                ends = set(self.model.end_tokens.tolist())
                for i, result in enumerate(expected):
                    wanted = result["ids"]
                    self.assertEqual(answers[i][:len(wanted)], wanted, (cache, i))
                    self.assertTrue(len(wanted) == 64 or answers[i][len(wanted)] in ends, cache)
                    self.assertEqual(forwards[i], sum(result["forwards"].values()), (cache, i))


class Bench(unittest.TestCase):
    def test_reports_the_fields_of_bench_generate_and_compares(self):
        settings = ["--shape", "llada-nano", "--layers", 2, "--prompt-length", 40, "--gen-length",
                    64, "--block-length", 32, "--tokens-per-forward", 3.25, "--batch", 2]
        report = ours("bench", "generate", *settings, "--weights", "f32", "--json")[0]
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(report, file)
            file.flush()
            for changed, message in (((), "times faster"),
                                     (("--cache", "prefix"), "cache: prefix here, dual there")):
                done = subprocess.run(
                    [sys.executable, str(ROOT / "tools" / "torch_bench.py"), *map(str, settings),
                     *changed, "--device", "cpu", "--against", file.name],
                    capture_output=True, text=True, timeout=300, check=False)
                self.assertEqual(done.returncode, 0 if not changed else 1, done.stderr)
                self.assertIn(message, done.stderr)
                theirs = json.loads(done.stdout)
                for name in ("command", "layers", "prompt_length", "batch", "weights", "tokens",
                             "tokens_per_forward"):
                    self.assertEqual(theirs[name], report[name], name)
                self.assertGreater(theirs["tokens_per_second"], 0)


if __name__ == "__main__":
    unittest.main()
