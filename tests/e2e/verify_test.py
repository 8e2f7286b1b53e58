"""fast-dllm verify. With an instruction set as argument: the golden traces and logits on it (exit
code 77 where this machine lacks it). Without: what it says of traces that don't fit."""
import json
import sys
import unittest

from support import DREAM, GOLDEN, LLADA, QUESTION, ROOT, TestCase, run

FILES = sorted(GOLDEN.glob("*-traces.jsonl"))
BLOCKS = GOLDEN / "blocks"
BLOCK_FILES = sorted(BLOCKS.glob("*-traces.jsonl"))


def last_line(done):
    return done.stdout.splitlines()[-1]


def golden(isa):
    """A test case that replays everything on one instruction set."""

    class Golden(TestCase):
        def replay(self, stride, threads):
            """Replays every `stride`-th trace of each file."""
            lines = [line for file in FILES for line in file.read_text().splitlines()[::stride]]
            file = self.write("some.jsonl", "\n".join(lines))
            done = run("verify", file, "--models", ROOT / "models", "--isa", isa, "--threads",
                       threads, timeout=1500)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(last_line(done), f"{len(lines)} passed, 0 failed")

        def test_blocks(self):
            """Models that attend whole blocks, and iLLaDA: all traces but those that show a defect
            of the public code."""
            for file in BLOCK_FILES:
                traces = [json.loads(line) for line in file.read_text().splitlines()]
                quirks = sum(trace["quirk"] is not None for trace in traces)
                for threads in (1, 2):
                    done = run("verify", file, "--models", BLOCKS / "models", "--isa", isa,
                               "--threads", threads)
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                    self.assertEqual(last_line(done), f"{len(traces) - quirks} passed, 0 failed")
                    self.assertEqual(done.stdout.count("not replayed"),
                                     quirks + (1 if quirks else 0))

        def test_block_logits(self):
            for file, model, tensors in (("sdar", "sdar-nano", 6),
                                         ("fast_dllm_v2", "fastv2-nano", 9),
                                         ("illada", "illada-nano", 6)):
                done = run("verify", "--logits", BLOCKS / f"{file}-logits.safetensors", "--model",
                           BLOCKS / "models" / model, "--isa", isa)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertEqual(last_line(done), f"{tensors} passed, 0 failed")

        # The scalar kernels are some ten times slower than the others: a part of the traces then.
        def test_traces(self):
            self.replay(8 if isa == "scalar" else 1, 1)

        def test_traces_on_two_threads(self):
            self.replay(16 if isa == "scalar" else 4, 2)

        def test_logits(self):
            for model in (LLADA, DREAM):
                for threads in (1, 2):
                    done = run("verify", "--logits", GOLDEN / f"{model.name}-logits.safetensors",
                               "--model", model, "--isa", isa, "--threads", threads)
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                    self.assertEqual(last_line(done), "9 passed, 0 failed")

    return Golden


class Traces(TestCase):
    def setUp(self):
        super().setUp()
        self.trace = json.loads((GOLDEN / "llada-nano-traces.jsonl").read_text().splitlines()[2])
        self.assertEqual(self.trace["threshold"], 0.9)

    def verify(self, *traces):
        lines = [trace if isinstance(trace, str) else json.dumps(trace) for trace in traces]
        return run("verify", self.write("t.jsonl", "\n".join(lines)), "--models", ROOT / "models")

    def check_failure(self, trace, part):
        done = self.verify(self.trace, trace)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertEqual(last_line(done), "1 passed, 1 failed")
        failures = [line for line in done.stdout.splitlines() if line.startswith("FAIL ")]
        self.assertEqual(len(failures), 1)
        self.assertIn("t.jsonl:2: ", failures[0])
        self.assertIn(part, failures[0])

    def test_unknown_fields_are_ignored(self):
        done = self.verify({**self.trace, "later": {"x": [1]}})
        self.assertEqual((done.returncode, last_line(done)), (0, "1 passed, 0 failed"))

    def test_divergences_are_found(self):
        changed = json.loads(json.dumps(self.trace))
        position, token = changed["forwards"][3]["unmasked"][0]
        changed["forwards"][3]["unmasked"][0][1] = token + 1
        changed["output_ids"][position - len(changed["prompt_ids"])] = token + 1
        self.check_failure(changed, f"forward 4 of {len(changed['forwards'])}: committed")

        changed = json.loads(json.dumps(self.trace))
        changed["forwards"][1]["query"][0] += 1
        self.check_failure(changed, "forward 2 of")

        changed = json.loads(json.dumps(self.trace))
        moved = changed["forwards"].pop()
        changed["forwards"][-1]["unmasked"] += moved["unmasked"]
        self.check_failure(changed, "forward ")

        self.check_failure({**self.trace, "threshold": 0.2}, "forward ")

    def test_damaged_lines_are_failures(self):
        self.check_failure("{", "")
        self.check_failure("[" * 100000, "")
        self.check_failure({**self.trace, "cache": "both"}, "'cache'")
        self.check_failure({**self.trace, "model": "../llada-nano"}, "'model'")
        self.check_failure({**self.trace, "output_ids": []}, "'output_ids'")
        self.check_failure({**self.trace, "model": "missing"}, "missing")
        self.check_failure({**self.trace, "prompt_ids": [10 ** 6] * 34}, "prompt")
        self.check_failure({**self.trace, "block_length": 0}, "block_length")

    def test_what_cannot_be_replayed_is_named(self):
        done = self.verify(self.trace, {**self.trace, "temperature": 0.5})
        self.assertEqual((done.returncode, last_line(done)), (0, "1 passed, 0 failed"))
        self.assertRegex(done.stdout, r"not replayed .*t\.jsonl:2: it draws random numbers")
        done = self.verify({**self.trace, "temperature": 0.5})
        self.assertEqual((done.returncode, last_line(done)), (1, "0 passed, 0 failed"))

    def test_own_traces_replay(self):
        for model, options in ((LLADA, ()), (LLADA, ("--no-eos-stop", "--cache", "prefix")),
                               (LLADA, ("--steps", 64, "--cache", "none")), (DREAM, ()),
                               (LLADA, ("--stop", "####")),
                               (DREAM, ("--cache", "none", "--alg", "entropy", "--steps", 32)),
                               (LLADA, ("--cache", "none", "--cfg-scale", 0.5))):
            file = self.folder / "own.jsonl"
            self.succeed("generate", "--model", model, "--weights", "f32", "--gen-length", 64,
                         "--prompt", QUESTION, "--trace", file, *options)
            (trace,) = map(json.loads, file.read_text().splitlines())
            for field in ("model", "prompt_ids", "gen_length", "block_length", "cache", "forwards",
                          "output_ids", "eos_stop", "temperature", "seed", "correct"):
                self.assertIn(field, trace)
            done = run("verify", file, "--models", ROOT / "models")
            self.assertEqual(last_line(done), "1 passed, 0 failed", (model, options, done.stdout))
            done = run("verify", file, "--model", model)
            self.assertEqual(last_line(done), "1 passed, 0 failed", (model, options))

    def test_usage(self):
        self.fail_with(2, "verify")
        self.fail_with(2, "verify", FILES[0])
        self.fail_with(2, "verify", "--logits", GOLDEN / "llada-nano-logits.safetensors")
        self.fail_with(3, "verify", self.folder / "missing.jsonl", "--models", ROOT / "models")


class Logits(TestCase):
    def test_differences_are_found(self):
        done = run("verify", "--logits", GOLDEN / "llada-nano-logits.safetensors", "--model", LLADA,
                   "--tolerance", "1e-12")
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAIL 0.full_logits", done.stdout)

    def test_another_model_is_refused(self):
        self.fail_with(4, "verify", "--logits", GOLDEN / "llada-nano-logits.safetensors", "--model",
                       DREAM)

    def test_damaged_file(self):
        data = (GOLDEN / "llada-nano-logits.safetensors").read_bytes()
        file = self.folder / "logits.safetensors"
        for damaged in (data[:4], data[:1000], data[:-1], b"\xff" * 64, data + b"x"):
            file.write_bytes(damaged)
            self.fail_with(4, "verify", "--logits", file, "--model", LLADA)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        ISA = sys.argv.pop()
        if run("inspect", LLADA, "--isa", ISA).returncode != 0:
            print(f"this machine has no {ISA}")
            sys.exit(77)
        del Traces, Logits
        Golden = golden(ISA)
    unittest.main(verbosity=2)
