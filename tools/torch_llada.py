"""Fast-dLLM decoding of LLaDA in plain PyTorch: what fast-dllm is compared with.

It is meant to be as fast as PyTorch lets a careful programmer be: inference_mode, fused q/k/v and
gate/up matrices, scaled_dot_product_attention, the same K/V reuse as fast-dllm (none, prefix,
dual), the head on masked rows only, vectorised rules, no per-row Python in a step, one wait for the
device a step, batches aligned on their right so that blocks share columns, rows that are done leave
the batch. Option `head` "all" does as the public Fast-dLLM code instead: logits of every row of the
forward, confidence from their softmax in float64.
"""
import itertools
import json
import math
import pathlib
import time

import torch
import torch.nn.functional as functional

# config.json of GSAI-ML/LLaDA-8B-Instruct, and of models/llada-nano.
SHAPES = {
    "llada-8b": {"d_model": 4096, "n_heads": 32, "n_kv_heads": 32, "n_layers": 32,
                 "mlp_hidden_size": 12288, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
                 "weight_tying": False, "vocab_size": 126464, "max_sequence_length": 4096,
                 "eos_token_id": 126081, "mask_token_id": 126336},
    "llada-nano": {"d_model": 128, "n_heads": 4, "n_kv_heads": 4, "n_layers": 4,
                   "mlp_hidden_size": 384, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
                   "weight_tying": False, "vocab_size": 544, "max_sequence_length": 512,
                   "eos_token_id": 539, "mask_token_id": 543},
}


class Llada:
    """The forward of one model; `tensors` by the names of LLaDA's checkpoints, of one device and
    type."""

    def __init__(self, config, tensors, end_tokens):
        self.layers = []
        for i in range(config["n_layers"]):
            layer = {name: tensors.pop(f"model.transformer.blocks.{i}.{name}.weight") for name in
                     ("attn_norm", "q_proj", "k_proj", "v_proj", "attn_out", "ff_norm", "ff_proj",
                      "up_proj", "ff_out")}
            layer["qkv"] = torch.cat([layer.pop(name) for name in ("q_proj", "k_proj", "v_proj")])
            layer["gate_up"] = torch.cat([layer.pop(name) for name in ("ff_proj", "up_proj")])
            self.layers.append(layer)
        self.embedding = tensors["model.transformer.wte.weight"]
        self.final_norm = tensors["model.transformer.ln_f.weight"]
        self.head = (self.embedding if config["weight_tying"]
                     else tensors["model.transformer.ff_out.weight"])
        self.heads, self.kv_heads = config["n_heads"], config["n_kv_heads"] or config["n_heads"]
        self.head_dim = config["d_model"] // self.heads
        self.vocab = config["vocab_size"]
        self.eps = config["rms_norm_eps"]
        self.mask_token = config["mask_token_id"]
        self.device = self.embedding.device
        self.end_tokens = torch.tensor(end_tokens, device=self.device)
        frequency = config["rope_theta"] ** (-torch.arange(0, self.head_dim, 2).double()
                                             / self.head_dim)
        angles = torch.outer(torch.arange(config["max_sequence_length"]).double(), frequency)
        angles = torch.cat([angles, angles], dim=1)
        self.cos, self.sin = (table.float().to(self.device) for table in
                              (angles.cos(), angles.sin()))

    @classmethod
    def open(cls, folder, device="cpu", dtype=torch.float32):
        """A checkpoint's folder."""
        from safetensors.torch import load_file  # random weights do without
        folder = pathlib.Path(folder)
        config = json.loads((folder / "config.json").read_text())
        generation = json.loads((folder / "generation_config.json").read_text())
        tensors = {name: tensor.to(device, dtype) for file in sorted(folder.glob("*.safetensors"))
                   for name, tensor in load_file(file).items()}
        ends = generation.get("eos_token_id", config["eos_token_id"])
        return cls(config, tensors, ends if isinstance(ends, list) else [ends])

    @classmethod
    def random(cls, config, device="cpu", dtype=torch.float32):
        """Weights from N(0, 0.02^2), norms of 1."""
        generator = torch.Generator(device).manual_seed(1)
        hidden, ffn, vocab = (config[name] for name in ("d_model", "mlp_hidden_size", "vocab_size"))
        kv = hidden // config["n_heads"] * config["n_kv_heads"]

        def matrix(rows, columns):
            return torch.empty((rows, columns), device=device, dtype=dtype).normal_(
                0, 0.02, generator=generator)

        tensors = {"wte": matrix(vocab, hidden), "ff_out": matrix(vocab, hidden),
                   "ln_f": torch.ones(hidden, device=device, dtype=dtype)}
        for i in range(config["n_layers"]):
            for name, size in (("q_proj", (hidden, hidden)), ("k_proj", (kv, hidden)),
                               ("v_proj", (kv, hidden)), ("attn_out", (hidden, hidden)),
                               ("ff_proj", (ffn, hidden)), ("up_proj", (ffn, hidden)),
                               ("ff_out", (hidden, ffn))):
                tensors[f"blocks.{i}.{name}"] = matrix(*size)
            for name in ("attn_norm", "ff_norm"):
                tensors[f"blocks.{i}.{name}"] = torch.ones(hidden, device=device, dtype=dtype)
        return cls(config, {f"model.transformer.{name}.weight": tensor
                            for name, tensor in tensors.items()}, [config["eos_token_id"]])

    def rope(self, x, cos, sin):
        low, high = x.chunk(2, dim=-1)
        return (x * cos + torch.cat([-high, low], dim=-1) * sin).to(x.dtype)

    def forward(self, ids, positions, cache, first, attend, wanted):
        """Runs columns [first, first + T) of a batch.

        ids, positions [B, T]; cache: per layer (K, V) [B, Hkv, L, Dh] whose query columns are
        overwritten, or an empty list that is filled (then first = 0, T = L); attend [B, 1, 1, L]
        or None: columns that exist; wanted [B, T]: rows to score, or None: all. Returns logits
        [rows, V] in f32.
        """
        batch, rows = ids.shape
        cos, sin = self.cos[positions].unsqueeze(1), self.sin[positions].unsqueeze(1)
        sizes = [self.heads * self.head_dim] + 2 * [self.kv_heads * self.head_dim]
        x = functional.embedding(ids, self.embedding)
        for i, layer in enumerate(self.layers):
            n = functional.rms_norm(x, x.shape[-1:], layer["attn_norm"], self.eps)
            q, k, v = (part.view(batch, rows, -1, self.head_dim).transpose(1, 2)
                       for part in functional.linear(n, layer["qkv"]).split(sizes, dim=-1))
            q, k = self.rope(q, cos, sin), self.rope(k, cos, sin)
            if len(cache) == i:
                cache.append((k, v.contiguous()))
            else:
                cache[i][0][:, :, first:first + rows] = k
                cache[i][1][:, :, first:first + rows] = v
            k, v = cache[i]
            if self.kv_heads != self.heads:
                k, v = (part.repeat_interleave(self.heads // self.kv_heads, 1) for part in (k, v))
            a = functional.scaled_dot_product_attention(q, k, v, attn_mask=attend)
            x = x + functional.linear(a.transpose(1, 2).reshape(batch, rows, -1),
                                      layer["attn_out"])
            n = functional.rms_norm(x, x.shape[-1:], layer["ff_norm"], self.eps)
            gate, up = functional.linear(n, layer["gate_up"]).chunk(2, dim=-1)
            x = x + functional.linear(functional.silu(gate) * up, layer["ff_out"])
        x = x.flatten(0, 1) if wanted is None else x[wanted]
        x = functional.rms_norm(x, x.shape[-1:], self.final_norm, self.eps)
        return functional.linear(x, self.head).float()


class Batch:
    """Requests with one set of options, decoded in lockstep by blocks.

    options: gen_length, block_length, cache, eos_stop, one of threshold, steps and
    tokens_per_forward (the others None or absent), head ("masked", the default, or "all").
    """

    def __init__(self, model, prompts, options):
        self.model, self.options, self.device = model, options, model.device
        self.count, self.gen = len(prompts), options["gen_length"]
        self.prompt = max(map(len, prompts))
        self.length = self.prompt + self.gen
        self.all_rows = options.get("head") == "all"
        ids = torch.full((self.count, self.length), model.mask_token)
        masked = torch.zeros((self.count, self.length), dtype=torch.bool)
        masked[:, self.prompt:] = True
        pads = torch.tensor([self.prompt - len(ids) for ids in prompts])
        for row, prompt in enumerate(prompts):
            ids[row, self.prompt - len(prompt):self.prompt] = torch.tensor(prompt)
        columns = torch.arange(self.length)
        self.ids, self.masked = ids.to(self.device), masked.to(self.device)
        self.positions = (columns - pads[:, None]).clamp(min=0).to(self.device)
        # Without padding no mask is given: SDPA is faster so.
        exists = (columns >= pads[:, None])[:, None, None, :] if pads.any() else None
        self.exists = None if exists is None else exists.to(self.device)
        self.forwards = torch.zeros(self.count, dtype=torch.long, device=self.device)
        # Counts and seconds of forwards of the whole canvas and of all others.
        self.times = {"refresh": [0, 0.0], "window": [0, 0.0]}

    def ended(self, rows):
        """Rows in which no mask precedes the first committed end token."""
        answer = self.ids[rows, self.prompt:]
        masked = self.masked[rows, self.prompt:]
        end = torch.isin(answer, self.model.end_tokens) & ~masked
        first = torch.where(end.any(1), end.long().argmax(1), self.gen)
        clean = masked.long().argmax(1) > first
        return end.any(1) & (clean | ~masked.any(1))

    def choose(self, logits):
        """Token and confidence of each row."""
        # The mask token counts in the softmax, but is never chosen.
        if self.all_rows:
            probabilities = logits.double().softmax(1)
            logits[:, self.model.mask_token] = -math.inf
            token = logits.argmax(1)
            return token, probabilities.gather(1, token[:, None])[:, 0].float()
        total = logits.logsumexp(1)
        logits[:, self.model.mask_token] = -math.inf
        best, token = logits.max(dim=1)
        return token, (best - total).exp()

    def step(self, rows, cache, first, last, block, quota):
        """One forward of columns [first, last) of `rows`, and what it commits in `block`."""
        begin, end = block
        masked = self.masked[rows, begin:end]
        wanted = None
        if not self.all_rows:
            wanted = torch.zeros((len(rows), last - first), dtype=torch.bool, device=self.device)
            wanted[:, begin - first:end - first] = masked
        attend = None if self.exists is None else self.exists[rows]
        token, sure = self.choose(self.model.forward(
            self.ids[rows, first:last], self.positions[rows, first:last], cache, first, attend,
            wanted))
        confidence = torch.full(masked.shape, -1.0, device=self.device)
        tokens = self.ids[rows, begin:end]
        if self.all_rows:
            token, sure = (x.view(len(rows), -1)[:, begin - first:end - first]
                           for x in (token, sure))
            tokens = torch.where(masked, token, tokens)
            confidence = torch.where(masked, sure, confidence)
        else:
            tokens[masked] = token
            confidence[masked] = sure
        if quota is not None:
            rank = confidence.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
            chosen = rank < quota
        else:
            chosen = confidence >= self.options["threshold"]
            chosen.scatter_(1, confidence.argmax(1, keepdim=True), True)
        chosen &= masked
        self.ids[rows, begin:end] = torch.where(chosen, tokens, self.ids[rows, begin:end])
        self.masked[rows, begin:end] = masked & ~chosen
        self.forwards[rows] += 1

    def quota(self, block, step):
        """Tokens that each row commits; None: a threshold decides."""
        rate = self.options.get("tokens_per_forward")
        if rate is not None:
            return math.floor((step + 1) * rate) - math.floor(step * rate)
        if self.options.get("threshold") is not None:
            return None
        steps = self.options["steps"] * self.options["block_length"] // self.gen
        size = block[1] - block[0]
        return size // steps + (step < size % steps)

    def live(self, rows):
        return rows[~self.ended(rows)] if self.options["eos_stop"] else rows

    def run(self):
        """Fills the canvases; returns the parts after the prompts [B, gen]."""
        size, kind = self.options["block_length"], self.options["cache"]
        rows = torch.arange(self.count, device=self.device)
        for begin in range(self.prompt, self.length, size):
            rows = self.live(rows)
            if not len(rows):
                break
            block = (begin, begin + size)
            active, cache = rows, []
            for step in itertools.count():
                start = time.perf_counter()
                first, last = (0, self.length) if kind == "none" or step == 0 else \
                    (begin, self.length if kind == "prefix" else begin + size)
                if kind == "none":
                    cache = []
                self.step(active, cache, first, last, block, self.quota(block, step))
                keep = self.masked[active, begin:begin + size].any(1)
                if self.options["eos_stop"]:
                    keep &= ~self.ended(active)
                kept = int(keep.sum())  # waits for the device
                times = self.times["refresh" if last - first == self.length else "window"]
                times[0] += 1
                times[1] += time.perf_counter() - start
                if kept == 0:
                    break
                if kept < len(active):
                    active = active[keep]
                    cache = [(k[keep], v[keep]) for k, v in cache]
        return self.ids[:, self.prompt:]


def decode(model, prompts, options):
    """Answers of all prompts, and the forwards that each took."""
    with torch.inference_mode():
        batch = Batch(model, prompts, options)
        return batch.run().tolist(), batch.forwards.tolist()
