"""fast-dllm generate: sources of prompts, results, errors and their exit codes."""
import json
import unittest

from support import DREAM, LLADA, QUESTION, TestCase, fill_tensor, run

RESULT_FIELDS = ["text", "ids", "finish_reason", "prompt_tokens", "tokens", "forwards", "rows",
                 "seconds", "tokens_per_second", "settings"]


class Results(TestCase):
    def test_text_and_closing_line(self):
        for model in (LLADA, DREAM):
            done = self.succeed("generate", "--model", model, "--prompt", QUESTION)
            self.assertEqual(len(done.stdout.splitlines()), 1)
            self.assertIn("Together they have", done.stdout)
            self.assertNotIn("<|", done.stdout)
            self.assertRegex(done.stderr, r"^loaded \w+-nano: [\d.]+ MB in [\d.]+ s\n"
                                          r"\d+ tokens, \d+ forwards \(\d+ refresh \+ \d+ window\)"
                                          r", [0-9.e-]+ s, \d+ tokens/s\n$")

    def test_json_fields(self):
        (result,) = self.json_lines("generate", "--model", LLADA, "--prompt", QUESTION, "--json",
                                    "--gen-length", 64, "--seed", 2 ** 64 - 1)
        self.assertEqual(list(result), RESULT_FIELDS)
        self.assertEqual(result["finish_reason"], "stop")
        self.assertEqual(result["tokens"], len(result["ids"]))
        self.assertEqual(list(result["forwards"]), ["refresh", "window"])
        self.assertGreaterEqual(result["forwards"]["refresh"], 1)
        self.assertAlmostEqual(result["tokens_per_second"], result["tokens"] / result["seconds"])
        settings = result["settings"]
        self.assertEqual(settings["family"], "llada")
        self.assertEqual(settings["weights"], "bf16")
        self.assertIn("cpu", settings["backend"])
        self.assertEqual(settings["gen_length"], 64)
        self.assertEqual(settings["block_length"], 32)
        self.assertEqual(settings["cache"], "dual")
        self.assertEqual(settings["threshold"], 0.9)
        self.assertNotIn("alg", settings)
        self.assertEqual(settings["seed"], 2 ** 64 - 1)
        self.assertIs(settings["eos_stop"], True)
        self.assertIs(settings["correct"], False)

    def test_the_last_block_may_be_short(self):
        """The canvas has as many tokens as asked, for every cache and rule."""
        base = ("generate", "--prompt", QUESTION, "--json", "--no-eos-stop")
        for model, rules in ((LLADA, ((), ("--steps", 50), ("--factor", 1), ("--frechet", 0.3),
                                      ("--tokens-per-forward", 3), ("--initial-length", 40))),
                             (DREAM, ((), ("--alg", "entropy"), ("--alg", "origin", "--steps", 20),
                                      ("--margin", 0.5), ("--initial-length", 33)))):
            for rule in rules:
                for cache in ("none", "prefix", "dual"):
                    if model == DREAM and cache == "none" and "--initial-length" in rule:
                        continue
                    with self.subTest(model=model.name, rule=rule, cache=cache):
                        (result,) = self.json_lines(*base, "--model", model, "--cache", cache,
                                                    "--gen-length", 100, *rule)
                        self.assertEqual(result["settings"]["gen_length"], 100)
                        self.assertEqual(result["tokens"] if result["finish_reason"] == "length"
                                         else 100, 100)
                        if rule[:1] == ("--steps",):
                            self.assertEqual(result["settings"]["steps"], 50)
        for preset in ("exact", "paper", "fast", "turbo"):
            (result,) = self.json_lines(*base, "--model", LLADA, "--preset", preset,
                                        "--gen-length", 37)
            self.assertEqual(result["settings"]["gen_length"], 37)
        trace = self.folder / "short.jsonl"
        self.succeed(*base[:-2], "--no-eos-stop", "--model", LLADA, "--gen-length", 100,
                     "--weights", "f32", "--trace", trace)
        self.assertIn("0 failed", self.succeed("verify", trace, "--models", LLADA.parent,
                                               "--weights", "f32").stdout)

    def test_steps_beside_a_threshold_are_ignored_as_by_the_reference(self):
        base = ("generate", "--prompt", QUESTION, "--gen-length", 64)
        for model, rule in ((LLADA, ("--threshold", 0.8)), (LLADA, ("--factor", 1)), (DREAM, ())):
            done = self.succeed(*base, "--model", model, *rule, "--steps", 2, "--json")
            self.assertEqual(done.stderr.count("--steps is ignored"), 1)
            with_steps = json.loads(done.stdout)
            (without,) = self.json_lines(*base, "--model", model, *rule, "--json")
            self.assertEqual(with_steps["ids"], without["ids"])
            self.assertEqual(with_steps["settings"], without["settings"])
            self.assertNotIn("steps", with_steps["settings"])
        lines = json.dumps({"prompt": QUESTION, "steps": 2, "threshold": 0.8, "gen_length": 64})
        done = self.succeed("generate", "--model", LLADA, "--prompts", "-", "--json", stdin=lines)
        self.assertNotIn("steps", json.loads(done.stdout)["settings"])

    def test_end_tokens_as_asked(self):
        base = ("generate", "--prompt", QUESTION, "--json", "--gen-length", 50)
        for model in (LLADA, DREAM):
            ends = json.loads(self.succeed("inspect", model, "--json").stdout)[
                "end_tokens"]
            for cache in ("none", "prefix", "dual"):
                for rest in ((), ("--temperature", 1, "--top-p", 0.9), ("--margin", 0.3)):
                    (result,) = self.json_lines(*base, "--model", model, "--cache", cache,
                                                "--ignore-eos", *rest)
                    self.assertEqual(result["finish_reason"], "length")
                    self.assertEqual(len(result["ids"]), 50)
                    self.assertFalse(set(result["ids"]) & set(ends))
            (late,) = self.json_lines(*base, "--model", model, "--confidence-eos-eot-inf")
            (never,) = self.json_lines(*base, "--model", model, "--logits-eos-inf",
                                       "--no-eos-stop")
            self.assertTrue(late["settings"]["confidence_eos_eot_inf"])
            self.assertNotIn(ends[0], never["ids"])

    def test_ids_without_a_token_are_never_committed(self):
        """Rows of the matrix that the tokenizer knows nothing of: here tokens of an answer."""
        for source in (LLADA, DREAM):
            model = self.copy_model(source, f"holes-{source.name}")
            base = ("generate", "--model", model, "--prompt", QUESTION, "--json",
                    "--gen-length", 64)
            path = model / "tokenizer.json"
            tokenizer = json.loads(path.read_text(encoding="utf-8"))
            vocab, merges = tokenizer["model"]["vocab"], tokenizer["model"]["merges"]
            used = {part for merge in merges for part in merge}
            droppable = {vocab[a + b] for a, b in merges if a + b not in used}
            likely = set()
            for seed in range(4):
                (result,) = self.json_lines(*base, "--temperature", 1, "--seed", seed)
                likely |= set(result["ids"]) & droppable
            self.assertGreater(len(likely), 2)
            tokenizer["model"]["vocab"] = {token: id for token, id in vocab.items()
                                           if id not in likely}
            tokenizer["model"]["merges"] = [[a, b] for a, b in merges if vocab[a + b] not in likely]
            path.write_text(json.dumps(tokenizer), encoding="utf-8")
            for extra in ((), ("--temperature", 1), ("--temperature", 1, "--top-k", 20),
                          ("--temperature", 1, "--margin", 0.5), ("--cache", "none")):
                for seed in range(4):
                    (result,) = self.json_lines(*base, "--seed", seed, *extra)
                    self.assertFalse(set(result["ids"]) & likely, extra)
            hole = str(min(likely))
            self.assertIn(hole, self.fail_with(2, "tokenize", "--model", model, "--decode", hole))

    def test_filters_and_tiny_temperatures(self):
        base = ("generate", "--prompt", QUESTION, "--json", "--gen-length", 64)
        for model in (LLADA, DREAM):
            (greedy,) = self.json_lines(*base, "--model", model)
            for rest in (("--temperature", 1e-6), ("--temperature", 0.00009, "--top-p", 0.9),
                         ("--top-p", 0.9), ("--top-k", 5),
                         ("--temperature", 1, "--top-k", 1)):
                (result,) = self.json_lines(*base, "--model", model, *rest)
                self.assertEqual(result["ids"], greedy["ids"], rest)
            (filtered,) = self.json_lines(*base, "--model", model, "--temperature", 1, "--seed", 3,
                                          "--top-p", 0.5)
            self.assertEqual(filtered["settings"]["top_p"], 0.5)
        # A trace says which confidence decided.
        for index, confidence in enumerate(("raw", "reference")):
            trace = self.folder / f"{index}.jsonl"
            self.succeed("generate", "--model", DREAM, "--prompt", QUESTION, "--top-k", 3,
                         "--confidence", confidence, "--weights", "f32", "--trace", trace)
            self.assertEqual(json.loads(trace.read_text())["confidence"], confidence)
            self.assertIn("0 failed", self.succeed("verify", trace, "--models", DREAM.parent,
                                                   "--weights", "f32").stdout)

    def test_a_long_prompt_leaves_what_is_left(self):
        ids = ",".join(["40"] * 500)
        for extra, length in (((), 12), (("--gen-length", 12), 12), (("--preset", "fast"), 12)):
            (result,) = self.json_lines("generate", "--model", LLADA, "--prompt-ids", ids, "--json",
                                        "--no-eos-stop", *extra)
            self.assertEqual(result["settings"]["gen_length"], length)
        message = self.fail_with(2, "generate", "--model", LLADA, "--prompt-ids", ids,
                                 "--gen-length", 13)
        self.assertIn("--gen-length", message)
        self.assertNotIn("--prompt", message)
        self.assertIn("512", message)
        message = self.fail_with(2, "generate", "--model", LLADA, "--prompt-ids",
                                 ",".join(["40"] * 512))
        self.assertIn("no room", message)
        self.assertNotIn("gen-length", message)

    def test_presets_give_way_in_any_order(self):
        base = ("generate", "--model", LLADA, "--prompt", QUESTION, "--json", "--gen-length", 64)
        (before,) = self.json_lines(*base, "--cache", "dual", "--preset", "exact")
        (after,) = self.json_lines(*base, "--preset", "exact", "--cache", "dual")
        self.assertEqual(before["settings"], after["settings"])
        self.assertEqual(after["settings"]["preset"], "exact")
        self.assertEqual(after["settings"]["cache"], "dual")
        self.assertEqual(after["settings"]["tokens_per_forward"], 1)
        self.assertIn("exact, paper, fast or turbo",
                      self.fail_with(2, *base, "--preset", "quick"))

    def test_beyond_the_paper(self):
        base = ("generate", "--prompt", QUESTION, "--json", "--gen-length", 64)
        for model in (LLADA, DREAM):
            (paper,) = self.json_lines(*base, "--model", model, "--correct", "--no-eos-stop")
            (masked,) = self.json_lines(*base, "--model", model, "--correct", "--no-eos-stop",
                                        "--query", "masked", "--refresh", "never",
                                        "--suffix-window", 8)
            (before,) = self.json_lines(*base, "--model", model, "--correct", "--no-eos-stop",
                                        "--query-before", 8)
            self.assertEqual(before["settings"]["query_before"], 8)
            self.assertGreater(before["rows"]["query"] / before["forwards"]["window"],
                               paper["rows"]["query"] / paper["forwards"]["window"])
            self.assertLess(masked["rows"]["query"], paper["rows"]["query"])
            self.assertLess(masked["rows"]["attention_pairs"], paper["rows"]["attention_pairs"])
            self.assertEqual(masked["settings"]["suffix_window"], 8)
            self.assertEqual(masked["forwards"]["refresh"], 1)
            for rule in ("--frechet", "--entropy-bound", "--margin", "--relaxed-threshold"):
                (done,) = self.json_lines(*base, "--model", model, rule, 0.3, "--early-commit", 0.9,
                                          "--initial-length", 32, "--refresh", "vicinity")
                self.assertIn(done["finish_reason"], ("stop", "length"))

    def test_traces_beyond_the_paper_are_replayed(self):
        trace = self.folder / "t.jsonl"
        self.succeed("generate", "--model", LLADA, "--prompt", QUESTION, "--weights", "f32",
                     "--query", "masked", "--refresh", "drift", "--frechet", 0.25,
                     "--initial-length", 32, "--trace", trace)
        self.assertEqual(json.loads(trace.read_text())["query"], "masked")
        self.succeed("verify", trace, "--model", LLADA, "--weights", "f32")

    def test_dream_settings(self):
        (result,) = self.json_lines("generate", "--model", DREAM, "--prompt", QUESTION, "--json",
                                    "--cache", "none", "--gen-length", 64)
        self.assertEqual(result["settings"]["alg"], "confidence_threshold")
        self.assertEqual(result["settings"]["block_length"], 64)
        self.assertEqual(result["forwards"]["window"], 0)

    def test_finish_reasons(self):
        base = ("generate", "--model", LLADA, "--prompt", QUESTION, "--json")
        (full,) = self.json_lines(*base, "--gen-length", 8, "--block-length", 8)
        self.assertEqual((full["finish_reason"], full["tokens"]), ("length", 8))
        (stopped,) = self.json_lines(*base, "--stop", "####")
        self.assertEqual(stopped["finish_reason"], "stop")
        self.assertNotIn("#", stopped["text"])
        (early,) = self.json_lines(*base)
        (late,) = self.json_lines(*base, "--no-eos-stop")
        self.assertEqual(early["text"], late["text"])
        self.assertLess(sum(early["forwards"].values()), sum(late["forwards"].values()))

    def test_every_source_of_a_prompt_gives_the_same(self):
        base = ("generate", "--model", LLADA, "--json", "--weights", "f32")
        (expected,) = self.json_lines(*base, "--prompt", QUESTION)
        file = self.write("question.txt", QUESTION)
        template = ("<|startoftext|><|start_header_id|>user<|end_header_id|>\n\n" + QUESTION +
                    "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n")
        ids = self.succeed("tokenize", "--model", LLADA, template).stdout.strip()
        lines = self.write("prompts.jsonl", json.dumps(
            {"messages": [{"role": "user", "content": QUESTION}]}))
        for arguments, stdin in ((("--prompt-file", file), ""), (("--prompt", "-"), QUESTION),
                                 (("--prompt-file", "-"), QUESTION), ((), QUESTION),
                                 (("--prompt-ids", ids), ""), (("--prompt-ids", "-"), ids),
                                 (("--raw", "--prompt", template), ""),
                                 (("--prompts", lines), "")):
            (result,) = self.json_lines(*base, *arguments, stdin=stdin)
            self.assertEqual(result["ids"], expected["ids"], arguments)
            self.assertEqual(result["prompt_tokens"], expected["prompt_tokens"], arguments)

    def test_system_message_changes_the_prompt(self):
        base = ("generate", "--model", DREAM, "--json", "--prompt", QUESTION)
        (without,) = self.json_lines(*base)
        (terse,) = self.json_lines(*base, "--system", "Be brief.")
        self.assertNotEqual(terse["prompt_tokens"], without["prompt_tokens"])

    def test_default_model_is_named(self):
        done = self.succeed("generate", "--prompt", "Hi", "--gen-length", 32,
                            env={"FDLLM_MODEL": str(DREAM)})
        self.assertIn(str(DREAM), done.stderr)

    def test_isa_from_the_environment(self):
        base = ("generate", "--model", LLADA, "--prompt", "Hi", "--gen-length", 32, "--json")
        (scalar,) = self.json_lines(*base, env={"FDLLM_ISA": "scalar"})
        self.assertIn("scalar", scalar["settings"]["backend"])
        self.assertIn("isa", self.fail_with(2, *base, env={"FDLLM_ISA": "avx9000"}).lower())

    def test_sampling_follows_the_seed(self):
        base = ("generate", "--model", LLADA, "--prompt", QUESTION, "--json", "--temperature", 1,
                "--gen-length", 64)
        first, again, other = (self.json_lines(*base, "--seed", seed)[0]["ids"]
                               for seed in (1, 1, 2))
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)


class Batches(TestCase):
    def test_results_come_in_input_order_with_their_ids(self):
        prompts = [{"id": "long", "prompt": QUESTION, "gen_length": 64},
                   {"id": 7, "prompt": "Hi", "gen-length": 8, "block_length": 8},
                   {"prompt": QUESTION, "cache": "none", "steps": 32, "gen_length": 32},
                   {"id": "f", "prompt": QUESTION, "factor": 1.0, "cache": "prefix"}]
        file = self.write("prompts.jsonl", "\n".join(map(json.dumps, prompts)))
        results = self.json_lines("generate", "--model", LLADA, "--prompts", file, "--json",
                                  "--weights", "f32")
        self.assertEqual([result.get("id") for result in results], ["long", 7, None, "f"])
        self.assertNotIn("id", results[2])
        for prompt, result in zip(prompts, results):
            alone = self.write("alone.jsonl", json.dumps(prompt))
            (single,) = self.json_lines("generate", "--model", LLADA, "--prompts", alone,
                                        "--json", "--weights", "f32")
            self.assertEqual(single["ids"], result["ids"])
            self.assertEqual(single["forwards"], result["forwards"])

    def test_text_names_the_prompts(self):
        done = self.succeed("generate", "--model", LLADA, "--prompts", "-", "--gen-length", 32,
                            stdin='{"prompt": "Hi", "id": "a"}\n{"prompt": "Hi"}\n')
        self.assertIn("==> a <==\n", done.stdout)
        self.assertIn("==> 2 <==\n", done.stdout)
        self.assertIn("2 prompts: ", done.stderr)

    def test_bad_lines_stop_everything_before_it_runs(self):
        good = json.dumps({"prompt": "Hi"})
        for line, part in (('{"prompt": 1}', "'prompt'"), ("{", ""), ("[]", "expected an object"),
                           ('{"prompt": "x", "lenght": 1}', "'lenght'"),
                           ('{"prompt": "x", "threshold": 0.9, "factor": 1}', "factor"),
                           ('{"prompt": "x", "gen_length": -33}', "gen_length"),
                           ('{"prompt": "x", "alg": "entropy"}', "alg"),
                           ('{"prompt_ids": [544]}', "token")):
            file = self.write("bad.jsonl", good + "\n" + line + "\n")
            message = self.fail_with(2, "generate", "--model", LLADA, "--prompts", file)
            self.assertIn(f"{file}:2", message)
            self.assertIn(part, message)


class Errors(TestCase):
    def check(self, code, *arguments, part="", model=LLADA):
        message = self.fail_with(code, "generate", "--model", model, "--prompt", "Hi", *arguments)
        self.assertIn(part, message)

    def test_usage(self):
        self.check(2, "--gen-length", -100, part="error: --gen-length: expected")
        self.check(2, "--steps", 3, part="steps")
        self.check(2, "--threshold", 0.9, "--factor", 1, part="factor")
        self.check(2, "--alg", "entropy", part="alg")
        self.check(2, "--factor", 1, part="factor", model=DREAM)
        self.check(2, "--cache", "none", "--block-length", 16, part="--block-length", model=DREAM)
        self.check(2, "--cfg-scale", 1, part="--cfg-scale")
        self.check(2, "--cache", "both", part="cache")
        self.check(2, "--threads", "-1")
        self.check(2, "--weights", "int3")
        self.check(2, "--no-such-option")
        self.check(2, "--prompt-ids", "1", part="--prompt-ids")
        self.check(2, "--raw", "--system", "x", part="--system")
        self.check(2, "--correct", "--no-correct", part="correct")
        self.check(2, "--visual", "--json", part="--visual")
        self.fail_with(2, "generate", "--model", LLADA, "--prompt-ids", "1,x")
        self.fail_with(2, "no-such-command")

    def test_missing_files(self):
        missing = self.folder / "missing"
        self.check(3, model=missing, part=str(missing))
        self.assertIn("nope.jsonl", self.fail_with(3, "generate", "--model", LLADA, "--prompts",
                                                   self.folder / "nope.jsonl"))
        self.check(3, "--trace", self.folder / "no" / "t.jsonl", part="--trace")
        for name in ("config.json", "tokenizer.json", "model.safetensors"):
            model = self.copy_model(name=name + ".copy")
            (model / name).unlink()
            self.check(3, model=model, part=name)

    def test_damaged_files(self):
        for name in ("config.json", "tokenizer.json", "model.safetensors"):
            model = self.copy_model(name=name + ".copy")
            data = (model / name).read_bytes()
            (model / name).write_bytes(data[:len(data) // 2])
            self.check(4, model=model, part=name)

    def test_prompt_longer_than_the_model_allows(self):
        message = self.fail_with(2, "generate", "--model", LLADA, "--prompt",
                                 "Sam has rocks. " * 300)
        self.assertIn("512", message)

    def test_nan_weights(self):
        model = self.copy_model()
        fill_tensor(model, "model.transformer.ln_f.weight", b"\xc0\x7f")
        done = run("generate", "--model", model, "--prompt", "Hi", "--gen-length", 32)
        self.assertEqual(done.returncode, 7)
        self.assertIn("NaN", done.stderr)
        self.assertEqual(done.stdout, "")
        done = run("generate", "--model", model, "--prompts", "-", "--json",
                   stdin='{"prompt": "Hi", "id": "a"}\n{"prompt": "Hi", "id": "b"}\n')
        self.assertEqual(done.returncode, 7)
        results = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([list(result) for result in results],
                         [["id", "error", "error_code"]] * 2)
        self.assertIn("NaN", results[0]["error"])
        self.assertEqual(results[0]["error_code"], "numeric")
        done = run("infill", "--model", model, "--text", "Sam has <|hole:4|>.", "--json")
        self.assertEqual(done.returncode, 7)
        self.assertEqual(json.loads(done.stdout)["error_code"], "numeric")
        self.assertEqual(run("chat", "--model", model, stdin="Hi\n").returncode, 7)

    def test_memory_limit(self):
        self.check(6, "--memory-limit", "100kb")
        # Enough to load and for short canvases: the code is that of the requests that failed.
        need = json.loads(run("inspect", LLADA, "--canvas", 100, "--json").stdout)["memory"]
        limit = ("--memory-limit", need["total"])
        self.assertIn("a canvas of", self.fail_with(
            6, "generate", "--model", LLADA, "--prompt", "Hi", "--gen-length", 400, *limit))
        done = run("generate", "--model", LLADA, "--prompts", "-", "--json", *limit,
                   stdin='{"prompt": "Hi", "gen_length": 16}\n'
                         '{"prompt": "Hi", "gen_length": 400}\n')
        self.assertEqual(done.returncode, 6)
        first, second = map(json.loads, done.stdout.splitlines())
        self.assertIn("text", first)
        self.assertEqual(second["error_code"], "out_of_memory")
        done = run("chat", "--model", LLADA, "--gen-length", 400, *limit, stdin="Hi\n")
        self.assertEqual(done.returncode, 6)
        self.assertIn("out of memory", done.stderr)
        self.fail_with(6, "infill", "--model", LLADA, "--text", "Sam has <|hole:400|>.", *limit)

    def test_full_disk_is_noticed(self):
        with open("/dev/full", "wb") as full:
            import subprocess
            from support import BINARY
            done = subprocess.run([BINARY, "generate", "--model", LLADA, "--prompt", "Hi",
                                   "--gen-length", "32"], stdout=full, stderr=subprocess.PIPE,
                                  text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("could not be written", done.stderr)


class Help(TestCase):
    def test_help_and_version(self):
        self.assertRegex(self.succeed("--version").stdout, r"^fast-dllm \d+\.\d+\.\d+\n$")
        text = self.succeed("--help").stdout
        for command in ("generate", "chat", "tokenize", "inspect", "verify"):
            self.assertIn(f"\n  {command} ", text)
            self.succeed(command, "--help")
        self.assertIn("Exit codes", text)
        common = self.succeed("generate", "--help").stdout
        self.assertLessEqual(len(common.splitlines()), 60)
        for option in ("model", "prompt", "prompt-file", "prompts", "system", "preset",
                       "gen-length", "block-length", "steps", "threshold", "cache", "temperature",
                       "seed", "stop", "weights", "threads", "json", "help-all"):
            self.assertRegex(common, rf"(?m)^  (-h,)?--{option}\b")
        self.assertNotIn("--row-budget", common)
        self.assertNotIn("\n\n\n", common)
        text = self.succeed("generate", "--help-all").stdout
        for option in ("model", "prompt", "prompt-file", "prompt-ids", "prompts", "raw", "system",
                       "gen-length", "block-length", "steps", "threshold", "factor", "cache", "alg",
                       "remasking", "temperature", "top-p", "top-k", "seed", "weights", "threads",
                       "isa", "visual", "json", "trace", "no-eos-stop", "stop", "correct",
                       "early-commit", "query-before", "row-budget"):
            self.assertRegex(text, rf"(?m)^  --{option}\b")
        self.assertIn("As the reference", text)
        self.assertLessEqual(max(map(len, text.splitlines())), 110)
        self.assertEqual(run().returncode, 2)


if __name__ == "__main__":
    unittest.main()
