"""Models that attend whole blocks (tests/golden/blocks): what is generated doesn't depend on how it is
computed, and what belongs to models of a canvas is refused by name."""
import json
import random
import unittest

from serve_support import Server
from support import GOLDEN, TestCase, run

MODELS = GOLDEN / "blocks" / "models"
SDAR, V2, ILLADA = MODELS / "sdar-nano", MODELS / "fastv2-nano", MODELS / "illada-nano"

SETTINGS = {
    SDAR: [{}, {"block_length": 8}, {"alg": "low_confidence_static", "block_steps": 2},
           {"alg": "sequential"}, {"alg": "entropy_bounded", "eb_threshold": 2.0},
           {"threshold": 0.3, "temperature": 0.8, "top_k": 20, "top_p": 0.95},
           {"tokens_per_forward": 1.5}, {"eos_stop": False}],
    V2: [{}, {"threshold": 0.5}, {"sub_block_length": 16}, {"temperature": 0.7, "top_p": 0.9},
         {"eos_stop": False, "threshold": 0.4}],
    ILLADA: [{}, {"cache": "none"}, {"cache": "prefix"}, {"preset": "fast"}, {"temperature": 0.7}],
}


def some_requests(model, count):
    source = random.Random(7)
    return [{"prompt": "Sam has 18 rocks. " * source.randrange(1, 7) + f"How many has {i}?",
             "gen_length": source.randrange(1, 60), "seed": i, **source.choice(SETTINGS[model])}
            for i in range(count)]


class Generate(TestCase):
    def answers(self, model, requests, *options):
        file = self.write("prompts.jsonl", "\n".join(json.dumps(request) for request in requests))
        done = self.succeed("generate", "--model", model, "--prompts", file, "--json", *options)
        results = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(len(results), len(requests))
        return [result["ids"] for result in results]

    def test_the_same_however_it_is_computed(self):
        for model in (SDAR, V2, ILLADA):
            requests = some_requests(model, 40)
            expected = self.answers(model, requests, "--threads", 1, "--max-live-requests", 1)
            self.assertTrue(any(expected))
            self.assertEqual(self.answers(model, requests, "--threads", 2), expected)
            self.assertEqual(self.answers(model, requests, "--row-budget", 1), expected)
            if model == ILLADA:
                continue
            for field, value in (("cache", "none"), ("fuse_store", False)):
                changed = [{**request, field: value} for request in requests]
                self.assertEqual(self.answers(model, changed), expected, field)

    def test_the_block_cache_is_the_same_in_any_company(self):
        requests = [{**request, "block_cache": True} for request in some_requests(V2, 40)]
        expected = self.answers(V2, requests, "--threads", 1, "--max-live-requests", 1)
        self.assertEqual(self.answers(V2, requests), expected)

    def test_an_answer_is_as_long_as_asked(self):
        for model in (SDAR, V2):
            for length in (1, 3, 30, 33):
                request = {"prompt": "Hi", "gen_length": length, "ignore_eos": True}
                self.assertEqual(len(self.answers(model, [request])[0]), length)

    def test_four_bits(self):
        for model in (SDAR, V2):
            done = self.succeed("generate", "--model", model, "--prompt", "Hi", "--gen-length", 8,
                                "--weights", "int4-g32", "--json")
            self.assertEqual(json.loads(done.stdout)["settings"]["weights"], "int4-g32")

    def test_what_canvases_have_is_refused_by_name(self):
        for model, option, value, parts in (
                (SDAR, "--preset", "fast", ["preset", "whole blocks"]),
                (V2, "--cache", "dual", ["cache", "whole blocks"]),
                (V2, "--block-length", 8, ["block-length", "32"]),
                (ILLADA, "--sub-block-length", 8, ["sub-block-length", "whole canvas"])):
            done = run("generate", "--model", model, "--prompt", "Hi", option, value)
            self.assertEqual(done.returncode, 2, done.stderr)
            for part in parts:
                self.assertIn(part, done.stderr)
        done = run("infill", "--model", SDAR, "--text", "one <|hole:4|> three")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("can't fill holes", done.stderr)
        done = run("convert", SDAR, self.folder / "out.gguf")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no form in GGUF files", done.stderr)

    def test_a_trace_is_replayed(self):
        for model, options in ((SDAR, ()), (SDAR, ("--no-eos-stop", "--block-length", 8)),
                               (V2, ("--threshold", 0.5)), (V2, ("--block-cache",)),
                               (ILLADA, ())):
            trace = self.folder / "trace.jsonl"
            trace.unlink(missing_ok=True)
            self.succeed("generate", "--model", model, "--prompt", "Sam has 18 rocks.",
                         "--gen-length", 37, "--weights", "f32", "--trace", trace, *options)
            done = self.succeed("verify", trace, "--model", model)
            self.assertEqual(done.stdout.splitlines()[-1], "1 passed, 0 failed")

    def test_an_empty_prompt(self):
        for model in (SDAR, V2):
            request = {"prompt": "", "gen_length": 5, "ignore_eos": True}
            self.assertEqual(len(self.answers(model, [request], "--raw")[0]), 5)

    def test_a_mask_that_no_file_names(self):
        folder = self.copy_model(V2)
        file = folder / "tokenizer.json"
        file.write_text(file.read_text().replace("|<MASK>|", "|<NO>|"))
        done = run("generate", "--model", folder, "--prompt", "Hi")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("expected the mask token '|<MASK>|'", done.stderr)

    def test_inspect(self):
        for model, family, rule in ((SDAR, "sdar", "low_confidence_dynamic"),
                                    (V2, "fast_dllm_v2", "above_threshold"),
                                    (ILLADA, "illada", "threshold")):
            info = json.loads(self.succeed("inspect", model, "--json").stdout)
            self.assertEqual((info["family"], info["rules"][0]), (family, rule))


class Serve(TestCase):
    BODY = {"prompt": "Sam has 18 rocks. How many", "max_tokens": 21, "ignore_eos": True}

    def test_whole_and_streamed(self):
        for model in (SDAR, V2):
            with Server(model=model) as server:
                status, _, answer = server.ask("/v1/completions", self.BODY)
                self.assertEqual(status, 200, answer)
                self.assertEqual(answer["usage"]["completion_tokens"], 21)
                text = "".join(chunk["choices"][0]["text"] for chunk in
                               server.stream("/v1/completions", self.BODY) if chunk["choices"])
                self.assertEqual(text, answer["choices"][0]["text"])

    def test_refusals_and_what_the_page_is_told(self):
        with Server(model=SDAR) as server:
            status, _, answer = server.ask("/v1/completions", {**self.BODY, "preset": "fast"})
            self.assertEqual(status, 400, answer)
            self.assertIn("preset", answer["error"]["message"])
            status, _, answer = server.ask("/v1/completions", {**self.BODY, "suffix": " rocks."})
            self.assertEqual(status, 400, answer)
            self.assertIn("can't fill holes", answer["error"]["message"])
            api = server.ask("/openapi.json")[2]
            self.assertIn("preset", api["x-unused-options"])
            self.assertIn("cache", api["x-unused-options"])
            self.assertNotIn("block_length", api["x-unused-options"])
            self.assertEqual(api["x-rules"][0]["name"], "low_confidence_dynamic")


if __name__ == "__main__":
    unittest.main()
