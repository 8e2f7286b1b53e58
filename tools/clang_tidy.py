#!/usr/bin/env python3
"""Runs clang-tidy over the sources of a build folder, but for its tests, in parallel, and skips
what was clean before.

A source is skipped when its preprocessed text, its compile command and .clang-tidy are those of a
clean run; the record is BUILD/clang_tidy/.   usage: clang_tidy.py BUILD_DIR [PATH_PART ...]
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def fingerprint(entry):
    """What the verdict on a source depends on."""
    command = shlex.split(entry["command"])
    if pathlib.Path(command[0]).name == "ccache":
        command = command[1:]
    command = ["clang++"] + [word for word in command[1:] if word != "-c"]
    output = command.index("-o")
    del command[output:output + 2]
    text = subprocess.run(command + ["-E"], cwd=entry["directory"], capture_output=True)
    digest = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    digest.update(entry["command"].encode())
    digest.update(text.stdout + text.stderr)
    return digest.hexdigest()


def check(build, entry):
    """Returns clang-tidy's complaint about one source, or None where it is clean."""
    stamp = build / "clang_tidy" / fingerprint(entry)
    if stamp.exists():
        return None
    run = subprocess.run(["clang-tidy", "--quiet", "-p", str(build),
                          "--extra-arg=-Wno-unknown-warning-option", entry["file"]],
                         capture_output=True, text=True)
    if run.returncode != 0:
        return re.sub(r"^\d+ warnings? .*\n?", "", run.stdout + run.stderr, flags=re.MULTILINE)
    stamp.touch()
    return None


def main(build, parts):
    entries = json.loads((build / "compile_commands.json").read_text())
    entries = list({entry["file"]: entry for entry in entries}.values())
    entries = [e for e in entries if not e["file"].endswith("_test.cpp")]
    entries = [e for e in entries if not parts or any(part in e["file"] for part in parts)]
    (build / "clang_tidy").mkdir(exist_ok=True)
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for complaint in pool.map(lambda entry: check(build, entry), entries):
            if complaint is not None:
                bad += 1
                print(complaint, flush=True)
    print(f"clang-tidy: {len(entries)} sources, {bad} with complaints")
    return 1 if bad or not entries else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]))
