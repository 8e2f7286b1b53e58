"""Chat templates and snippets, rendered by jinja2 as transformers sets it up and by our renderer."""

import json
import pathlib
import random
import warnings

ROOT = pathlib.Path(__file__).resolve().parent.parent

LLAMA3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
    "message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}")
LLADA = LLAMA3.replace("{% if add_generation_prompt %}", "").replace("\n\n' }}{% endif %}", "\n\n' }}")
QWEN25 = r"""{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.' }}
    {%- endif %}
    {{- "\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools>\n\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n" }}
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\n<tool_call>\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' }}
        {{- message.content }}
        {{- '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
"""
DREAM = (
    "{%- if tools %}\n    {{- '<|im_start|>system\\n' }}\n    {{- tools | tojson }}\n{%- else %}\n"
    "    {%- if messages[0]['role'] == 'system' %}\n"
    "        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}\n    {%- else %}\n"
    "        {{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}\n    {%- endif %}\n{%- endif %}\n"
    "{%- for message in messages %}\n"
    "    {%- if (message.role == \"user\") or (message.role == \"system\" and not loop.first) or "
    "(message.role == \"assistant\" and not message.tool_calls) %}\n"
    "        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n    {%- endif %}\n"
    "{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n")
# Instruction formats of other families, and newer ChatML with reasoning: further uses of the subset.
INST = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = "
    "messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}"
    "{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + "
    "'\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}")
THINK = r"""{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content %}
    {%- if message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is defined and message.reasoning_content is not none %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in message.content %}
                {%- set content = message.content.split('</think>')[-1].lstrip('\n') %}
                {%- set reasoning_content = message.content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\n<think>\n' + reasoning_content.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>' ~ message.role ~ '\n' ~ content ~ '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}"""

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
# Refused on purpose: outside the subset, though jinja2 renders them.
OUTSIDE = [
    "{% macro f() %}{% endmacro %}", "{% include 'x' %}", "{% raw %}{{ x }}{% endraw %}", "{{ 1.5 }}", "{{ 1 / 2 }}", "{{ 2 ** 3 }}", "{{ messages }}", "{{ 'a'|title }}",
    "{{ 'a'.title() }}", "{% for x in messages recursive %}{% endfor %}", "{% set a, b = 1, 2 %}", "{% filter upper %}x{% endfilter %}", "{{ strftime_now('%Y') }}",
    "{{ messages|tojson(indent=2) }}", "{{ 1, 2 }}", "{{ cycler(1) }}", "{{ messages|map(attribute='role')|list|length }}", "{{ 1 is sameas 1 }}",
]
# Malformed: both refuse.
MALFORMED = [
    "{{", "{%", "{#", "{{ 'a }}", "{{ 1 + }}", "{% if %}", "{% if true %}", "{% endif %}", "{% for x messages %}{% endfor %}", "{{ (1 }}", "{{ ] }}", "{% set %}", "{{ a b }}",
    "{% nothing %}", "{% else %}", "{{ a..b }}", "{{ [1, }}", "{{ ; }}", "{% if true %}{% else %}{% else %}{% endif %}", "{% break %}", "{{ f(a=1, 2) }}", "{{ a[ }}", "{{ }}",
    "{{ | x }}", "{{ @ }}", "{{ '\\x1' }}", "{{ 01 }}", "{% for x in messages %}{% endif %}",
]


def environment():
    """As transformers sets it up for chat templates."""
    import jinja2
    import jinja2.ext
    import jinja2.sandbox

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    result = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols])
    result.filters["tojson"] = tojson
    result.globals["raise_exception"] = raise_exception
    result.globals["strftime_now"] = lambda pattern: pattern
    return result


def conversations(rng, count):
    texts = ["Hi", "", " padded \n", "What is 2+2?", "zwei\nZeilen\n", "中文 é 😀", "<think>\nhm\n</think>\n\nyes", "{{ no }} {% tag %}", "\u2003x\x1f", "a\r\nb",
             "<tool_response>\nx\n</tool_response>", "\"quoted\" \\ 'text'", "x" * 300]
    yield []
    for _ in range(count):
        style = rng.randrange(3)
        length = rng.randrange(1, 7)
        roles = [("user", "assistant")[i % 2] for i in range(length)]
        if style == 1:
            roles = ["system", *roles]
        elif style == 2:
            roles = [rng.choice(("system", "user", "assistant", "tool", "")) for _ in range(length)]
        yield [{"role": role, "content": rng.choice(texts)} for role in roles]


def white_space_mixtures(rng, count):
    """Tags of every kind with every sign between every kind of white space."""
    spaces = ["", " ", "\n", "  \n", "\n  ", "\t", "\n\n", "x", " y\n", "\r\n", "\u3000", "{", "}", "%"]
    for _ in range(count):
        def tag(inner):
            return "{%" + rng.choice(("", "-", "+")) + f" {inner} " + rng.choice(("", "-", "+")) + "%}"

        def leaf():
            return rng.choice((
                lambda: "{{" + rng.choice(("", "-")) + " 1 " + rng.choice(("", "-")) + "}}",
                lambda: "{#" + rng.choice(("", "-", "+")) + " c " + rng.choice(("", "-", "+")) + "#}",
                lambda: tag("set a = 2")))()

        parts = []
        for _ in range(rng.randrange(1, 4)):
            parts += [rng.choice(spaces) + leaf() + rng.choice(spaces)]
        body = rng.choice(spaces).join(parts)
        yield rng.choice(spaces) + tag("if true") + body + tag("endif") + rng.choice(spaces) + leaf() + rng.choice(spaces)


def random_expressions(rng, count):
    """Expressions of the subset, right and wrong."""
    atoms = ["1", "0", "2", "'a'", "''", "'ab c'", "none", "true", "false", "messages", "messages[0]", "messages[0].content", "messages[0].role", "nothing", "[1, 'a']",
             "[]", "{'k': 'v'}", "messages|length", "bos_token", "tools"]
    binary = ["+", "-", "*", "//", "%", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or"]
    unary = ["not ", "-", ""]
    tails = [" | trim", " | length", " | string", " | first", " | last", " | default('d')", " | upper", " | join(',')", " is defined", " is none", " is string", " is not mapping",
             ".role", "['content']", "[0]", "[-1]", "[1:]", "[:1]", "[::-1]", ".strip()", ".split('b')", " | tojson", ".startswith('a')", " | list"]

    def expression(depth):
        kind = rng.randrange(6) if depth else 0
        if kind == 0:
            return rng.choice(atoms)
        if kind in (1, 2):
            return f"{expression(depth - 1)} {rng.choice(binary)} {expression(depth - 1)}"
        if kind == 3:
            return f"({expression(depth - 1)})" + rng.choice(tails)
        if kind == 4:
            return f"{rng.choice(unary)}({expression(depth - 1)}){rng.choice(tails)}"
        return f"{expression(depth - 1)} if {expression(depth - 1)} else {expression(depth - 1)}"

    for _ in range(count):
        yield "{{ " + expression(rng.randrange(1, 4)) + " }}"


def compare_templates(ask, seed, count, failures):
    import jinja2
    # jinja2 compiles templates to Python, whose compiler comments on what they do.
    warnings.simplefilter("ignore", SyntaxWarning)
    rng = random.Random(seed)
    env = environment()

    def oracle(template, messages, generate, tokens):
        try:
            return template.render(messages=messages, tools=None, documents=None, add_generation_prompt=generate, **tokens)
        except Exception as error:  # whatever jinja2 or Python raises is a refusal
            return error

    def compare(name, source, cases, tokens):
        requests = [{"op": "load_template", "source": source, "bos_token": tokens.get("bos_token", ""),
                     "eos_token": tokens.get("eos_token", "")}]
        requests += [{"op": "render", "messages": messages, "add_generation_prompt": generate} for messages, generate in cases]
        loaded, *answers = ask(requests)
        try:
            template = env.from_string(source)
        except jinja2.exceptions.TemplateError as error:
            if "error" not in loaded:
                # A name that no filter has is refused by us when it is reached, by jinja2 at once.
                if not ("No filter named" in str(error) or "No test named" in str(error)):
                    failures.add(f"{name}: loads, but jinja2 says {error}\n  {source!r}")
            return
        for (messages, generate), answer in zip(cases, answers):
            if "error" in loaded:
                answer = loaded
            wanted = oracle(template, messages, generate, tokens)
            refused = isinstance(wanted, Exception)
            if ("error" in answer) != refused or (not refused and answer["text"] != wanted):
                failures.add(f"{name}: {source[:500]!r} on {messages}\n  expected {wanted!r}\n  found    {answer}")

    def cases(number):
        return [(messages, rng.random() < 0.5) for messages in conversations(rng, number)]

    both = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    templates = {"LLaDA": LLADA, "Llama 3": LLAMA3, "Qwen2.5": QWEN25, "Dream": DREAM, "[INST]": INST, "thinking": THINK}
    for model in ("llada-nano", "dream-nano"):
        config = json.loads((ROOT / "models" / model / "tokenizer_config.json").read_text())
        templates[model] = config["chat_template"]
    for name, source in templates.items():
        compare(name, source, cases(count // 10), both)
        compare(f"{name} without tokens", source, cases(20), {})
    print(f"{len(templates)} templates with {count // 10} conversations each")
    for source in SNIPPETS:
        compare("snippet", source, cases(10), both)
    mixtures = list(white_space_mixtures(rng, count))
    expressions = list(random_expressions(rng, count))
    for name, sources in (("white space", mixtures), ("expression", expressions)):
        rendered = compare_many(ask, env, oracle, name, sources, cases(1)[-1], both, failures)
        print(f"{name}: {len(sources)} templates, of which {rendered} render")
    for source in OUTSIDE + MALFORMED:
        loaded, rendered = ask([{"op": "load_template", "source": source, "bos_token": "", "eos_token": ""},
                                {"op": "render", "messages": [{"role": "user", "content": "Hi"}], "add_generation_prompt": True}])
        error = loaded.get("error") or rendered.get("error", "")
        if "line 1" not in error:
            failures.add(f"{source!r}: expected a refusal with its line, found {loaded} {rendered}")
    print(f"{len(SNIPPETS)} snippets, {len(OUTSIDE + MALFORMED)} refusals")


def compare_many(ask, env, oracle, name, sources, case, tokens, failures):
    """Compares many small templates on one conversation; returns how many both rendered."""
    import jinja2
    rendered = 0
    messages, generate = case
    requests = []
    for source in sources:
        requests += [{"op": "load_template", "source": source, **tokens},
                     {"op": "render", "messages": messages, "add_generation_prompt": generate}]
    answers = ask(requests)
    for source, loaded, answer in zip(sources, answers[::2], answers[1::2]):
        if "error" in loaded:
            answer = loaded
        try:
            wanted = oracle(env.from_string(source), messages, generate, tokens)
        except jinja2.exceptions.TemplateError as error:
            wanted = error
        if "not supported" in answer.get("error", ""):
            continue
        refused = isinstance(wanted, Exception)
        if ("error" in answer) != refused or (not refused and answer["text"] != wanted):
            failures.add(f"{name}: {source!r} on {messages}\n  expected {wanted!r}\n  found    {answer}")
        rendered += not refused
    return rendered
