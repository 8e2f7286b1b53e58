"""What the soak asks, and what the right answers are: those of `fast-dllm generate`."""
import json
import pathlib
import subprocess
import tempfile

NAMES = ["Sam", "Olga", "Zoe", "Ben", "Ada", "Max"]
SETTINGS = [{}, {"gen_length": 64}, {"gen_length": 64, "block_length": 16}, {"threshold": 0.7},
            {"cache": "prefix", "gen_length": 64}, {"temperature": 0.7, "seed": 5},
            {"gen_length": 32, "eos_stop": False}, {"stop": ["rocks"]},
            {"tokens_per_forward": 2.5, "gen_length": 64}, {"gen_length": 96, "block_length": 8}]


class Case:
    """A request and its right answer: (text, finish reason, forwards)."""

    def __init__(self, path, body):
        self.path = path
        self.body = body
        self.expected = None


def question(i):
    return (f"{NAMES[i % 6]} has {10 + i} rocks and {NAMES[(i + 2) % 6]} has {2 + i % 7} more. "
            + "How many rocks do they have? " * (1 + i % 5))


def make_cases(count):
    """Chats, completions and infills in turn."""
    cases = []
    for i in range(count):
        settings = SETTINGS[i % len(SETTINGS)]
        if i % 5 == 4:
            cases.append(Case("/v1/infill", {
                "text": f"{NAMES[i % 6]} has <|hole:{2 + i % 9}|> rocks and <|hole:{4 + i % 5}|>.",
                "temperature": 0.5 * (i % 2), "seed": i}))
        elif i % 5 in (1, 3):
            cases.append(Case("/v1/completions", {"prompt": question(i), **settings}))
        else:
            cases.append(Case("/v1/chat/completions", {
                "messages": [{"role": "user", "content": question(i)}], **settings}))
    return cases


def offline_line(case):
    """The request as a line of a prompts file of `fast-dllm generate`."""
    line = {name: value for name, value in case.body.items() if name != "prompt"}
    if "prompt" in case.body:
        line.update(prompt=case.body["prompt"], raw=True)
    return json.dumps(line)


def answer_offline(binary, model, cases):
    """Sets the right answer of all cases but infills, which no other command makes."""
    offline = [case for case in cases if case.path != "/v1/infill"]
    with tempfile.TemporaryDirectory() as folder:
        prompts = pathlib.Path(folder) / "prompts.jsonl"
        prompts.write_text("".join(offline_line(case) + "\n" for case in offline),
                           encoding="utf-8")
        done = subprocess.run([str(binary), "generate", "--model", str(model), "--prompts",
                               str(prompts), "--json"],
                              capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        raise RuntimeError(f"fast-dllm generate: {done.stderr}")
    for case, line in zip(offline, done.stdout.splitlines(), strict=True):
        result = json.loads(line)
        case.expected = (result["text"], result["finish_reason"],
                         result["forwards"]["refresh"] + result["forwards"]["window"])


def text_of(choice):
    """The text of a choice of an answer or of a chunk, whatever the endpoint."""
    for part in ("message", "delta"):
        if part in choice:
            return choice[part].get("content") or ""
    return choice["text"]


def read_answer(body):
    """(text, finish reason, forwards) of an answer that isn't streamed."""
    answer = json.loads(body)
    choice = answer["choices"][0]
    return text_of(choice), choice["finish_reason"], answer["usage"]["forwards"]


class StreamedAnswer:
    """Puts the events of a stream together."""

    def __init__(self):
        self.text = ""
        self.reason = None
        self.forwards = None
        self.done = False

    def push(self, data):
        if data == b"[DONE]":
            self.done = True
            return
        chunk = json.loads(data)
        if "error" in chunk:
            raise ValueError(f"an error in the stream: {chunk['error']}")
        if chunk.get("usage"):
            self.forwards = chunk["usage"]["forwards"]
        if chunk["object"] == "infill":  # the whole answer, once more
            whole, self.reason, self.forwards = read_answer(data)
            if self.text != whole:
                raise ValueError(f"the pieces {self.text!r} are not the whole {whole!r}")
            return
        for choice in chunk["choices"]:
            self.text += text_of(choice)
            self.reason = choice["finish_reason"] or self.reason

    def result(self):
        if not self.done:
            raise ValueError("the stream ended without [DONE]")
        return self.text, self.reason, self.forwards
