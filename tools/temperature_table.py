#!/usr/bin/env python3
"""Measures accuracy and forwards at several temperatures, with both settings of --confidence, and
prints docs/measured/temperature.md's table. Runs that are in OUT already are not run again.

usage: temperature_table.py OUT [--binary B] [--models DIR] [--data F] [--limit N] [--threads N]
"""
import argparse
import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]
TEMPERATURES = ("0", "0.0001", "0.1", "0.2", "0.5", "0.7", "1")
MODELS = ("llada-mini", "dream-mini")
SETTINGS = ("raw", "reference")


def measure(flags, model, temperature, confidence):
    path = flags.out / f"{model}-{temperature}-{confidence}.json"
    if not path.exists():
        command = [flags.binary, "eval", "--task", "jsonl", "--data", flags.data, "--limit",
                   flags.limit, "--gen-length", 256, "--model", flags.models / model, "--temperature",
                   temperature, "--confidence", confidence, "--seed", 0, "--threads", flags.threads,
                   "--json"]
        done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE)
        path.write_bytes(done.stdout)
    result = json.loads(path.read_text(encoding="utf-8"))
    return 100 * result["accuracy"]["fraction"], result["forwards_per_token"]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--binary", default=ROOT / "build/release/bin/fast-dllm")
    parser.add_argument("--models", type=pathlib.Path, default=ROOT / "models")
    parser.add_argument("--data", default=ROOT / "data/gsm_symbolic.jsonl")
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    flags = parser.parse_args()
    flags.out.mkdir(parents=True, exist_ok=True)
    columns = [(model, setting) for model in MODELS for setting in SETTINGS]
    print("| temperature | " + " | ".join(f"{model}, {setting}" for model, setting in columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for temperature in TEMPERATURES:
        cells = [measure(flags, model, temperature, setting) for model, setting in columns]
        print(f"| {temperature} | "
              + " | ".join(f"{right:.1f} %, {forwards:.3f}" for right, forwards in cells) + " |",
              flush=True)


if __name__ == "__main__":
    main()
