"""The tokenizer of the project's models (a number below 1,000 is one token) and the chat formats of LLaDA and Dream."""

import json
from dataclasses import dataclass
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


@dataclass(frozen=True)
class ChatFormat:
    """How a family writes a chat: its special tokens, and the same turns as a text and as a Jinja template."""

    special: tuple[str, ...]
    start: str | None  # bos_token
    end: str
    turn_end: str
    mask: str
    opening: str  # before the first turn
    header: str  # before a turn of {role}
    after_turn: str  # behind turn_end
    template: str

    def prompt(self, turns: list[tuple[str, str]], question: str) -> str:
        """The text up to where the assistant's answer begins; `turns` are earlier (question, answer) pairs."""
        said = [pair for turn in turns for pair in zip(("user", "assistant"), turn)] + [("user", question)]
        text = "".join(self.header.format(role=role) + content + self.turn_end + self.after_turn for role, content in said)
        return self.opening + text + self.header.format(role="assistant")


LLADA = ChatFormat(
    special=("<|startoftext|>", "<|endoftext|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|mdm_mask|>"),
    start="<|startoftext|>", end="<|endoftext|>", turn_end="<|eot_id|>", mask="<|mdm_mask|>",
    opening="<|startoftext|>", header="<|start_header_id|>{role}<|end_header_id|>\n\n", after_turn="",
    template=(
        "{% for message in messages %}"
        "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' %}"
        "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
    ),
)
SYSTEM = "You are a helpful assistant."
DREAM = ChatFormat(
    special=("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|mask|>"),
    start=None, end="<|endoftext|>", turn_end="<|im_end|>", mask="<|mask|>",
    opening=f"<|im_start|>system\n{SYSTEM}<|im_end|>\n", header="<|im_start|>{role}\n", after_turn="\n",
    template=(
        "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n" + SYSTEM + "<|im_end|>\n' }}{% endif %}"
        "{% for message in messages %}"
        "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
)
CHAT_FORMATS = {"llada": LLADA, "dream": DREAM}


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


def with_special_tokens(tokenizer: Tokenizer, special: tuple[str, ...]) -> Tokenizer:
    """`tokenizer` with these special tokens alone, behind all others."""
    description = json.loads(tokenizer.to_str())
    description["added_tokens"] = []
    tokenizer = Tokenizer.from_str(json.dumps(description))
    tokenizer.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in special])
    return tokenizer


def train_tokenizer(texts, vocabulary: int, special: tuple[str, ...]) -> Tokenizer:
    """`vocabulary` counts all tokens but the numbers of two and three digits."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pieces(DIGIT)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary - len(special), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        ),
    )
    return with_special_tokens(with_numbers(tokenizer), special)


def write_text_files(folder: Path, tokenizer: Tokenizer, chat: ChatFormat, max_length: int) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = dict(
        bos_token=chat.start, eos_token=chat.end, pad_token=chat.end, mask_token=chat.mask,
        tokenizer_class="PreTrainedTokenizerFast", add_bos_token=False, clean_up_tokenization_spaces=False,
        model_max_length=max_length, chat_template=chat.template,
    )
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n")
