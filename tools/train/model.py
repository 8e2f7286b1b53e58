"""The architectures of LLaDA and Dream, small, in PyTorch.

Both are Llama's blocks with RoPE and attention in both directions. Dream's have biases on queries, keys and values, and
what stands at position i is predicted by the hidden state of i - 1.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Shape:
    vocabulary: int
    hidden: int = 256
    layers: int = 6
    heads: int = 8
    ffn: int = 768
    max_length: int = 4096
    rope_theta: float = 10_000.0
    epsilon: float = 1e-5
    family: str = "llada"  # or "dream"


class RootMeanSquareNorm(nn.Module):
    def __init__(self, hidden: int, epsilon: float):
        super().__init__()
        self.weight, self.epsilon = nn.Parameter(torch.ones(hidden)), epsilon

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), self.epsilon)


class Block(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        d = shape.hidden
        self.heads = shape.heads
        self.attention_norm, self.ffn_norm = RootMeanSquareNorm(d, shape.epsilon), RootMeanSquareNorm(d, shape.epsilon)
        self.query, self.key, self.value = (nn.Linear(d, d, bias=shape.family == "dream") for _ in range(3))
        self.out = nn.Linear(d, d, bias=False)
        self.gate, self.up = nn.Linear(d, shape.ffn, bias=False), nn.Linear(d, shape.ffn, bias=False)
        self.down = nn.Linear(shape.ffn, d, bias=False)

    def forward(self, x, cosine, sine):
        batch, length, d = x.shape

        def heads(linear, normed):
            return linear(normed).view(batch, length, self.heads, d // self.heads).transpose(1, 2)

        def rotate(t):
            a, b = t.chunk(2, -1)
            return torch.cat((a * cosine - b * sine, b * cosine + a * sine), -1)

        normed = self.attention_norm(x)
        q, k, v = rotate(heads(self.query, normed)), rotate(heads(self.key, normed)), heads(self.value, normed)
        # written out: on a CPU the backward pass of PyTorch's fused attention takes ten times as long at this size
        weights = torch.softmax(q @ k.transpose(-1, -2) * (d // self.heads) ** -0.5, -1).to(v.dtype)
        attended = (weights @ v).transpose(1, 2).reshape(batch, length, d)
        x = x + self.out(attended)
        normed = self.ffn_norm(x)
        return x + self.down(F.silu(self.gate(normed)) * self.up(normed))


def number_features(texts: list[str]) -> torch.Tensor:
    """[texts, features]: where the number stands in periods of its value and of its logarithm, and how many digits it has.

    Sums turn the former by an angle, products the latter, and both are what small models that learn arithmetic find.
    """
    value = torch.tensor([float(text) for text in texts])
    angles = [value * (2 * math.pi / period) for period in (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)]
    angles += [(value + 1).log2() * (2 * math.pi / period) for period in (1.25, 2.5, 5, 10, 20)]
    digits = [torch.tensor([float(len(text) == n) for text in texts]) for n in (1, 2, 3)]
    features = torch.stack([a.cos() for a in angles] + [a.sin() for a in angles] + digits, 1)
    return features / features.norm(dim=1, keepdim=True)


class MaskedDiffusionModel(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.hidden)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = RootMeanSquareNorm(shape.hidden, shape.epsilon)
        self.head = nn.Linear(shape.hidden, shape.vocabulary, bias=False)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
        with torch.no_grad():
            self.head.weight.copy_(self.embedding.weight)
            for block in self.blocks:
                block.out.weight.mul_((2 * shape.layers) ** -0.5)
                block.down.weight.mul_((2 * shape.layers) ** -0.5)
            self.prepare_for_copying()
        width = shape.hidden // shape.heads
        inverse = shape.rope_theta ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
        angles = torch.outer(torch.arange(shape.max_length, dtype=torch.float64), inverse)
        self.register_buffer("cosine", angles.cos().float(), persistent=False)
        self.register_buffer("sine", angles.sin().float(), persistent=False)

    def prepare_for_copying(self) -> None:
        """Starts the weights near a circuit that copies from the question, which training alone finds very late.

        Block 0: four heads look one and two positions to the left and right, by a channel that all tokens share and
        the fast pairs of RoPE, and write a projection of what stands there. Blocks 1 to 3: heads match equal contents
        in RoPE's slow pairs, so that a mask attends to where its neighbours stand elsewhere, and pass on what they see.
        """
        d, heads = self.shape.hidden, self.shape.heads
        width = d // heads
        pairs = width // 2
        self.embedding.weight[:, 0], self.head.weight[:, 0] = 0.12, 0.0
        near = self.blocks[0]
        for head, offset in enumerate((-1, 1, -2, 2)[:heads]):
            first = head * width
            near.query.weight[first : first + width].zero_()
            near.key.weight[first : first + width].zero_()
            for pair in range(min(5, pairs)):
                angle = offset * self.shape.rope_theta ** (-pair / pairs)
                near.query.weight[first + pair, 0] = 1.3 * math.cos(angle)
                near.query.weight[first + pair + pairs, 0] = 1.3 * math.sin(angle)
                near.key.weight[first + pair, 0] = 1.3
        nn.init.normal_(near.value.weight, std=d**-0.5)
        nn.init.normal_(near.out.weight, std=0.08)
        slow = pairs // 2
        for block in self.blocks[1:4]:
            for first in range(0, d, width):
                match = torch.randn(2 * slow, d) * 1.5 * d**-0.5
                match[:, 0] = 0
                for weight in (block.query.weight, block.key.weight):
                    weight[first + pairs - slow : first + pairs] += match[:slow]
                    weight[first + width - slow : first + width] += match[slow:]
            block.value.weight.add_(0.5 * torch.eye(d))
            block.out.weight.add_(0.5 * torch.eye(d))

    def prepare_numbers(self, ids: list[int], texts: list[str]) -> None:
        """Starts the embeddings of number tokens with what their values have in common, which else must be found out."""
        features = number_features(texts)
        with torch.no_grad():
            shared = features @ torch.randn(features.shape[1], self.shape.hidden) * 0.04
            shared[:, 0] = 0  # the channel of prepare_for_copying()
            self.embedding.weight[ids] += shared
            self.head.weight[ids] += shared

    def forward(self, tokens, rows=None):
        """Logits [rows, vocabulary] of the flattened positions `rows` of tokens [batch, length], or of all.

        Dream's of the first position are those of its own hidden state, as in its reference, and mean nothing.
        """
        x = self.embedding(tokens)
        if torch.is_autocast_enabled(x.device.type):
            x = x.bfloat16()
        cosine, sine = (t[: tokens.shape[1]].to(x.dtype) for t in (self.cosine, self.sine))
        for block in self.blocks:
            x = block(x, cosine, sine)
        x = x.reshape(-1, self.shape.hidden)
        if rows is None:
            rows = torch.arange(len(x), device=x.device)
        if self.shape.family == "dream":
            rows = torch.where(rows % tokens.shape[1] == 0, rows, rows - 1)
        return self.head(self.norm(x[rows]))
