"""The checkpoint folders that people have: as published, as transformers 5, MLX and Python write
them, in Hugging Face's cache, and those that are no model."""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import time
import unittest

from real_folders import (DREAM, LLADA, MODELS, make_plain, make_published, make_transformers_5,
                          read_json, read_tensors, write_json, write_safetensors, write_shards)
from serve_support import Server
from support import BINARY, QUESTION, TestCase, read_header, run

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Folders(TestCase):
    def answer(self, model):
        (result,) = self.json_lines("generate", "--model", model, "--prompt", QUESTION,
                                    "--gen-length", 32, "--json")
        return result["ids"]

    def plain(self, source):
        path = self.folder / f"plain-{source.name}"
        return path if path.exists() else make_plain(path, source)


class RealFolders(Folders):
    def test_answer_as_the_model_that_they_are_made_of(self):
        defaults = {}
        for name, (source, *_) in MODELS.items():
            expected = self.answer(self.plain(source))
            defaults[source] = expected
            for make in (make_published, make_transformers_5):
                with self.subTest(model=name, made=make.__name__):
                    folder = make(self.folder / make.__name__ / name, name)
                    self.assertEqual(self.answer(folder), expected)
                    (info,) = self.json_lines("inspect", folder, "--json")
                    (plain,) = self.json_lines("inspect", self.plain(source), "--json")
                    for key in ("family", "parameters", "layers", "mask_token", "end_tokens",
                                "chat_template", "memory", "stored_tensors"):
                        self.assertEqual(info[key], plain[key], key)
        for source, expected in defaults.items():
            self.assertNotEqual(self.answer(source), expected, "another base of RoPE shows")

    def test_convert(self):
        folder = make_transformers_5(self.folder / "model", "LLaDA-8B-Instruct")
        file = self.folder / "model.gguf"
        self.succeed("convert", folder, file, "--type", "BF16", "--pre-tokenizer", "llada-moe")
        both = [self.json_lines("generate", "--model", model, "--prompt-ids", "1,2,3",
                                "--gen-length", 16, "--json")[0]["ids"] for model in (file, folder)]
        self.assertEqual(*both)


class Unaligned(Folders):
    def test_bit_for_bit_the_same(self):
        for source in (LLADA, DREAM):
            expected = self.answer(source)
            tensors = read_tensors(source)
            for shards in (1, 3):
                with self.subTest(model=source.name, shards=shards):
                    folder = self.copy_model(source, f"{source.name}-{shards}")
                    (folder / "model.safetensors").unlink()
                    if shards == 1:
                        write_safetensors(folder / "model.safetensors", tensors, align=None,
                                          metadata=False)
                        _, begin = read_header(folder / "model.safetensors")
                        self.assertEqual(begin % 2, 1)
                    else:
                        write_shards(folder, tensors, shards, align=None)
                    self.assertEqual(self.answer(folder), expected)


class PythonsJson(Folders):
    def test_numbers_that_do_not_matter(self):
        model = self.copy_model()
        for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
            value = read_json(model / name)
            value.update({"a": float("inf"), "b": [float("-inf"), float("nan")], "c": "\ud800",
                          "d": 10**400})
            (model / name).write_text('{"c": 1, ' + json.dumps(value)[1:], encoding="utf-8")
        self.assertEqual(self.answer(model), self.answer(LLADA))

    def test_numbers_that_matter_are_named(self):
        for key, code in (("rope_theta", 4), ("rms_norm_eps", 4), ("d_model", 4)):
            model = self.copy_model(name=key)
            config = read_json(model / "config.json")
            config[key] = float("inf")
            (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
            self.assertIn(f"config.json: '{key}'", self.fail_with(code, "inspect", model))

    def test_syntax_errors_say_what_stands_there(self):
        model = self.copy_model()
        text = (model / "config.json").read_text().replace("true", "True", 1)
        (model / "config.json").write_text(text)
        message = self.fail_with(4, "inspect", model)
        self.assertIn("found 'True", message)
        self.assertIn("line ", message)
        self.assertNotIn("cut off", message)
        (model / "config.json").write_text(text[:200].replace("True", "true"))
        self.assertIn("was the file cut off?", self.fail_with(4, "inspect", model))


class WithoutATemplate(Folders):
    def test_says_so(self):
        model = self.copy_model()
        (model / "tokenizer_config.json").unlink()
        done = self.succeed("generate", "--model", model, "--prompts", "-", "--gen-length", 16,
                            stdin='{"prompt": "Sam has 18 rocks."}\n{"prompt": "Sam"}\n')
        self.assertEqual(done.stderr.count("found no chat template"), 1, done.stderr)
        raw = self.succeed("generate", "--model", model, "--prompt", "Sam", "--raw",
                           "--gen-length", 16)
        self.assertNotIn("chat template", raw.stderr)
        self.assertIn("no chat template", self.fail_with(5, "chat", "--model", model, stdin="x\n"))
        self.assertIn("none: prompts go", self.succeed("inspect", model).stdout)
        with Server(model=model) as server:
            self.assertTrue(any("found no chat template" in line for line in server.log))


class NoModels(Folders):
    def test_quantised_folders(self):
        model = self.copy_model()
        config = read_json(model / "config.json")
        for key, value, part in (
                ("quantization_config", {"quant_method": "gptq", "bits": 4}, "'gptq' with 4 bits"),
                ("quantization_config", {"quant_method": "fp8"}, "'fp8'"),
                ("quantization", {"group_size": 64, "bits": 8}, "'mlx' with 8 bits")):
            write_json(model / "config.json", {**config, key: value})
            message = self.fail_with(5, "inspect", model)
            self.assertIn(part, message)
            self.assertIn("GGUF", message)

    def test_adapters_and_folders_above(self):
        adapter = self.folder / "adapter"
        adapter.mkdir()
        write_json(adapter / "adapter_config.json", {"base_model_name_or_path": "GSAI-ML/LLaDA"})
        self.assertIn("'GSAI-ML/LLaDA'", self.fail_with(5, "generate", "--model", adapter,
                                                        "--prompt", "x"))
        self.copy_model(name="above/model")
        message = self.fail_with(3, "inspect", self.folder / "above")
        self.assertIn(f"give {self.folder}/above/model", message)
        empty = self.folder / "empty"
        empty.mkdir()
        self.assertIn("an empty folder", self.fail_with(3, "inspect", empty))


class HubCache(Folders):
    NAME = "GSAI-ML/LLaDA-8B-Instruct"

    def setUp(self):
        super().setUp()
        self.cache = self.folder / "hub"
        self.environment = {"HF_HUB_CACHE": str(self.cache)}

    def cached(self, name, make, revision="main", commit=COMMIT):
        """As Hugging Face's tools lay it out: blobs, links to them, and a ref."""
        repository = self.cache / ("models--" + name.replace("/", "--"))
        made = make(self.folder / f"made-{commit[:4]}-{name.replace('/', '-')}")
        snapshot = repository / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (repository / "blobs").mkdir(exist_ok=True)
        for number, file in enumerate(sorted(made.iterdir())):
            blob = repository / "blobs" / f"{commit[:8]}{number:032x}"
            shutil.move(file, blob)
            (snapshot / file.name).symlink_to(f"../../blobs/{blob.name}")
        ref = repository / "refs" / revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit)
        return snapshot

    def llada(self, folder):
        return make_published(folder, "LLaDA-8B-Instruct")

    def test_every_command_takes_a_name(self):
        self.cached(self.NAME, self.llada)
        expected = self.answer(self.plain(LLADA))
        options = {"env": self.environment}
        (result,) = self.json_lines("generate", "--model", self.NAME, "--prompt", QUESTION,
                                    "--gen-length", 32, "--json", **options)
        self.assertEqual(result["ids"], expected)
        self.succeed("tokenize", "--model", self.NAME, "x", **options)
        self.succeed("inspect", self.NAME, **options)
        self.succeed("infill", "--model", self.NAME, "--text", "Sam has <|hole:4|> rocks.",
                     **options)
        self.succeed("convert", self.NAME, self.folder / "x.gguf", "--pre-tokenizer", "llada-moe",
                     **options)
        self.succeed("bench", "step", "--model", self.NAME, "--rows", "4", "--attend", "64",
                     "--repeat", "1", **options)
        self.succeed("generate", "--prompt", "x", "--gen-length", 8,
                     env={**self.environment, "FDLLM_MODEL": self.NAME + "@main"})
        with Server(model=self.NAME, env=self.environment) as server:
            status, _, body = server.ask("/v1/models")
            self.assertEqual((status, body["data"][0]["id"]), (200, self.NAME))

    def test_places_of_the_cache(self):
        self.cached(self.NAME, self.llada)
        home = self.folder / "home"
        for variable, value, place in (
                ("HF_HOME", home, home / "hub"), ("HUGGINGFACE_HUB_CACHE", home, home),
                ("XDG_CACHE_HOME", home, home / "huggingface" / "hub"),
                ("HOME", home, home / ".cache" / "huggingface" / "hub")):
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.exists():
                place.rmdir()
            place.symlink_to(self.cache)
            environment = {name: "" for name in ("HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME",
                                                 "HUGGINGFACE_HUB_CACHE")}
            self.succeed("tokenize", "--model", self.NAME, "x",
                         env={**environment, variable: str(value)})
            place.unlink()

    def test_revisions_and_what_is_missing(self):
        options = {"env": self.environment}
        message = self.fail_with(3, "inspect", self.NAME, **options)
        self.assertIn(f"'hf download {self.NAME}'", message)
        snapshot = self.cached(self.NAME, self.llada, revision="v1")
        self.succeed("inspect", f"{self.NAME}@v1", **options)
        self.succeed("inspect", f"{self.NAME}@{COMMIT}", **options)
        self.assertIn("v1 (give", self.fail_with(3, "inspect", self.NAME, **options))
        (snapshot / "model-00002-of-00006.safetensors").unlink()
        message = self.fail_with(3, "inspect", f"{self.NAME}@v1", **options)
        self.assertIn("lacks model-00002-of-00006.safetensors", message)
        self.assertIn(f"'hf download {self.NAME} --revision v1'", message)

    def test_a_folder_here_comes_first(self):
        self.cached("org/name", self.llada)
        self.copy_model(DREAM, "org/name")
        done = run("inspect", "org/name", "--json", env=self.environment)
        self.assertEqual(json.loads(done.stdout)["family"], "llada")
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(self.folder)
        done = run("inspect", "org/name", "--json", env=self.environment)
        self.assertEqual(json.loads(done.stdout)["family"], "dream")

    def test_a_list_of_what_is_there(self):
        self.cached(self.NAME, self.llada)
        self.cached("Dream-org/Dream-v0-Instruct-7B",
                    lambda folder: make_published(folder, "Dream-v0-Instruct-7B"))
        snapshot = self.cached("org/half", self.llada)
        (snapshot / "model-00001-of-00006.safetensors").unlink()
        other = self.cached("org/llama", self.llada) / "config.json"
        other.unlink()
        write_json(other, {"model_type": "llama"})
        (listed,) = self.json_lines("inspect", "--json", env=self.environment)
        models = {model["name"]: model for model in listed["models"]}
        self.assertTrue({self.NAME, "Dream-org/Dream-v0-Instruct-7B", "org/half", "llada-nano",
                         "dream-mini"} <= set(models), models)
        self.assertNotIn("org/llama", models)
        self.assertEqual(models["Dream-org/Dream-v0-Instruct-7B"]["family"], "dream")
        self.assertGreater(models[self.NAME]["bytes"], 1.9e6)
        self.assertIsNone(models[self.NAME]["problem"])
        self.assertIn("not complete", models["org/half"]["problem"])
        text = self.succeed("inspect", env=self.environment).stdout
        self.assertIn(self.NAME, text)
        self.succeed("inspect", "llada-nano", env=self.environment)
        self.fail_with(2, "inspect", "--canvas", "64")


class FilesThatChange(Folders):
    def test_a_small_model_does_not_need_them_any_more(self):
        model = self.copy_model()
        with Server(model=model) as server:
            chat = {"messages": [{"role": "user", "content": QUESTION}], "gen_length": 32,
                    "temperature": 0}
            before = server.ask("/v1/chat/completions", chat)[2]["choices"]
            (model / "model.safetensors").write_bytes(b"x" * 100)
            os.truncate(model / "model.safetensors", 0)
            time.sleep(1.5)
            status, _, after = server.ask("/v1/chat/completions", chat)
            self.assertEqual((status, after["choices"]), (200, before))

    def large_vocabulary(self):
        """A model of 300 MB of token embeddings, which stay in the file: all zero but for the nano's
        tokens, and sparse on the disk."""
        model = self.copy_model(name="large")
        tensors = read_tensors(LLADA)
        rows, columns = 1_200_000, 128
        config = read_json(model / "config.json")
        write_json(model / "config.json", {**config, "embedding_size": rows, "vocab_size": rows,
                                           "weight_tying": True})
        embedding = tensors.pop("model.transformer.wte.weight")
        tensors.pop("model.transformer.ff_out.weight")
        header, at = {}, 0
        for name, (dtype, shape, data) in tensors.items():
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
            at += len(data)
        end = at + rows * columns * 2
        header["model.transformer.wte.weight"] = {"dtype": "BF16", "shape": [rows, columns],
                                                  "data_offsets": [at, end]}
        text = json.dumps(header).encode()
        with open(model / "model.safetensors", "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            file.write(b"".join(data for _, _, data in tensors.values()) + embedding[2])
            file.truncate(8 + len(text) + end)
        return model

    def test_of_a_large_one_a_change_ends_the_server_with_a_sentence(self):
        model = self.large_vocabulary()
        server = Server("--weights", "int4", model=model)
        try:
            os.utime(model / "model.safetensors")
            self.assertEqual(server.process.wait(timeout=30), 4)
        finally:
            server.stop()
        self.assertIn("model.safetensors: the file was changed while it was in use",
                      "".join(server.log))

    def test_a_read_beyond_the_end_is_an_error_not_a_signal(self):
        model = self.large_vocabulary()
        server = Server("--weights", "int4", model=model)
        try:
            os.truncate(model / "model.safetensors", 4096)
            try:
                server.ask("/v1/completions", {"prompt": [500000, 600000, 700000], "max_tokens": 8})
            except OSError:
                pass  # it may have ended before it answers
            self.assertEqual(server.process.wait(timeout=30), 4)
        finally:
            server.stop()
        self.assertIn("model.safetensors: the file was ", "".join(server.log))

    def test_while_loading(self):
        model = self.large_vocabulary()
        process = subprocess.Popen([BINARY, "serve", "--model", model, "--port", "0"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        maps = pathlib.Path(f"/proc/{process.pid}/maps")
        try:
            deadline = time.monotonic() + 60
            while "model.safetensors" not in maps.read_text() and time.monotonic() < deadline:
                time.sleep(0.001)
            os.truncate(model / "model.safetensors", 4096)
            _, log = process.communicate(timeout=60)
        finally:
            process.kill()
        self.assertEqual(process.returncode, 4, log)
        self.assertIn("model.safetensors: ", log)


if __name__ == "__main__":
    unittest.main(verbosity=2)
