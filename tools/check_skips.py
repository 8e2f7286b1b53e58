#!/usr/bin/env python3
"""Fails where a test was skipped that tests/expected_skips.txt does not name, or may not be.

    check_skips.py RESULTS.xml tests/expected_skips.txt

RESULTS.xml is what `ctest --output-junit` writes. Says nothing where all is well. A name whose
reason is `isa` may be skipped only where the processor lacks the instructions that end its name.
"""
import pathlib
import sys
import xml.etree.ElementTree

# What /proc/cpuinfo calls the instructions of a kernel table.
FLAGS = {"avx2": "avx2", "avx512vnni": "avx512_vnni", "avx512bf16": "avx512_bf16"}


def processor_has(name):
    isa = name.rsplit(".", 1)[-1]
    flag = FLAGS.get(isa, isa)
    return flag in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").split()


def read_expected(path):
    lines = [line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines()]
    return {line[0]: line[1] if len(line) > 1 else ""
            for line in lines if line and not line[0].startswith("#")}


def read_skipped(path):
    cases = xml.etree.ElementTree.parse(path).getroot().iter("testcase")
    return [case.get("name") for case in cases
            if case.find("skipped") is not None or case.get("status") == "notrun"]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    expected = read_expected(pathlib.Path(sys.argv[2]))
    unexpected = []
    for name in read_skipped(sys.argv[1]):
        if name not in expected:
            unexpected.append(f"{name}: skipped, and {sys.argv[2]} does not name it")
        elif expected[name] == "isa" and processor_has(name):
            unexpected.append(f"{name}: skipped, though this processor could run it")
    if unexpected:
        sys.exit("\n".join(unexpected))


if __name__ == "__main__":
    main()
