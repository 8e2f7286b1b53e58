"""Folders without tokenizer.json, as transformers saves them and as published ones look, for text_oracle.py."""

import json

# (name of the folder's kind, changes of tokenizer_config.json, and whether added tokens stand in `added_tokens_decoder`,
# in added_tokens.json with special_tokens_map.json, or in both files and the configuration)
FLAGS = ("lstrip", "rstrip", "single_word", "normalized", "special")


def write_json(path, content, **options):
    path.write_text(json.dumps(content, ensure_ascii=False, **options), encoding="utf-8")


def merge_lines(tokenizer):
    return [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]


def token_object(token):
    return {"content": token["content"]} | {flag: token[flag] for flag in FLAGS}


def write_vocabulary(folder, tokenizer, newline="\n", version=True):
    """vocab.json and merges.txt of a tokenizer.json's content."""
    write_json(folder / "vocab.json", tokenizer["model"]["vocab"])
    lines = (["#version: 0.2"] if version else []) + merge_lines(tokenizer)
    (folder / "merges.txt").write_bytes((newline.join(lines) + newline).encode())


def dream_config(tokenizer, **changes):
    """tokenizer_config.json as Dream-v0-Instruct-7B has it, with these added tokens."""
    tokens = tokenizer["added_tokens"]
    texts = [token["content"] for token in tokens]
    config = {
        "add_prefix_space": False,
        "added_tokens_decoder": {str(token["id"]): token_object(token) for token in tokens},
        "additional_special_tokens": [token["content"] for token in tokens
                                      if token["special"] and token["content"] != "<|endoftext|>"],
        "auto_map": {"AutoTokenizer": ["tokenization_dream.DreamTokenizer", None]},
        "bos_token": "<|beginoftext|>" if "<|beginoftext|>" in texts else None,
        "clean_up_tokenization_spaces": False, "eos_token": "<|endoftext|>", "errors": "replace",
        "mask_token": "<|mask|>", "model_max_length": 131072, "pad_token": "<|endoftext|>",
        "split_special_tokens": False, "tokenizer_class": "DreamTokenizer", "unk_token": None,
    }
    return config | changes


def special_tokens_map(config, objects):
    """special_tokens_map.json as save_pretrained writes it: objects or strings."""
    def value(text):
        return {"content": text, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    named = {name: config[name] for name in ("bos_token", "eos_token", "pad_token", "unk_token", "mask_token")
             if config.get(name)}
    result = {name: value(text) if objects else text for name, text in named.items()}
    result["additional_special_tokens"] = config["additional_special_tokens"]
    return result


def write_added_tokens(folder, tokenizer):
    write_json(folder / "added_tokens.json", {token["content"]: token["id"] for token in tokenizer["added_tokens"]})


def folders(parent, tokenizer):
    """Writes folders of one tokenizer and gives (name, folder, the class of transformers that reads it)."""
    def folder(name):
        path = parent / name
        path.mkdir()
        return path

    path = folder("published")
    write_vocabulary(path, tokenizer)
    config = dream_config(tokenizer)
    write_json(path / "tokenizer_config.json", config, indent=2)
    write_json(path / "special_tokens_map.json", special_tokens_map(config, objects=True), indent=2)
    write_added_tokens(path, tokenizer)
    yield "published", path, "Qwen2Tokenizer"

    path = folder("old")  # before `added_tokens_decoder` there was
    write_vocabulary(path, tokenizer, newline="\r\n")
    config = dream_config(tokenizer, tokenizer_class="Qwen2TokenizerFast")
    for name in ("added_tokens_decoder", "auto_map"):
        del config[name]
    write_json(path / "tokenizer_config.json", config)
    write_json(path / "special_tokens_map.json", special_tokens_map(config, objects=False))
    write_added_tokens(path, tokenizer)
    yield "old", path, "Qwen2Tokenizer"

    path = folder("bos")
    write_vocabulary(path, tokenizer, version=False)
    write_json(path / "tokenizer_config.json",
               dream_config(tokenizer, tokenizer_class="Qwen2Tokenizer", bos_token="<|im_start|>", add_bos_token=True,
                            add_eos_token=True))
    yield "bos", path, "Qwen2Tokenizer"

    path = folder("gpt2")
    write_vocabulary(path, tokenizer)
    config = dream_config(tokenizer, tokenizer_class="GPT2Tokenizer", bos_token="<|endoftext|>")
    del config["auto_map"]
    write_json(path / "tokenizer_config.json", config)
    yield "gpt2", path, "GPT2Tokenizer"

    path = folder("gpt2 with a space before")
    write_vocabulary(path, tokenizer)
    write_json(path / "tokenizer_config.json", config | {"add_prefix_space": True})
    yield "gpt2 with a space before", path, "GPT2Tokenizer"

    # Flags, a token without an id of its own, one that the vocabulary has, and one that is no special one.
    path = folder("flags")
    write_vocabulary(path, tokenizer)
    next_id = max(token["id"] for token in tokenizer["added_tokens"]) + 1
    extra = [{"content": text, "id": next_id + i, "lstrip": False, "rstrip": False, "single_word": False,
              "normalized": False, "special": False} | flags
             for i, (text, flags) in enumerate([
                 ("<left>", {"lstrip": True}), ("<right>", {"rstrip": True, "special": True}),
                 ("<word>", {"single_word": True}), ("<none\u0301>", {"normalized": True})])]
    wide = tokenizer | {"added_tokens": tokenizer["added_tokens"] + extra}
    config = dream_config(wide, tokenizer_class="Qwen2Tokenizer", sep_token="<sep>", pad_token="[PAD]")
    config["additional_special_tokens"] = ["<|im_start|>", "<more>"]
    write_json(path / "tokenizer_config.json", config)
    yield "flags", path, "Qwen2Tokenizer"
