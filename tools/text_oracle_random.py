"""Random templates for comparison with jinja2: expressions of the whole language, and tags among white space."""

ATOMS = [
    "1", "0", "2", "-3", "7", "1.5", "0.0", "-2.25", "1e20", "'a'", "''", "'ab c'", "'Été'", "'a\\nb'", "'12'", "'%s|%d'", "'{}-{}'", "none", "true", "false",
    "messages", "messages[0]", "messages[1].content", "messages[0].role", "words", "numbers", "people", "table", "nothing", "nowhere", "text", "pi", "empty", "tools", "lines",
    "[1, 'a']", "[]", "()", "(1, 'b')", "{'k': 'v'}", "{1: 2}", "[[2, 1], [1, 2]]", "range(3)", "words|map('upper')", "table.items()", "bos_token", "namespace(a=1)", "loop", "dict(a=1)",
    "'<b>'|safe", "'&'|escape",
]
BINARY = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
UNARY = ["not ", "-", "+", ""]
METHODS = {
    "strip": 1, "lstrip": 1, "rstrip": 1, "split": 2, "rsplit": 2, "splitlines": 1, "partition": 1, "rpartition": 1, "find": 3, "rfind": 2, "index": 1, "count": 1, "replace": 3,
    "startswith": 2, "endswith": 1, "upper": 0, "lower": 0, "title": 0, "capitalize": 0, "swapcase": 0, "zfill": 1, "ljust": 2, "rjust": 2, "center": 2, "join": 1, "format": 3,
    "isdigit": 0, "isalpha": 0, "isupper": 0, "isspace": 0, "istitle": 0, "expandtabs": 1, "removeprefix": 1, "removesuffix": 1, "get": 2, "items": 0, "keys": 0, "values": 0,
    "copy": 0, "append": 1, "pop": 0, "update": 1, "zzz": 0, "a": 0, "is_integer": 0,
}
FILTERS = {
    "abs": 0, "attr": 1, "batch": 2, "capitalize": 0, "center": 1, "count": 0, "default": 2, "dictsort": 1, "e": 0, "first": 0, "float": 1, "forceescape": 0, "format": 2, "groupby": 1,
    "indent": 3, "int": 2, "items": 0, "join": 2, "last": 0, "length": 0, "list": 0, "lower": 0, "map": 2, "max": 1, "min": 1, "reject": 2, "rejectattr": 3, "replace": 3, "reverse": 0,
    "round": 2, "safe": 0, "select": 2, "selectattr": 3, "slice": 2, "sort": 2, "string": 0, "striptags": 0, "sum": 2, "title": 0, "tojson": 0, "trim": 1, "truncate": 3, "unique": 1,
    "upper": 0, "urlencode": 0, "wordcount": 0, "wordwrap": 2, "xmlattr": 0, "filesizeformat": 1,
}
TESTS = {
    "defined": 0, "undefined": 0, "none": 0, "string": 0, "integer": 0, "float": 0, "number": 0, "boolean": 0, "true": 0, "false": 0, "mapping": 0, "iterable": 0, "sequence": 0, "callable": 0,
    "odd": 0, "even": 0, "divisibleby": 1, "lower": 0, "upper": 0, "eq": 1, "ne": 1, "lt": 1, "gt": 1, "le": 1, "ge": 1, "in": 1, "filter": 0, "test": 0, "escaped": 0,
}
NAMES = ["'role'", "'content'", "'upper'", "'odd'", "'a.x'", "'n'", "'string'", "'0'", "'equalto'", "'length'"]


def expressions(rng, count):
    """Expressions, right and wrong."""

    def arguments(most, depth):
        return ", ".join(rng.choice(NAMES) if rng.random() < 0.2 else expression(depth) for _ in range(rng.randint(0, most)))

    def tail(value, depth):
        kind = rng.randrange(8)
        if kind < 3:
            name, most = rng.choice(list(FILTERS.items()))
            inside = arguments(most, depth)
            return f"{value}|{name}({inside})" if inside else f"{value}|{name}"
        if kind < 5:
            name, most = rng.choice(list(METHODS.items()))
            return f"{value}.{name}({arguments(most, depth)})"
        if kind == 5:
            name, most = rng.choice(list(TESTS.items()))
            return f"{value} is {rng.choice(('', 'not '))}{name}" + (f"({expression(depth)})" if most else "")
        if kind == 6:
            return value + rng.choice(("[0]", "[-1]", "[1:]", "[:2]", "[::-1]", "[::2]", "['k']", ".role", " ** 2", ".n", "['content']", ".a", ".0"))
        return f"{value}[{expression(depth)}]"

    def expression(depth):
        kind = rng.randrange(8) if depth > 0 else 0
        if kind == 0:
            return rng.choice(ATOMS)
        if kind in (1, 2):
            return f"{expression(depth - 1)} {rng.choice(BINARY)} {expression(depth - 1)}"
        if kind in (3, 4, 5):
            return tail(f"({expression(depth - 1)})", depth - 2)
        if kind == 6:
            return rng.choice(UNARY) + tail(f"({expression(depth - 1)})", depth - 2)
        return f"{expression(depth - 1)} if {expression(depth - 1)}" + rng.choice(("", f" else {expression(depth - 1)}"))

    for _ in range(count):
        yield "{{ " + expression(rng.randrange(1, 5)) + " }}"


def white_space_mixtures(rng, count):
    """Tags of every kind with every sign between every kind of white space."""
    spaces = ["", " ", "\n", "  \n", "\n  ", "\t", "\n\n", "x", " y\n", "\r\n", "\u3000", "{", "}", "%"]

    def tag(inner):
        return "{%" + rng.choice(("", "-", "+")) + f" {inner} " + rng.choice(("", "-", "+")) + "%}"

    def leaf():
        kind = rng.randrange(5)
        if kind == 0:
            return "{{" + rng.choice(("", "-")) + " 1 " + rng.choice(("", "-")) + "}}"
        if kind == 1:
            return "{#" + rng.choice(("", "-", "+")) + " c " + rng.choice(("", "-", "+")) + "#}"
        if kind == 2:
            begin = "{%" + rng.choice(("", "-", "+")) + " raw " + rng.choice(("", "-")) + "%}"
            return begin + rng.choice(spaces) + "{{ r }}" + rng.choice(spaces) + tag("endraw")
        if kind == 3:
            return tag("set b") + rng.choice(spaces) + "s" + rng.choice(spaces) + tag("endset") + "{{ b }}"
        return tag("set a = 2")

    for _ in range(count):
        parts = [rng.choice(spaces) + leaf() + rng.choice(spaces) for _ in range(rng.randrange(1, 4))]
        body = rng.choice(spaces).join(parts)
        yield rng.choice(spaces) + tag("if true") + body + tag("endif") + rng.choice(spaces) + leaf() + rng.choice(spaces)
