"""A short soak of `fast-dllm serve` (tools/soak.py says what it checks): clients of good and bad
manners, 32 at once, then SIGTERM under load."""
import subprocess
import sys
import unittest

from support import BINARY, LLADA, ROOT


class Soak(unittest.TestCase):
    # Buffers still grow in so short a time.
    def test_short(self):
        done = subprocess.run(
            [sys.executable, ROOT / "tools" / "soak.py", "--binary", BINARY, "--model", LLADA,
             "--seconds", "15", "--concurrency", "32", "--cases", "20", "--memory-bound", "40"],
            capture_output=True, text=True, timeout=900)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("after SIGTERM: all 32 accepted ones answered", done.stdout)
        for kind in ("whole: right", "stream: right", "malformed: refused with 400"):
            self.assertIn(kind, done.stdout)


if __name__ == "__main__":
    unittest.main()
