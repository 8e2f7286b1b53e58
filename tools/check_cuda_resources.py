#!/usr/bin/env python3
"""Compiles the CUDA kernels for some GPUs and checks what ptxas reports of each: registers, stack
and spills. Where cuobjdump is there, also that the product kernels use the matrix units and copy
16 bytes at a time in the background.

usage: check_cuda_resources.py [ARCHITECTURE ...]    default: 90a; 'every' is 80 86 89 90a 100 120
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
EVERY = ["80", "86", "89", "90a", "100", "120"]
MOST_STACK = 128  # bytes: more is an array that does not fit the registers or is indexed at run time
MOST_SPILLS = 128
FUNCTION = re.compile(r"Compiling entry function '(\w+)'")
STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
REGISTERS = re.compile(r"Used (\d+) registers")
# What the disassembly of a file must contain: matrix instructions and background copies.
INSTRUCTIONS = {"attention_bf16": [r"HMMA", r"LDSM", r"LDGSTS\S*128"],
                "product_bf16": [r"HMMA|HGMMA", r"LDGSTS\S*128"],
                "product_integer": [r"IMMA|IGMMA", r"LDGSTS\S*128"]}


def compile_kernels(source, architecture, output):
    command = ["nvcc", "-std=c++20", "-O3", "--expt-relaxed-constexpr", "-fmad=false",
               f"-I{ROOT / 'src'}", f"-I{ROOT / 'include'}", "-Xptxas=-v",
               f"-gencode=arch=compute_{architecture},code=sm_{architecture}", "-c", str(source),
               "-o", str(output)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{source.name} for sm_{architecture}:\n{result.stderr}")
    return result.stderr


def kernels(report):
    """Yields (name, registers, stack, spilled bytes) of each kernel."""
    name, stack, spills = "", 0, 0
    for line in report.splitlines():
        if found := FUNCTION.search(line):
            name, stack, spills = found[1], 0, 0
        elif found := STACK.search(line):
            stack, spills = int(found[1]), max(int(found[2]), int(found[3]))
        elif found := REGISTERS.search(line):
            yield name, int(found[1]), stack, spills


def main(architectures):
    if shutil.which("nvcc") is None:
        sys.exit("nvcc is not in PATH; it is part of the CUDA toolkit")
    problems = []
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        for architecture in architectures:
            for source in sorted((ROOT / "src/backend/cuda").glob("*.cu")):
                output = pathlib.Path(folder) / f"{source.stem}.o"
                for name, registers, stack, spills in kernels(
                        compile_kernels(source, architecture, output)):
                    count += 1
                    print(f"sm_{architecture} {source.stem}: {registers} registers, {stack} bytes "
                          f"of stack, {spills} spilled: {name}")
                    if stack > MOST_STACK or spills > MOST_SPILLS:
                        problems.append(f"sm_{architecture} {name}: {stack} bytes of stack (at most "
                                        f"{MOST_STACK}), {spills} spilled (at most {MOST_SPILLS})")
                if shutil.which("cuobjdump") is None:
                    continue
                code = subprocess.run(["cuobjdump", "-sass", str(output)], capture_output=True,
                                      text=True, check=True).stdout
                problems += [f"sm_{architecture} {source.stem}: no instruction {pattern}"
                             for pattern in INSTRUCTIONS.get(source.stem, [])
                             if not re.search(pattern, code)]
    print("\n".join([*problems, f"{count} kernels, {len(problems)} problems"]))
    return 1 if problems or count == 0 else 0


if __name__ == "__main__":
    if any(argument.startswith("-") for argument in sys.argv[1:]):
        sys.exit(__doc__)
    chosen = sys.argv[1:] or ["90a"]
    sys.exit(main(EVERY if chosen == ["every"] else chosen))
