"""fast-dllm generate --visual on a pseudo-terminal: what is on the screen, and what is left of it."""
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

from screen import BEGIN, END, HIDE, SHOW, Screen
from support import BINARY, DREAM, LLADA, QUESTION, TestCase, open_terminal


class Visual(TestCase):
    def show(self, *arguments, columns=80, rows=24, env=None, act=None):
        """Runs generate on a terminal; returns exit code, raw output, and the screen."""
        master, slave = open_terminal()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", **(env or {})}
        process = subprocess.Popen([BINARY, "generate", "--visual", "--no-progress",
                                    *map(str, arguments)],
                                   stdin=subprocess.DEVNULL, stdout=slave, stderr=slave,
                                   env=environment, start_new_session=True)
        os.close(slave)
        self.addCleanup(os.close, master)
        data = b""
        end = time.monotonic() + 60
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
            if act is not None and act(process, data):
                act = None
        code = process.wait(timeout=30)
        text = data.decode("utf-8")
        screen = Screen(columns, rows)
        screen.feed(text)
        return code, text, screen

    def test_the_canvas_denoises_and_leaves_the_answer(self):
        for model in (LLADA, DREAM):
            code, text, screen = self.show("--model", model, "--prompt", QUESTION,
                                           "--visual-delay", 0)
            self.assertEqual(code, 0)
            self.assertGreater(len(screen.frames), 5)
            masked = [sum(line.count("░") for line in frame) for frame in screen.frames]
            self.assertGreater(masked[0], 100)
            self.assertLess(masked[-1], masked[0])
            self.assertRegex(screen.frames[0][-1], r"block 1/4  forwards 1  tokens \d+  masked \d+")
            self.assertIn("Together they have", screen.lines()[0])
            self.assertRegex(screen.lines()[-1], r"forwards|tokens/s")
            self.assertNotIn("░", "".join(screen.lines()))
            self.assertFalse(screen.hidden)
            self.assertEqual(text.count(BEGIN), text.count(END))
            self.assertIn("\x1b[0;1;38;5;16;48;5;114m", text)

    def test_narrow_and_low_terminals(self):
        code, _, screen = self.show("--model", LLADA, "--prompt", QUESTION, "--visual-delay", 0,
                                    "--gen-length", 256, columns=24, rows=8)
        self.assertEqual(code, 0)
        self.assertTrue(all(len(frame) <= 8 for frame in screen.frames))
        code, _, screen = self.show("--model", LLADA, "--prompt", QUESTION, "--visual-delay", 0,
                                    columns=300, rows=50)
        self.assertEqual(code, 0)

    def test_no_color(self):
        _, text, _ = self.show("--model", LLADA, "--prompt", QUESTION, "--visual-delay", 0,
                               env={"NO_COLOR": "1"})
        self.assertNotIn("38;5", text)
        self.assertNotIn("48;5", text)

    def test_delay_is_no_part_of_the_time(self):
        _, text, screen = self.show("--model", LLADA, "--prompt", QUESTION, "--visual-delay", 100)
        seconds = float(re.search(r"window\), ([0-9.e-]+) s,", text)[1])
        self.assertLess(seconds, 0.05 * len(screen.frames))

    def test_batches_show_one_after_the_other(self):
        file = self.write("p.jsonl", '{"prompt": "Hi"}\n{"prompt": "Hi", "id": "b"}\n')
        code, text, screen = self.show("--model", LLADA, "--prompts", file, "--visual-delay", 0)
        self.assertEqual(code, 0)
        self.assertIn("prompt 1/2", text)
        self.assertIn("==> b <==", screen.lines())

    def test_interrupt_restores_the_terminal(self):
        def interrupt(process, data):
            if b"forwards 2" in data:
                os.kill(process.pid, signal.SIGINT)
                return True
            return False

        code, text, screen = self.show("--model", LLADA, "--prompt", QUESTION, "--visual-delay",
                                       300, act=interrupt)
        self.assertEqual(code, 130)
        self.assertFalse(screen.hidden)
        self.assertTrue(text.rindex(SHOW) > text.rindex(HIDE))

    def test_termination_restores_the_terminal(self):
        def terminate(process, data):
            if b"forwards 2" in data:
                os.kill(process.pid, signal.SIGTERM)
                return True
            return False

        code, text, _ = self.show("--model", LLADA, "--prompt", QUESTION, "--visual-delay", 300,
                                  act=terminate)
        self.assertEqual(code, -signal.SIGTERM)
        self.assertTrue(text.rindex(SHOW) > text.rindex(HIDE))

    def test_ignored_without_a_terminal(self):
        done = self.succeed("generate", "--model", LLADA, "--prompt", QUESTION, "--visual")
        self.assertEqual(done.stderr.count("--visual is ignored"), 1)
        self.assertNotIn("\x1b", done.stdout)


if __name__ == "__main__":
    unittest.main()
