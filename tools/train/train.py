"""Trains the project's models: small masked diffusion language models of LLaDA's or Dream's architecture (see README.md).

usage: train.py FOLDER --minutes M [--decay-minutes D] [--family llada|dream] [--from CHECKPOINT]
Starts a run, or continues the one in FOLDER/state.pt. With --from a new run starts with the weights, the tokenizer
(unless FOLDER has one), the shape and the record of a checkpoint written by this program, past the exercises of the
beginning; a checkpoint of LLaDA's family is turned into one of Dream's if that is asked for. The learning rate is
constant until the last D minutes and then falls to zero. FOLDER/checkpoint is written in the layout of the Hugging Face
checkpoints at the end, also on SIGTERM, and every --save-minutes together with the state to continue from.
"""

import argparse
import json
import random
import signal
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from adapt import as_dream
from checkpoint import read_shape, read_weights, write_checkpoint
from equations import Equations
from model import MaskedDiffusionModel, Shape
from problems import Mixture
from text import CHAT_FORMATS, NUMBERS, ChatFormat, train_tokenizer, with_special_tokens, write_text_files
from tokenizers import Tokenizer

WORDED = {"gsm_symbolic": 0.85, "simple": 0.12, "recall": 0.03}
ARITHMETIC = {"chain_sum": 0.2, "basic_arithmetic": 0.5, "drill": 0.3}
# of random tokens; a piece whose neighbours are masked as well can't be known, so that it won't go far below
COPYING_LEARNT = 2.2
# so many steps on lists of equations come first, as four of five; the loss there has no floor to wait for
EQUATION_STEPS, EQUATIONS_BEFORE = 1_500, 0.8
BLOCK_LENGTHS = (8, 16, 32, 32, 32, 64)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--decay-minutes", type=float, default=0)
    parser.add_argument("--save-minutes", type=float, default=10)
    parser.add_argument("--family", choices=CHAT_FORMATS, help="default: that of --from, or llada")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=4096, help="canvas positions in a step")
    parser.add_argument("--hidden", type=int, default=192)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--ffn", type=int, default=576)
    parser.add_argument("--vocabulary", type=int, default=2048, help="without the numbers of two and three digits")
    parser.add_argument("--muon", type=float, default=0.005, help="learning rate of the matrices inside the blocks")
    parser.add_argument("--copying", type=float, default=0.01, help="share of steps on copying once that is learnt; all before")
    parser.add_argument("--equations", type=float, default=0.35, help="share of the other steps on lists of equations after the first ones")
    parser.add_argument("--arithmetic", type=float, default=0.3, help="share of the remaining steps on bare arithmetic")
    parser.add_argument("--adam", type=float, default=1.3e-3, help="learning rate of everything else")
    parser.add_argument("--long", type=float, default=0.0, help="share of steps with few-shot prompts and long canvases")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--from", dest="origin", type=Path, metavar="CHECKPOINT", help="a checkpoint to begin with, such as models/llada-mini")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="torch.compile: a fifth faster; needs a C++ compiler")
    return parser.parse_args()


class Examples:
    """Endless batches of (canvas, prompt length, answer length) of one length each, filled up with end tokens."""

    def __init__(self, tokenizer: Tokenizer, chat: ChatFormat, seed: int, weights: dict[str, float], step_tokens: int, long_share: float):
        self.mixture, self.random, self.tokenizer, self.chat = Mixture(seed, weights), random.Random(seed), tokenizer, chat
        self.step_tokens, self.long_share, self.ready = step_tokens, long_share, []
        self.end, self.turn_end = (tokenizer.token_to_id(t) for t in (chat.end, chat.turn_end))

    def encode(self, shots: int) -> tuple[list[int], list[int]]:
        turns = [(p.question, p.solution) for p in (self.mixture.next() for _ in range(shots))]
        problem = self.mixture.next()
        prompt = self.tokenizer.encode(self.chat.prompt(turns, problem.question)).ids
        return prompt, [*self.tokenizer.encode(problem.solution).ids, self.turn_end]

    def pool(self) -> list[tuple[torch.Tensor, list[int], list[int]]]:
        long = self.random.random() < self.long_share
        pool = [self.encode(self.random.randrange(1, 11) if long else 0) for _ in range(64 if long else 512)]
        pool.sort(key=lambda e: len(e[0]) + len(e[1]))
        batches, first = [], 0
        while first < len(pool):
            tail = 0
            if self.random.random() < 0.25:
                tail = self.random.choice((32, 64, 96, 128, 192))
            if long and self.random.random() < 0.5:
                tail = self.random.choice((128, 256, 512, 768, 1024))
            last = first + 1
            while last < len(pool):
                length = len(pool[last][0]) + len(pool[last][1]) + tail
                if length * (last + 1 - first) > self.step_tokens:
                    break
                last += 1
            rows = pool[first:last]
            length = max(len(p) + len(a) for p, a in rows) + tail
            canvas = torch.full((len(rows), length), self.end)
            for i, (prompt, answer) in enumerate(rows):
                canvas[i, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
            batches.append((canvas, [len(p) for p, _ in rows], [len(a) for _, a in rows]))
            first = last
        self.random.shuffle(batches)
        return batches

    def next(self):
        if not self.ready:
            self.ready = self.pool()
        return self.ready.pop()


def noise_of_numbers(canvas, is_digit, r: random.Random) -> torch.Tensor:
    """[batch, length] in [0, 1): at digits one random value for each number, the same wherever it stands."""
    begins = is_digit & ~F.pad(is_digit, (1, 0))[:, :-1]
    index = torch.arange(canvas.shape[1]).expand_as(canvas)
    place = index - torch.where(begins, index, 0).cummax(1).values
    number = begins.cumsum(1)
    digit = torch.where(is_digit, (canvas + 1) * torch.tensor(0x9E3779B97F4A7C15 - 2**64) ** (place + 1), 0)
    value = torch.zeros_like(canvas).scatter_add_(1, number, digit).gather(1, number)
    mixed = (value ^ (value >> 29)) * (r.getrandbits(62) | 1)
    return ((mixed >> 20) & 0xFFFFFF).float() / 2**24


def masks(canvas, prompts, answers, digits, r: random.Random, generator) -> tuple[torch.Tensor, torch.Tensor]:
    """(masked [batch, length] bool, weight [batch, length]: of each position's cross-entropy). digits: token ids.

    Half of the examples look as block-wise decoding sees them: what precedes a block is clean, the block is partly
    masked and all after it is; the block counts, and a little of what follows. In half of these the words of the block
    are rarely masked and its digits often, since decoding by confidence writes what is easy first and leaves the
    numbers. A fifth of the examples lack whole numbers, each wherever the answer has it, so that it must be computed
    and can't be copied, and hardly a word. The others are masked over the whole answer as in LLaDA's recipe, a third
    of them, more where the prompt has solved examples, in the prompt too, where names and things recur.
    """
    batch, length = canvas.shape
    masked = torch.zeros(batch, length, dtype=torch.bool)
    counted = torch.zeros(batch, length)
    noise = torch.rand(batch, length, generator=generator)
    is_digit = torch.isin(canvas, digits)
    number_noise = noise_of_numbers(canvas, is_digit, r)
    offset, order = r.random(), r.sample(range(batch), batch)
    for i, (prompt, answer) in enumerate(zip(prompts, answers)):
        ratio = max(0.02, (order[i] + offset) / batch)
        # of many solved examples often all, so that each answer must find its own question among them
        kind = 0.95 if prompt > 512 and r.random() < 0.4 else r.random()
        if kind < 0.5:
            block = r.choice(BLOCK_LENGTHS)
            # now and then of the end tokens, which must be sure wherever they are
            reach = length - prompt if r.random() < 0.1 else answer
            begin = prompt + r.randrange((reach - 1) // block + 1) * block
            end = min(begin + block, length)
            chance = torch.full((end - begin,), ratio)
            if r.random() < 0.5:
                chance = torch.where(is_digit[i, begin:end], 0.3 + 0.7 * ratio, 0.4 * ratio)
            inside = noise[i, begin:end] < chance
            if not inside.any():
                inside[r.randrange(end - begin)] = True
            masked[i, begin:end], masked[i, end:] = inside, True
            counted[i, begin:end] = inside.float()
            counted[i, end : min(end + 32, prompt + answer)] = 0.2
        elif kind < 0.7:
            chance = torch.where(is_digit[i], 0.15 + 0.75 * ratio, 0.1)
            masked[i, prompt:] = (torch.where(is_digit[i], number_noise[i], noise[i]) < chance)[prompt:]
            counted[i] = masked[i].float()
            counted[i, prompt + answer :] = 0
        else:
            begin = prompt if kind < 0.9 else 0
            masked[i, begin:] = noise[i, begin:] < ratio * (1 if begin else 0.7)
            counted[i] = masked[i].float()
            counted[i, prompt + answer :] *= 0.2
    # the mean over an example's masked positions is LLaDA's weight 1/t; the constant tames examples with one or two
    return masked, counted / (counted.sum(1, keepdim=True) + 3) / batch


def copying(r: random.Random, generator, vocabulary: int, step_tokens: int):
    """(canvas, masked, weight) of random tokens below `vocabulary` whose second half holds the pieces of the first in another order.

    Nothing but attention to equal neighbours predicts them, so that this is learnt in its purest form first.
    """
    half = r.choice((24, 32, 48, 64))
    batch = step_tokens // (2 * half)
    first = torch.randint(0, vocabulary, (batch, half), generator=generator)
    cuts = [0, *sorted(r.sample(range(1, half), r.randrange(1, half // 6))), half]
    pieces = list(zip(cuts, cuts[1:]))
    r.shuffle(pieces)
    order = torch.tensor([i for begin, end in pieces for i in range(begin, end)])
    canvas = torch.cat((first, first[:, order]), 1)
    ratio = 0.1 + 0.7 * torch.rand(batch, 1, generator=generator)
    masked = torch.rand(batch, 2 * half, generator=generator) < ratio
    masked[:, :half] = False
    return canvas, masked, masked.float() / max(1, int(masked.sum()))


def untrained(a: argparse.Namespace, tokenizer_file: Path) -> tuple[MaskedDiffusionModel, Tokenizer]:
    family = a.family or "llada"
    if tokenizer_file.exists():
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
    else:
        sample = Mixture(99, {**WORDED, **{task: weight / 3 for task, weight in ARITHMETIC.items()}})
        texts = (f"user\n\n{p.question}assistant\n\n{p.solution}" for p in (sample.next() for _ in range(30_000)))
        tokenizer = train_tokenizer(texts, a.vocabulary, CHAT_FORMATS[family].special)
    model = MaskedDiffusionModel(Shape(tokenizer.get_vocab_size(), a.hidden, a.layers, a.hidden // 32, a.ffn, family=family))
    model.prepare_numbers([tokenizer.token_to_id(text) for text in NUMBERS], NUMBERS)
    return model, tokenizer


def started_from(origin: Path, family: str | None, tokenizer_file: Path) -> tuple[MaskedDiffusionModel, Tokenizer]:
    model = MaskedDiffusionModel(read_shape(origin))
    read_weights(origin, model)
    own = Tokenizer.from_file(str(origin / "tokenizer.json"))
    if (model.shape.family, family) == ("llada", "dream"):
        tokenizer = with_special_tokens(own, CHAT_FORMATS[family].special)
        return as_dream(model, own, tokenizer), tokenizer
    return model, Tokenizer.from_file(str(tokenizer_file)) if tokenizer_file.exists() else own


def main() -> None:
    a = arguments()
    a.folder.mkdir(parents=True, exist_ok=True)
    if a.threads:
        torch.set_num_threads(a.threads)
    state_file, tokenizer_file = a.folder / "state.pt", a.folder / "tokenizer.json"
    state = torch.load(state_file, weights_only=False, map_location=a.device) if state_file.exists() else None
    origin = a.origin if not state else None
    torch.manual_seed(a.seed)
    if state:
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
        model = MaskedDiffusionModel(state["shape"])
    else:
        model, tokenizer = started_from(origin, a.family, tokenizer_file) if origin else untrained(a, tokenizer_file)
    shape = model.shape
    if a.family not in (None, shape.family):
        sys.exit(f"{a.folder if state else origin}: holds a model of the family {shape.family}; --family {a.family} needs another")
    tokenizer.save(str(tokenizer_file))
    model.to(a.device)
    chat = CHAT_FORMATS[shape.family]
    inside = [p for n, p in model.named_parameters() if n.startswith("blocks.") and p.dim() == 2]
    rest = [p for p in model.parameters() if not any(p is q for q in inside)]
    optimizers = [
        torch.optim.Muon(inside, lr=a.muon, momentum=0.95, weight_decay=0.01, adjust_lr_fn="original"),
        torch.optim.AdamW(rest, lr=a.adam, betas=(0.9, 0.95), weight_decay=0.01),
    ]
    step = tokens = 0
    minutes_before, average = 0.0, None
    copy_loss, copying_learnt, equation_steps = 10.0, False, 0
    if state:
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        step, tokens, minutes_before, average = (state[k] for k in ("step", "tokens", "minutes", "average"))
        copy_loss, copying_learnt, equation_steps = state["stage"]
    losses = []
    if state:
        losses = json.loads((a.folder / "checkpoint" / "training.json").read_text())["loss"]
    elif origin:
        record = json.loads((origin / "training.json").read_text())
        step, tokens, minutes_before, losses = (record[k] for k in ("steps", "canvas_positions", "minutes", "loss"))
        copy_loss, copying_learnt, equation_steps = losses[-1][-1], True, EQUATION_STEPS
    average = average or {n: p.detach().clone() for n, p in model.named_parameters()}
    mask_id, end, turn_end = (tokenizer.token_to_id(t) for t in (chat.mask, chat.end, chat.turn_end))
    digits = torch.tensor([tokenizer.token_to_id(text) for text in NUMBERS])
    # each continuation draws new problems
    worded = Examples(tokenizer, chat, a.seed + step, WORDED, a.tokens, a.long)
    equations = Equations(tokenizer, a.seed + step, a.tokens)
    arithmetic = Examples(tokenizer, chat, a.seed + step, ARITHMETIC, a.tokens, a.long)
    r, generator = random.Random(a.seed + step), torch.Generator().manual_seed(a.seed + step)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, vocabulary {shape.vocabulary}, from step {step}", flush=True)

    def save() -> None:
        minutes = minutes_before + (time.time() - started) / 60
        new = dict(shape=shape, model=model.state_dict(), optimizers=[o.state_dict() for o in optimizers], step=step,
                   tokens=tokens, minutes=minutes, average=average,
                   stage=(copy_loss, copying_learnt, equation_steps))
        torch.save(new, state_file.with_suffix(".new"))
        state_file.with_suffix(".new").replace(state_file)
        folder = a.folder / "checkpoint"
        folder.mkdir(exist_ok=True)
        write_text_files(folder, tokenizer, chat, shape.max_length)
        write_checkpoint(folder, model, average, end, turn_end, mask_id)
        record = dict(steps=step, canvas_positions=tokens, minutes=round(minutes), loss=losses, seed=a.seed)
        (folder / "training.json").write_text(json.dumps(record, indent=1) + "\n")

    logits_of = torch.compile(model, dynamic=True) if a.compile else model
    started = saved_at = time.time()
    first_step, recent, stopped = step, {worded: [], arithmetic: [], equations: []}, []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    while not stopped and (elapsed := (time.time() - started) / 60) < a.minutes:
        left = a.minutes - elapsed
        schedule = min(1.0, (step + 1) / 100, (step - first_step + 1) / 20)
        if a.decay_minutes and left < a.decay_minutes:
            schedule *= max(0.01, left / a.decay_minutes)
        for optimizer, rate in zip(optimizers, (a.muon, a.adam)):
            for group in optimizer.param_groups:
                group["lr"] = rate * schedule
        copying_learnt = copying_learnt or copy_loss < COPYING_LEARNT
        copies = not copying_learnt or r.random() < a.copying
        if copies:
            canvas, masked, weight = copying(r, generator, shape.vocabulary - len(chat.special), a.tokens)
        elif r.random() < (a.equations if equation_steps >= EQUATION_STEPS else EQUATIONS_BEFORE):
            examples = equations
            equation_steps += 1
            canvas, masked, counted = equations.next()
            weight = counted.float() / int(counted.sum())
        else:
            examples = arithmetic if r.random() < a.arithmetic else worded
            canvas, prompts, answers = examples.next()
            masked, weight = masks(canvas, prompts, answers, digits, r, generator)
        if shape.family == "dream":
            weight[:, 0] = 0  # nothing precedes it that could predict it
        shown = torch.where(masked, mask_id, canvas).to(a.device)
        rows = weight.flatten().nonzero().squeeze(1).to(a.device)
        with torch.autocast(a.device, dtype=torch.bfloat16):
            logits = logits_of(shown, rows)
        target, weight = canvas.to(a.device).flatten()[rows], weight.to(a.device).flatten()[rows]
        loss = (F.cross_entropy(logits.float(), target, reduction="none") * weight).sum()
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        step += 1
        tokens += canvas.numel()
        keep = min(0.998, 1 - 1 / (step + 1))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                average[name].lerp_(parameter, 1 - keep)
        mean = (loss / weight.sum()).item()
        if copies:
            copy_loss = 0.95 * copy_loss + 0.05 * mean
        else:
            recent[examples].append(mean)
        if step % 100 == 0:
            means = [round(sum(values) / len(values), 4) if values else None for values in recent.values()]
            losses.append([step, *means, round(copy_loss, 4)])
            for values in recent.values():
                values.clear()
            print(f"{elapsed:.1f} min, step {step}, {tokens / 1e6:.1f} M positions, loss of worded problems {means[0]}, "
                  f"of arithmetic {means[1]}, of equations {means[2]}, of copying {copy_loss:.3f}", flush=True)
        if time.time() - saved_at > a.save_minutes * 60:
            save()
            saved_at = time.time()
    save()


if __name__ == "__main__":
    main()
