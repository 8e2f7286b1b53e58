"""fast-dllm bench: machine, step and generate on small shapes, and --tokens-per-forward."""
import json
import unittest

from support import DREAM, LLADA, QUESTION, TestCase, run

PEAKS = ["--peak-f32", 200, "--peak-bf16", 400, "--peak-int8", 800, "--bandwidth", 30]
OPERATIONS = ["embed", "norms", "qkv", "rope_store", "attention", "attention_out", "gate_up",
              "swiglu", "down", "gather", "head"]


class Machine(TestCase):
    def test_json(self):
        (machine,) = self.json_lines("bench", "machine", "--threads", 2, "--json")
        self.assertEqual([entry["threads"] for entry in machine["peaks"]], [1, 2])
        for entry in machine["peaks"]:
            for name in ("f32_gflops", "bf16_gflops", "int8_gops", "read_gbps"):
                self.assertGreater(entry[name], 0.1)
        self.assertTrue(machine["cpu"])

    def test_the_asked_instruction_set_is_measured(self):
        (machine,) = self.json_lines("bench", "machine", "--isa", "scalar", "--threads", 1, "--json")
        self.assertEqual(machine["isa"], "scalar")
        self.assertEqual(machine["peaks"][0]["bf16_gflops"], machine["peaks"][0]["f32_gflops"])

    def test_text(self):
        text = self.succeed("bench", "machine", "--threads", 1).stdout
        for part in ("f32 FMA", "bf16 dot", "int8 dot", "memory read", "1 thread"):
            self.assertIn(part, text)


class Step(TestCase):
    def step(self, *arguments):
        (report,) = self.json_lines("bench", "step", "--json", *arguments)
        return report

    def test_json(self):
        report = self.step("--shape", "llada-nano", "--rows", 32, "--attend", 256, "--weights",
                           "int8", "--repeat", 3, "--threads", 1, *PEAKS)
        self.assertEqual(report["command"], "bench step")
        self.assertEqual((report["model"], report["random_weights"]), ("llada-nano", True))
        self.assertEqual((report["rows"], report["attend"], report["score"]), (32, 256, 32))
        self.assertEqual((report["weights"], report["threads"]), ("int8", 1))
        self.assertEqual([entry["name"] for entry in report["operations"]], OPERATIONS)
        by_name = {entry["name"]: entry for entry in report["operations"]}
        self.assertAlmostEqual(by_name["head"]["gflop"], 2e-9 * 32 * 128 * 544)
        self.assertAlmostEqual(by_name["attention"]["gflop"], 4e-9 * 4 * 32 * 128 * 256)
        self.assertEqual((by_name["down"]["type"], by_name["attention"]["type"]), ("int8", "bf16"))
        gemms = [by_name[name] for name in ("qkv", "attention_out", "gate_up", "down", "head")]
        expected = sum(max(entry["gflop"] / 800, entry["bytes"] / 30e9) for entry in gemms)
        self.assertAlmostEqual(report["roofline"]["gemms"]["ms"], 1e3 * expected, places=6)
        self.assertAlmostEqual(
            report["roofline"]["gemms"]["time_over_roofline"],
            report["ms"]["median"] / report["roofline"]["gemms"]["ms"], places=6)
        self.assertGreaterEqual(report["roofline"]["all"]["ms"], report["roofline"]["gemms"]["ms"])
        self.assertLessEqual(report["ms"]["min"], report["ms"]["median"])
        self.assertLessEqual(report["ms"]["median"], report["ms"]["max"])
        self.assertGreater(report["rss_anon_bytes"], report["weight_bytes"])
        self.assertGreaterEqual(report["peak_rss_anon_bytes"], report["rss_anon_bytes"])
        self.assertEqual(report["peaks"]["int8_gops"], 800)

    def test_a_refresh_scores_a_block(self):
        report = self.step("--shape", "dream-nano", "--rows", 100, "--attend", 100, "--repeat", 1,
                           "--no-peaks")
        self.assertEqual(report["score"], 32)
        self.assertNotIn("peaks", report)
        self.assertNotIn("of_peak", report["operations"][2])

    def test_real_weights_and_other_depths(self):
        report = self.step("--model", DREAM, "--rows", 8, "--attend", 64, *PEAKS)
        self.assertEqual((report["random_weights"], report["layers"]), (False, 4))
        report = self.step("--shape", "llada-nano", "--layers", 2, "--attend", 64, *PEAKS)
        self.assertEqual((report["layers"], report["whole_layers"]), (2, 4))
        text = self.succeed("bench", "step", "--shape", "llada-nano", "--layers", 2, "--attend", 64,
                            *PEAKS).stdout
        for part in ("ONLY 2 of its 4 layers", "gate + up", "% of peak", "roofline", "median"):
            self.assertIn(part, text)

    def test_errors(self):
        self.assertIn("llada-8b", self.fail_with(2, "bench", "step"))
        self.assertIn("llada-8b", self.fail_with(2, "bench", "step", "--shape", "llada"))
        self.assertIn("--model", self.fail_with(2, "bench", "step", "--shape", "llada-nano",
                                                "--model", LLADA))
        self.assertIn("--layers", self.fail_with(2, "bench", "step", "--model", LLADA, "--layers", 2))
        self.fail_with(3, "bench", "step", "--no-peaks", "--model", self.folder / "missing")
        nano = ("bench", "step", "--shape", "llada-nano", "--no-peaks")
        self.assertIn("--rows", self.fail_with(2, *nano, "--rows", 64, "--attend", 32))
        self.assertIn("--attend", self.fail_with(2, *nano, "--attend", 513))
        self.assertIn("--score", self.fail_with(2, *nano, "--attend", 64, "--score", 33))
        self.assertIn("--no-peaks", self.fail_with(2, *nano, "--peak-f32", 1))
        self.fail_with(2, *nano, "--peak-f32", 0)
        self.fail_with(2, *nano, "--weights", "int3")
        self.fail_with(2, "bench")
        self.fail_with(2, "bench", "sideways")


class Generate(TestCase):
    def test_random_weights_at_a_fixed_rate(self):
        (report,) = self.json_lines(
            "bench", "generate", "--shape", "llada-nano", "--prompt-length", 100, "--gen-length", 64,
            "--tokens-per-forward", 3.25, "--batch", 3, "--warmup", 1, "--json")
        # Of the second run alone: 32 tokens at 3.25 a forward are 10 forwards: 3 3 3 4 3 3 3 4 3 3.
        self.assertEqual(report["forwards"]["refresh"]["count"], 2)
        self.assertEqual(report["forwards"]["window"]["count"], 18)
        self.assertEqual(report["forwards"]["mixed"]["count"], 0)
        self.assertEqual((report["tokens"], report["useful_tokens"]), (3 * 64, 3 * 64))
        self.assertAlmostEqual(report["tokens_per_forward"], 3.2)
        self.assertAlmostEqual(report["tokens_per_second"], report["tokens"] / report["seconds"])
        self.assertEqual(report["settings"]["tokens_per_forward"], 3.25)
        self.assertEqual(report["settings"]["block_length"], 32)
        self.assertFalse(report["settings"]["eos_stop"])
        self.assertGreater(report["peak_rss_anon_bytes"], report["weight_bytes"])

    def test_caches(self):
        for cache, refreshes in (("none", 16), ("prefix", 2), ("dual", 2)):
            (report,) = self.json_lines(
                "bench", "generate", "--shape", "llada-nano", "--prompt-length", 40, "--gen-length",
                64, "--tokens-per-forward", 4, "--cache", cache, "--json")
            self.assertEqual(report["forwards"]["refresh"]["count"], refreshes, cache)
            self.assertEqual(report["forwards"]["window"]["count"], 16 - refreshes, cache)

    def test_a_real_model_does_what_generate_does(self):
        (report,) = self.json_lines("bench", "generate", "--model", LLADA, "--prompt", QUESTION,
                                    "--weights", "f32", "--json")
        (result,) = self.json_lines("generate", "--model", LLADA, "--prompt", QUESTION, "--weights",
                                    "f32", "--json")
        self.assertEqual(report["useful_tokens"], result["tokens"])
        self.assertEqual({name: report["forwards"][name]["count"] for name in ("refresh", "window")},
                         result["forwards"])
        self.assertEqual(report["settings"]["threshold"], 0.9)
        text = self.succeed("bench", "generate", "--model", LLADA, "--prompt", QUESTION).stdout
        for part in ("refresh", "window", "useful tokens/s", "anonymous memory"):
            self.assertIn(part, text)

    def test_errors(self):
        nano = ("bench", "generate", "--shape", "llada-nano")
        self.assertIn("--tokens-per-forward", self.fail_with(2, *nano, "--prompt-length", 10))
        rate = (*nano, "--tokens-per-forward", 2)
        self.assertIn("512 positions", self.fail_with(2, *rate, "--prompt-length", 500))
        self.assertIn("--batch", self.fail_with(2, *rate, "--prompt-length", 10, "--batch", 0))
        self.assertIn("--warmup", self.fail_with(2, *rate, "--prompt-length", 10, "--warmup", -1))
        self.assertIn("--prompt", self.fail_with(2, *rate, "--prompt", "x"))
        self.assertIn("--threshold contradicts",
                      self.fail_with(2, *rate, "--prompt-length", 10, "--threshold", 0.5))
        self.fail_with(2, *nano, "--tokens-per-forward", 0.5, "--prompt-length", 10)


class TokensPerForward(TestCase):
    def test_generate_takes_it_with_either_family(self):
        for model in (LLADA, DREAM):
            (result,) = self.json_lines(
                "generate", "--model", model, "--prompt", QUESTION, "--gen-length", 64,
                "--tokens-per-forward", 2, "--no-eos-stop", "--json")
            self.assertEqual(result["forwards"], {"refresh": 2, "window": 30}, model)
            self.assertEqual(result["settings"]["tokens_per_forward"], 2)

    def test_a_trace_of_it_is_replayed(self):
        for model in (LLADA, DREAM):
            trace = self.folder / f"{model.name}.jsonl"
            self.succeed("generate", "--model", model, "--prompt", QUESTION, "--gen-length", 64,
                         "--tokens-per-forward", 2.5, "--weights", "f32", "--trace", trace)
            self.assertEqual(json.loads(trace.read_text())["tokens_per_forward"], 2.5)
            done = run("verify", trace, "--model", model, "--weights", "f32")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
