#!/usr/bin/env python3
"""Writes tests/golden/gguf-blocks.bin: what GGUF's own Python package (pip install gguf) reads from
random blocks of every block type. Per type, in the order of DType: 4 blocks, then their f32 values.

usage: make_block_goldens.py OUT
"""
import sys

import gguf
import numpy as np

# The type and where its f16 scales begin in a block.
TYPES = [("Q8_0", [0]), ("Q4_0", [0]), ("Q4_1", [0, 2]), ("Q5_0", [0]), ("Q5_1", [0, 2]),
         ("IQ4_NL", [0]), ("Q2_K", [80, 82]), ("Q3_K", [108]), ("Q4_K", [0, 2]), ("Q5_K", [0, 2]),
         ("Q6_K", [208])]


def main(out):
    random = np.random.default_rng(20250528)
    with open(out, "wb") as file:
        for name, scales in TYPES:
            kind = gguf.GGMLQuantizationType[name]
            _, size = gguf.GGML_QUANT_SIZES[kind]
            blocks = random.integers(0, 256, size=(4, size), dtype=np.uint8)
            for place in scales:
                values = random.normal(size=4).astype(np.float16)
                blocks[:, place:place + 2] = values.view(np.uint8).reshape(4, 2)
            file.write(blocks.tobytes())
            file.write(gguf.dequantize(blocks, kind).astype("<f4").tobytes())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
