"""lm-eval itself, offline: the prompts and scorer of `fast-dllm eval --task gsm8k` against its own,
and tasks of its own that it runs against `fast-dllm serve`."""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

CACHE = tempfile.TemporaryDirectory()
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=CACHE.name)
try:
    import lm_eval.tasks
    import math_verify
    from lm_eval.api.metrics import exact_match_fn
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.filters.extraction import RegexFilter
    from lm_eval.tasks._yaml_loader import load_yaml
except ImportError as missing:
    print(f"skipped: {missing} (tools/requirements-clients.txt names the packages)")
    sys.exit(77)

from serve_support import Server
from support import LLADA, QUESTION, TestCase

TASKS = pathlib.Path(lm_eval.tasks.__file__).parent
GSM8K = load_yaml(TASKS / "gsm8k" / "gsm8k.yaml")


def gsm8k_lines(count, kind):
    draw = random.Random(f"{kind} {count}")
    lines = []
    for number in range(count):
        a, b = draw.randint(2, 900), draw.randint(2, 9000)
        lines.append({"question": f"  {kind} {number}: Zoë has {a} \"pens\" & buys {b:,} more.\n"
                                  "How many {{now}}?",
                      "answer": f"{a} + {b} = <<{a}+{b}={a + b}>>{a + b}\n#### {a + b:,}"})
    return lines


class Prompts(TestCase):
    def lines(self, name, items):
        return self.write(name, "".join(json.dumps(item) + "\n" for item in items))

    def ours(self, *arguments):
        return [line["prompt"] for line in self.json_lines("eval", "--print-prompts", *arguments)]

    def theirs(self, files, shots, template=None, turns=False):
        config = {**GSM8K, "dataset_path": "json", "dataset_name": None, "num_fewshot": shots,
                  "fewshot_config": {"sampler": "first_n"},
                  "dataset_kwargs": {"data_files": {split: str(path)
                                                    for split, path in files.items()}}}
        built = ConfigurableTask(config=config)
        return [built.fewshot_context(doc, shots, apply_chat_template=template is not None,
                                      chat_template=template, fewshot_as_multiturn=turns)
                for doc in built.test_docs()]

    def test_raw(self):
        files = {"test": self.lines("test.jsonl", gsm8k_lines(7, "test")),
                 "train": self.lines("train.jsonl", gsm8k_lines(9, "train"))}
        for shots in (0, 1, 5, 8):
            with self.subTest(shots=shots):
                theirs = self.theirs(files, shots)
                self.assertEqual(len(theirs), 7)
                self.assertEqual(self.ours("--task", "gsm8k", "--data", files["test"], "--shots",
                                           shots, "--no-chat", "--fewshot-data", files["train"]),
                                 theirs)

    def test_chat(self):
        """The template wraps what lm-eval would give it: one message, or turns."""
        marks = {"user": "[U]", "assistant": "[A]"}

        def template(messages, add_generation_prompt=True):
            return "".join(f"{marks[m['role']]}{m['content']}" for m in messages) + "[A]"

        def as_marks(text):
            header = "<|start_header_id|>"
            parts = text.removeprefix("<|startoftext|>").split(header)[1:]
            result = ""
            for part in parts:
                role, content = part.split("<|end_header_id|>\n\n", 1)
                result += marks[role] + content.removesuffix("<|eot_id|>")
            return result

        # The template of the shipped model trims messages, so these have no blanks around them.
        train = [{"question": line["question"].strip(), "answer": line["answer"]}
                 for line in gsm8k_lines(30, "train")]
        test = train[:3]
        files = {"test": self.lines("t.jsonl", test), "train": self.lines("r.jsonl", train)}
        for style in ("text", "turns"):
            theirs = self.theirs(files, 5, template, style == "turns")
            ours = self.ours("--task", "gsm8k", "--data", files["test"], "--fewshot-data",
                             files["train"], "--shots", 5, "--chat", "--shots-as", style,
                             "--model", LLADA)
            self.assertEqual([as_marks(text) for text in ours], theirs)


class Scores(TestCase):
    def ours(self, answer, texts):
        question = json.dumps({"question": "?", "answer": answer}) + "\n"
        data = self.write("data.jsonl", question * len(texts))
        answers = self.write("answers.jsonl", "".join(
            json.dumps({"id": str(number), "text": text}) + "\n"
            for number, text in enumerate(texts)))
        lines = self.json_lines("eval", "--task", "gsm8k", "--shots", 0, "--data", data,
                                "--answers", answers)
        self.assertEqual(len(lines), len(texts))
        return lines

    def test_gsm8k(self):
        texts = ["#### 18", "The answer is 18.", "So 3 * 6 = $18", "#### $18", "#### 18.0", "####18",
                 "#### -5", "-5", "10-5", "12,5,1. and , . then", "", "no number", "...", "$$", "-",
                 "--7", "7-", "1,234", "#### 1,234.", "1234 #### 99", "#### 99 #### 1234", "x1234y",
                 "#### 12\n34", "$1,234.00", "1234.", "is 1234 dollars", "#### .", "#### ,5", "５",
                 "1e5", "#### 3 and 4", "3 apples and 4.5 pears.", "a.b", "5 %", "#### -", "-$18",
                 "18\n", "\n\n#### 18\n\nQ", "-.5", "#### 1.234", "£18"]
        draw = random.Random(7)
        alphabet = "0123456789.,$-# \nax"
        texts += ["".join(draw.choice(alphabet) for _ in range(draw.randint(1, 14)))
                  for _ in range(400)]
        answers = ["... #### 18", "#### 1,234", "#### -5", "so\n#### 7"]
        flexible, strict = None, None
        for entry in GSM8K["filter_list"]:
            settings = {name: value for name, value in entry["filter"][0].items()
                        if name != "function"}
            if entry["name"] == "flexible-extract":
                flexible = RegexFilter(**settings)
            else:
                strict = RegexFilter(**settings)
        metric = GSM8K["metric_list"][0]
        options = {name: metric[name] for name in ("regexes_to_ignore", "ignore_case",
                                                   "ignore_punctuation")}
        right = 0
        for answer in answers:
            for text, line in zip(texts, self.ours(answer, texts)):
                with self.subTest(text=text, answer=answer):
                    loose = flexible.apply([[text]], [{}])[0][0]
                    tight = strict.apply([[text]], [{}])[0][0]
                    same = [bool(exact_match_fn(predictions=[given], references=[answer],
                                                **options)["exact_match"])
                            for given in (loose, tight)]
                    self.assertEqual(line["extracted"], loose)
                    self.assertEqual([line["correct"], line["correct_strict"]], same)
                    right += same[0]
        self.assertGreater(right, 10)


# Stands for the metric that lm-eval fetches from the network, which runs programs only where the
# same variable of the environment is 1.
CODE_EVAL = """
import os
import subprocess
import sys
import datasets
import evaluate

class CodeEval(evaluate.Metric):
    def _info(self):
        kinds = {"predictions": datasets.Sequence(datasets.Value("string")),
                 "references": datasets.Value("string")}
        return evaluate.MetricInfo(description="", citation="", features=datasets.Features(kinds))

    def _compute(self, predictions, references, k):
        if os.environ.get("HF_ALLOW_CODE_EVAL") != "1":
            raise ValueError("HF_ALLOW_CODE_EVAL is not 1")
        runs = [subprocess.run([sys.executable, "-c", code + "\\n" + tests], timeout=20,
                               stdin=subprocess.DEVNULL, capture_output=True)
                for codes, tests in zip(predictions, references) for code in codes]
        return {"pass@1": sum(run.returncode == 0 for run in runs) / len(runs)}, {}
"""
# lm-eval's task with another name and with data of this machine.
TASK = """
include: {include}
task: {name}
dataset_path: json
dataset_name: null
dataset_kwargs: {{data_files: {{test: {data}, train: {data}}}}}
"""


class AgainstServe(TestCase):
    """The commands of docs/eval.md, on lm-eval's own tasks with other data."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server("--model-name", "nano")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def samples(self, kind, path, tasks, *arguments):
        """What lm_eval logs of each of `tasks` {file: data}, in their order."""
        (self.folder / "code_eval").mkdir()
        self.write("code_eval/code_eval.py", CODE_EVAL)
        for file, data in tasks.items():
            name = pathlib.Path(file).stem
            lines = self.write(f"{name}.jsonl", "".join(json.dumps(item) + "\n" for item in data))
            self.write(f"{name}.yaml", TASK.format(include=TASKS / file, name=f"local_{name}",
                                                   data=lines))
        done = subprocess.run(
            [sys.executable, "-m", "lm_eval", "--model", kind, "--include_path", self.folder,
             "--tasks", ",".join(f"local_{pathlib.Path(file).stem}" for file in tasks),
             "--num_fewshot", "0", "--output_path", self.folder / "out", "--log_samples",
             "--gen_kwargs", "max_gen_toks=64,preset=fast", "--model_args",
             f"base_url={self.server.url}/v1/{path},model=nano,num_concurrent=4,max_retries=1,"
             + ("tokenizer_backend=remote" if kind == "local-completions"
                else "tokenizer_backend=None"), *arguments],
            capture_output=True, text=True, timeout=300, cwd=self.folder,
            env={**os.environ, "HF_ALLOW_CODE_EVAL": "1"})
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-4000:])
        logged = []
        for file, data in tasks.items():
            (found,) = (self.folder / "out").rglob(f"samples_local_{pathlib.Path(file).stem}_*")
            logged.append([json.loads(line)
                           for line in found.read_text(encoding="utf-8").splitlines()])
            self.assertEqual(len(logged[-1]), len(data))
        return logged

    def chat(self, text):
        body = {"messages": [{"role": "user", "content": text}], "max_tokens": 64,
                "preset": "fast", "stop": ["Problem:"]}
        return self.server.ask("/v1/chat/completions", body)[2]["choices"][0]["message"]["content"]

    def test_minerva_math(self):
        problem = QUESTION
        given = self.chat(f"Problem:\n{problem}\n\nSolution:")
        read = math_verify.parse(given)[-1]  # what lm-eval reads out of it
        data = [{"problem": problem, "level": "1", "type": "Algebra",
                 "solution": f"So \\boxed{{{answer}}}."} for answer in (read, "987654")]
        (samples,) = self.samples("local-chat-completions", "chat/completions",
                                  {"minerva_math/minerva_math_algebra.yaml": data},
                                  "--apply_chat_template")
        self.assertEqual([sample["resps"][0][0] for sample in samples], [given, given])
        self.assertEqual([sample["math_verify"] for sample in samples], [1, 0])

    def test_programs(self):
        functions = [{"task_id": f"t/{n}", "prompt": f"def f():\n    return {n}\n\n# ",
                      "entry_point": "f", "canonical_solution": "",
                      "test": "def check(f):\n    assert f() == 4\n"} for n in (4, 5)]
        programs = [{"task_id": 11, "text": "Write a function f.", "code": "",
                     "test_list": ["assert f(1) == 1"] * 3}]
        humaneval, mbpp = self.samples(
            "local-completions", "completions",
            {"humaneval/humaneval.yaml": functions, "mbpp/mbpp.yaml": programs},
            "--confirm_run_unsafe_code")
        self.assertEqual([sample["pass@1"] for sample in humaneval], [1, 0])
        self.assertEqual([sample["pass_at_1"] for sample in mbpp], [0])
        for sample in (*humaneval, *mbpp):
            arguments = sample["arguments"]["gen_args_0"]
            body = {"prompt": arguments["arg_0"], "max_tokens": 64, "preset": "fast",
                    "stop": [*arguments["arg_1"]["until"], "<|endoftext|>"]}
            answer = self.server.ask("/v1/completions", body)[2]
            self.assertEqual(sample["resps"][0][0], answer["choices"][0]["text"])


if __name__ == "__main__":
    unittest.main()
