"""Folders whose tokenizer is vocab.json and merges.txt, BOS and EOS as files ask, and GGUF files that keep both."""
import json
import sys
import unittest

from serve_support import Server
from support import DREAM, LLADA, QUESTION, ROOT, TestCase

sys.path.insert(0, str(ROOT / "tools"))
from text_oracle_folders import dream_config, special_tokens_map, write_added_tokens, write_vocabulary  # noqa: E402

TEXTS = [QUESTION, "1234567 apples, don't <|im_start|>", "na\u00efve \u4f60\u597d\n\n  x <|mask|>"]


class TokenizerTest(TestCase):
    def ids(self, model, text, *arguments):
        return self.succeed("tokenize", "--model", model, text, *arguments).stdout.strip()


class TokenizerFiles(TokenizerTest):
    def vocabulary_folder(self, name="vocabulary", **changes):
        """dream-nano as a published Dream folder is laid out."""
        folder = self.copy_model(DREAM, name)
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        template = json.loads((folder / "tokenizer_config.json").read_text())["chat_template"]
        (folder / "tokenizer.json").unlink()
        write_vocabulary(folder, tokenizer)
        config = dream_config(tokenizer, chat_template=template, **changes)
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
        (folder / "special_tokens_map.json").write_text(json.dumps(special_tokens_map(config, objects=True)))
        write_added_tokens(folder, tokenizer)
        return folder

    def test_a_published_folder_answers_as_its_tokenizer_json(self):
        folder = self.vocabulary_folder()
        for text in TEXTS:
            self.assertEqual(self.ids(folder, text), self.ids(DREAM, text))
        ask = ("generate", "--prompt", QUESTION, "--json", "--model")
        (expected,), (found,) = self.json_lines(*ask, DREAM), self.json_lines(*ask, folder)
        self.assertEqual(found["ids"], expected["ids"])
        self.assertEqual(found["text"], expected["text"])
        info = [json.loads(self.succeed("inspect", "--json", model).stdout) for model in (DREAM, folder)]
        for field in ("mask_token", "end_tokens", "tokenizer_vocab", "vocab"):
            self.assertEqual(info[0][field], info[1][field])

    def test_a_class_that_is_not_known_is_named(self):
        folder = self.vocabulary_folder(tokenizer_class="LlamaTokenizer", auto_map=None)
        config = json.loads((folder / "config.json").read_text())
        config["model_type"] = "unheard-of"
        (folder / "config.json").write_text(json.dumps(config))
        self.assertIn("'LlamaTokenizer'", self.fail_with(5, "tokenize", "--model", folder, "x"))

    def test_bos_once(self):
        folder = self.vocabulary_folder(bos_token="<|im_start|>", add_bos_token=True, add_eos_token=True)
        bos, eos = self.ids(DREAM, "<|im_start|>"), self.ids(DREAM, "<|endoftext|>")
        plain = self.ids(DREAM, "Sam has")
        around = f"{bos},{plain},{eos}"
        self.assertEqual(self.ids(folder, "Sam has"), plain)
        self.assertEqual(self.ids(folder, "Sam has", "--add-special-tokens"), around)
        count = {}
        for model in (DREAM, folder):
            ask = ("generate", "--model", model, "--json", "--gen-length", 32, "--prompt", "Sam has")
            count[model, "raw"] = self.json_lines(*ask, "--raw")[0]["prompt_tokens"]
            count[model, "chat"] = self.json_lines(*ask)[0]["prompt_tokens"]
        self.assertEqual(count[folder, "raw"], count[DREAM, "raw"] + 2)
        self.assertEqual(count[folder, "chat"], count[DREAM, "chat"])

        # A GGUF file of it asks for the same.
        out = self.folder / "bos.gguf"
        self.succeed("convert", folder, out, "--type", "F32")
        self.assertEqual(self.ids(out, "Sam has", "--add-special-tokens"), around)

        with Server(model=folder) as server:
            def tokens(**fields):
                return server.ask("/tokenize", fields)[2]["tokens"]
            ids = [int(number) for number in around.split(",")]
            self.assertEqual(tokens(prompt="Sam has"), ids)
            self.assertEqual(tokens(prompt="Sam has", add_special_tokens=True), ids)
            self.assertEqual(tokens(prompt="Sam has", add_special_tokens=False), ids[1:-1])
            messages = [{"role": "user", "content": "Sam has"}]
            chat = tokens(messages=messages)
            self.assertEqual(tokens(messages=messages, add_special_tokens=True), [ids[0], *chat, ids[-1]])
            completion = {"prompt": "Sam has", "max_tokens": 32}
            used = [server.ask("/v1/completions", completion | more)[2]["usage"]["prompt_tokens"]
                    for more in ({}, {"add_special_tokens": False})]
            self.assertEqual(used, [len(ids), len(ids) - 2])

    def test_ids_without_a_token_are_named_everywhere(self):
        folder = self.copy_model(LLADA)
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        removed = tokenizer["added_tokens"].pop(3)["id"]  # a gap, as padding rows are beyond the end
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        self.assertIn(f"no token has the id {removed}",
                      self.fail_with(2, "tokenize", "--model", folder, "--decode", f"1,{removed}"))
        with Server(model=folder) as server:
            for id in (removed, 544, 2 ** 31 - 1):
                status, _, answer = server.ask("/detokenize", {"tokens": [1, id]})
                self.assertEqual(status, 400)
                self.assertIn(f"no token has the id {id}", answer["error"]["message"])

    def test_what_can_not_fit_is_refused_before_the_work(self):
        line = self.fail_with(2, "generate", "--model", LLADA, "--raw", "--prompt", "a" * 100_000)
        self.assertRegex(line, r"the text has at least \d+ tokens; at most 512 fit")
        with Server(model=LLADA) as server:
            for path, body in (("/v1/completions", {"prompt": "a b " * 500_000}),
                               ("/v1/chat/completions",
                                {"messages": [{"role": "user", "content": "7" * 2_000_000}]})):
                status, _, answer = server.ask(path, body)
                self.assertEqual(status, 400)
                self.assertEqual(answer["error"]["code"], "context_length_exceeded")
                self.assertRegex(answer["error"]["message"], r"at least \d+ tokens; at most 512 fit")


class ShippedModels(TokenizerTest):
    def test_both_defaults_keep_their_tokens_in_gguf(self):
        texts = [*TEXTS, "12345678 1,000,000 3.14159", "def f(x):\n    return x ** 2\n"]
        for name in ("llada-mini", "dream-mini"):
            model, out = ROOT / "models" / name, self.folder / f"{name}.gguf"
            done = self.succeed("convert", model, out, "--type", "Q8_0")
            self.assertRegex(done.stderr, r"warning: .*cuts 123\|456\|7 where this tokenizer cuts 1\|234\|567")
            for text in texts:
                self.assertEqual(self.ids(out, text), self.ids(model, text))
            out.unlink()
        done = self.succeed("convert", LLADA, self.folder / "nano.gguf", "--type", "F16", "--pre-tokenizer", "llama-bpe")
        self.assertRegex(done.stderr, r"warning: .*'llama-bpe' it cuts 123\|456\|7 where this tokenizer cuts 1\|2\|3")
        self.assertEqual(self.ids(self.folder / "nano.gguf", "1234567"), self.ids(LLADA, "1234567"))
        quiet = self.succeed("convert", LLADA, self.folder / "own.gguf", "--type", "F16", "--pre-tokenizer", "qwen2")
        self.assertNotIn("warning", quiet.stderr)


if __name__ == "__main__":
    unittest.main()
