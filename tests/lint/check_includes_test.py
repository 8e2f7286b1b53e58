"""The include check must accept what the rule allows and name what it forbids."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

CHECK = pathlib.Path(__file__).resolve().parents[2] / "tools" / "check_includes.py"


def check(files):
    """Runs the check over a tree of {path: text}; returns its exit status and output."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            file = pathlib.Path(root, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        run = subprocess.run([sys.executable, CHECK, root], capture_output=True, text=True)
        return run.returncode, run.stdout


class CheckIncludes(unittest.TestCase):
    def assert_forbidden(self, path, include, *others):
        files = {path: f"#include {include}\n", **{other: "" for other in others}}
        status, output = check(files)
        self.assertEqual(status, 1, output)
        self.assertIn(path, output)
        self.assertIn(include.strip('"<>'), output)

    def test_accepts_the_edges_of_the_design(self):
        status, output = check({
            "include/fastdllm/error.h": "#include <string>\n",
            "include/fastdllm/engine.h": '#include "fastdllm/error.h"\n',
            "src/base/check.h": '#include "fastdllm/error.h"\n',
            "src/backend/score.h": '#include "base/check.h"\n',
            "src/backend/cpu/gemm.cpp": '#include <immintrin.h>\n#include "backend/score.h"\n',
            "src/model/forward_plan.h": '#include "backend/score.h"\n',
            "src/decode/decoder.cpp": '#include "model/forward_plan.h"\n'
                                      '#include "fastdllm/engine.h"\n',
            "src/decode/decoder_test.cpp": "#include <gtest/gtest.h>\n",
            "src/engine/engine.cpp": '#include "decode/decoder.h"\n#include "base/check.h"\n',
            "src/decode/decoder.h": "",
            "src/cli/main.cpp": "#include <CLI/CLI.hpp>\n#include <nlohmann/json.hpp>\n",
        })
        self.assertEqual(status, 0, output)
        self.assertIn("11 files, 0 forbidden includes", output)

    def test_forbids_edges_that_go_up_or_skip_the_engine(self):
        self.assert_forbidden("src/base/a.cpp", '"text/b.h"', "src/text/b.h")
        self.assert_forbidden("src/text/a.cpp", '"formats/b.h"', "src/formats/b.h")
        self.assert_forbidden("src/model/a.cpp", '"decode/b.h"', "src/decode/b.h")
        self.assert_forbidden("src/model/a.cpp", '"backend/cpu/b.h"', "src/backend/cpu/b.h")
        self.assert_forbidden("src/decode/a.cpp", '"model/transformer.h"',
                              "src/model/transformer.h")
        self.assert_forbidden("src/decode/a.cpp", '"backend/backend.h"', "src/backend/backend.h")
        self.assert_forbidden("src/engine/a.cpp", '"cli/b.h"', "src/cli/b.h")
        self.assert_forbidden("src/cli/a.cpp", '"decode/b.h"', "src/decode/b.h")
        self.assert_forbidden("src/server/a.cpp", '"decode/b.h"', "src/decode/b.h")
        self.assert_forbidden("src/text/a.cpp", '"fastdllm/engine.h"', "include/fastdllm/engine.h")
        self.assert_forbidden("include/fastdllm/a.h", '"base/b.h"', "src/base/b.h")

    def test_angle_brackets_do_not_hide_a_header_of_ours(self):
        self.assert_forbidden("src/base/a.cpp", "<text/b.h>", "src/text/b.h")

    def test_forbids_libraries_outside_their_place(self):
        self.assert_forbidden("include/fastdllm/a.h", "<nlohmann/json.hpp>")
        self.assert_forbidden("src/engine/engine.cpp", "<nlohmann/json.hpp>")
        self.assert_forbidden("src/decode/decoder.cpp", "<nlohmann/json.hpp>")
        self.assert_forbidden("src/decode/decoder.cpp", '"base/json.h"', "src/base/json.h")
        self.assert_forbidden("src/engine/a.cpp", "<CLI/CLI.hpp>")
        self.assert_forbidden("src/model/a.cpp", "<immintrin.h>")
        self.assert_forbidden("src/engine/a.cpp", "<pcre2.h>")
        self.assert_forbidden("src/base/a.cpp", "<gtest/gtest.h>")

    def test_forbids_relative_paths_and_unknown_folders(self):
        self.assert_forbidden("src/base/a.cpp", '"b.h"', "src/base/b.h")
        status, output = check({"src/misc/a.cpp": ""})
        self.assertEqual(status, 1, output)
        self.assertIn("src/misc/a.cpp", output)

    def test_an_empty_tree_is_an_error(self):
        self.assertEqual(check({})[0], 1)


if __name__ == "__main__":
    unittest.main()
