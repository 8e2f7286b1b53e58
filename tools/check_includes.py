#!/usr/bin/env python3
"""Checks who includes whom (docs/design.md) and prints a sentence for each violation.

usage: check_includes.py REPOSITORY
"""
import pathlib
import re
import sys

ERROR = ["fastdllm/error.h"]
PUBLIC = ["fastdllm/"]
BACKEND = ["backend/argument_checks.h", "backend/backend.h", "backend/memory_reader.h",
           "backend/logits_backend.h", "backend/peer_backend.h"]

# What the files of a folder may include, besides that folder: prefixes of paths below src/ and
# include/. The longest matching folder counts.
ALLOWED = {
    "include/fastdllm": [],
    "src/base": ERROR,
    "src/quant": ["base/", *ERROR],
    "src/formats": ["base/", *ERROR],
    "src/text": ["base/", *ERROR],
    "src/backend": ["backend/cpu/", "quant/", "base/", *ERROR],
    "src/backend/cpu": ["backend/", "quant/", "base/", *ERROR],
    "src/backend/cuda": ["backend/", "quant/", "base/", *ERROR],
    "src/backend/tensor_parallel": [*BACKEND, "base/", *ERROR],
    "src/model": ["backend/backend.h", "backend/logits_backend.h", "backend/score.h", "formats/",
                  "quant/", "base/", *ERROR],
    "src/decode": ["model/forward_plan.h", "model/reference_family.h", "backend/score.h", "base/",
                   *PUBLIC],
    "src/engine": ["decode/", "model/", "backend/", "quant/", "formats/", "text/", "base/",
                   *PUBLIC],
    "src/verify": ["engine/", "decode/", "model/", "backend/", "formats/", "text/", "base/",
                   *PUBLIC],
    "src/bench": ["eval/", "engine/", "decode/", "model/", "backend/", "formats/", "text/",
                  "base/", *PUBLIC],
    "src/fields": ["engine/option_json.h", "base/", *PUBLIC],
    "src/cli": ["fields/", "engine/", "text/", "verify/", "bench/", "server/", "eval/", "base/",
                *PUBLIC],
    "src/server": ["fields/", "engine/", "base/", *PUBLIC],
    "src/eval": ["engine/", "base/", *PUBLIC],
    "tests": ["cli/", "server/", "engine/", "decode/", "model/", "backend/", "quant/", "formats/", "text/",
              "verify/", "base/", *PUBLIC],
}

# Headers that only some files may use: a pattern of headers, one of files, and the files in words.
TESTS = r".*_test\.cpp$|.*_testing\.h$|src/backend/conformance\.h$|tests/"
PLACES = [
    (r"nlohmann/|base/json\.h",
     r"src/(base/json|formats/|text/|engine/option_json|fields/|cli/|verify/|eval/|server/api_types)|" +
     TESTS,
     "base/json, formats, text, engine/option_json, fields, cli, verify, eval, server/api_types and "
     "tests"),
    (r"CLI/", r"src/cli/|tests/", "cli and tests"),
    (r"boost/(beast|asio)/", r"src/server/http/(request_parser|response_writer)\.cpp$",
     "server/http/request_parser and response_writer"),
    (r"\w*intrin\.h$", r"src/backend/cpu/", "backend/cpu"),
    (r"pcre2\.h$|utf8proc\.h$", r"src/text/", "text"),
    (r"gtest/|gmock/", TESTS, "tests"),
    (r"benchmark/", r".*_bench\.cpp$", "micro-benchmarks"),
    (r"cuda|boost/(?!beast/|asio/)", r"src/backend/cuda/", "backend/cuda"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def violations(root, path):
    """Yields a sentence for each include of `path` (relative to `root`) that the rule forbids."""
    name = path.as_posix()
    folders = [folder for folder in ALLOWED if name.startswith(folder + "/")]
    if not folders:
        yield f"{name}: is in no folder that the include rule knows; add it to {__file__}"
        return
    folder = max(folders, key=len)
    own = folder.removeprefix("src/").removeprefix("include/") + "/"
    for quoted, angled in INCLUDE.findall((root / path).read_text(encoding="utf-8")):
        header = quoted or angled
        is_ours = (root / "src" / header).exists() or (root / "include" / header).exists()
        if quoted and not is_ours:
            yield (f'{name}: includes "{quoted}", which is no path below src/ or include/; '
                   "write the whole path, or <...> for a header from outside")
        elif is_ours and not header.startswith((own, *ALLOWED[folder])):
            yield (f'{name}: includes "{header}", but {folder} may include only itself and '
                   f"{', '.join(ALLOWED[folder]) or 'the standard library'}")
        for headers, places, words in PLACES:
            if re.match(headers, header) and not re.match(places, name):
                yield f"{name}: includes {header}, which is for {words} only"


def main(root):
    paths = sorted(path.relative_to(root) for folder in ("include", "src", "tests")
                   for path in (root / folder).rglob("*")
                   if path.suffix in (".h", ".cpp", ".cu", ".cuh")
                   and not path.is_relative_to(root / "tests" / "package"))
    found = [sentence for path in paths for sentence in violations(root, path)]
    print("\n".join([*found, f"{len(paths)} files, {len(found)} forbidden includes"]))
    return 1 if found or not paths else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve()))
