"""A stand-in for `fast-dllm serve` that the page's tests can slow down and break.

It serves the page's own files and answers /v1/models, /openapi.json (a few options and rules),
/v1/chat/completions and /v1/infill with made up denoising, in the shapes of the real server. A prompt may contain, in brackets, what is to happen:
[prefill] a first forward that takes a while and a later one too, [slow] a pause at each step,
[break] the connection ends half-way, [fail] an error event half-way, [busy] status 429, [html] an
answer full of markup.

usage: page_mock.py [PORT]
"""
import http.server
import json
import pathlib
import random
import re
import sys
import threading
import time

PAGE = pathlib.Path(__file__).resolve().parents[2] / "src" / "server" / "page"
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
MARKUP = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"
ANSWER = ("Olga has 8 more rocks than Sam, so Olga has 18 + 8 = 26 rocks.\n"
          "Together they have 18 + 26 = 44 rocks.\n#### 44")
END = "<|eot_id|>"


def option(group, common=False, **schema):
    return {**schema, "x-group": group, **({"x-common": True} if common else {})}


def number(group, common=False, kind="number", **schema):
    return option(group, common, type=[kind, "null"], **schema)


OPTIONS = {
    "preset": option("Lengths", True, enum=[None, "exact", "fast"],
                     **{"x-values": {"exact": {"cache": "none", "tokens_per_forward": 1},
                                     "fast": {"cache": "dual", "block_length": 16}}}),
    "gen_length": number("Lengths", True, "integer", minimum=1, maximum=2 ** 31 - 1,
                         description="masked tokens after the prompt"),
    "block_length": number("Lengths", True, "integer", minimum=1, maximum=2 ** 31 - 1),
    "cache": option("Rows", True, enum=[None, "none", "prefix", "dual"], default="dual"),
    "query_before": number("Rows", False, "integer", minimum=0, default=0),
    "block_cache": option("Models of whole blocks", type=["boolean", "null"], default=False),
    "fuse_store": option("Models of whole blocks", type=["boolean", "null"], default=True),
    "steps": number("Unmask rules", True, "integer", minimum=1),
    "threshold": number("Unmask rules", True, minimum=0, maximum=1, default=0.9),
    "factor": number("Unmask rules", exclusiveMinimum=0),
    "tokens_per_forward": number("Unmask rules", minimum=1, maximum=65536),
    "early_commit": number("Beside any rule", minimum=0, maximum=1),
    "temperature": number("Sampling", True, minimum=0, maximum=100, default=0),
    "seed": number("Sampling", True, "integer", default=0),
    "stop": option("Where an answer ends", True, anyOf=[{"type": "null"}, {"type": "string"}, {"type": "array"}]),
    "eos_stop": option("Where an answer ends", type=["boolean", "null"], default=True),
    "messages": {"type": "array"},
}
RULES = [{"name": name, "description": name, "chosen_by": chosen_by, "numbers": numbers}
         for name, chosen_by, numbers in (
             ("threshold", "threshold", ["threshold"]), ("quota", "steps", ["steps"]),
             ("tokens_per_forward", "tokens_per_forward", ["tokens_per_forward"]),
             ("entropy", "alg", ["steps"]))]


def security_policy():
    """The header that the real server sends, from its source."""
    source = (PAGE / "page_files.h").read_text(encoding="utf-8")
    return "".join(re.findall(r'"([^"]*)"', source[source.index("kPageSecurityPolicy"):]))


class Refusal(Exception):
    def __init__(self, status, message, param=None):
        super().__init__(message)
        self.status, self.param = status, param


def pieces(text):
    return re.findall(r" ?\w+|\s|[^\w\s]", text)


def schedule(body, length, block_begin, block_length):
    """Yields (block, positions to commit) of each step."""
    order = random.Random(body.get("seed", 0))
    for block, begin in enumerate(range(block_begin, length, block_length)):
        left = list(range(begin, min(begin + block_length, length)))
        order.shuffle(left)
        size = 1 if body.get("tokens_per_forward") == 1 or body.get("steps") else 4
        while left:
            yield block, left[:size]
            left = left[size:]


def denoise(body, tokens, masked, block_begin, block_length):
    """Yields the denoising events of a canvas of which `masked` positions are open."""
    chance = random.Random(1)
    open_positions = set(masked)
    step = 0
    for block, positions in schedule(body, len(tokens), block_begin, block_length):
        committed = [position for position in positions if position in open_positions]
        if not committed:
            continue
        open_positions -= set(committed)
        in_block = [position for position in sorted(open_positions)
                    if (position - block_begin) // block_length == block]
        yield {"step": step, "forwards": step + 1, "block": block,
               "query": [0, len(tokens)],
               "committed": [[position, tokens[position]] for position in committed],
               "provisional": [[position, tokens[position], round(chance.random() * 0.9, 3)]
                               for position in in_block],
               "masked": len(open_positions)}
        step += 1


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.server.seen.append(("GET", self.path))
        if self.path == "/v1/models":
            return self.checked(lambda: self.reply({"object": "list", "data": [
                {"id": "mock-nano", "object": "model", "family": "llada", "backend": "mock",
                 **self.server.model}]}))
        if self.path == "/openapi.json":
            schemas = {"ChatRequest": {"type": "object", "properties": OPTIONS}}
            return self.checked(lambda: self.reply({"x-rules": RULES,
                                                    "x-unused-options": ["block_cache"],
                                                    "components": {"schemas": schemas}}))
        path = PAGE / ("index.html" if self.path == "/" else self.path.removeprefix("/page/"))
        if path.parent != PAGE or path.suffix not in TYPES or not path.is_file():
            return self.refuse(Refusal(404, "no such page"))
        data = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", TYPES[path.suffix])
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Security-Policy", security_policy())
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        self.server.seen.append(("POST", self.path))
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        self.checked(lambda: self.infill(body) if self.path == "/v1/infill" else self.chat(body))

    def checked(self, act):
        try:
            key = self.server.key
            if key and self.headers.get("Authorization") != f"Bearer {key}":
                raise Refusal(401, "no valid API key was given.")
            act()
        except Refusal as refusal:
            self.refuse(refusal)
        except OSError:
            self.server.disconnects += 1

    def reply(self, value, status=200, headers=()):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for header in headers:
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, refusal):
        error = {"message": str(refusal), "type": "invalid_request_error", "param": refusal.param,
                 "code": None}
        self.reply({"error": error}, refusal.status,
                   [("Retry-After", "3")] if refusal.status == 429 else ())

    def begin_stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()

    def event(self, value):
        self.wfile.write(b"data: " + (value if isinstance(value, bytes)
                                      else json.dumps(value).encode()) + b"\n\n")
        self.wfile.flush()

    def chat(self, body):
        prompt = body["messages"][-1]["content"]
        length = body.get("gen_length", 64)
        block_length = body.get("block_length", 32)
        if length % block_length:
            raise Refusal(400, f"gen_length {length} is no multiple of block_length {block_length}",
                          "gen_length")
        if "[busy]" in prompt:
            raise Refusal(429, "the queue is full.")
        answer = MARKUP if "[html]" in prompt else ANSWER
        tokens = (pieces(answer) + [END] * length)[:length]
        self.begin_stream()
        self.event({"choices": [], "denoising": {"canvas": {
            "prompt_tokens": 12, "gen_length": length, "block_length": block_length}}})
        texts, sent, start, forwards = {}, 0, time.monotonic(), 0
        for event in denoise(body, tokens, range(length), 0, block_length):
            forwards = event["forwards"]
            if forwards in (1, 4) and "[prefill]" in prompt:
                self.long_forward(forwards - 1)
            if forwards == 4 and "[break]" in prompt:
                return
            if forwards == 4 and "[fail]" in prompt:
                return self.event({"error": {"message": "a score is not a number", "param": None}})
            texts.update((position, text) for position, text in event["committed"])
            self.event({"choices": [], "denoising": event})
            while sent in texts:
                if texts[sent] != END:
                    self.event({"choices": [{"index": 0, "delta": {"content": texts[sent]}}]})
                sent += 1
            time.sleep(0.3 if "[slow]" in prompt else self.server.delay)
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self.end_stream(start, forwards, sum(token != END for token in tokens))

    def long_forward(self, step):
        for done in range(1, 9):
            self.event({"choices": [], "forward": {
                "choice": 0, "step": step, "layers_done": done, "layers": 8, "rows": 1152,
                "seconds": done * 0.4}})
            time.sleep(0.2)

    def infill(self, body):
        parts = body["parts"]
        tokens, masked, filled = [], [], []
        for part in parts:
            begin = len(tokens)
            if isinstance(part, dict):
                tokens += [" word"] * part["hole"]
                masked += range(begin, len(tokens))
            else:
                tokens += pieces(part)
            filled.append("".join(tokens[begin:]))
        fixed = [[position, token] for position, token in enumerate(tokens)
                 if position not in set(masked)]
        self.begin_stream()
        self.event({"choices": [], "denoising": {"canvas": {
            "prompt_tokens": 0, "gen_length": len(tokens), "block_length": len(tokens),
            "block_begin": masked[0], "fixed": fixed}}})
        start, forwards = time.monotonic(), 0
        for event in denoise(body, tokens, masked, masked[0], len(tokens)):
            forwards = event["forwards"]
            self.event({"choices": [], "denoising": event})
            time.sleep(self.server.delay)
        self.event({"object": "infill", "text": "".join(filled), "parts": filled,
                    "finish_reason": "stop"})
        self.end_stream(start, forwards, len(masked))

    def end_stream(self, start, forwards, tokens):
        seconds = time.monotonic() - start
        self.event({"choices": [], "usage": {
            "prompt_tokens": 12, "completion_tokens": tokens, "total_tokens": 12 + tokens,
            "forwards": forwards, "refresh_forwards": 1, "seconds": seconds,
            "tokens_per_second": tokens / max(seconds, 1e-6)}})
        self.event(b"[DONE]")


class MockServer(http.server.ThreadingHTTPServer):
    """Listens at once; `seen` are the requests, `disconnects` counts clients that left half-way."""

    daemon_threads = True

    def __init__(self, port=0, delay=0.002, key=""):
        super().__init__(("127.0.0.1", port), Handler)
        self.delay, self.key = delay, key
        self.model = {}  # more fields of the model's entry
        self.seen, self.bodies, self.disconnects = [], [], 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()


if __name__ == "__main__":
    server = MockServer(int(sys.argv[1]) if len(sys.argv) > 1 else 8088, delay=0.05)
    print(f"listening on {server.url}", flush=True)
    threading.Event().wait()
