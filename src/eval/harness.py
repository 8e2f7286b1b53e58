# Runs a program that a model wrote, and its tests, in the process that src/eval/sandbox.cpp has
# fenced in. Reads {nonce, code, tests, entry_point} from stdin; answers "<nonce> passed" or
# "failed: <why>" on what was stdout. The nonce keeps a program that ends the process early, or
# prints, from passing.
import ast
import json
import os
import sys

IMPORTS = (ast.Import, ast.ImportFrom)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
MAX_LINES = 400  # of code that is searched for its longest valid part


def parsed(code):
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def longest_valid(code):
    """The tree of the longest run of lines that is valid Python."""
    tree = parsed(code)
    if tree is not None:
        return tree
    lines = code.split("\n")[:MAX_LINES]
    for length in range(len(lines), 0, -1):
        for begin in range(len(lines) - length + 1):
            if not lines[begin].strip() or lines[begin][0] in " \t":
                continue
            tree = parsed("\n".join(lines[begin:begin + length]))
            if tree is not None:
                return tree
    return ast.parse("")


def defined_name(node):
    """The name that a statement at the top level defines, if it counts as a definition."""
    if isinstance(node, ast.ClassDef):
        return node.name
    if isinstance(node, FUNCTIONS):
        # A function that returns nothing is a signature with its docstring, which a whole
        # definition follows.
        returns = any(isinstance(inner, ast.Return) for inner in ast.walk(node))
        return node.name if returns else None
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id
    return None


def names_in(tree):
    return [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]


def only_needed(tree, entry_point, tests):
    """Imports, and the first definition of each name that the entry point or the tests need."""
    definitions = {}
    for node in tree.body:
        name = defined_name(node)
        if name is not None:
            definitions.setdefault(name, node)
    needed, waiting = set(), [entry_point, *names_in(ast.parse(tests))]
    while waiting:
        name = waiting.pop()
        if name in needed or name not in definitions:
            continue
        needed.add(name)
        waiting += names_in(definitions[name])
    kept = [node for node in tree.body if isinstance(node, IMPORTS)
            or any(definitions.get(name) is node for name in needed)]
    return ast.Module(body=kept, type_ignores=[])


def verdict_of(request):
    namespace = {"__name__": "answer"}
    try:
        code = request["code"]
        if request["entry_point"]:
            code = only_needed(longest_valid(code), request["entry_point"], request["tests"])
        exec(compile(code, "<answer>", "exec"), namespace)
        exec(compile(request["tests"], "<tests>", "exec"), namespace)
    except BaseException as error:  # SystemExit and KeyboardInterrupt of the program too
        return f"failed: {type(error).__name__}: {error}"[:200]
    return "passed"


def main():
    request = json.loads(sys.stdin.buffer.read())
    nonce = request.pop("nonce")
    answer = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    verdict = verdict_of(request)
    text = f"{nonce} passed" if verdict == "passed" else verdict
    os.write(answer, text.encode("utf-8", "replace"))
    os._exit(0)


main()
