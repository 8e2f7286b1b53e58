"""Chat templates rendered by jinja2 and transformers and by our renderer."""

import copy
import datetime
import functools
import json
import os
import pathlib
import random
import time
import warnings

import text_oracle_constructs as constructs
import text_oracle_families as families
import text_oracle_random as randoms

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOW = 1718000645  # the time that strftime_now writes
TOKENS = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<pad>", "unk_token": "<unk>"}
# What ours refuses by name and Python does in a way that no prompt needs: addresses of objects, sets, large numbers.
LEFT_OUT = ("is not supported", "too much work")


def environment():
    """As transformers sets it up for chat templates."""
    import jinja2
    import jinja2.ext
    import jinja2.nodes
    import jinja2.sandbox

    class Generation(jinja2.ext.Extension):
        tags = {"generation"}

        def parse(self, parser):
            line = next(parser.stream).lineno
            body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
            return jinja2.nodes.CallBlock(self.call_method("_call"), [], [], body).set_lineno(line)

        def _call(self, caller):
            return caller()

    class Namespace(jinja2.utils.Namespace):
        def __init__(*args, **kwargs):
            self, args = args[0], args[1:]
            attributes = dict(*args, **kwargs)
            for name in attributes:
                Namespace.check(name)
            jinja2.utils.Namespace.__init__(self, attributes)

        def __setitem__(self, name, value):
            Namespace.check(name)
            jinja2.utils.Namespace.__setitem__(self, name, value)

        @staticmethod
        def check(name):
            if isinstance(name, str) and name.startswith("_"):
                raise jinja2.exceptions.SecurityError(name)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    result = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    result.filters["tojson"] = tojson
    result.globals["raise_exception"] = raise_exception
    result.globals["strftime_now"] = lambda pattern: datetime.datetime.fromtimestamp(NOW).strftime(pattern)
    result.globals["namespace"] = Namespace
    return result


class Comparison:
    def __init__(self, ask, failures):
        # jinja2 compiles templates to Python, whose compiler comments on what they do.
        warnings.simplefilter("ignore", SyntaxWarning)
        os.environ["TZ"] = "America/St_Johns"
        time.tzset()
        self.ask = ask
        self.failures = failures
        # One template is rendered many times in turn, and compiling it takes longest.
        self.compiled = functools.lru_cache(maxsize=4)(environment().from_string)

    def jinja2(self, source, variables, tokens):
        """What jinja2 renders, or the exception: whatever it or Python raises is a refusal."""
        try:
            return self.compiled(source).render(**copy.deepcopy(variables), **tokens)
        except Exception as error:
            return error

    def ours(self, cases):
        """Our answers, each with `text` or `error`, to (source, variables, tokens)."""
        requests = []
        for source, variables, tokens in cases:
            requests += [{"op": "load_template", "source": source, "tokens": tokens},
                         {"op": "render", "variables": json.dumps(variables), "now": NOW}]
        answers = self.ask(requests)
        return [loaded if "error" in loaded else rendered for loaded, rendered in zip(answers[::2], answers[1::2])]

    def run(self, name, cases, oracle=None):
        """Compares all cases; returns how many both rendered."""
        rendered = 0
        for (source, variables, tokens), answer in zip(cases, self.ours(cases)):
            if name == "random" and any(part in answer.get("error", "") for part in LEFT_OUT):
                continue
            wanted = (oracle or self.jinja2)(source, variables, tokens)
            refused = isinstance(wanted, Exception)
            rendered += not refused
            # jinja2 slices constants while it compiles, with other rules than later.
            if name == "random" and "has no such slice" in answer.get("error", "") or not refused and " at 0x" in wanted:
                continue
            if ("error" in answer) != refused or (not refused and answer["text"] != wanted):
                self.failures.add(f"{name}: {source[:500]!r} on {variables}\n  expected {wanted!r}\n  found    {answer}")
        print(f"{name}: {len(cases)} renderings compared, {rendered} render")
        return rendered


def variables_of(messages, generate, tools=None):
    return {"messages": messages, "tools": tools, "documents": None, "add_generation_prompt": generate}


def family_cases(rng, count):
    sources = dict(families.FAMILIES)
    for model in ("llada-nano", "dream-nano"):
        config = json.loads((ROOT / "models" / model / "tokenizer_config.json").read_text())
        sources[model] = config["chat_template"]
    for name, source in sources.items():
        cases = []
        for messages in families.conversations(rng, count):
            tools = families.TOOLS if rng.random() < 0.3 else None
            cases.append((source, variables_of(messages, rng.random() < 0.5, tools), TOKENS if rng.random() < 0.8 else {}))
        yield name, cases


def compare_templates(ask, seed, count, failures):
    comparison = Comparison(ask, failures)
    rng = random.Random(seed)
    variables = constructs.VARIABLES
    whole = [(source, variables, TOKENS) for source in constructs.STATEMENTS]
    whole += [("{{ " + expression + " }}", variables, TOKENS) for expression in constructs.EXPRESSIONS]
    if comparison.run("constructs", whole) != len(whole):
        failures.add("a construct that is meant to render is refused by jinja2")
    refused = [("{{ " + expression + " }}", variables, TOKENS) for expression in constructs.REFUSED]
    refused += [(source, variables, TOKENS) for source in constructs.REFUSED_STATEMENTS]
    if comparison.run("refusals", refused):
        failures.add("a construct that is meant to be refused is rendered by jinja2")
    for (source, _, _), answer in zip(refused, comparison.ours(refused)):
        if "line 1" not in answer.get("error", ""):
            failures.add(f"{source!r}: expected a refusal with its line, found {answer}")
    left_out = [(source, variables, TOKENS) for source in constructs.LEFT_OUT]
    for (source, _, _), answer in zip(left_out, comparison.ours(left_out)):
        if "not supported" not in answer.get("error", ""):
            failures.add(f"{source!r}: expected a refusal by name, found {answer}")
    for name, cases in family_cases(rng, max(20, count // 25)):
        comparison.run(name, cases)
    snippets = [(source, variables_of(messages, True), TOKENS) for source in SNIPPETS for messages in families.conversations(rng, 5)]
    comparison.run("snippets", snippets)
    comparison.run("white space", [(source, variables, TOKENS) for source in randoms.white_space_mixtures(rng, count)])
    comparison.run("random", [(source, variables, TOKENS) for source in randoms.expressions(rng, count) if len(source) < 600])


def compare_transformers(ask, seed, count, failures):
    """Whole templates against apply_chat_template itself."""
    import tokenizers
    import transformers
    from transformers.utils import chat_template_utils
    comparison = Comparison(ask, failures)
    rng = random.Random(seed)

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime.fromtimestamp(NOW)

    chat_template_utils.datetime = Clock
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<unk>": 0}, unk_token="<unk>"))

    def oracle(source, variables, tokens):
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=model, **tokens)
        try:
            return tokenizer.apply_chat_template(
                variables["messages"], tools=variables["tools"], chat_template=source, tokenize=False,
                add_generation_prompt=variables["add_generation_prompt"])
        except Exception as error:
            return error

    for name, cases in family_cases(rng, max(20, count // 100)):
        # transformers takes no empty conversation.
        comparison.run(name, [case for case in cases if case[1]["messages"]], oracle)


SNIPPETS = [
    "plain text\nwith { braces } and }} and %}\n", "", "\n", "\n\n", "a\r\nb\rc\r\n", "{{ 1 }}\n", "{# c #}\n\nx{#- c -#}  y",
    "  {% if true %}\n  x\n  {% endif %}\n  y", "  {%+ if true %}\n  x\n  {%+ endif +%}\n  y", "a {{- 1 -}} b {{+ 2 }} c",
    "{% for m in messages %}\n  {{ loop.index }}/{{ loop.length }} {{ loop.revindex }} {{ loop.revindex0 }} {{ m.role }}\n{% else %}\nnone\n{% endfor %}",
    "{% for m in messages if m.role == 'user' %}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% else %}no{% endfor %}",
    "{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined else '-' }}>{{ loop.nextitem.role if not loop.last }}{% endfor %}",
    "{% for m in messages %}{% for c in m.content %}{{ loop.index }}{{ c }},{% endfor %}{{ loop.index }}{% endfor %}",
    "{% for m in messages %}{% if loop.index == 2 %}{% continue %}{% endif %}{% if loop.index == 4 %}{% break %}{% endif %}{{ m.content }}{% endfor %}",
    "{% set x = 1 %}{% for m in messages %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}",
    "{% set ns = namespace(x=1, y='a') %}{% for m in messages %}{% set ns.x = ns.x + 1 %}{% endfor %}{{ ns.x }}{{ ns.y }}{{ ns.z }}",
    "{% if false %}{% set x = 1 %}{% endif %}[{{ x }}]", "{% set x %}a{% set y = 1 %}b{% endset %}{{ x }}{{ y }}{{ x|length }}",
    "{{ messages[0].content[1:3] }}|{{ messages[0].content[::-1] }}|{{ messages[0].content[-2:] }}|{{ messages[0].content[5:1:-2] }}",
    "{{ messages[1:]|length }} {{ messages[:-1]|length }} {{ messages[::2]|length }} {{ messages[-1].role }} {{ messages[9] is defined }}",
    "{{ 'a' ~ 1 ~ none ~ true ~ undefined_name }}", "{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 * 3 + 4 - 1 }} {{ -(-3) }} {{ +3 }}",
    "{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' < 'b' }} {{ 1 == 1 == true }} {{ 'x' != 'y' }} {{ 1 in [1, 2] }} {{ 'b' not in 'abc' }} {{ 'k' in {'k': 1} }}",
    "{{ none }} {{ true }} {{ False }} {{ not 0 }} {{ not 'a' }} {{ [] or 'e' }} {{ '' and 1 }} {{ 3 and 4 }} {{ none or 0 }}",
    "{{ 'x' if messages else 'y' }} [{{ 'x' if false }}] {{ 1 if 0 else 2 if 0 else 3 }}",
    "{{ '  a b ' | trim }}|{{ 'xxaxx' | trim('x') }}|{{ '  a '.strip() }}|{{ 'xaxb'.lstrip('ax') }}|{{ 'abba'.rstrip('ab') }}|",
    "{{ 'a,b,,c'.split(',')|join('-') }} {{ ' a  b c '.split()|join('-') }} {{ 'a b c'.split(' ', 1)|last }} {{ ' a b  c '.split(none, 1)|last }}|",
    "{{ 'Hello'.upper() }}{{ 'Hello'|lower }}{{ 'straße'|upper }} {{ 'aXbX'.replace('X', 'yy') }} {{ 'aXbX'|replace('X', '', 1) }}",
    "{{ 'ab'.startswith('a') }} {{ 'ab'.endswith('a') }} {{ ', '.join(['a', 'b']) }} {{ [1, 'a', none]|join('/') }} {{ [1,2]|first }} {{ 'xyz'|last }}",
    "{{ x|default('d') }} {{ ''|default('d') }} {{ ''|default('d', true) }} {{ none|default('d', boolean=true) }} {{ x|d }}|{{ 'a'|string }}{{ 5|string|length }}",
    "{{ 'häßlich 中文 \"q\" \\\\ \\n \\x01 </a>'|tojson }} {{ {'a': [1, true, none, 'é'], 'b': {}}|tojson }} {{ []|tojson }} {{ messages|tojson }}",
    "{{ x is defined }} {{ x is not defined }} {{ x is undefined }} {{ messages is iterable }} {{ 'a' is string }} {{ 1 is number }} {{ {} is mapping }}"
    " {{ none is none }} {{ true is boolean }} {{ 1 is integer }} {{ [1] is sequence }} {{ 3 is odd }} {{ 4 is even }} {{ 6 is divisibleby 3 }} {{ 6 is divisibleby(4) }}"
    " {{ 1 is equalto 1 }} {{ 1 is eq(2) }} {{ 1 is ne 2 }} {{ true is true }} {{ 0 is false }}",
    "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{% endfor %} {% for k in {'x': 1} %}{{ k }}{% endfor %} {{ {'a': 1}.get('b', 7) }} {{ {'a': 1}.get('c') }}",
    "{% for k, v in {'a': 1}|items %}{{ k }}={{ v }}{% endfor %}{{ {'a': 1}['a'] }}{{ {'a': 1}.a }}{{ {'a': 1}.b }}{{ {'a': 2, 'a': 3}.a }}",
    "{{ 'tab\\tnew\\nq\\'\\x41\\u00e9\\101\\q' }} {{ \"d\\\"q\" }} {{ 'a' 'b' }} {{ 'multi\nline' }}", "{{ ('a', 'b')|join }} {{ ('a')|upper }} {{ 'a' in ('a', 'b') }} {{ ()|length }}",
    "{{ range(3)|join(',') }} {{ range(1, 7, 2)|join(',') }} {{ range(3, 0, -1)|join(',') }} {{ range(0)|length }}", "{{ messages|map_missing if false else 1 }}",
    "{{ message is defined and message.x.y }} {{ (messages and messages[0].nothing) or 7 }}", "{{ undefined_name.x }}", "{{ undefined_name + 'a' }}",
    "{{ messages[0]['nothing']['x'] }}", "{{ 'a' + 1 }}", "{{ 1 + none }}", "{{ 1 // 0 }}", "{{ 'a' in 5 }}", "{{ [1] < 2 }}", "{% for x in 5 %}{% endfor %}",
    "{{ raise_exception('no ' ~ 'way') }}", "{% set x.y = 1 %}", "{{ 5.x }}", "{% for a, b in [1] %}{% endfor %}", "{{ ''|first }}|{{ []|last }}|",
    "{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ add_generation_prompt }}{{ tools }}{{ tools is defined }}{{ documents is none }}",
    "{% if tools is not none and tools %}t{% else %}n{% endif %}{% if strftime_now is defined %}s{% endif %}", "{{ not messages is defined }} {{ not (1 == 2) and 3 }}",
    "{{ -1|string|length }} {{ 'a'|length + 1 }} {{ ['a', 'b'][1] }} {{ ['a', 'b'].0 }} {{ 'abc'[1] }} {{ 'abc'[-1] }} {{ 'abc'[7] }}|{{ none.x }}|",
    "{%- if true -%}\n\n a \n\n{%- elif x -%} b {%- else -%} c {%- endif -%}\n d", "x{%- set a = 1 %}\ny\n{%- set a = 1 -%}\n z", "\t{#  c #}\t\n{# d #}\n\tz",
    "{{ messages|length is divisibleby 2 }} {{ 'a' ~ 'b' == 'ab' }} {{ 1 ~ 2 + 3 }}", "{{ loop is defined }}{% for m in messages %}{{ loop is defined }}{{ loop|length }}{% endfor %}",
    "{{ namespace is defined }} {{ range is defined }} {{ 'A' if (messages[0].role == 'user') else 'B' }}{{ {}|length }}{{ undefined_name|length }}[{{ undefined_name|trim }}]",
    "{% if messages[0].role in ['user', 'system'] and messages[-1].role not in ['tool'] or false %}yes{% endif %}{% if not not 1 %}!{% endif %}",
]
