"""The prompts and scorers of `fast-dllm eval` against those of lm-eval itself, offline."""
import json
import os
import pathlib
import random
import sys
import tempfile
import unittest

CACHE = tempfile.TemporaryDirectory()
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=CACHE.name)
try:
    import evaluate
    import lm_eval.tasks
    import sympy  # noqa: F401 (what lm-eval compares formulas with)
    from lm_eval.api.metrics import exact_match_fn
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.filters.extraction import RegexFilter
    from lm_eval.tasks._yaml_loader import load_yaml
except ImportError as missing:
    print(f"skipped: {missing} (tools/requirements-clients.txt names the packages)")
    sys.exit(77)

from support import LLADA, TestCase, run

TASKS = pathlib.Path(lm_eval.tasks.__file__).parent
FILES = {"gsm8k": "gsm8k/gsm8k.yaml", "math": "minerva_math/minerva_math_algebra.yaml",
         "humaneval": "humaneval/humaneval.yaml", "mbpp": "mbpp/mbpp.yaml"}
LM_EVAL_SEED = 1234


class NoCode:
    """Stands for the metric that lm-eval would fetch from the network."""

    def compute(self, **_):
        return [{"pass@1": 0.0}]


evaluate.load = lambda name: NoCode()


def config_of(task):
    return load_yaml(TASKS / FILES[task])


def gsm8k_lines(count, kind):
    draw = random.Random(f"{kind} {count}")
    lines = []
    for number in range(count):
        a, b = draw.randint(2, 900), draw.randint(2, 9000)
        lines.append({"question": f"  {kind} {number}: Zoë has {a} \"pens\" & buys {b:,} more.\n"
                                  "How many {{now}}?",
                      "answer": f"{a} + {b} = <<{a}+{b}={a + b}>>{a + b}\n#### {a + b:,}"})
    return lines


MATH = [{"problem": r"What is $\frac{1}{2} + \frac{1}{3}$?  ", "level": "Level 1", "type": "Algebra",
         "solution": r"It is $\boxed{\frac{5}{6}}$."},
        {"problem": "Find\n\\[ x^2 \\]", "level": "Level 5", "type": "Algebra",
         "solution": r"So \boxed{ 49 \text{ cm} }, clearly."},
        {"problem": "With 100% of it?", "level": "?", "type": "?",
         "solution": r"First $\boxed{1}$, at last $\boxed 12,345$ units."}]
HUMANEVAL = [{"task_id": f"HumanEval/{n}", "entry_point": "twice", "canonical_solution": "",
              "prompt": f"\n\ndef twice(x: int) -> int:\n    \"\"\" {{{{ {n} }}}} times\n    >>> "
                        "twice(2)\n    4\n    \"\"\"\n", "test": "def check(f):\n    assert f(2) == 4\n"}
             for n in range(3)]
MBPP = [{"task_id": number, "text": f"Write a function number {number} — {{% raw %}}.",
         "code": "def f():\r\n\treturn 1", "test_setup_code": "", "challenge_test_list": [],
         "test_list": [f"assert f({number}) == 1 ", "assert f(2) == 1", "assert f(3) ==\t1"]}
        for number in (11, 12, 510)]


class Prompts(TestCase):
    def lines(self, name, items):
        return self.write(name, "".join(json.dumps(item) + "\n" for item in items))

    def ours(self, *arguments):
        return [line["prompt"] for line in self.json_lines("eval", "--print-prompts", *arguments)]

    def theirs(self, task, files, shots, template=None, turns=False):
        config = config_of(task)
        config.update(dataset_path="json", dataset_name=None, num_fewshot=shots,
                      dataset_kwargs={"data_files": {split: str(path)
                                                     for split, path in files.items()}})
        config.pop("unsafe_code", None)
        if "train" not in files:
            config.pop("training_split", None)
        built = ConfigurableTask(config=config)
        built.set_fewshot_seed(LM_EVAL_SEED)
        return [built.fewshot_context(doc, shots, apply_chat_template=template is not None,
                                      chat_template=template, fewshot_as_multiturn=turns)
                for doc in built.test_docs()]

    def compare(self, task, data, shots, train=None):
        files = {"test": self.lines("test.jsonl", data)}
        arguments = ["--task", task, "--data", files["test"], "--shots", shots, "--no-chat"]
        if train:
            files["train"] = self.lines("train.jsonl", train)
            arguments += ["--fewshot-data", files["train"]]
        theirs = self.theirs(task, files, shots)
        self.assertEqual(len(theirs), len(data))
        self.assertEqual(self.ours(*arguments), theirs)
        return arguments, files

    def test_gsm8k(self):
        test = gsm8k_lines(7, "test")
        for shots in (0, 1, 5, 8):
            for train in (9, 60, 200):  # Python draws from a list or a set, depending on these
                with self.subTest(shots=shots, train=train):
                    self.compare("gsm8k", test, shots, gsm8k_lines(train, "train"))

    def test_math(self):
        for shots in (0, 1, 4):
            with self.subTest(shots=shots):
                self.compare("math", MATH, shots)

    def test_humaneval(self):
        self.compare("humaneval", HUMANEVAL, 0)

    def test_mbpp(self):
        for shots in (0, 1, 3):
            with self.subTest(shots=shots):
                self.compare("mbpp", MBPP, shots)

    def test_the_defaults_are_lm_evals(self):
        for task, data in (("math", MATH), ("humaneval", HUMANEVAL), ("mbpp", MBPP)):
            path = self.lines(f"{task}.jsonl", data)
            shots = config_of(task)["num_fewshot"]
            explicit = self.ours("--task", task, "--data", path, "--no-chat", "--shots", shots)
            self.assertEqual(self.ours("--task", task, "--data", path, "--no-chat"), explicit)

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
            theirs = self.theirs("gsm8k", files, 5, template, style == "turns")
            ours = self.ours("--task", "gsm8k", "--data", files["test"], "--fewshot-data",
                             files["train"], "--shots", 5, "--chat", "--shots-as", style,
                             "--model", LLADA)
            self.assertEqual([as_marks(text) for text in ours], theirs)


class Scores(TestCase):
    def ours(self, task, items, texts):
        data = self.write("data.jsonl", "".join(json.dumps(item) + "\n" for item in items))
        answers = self.write("answers.jsonl", "".join(
            json.dumps({"id": str(number), "text": text}) + "\n"
            for number, text in enumerate(texts)))
        lines = self.json_lines("eval", "--task", task, "--shots", 0, "--data", data, "--answers",
                                answers)
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
        config = config_of("gsm8k")
        flexible, strict = None, None
        for entry in config["filter_list"]:
            settings = {name: value for name, value in entry["filter"][0].items()
                        if name != "function"}
            if entry["name"] == "flexible-extract":
                flexible = RegexFilter(**settings)
            else:
                strict = RegexFilter(**settings)
        metric = config["metric_list"][0]
        options = {name: metric[name] for name in ("regexes_to_ignore", "ignore_case",
                                                   "ignore_punctuation")}
        right = 0
        for answer in answers:
            ours = self.ours("gsm8k", [{"question": "?", "answer": answer}] * len(texts), texts)
            for text, line in zip(texts, ours):
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

    def test_math_normal_forms(self):
        utils = sys.modules[config_of("math")["process_results"].__module__]
        answers = [r"$\frac{1}{2}$", r"x = 5", r"$x = 5$ cm", "12,345", "-1,234,567", "12,34", "0,1",
                   r"\frac12", r"\frac1x", r"\frac{1}2", r"\sqrt2", r"\sqrt{2}x", r"\sqrt[3]8",
                   r"\sqrt[3]{8}", r"5\text{ cm}", r"5 \mbox{ inches}", r"90^\circ", r"90^{\circ}",
                   "the 3 dollars", "$5$ and $6$", r"\text{even}", r"\textbf{(A)}", r"\boxed{7}",
                   r"\$5.50", "5 square units", r"\left(3,4\right)", r"[2,5)", "a b", "an apple",
                   "10\\%", r"3\pi cm", r"\overline{AB}", r"x\in[1,2]", "1{,}000", "1,\\!000",
                   "sue points ft", "softly", "ft5", "5ft", "_ft", r"\ft", r"\dots", '"quoted"',
                   r"\frac{\sqrt3}2", r"2\sqrt3+\frac34", "", " ", "$", "$$", "$a", r"\text{m}",
                   r"4\text{}^2", "é ft", r"\text{unclosed", r"\frac", r"\frac1", r"\sqrt", "10.$",
                   "degrees 30 degrees", r"\mathrm{th}5", "6\\;7", "wayside", "x=y=2", "5 cmkm"]
        draw = random.Random(3)
        pieces = ["\\frac", "\\sqrt", "\\text{", "}", "{", "$", " ", "ft", "cm", "a ", "=", "1,000",
                  "\\boxed{", "\\", "x", "7", ",", "\\left", "\n", "square", "[", "]", "\\overline{"]
        answers += ["".join(draw.choice(pieces) for _ in range(draw.randint(1, 9)))
                    for _ in range(400)]
        texts = [f"... Final Answer: The final answer is {answer}. I hope it is correct."
                 for answer in answers]
        texts += ["", "Final Answer: The final answer is 4", "Final Answer: The final answer is 4.",
                  "Final Answer: The final answer is 4. ", "Final Answer: The final answer is\n4. "
                  "I hope it is correct.", "Final Answer: The final answer is 4. I hope it is "
                  "correct. Final Answer: The final answer is 5. I hope it is correct.",
                  "final answer: The final answer is 4. I hope it is correct.",
                  "Final Answer: The final answer is $é$é I hope it is correct!"]
        lines = self.ours("math", [{"problem": "?", "solution": r"\boxed{4}"}] * len(texts), texts)
        for text, line in zip(texts, lines):
            with self.subTest(text=text):
                given = utils.normalize_final_answer(utils.get_unnormalized_answer(text))
                self.assertEqual(line["extracted"], given)

    def test_math_references(self):
        utils = sys.modules[config_of("math")["process_results"].__module__]
        solutions = [r"so $\boxed{12}$", r"$\boxed{\frac{1}{2}}$ or $\boxed{\text{six}}$.",
                     r"\boxed 5$ ok", r"\boxed{a{b}c}d}", r"\boxed{x = 1,000}"]
        lines = self.ours("math", [{"problem": "?", "solution": text} for text in solutions],
                          [""] * len(solutions))
        for solution, line in zip(solutions, lines):
            gold = utils.normalize_final_answer(
                utils.remove_boxed(utils.last_boxed_only_string(solution)))
            self.assertEqual(line["expected"], gold)

    def test_math_equivalence(self):
        utils = sys.modules[config_of("math")["process_results"].__module__]
        pairs = [("1/2", r"\frac{1}{2}"), ("0.5", r"\frac{1}{2}"), ("x+1", "1+x"), ("2x", "x+x"),
                 ("x^2-1", "(x-1)(x+1)"), (r"\sqrt{8}", r"2\sqrt{2}"), ("5", "5.0"), ("5", "6"),
                 (r"\frac{\pi}{2}", r"\pi/2"), ("x", "y"), ("(1,2)", "(1,2)"), ("(1,2)", "(1,3)"),
                 ("[2,5)", "[2,5)"), ("2^{10}", "1024"), ("x^10", "x^{10}"), (r"\frac{2}{4}", "0.5"),
                 ("-5", "5"), (r"\sqrt[3]{8}", "2"), ("ab", "ba"), (r"3\cdot4", "12"),
                 (r"\text{even}", "even"), (r"e^{x}e^{x}", "e^{2x}"), ("3!", "6"), ("0.333", "1/3"),
                 (r"\sqrt{x^2}", "x"), ("", "5"), (r"\sin(x)^2+\cos(x)^2", "1"), ("x-y", "y-x"),
                 (r"2\times10^{3}", "2000"), ("x_1+x_2", "x_2+x_1"), ("x_1", "x_2"),
                 (r"\frac{x^2+2x+1}{x+1}", "x+1"), (r"\frac{1}{0}", "5"), ("|-3|", "3")]
        sames = 0
        for given, gold in pairs:
            with self.subTest(given=given, gold=gold):
                text = f"Final Answer: The final answer is {given}. I hope it is correct."
                line = self.ours("math", [{"problem": "?", "solution": "\\boxed{" + gold + "}"}],
                                 [text])[0]
                same = bool(utils.is_equiv(utils.normalize_final_answer(given),
                                           utils.normalize_final_answer(gold)))
                self.assertEqual(line["correct"], same)
                sames += same
        self.assertGreater(sames, 15)

    def test_stop_strings(self):
        for task, data in (("math", MATH), ("humaneval", HUMANEVAL), ("mbpp", MBPP)):
            path = self.write("d.jsonl", "".join(json.dumps(item) + "\n" for item in data))
            done = run("eval", "--task", task, "--data", path, "--no-chat", "--json", "--limit", 1,
                       "--model", LLADA, "--gen-length", 32, "--shots", 0)
            settings = json.loads(done.stdout)["settings"]
            self.assertEqual(settings["stop"], config_of(task)["generation_kwargs"]["until"])


if __name__ == "__main__":
    unittest.main()
