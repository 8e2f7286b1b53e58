"""A short run of tools/abuse.py; docs/testing.md says what it does."""
import subprocess
import sys
import unittest

from support import BINARY, LLADA, ROOT


class Abuse(unittest.TestCase):
    def test_short(self):
        # Sanitizers and busy cores make single answers slow; the long run is exact about that.
        done = subprocess.run(
            [sys.executable, ROOT / "tools" / "abuse.py", "--binary", BINARY, "--model", LLADA,
             "--seconds", "14", "--warm-up", "2", "--slack", "2"],
            capture_output=True, text=True, timeout=900)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
