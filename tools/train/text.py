"""The default model's tokenizer and chat template (LLaDA's special tokens; a number below 1,000 is one token)."""

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

DIGIT = r"\p{N}"
# digits in groups of three from the right, so that 1250 is 1 and 250
GROUP = r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))"
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|NUMBER| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PAIRS = [f"{n:02}" for n in range(100)]
NUMBERS = [*map(str, range(10)), *PAIRS, *(f"{n:03}" for n in range(1000))]
START, END, HEADER, HEADER_END, TURN_END, MASK = SPECIAL = (
    "<|startoftext|>", "<|endoftext|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|mdm_mask|>",
)
TEMPLATE = (
    "{% for message in messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)


def pieces(number: str) -> pre_tokenizers.PreTokenizer:
    """Splits a text into what tokens never cross. number: a regular expression for digits that may form a token."""
    split = pre_tokenizers.Split(Regex(PATTERN.replace("NUMBER", number)), "isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def with_numbers(tokenizer: Tokenizer) -> Tokenizer:
    """A tokenizer of single digits with every number of two and three digits as a token, also those that begin with zeros.

    A number of several tokens is hard for a small model that writes what is confident first: how many masks it gets is
    settled before it is known, and where a neighbouring digit is still a mask, which digit to copy is a guess.
    """
    description = json.loads(tokenizer.to_str())
    model, added = description["model"], NUMBERS[10:]
    first = len(model["vocab"])
    model["vocab"] |= {text: first + i for i, text in enumerate(added)}
    # whichever pair within three digits is merged first, the third joins it
    model["merges"] += [[text[:-1], text[-1]] for text in added] + [[text[0], text[1:]] for text in added if len(text) == 3]
    tokenizer = Tokenizer.from_str(json.dumps(description))
    tokenizer.pre_tokenizer = pieces(GROUP)
    return tokenizer


def train_tokenizer(texts, vocabulary: int) -> Tokenizer:
    """`vocabulary` counts all tokens but the numbers of two and three digits."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pieces(DIGIT)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary - len(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        ),
    )
    tokenizer = with_numbers(tokenizer)
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIAL])
    return tokenizer


def chat(turns: list[tuple[str, str]], question: str) -> str:
    """The prompt up to where the assistant's answer begins; `turns` are earlier (question, answer) pairs."""
    text = START
    for earlier, answer in turns:
        text += f"{HEADER}user{HEADER_END}\n\n{earlier}{TURN_END}{HEADER}assistant{HEADER_END}\n\n{answer}{TURN_END}"
    return text + f"{HEADER}user{HEADER_END}\n\n{question}{TURN_END}{HEADER}assistant{HEADER_END}\n\n"


def write_text_files(folder: Path, tokenizer: Tokenizer, max_length: int) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = dict(
        bos_token=START, eos_token=END, pad_token=END, mask_token=MASK, tokenizer_class="PreTrainedTokenizerFast",
        add_bos_token=False, clean_up_tokenization_spaces=False, model_max_length=max_length, chat_template=TEMPLATE,
    )
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n")
