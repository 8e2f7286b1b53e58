"""What is seen while one waits: on a pseudo-terminal, and where stderr is none."""
import fcntl
import json
import math
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
import unittest

from screen import Screen
from support import BINARY, GOLDEN, LLADA, QUESTION, ROOT, TestCase, open_terminal, read_header

LOADED = r"^loaded {}: [\d.]+ (kB|MB|GB) in [\d.:]+( s)?$"
# Slow enough to be seen: one thread without vector instructions.
SLOW = ("--threads", 1, "--isa", "scalar")
# So long that each of its layers is seen.
LONG_PROMPT = "Sam has 18 rocks and Olga has 8 more rocks than Sam. " * 36

# Nothing is shown of what takes less than 0.3 s; a machine may be twice as fast the next time.
SHOWN_SECONDS = 1.2
LOAD = ("--threads", 1, "--weights", "int4-g32", "--prompt", "Hi", "--gen-length", 8,
        "--block-length", 8, "--steps", 1)
CONVERT = ("--type", "Q4_K", "--threads", 1)


class Watched(TestCase):
    resized = False  # which Screen does not follow

    def watch(self, *arguments, columns=80, env=None, act=None):
        """Runs the program with stdout and stderr on a terminal; act(process, master, text so far) is
        called until it returns true. Returns the exit code, all that was written and the screen."""
        master, slave = open_terminal()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("FDLLM_ISA", "FDLLM_MODEL", "NO_COLOR")}
        process = subprocess.Popen([BINARY, *map(str, arguments)], stdin=subprocess.DEVNULL,
                                   stdout=slave, stderr=slave,
                                   env={**environment, "TERM": "xterm-256color", **(env or {})},
                                   start_new_session=True)
        os.close(slave)
        self.addCleanup(os.close, master)
        data = b""
        end = time.monotonic() + 120
        while True:
            if not select.select([master], [], [], max(0, end - time.monotonic()))[0]:
                process.kill()
                self.fail(f"nothing more came after {data[-200:]!r}")
            try:
                chunk = os.read(master, 65536)
            except OSError:
                break
            if not chunk:
                break
            data += chunk
            if act is not None and act(process, master, data.decode("utf-8", "replace")):
                act = None
        code = process.wait(timeout=60)
        text = data.decode("utf-8")
        screen = Screen(columns, 24)
        if not self.resized:
            screen.feed(text)
        return code, text, screen

    def slow_model(self, *command):
        """A wide_model() of so many layers that what `command` does to it on this machine takes long
        enough to be shown; it ends with where it writes, or with options."""
        layers = 24
        while True:
            model = self.wide_model(layers)
            # The first time the file is not in memory yet.
            seconds = min(self.seconds_of(command, model) for _ in range(2))
            if seconds >= SHOWN_SECONDS or layers >= 384:
                return model
            shutil.rmtree(model)
            layers = min(384, math.ceil(layers * max(2, 1.3 * SHOWN_SECONDS / max(seconds, 0.01))))

    def seconds_of(self, command, model):
        option = ("--model",) if command[0] == "generate" else ()
        done = self.succeed(command[0], *option, model, *command[1:])
        (self.folder / "first.gguf").unlink(missing_ok=True)
        return float(re.search(r" in ([\d.]+) s", done.stdout + done.stderr)[1])

    def slow_to_load(self):
        return self.slow_model("generate", *LOAD)

    def slow_to_convert(self):
        return self.slow_model("convert", self.folder / "first.gguf", *CONVERT)

    def wide_model(self, layers):
        """A model of llada-nano's vocabulary; its weights are all 0, which a file of holes holds
        without taking room."""
        folder = self.copy_model(name="wide-model")
        config = json.loads((folder / "config.json").read_text())
        hidden, ffn, vocab = 768, 3072, config["vocab_size"]
        config.update(d_model=hidden, mlp_hidden_size=ffn, n_layers=layers, n_heads=12,
                      n_kv_heads=12, max_sequence_length=2048)
        (folder / "config.json").write_text(json.dumps(config))
        path = folder / "model.safetensors"
        shapes = {}
        for name, entry in read_header(path)[0].items():
            if name == "__metadata__" or re.search(r"blocks\.[1-9]", name):
                continue
            sizes = {config_size: size for config_size, size in
                     ((128, hidden), (384, ffn), (vocab, vocab))}
            shape = [sizes[size] for size in entry["shape"]]
            for layer in range(layers if "blocks.0." in name else 1):
                shapes[name.replace("blocks.0.", f"blocks.{layer}.")] = shape
        header, offset = {}, 0
        for name, shape in shapes.items():
            size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
            offset += size
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with path.open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            file.truncate(8 + len(text) + offset)
        return folder

    def kill_when(self, pattern, number):
        def act(process, _, text):
            if re.search(pattern, text):
                os.kill(process.pid, number)
                return True
            return False
        return act


class NoTerminal(TestCase):
    def test_one_line_when_the_model_is_loaded(self):
        questions = self.write("q.jsonl", '{"question": "Compute 1 + 2.", "answer": "3"}\n')
        ask = ("--prompt", QUESTION, "--gen-length", 32)
        for name, arguments in (
                ("llada-nano", ("generate", "--model", LLADA, *ask)),
                ("llada-nano", ("generate", "--model", f"{LLADA}/", *ask, "--json")),
                ("llada-nano", ("infill", "--model", LLADA, "--text", "Sam has <|hole:2|>.")),
                ("llada-nano", ("eval", "--task", "jsonl", "--data", questions, "--model", LLADA,
                                "--gen-length", 32)),
                ("llada-nano", ("bench", "generate", "--model", LLADA, "--prompt-length", 8,
                                "--gen-length", 32)),
                ("llada-8b", ("bench", "step", "--shape", "llada-8b", "--layers", 1, "--no-peaks",
                              "--rows", 1, "--attend", 8, "--repeat", 1, "--weights", "int4"))):
            done = self.succeed(*arguments)
            self.assertRegex(done.stderr.splitlines()[0], LOADED.format(name), arguments)
            self.assertEqual(len(re.findall("loaded", done.stderr)), 1)
            self.assertNotIn("\x1b", done.stderr)
            self.assertNotIn("\r", done.stderr)
            self.assertNotIn("loaded", done.stdout)
            quiet = self.succeed(*arguments, "--no-progress")
            self.assertNotIn("loaded", quiet.stderr)

    def test_verify_names_each_model_once(self):
        traces = sorted(GOLDEN.glob("*-traces.jsonl"))
        lines = [line for path in traces for line in path.read_text().splitlines()[:2]]
        done = self.succeed("verify", self.write("t.jsonl", "\n".join(lines) + "\n"), "--models",
                            ROOT / "models")
        self.assertEqual(len(re.findall(r"(?m)" + LOADED.format(r"\w+-nano"), done.stderr)),
                         len(traces))


class Terminal(Watched):
    def test_loading_shows_bytes_and_leaves_nothing(self):
        model = self.slow_to_load()
        for columns in (80, 30):
            code, text, screen = self.watch("generate", "--model", model, *LOAD, columns=columns)
            self.assertEqual(code, 0, text)
            shown = [frame[-1] for frame in screen.frames if frame]
            loading = [line for line in shown if line.startswith("loading wide-model")]
            self.assertTrue(loading, text)
            self.assertTrue(all(len(line) < columns for line in shown))
            done = [float(share[1]) for share in
                    (re.search(r"([\d.]+) of [\d.]+ [MG]B", line) for line in loading) if share]
            self.assertEqual(done, sorted(done))
            if columns == 80:
                self.assertRegex(loading[-1], r"\[=+>? *\]  [\d.]+ of [\d.]+ [MG]B")
            self.assertNotIn("loading", "\n".join(screen.lines()))
            self.assertNotIn("loaded", text)
            self.assertFalse(screen.hidden)

    def test_the_first_forward_shows_its_layers(self):
        arguments = ("--model", LLADA.parent / "llada-mini", *SLOW, "--gen-length", 32, "--prompt",
                     LONG_PROMPT)
        code, text, screen = self.watch("generate", *arguments)
        self.assertEqual(code, 0, text)
        self.assertRegex(text, r"first forward, \d{3} tokens  \[[=> ]+\]  layer [1-5] of 6")
        self.assertRegex(text, r"answering  \[[=> ]+\]  \d+ of at most 32 tokens, \d+ forwards?")
        self.assertRegex(screen.lines()[-1], r"^\d+ tokens?, .* tokens/s$")
        self.assertNotIn("layer", "\n".join(screen.lines()))
        alone = self.succeed("generate", *arguments)
        self.assertEqual(screen.lines()[0], alone.stdout.splitlines()[0][:80])

    def test_a_terminal_that_is_made_narrower(self):
        self.resized = True
        before = []

        def shrink(_, master, text):
            if "layer" not in text:
                return False
            fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
            before.append(len(text))
            return True

        code, text, _ = self.watch("generate", "--model", LLADA.parent / "llada-mini", *SLOW,
                                   "--gen-length", 32, "--prompt", LONG_PROMPT, act=shrink)
        self.assertEqual(code, 0, text)
        # The first frame may have been on its way when the terminal became narrower.
        lines = re.findall(r"(?:first|answ)[^\x1b]*", text[before[0]:])[1:]
        self.assertTrue(lines)
        self.assertTrue(all(len(line) < 30 for line in lines), lines)

    def test_a_dumb_terminal_and_one_that_wants_none(self):
        arguments = ("generate", "--model", LLADA.parent / "llada-mini", *SLOW, "--gen-length", 32,
                     "--prompt", LONG_PROMPT)
        _, text, _ = self.watch(*arguments, env={"TERM": "dumb"})
        self.assertNotIn("\x1b", text)
        self.assertNotIn("layer", text)
        self.assertRegex(text.splitlines()[0], LOADED.format("llada-mini"))
        _, text, _ = self.watch(*arguments, "--no-progress")
        self.assertNotIn("\x1b", text)
        self.assertNotIn("load", text)

    def test_chat_clears_the_line_before_its_answer(self):
        master, slave = open_terminal()
        self.addCleanup(os.close, master)
        read, write = os.pipe()
        os.write(write, (LONG_PROMPT + "\n").encode())
        os.close(write)
        process = subprocess.Popen(
            [BINARY, "chat", "--model", str(LLADA.parent / "llada-mini"), *map(str, SLOW),
             "--gen-length", "32"],
            stdin=read, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm"})
        os.close(slave)
        os.close(read)
        data = b""
        while select.select([master], [], [], 120)[0]:
            try:
                data += os.read(master, 65536)
            except OSError:
                break
        self.assertEqual(process.wait(60), 0)
        screen = Screen(80, 24)
        screen.feed(data.decode())
        self.assertRegex(data.decode(), r"first forward, \d+ tokens .*layer \d of 6")
        self.assertNotIn("layer", "\n".join(screen.lines()))
        self.assertRegex(screen.lines()[-1], r"^\(\d+ tokens?, .*\)$")

    def test_convert_and_bench(self):
        model = self.slow_to_convert()
        code, text, screen = self.watch("convert", model, self.folder / "out.gguf", *CONVERT)
        self.assertEqual(code, 0, text)
        self.assertRegex(text, r"writing out.gguf  \[[=> ]+\]  [\d.]+ of [\d.]+ [MG]B")
        self.assertRegex(screen.lines()[-1], r"out.gguf: \d+ tensors, [\d.]+ [MG]B in [\d.:]+( s)?$")
        code, text, screen = self.watch(
            "bench", "step", "--model", LLADA.parent / "llada-mini", *SLOW, "--rows", 256,
            "--attend", 256, "--no-peaks", "--repeat", 6)
        self.assertEqual(code, 0, text)
        self.assertRegex(text, r"measuring  \[[=> ]+\]  \d of 7 forwards")
        self.assertNotIn("measuring", "\n".join(screen.lines()))


class Interrupts(Watched):
    def test_while_loading(self):
        model = self.slow_to_load()
        slow = LOAD[:4]
        for arguments, number, wanted in (
                (("generate", "--prompt", "Hi"), signal.SIGINT, 130),
                (("serve", "--port", 0), signal.SIGINT, 130),
                (("serve", "--port", 0), signal.SIGTERM, 0)):
            begin = time.monotonic()
            code, text, screen = self.watch(arguments[0], "--model", model, *slow, *arguments[1:],
                                            act=self.kill_when("loading", number))
            self.assertEqual(code, wanted, text)
            self.assertLess(time.monotonic() - begin, 30)
            self.assertNotIn("error", text)
            lines = screen.lines()
            if wanted:
                self.assertEqual(len(lines), 1, lines)
                self.assertRegex(lines[0], "wide-model: loading was cancelled$")
            else:
                self.assertEqual(lines, [])

    def test_in_the_middle_of_a_forward(self):
        code, text, screen = self.watch("generate", "--model", LLADA.parent / "llada-mini", *SLOW,
                                        "--gen-length", 32, "--prompt", LONG_PROMPT,
                                        act=self.kill_when("layer [1-4] of 6", signal.SIGINT))
        self.assertEqual(code, 130, text)
        self.assertNotIn("layer 6 of 6", text)
        self.assertNotIn("layer", "\n".join(screen.lines()))

    def test_convert_leaves_no_file(self):
        model = self.slow_to_convert()
        code, text, _ = self.watch("convert", model, self.folder / "out.gguf", *CONVERT,
                                   act=self.kill_when("writing", signal.SIGINT))
        self.assertEqual(code, 130, text)
        self.assertIn("converting was cancelled", text)
        self.assertEqual([path for path in self.folder.iterdir() if "gguf" in path.name], [])


if __name__ == "__main__":
    unittest.main()
