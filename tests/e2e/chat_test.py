"""fast-dllm chat through a pipe and on a pseudo-terminal."""
import os
import select
import signal
import subprocess
import time
import unittest

from support import BINARY, DREAM, LLADA, QUESTION, TestCase, open_terminal, run


class Scripted(TestCase):
    def chat(self, text, *arguments, model=LLADA):
        return self.succeed("chat", "--model", model, *arguments, stdin=text)

    def test_answers_go_to_stdout(self):
        for model in (LLADA, DREAM):
            done = self.chat(QUESTION + "\n", model=model)
            self.assertEqual(len(done.stdout.splitlines()), 1)
            self.assertIn("Together they have", done.stdout)
            self.assertRegex(done.stderr, r"\(\d+ tokens, .* tokens/s\)")
            direct = self.succeed("generate", "--model", model, "--prompt", QUESTION)
            self.assertEqual(done.stdout, direct.stdout)

    def test_history_is_kept_until_cleared(self):
        lines = self.chat(f"{QUESTION}\n{QUESTION}\n/clear\n{QUESTION}\n").stdout.splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual(lines[0], lines[2])

    def test_commands(self):
        done = self.chat("/help\n/nonsense\n\n/exit\nnever asked\n")
        self.assertEqual(done.stdout, "")
        self.assertIn("/clear", done.stderr)
        self.assertIn("unknown command /nonsense", done.stderr)

    def test_lines_may_go_on(self):
        joined = self.chat(QUESTION.replace(". ", ".\\\n") + "\n").stdout
        direct = self.succeed("generate", "--model", LLADA, "--prompt",
                              QUESTION.replace(". ", ".\n")).stdout
        self.assertEqual(joined, direct)

    def test_too_long_a_message_keeps_the_history(self):
        done = run("chat", "--model", LLADA,
                   stdin=f"{QUESTION}\n{'Sam has rocks. ' * 199}\n/clear\n{QUESTION}\n")
        self.assertEqual(done.returncode, 1, done.stderr)  # a message of the script had no answer
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertEqual(lines[0], lines[1])
        self.assertIn("512", done.stderr)
        self.assertIn("/clear starts anew", done.stderr)

    def test_contradictory_options_fail_at_once(self):
        self.fail_with(2, "chat", "--model", LLADA, "--alg", "entropy")

    def test_visual_is_ignored_without_a_terminal(self):
        done = self.chat("Hi\n", "--visual", "--gen-length", 32)
        self.assertEqual(done.stderr.count("--visual is ignored"), 1)
        self.assertNotIn("\x1b", done.stdout)


class Terminal(TestCase):
    unread = b""

    def start(self, *arguments):
        master, slave = open_terminal()
        process = subprocess.Popen([BINARY, "chat", "--model", str(LLADA), *arguments], stdin=slave,
                                   stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.addCleanup(os.close, master)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, master

    def read_until(self, master, text, seconds=30):
        """Reads on until `text` has come; what follows it is kept for the next call."""
        wanted = text.encode()
        end = time.monotonic() + seconds
        while wanted not in self.unread:
            left = max(0, end - time.monotonic())
            if not select.select([master], [], [], left)[0]:
                self.fail(f"{text!r} did not appear in {self.unread!r}")
            try:
                self.unread += os.read(master, 65536)
            except OSError:
                self.fail(f"{text!r} did not appear in {self.unread!r}")
        self.unread = self.unread.split(wanted, 1)[1]

    def test_interrupt_cancels_the_answer_and_ctrl_d_leaves(self):
        process, master = self.start("--visual", "--visual-delay", "2000")
        self.read_until(master, "> ")
        os.write(master, (QUESTION + "\n").encode())
        self.read_until(master, "forwards 1")
        os.kill(process.pid, signal.SIGINT)
        self.read_until(master, "cancelled")
        self.read_until(master, "> ")
        os.kill(process.pid, signal.SIGINT)
        self.read_until(master, "Ctrl-D leaves")
        os.write(master, b"\x04")
        self.assertEqual(process.wait(timeout=30), 0)


if __name__ == "__main__":
    unittest.main()
