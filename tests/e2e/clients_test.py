"""The server through the clients that people use: openai, langchain-openai, litellm, lm-eval."""
import concurrent.futures
import json
import os
import subprocess
import sys
import time
import unittest

try:
    import langchain_openai
    import lm_eval  # noqa: F401 (run as a program below)
    import openai
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # nothing from the network
    import litellm
    litellm.suppress_debug_info = True
except ImportError as missing:
    print(f"skipped: {missing} (tools/requirements-clients.txt names the packages)")
    sys.exit(77)

from serve_support import CHAT, LONG, Server
from support import QUESTION, TestCase

MESSAGES = CHAT["messages"]
LONG_FIELDS = {name: value for name, value in LONG.items() if name != "messages"}


class ClientCase(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--api-key", "secret", "--model-name", "nano")
        cls.base = cls.server.url + "/v1"
        cls.headers = {"Authorization": "Bearer secret"}
        status, _, answer = cls.server.ask("/v1/chat/completions", CHAT, headers=cls.headers)
        assert status == 200, answer
        cls.text = answer["choices"][0]["message"]["content"]

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def live(self):
        text = self.server.ask("/metrics", headers=self.headers)[2]
        return int(text.split("\nfastdllm_requests_live ")[1].split()[0])

    def wait_for_live(self, condition):
        end = time.monotonic() + 20
        while not condition(self.live()):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)


class OpenAi(ClientCase):
    def setUp(self):
        super().setUp()
        self.client = openai.OpenAI(base_url=self.base, api_key="secret", max_retries=0)
        self.addCleanup(self.client.close)

    def test_models(self):
        self.assertEqual([model.id for model in self.client.models.list()], ["nano"])
        self.assertEqual(self.client.models.retrieve("nano").id, "nano")

    def test_chat(self):
        answer = self.client.chat.completions.create(model="nano", messages=MESSAGES)
        self.assertEqual(answer.choices[0].message.content, self.text)
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertEqual(answer.usage.total_tokens,
                         answer.usage.prompt_tokens + answer.usage.completion_tokens)
        self.assertGreater(answer.usage.forwards, 0)

    def test_chat_stream(self):
        text, usage, reasons = "", None, []
        with self.client.chat.completions.create(
                model="nano", messages=MESSAGES, stream=True,
                stream_options={"include_usage": True}) as stream:
            for chunk in stream:
                usage = chunk.usage or usage
                for choice in chunk.choices:
                    text += choice.delta.content or ""
                    reasons += [choice.finish_reason] if choice.finish_reason else []
        self.assertEqual((text, reasons), (self.text, ["stop"]))
        self.assertGreater(usage.completion_tokens, 10)

    def test_answers_go_back_into_the_history(self):
        first = self.client.chat.completions.create(model="nano", messages=MESSAGES)
        again = [*MESSAGES, first.choices[0].message, {"role": "user", "content": "And now?"}]
        plain = [*MESSAGES, {"role": "assistant", "content": self.text}, again[-1]]
        answers = [self.client.chat.completions.create(model="nano", messages=messages)
                   for messages in (again, plain)]
        self.assertEqual(answers[0].choices[0].message.content,
                         answers[1].choices[0].message.content)
        self.assertEqual(answers[0].usage.prompt_tokens, answers[1].usage.prompt_tokens)

    def test_a_suffix(self):
        parts = {"prompt": "Sam has 18 rocks and Olga has ", "suffix": " more rocks than Sam."}
        answer = self.client.completions.create(model="nano", max_tokens=3, **parts)
        self.assertEqual(answer.usage.completion_tokens, 3)
        stream = self.client.completions.create(model="nano", max_tokens=3, stream=True, **parts)
        self.assertEqual("".join(chunk.choices[0].text for chunk in stream),
                         answer.choices[0].text)

    def test_seeds_are_signed(self):
        texts = [self.client.chat.completions.create(
            model="nano", messages=MESSAGES, temperature=1, seed=seed).choices[0].message.content
            for seed in (-7, -7)]
        self.assertEqual(*texts)

    def test_denoising_in_a_stream(self):
        stream = self.client.chat.completions.create(
            model="nano", messages=MESSAGES, stream=True,
            stream_options={"denoising": True}, extra_body={"threshold": 0.8})
        events = [chunk.denoising for chunk in stream if hasattr(chunk, "denoising")]
        self.assertIn("canvas", events[0])
        self.assertEqual([event["step"] for event in events[1:]], list(range(len(events) - 1)))

    def test_several_answers_and_logprobs(self):
        answer = self.client.chat.completions.create(
            model="nano", messages=MESSAGES, n=3, temperature=0.9, seed=1, max_tokens=16,
            logprobs=True)
        self.assertEqual([choice.index for choice in answer.choices], [0, 1, 2])
        self.assertGreater(len({choice.message.content for choice in answer.choices}), 1)
        for choice in answer.choices:
            self.assertLessEqual(len(choice.logprobs.content), 16)
            text = b"".join(bytes(token.bytes) for token in choice.logprobs.content)
            self.assertEqual(text.decode(errors="replace"), choice.message.content)

    def test_completions(self):
        answer = self.client.completions.create(
            model="nano", prompt=["Sam has", "Olga has"], n=2, echo=True, max_tokens=8)
        self.assertEqual(len(answer.choices), 4)
        for choice in answer.choices:
            self.assertTrue(choice.text.startswith(["Sam has", "Olga has"][choice.index // 2]))
        ids = self.server.ask("/tokenize", {"prompt": "Sam has"}, headers=self.headers)[2]["tokens"]
        by_ids = self.client.completions.create(model="nano", prompt=ids, max_tokens=8, echo=True)
        self.assertEqual(by_ids.choices[0].text, answer.choices[0].text)
        streamed = self.client.completions.create(model="nano", prompt=ids, max_tokens=8, echo=True,
                                                  stream=True)
        self.assertEqual("".join(chunk.choices[0].text for chunk in streamed),
                         answer.choices[0].text)

    def test_errors(self):
        create = self.client.chat.completions.create
        with self.assertRaises(openai.BadRequestError) as caught:
            create(model="nano", messages=MESSAGES, extra_body={"gen_length": -33})
        self.assertEqual(caught.exception.param, "gen_length")
        with self.assertRaises(openai.BadRequestError) as caught:
            create(model="nano", messages=MESSAGES, tools=[{"type": "function", "function": {
                "name": "f", "parameters": {}}}])
        self.assertEqual(caught.exception.param, "tools")
        with self.assertRaises(openai.NotFoundError):
            create(model="gpt-4o", messages=MESSAGES)
        with self.assertRaises(openai.AuthenticationError):
            openai.OpenAI(base_url=self.base, api_key="wrong", max_retries=0).models.list()
        with self.assertRaises(openai.NotFoundError):
            self.client.embeddings.create(model="nano", input="a")

    def test_a_timeout_frees_the_request(self):
        with self.assertRaises(openai.APITimeoutError):
            self.client.with_options(timeout=0.3).chat.completions.create(
                model="nano", messages=MESSAGES, n=60, extra_body=LONG_FIELDS)
        self.wait_for_live(lambda live: live == 0)

    def test_closing_a_stream_frees_the_request(self):
        stream = self.client.chat.completions.create(model="nano", messages=MESSAGES, stream=True,
                                                     n=60, extra_body=LONG_FIELDS)
        next(iter(stream))
        self.wait_for_live(lambda live: live > 0)
        stream.close()
        self.wait_for_live(lambda live: live == 0)

    def test_many_at_once(self):
        def ask(_):
            return self.client.chat.completions.create(model="nano", messages=MESSAGES)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            texts = [answer.choices[0].message.content for answer in pool.map(ask, range(32))]
        self.assertEqual(set(texts), {self.text})


class Others(ClientCase):
    def test_langchain(self):
        model = langchain_openai.ChatOpenAI(base_url=self.base, api_key="secret", model="nano",
                                            temperature=0, max_retries=0)
        self.assertEqual(model.invoke(QUESTION).content, self.text)
        chunks = list(model.stream(QUESTION))
        self.assertEqual("".join(chunk.content for chunk in chunks), self.text)
        answers = model.batch([QUESTION] * 4)
        self.assertEqual({answer.content for answer in answers}, {self.text})
        history = [("human", QUESTION), answers[0], ("human", "And now?")]
        self.assertIsInstance(model.invoke(history).content, str)

    def test_litellm(self):
        options = {"model": "openai/nano", "api_base": self.base, "api_key": "secret",
                   "messages": MESSAGES}
        self.assertEqual(litellm.completion(**options).choices[0].message.content, self.text)
        stream = litellm.completion(**options, stream=True)
        self.assertEqual("".join(chunk.choices[0].delta.content or "" for chunk in stream),
                         self.text)
        answer = litellm.completion(**options).choices[0].message
        history = [*MESSAGES, answer.model_dump(), {"role": "user", "content": "And now?"}]
        again = litellm.completion(**{**options, "messages": history})
        self.assertIsInstance(again.choices[0].message.content, str)
        with self.assertRaises(litellm.BadRequestError):
            litellm.completion(**options, extra_body={"block_length": 0})


TASK = """
task: sums
dataset_path: json
dataset_kwargs:
  data_files: {{test: {data}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["\\n\\n"], do_sample: false, max_gen_toks: 64}}
filter_list:
  - name: last-number
    filter:
      - {{function: regex, regex_pattern: "(-?[0-9]+)", group_select: -1}}
      - {{function: take_first}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
"""


class LmEval(ClientCase):
    QUESTIONS = 4

    def evaluate(self, kind, path, *arguments):
        """The samples of a run of lm_eval on a task of sums."""
        data = self.write("sums.jsonl", "".join(
            json.dumps({"question": f"Sam has {n} rocks and Olga has 8 more rocks than Sam. How "
                                    "many rocks do they have together?", "answer": str(2 * n + 8)})
            + "\n" for n in range(10, 10 + self.QUESTIONS)))
        self.write("sums.yaml", TASK.format(data=data))
        out = self.folder / "out"
        done = subprocess.run(
            [sys.executable, "-m", "lm_eval", "run", "--model", kind, "--tasks", "sums",
             "--include_path", str(self.folder), "--output_path", str(out), "--log_samples",
             "--model_args", f"base_url={self.base}/{path},model=nano,num_concurrent=2,"
                             "max_retries=1,"
                             + ("auth_token=secret,tokenizer_backend=remote"
                                if kind == "local-completions" else "tokenizer_backend=None"),
             *arguments],
            capture_output=True, text=True, timeout=600,
            env={**os.environ, "OPENAI_API_KEY": "secret", "HF_HUB_OFFLINE": "1",
                 "HF_HOME": str(self.folder / "hf"), "HF_DATASETS_OFFLINE": "1"})
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-4000:])
        samples = [json.loads(line) for file in out.rglob("samples_*.jsonl")
                   for line in file.read_text(encoding="utf-8").splitlines()]
        self.assertEqual(len(samples), self.QUESTIONS)
        return samples

    def test_local_chat_completions(self):
        for sample in self.evaluate("local-chat-completions", "chat/completions",
                                    "--apply_chat_template"):
            body = {"messages": [{"role": "user", "content": sample["doc"]["question"]}],
                    "max_tokens": 64, "stop": ["\n\n"]}
            answer = self.server.ask("/v1/chat/completions", body, headers=self.headers)[2]
            self.assertEqual(sample["resps"][0][0], answer["choices"][0]["message"]["content"])

    def test_local_completions(self):
        for sample in self.evaluate("local-completions", "completions"):
            body = {"prompt": sample["doc"]["question"], "max_tokens": 64,
                    "stop": ["\n\n", "<|endoftext|>"]}
            answer = self.server.ask("/v1/completions", body, headers=self.headers)[2]
            self.assertEqual(sample["resps"][0][0], answer["choices"][0]["text"])


if __name__ == "__main__":
    unittest.main()
