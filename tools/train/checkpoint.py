"""Checkpoints of model.py in Hugging Face's layouts of LLaDA and Dream."""

import json
from pathlib import Path

import torch
from model import MaskedDiffusionModel, Shape
from safetensors.torch import load_file, save_file

# what is around the blocks, where the blocks are, and their parts
LLADA_NAMES = (
    {"model.transformer.wte": "embedding", "model.transformer.ln_f": "norm", "model.transformer.ff_out": "head"},
    "model.transformer.blocks",
    dict(attn_norm="attention_norm", ff_norm="ffn_norm", q_proj="query", k_proj="key", v_proj="value", attn_out="out",
         ff_proj="gate", up_proj="up", ff_out="down"),
)
DREAM_NAMES = (
    {"model.embed_tokens": "embedding", "model.norm": "norm", "lm_head": "head"},
    "model.layers",
    {"input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "query",
     "self_attn.k_proj": "key", "self_attn.v_proj": "value", "self_attn.o_proj": "out", "mlp.gate_proj": "gate",
     "mlp.up_proj": "up", "mlp.down_proj": "down"},
)
NAMES = {"llada": LLADA_NAMES, "dream": DREAM_NAMES}


def checkpoint_names(model: MaskedDiffusionModel) -> dict[str, str]:
    """The name in the family's Hugging Face checkpoints of each parameter."""
    around, blocks, parts = NAMES[model.shape.family]
    modules = {ours: theirs for theirs, ours in around.items()}
    for i in range(model.shape.layers):
        modules |= {f"blocks.{i}.{ours}": f"{blocks}.{i}.{theirs}" for theirs, ours in parts.items()}
    names = {}
    for name, _ in model.named_parameters():
        module, kind = name.rsplit(".", 1)
        names[name] = f"{modules[module]}.{kind}"
    return names


def config(s: Shape, end: int, mask: int) -> dict:
    common = dict(rope_theta=s.rope_theta, rms_norm_eps=s.epsilon, vocab_size=s.vocabulary, eos_token_id=end,
                  pad_token_id=end, mask_token_id=mask, attention_dropout=0.0, use_cache=False, torch_dtype="bfloat16")
    if s.family == "dream":
        return dict(
            architectures=["DreamModel"], model_type="Dream", hidden_size=s.hidden, num_attention_heads=s.heads,
            num_key_value_heads=s.heads, num_hidden_layers=s.layers, intermediate_size=s.ffn, hidden_act="silu",
            max_position_embeddings=s.max_length, max_window_layers=s.layers, sliding_window=None,
            use_sliding_window=False, tie_word_embeddings=False, bos_token_id=end, initializer_range=0.02, **common,
        )
    return dict(
        architectures=["LLaDAModelLM"], model_type="llada", d_model=s.hidden, n_heads=s.heads, n_kv_heads=s.heads,
        n_layers=s.layers, mlp_hidden_size=s.ffn, mlp_ratio=4, activation_type="silu", block_type="llama",
        block_group_size=1, alibi=False, rope=True, rope_full_precision=True, layer_norm_type="rms",
        layer_norm_with_affine=True, attention_layer_norm=False, include_bias=False, include_qkv_bias=False,
        bias_for_layer_norm=False, input_emb_norm=False, weight_tying=False, scale_logits=False,
        embedding_size=s.vocabulary, max_sequence_length=s.max_length, flash_attention=False, residual_dropout=0.0,
        embedding_dropout=0.0, init_device="cpu", **common,
    )


def write_checkpoint(folder: Path, model: MaskedDiffusionModel, weights: dict[str, torch.Tensor], end: int, turn_end: int, mask: int) -> None:
    """model.safetensors (bf16), config.json and generation_config.json. `weights`: by parameter name."""
    tensors = {theirs: weights[ours].detach().to("cpu", torch.bfloat16).contiguous() for ours, theirs in checkpoint_names(model).items()}
    save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config(model.shape, end, mask), indent=1) + "\n")
    generation = dict(eos_token_id=[end, turn_end], pad_token_id=end, mask_token_id=mask)
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=1) + "\n")


def read_shape(folder: Path) -> Shape:
    """The shape of a checkpoint that write_checkpoint() made."""
    c = json.loads((folder / "config.json").read_text())
    if c["model_type"] == "Dream":
        return Shape(c["vocab_size"], c["hidden_size"], c["num_hidden_layers"], c["num_attention_heads"], c["intermediate_size"],
                     c["max_position_embeddings"], c["rope_theta"], c["rms_norm_eps"], "dream")
    return Shape(c["vocab_size"], c["d_model"], c["n_layers"], c["n_heads"], c["mlp_hidden_size"],
                 c["max_sequence_length"], c["rope_theta"], c["rms_norm_eps"])


def read_weights(folder: Path, model: MaskedDiffusionModel) -> None:
    """Copies the weights of a checkpoint that write_checkpoint() made into `model`."""
    tensors, names = load_file(str(folder / "model.safetensors")), checkpoint_names(model)
    if tensors.keys() != set(names.values()):
        raise ValueError(f"{folder}: the tensors are not those of this architecture")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[names[name]])
