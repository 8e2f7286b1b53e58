#!/usr/bin/env python3
"""Compares the text library with the PyPI packages `tokenizers` and `jinja2`.

    text_oracle.py tokenizers --driver build/.../text_oracle [--seed N] [--count N]
    text_oracle.py folders    --driver build/.../text_oracle [--seed N] [--count N]
    text_oracle.py transformers --driver build/.../text_oracle [--seed N] [--count N]
    text_oracle.py templates  --driver build/.../text_oracle [--seed N] [--count N]

`folders` compares folders without tokenizer.json, and what is asked for around a text, with `transformers`. Exit status 1 where anything differs, 77 (skipped) where a package is missing. The real vocabulary
of Qwen2 is read from the package `dashscope`; its merges follow from its ranks.
"""

import argparse
import base64
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import unicodedata

ROOT = pathlib.Path(__file__).resolve().parent.parent
NEEDED = {"tokenizers": ("tokenizers", "dashscope"), "folders": ("transformers", "dashscope"),
          "templates": ("jinja2",), "transformers": ("jinja2", "tokenizers", "transformers")}


class Failures:
    def __init__(self):
        self.count = 0
        self.explained = 0

    def add(self, message):
        self.count += 1
        if self.count <= 20:
            print("DIFFERENCE", message[:2000])


def ask(driver, requests):
    """The driver's answers to all requests."""
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    done = subprocess.run([driver], input=lines.encode(), stdout=subprocess.PIPE, check=True)
    answers = [json.loads(line) for line in done.stdout.split(b"\n") if line]
    assert len(answers) == len(requests), (len(answers), len(requests))
    return answers


def qwen2_tokenizer():
    """Qwen2's tokenizer.json from its published ranks."""
    from text_oracle_cases import BYTE_LEVEL, QWEN2_PATTERN, added, sequence, split
    origin = importlib.util.find_spec("dashscope").submodule_search_locations[0]
    ranks = {}
    for line in (pathlib.Path(origin) / "resources" / "qwen.tiktoken").read_bytes().splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)

    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    spelling = {byte: chr(byte) for byte in plain} | {byte: chr(0x100 + i) for i, byte in enumerate(others)}

    def spell(token):
        return "".join(spelling[byte] for byte in token)

    def halves(token, limit):
        """What `token` is merged from: merging with all ranks below its own leaves two parts."""
        parts = [token[i:i + 1] for i in range(len(token))]
        while len(parts) > 2:
            best = min((ranks.get(parts[i] + parts[i + 1], limit), i) for i in range(len(parts) - 1))
            assert best[0] < limit, token
            parts[best[1]:best[1] + 2] = [parts[best[1]] + parts[best[1] + 1]]
        return parts

    merges = [[spell(part) for part in halves(token, rank)]
              for token, rank in sorted(ranks.items(), key=lambda item: item[1]) if len(token) > 1]
    names = ("endoftext im_start im_end object_ref_start object_ref_end box_start box_end quad_start quad_end "
             "vision_start vision_end vision_pad image_pad video_pad").split()
    texts = [f"<|{name}|>" for name in names] + ["<tool_call>", "</tool_call>"]
    texts += [f"<|{name}|>" for name in
              "fim_prefix fim_middle fim_suffix fim_pad repo_name file_sep beginoftext mask".split()]
    tokens = [added(len(ranks) + i, text, special=not (14 <= i < 22)) for i, text in enumerate(texts)]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": sequence(split({"Regex": QWEN2_PATTERN}), BYTE_LEVEL),
        "post_processor": BYTE_LEVEL, "decoder": BYTE_LEVEL,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {spell(token): rank for token, rank in ranks.items()}, "merges": merges},
    }


def compare_tokenizer(driver, name, path, strings, failures, most_seconds=None):
    import tokenizers
    oracle = tokenizers.Tokenizer.from_file(str(path))
    content = json.loads(path.read_text(encoding="utf-8"))
    normalizes = content["normalizer"] is not None
    nfc = tokenizers.normalizers.NFC()
    # The oracle decodes these to their normalized text, and no longer takes them for special.
    altered = {token["id"] for token in content["added_tokens"]
               if normalizes and token["normalized"] and not unicodedata.is_normalized("NFC", token["content"])}
    texts = [data.decode("utf-8", "replace") for data in strings]
    expected = [oracle.encode(text, add_special_tokens=False).ids for text in texts]
    requests = [{"op": "load_tokenizer", "path": str(path)}]
    for data, ids in zip(strings, expected):
        requests.append({"op": "encode", "bytes": data.hex()})
        requests += [{"op": "decode", "ids": ids, "skip_special": skip} for skip in (False, True)]
    loaded, *answers = ask(driver, requests)
    if "error" in loaded:
        failures.add(f"{name}: {loaded['error']}")
        return
    if loaded["vocab_size"] != max(oracle.get_vocab().values()) + 1:
        failures.add(f"{name}: vocabulary size {loaded['vocab_size']}")
    if most_seconds and loaded["seconds"] > most_seconds:
        failures.add(f"{name}: took {loaded['seconds']:.2f} s to load")
    for i, (text, ids) in enumerate(zip(texts, expected)):
        encoded, *decoded = answers[3 * i:3 * i + 3]
        # The oracle's NFC knows an older Unicode than 14, Python's and ours.
        if normalizes and nfc.normalize_str(text) != unicodedata.normalize("NFC", text):
            failures.explained += 1
        elif encoded.get("ids") != ids:
            failures.add(f"{name}: encode {text[:200]!r}\n  expected {ids[:50]}\n  found    {str(encoded)[:300]}")
        for skip, answer in zip((False, True), decoded):
            wanted = oracle.decode(ids, skip_special_tokens=skip)
            found = bytes.fromhex(answer.get("bytes", "")).decode("utf-8", "replace")
            if not altered.isdisjoint(ids):
                failures.explained += 1
            elif not found == answer.get("streamed") == wanted:
                failures.add(f"{name}: decode {ids[:50]}\n  expected {wanted[:200]!r}\n  found    {str(answer)[:300]}")
    print(f"{name}: {len(texts)} strings compared, loaded in {loaded['seconds']:.2f} s")


def run_tokenizers(driver, seed, count, failures):
    from text_oracle_cases import byte_strings, variants
    with tempfile.TemporaryDirectory() as folder:
        def compare(name, content, number, **limits):
            path = pathlib.Path(folder) / "tokenizer.json"
            path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
            special = [token["content"] for token in content["added_tokens"]]
            strings = list(byte_strings(seed, number, special))
            compare_tokenizer(driver, name, path, strings, failures, **limits)

        for model in ("llada-nano", "dream-nano"):
            path = ROOT / "models" / model / "tokenizer.json"
            special = [token["content"] for token in json.loads(path.read_text())["added_tokens"]]
            compare_tokenizer(driver, model, path, list(byte_strings(seed, count, special)), failures)
        compare("qwen2", qwen2_tokenizer(), count, most_seconds=10)
        base = json.loads((ROOT / "models" / "llada-nano" / "tokenizer.json").read_text())
        for name, content in variants(base):
            compare(name, content, max(50, count // 25))


def compare_folder(driver, name, folder, tokenizer_class, strings, failures):
    import transformers
    oracle = getattr(transformers, tokenizer_class).from_pretrained(folder)
    special = {id for id, token in oracle.added_tokens_decoder.items() if token.special}
    backend = getattr(oracle, "backend_tokenizer", None)
    nfc = backend.normalizer if backend else None
    texts = [data.decode("utf-8", "replace") for data in strings]
    requests = [{"op": "load_tokenizer", "path": str(folder)}]
    requests += [{"op": "encode", "bytes": data.hex()} for data in strings]
    loaded, *answers = ask(driver, requests)
    if "error" in loaded:
        failures.add(f"{name}: {loaded['error']}")
        return
    if loaded["vocab_size"] != max(oracle.get_vocab().values()) + 1:
        failures.add(f"{name}: vocabulary size {loaded['vocab_size']}")
    for text, answer in zip(texts, answers):
        if nfc and nfc.normalize_str(text) != unicodedata.normalize("NFC", text):
            failures.explained += 1
            continue
        for around in (False, True):
            expected = oracle.encode(text, add_special_tokens=around)
            found = answer.get("ids")
            if around and found is not None:
                found = answer["before"] + found + answer["after"]
            if found != expected:
                failures.add(f"{name}: encode {text[:200]!r}\n  expected {expected[:50]}\n  found    "
                             f"{str(answer)[:300]}")
    is_special = ask(driver, [requests[0], {"op": "special"}])[1]["ids"]
    if set(is_special) != special:
        failures.add(f"{name}: special tokens {is_special}, expected {sorted(special)}")
    print(f"{name}: {len(texts)} strings compared, loaded in {loaded['seconds']:.2f} s")


def run_folders(driver, seed, count, failures):
    from text_oracle_cases import byte_strings
    from text_oracle_folders import folders
    nano = json.loads((ROOT / "models" / "dream-nano" / "tokenizer.json").read_text())
    for model, tokenizer, number in (("dream-nano", nano, count // 10), ("qwen2", qwen2_tokenizer(), count // 25)):
        with tempfile.TemporaryDirectory() as parent:
            for name, folder, tokenizer_class in folders(pathlib.Path(parent), tokenizer):
                special = [token["content"] for token in tokenizer["added_tokens"]]
                special += ["<left>", "<right>", "<word>", "<none\u0301>", "<sep>", "[PAD]", "<more>"]
                compare_folder(driver, f"{model}, {name}", folder, tokenizer_class,
                               list(byte_strings(seed, number, special)), failures)


def run_transformers(driver, seed, count, failures):
    from text_oracle_templates import compare_transformers
    compare_transformers(lambda requests: ask(driver, requests), seed, count, failures)


def run_templates(driver, seed, count, failures):
    from text_oracle_templates import compare_templates
    compare_templates(lambda requests: ask(driver, requests), seed, count, failures)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=NEEDED)
    parser.add_argument("--driver", required=True, help="the program text_oracle of the build")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=5000, help="random strings or conversations")
    options = parser.parse_args()
    missing = [name for name in NEEDED[options.part] if importlib.util.find_spec(name) is None]
    if missing:
        print("skipped, since these Python packages are missing:", ", ".join(missing))
        return 77
    failures = Failures()
    run = {"tokenizers": run_tokenizers, "folders": run_folders, "templates": run_templates,
           "transformers": run_transformers}[options.part]
    run(options.driver, options.seed, options.count, failures)
    if failures.explained:
        print(f"{failures.explained} comparisons left out, for the two reasons that stand in compare_tokenizer")
    print(f"{failures.count} differences")
    return 1 if failures.count else 0


if __name__ == "__main__":
    sys.exit(main())
