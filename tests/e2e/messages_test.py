"""Messages with all that templates read of them: the server and the command line make of them what
jinja2 makes of the messages that Hugging Face's apply_chat_template is given."""
import datetime
import json
import pathlib
import sys
import unittest

try:
    import jinja2  # noqa: F401 (used by the oracle)
except ImportError as missing:
    print(f"skipped: {missing} (tools/requirements.txt names the package)")
    sys.exit(77)

from serve_support import Server
from support import ROOT, TestCase

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
from text_oracle_families import FAMILIES  # noqa: E402
from text_oracle_templates import environment  # noqa: E402

MODEL = ROOT / "models" / "llada-mini"
ARGUMENTS = {"place": "Zürich", "days": 2}
CALL = {"id": "abcdefghi", "type": "function",
        "function": {"name": "get_weather", "arguments": ARGUMENTS}}
SENT_CALL = {**CALL, "function": {"name": "get_weather", "arguments": json.dumps(ARGUMENTS)}}
PARTS = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]


def conversations(call):
    """With calls as clients send them, or as templates take them."""
    yield [{"role": "user", "content": "Hi"},
           {"role": "assistant", "content": None, "tool_calls": [call]},
           {"role": "tool", "content": "rain", "tool_call_id": "abcdefghi", "name": "get_weather"},
           {"role": "user", "content": "So?"}]
    yield [{"role": "user", "content": "Hi", "name": "ann"},
           {"role": "assistant", "content": "yes", "reasoning_content": "because"},
           {"role": "user", "content": "Why?"}]
    yield [{"role": "user", "content": PARTS}]


class Messages(TestCase):
    def tokens_of(self, server, body):
        status, _, answer = server.ask("/tokenize", body)
        return answer["tokens"] if status == 200 else None

    def test_templates_of_many_families(self):
        reference = environment()
        reference.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
        compared = 0
        for name, source in FAMILIES.items():
            file = self.write("template.jinja", source)
            with Server("--chat-template", file, model=MODEL) as server:
                pairs = zip(conversations(SENT_CALL), conversations(CALL))
                for sent, seen in pairs:
                    with self.subTest(template=name, messages=sent):
                        compared += self.compare(reference, server, source, sent, seen)
        self.assertGreater(compared, 1.5 * len(FAMILIES))

    def render(self, reference, source, messages):
        """None where the template refuses them."""
        config = json.loads((MODEL / "tokenizer_config.json").read_text(encoding="utf-8"))
        tokens = {name: config[name] for name in ("bos_token", "eos_token", "pad_token")}
        try:
            return reference.from_string(source).render(
                messages=messages, add_generation_prompt=True, tools=None, documents=None, **tokens)
        except Exception:  # whatever the template and Python raise
            return None

    def compare(self, reference, server, source, sent, seen):
        """Whether the template took the messages."""
        got = self.tokens_of(server, {"messages": sent})
        reads_calls = "tool_calls" in source
        if any("tool_calls" in message for message in sent) and not reads_calls:
            self.assertIsNone(got)
            return False
        wanted = self.render(reference, source, seen)
        if wanted is None or "'type'" in wanted:
            # It takes no list: the parts are one text.
            seen = [{**message, "content": "one\ntwo"} if message["content"] == PARTS else message
                    for message in seen]
            wanted = self.render(reference, source, seen)
        if wanted is None:
            self.assertIsNone(got)
            return False
        body = {"prompt": wanted, "add_special_tokens": False}
        self.assertEqual(got, self.tokens_of(server, body))
        return True

    def test_the_command_line_reads_the_same(self):
        file = self.write("template.jinja", FAMILIES["Qwen2.5"])
        (messages, *_) = conversations(SENT_CALL)
        line = self.write("prompts.jsonl", json.dumps({"messages": messages, "gen_length": 8}))
        (result,) = self.json_lines("generate", "--model", MODEL, "--chat-template", file,
                                    "--prompts", line, "--json")
        with Server("--chat-template", file, model=MODEL) as server:
            tokens = self.tokens_of(server, {"messages": messages})
        self.assertEqual(result["prompt_tokens"], len(tokens))
        refusal = self.fail_with(5, "generate", "--model", MODEL, "--prompts", line)
        self.assertIn("'messages[1].tool_calls'", refusal)


if __name__ == "__main__":
    unittest.main()
