"""What the end-to-end tests share: running the program, and damaged copies of a checkpoint."""
import json
import os
import pathlib
import pty
import shutil
import struct
import subprocess
import tempfile
import unittest

BINARY = os.environ["FASTDLLM_BINARY"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
LLADA = ROOT / "models" / "llada-nano"
DREAM = ROOT / "models" / "dream-nano"
GOLDEN = ROOT / "tests" / "golden"
QUESTION = "Sam has 18 rocks and Olga has 8 more rocks than Sam. How many rocks do they have together?"


def run(*arguments, stdin="", env=None, timeout=120):
    """Runs the program; FDLLM_ISA and FDLLM_MODEL are only set where a test sets them."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("FDLLM_ISA", "FDLLM_MODEL", "NO_COLOR")}
    environment.update(env or {})
    return subprocess.run([BINARY, *map(str, arguments)], input=stdin, capture_output=True,
                          text=True, encoding="utf-8", timeout=timeout, env=environment)


def open_terminal():
    """(master, slave) of a new pseudo-terminal; skips the test where the system has none to give, as
    in a chroot without /dev/pts."""
    try:
        return pty.openpty()
    except OSError as error:
        raise unittest.SkipTest(f"no pseudo-terminal: {error}") from error


class TestCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def succeed(self, *arguments, **options):
        done = run(*arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def fail_with(self, code, *arguments, **options):
        """Expects an exit code, one error line and nothing on stdout; returns the message."""
        done = run(*arguments, **options)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertEqual(done.stdout, "")
        lines = [line for line in done.stderr.splitlines() if "error: " in line]
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertTrue(lines[0].startswith("fast-dllm: error: "), lines[0])
        return lines[0]

    def json_lines(self, *arguments, **options):
        return [json.loads(line)
                for line in self.succeed(*arguments, **options).stdout.splitlines()]

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def copy_model(self, source=LLADA, name="copy"):
        return pathlib.Path(shutil.copytree(source, self.folder / name))


def read_header(path):
    """The JSON header of a safetensors file, and where its data begins."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8:8 + length]), 8 + length


def fill_tensor(folder, tensor, element):
    """Overwrites every 2-byte element of a tensor."""
    path = folder / "model.safetensors"
    header, begin = read_header(path)
    first, end = header[tensor]["data_offsets"]
    data = bytearray(path.read_bytes())
    data[begin + first:begin + end] = element * ((end - first) // len(element))
    path.write_bytes(data)
