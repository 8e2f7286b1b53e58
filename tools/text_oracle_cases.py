"""The strings, tokenizers, templates and conversations that text_oracle.py compares on.

Everything random comes from the seed that is handed in, so that a failure reproduces."""

import random
import unicodedata

PROSE = [
    "The quick brown fox jumps over the lazy dog. It's 5 o'clock; we'll see, don't you think?",
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May.",
    "Der Zug fährt um 7:45 Uhr ab – „pünktlich“, wie immer! Straße, Größe, ÄÖÜ.",
    "L'été à la plage, ça coûte 1 234,56 € par personne; œuvre, naïve, Noël.",
    "Быстрая коричневая лиса прыгает через ленивую собаку. Ёжик, объект, №5.",
    "Η γρήγορη καφετιά αλεπού πηδάει πάνω από το σκυλί.",
    "Tôi không biết tiếng Việt, nhưng đây là một câu ví dụ.",
    "I'M SHOUTING'S AND YOU'RE LISTENING, WE'VE GOT IT, I'LL GO, HE'D KNOW",
]
CODE = [
    "def f(x):\n    if x > 0:\n\t\treturn {'a': [1, 2.5e-3], \"b\": x ** 2}\n    # done\n",
    "for (int i = 0; i < n; ++i) { sum += a[i] * b[i]; }  // dot\r\n",
    "SELECT * FROM t WHERE id = 42 AND name LIKE '%x_%';\n\n\n",
    "<div class=\"a\">&nbsp;</div>\n<!-- no -->\n$\\frac{1}{2}$ \\begin{align}",
    "x=y+++z---1;//==!=<=>=&&||??::->=>...",
    "\\boxed{72}\n#### 72",
]
CJK = [
    "敏捷的棕色狐狸跳过懒狗。今天是2024年5月1日，天气晴朗！",
    "吾輩は猫である。名前はまだ無い。カタカナ、ひらがな、漢字。",
    "다람쥐 헌 쳇바퀴에 타고파. 한국어 텍스트 예시입니다.",
    "全角ＡＢＣ１２３　スペース",
]
RIGHT_TO_LEFT = [
    "الثعلب البني السريع يقفز فوق الكلب الكسول. ١٢٣٤٥",
    "مَرْحَبًا بِالعَالَمِ، كَيْفَ حَالُكَ؟",
    "השועל החום המהיר קופץ מעל הכלב העצלן. שָׁלוֹם",
    "فارسی: می‌خواهم ۱۲۳ کتاب بخرم.",
]
EMOJI = [
    "👩‍👩‍👧‍👦👍🏽🏳️‍🌈❤️‍🔥🇩🇪🇯🇵", "🧑🏿‍🚀 to the 🌕!", "1️⃣2️⃣#️⃣", "☺️☹︎♾", "🤷🏻‍♀️🤷🏻‍♀️ ok",
]
MARKS = [
    "e\u0301 e\u0301\u0323 \u1ec7 \u0344 \u212b \u2126 \ufb01 \u0958 \u0929\u093c",
    "\u1100\u1161\u11a8 \uac01 \u0061\u0315\u0300\u05ae\u0300\u0062",
    "नमस्ते दुनिया, यह हिंदी है। ०१२३", "ภาษาไทยไม่มีช่องว่าง", "தமிழ் எழுத்து", "Ǆ ǅ ǆ ﬀ ﬃ ſ K ı İ ß ẞ",
    "½ ¼ Ⅷ ⅷ ① ² ³ ㊿ 𝟘𝟙 𝒜𝓑 𐍈",
]
SPACES = [" ", "  ", "\t", "\n", "\r", "\r\n", "\n\n", "\v", "\f", "\x1c", "\x1f", "\x85", "\xa0", "\u1680",
          "\u180e", "\u2000", "\u2009", "\u200a", "\u200b", "\u2028", "\u2029", "\u202f", "\u205f", "\u2060",
          "\u3000", "\ufeff"]
BROKEN = [
    b"abc\xff\xfe def", b"\xe2\x82", b"caf\xe9", b"\xf0\x9f\x98", b"\xed\xa0\x80\xed\xb0\x80", b"\xc0\xaf..\xc0\xaf",
    b"\xf4\x90\x80\x80", b"\x80\x81\x82", b"ok \xe0\x80 ok", b"\xf8\x88\x80\x80\x80",
]


def known_code_point(rng):
    """A code point that Unicode 14, Python 3.11's, knows."""
    while True:
        value = rng.choice((rng.randrange(0x80), rng.randrange(0x800), rng.randrange(0x3000),
                            rng.randrange(0x10000), rng.randrange(0x20000), rng.randrange(0x110000)))
        if unicodedata.category(chr(value)) not in ("Cs", "Cn"):
            return chr(value)


def byte_strings(seed, count, special):
    """`count` byte strings of every kind; `special` are texts of added tokens."""
    rng = random.Random(seed)
    whole = PROSE + CODE + CJK + RIGHT_TO_LEFT + EMOJI + MARKS
    yield b""
    for text in whole + SPACES + special:
        yield text.encode()
    yield from BROKEN
    for length in (1, 2, 3, 7, 100, 5000):
        for unit in (" ", "\n", " \n", "\t ", "a", "ab", "1", "-", "é", "中", "\x00", "'", "'s", "👍"):
            yield (unit * length).encode()
            yield ("x" + unit * length + "y").encode()
    for value in range(0x20):
        yield f"a{chr(value)}b {chr(value)}{chr(value)}".encode()
    for text in special:
        yield (text * 3).encode()
        yield f"a {text} b\n{text}c {text[:-1]} {text[1:]} é{text}é".encode()

    def fragment():
        kind = rng.randrange(11)
        if kind == 0:
            return rng.choice(SPACES) * rng.choice((1, 1, 1, 2, 3, 9, 40))
        if kind == 1:
            return str(rng.randrange(10 ** rng.randrange(1, 15)))
        if kind == 2:
            return "".join(known_code_point(rng) for _ in range(rng.randrange(1, 6)))
        if kind == 3:
            return "".join(chr(rng.randrange(0x20)) for _ in range(rng.randrange(1, 4)))
        if kind == 4 and special:
            text = rng.choice(special)
            return rng.choice((text, text, text[:rng.randrange(len(text) + 1)], " " + text + " "))
        if kind == 5:
            return rng.choice(("'s", "'T", "'re", "'VE", "'m", "'ll", "'D", "'x", "’s", "'ſ"))
        if kind == 6:
            return "".join(rng.choice("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") for _ in range(rng.randrange(1, 8)))
        text = rng.choice(whole)
        start = rng.randrange(len(text))
        return text[start:start + rng.randrange(1, 25)]

    produced = 0
    while produced < count:
        text = "".join(fragment() for _ in range(rng.randrange(1, 8))).encode()
        if text and rng.randrange(8) == 0:  # damaged, to be replaced by U+FFFD
            damaged = bytearray(text)
            for _ in range(rng.randrange(1, 4)):
                damaged[rng.randrange(len(damaged))] = rng.randrange(0x80, 0x100)
            text = bytes(damaged)
        yield text
        produced += 1


QWEN2_PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                 r"|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3_PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                  r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def added(id, content, **flags):
    token = {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
    return token | flags


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def variants(base):
    """Name and tokenizer.json of variants of a shipped one that reach every supported kind."""
    def variant(**changes):
        return base | changes

    yield "llama3 pattern, ignore_merges, merges as strings", variant(
        pre_tokenizer=sequence(split({"Regex": LLAMA3_PATTERN}), BYTE_LEVEL),
        model=base["model"] | {"ignore_merges": True, "merges": [" ".join(m) for m in base["model"]["merges"]]},
        post_processor={"type": "Sequence", "processors": [BYTE_LEVEL]})
    yield "gpt2", variant(pre_tokenizer=BYTE_LEVEL | {"use_regex": True})
    yield "gpt2, prefix space, NFC", variant(
        normalizer={"type": "NFC"}, pre_tokenizer=BYTE_LEVEL | {"use_regex": True, "add_prefix_space": True})
    for individual in (False, True):
        yield f"digits, individual {individual}", variant(
            normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}]},
            pre_tokenizer=sequence({"type": "Digits", "individual_digits": individual},
                                   sequence(BYTE_LEVEL | {"use_regex": True})))
    patterns = ({"String": " "}, {"String": "a."}, {"Regex": r"\d"}, {"Regex": r"\s+"}, {"Regex": r"x*"},
                {"Regex": "[aeiou]|"}, {"Regex": "(?i)^the|e$|."})
    for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        for invert in (False, True):
            for pattern in patterns:
                yield f"split {pattern} {behavior} invert {invert}", variant(
                    pre_tokenizer=sequence(split(pattern, behavior, invert), BYTE_LEVEL))
    first = max(t["id"] for t in base["added_tokens"]) + 1
    contents = ["<a>", "<b>", "<a><b>", "é中", "中e\u0301x", "  ", "\n", "quick", "the", "中", "👍", "[S]", "<|"]
    for step in range(4):
        for number, normalizer in enumerate((None, {"type": "NFC"})):
            rng = random.Random(step)
            tokens = [added(first + i, c, **{name: rng.random() < 0.4 for name in
                                             ("single_word", "lstrip", "rstrip", "normalized", "special")})
                      for i, c in enumerate(contents)]
            yield f"added tokens {step} {'NFC' if number else 'plain'}", variant(
                normalizer=normalizer, added_tokens=base["added_tokens"] + tokens)
