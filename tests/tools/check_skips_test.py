"""tools/check_skips.py: which skipped tests it lets pass."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "tools" / "check_skips.py"


def check(cases, expected):
    with tempfile.TemporaryDirectory() as folder:
        results = pathlib.Path(folder, "results.xml")
        results.write_text(f"<testsuite>{cases}</testsuite>", encoding="utf-8")
        names = pathlib.Path(folder, "expected.txt")
        names.write_text(expected, encoding="utf-8")
        return subprocess.run([sys.executable, SCRIPT, results, names], capture_output=True,
                              text=True, check=False)


def skipped(name):
    return f'<testcase name="{name}" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/></testcase>'


class CheckSkips(unittest.TestCase):
    def test_says_nothing_where_all_ran_or_are_expected(self):
        done = check('<testcase name="a" status="run"/>' + skipped("b"), "# why\nb  needs more\n")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_names_what_nobody_expected(self):
        done = check(skipped("a") + skipped("b"), "b  needs more\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("a: skipped", done.stderr)
        self.assertNotIn("b:", done.stderr)

    def test_instructions_that_the_processor_has_are_no_excuse(self):
        self.assertEqual(check(skipped("golden.fpu"), "golden.fpu isa\n").returncode, 1)
        self.assertEqual(check(skipped("golden.none"), "golden.none isa\n").returncode, 0)


if __name__ == "__main__":
    unittest.main()
