"""Starts a model of Dream's architecture with the weights of one of LLaDA's."""

from dataclasses import replace

import torch
from model import MaskedDiffusionModel
from text import DREAM, LLADA
from tokenizers import Tokenizer

# what means the same in both chat formats
COUNTERPARTS = {DREAM.end: LLADA.end, DREAM.turn_end: LLADA.turn_end, DREAM.mask: LLADA.mask, "<|im_start|>": "<|start_header_id|>"}


def as_dream(llada: MaskedDiffusionModel, llada_tokenizer: Tokenizer, dream_tokenizer: Tokenizer) -> MaskedDiffusionModel:
    """A model that asks from position i what `llada` asks from i + 1: its queries are turned on by one position.

    So masks begin to attend as they did. Training must teach the rest: to predict from a token that is known, and to find
    what the other masks think one position further left.
    """
    shape = replace(llada.shape, vocabulary=dream_tokenizer.get_vocab_size(), family="dream")
    dream = MaskedDiffusionModel(shape)
    tokens = sorted(dream_tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    rows = [llada_tokenizer.token_to_id(COUNTERPARTS.get(token, token)) for token, _ in tokens]
    weights = {name: tensor.clone() for name, tensor in llada.state_dict().items()}
    for name in ("embedding.weight", "head.weight"):
        weights[name] = weights[name][rows]
    for i in range(shape.layers):
        name = f"blocks.{i}.query.weight"
        a, b = weights[name].view(shape.heads, 2, -1, shape.hidden).unbind(1)
        cosine, sine = llada.cosine[1][:, None], llada.sine[1][:, None]
        weights[name] = torch.stack((a * cosine - b * sine, b * cosine + a * sine), 1).view(shape.hidden, shape.hidden)
    dream.load_state_dict({**dream.state_dict(), **weights})
    return dream
