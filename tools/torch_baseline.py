#!/usr/bin/env python3
"""Fast-dLLM decoding of a LLaDA checkpoint in plain PyTorch on the CPU: what fast-dllm is timed
against.

It is meant to be as fast as PyTorch lets a careful programmer be: float32, inference_mode, fused
q/k/v and gate/up matrices, scaled_dot_product_attention, the same K/V reuse as fast-dllm (none,
prefix, dual), the head on masked rows only, vectorised rules, no per-row Python in a step, batches
aligned on their right so that blocks share columns, rows that are done leave the batch, and the best
thread count of those tried.

  torch_baseline.py MODEL --check TRACES.jsonl     same tokens and forwards as the golden traces?
  torch_baseline.py MODEL --prompts F.jsonl [--batch 1 16] [--binary build/release/bin/fast-dllm]
"""
import argparse
import itertools
import json
import math
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import jinja2
import torch
import torch.nn.functional as functional
from safetensors.torch import load_file
from tokenizers import Tokenizer


class Llada:
    """The forward of one checkpoint."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        config = json.loads((folder / "config.json").read_text())
        generation = json.loads((folder / "generation_config.json").read_text())
        tensors = {name: tensor.float() for file in sorted(folder.glob("*.safetensors"))
                   for name, tensor in load_file(file).items()}
        self.layers = []
        for i in range(config["n_layers"]):
            layer = {name: tensors[f"model.transformer.blocks.{i}.{name}.weight"] for name in
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
        self.ffn = config["mlp_hidden_size"]
        self.eps = config["rms_norm_eps"]
        self.mask_token = config["mask_token_id"]
        ends = generation.get("eos_token_id", config["eos_token_id"])
        self.end_tokens = torch.tensor(ends if isinstance(ends, list) else [ends])
        frequency = config["rope_theta"] ** (-torch.arange(0, self.head_dim, 2).double()
                                             / self.head_dim)
        angles = torch.outer(torch.arange(config["max_sequence_length"]).double(), frequency)
        angles = torch.cat([angles, angles], dim=1)
        self.cos, self.sin = angles.cos().float(), angles.sin().float()

    def rope(self, x, cos, sin):
        low, high = x.chunk(2, dim=-1)
        return x * cos + torch.cat([-high, low], dim=-1) * sin

    def forward(self, ids, positions, cache, first, attend, wanted):
        """Runs columns [first, first + T) of a batch.

        ids, positions [B, T]; cache: per layer (K, V) [B, Hkv, L, Dh] whose query columns are
        overwritten, or an empty list that is filled (then first = 0, T = L); attend [B, 1, 1, L]
        or None: columns that exist; wanted [B, T]: rows to score. Returns logits [rows, V].
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
        x = functional.rms_norm(x[wanted], x.shape[-1:], self.final_norm, self.eps)
        return functional.linear(x, self.head)


class Batch:
    """Requests with one set of options, decoded in lockstep by blocks."""

    def __init__(self, model, prompts, options):
        self.model, self.options = model, options
        self.count, self.gen = len(prompts), options["gen_length"]
        self.prompt = max(map(len, prompts))
        self.length = self.prompt + self.gen
        self.ids = torch.full((self.count, self.length), model.mask_token)
        self.masked = torch.zeros((self.count, self.length), dtype=torch.bool)
        self.masked[:, self.prompt:] = True
        pads = torch.tensor([self.prompt - len(ids) for ids in prompts])
        for row, ids in enumerate(prompts):
            self.ids[row, self.prompt - len(ids):self.prompt] = torch.tensor(ids)
        columns = torch.arange(self.length)
        self.positions = (columns - pads[:, None]).clamp(min=0)
        # Without padding no mask is given: SDPA is faster so.
        self.exists = (columns >= pads[:, None])[:, None, None, :] if pads.any() else None
        self.forwards = torch.zeros(self.count, dtype=torch.long)

    def ended(self, rows):
        """Rows in which no mask precedes the first committed end token."""
        answer = self.ids[rows, self.prompt:]
        masked = self.masked[rows, self.prompt:]
        end = torch.isin(answer, self.model.end_tokens) & ~masked
        first = torch.where(end.any(1), end.long().argmax(1), self.gen)
        clean = masked.long().argmax(1) > first
        return end.any(1) & (clean | ~masked.any(1))

    def step(self, rows, cache, first, last, block, quota):
        """One forward of columns [first, last) of `rows`, and what it commits in `block`."""
        begin, end = block
        wanted = torch.zeros((len(rows), last - first), dtype=torch.bool)
        masked = self.masked[rows, begin:end]
        wanted[:, begin - first:end - first] = masked
        attend = None if self.exists is None else self.exists[rows]
        logits = self.model.forward(self.ids[rows, first:last], self.positions[rows, first:last],
                                    cache, first, attend, wanted)
        # The mask token counts in the softmax, but is never chosen.
        total = logits.logsumexp(1)
        logits[:, self.model.mask_token] = -math.inf
        best, token = logits.max(dim=1)
        confidence = torch.full(masked.shape, -1.0)
        confidence[masked] = (best - total).exp()
        tokens = self.ids[rows, begin:end]
        tokens[masked] = token
        if quota is not None:
            rank = confidence.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
            chosen = rank < quota[:, None]
        else:
            chosen = confidence >= self.options["threshold"]
            chosen.scatter_(1, confidence.argmax(1, keepdim=True), True)
        chosen &= masked
        where = rows[:, None].expand_as(chosen)[chosen]
        column = torch.arange(begin, end).expand_as(chosen)[chosen]
        self.ids[where, column] = tokens[chosen]
        self.masked[where, column] = False
        self.forwards[rows] += 1

    def quota(self, rows, block, step):
        if self.options["threshold"] is not None:
            return None
        steps = self.options["steps"] * self.options["block_length"] // self.gen
        size = block[1] - block[0]
        return torch.full((len(rows),), size // steps + (step < size % steps))

    def live(self, rows):
        return rows[~self.ended(rows)] if self.options["eos_stop"] else rows

    def run(self):
        """Fills the canvases; returns the parts after the prompts [B, gen]."""
        size, kind = self.options["block_length"], self.options["cache"]
        rows = torch.arange(self.count)
        for begin in range(self.prompt, self.length, size):
            rows = self.live(rows)
            if not len(rows):
                break
            block = (begin, begin + size)
            active, cache = rows, []
            for step in itertools.count():
                first, last = (0, self.length) if kind == "none" or step == 0 else \
                    (begin, self.length if kind == "prefix" else begin + size)
                if kind == "none":
                    cache = []
                self.step(active, cache, first, last, block, self.quota(active, block, step))
                keep = self.masked[active, begin:begin + size].any(1)
                if self.options["eos_stop"]:
                    keep &= ~self.ended(active)
                if not keep.any():
                    break
                if not keep.all():
                    active = active[keep]
                    cache = [(k[keep], v[keep]) for k, v in cache]
        return self.ids[:, self.prompt:]


def decode(model, prompts, options):
    with torch.inference_mode():
        batch = Batch(model, prompts, options)
        return batch.run().tolist(), batch.forwards.tolist()


def check(model, folder, path):
    """Decodes the traces that threshold and quota decoding can, one by one and all together."""
    with open(path, encoding="utf-8") as lines:
        traces = [json.loads(line) for line in lines]
    usable = [t for t in traces if t["model"] == folder.name and t["factor"] is None]
    groups = {}
    for trace in usable:
        options = {name: trace[name] for name in ("gen_length", "block_length", "cache",
                                                  "threshold", "steps")}
        groups.setdefault(json.dumps(options), []).append(trace)
    failed = 0
    for key, group in groups.items():
        options = {**json.loads(key), "eos_stop": False}
        prompts = [t["prompt_ids"] for t in group]
        alone = [decode(model, [ids], options) for ids in prompts]
        outputs, forwards = decode(model, prompts, options)
        for i, trace in enumerate(group):
            wanted = trace["output_ids"], len(trace["forwards"])
            for got in ((alone[i][0][0], alone[i][1][0]), (outputs[i], forwards[i])):
                if got != wanted:
                    failed += 1
                    print(f"differs from the trace: {key} {trace['question']}")
    print(f"{len(usable)} traces, alone and in batches ({len(traces) - len(usable)} of other rules "
          f"left out): {failed} differences")
    return 1 if failed or not usable else 0


def cut(ids, end_tokens):
    return list(itertools.takewhile(lambda token: token not in end_tokens, ids))


def time_torch(model, prompts, options, batch):
    """Decodes all prompts in batches; returns seconds and the answers' ids."""
    answers, ends = [], set(model.end_tokens.tolist())
    start = time.perf_counter()
    for i in range(0, len(prompts), batch):
        outputs, _ = decode(model, prompts[i:i + batch], options)
        answers += [cut(ids, ends) for ids in outputs]
    return time.perf_counter() - start, answers


def time_binary(binary, folder, prompts, options, batch, threads, weights):
    """The same by fast-dllm: one run with `batch` requests live at a time."""
    arguments = [binary, "generate", "--model", str(folder), "--json", "--weights", weights,
                 "--threads", str(threads), "--max-live-requests", str(batch),
                 "--cache", options["cache"], "--gen-length", str(options["gen_length"]),
                 "--block-length", str(options["block_length"]),
                 "--threshold", str(options["threshold"])]
    if not options["eos_stop"]:
        arguments.append("--no-eos-stop")
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps({"prompt_ids": ids}) + "\n" for ids in prompts)
        file.flush()
        run = subprocess.run(arguments + ["--prompts", file.name], check=True,
                             capture_output=True, text=True)
    results = [json.loads(line) for line in run.stdout.splitlines()]
    # Every request's clock starts when the run starts, so the last one's is the run's.
    return max(result["seconds"] for result in results), [result["ids"] for result in results]


def best_threads(model, prompts, options, batch):
    """The thread count of the fastest of two runs over a part of the prompts."""
    sample, seconds = prompts[:max(batch, 8)], {}
    for _ in range(2):
        for threads in range(1, (os.cpu_count() or 1) + 1):
            torch.set_num_threads(threads)
            taken, _ = time_torch(model, sample, options, batch)
            seconds[threads] = min(taken, seconds.get(threads, taken))
    return min(seconds, key=seconds.get)


def compare(model, folder, arguments):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    template = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(
        settings["chat_template"])
    prompts = []
    with open(arguments.prompts, encoding="utf-8") as lines:
        for line in lines:
            text = template.render(messages=[{"role": "user", "content": json.loads(line)["prompt"]}],
                                   bos_token=settings["bos_token"], add_generation_prompt=True)
            prompts.append(tokenizer.encode(text, add_special_tokens=False).ids)
    options = {"gen_length": arguments.gen_length, "block_length": arguments.block_length,
               "cache": arguments.cache, "threshold": arguments.threshold, "steps": None,
               "eos_stop": not arguments.no_eos_stop}
    print(f"{len(prompts)} prompts, {options}, torch {torch.__version__}")
    for batch in arguments.batch:
        threads = best_threads(model, prompts, options, batch)
        torch.set_num_threads(threads)
        theirs, ours, answers = [], {"f32": [], "bf16": []}, {}
        for _ in range(arguments.runs):
            seconds, expected = time_torch(model, prompts, options, batch)
            tokens = sum(map(len, expected))
            theirs.append(tokens / seconds)
            for weights in ours if arguments.binary else ():
                seconds, answers[weights] = time_binary(arguments.binary, folder, prompts, options,
                                                        batch, arguments.threads, weights)
                ours[weights].append(sum(map(len, answers[weights])) / seconds)
        print(f"batch {batch:2}: torch f32 {statistics.median(theirs):9.1f} tokens/s "
              f"({min(theirs):.1f} to {max(theirs):.1f}; {threads} threads)")
        for weights in answers:
            speeds = ours[weights]
            same = sum(a == b for a, b in zip(answers[weights], expected))
            print(f"     fast-dllm {weights:4} {statistics.median(speeds):9.1f} tokens/s "
                  f"({min(speeds):.1f} to {max(speeds):.1f}): "
                  f"{statistics.median(speeds) / statistics.median(theirs):.1f}x; "
                  f"{same} of {len(prompts)} answers the same")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--check", metavar="TRACES")
    parser.add_argument("--prompts", help="JSONL with a prompt a line (make_problems.py)")
    parser.add_argument("--binary", help="fast-dllm, to be timed in turn with PyTorch")
    parser.add_argument("--threads", type=int, default=0, help="fast-dllm's threads")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--gen-length", type=int, default=64)
    parser.add_argument("--block-length", type=int, default=32)
    parser.add_argument("--cache", default="dual", choices=["none", "prefix", "dual"])
    parser.add_argument("--threshold", type=float, default=0.9)
    parser.add_argument("--no-eos-stop", action="store_true")
    arguments = parser.parse_args()
    if not arguments.check and not arguments.prompts:
        parser.error("--check or --prompts is needed")
    folder = arguments.model.resolve()
    model = Llada(folder)
    if arguments.check and check(model, folder, arguments.check):
        return 1
    if arguments.prompts:
        compare(model, folder, arguments)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
