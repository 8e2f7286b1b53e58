"""fast-dllm tokenize and inspect."""
import json
import unittest

from support import DREAM, LLADA, TestCase, run

TEXTS = ["Sam has 18 rocks.", "", " ", "a\n\n b\t", "Grüße 日本語 👩‍👩‍👧 مرحبا", "<|mdm_mask|> as text",
         "<|eot_id|><|startoftext|>", "\x01\x7f", "x" * 1000]


class Tokenize(TestCase):
    def test_round_trip(self):
        for model in (LLADA, DREAM):
            for text in TEXTS:
                (result,) = self.json_lines("tokenize", "--model", model, "--json", stdin=text)
                self.assertEqual(result["text"], text)
                ids = ",".join(map(str, result["ids"]))
                plain = self.succeed("tokenize", "--model", model, stdin=text).stdout
                self.assertEqual(plain, ids + "\n")
                if ids:
                    decoded = self.succeed("tokenize", "--model", model, "--decode", ids).stdout
                    self.assertEqual(decoded, text + "\n")
                    decoded = self.succeed("tokenize", "--model", model, "--decode", "-",
                                           stdin=ids).stdout
                    self.assertEqual(decoded, text + "\n")

    def test_special_tokens_are_one_token(self):
        (result,) = self.json_lines("tokenize", "--model", LLADA, "--json", "<|mdm_mask|>")
        self.assertEqual(result["ids"], [543])
        self.assertEqual(result["tokens"], ["<|mdm_mask|>"])

    def test_errors(self):
        self.fail_with(2, "tokenize", "--model", LLADA, "--decode", "1,x")
        self.fail_with(2, "tokenize", "--model", LLADA, "--decode", "99999999")
        self.fail_with(2, "tokenize", "--model", LLADA, "x", "--decode", "1")
        self.fail_with(3, "tokenize", "--model", self.folder, "x")


class Inspect(TestCase):
    def test_json(self):
        (info,) = self.json_lines("inspect", LLADA, "--json", "--canvas", 300, "--requests", 4)
        self.assertEqual(info["family"], "llada")
        self.assertEqual((info["hidden"], info["layers"], info["heads"]), (128, 4, 4))
        self.assertEqual(info["mask_token"], 543)
        self.assertEqual(sorted(info["end_tokens"]), [539, 542])
        self.assertEqual(info["max_positions"], 512)
        self.assertEqual(sum(info["stored_tensors"].values()), 4 * 9 + 3)
        self.assertIn("message['role']", info["chat_template"])
        memory = info["memory"]
        self.assertEqual(memory["total"], memory["weights"] + memory["kv"] + memory["buffers"])
        # bf16 K and V of 4 layers x 4 heads x 32, 300 rows, 4 requests.
        self.assertGreaterEqual(memory["kv"], 4 * 300 * 4 * 2 * 128 * 2)
        (dream,) = self.json_lines("inspect", DREAM, "--json")
        self.assertEqual((dream["family"], dream["kv_heads"], dream["logit_shift"]), ("dream", 2, 1))
        self.assertTrue(dream["qkv_bias"])

    def test_text(self):
        text = self.succeed("inspect", LLADA).stdout
        for part in ("llada", "BF16", "543 <|mdm_mask|>", "542 <|eot_id|>", "memory", "back end"):
            self.assertIn(part, text)

    def test_f32_needs_more(self):
        bf16, f32 = (self.json_lines("inspect", LLADA, "--json", "--weights", weights)[0]["memory"]
                     for weights in ("bf16", "f32"))
        self.assertGreater(f32["weights"], bf16["weights"])
        self.assertGreater(f32["kv"], bf16["kv"])

    def test_errors(self):
        self.fail_with(3, "inspect", self.folder / "missing")
        self.fail_with(2, "inspect", LLADA, "--canvas", "0")
        model = self.copy_model()
        config = json.loads((model / "config.json").read_text())
        config["model_type"] = "unheard_of"
        config["architectures"] = ["Unheard"]
        (model / "config.json").write_text(json.dumps(config))
        self.assertIn("unheard_of", self.fail_with(5, "inspect", model))
        config["model_type"] = "llada"
        config["architectures"] = ["LLaDAModelLM"]
        config["mlp_hidden_size"] = 400
        (model / "config.json").write_text(json.dumps(config))
        self.assertIn("400", self.fail_with(4, "inspect", model))

    def test_no_isa_is_silently_replaced(self):
        for isa in ("avx2", "avx512vnni", "avx512bf16"):
            done = run("inspect", LLADA, "--json", "--isa", isa)
            if done.returncode == 0:
                self.assertIn(isa, json.loads(done.stdout)["backend"])
            else:
                self.assertIn(done.returncode, (2, 5), done.stderr)
                self.assertIn(isa, done.stderr)


class BenchLoss(TestCase):
    LINES = ('{"question": "Compute 16 - 3.", "answer": "16 - 3 = 13. #### 13", "more": [1]}\n\n'
             '{"prompt": "Compute 2 + 2.", "answer": "2 + 2 = 4. #### 4"}\n'
             '{"text": "In order they are 1 2 3."}\n')

    def loss(self, *options, lines=LINES):
        (report,) = self.json_lines("bench", "loss", "--model", LLADA, "--data",
                                    self.write("data.jsonl", lines), "--json", *options)
        return report

    def test_same_maskings_in_every_weight_format(self):
        f32, again, other, int4 = (self.loss("--gen-length", 64, *options) for options in (
            ("--weights", "f32"), ("--weights", "f32", "--threads", 1),
            ("--weights", "f32", "--seed", 1), ("--weights", "int4")))
        self.assertEqual([text["tokens"] for text in f32["texts"]], [64] * 3)
        self.assertEqual(f32["texts"], again["texts"])
        self.assertNotEqual(f32["texts"], other["texts"])
        self.assertEqual(f32["masked"], int4["masked"])
        self.assertNotEqual(f32["loss"], int4["loss"])
        self.assertLess(abs(f32["loss"] - int4["loss"]), 0.2)
        one = self.loss("--gen-length", 64, "--weights", "f32", "--lines", 1)
        self.assertEqual(one["texts"], f32["texts"][:1])

    def test_text(self):
        data = self.write("data.jsonl", self.LINES)
        text = self.succeed("bench", "loss", "--model", DREAM, "--data", data).stdout
        self.assertIn("perplexity", text)
        self.assertIn("3 texts", text)

    def test_errors(self):
        def refused(lines, part, *options):
            message = self.fail_with(2, "bench", "loss", "--model", LLADA, "--data",
                                     self.write("bad.jsonl", lines), *options)
            self.assertIn("bad.jsonl", message)
            self.assertIn(part, message)

        refused("", "no text")
        refused('{"text": "a b"}\n{"text": 3}\n', ":2: 'text': expected a string")
        refused('{"question": "a"}', "'answer'")
        refused('{"question": "a", "prompt": "b", "answer": "c"}', "'answer'")
        refused('{"text": "a", "answer": "c"}', "'text'")
        refused("[1]", "expected an object")
        refused("{", ":1")
        refused('{"prompt": "a", "answer": ""}', "at least one token")
        refused('{"prompt": "a", "answer": "a b c"}', "gen_length", "--gen-length", 1)
        refused(json.dumps({"text": "7 " * 600}), "512 positions")
        self.fail_with(2, "bench", "loss", "--model", LLADA)
        self.fail_with(3, "bench", "loss", "--model", LLADA, "--data", self.folder / "missing")


if __name__ == "__main__":
    unittest.main()
