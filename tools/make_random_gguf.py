#!/usr/bin/env python3
"""Writes a GGUF file of random weights in the shape of a published model, for timing only.

usage: make_random_gguf.py OUT.gguf [--shape llada-8b|dream-7b|llama-8b] [--type Q4_0] [--layers N]

Metadata and tensor names are those that llama.cpp's own converter writes for these architectures,
so that llama.cpp and fast-dllm both run the file; llama-8b, the shape of the autoregressive
Llama 3 8B, is for llama.cpp alone. The tokenizer has the 256 bytes as tokens, and
text of lower-case letters in alphabetical order is one token a letter. Every type that the `gguf`
package can write: F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1. Needs `pip install gguf`.
"""
import argparse

import gguf
import numpy

# Sizes, and what differs between the families.
SHAPES = {
    "llada-8b": dict(arch="llada", layers=32, hidden=4096, heads=32, kv_heads=32, ffn=12288,
                     vocab=126464, context=4096, theta=500000.0, epsilon=1e-5, bos=126080,
                     end=126081, mask=126336),
    "dream-7b": dict(arch="dream", layers=28, hidden=3584, heads=28, kv_heads=4, ffn=18944,
                     vocab=152064, context=131072, theta=1000000.0, epsilon=1e-6, bos=151643,
                     end=151643, mask=151666),
    "llama-8b": dict(arch="llama", layers=32, hidden=4096, heads=32, kv_heads=8, ffn=14336,
                     vocab=128256, context=8192, theta=500000.0, epsilon=1e-5, bos=128000,
                     end=128001, mask=None),
}
DISTINCT_ROWS = 64  # rows of random numbers; a matrix repeats them


def byte_tokens():
    """The 256 bytes in the printable form of byte-level BPE, in the order of the bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def add_metadata(writer, shape, layers):
    arch = shape["arch"]
    head_dim = shape["hidden"] // shape["heads"]
    writer.add_name(f"{arch} of random weights")
    writer.add_block_count(layers)
    writer.add_context_length(shape["context"])
    writer.add_embedding_length(shape["hidden"])
    writer.add_feed_forward_length(shape["ffn"])
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["kv_heads"])
    writer.add_rope_freq_base(shape["theta"])
    writer.add_layer_norm_rms_eps(shape["epsilon"])
    writer.add_causal_attention(arch == "llama")
    if arch != "dream":
        writer.add_vocab_size(shape["vocab"])
        writer.add_rope_dimension_count(head_dim)
    if arch == "llada":
        writer.add_bool("diffusion.shift_logits", False)

    # One merge that no text in alphabetical order has: some readers want one.
    tokens = [*byte_tokens(), "zy"]
    tokens += [f"[unused{i}]" for i in range(len(tokens), shape["vocab"])]
    types = [gguf.TokenType.NORMAL] * 257 + [gguf.TokenType.UNUSED] * (shape["vocab"] - 257)
    for token, text in ((shape["bos"], "<|startoftext|>"), (shape["end"], "<|endoftext|>"),
                        (shape["mask"], "<|mask|>")):
        if token is not None:
            tokens[token] = text
            types[token] = gguf.TokenType.CONTROL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(["z y"])
    writer.add_bos_token_id(shape["bos"])
    writer.add_eos_token_id(shape["end"])
    writer.add_pad_token_id(shape["end"])
    if shape["mask"] is not None:
        writer.add_mask_token_id(shape["mask"])
    writer.add_add_bos_token(False)
    writer.add_chat_template("{% for message in messages %}{{ message['content'] }}{% endfor %}")


class RandomMatrices:
    """Matrices of N(0, 0.02^2), one for each shape: equal tensors share memory until written."""

    def __init__(self, quantization):
        self.quantization = quantization
        self.draw = numpy.random.default_rng(1)
        self.made = {}

    def get(self, rows, columns):
        if (rows, columns) not in self.made:
            numbers = self.draw.standard_normal((DISTINCT_ROWS, columns), dtype=numpy.float32)
            stored = gguf.quants.quantize(numbers * numpy.float32(0.02), self.quantization)
            self.made[rows, columns] = numpy.resize(stored, (rows, stored.shape[1]))
        return self.made[rows, columns]


def add_tensors(writer, shape, layers, quantization):
    matrices = RandomMatrices(quantization)
    hidden, ffn, vocab = shape["hidden"], shape["ffn"], shape["vocab"]
    kv = hidden // shape["heads"] * shape["kv_heads"]

    def matrix(name, rows, columns):
        writer.add_tensor(f"{name}.weight", matrices.get(rows, columns), raw_dtype=quantization)

    def vector(name, size, value):
        writer.add_tensor(name, numpy.full(size, value, numpy.float32))

    matrix("token_embd", vocab, hidden)
    matrix("output", vocab, hidden)
    vector("output_norm.weight", hidden, 1)
    for i in range(layers):
        block = f"blk.{i}."
        vector(block + "attn_norm.weight", hidden, 1)
        vector(block + "ffn_norm.weight", hidden, 1)
        matrix(block + "attn_q", hidden, hidden)
        matrix(block + "attn_k", kv, hidden)
        matrix(block + "attn_v", kv, hidden)
        matrix(block + "attn_output", hidden, hidden)
        matrix(block + "ffn_gate", ffn, hidden)
        matrix(block + "ffn_up", ffn, hidden)
        matrix(block + "ffn_down", hidden, ffn)
        if shape["arch"] == "dream":
            vector(block + "attn_q.bias", hidden, 0.01)
            vector(block + "attn_k.bias", kv, 0.01)
            vector(block + "attn_v.bias", kv, 0.01)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--shape", choices=SHAPES, default="llada-8b")
    parser.add_argument("--type", default="Q4_0",
                        choices=["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
    parser.add_argument("--layers", type=int, help="fewer than the model has")
    options = parser.parse_args()
    shape = SHAPES[options.shape]
    layers = options.layers or shape["layers"]
    writer = gguf.GGUFWriter(options.out, shape["arch"])
    add_metadata(writer, shape, layers)
    add_tensors(writer, shape, layers, gguf.GGMLQuantizationType[options.type])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
