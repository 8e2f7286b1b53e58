"""Folders that look like the published ones (file lists, config keys, tensor names, shards, index),
made of the shipped nano models' weights: as their authors uploaded them, and as transformers 5 saves
them."""
import json
import pathlib
import struct

from support import DREAM, LLADA, read_header

# Not the families' default, so that a base that isn't found shows in the tokens.
THETA = 500000.0

LLADA_CONFIG = {
    "activation_type": "silu", "alibi": False, "alibi_bias_max": 8.0,
    "architectures": ["LLaDAModelLM"], "attention_dropout": 0.0, "attention_layer_norm": False,
    "attention_layer_norm_with_affine": True,
    "auto_map": {"AutoConfig": "configuration_llada.LLaDAConfig",
                 "AutoModel": "modeling_llada.LLaDAModelLM",
                 "AutoModelForCausalLM": "modeling_llada.LLaDAModelLM"},
    "bias_for_layer_norm": False, "block_group_size": 1, "block_type": "llama", "d_model": 0,
    "embedding_dropout": 0.0, "embedding_size": 0, "eos_token_id": 0, "flash_attention": False,
    "include_bias": False, "include_qkv_bias": False, "init_cutoff_factor": None,
    "init_device": "meta", "init_fn": "mitchell", "init_std": 0.02, "input_emb_norm": False,
    "layer_norm_type": "rms", "layer_norm_with_affine": True, "mask_token_id": 0,
    "max_sequence_length": 0, "mlp_hidden_size": 0, "mlp_ratio": 4, "model_type": "llada",
    "multi_query_attention": None, "n_heads": 0, "n_kv_heads": 0, "n_layers": 0, "pad_token_id": 0,
    "precision": "amp_bf16", "residual_dropout": 0.0, "rms_norm_eps": 1e-05, "rope": True,
    "rope_full_precision": True, "rope_theta": THETA, "scale_logits": False,
    "transformers_version": "4.46.3", "use_cache": False, "vocab_size": 0, "weight_tying": False}

DREAM_CONFIG = {
    "architectures": ["DreamModel"], "attention_dropout": 0.0,
    "auto_map": {"AutoConfig": "configuration_dream.DreamConfig",
                 "AutoModel": "modeling_dream.DreamModel"},
    "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "silu", "hidden_size": 0,
    "initializer_range": 0.02, "intermediate_size": 0, "mask_token_id": 0,
    "max_position_embeddings": 0, "max_window_layers": 28, "model_type": "Dream",
    "num_attention_heads": 0, "num_hidden_layers": 0, "num_key_value_heads": 0, "pad_token_id": 0,
    "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": THETA, "sliding_window": None,
    "tie_word_embeddings": False, "torch_dtype": "bfloat16", "transformers_version": "4.46.2",
    "use_cache": True, "use_mrope": False, "use_sliding_window": False, "vocab_size": 0}

LLADA_FILES = ["configuration_llada.py", "modeling_llada.py", "README.md", ".gitattributes"]
DREAM_FILES = ["configuration_dream.py", "modeling_dream.py", "generation_utils.py",
               "tokenization_dream.py", "README.md", ".gitattributes"]

# name: (nano model, config, files beside, shards, changed keys of the config)
MODELS = {
    "LLaDA-8B-Instruct": (LLADA, LLADA_CONFIG, LLADA_FILES, 6, {}),
    "LLaDA-1.5": (LLADA, LLADA_CONFIG, LLADA_FILES, 6, {"transformers_version": "4.49.0",
                                                        "torch_dtype": "bfloat16"}),
    "Dream-v0-Instruct-7B": (DREAM, DREAM_CONFIG, DREAM_FILES, 4, {}),
    "Dream-Coder-v0-Instruct-7B": (DREAM, DREAM_CONFIG, DREAM_FILES, 4,
                                   {"transformers_version": "4.51.3"}),
    "DiffuCoder-7B-cpGRPO": (DREAM, DREAM_CONFIG, DREAM_FILES, 4, {
        "transformers_version": "4.52.0.dev0", "sliding_window": 131072, "use_cache": False}),
}


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def read_tensors(source):
    """name -> (dtype, shape, bytes)"""
    path = source / "model.safetensors"
    header, begin = read_header(path)
    data = path.read_bytes()
    return {name: (entry["dtype"], entry["shape"],
                   data[begin + entry["data_offsets"][0]:begin + entry["data_offsets"][1]])
            for name, entry in header.items() if name != "__metadata__"}


def write_safetensors(path, tensors, align=8, metadata=True):
    """align=None: not padded, and of odd length, as MLX may write it."""
    header, at = {"__metadata__": {"format": "pt"}} if metadata else {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % align if align else 1 - len(text) % 2)
    path.write_bytes(struct.pack("<Q", len(text)) + text
                     + b"".join(data for _, _, data in tensors.values()))


def write_shards(folder, tensors, shards, **options):
    names = list(tensors)
    weight_map, step = {}, -(-len(names) // shards)
    for i in range(shards):
        part = names[i * step:(i + 1) * step]
        file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        write_safetensors(folder / file, {name: tensors[name] for name in part}, **options)
        weight_map.update(dict.fromkeys(part, file))
    total = sum(len(data) for _, _, data in tensors.values())
    write_json(folder / "model.safetensors.index.json",
               {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))})


def make_config(template, source, changes):
    """The published keys with the nano model's numbers."""
    nano = read_json(source / "config.json")
    config = {key: nano[key] if key in nano and value in (0, 4, None) and key != "rope_scaling"
              else value for key, value in template.items()}
    config["bos_token_id" if "bos_token_id" in config else "pad_token_id"] = nano["pad_token_id"]
    config["rms_norm_eps"] = nano["rms_norm_eps"]
    return {**config, **changes}


def write_llada_text(folder, source):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((source / name).read_bytes())
    config = read_json(folder / "tokenizer_config.json")
    config.update({"add_eos_token": False, "cls_token": "[CLS]", "fast_tokenizer": True,
                   "gmask_token": "[gMASK]", "trust_remote_code": True,
                   "merges_file": None, "model_max_length": 1000000000000000019884624838656})
    write_json(folder / "tokenizer_config.json", config)
    write_json(folder / "special_tokens_map.json", {
        "bos_token": "<|startoftext|>", "cls_token": "[CLS]", "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>"})


def write_dream_text(folder, source):
    """vocab.json, merges.txt and the tokenizer's class, without tokenizer.json."""
    tokenizer = read_json(source / "tokenizer.json")
    write_json(folder / "vocab.json", tokenizer["model"]["vocab"])
    merges = [merge if isinstance(merge, str) else " ".join(merge)
              for merge in tokenizer["model"]["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(m + "\n" for m in merges),
                                       encoding="utf-8")
    added = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    write_json(folder / "added_tokens.json", added)
    special = {"content": "", "lstrip": False, "normalized": False, "rstrip": False,
               "single_word": False}
    config = read_json(source / "tokenizer_config.json")
    config.update({"add_prefix_space": False, "tokenizer_class": "DreamTokenizer",
                   "auto_map": {"AutoTokenizer": ["tokenization_dream.DreamTokenizer", None]},
                   "errors": "replace", "split_special_tokens": False, "unk_token": None,
                   "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
                   "added_tokens_decoder": {str(number): {**special, "content": text,
                                                          "special": True}
                                            for text, number in added.items()}})
    write_json(folder / "tokenizer_config.json", config)
    write_json(folder / "special_tokens_map.json", {
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
        "eos_token": {**special, "content": "<|endoftext|>"},
        "mask_token": {**special, "content": "<|mask|>"},
        "pad_token": {**special, "content": "<|endoftext|>"}})


def make_published(folder, name):
    """As the authors uploaded it: shards, an index, Python files and the tokenizer's files."""
    source, template, files, shards, changes = MODELS[name]
    folder.mkdir(parents=True)
    config = make_config(template, source, changes)
    write_json(folder / "config.json", config)
    ends = read_json(source / "generation_config.json")
    write_json(folder / "generation_config.json", {
        "_from_model_config": True, **ends, "transformers_version": config["transformers_version"]})
    write_shards(folder, read_tensors(source), shards)
    (write_llada_text if source == LLADA else write_dream_text)(folder, source)
    for file in files:
        (folder / file).write_text("# as published\n", encoding="utf-8")
    return folder


def make_transformers_5(folder, name):
    """As transformers 5 saves it: one file, RoPE's numbers in rope_parameters, `dtype`, the template
    in a file of its own, and tokenizer.json for all but tokenizers written in Python."""
    source, template, files, _, changes = MODELS[name]
    folder.mkdir(parents=True)
    config = make_config(template, source, changes)
    config["transformers_version"] = "5.24.0"
    config["dtype"] = config.pop("torch_dtype", "bfloat16")
    config["rope_parameters"] = {"rope_theta": config.pop("rope_theta"), "rope_type": "default"}
    config.pop("rope_scaling", None)
    for key in ("use_cache",):
        config.pop(key, None)
    write_json(folder / "config.json", dict(sorted(config.items())))
    write_json(folder / "generation_config.json",
               {**read_json(source / "generation_config.json"), "transformers_version": "5.24.0"})
    write_safetensors(folder / "model.safetensors", read_tensors(source))
    (write_llada_text if source == LLADA else write_dream_text)(folder, source)
    (folder / "special_tokens_map.json").unlink()
    text = read_json(folder / "tokenizer_config.json")
    (folder / "chat_template.jinja").write_text(text.pop("chat_template"), encoding="utf-8")
    if source == LLADA:
        text.pop("added_tokens_decoder", None)
        text.update({"backend": "tokenizers", "is_local": True,
                     "tokenizer_class": "TokenizersBackend"})
    write_json(folder / "tokenizer_config.json", text)
    for file in files[:2]:
        (folder / file).write_text("# as saved\n", encoding="utf-8")
    return folder


def make_plain(folder, source):
    """The nano model itself, with THETA."""
    folder.mkdir(parents=True)
    for file in pathlib.Path(source).iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    write_json(folder / "config.json", {**read_json(source / "config.json"), "rope_theta": THETA})
    return folder
