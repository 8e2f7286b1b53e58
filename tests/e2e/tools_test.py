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


if __name__ == "__main__":
    unittest.main()
