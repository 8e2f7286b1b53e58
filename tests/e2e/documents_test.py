"""Runs the commands of docs/getting-started.md, which a newcomer copies, on the shipped models."""
import os
import pathlib
import re
import subprocess
import unittest

from support import BINARY, ROOT, TestCase


def commands(text):
    """The command lines of all ```sh blocks; what is in plain ``` blocks needs a network or a person."""
    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        yield from re.sub(r"\\\n", "", block).strip().split("\n")


class GettingStarted(TestCase):
    def test_every_command_works(self):
        found = list(commands((ROOT / "docs" / "getting-started.md").read_text(encoding="utf-8")))
        self.assertGreaterEqual(len(found), 15)
        for name in ("data", "models"):
            (self.folder / name).symlink_to(ROOT / name)
        programs = self.folder / "programs"
        programs.mkdir()
        (programs / "fast-dllm").symlink_to(pathlib.Path(BINARY).resolve())
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        for command in found:
            with self.subTest(command):
                # The commands are tested, not the model: fewer questions do.
                quick = command.replace("--limit 20", "--limit 3")
                done = subprocess.run(["bash", "-c", quick], cwd=self.folder, env=environment,
                                      capture_output=True, text=True, timeout=600)
                self.assertEqual(done.returncode, 0, done.stderr)
                if ">" not in command.replace("<|", "").replace("|>", ""):
                    self.assertNotEqual(done.stdout + done.stderr, "")


if __name__ == "__main__":
    unittest.main()
