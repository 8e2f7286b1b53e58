"""Templates of one construct each, for comparison with jinja2: what chat templates of public models use, and near it."""

# What the constructs are rendered with.
VARIABLES = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": " Hi, what's 2+2? \n", "name": "ann"},
        {"role": "assistant", "content": "", "reasoning_content": "easy", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "add", "arguments": {"a": 2, "b": 2.5, "é": None}}}]},
        {"role": "tool", "content": "4", "tool_call_id": "c1"},
        {"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image"}]},
    ],
    "tools": [{"type": "function", "function": {
        "name": "add", "description": "Adds \"two\" numbers <b>&'",
        "parameters": {"type": "object", "required": ["a"], "properties": {
            "a": {"type": "number", "description": "first"}, "b": {"type": ["number", "null"], "enum": [1, 2]}}}}}],
    "documents": None, "add_generation_prompt": True,
    "text": "Hello, World! naïve ﬁne straße", "words": ["pear", "Apple", "fig", "apple", "Fig"],
    "numbers": [3, 1, 2, 10, -4], "people": [{"n": "bo", "a": {"x": 2}}, {"n": "Al", "a": {"x": 1}}, {"n": "cy", "a": {"x": 2}}],
    "table": {"b": 2, "a": 1, "C": 3}, "nothing": None, "yes": True, "pi": 3.14159, "empty": [], "lines": "one\n two\n\nthree\n",
}

# Values: each prints.
EXPRESSIONS = """
'abc'.capitalize()
'hello WORLD-wide o\\'neil'.title()
'hello WORLD-wide (ok) o\\'neil'|title
text|capitalize
text.upper()
text|upper
text|lower
text.swapcase()
'ΑΣ ΑΣΑ'.lower()
'=' * 5
5 * 'ab'
'x' * -1
[1, 2] * 2
(1,) * 3
'a%sb' % 7
'%s and %s' % ('x', 'y')
'%d%%' % 5
'%05d|%-5d|%+d|% d|%5.1f|%x|%X|%o|%#x|%e|%g|%c|%r' % (42, 42, 42, 42, 3.14159, 255, 255, 8, 255, 12345.678, 0.00001, 'z', 'q')
'%(a)s-%(b)05.2f' % {'a': 'x', 'b': 2}
'%5s|%-5s|%.2s' % ('ab', 'ab', 'abcdef')
'%s' % [1, 2]
'%s' % none
'%*d' % (6, 3)
'%.3d|%08.3d|%+.2e' % (5, 5, 5)
'%i %u' % (3.9, 4)
'{} {}'.format(1, 'b')
'{0}{1}{0}'.format('a', 'b')
'{n:>8}|{n:<8}|{n:^8}|{n:*^8}'.format(n='abc')
'{:,} {:_} {:05d} {:+} {:x} {:#b} {:08.3f} {:.2%} {:e}'.format(1234567, 1234567, 42, 3, 255, 5, 3.14159, 0.25, 12345.6789)
'{:.3} {:.3g} {:g} {} {:10.4}|'.format(1234.5, 1234.5, 100000000.0, 1e16, 3.14159)
'{m[role]} {m[content]}'.format(m=messages[0])
'{{}} {!r} {!s}'.format('q', 'q')
'{:{w}}|'.format('a', w=5)
'{:0>5}{:05}{:<05}'.format('a', 7, 8)
'a,b,,c'.split(',')
'a,b,,c'.split(',', 1)
'a b  c '.split()
'a b  c '.split(none, 1)
'a,b,,c'.rsplit(',', 1)
' a b  c '.rsplit(none, 1)
'a,b,c'.rsplit(',', maxsplit=1)
lines.splitlines()
lines.splitlines(true)
'k: v: w'.partition(': ')
'k: v: w'.rpartition(': ')
'k'.partition(': ')
'k'.rpartition(': ')
'abcabc'.find('c')
'abcabc'.find('c', 3)
'abcabc'.rfind('c')
'naïve'.find('v')
'abc'.find('z')
'abcabc'.index('b')
'abcabc'.count('bc')
'aaa'.count('')
'abc'.startswith(('x', 'a'))
'abc'.startswith('b', 1)
'abc'.endswith(('x', 'bc'))
'abc'.endswith('')
'xxabxx'.strip('x')
'xxabxx'.lstrip('x') ~ '|' ~ 'xxabxx'.rstrip('x')
'abc'.zfill(5) ~ '-7'.zfill(4)
'ab'.ljust(5, '.') ~ 'ab'.rjust(5) ~ 'ab'.center(7, '*') ~ 'ab'.center(5) ~ 'abc'.center(6)
'-'.join(['a', 'b'])
', '.join(words)
'a-b'.replace('-', '+')
'aaa'.replace('a', 'b', 2)
'abc'.replace('', '.')
'abc'.removeprefix('a').removesuffix('c')
'12'.isdigit() ~ 'a1'.isalpha() ~ 'a1'.isalnum() ~ ' '.isspace() ~ 'ab'.islower() ~ 'AB'.isupper() ~ 'Ab'.istitle() ~ '½'.isnumeric() ~ '٣'.isdecimal() ~ 'a_1'.isidentifier()
'a\\tb'.expandtabs(4)
'é'.isascii() ~ 'a'.isprintable()
{'a': 1}.items()
{'a': 1}.keys()
{'a': 1}.values()
{'a': 1}.items()|list
{'a': 1}.get('a') ~ {'a': 1}.get('b') ~ {'a': 1}.get('b', 2)
{'a': 1}.copy()
[1, 2, 1].count(1) ~ [1, 2, 1].index(2)
messages[0]
messages[1].name
messages[2].tool_calls[0].function.arguments
tools
[1, 2.5, 'a', "it's", 'say "hi"', none, true, undefined_name]
(1, 2)
(1,)
()
1, 2
{}
{'a': [1, {'b': none}], 2: 'x', none: 1, (1, 2): 3, 1.5: 4}
'a\\nb\\t\\\\'
['a\\nb\\t\\\\\\x00\\u200b\\u00e9\\U0001F600']
range(3)
range(1, 10, 3)
range(3)|list
range(5)[1:3]
range(5)[-1]
range(10, 0, -3)|list
1 / 2
4 / 2
7 // 2 ~ ' ' ~ -7 // 2 ~ ' ' ~ 7 % 3 ~ ' ' ~ -7 % 3
7.5 // 2
-7.5 % 2
2 ** 10
2 ** -1
2 ** 0.5
2 ** 3 ** 2
-2 ** 2
10 ** 15 * 1.0
10 ** 16 * 1.0
0.1 + 0.2
1e3
1.5e-7
1e22
123456789012345678.0
0.0001
0.00001
100.0
-0.0
1_000
0x1F
0b101
0o17
true + true
3.0 == 3
1 < 2 < 3
1 < 3 > 2 == 2
'a' < 'b'
[1, 2] < [1, 3]
(1, 2) < (1, 3)
1 == 1.0 == true
[1] == (1,)
(1, 2) == (1, 2)
none == nothing
'a' in 'abc'
'a' in ['a']
'a' in {'a': 1}
'z' not in 'abc'
1 in [1.0]
2 in range(3)
'a' is in 'abc'
3 is divisibleby 3
3 is divisibleby(2)
4 is even ~ 3 is odd
1 is number ~ 1.5 is number ~ true is number ~ 'a' is number
1 is integer ~ true is integer ~ 1.5 is float ~ 1 is float
'a' is string ~ 1 is string
{} is mapping ~ [] is mapping
[] is sequence ~ 'a' is sequence ~ {} is sequence ~ 1 is sequence ~ range(3) is sequence ~ {}.keys() is sequence
[] is iterable ~ 1 is iterable ~ 'a' is iterable ~ nothing is iterable
none is none ~ nothing is none ~ undefined_name is none
true is true ~ 1 is true ~ false is false ~ true is boolean
text is defined ~ undefined_name is defined ~ undefined_name is undefined ~ messages[0].zzz is defined
'ABC' is upper ~ 'abc' is lower ~ 'aB' is lower
1 is eq 1 ~ 1 is equalto(2) ~ 1 is ne 2 ~ 1 is lt 2 ~ 2 is gt 1 ~ 1 is le 1 ~ 1 is ge 2 ~ 1 is lessthan 2 ~ 2 is greaterthan 1
none is sameas none ~ true is sameas true
'upper' is filter ~ 'zzz' is filter ~ 'odd' is test ~ 'zzz' is test
range is callable ~ 'a' is callable ~ raise_exception is defined ~ strftime_now is defined
text is not none
not yes is defined
1 if yes
2 if nothing
2 if nothing else 3
'a' if false else 'b' if false else 'c'
'a' 'b' "c"
'a' ~ 1 ~ none ~ true ~ 1.5 ~ [1]
text[0] ~ text[-1] ~ text[1:4] ~ text[:-3] ~ text[::2] ~ text[::-1] ~ text[10:2:-3]
numbers[1:] ~ numbers[:-1] ~ numbers[::-2] ~ numbers[-2:]
numbers[0] ~ numbers[-1] ~ numbers.0 ~ numbers[99]
(1, 2, 3)[1:]
messages|length
messages|map(attribute='role')|join(', ')
messages|map(attribute='role')|list
messages|map(attribute='name', default='?')|list
messages|selectattr('role', 'equalto', 'user')|list|length
messages|selectattr('name', 'defined')|map(attribute='name')|first
messages|selectattr('tool_calls')|list|length
messages|rejectattr('role', 'in', ['user', 'system'])|map(attribute='role')|list
messages|selectattr('role', '==', 'user')|map(attribute='role')|list
words|map('upper')|list
words|map('replace', 'p', 'b')|join
words|map('length')|sum
numbers|select('gt', 1)|list
numbers|reject('odd')|list
[0, 1, '', 'a', none]|select|list
[0, 1, '', 'a', none]|reject|list
numbers|sum ~ numbers|max ~ numbers|min ~ [1.5, 2]|sum
people|sum('a.x') ~ people|sum(attribute='a.x', start=10)
people|max(attribute='n') ~ (people|min(attribute='a.x')).n
empty|max
empty|first ~ empty|last ~ ''|first
words|sort
words|sort(case_sensitive=true)
words|sort(reverse=true)
people|sort(attribute='a.x')|map(attribute='n')|list
people|sort(attribute='a.x,n')|map(attribute='n')|list
words|unique|list
words|unique(case_sensitive=true)|list
people|groupby('a.x')
people|groupby('n')|map(attribute='grouper')|list
people|groupby('n')|map('first')|list
numbers|batch(2)|list
numbers|batch(2, 0)|list
numbers|slice(2)|list
numbers|slice(3, 'x')|list
numbers|first ~ numbers|last
table|dictsort
table|dictsort(true)
table|dictsort(by='value', reverse=true)
table|items|list
table|list
table|length
table|join(',')
numbers|join(' ')
people|join(', ', attribute='n')
numbers|reverse|list
text|reverse
'abc'|list
-3|abs ~ -2.5|abs
'42'|int ~ 'x'|int ~ 'x'|int(7) ~ '4.7'|int ~ 3.9|int ~ true|int ~ '0x1f'|int(0, 16) ~ '  5 '|int ~ '1_0'|int ~ none|int
'4.5'|float ~ 'x'|float ~ 3|float ~ 'x'|float(1.5) ~ '1e3'|float ~ 'inf'|float ~ 'nan'|float
2.5|round ~ 3.5|round ~ 2.567|round(2) ~ 2.1|round(0, 'ceil') ~ 2.9|round(method='floor') ~ 1234|round(-2) ~ 5|round ~ 2.675|round(2)
pi|round(3)
42|string ~ none|string ~ [1]|string
42|string|length
text|length ~ text|count
text|trim ~ '  a '|trim ~ 'xxa'|trim('x') ~ 5|trim
lines|indent
lines|indent(2)
lines|indent(2, true)
lines|indent(2, first=true, blank=true)
lines|indent('> ')
text|truncate(10)
text|truncate(10, true)
text|truncate(10, true, '..', 0)
'abc'|truncate(255)
'the quick brown fox-trot jumps over'|wordwrap(10)
'the quick brown fox-trot jumps over abcdefghijklmnop'|wordwrap(8, false)
'the quick brown fox-trot jumps'|wordwrap(8, wrapstring='|')
text|wordcount
'ab'|center(6) ~ '|'
text|replace('l', 'L') ~ 'aaa'|replace('a', 'b', 1) ~ 5|replace('5', 'x')
undefined_name|default('d') ~ ''|default('d') ~ ''|default('d', true) ~ none|default('d') ~ none|d('e', boolean=true) ~ undefined_name|default
messages[0]|tojson
tools|tojson
tools|tojson(indent=2)
tools[0]|tojson(indent=4, sort_keys=true)
{'b': 'é', 'a': [1, 2.0, none, true, {}, []]}|tojson
{'b': 'é😀'}|tojson(ensure_ascii=true)
{'b': 1, 'a': 2}|tojson(separators=(',', ':'))
{'b': 1, 'a': 2}|tojson(sort_keys=true)
{1: 2, none: 3, true: 4}|tojson
(1, 2)|tojson ~ 'a"b\\\\c\\n</script>\\x01'|tojson ~ 1e16|tojson ~ 1.5|tojson
[]|tojson(indent=2) ~ {'a': []}|tojson(indent=2)
['a', {'b': 1}]|tojson(indent='--')
'<b>&"\\''|escape
'<b>'|e ~ '<i>'
'<b>'|safe
('<b>'|escape) + '<i>'
('<b>'|safe|upper) + '<i>'
'<b>'|escape|escape ~ '<b>'|escape|forceescape
'a b/c?d=é&'|urlencode ~ {'a b': 'c/d', 'e': 1}|urlencode
'<p>hi  <b>you</b></p>'|striptags
'%s-%s'|format('a', 1)
'%(x)s'|format(x=5)
1|filesizeformat ~ 1500|filesizeformat ~ 1500|filesizeformat(true) ~ 123456789|filesizeformat
{'a': 1, 'b': none, 'c': '"'}|xmlattr
people[0]|attr('n') ~ people[0]|attr('keys') is defined
people[0].items is defined
people[0]['items'] is defined
messages[2].tool_calls[0]['function']['name']
messages[4].content|map(attribute='text')|list
messages[4].content is string ~ messages[4].content is iterable
messages[-1]['content'][0]['text']
undefined_name ~ '|' ~ undefined_name|length ~ undefined_name|list ~ undefined_name|join
undefined_name == undefined_other ~ undefined_name == none ~ (undefined_name or 'x') ~ (not undefined_name)
bos_token ~ eos_token ~ pad_token ~ unk_token ~ cls_token ~ mask_token
namespace(a=1).a
namespace({'a': 1}, b=2)
dict(a=1, b=2)
dict([('a', 1)])
joiner('|')()
''.join(['a']) ~ [] ~ {} ~ ()
[[1, 2], [3]]|map('last')|list
[['a', 1], ['b', 2]]|map('first')|join
[3, 1]|sort|first
words|select('in', ['fig', 'pear'])|list
words|map('first')|map('upper')|join
words|list == words
messages|map(attribute='role')|unique|list
(messages|last).role ~ (messages|first)['role']
messages[::-1]|first
messages[1:]|map(attribute='role')|list
text.split(' ')[0].strip(',').lower()
text.split(', ')|last|trim
'</think>' in 'a</think>b' and 'a</think>b'.split('</think>')[-1]
'a</think>b'.split('</think>')[0].rstrip('\\n').split('<think>')[-1]
(1, 2)|first
{'a': 1, 'a': 2}
{1: 'a', true: 'b', 1.0: 'c'}
{'x': 1}['x'] ~ {'x': 1}.x
{'get': 1}.get ~ {'get': 1}['get'] if false else 'ok'
{1: 'a'}[1] ~ {1: 'a'}[true] ~ {(1, 2): 'a'}[1, 2]
text[none:3]
'abc'[true]
not 1 == 2
1 + 2 * 3 - 4 / 2
'a' + 'b' * 2
-1|string
(-1)|string|length
1 - -1
[1, 2, 3][1:][0]
(lines.splitlines()|map('trim')|select|list)
range(3)|map('string')|join('-')
none is defined and nothing is none
1 if 0 else 2 if 0 else 3
[x] if x else []
'a\\x41\\u0042\\U00000043\\101\\d'
"\\"q\\"" ~ '\\'q\\''
5.0|int // 2
3.7 % 1
True and None
[1, [2, [3, (4,)]]]
1.0 ~ 2.50 ~ 1e100 ~ 12345678901234567890.0
1 is string or 'a' is string
numbers|sort(attribute=0) if false else 'n'
'x'.join('abc')
'abc'|join('-')
'a' in undefined_name
[]|sum ~ [[1], [2]]|sum(start=[])
numbers is sequence and numbers is not string and numbers is not mapping
(numbers|length) % 2 == 1
messages|tojson|length
('a', 'b') in [('a', 'b')]
loop is defined
caller is defined
7.0.is_integer() ~ 5 .bit_length()
'naïve'|length ~ 'naïve'[2] ~ 'naïve'.upper()
'İ'.lower()|length
'ﬁ'.upper() ~ 'ß'.title() ~ 'ǆ'.title()
"{:>{}}".format('a', 4)
'%s' % 'a' ~ 'b'
'%s' % ('a',)
'%s %s' % (words[0], words|length)
'%-10s|' % 'ab' ~ '%10s' % 'é'
'a'.__class__ ~ '|'
[].append is defined
{}.update is defined ~ {}.pop is defined
range.zzz is defined
[{}, {}]|sort
words|truncate
text[none:]
""".strip("\n").split("\n")

# Statements, white space, scopes, macros.
STATEMENTS = [
    "{% for m in messages %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}",
    "{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined else '-' }}>{{ loop.nextitem.role if not loop.last }} {% endfor %}",
    "{% for m in messages %}{{ loop.cycle('a', 'b', 'c') }}{{ loop.changed(m.role) }}{% endfor %}",
    "{% for m in messages if m.role == 'user' %}{{ loop.index }}/{{ loop.length }}{% else %}none{% endfor %}",
    "{% for m in messages if m.role == 'zzz' %}x{% else %}none{% endfor %}",
    "{% for k, v in table.items() %}{{ k }}={{ v }}{{ ', ' if not loop.last }}{% endfor %}",
    "{% for k, v in table|dictsort %}{{ k }}={{ v }};{% endfor %}", "{% for k in table %}{{ k }}{% endfor %}", "{% for c in 'héy' %}{{ c }}.{% endfor %}",
    "{% for (a, (b, c)) in [(1, (2, 3)), [4, [5, 6]]] %}{{ a + b + c }} {% endfor %}",
    "{#", "{% raw %}", "{% for x in 1, 2, 3 %}{{ x }}{% endfor %}", "{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for a in [1, 2] %}{% for b in [] %}{% else %}{% break %}{% endfor %}{{ a }}{% endfor %}",
    "{% set tree = [{'n': 'a', 'c': [{'n': 'b', 'c': [{'n': 'c', 'c': []}]}]}, {'n': 'd', 'c': []}] %}{% for t in tree recursive %}{{ t.n }}{{ loop.depth }}[{{ loop(t.c) }}]{% endfor %}",
    "{% for x in [1, 2, 3] %}{% set y = x %}{{ y }}{% endfor %}{{ y }}", "{% set y = 0 %}{% for x in [1, 2, 3] %}{{ y }}{% set y = x %}{% endfor %}{{ y }}",
    "{% set ns = namespace(found=false, n=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.found = true %}{% set ns.n = ns.n + 1 %}{% endif %}{% endfor %}{{ ns.found }}{{ ns.n }}",
    "{% set ns = namespace(done=false) %}{% for x in [1, 2, 3, 4] if not ns.done %}{{ x }}{% if x == 2 %}{% set ns.done = true %}{% endif %}{% endfor %}",
    "{% set ns = namespace(done=false) %}{% for x in [1, 2, 3, 4] if not ns.done %}{{ x }}{{ loop.last }}{% if x == 2 %}{% set ns.done = true %}{% endif %}{% endfor %}",
    "{% if false %}a{% elif yes %}b{% else %}c{% endif %}", "{% if messages and messages[0].role == 'system' %}{% set system = messages[0].content %}{% set rest = messages[1:] %}{% endif %}{{ system }}{{ rest|length }}",
    "{% if not undefined_name %}u{% endif %}{% if undefined_name is defined and undefined_name.x %}d{% endif %}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a, (b, c) = [1, (2, 3)] %}{{ a }}{{ b }}{{ c }}",
    "{% set x %}in {{ 1 + 1 }} block{% endset %}{{ x|upper }}", "{% set x | upper | trim %} a {% endset %}[{{ x }}]", "{% set ns = namespace() %}{% set ns.x %}blk{% endset %}{{ ns.x }}", "{% set x = 1, 2 %}{{ x }}",
    "{% macro f(a, b='d', c=a) %}{{ a }}{{ b }}{{ c }}|{% endmacro %}{{ f(1) }}{{ f(1, 2) }}{{ f(b=3, a=4) }}{{ f() }}", "{% macro f(a) %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, 3, x=4) }}",
    "{% macro wrap(tag) %}<{{ tag }}>{{ caller() }}</{{ tag }}>{% endmacro %}{% call wrap('b') %}in{% endcall %}", "{% macro each(xs) %}{% for x in xs %}{{ caller(x, loop.index) }}{% endfor %}{% endmacro %}{% call(x, i) each(words) %}{{ i }}{{ x }} {% endcall %}",
    "{% macro f() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ f() }}{% set x = 2 %}{{ f() }}", "{% macro fact(n) %}{{ 1 if n < 2 else n * fact(n - 1)|int }}{% endmacro %}{{ fact(5) }}",
    "{% macro f(x) %}{{ x }}{% endmacro %}{{ f.name }}{{ f.arguments }}{{ f.catch_kwargs }}{{ f.catch_varargs }}{{ f.caller }}{{ f }}", "{%- macro turn(m) -%}[{{ m.role }}] {{ m.content }}{%- endmacro -%}{% for m in messages %}{{ turn(m) }}{% endfor %}",
    "{% macro a() %}A{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}", "{% macro f(x) %}{% if x is mapping %}{% for k, v in x|items %}{{ k }}:{{ f(v) }};{% endfor %}{% elif x is iterable and x is not string %}[{% for v in x %}{{ f(v) }},{% endfor %}]{% else %}{{ x }}{% endif %}{% endmacro %}{{ f(tools) }}",
    "{% macro f(x) %}{{ x }}{% endmacro %}{{ f(x='a')|upper ~ f('b') }}{{ [1, 2]|map('string')|join }}", "{% set f = dict(a=1).get %}{{ f('a') }}", "{% set e = raise_exception %}{{ e is callable }}", "{% set args = [1, 5] %}{{ range(*args)|list }}{{ dict(**{'a': 1}) }}",
    "{% macro f(a, b) %}{{ a }}-{{ b }}{% endmacro %}{{ f(*[1], **{'b': 2}) }}", "{% filter upper %}a{{ 'b' }}{% endfilter %}", "{% filter replace('a', 'x')|indent(2, true) %}a\nba{% endfilter %}", "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}",
    "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a }}", "{% set a = 5 %}{% with a = 1, b = a %}{{ b }}{% endwith %}", "{% raw %}{{ x }} {% if %}{# c #}{% endraw %}", "a {%- raw -%} {{ x }} {%- endraw -%} b", "{% raw %}\n  x\n{% endraw %}\ny", "  {% raw %} q {% endraw %}  \n z",
    "{# c #}a{#- c -#} b", "a\n{# c #}\nb", "  {% if true %}\n x\n  {% endif %}\ny", "  {%+ if true %}\n x\n  {%- endif +%}\ny", "{{- ' a ' -}} \n b", "\n\n{%- if true -%} \n a \n {%- endif -%}\n\n b", "a\r\nb\rc\n", "{% if true -%}\n\n  a{% endif %}\n", "x {{ 1 }} \n", "\t{% set a = 1 %}\n\t{{ a }}",
    "{% generation %}gen{% endgeneration %}", "{%- for m in messages %}{{ '<' ~ m.role ~ '>' }}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}", "{% generation %}{% set g = 1 %}{{ g }}{% endgeneration %}{{ g }}",
    "{% print 1, 'a' %}", "{% set j = joiner(', ') %}{% for x in words %}{{ j() }}{{ x }}{% endfor %}", "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set _ = c.reset() %}{{ c.current }}",
    "{% set _ = words %}{{ _|length }}", "{% if true: %}a{% endif %}", "{% for x in [1]: %}{{ x }}{% endfor %}", "{% if 'a' in words, %}t{% endif %}", "{% set x = 'a' if yes else 'b' %}{{ x }}", "{% if yes %}{% macro m() %}in{% endmacro %}{% endif %}{{ m() }}",
    "{% set g = words|map('upper') %}{{ g|first }}{{ g|list }}{{ g|list }}", "{% set g = words|map('upper') %}{{ 'FIG' in g }}{{ g|join }}", "{% for x in words|map('upper') %}{{ loop.last }}{{ loop.length }}{{ x }}{% endfor %}", "{% for g, items in people|groupby('a.x') %}{{ g }}:{{ items|map(attribute='n')|join(',') }};{% endfor %}",
    "{% for g in people|groupby('n') %}{{ g.grouper }}{{ g.list|length }}{% endfor %}", "{% for row in numbers|batch(2, '-') %}{{ row|join(',') }};{% endfor %}", "{% for x in undefined_name %}x{% else %}e{% endfor %}", "{% for x in words %}{{ loop }}{% endfor %}", "{% set x = namespace(a=namespace(b=1)) %}{{ x.a.b }}{{ x }}",
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = message.content %}{% if loop.index0 == 0 %}{% set content = bos_token ~ content %}{% endif %}{{ content }}{% endfor %}", "{{ strftime_now('%d %b %Y') }}|{{ strftime_now('%Y-%m-%d %H:%M:%S %j %A %B %p %I') }}|{{ strftime_now('%-d %e %-m %y %a %U %%') }}",
    "{% if strftime_now is defined %}{% set d = strftime_now('%d %b %Y') %}{% else %}{% set d = '26 Jul 2024' %}{% endif %}{{ d }}", "{{ strftime_now('%Q %') }}{{ strftime_now('') }}{{ strftime_now('é%Yü') }}{{ strftime_now('%z%Z') }}", "{% if undefined_thing %}{{ 'a'|nofilter }}{% endif %}ok",
    "{{ 'a'|nofilter if false else 'b' }}", "{% set content %}{% for m in messages %}{{ m.role }}{% endfor %}{% endset %}{{ content|length }}", "{%- set ns = namespace(is_first=true, system='') -%}{%- for m in messages -%}{%- if m.role == 'system' -%}{%- set ns.system = ns.system + m.content -%}{%- endif -%}{%- endfor -%}{{ ns.system }}",
    "{{ messages[0]['content'] if messages[0]['role'] == 'system' else 'none' }}{{ messages[1:]|length }}", "{% for m in messages[:-1] %}{{ m.role }}{% endfor %}{{ (messages|last).content[0].text }}", "{% for part in messages[4].content %}{% if part.type == 'text' %}{{ part.text }}{% elif part['type'] == 'image' %}<image>{% endif %}{% endfor %}",
    "{% for tool in tools %}{% set fn = tool.function %}{% for name, p in fn.parameters.properties.items() %}{{ name }}: {{ p.type if p.type is string else p.type|join(' | ') }}{{ ' (' ~ p.enum|join('/') ~ ')' if p.enum is defined }}\n{% endfor %}{% endfor %}",
    "{% for tool in tools %}{{ tool.function|tojson(indent=4) }}{% endfor %}", "{% set a = [1] + [2] %}{{ a }}{% set a = a + ['c'] %}{{ a }}", "{% for i in range(messages|length - 1, -1, -1) %}{% set m = messages[i] %}{{ m.role }} {% endfor %}",
    "{% set ns = namespace(last=-1) %}{% for m in messages[::-1] %}{% set i = (messages|length - 1) - loop.index0 %}{% if m.role == 'user' and ns.last < 0 %}{% set ns.last = i %}{% endif %}{% endfor %}{{ ns.last }}", "{% macro m(x) %}{{ x }}{{ loop is defined }}{% endmacro %}{% for i in [1] %}{{ m(i) }}{% endfor %}",
    "{%- macro p(d, i=0) -%}{%- for k, v in d|items -%}{{ '  ' * i }}{{ k }}: {% if v is mapping %}\n{{ p(v, i + 1) }}{% else %}{{ v|tojson }}\n{% endif %}{%- endfor -%}{%- endmacro -%}{{ p(tools[0].function.parameters) }}", "{{ '' ~ loop.x if loop is defined }}", "{% set été = 'é' %}{{ été }}",
]

# jinja2 refuses these when they are compiled or run; so do we.
REFUSED = """
'a'.zzz()
undefined_name.x
undefined_name['x']
undefined_name()
undefined_name + 1
undefined_name < 1
-undefined_name
undefined_name|int
undefined_name|abs
'%d' % undefined_name
none.x.y
none + 1
none < 1
'a' + 1
1 + 'a'
'a' - 'b'
'a' / 2
[] + ()
[1] < ['a']
{} < {}
1 / 0
1 // 0
1 % 0
1.0 / 0
0 ** -1
1 in 1
1 in 'abc'
[] in {}
{[]: 1}
{}|sort|first|length|foo
[1, 'a']|sort
1 ~ 2 + 3
[{}]|unique|list
[1]|sum('x')
['a']|sum
'a'|abs
'a'|round
2.5|round(1, 'up')
1|length
words|map('upper')|length
words|map('upper')|last
words|map|list
words|map('nofilter')|list
words|select('notest')|list
1|list
1|join
none|first
5|items|list
5|dictsort
table|dictsort(by='x')
range(0, 1, 0)
range(1.5)
range(200000)
range()
'a'.split('')
'abc'.index('z')
[1].index(2)
'a'.center()
'a'.center(5, 'xy')
'a'.startswith(1)
'a'.startswith(['a'])
','.join([1])
'a'.replace('a')
'%d' % 'a'
'%s %s' % 'a'
'%s' % (1, 2)
'a' % 5
'%q' % 1
'%' % 1
'%(a)s' % 5
'%(a)s' % {}
'{}'.format()
'{'.format()
'}'.format()
'{a}'.format()
'{} {0}'.format(1, 2)
'{:d}'.format('a')
'{:s}'.format(1)
'{:zz}'.format(1)
[].append(1)
{}.update(a=1)
{}.pop('a')
words.sort()
'a'.__class__.__mro__
namespace(1)
namespace(_a=1)
dict(1)
cycler()
{}.get()
{}.get([])
1()
'a'()
messages()
loop(1)
raise_exception('no ' ~ 1)
raise_exception()
strftime_now()
strftime_now(5)
none|tojson(indent=2)|tojson|foo
range|tojson
undefined_name|tojson
{(1, 2): 1}|tojson
range(3)|tojson
{1: 2, 'a': 3}|tojson(sort_keys=true)
(words * 100)|truncate
text|truncate(1)
text|indent(none)
none|indent
'a'|wordwrap(0)
5|wordwrap
{'a b': 1}|xmlattr
1 is divisibleby 0
'a' is odd
1 is in 5
1 is foo
1|foo
1|upper(2)
1|default(2, 3, 4)
'a'|trim(1)
'a'[::0]
undefined_name[1:]
text['x':]
nothing[1:]
table[1:]
table.items()[1:]
""".strip("\n").split("\n")

REFUSED_STATEMENTS = [
    "{% for x in none %}{% endfor %}", "{% for x in 5 %}{% endfor %}", "{% for a, b in [1] %}{% endfor %}", "{% for a, b in [[1, 2, 3]] %}{% endfor %}", "{% set x.y = 1 %}", "{% set a, b = 1 %}", "{% set a, b = [1, 2, 3] %}", "{% set ns = namespace() %}{% set ns._x = 1 %}",
    "{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", "{% macro f(a) %}{% endmacro %}{{ f(b=1) }}", "{% macro f(a=1, b) %}{% endmacro %}", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{% macro f() %}{{ caller() }}{% endmacro %}{{ f() }}", "{% macro f() %}{% endmacro %}{% call f() %}{% endcall %}",
    "{% call 5 %}{% endcall %}", "{% for x in [1] %}{{ loop([2]) }}{% endfor %}", "{% for x in [1] %}{{ loop.cycle() }}{% endfor %}", "{{ 'a'|nofilter }}", "{{ 'a' is notest }}", "{% if true %}{{ 'a'|nofilter }}{% endif %}", "{% if true %}{% for x in [] %}{{ x|nofilter }}{% endfor %}{% endif %}",
    "{% filter nofilter %}{% endfilter %}", "{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{% from 'x' import y %}", "{% do 1 %}", "{% break %}", "{% macro f() %}{% break %}{% endmacro %}", "{% for x in [1] %}{% macro f() %}{% break %}{% endmacro %}{% endfor %}", "{% generation %}",
    "{{", "{%", "{# ", "{{ 'a }}", "{{ 1 + }}", "{% if %}", "{% if true %}", "{% endif %}", "{% for x messages %}{% endfor %}", "{{ (1 }}", "{{ ] }}", "{% set %}", "{{ a b }}", "{% nothing %}", "{% else %}", "{{ a..b }}", "{{ [1, }}", "{{ ; }}", "{% if true %}{% else %}{% else %}{% endif %}",
    "{{ f(a=1, 2) }}", "{{ a[ }}", "{{ }}", "{{ | x }}", "{{ @ }}", "{{ '\\x1' }}", "{{ 01 }}", "{% for x in messages %}{% endif %}", "{% raw %} ", "{% endraw %}", "{% set true = 1 %}", "{% for none in [1] %}{% endfor %}", "{% set 5 = 1 %}", "{{ f(**{}, 1) }}", "{{ f(*[], *[]) }}", "{{ 1 is string is string }}",
    "{% for a, in [[1]] %}{% endfor %}", "{% set a, = [1] %}", "{% for x in [1] recursive if x %}{% endfor %}", "{% macro %}{% endmacro %}", "{% macro f(1) %}{% endmacro %}", "{% with a %}{% endwith %}", "{{ 1..2 }}", "{{ {1} }}", "{{ [1 2] }}", "{{ not }}", "{{ 1 not 2 }}", "{% set x = %}", "{% set a.b.c = 1 %}", "{% filter %}{% endfilter %}", "{% if true %}{% endfor %}",
]

# Refused by us, by name, though jinja2 renders them: no prompt needs them.
LEFT_OUT = [
    "{{ 2 ** 64 }}", "{{ 9223372036854775807 + 1 }}", "{{ 99999999999999999999 }}", "{{ words|random }}", "{{ 'http://a.b'|urlize }}", "{{ table|pprint }}", "{{ lipsum() }}", "{% block x %}{% endblock %}", "{% autoescape true %}{% endautoescape %}", "{{ range }}", "{{ words|map('upper') }}", "{{ 'a'.upper }}",
    "{{ (-8) ** 0.5 }}", "{{ '\\N{DIGIT ONE}' }}", "{{ 'ß'.casefold() }}",
]
