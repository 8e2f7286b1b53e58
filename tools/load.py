#!/usr/bin/env python3
"""Loads a running server and reports, for each concurrency, the useful tokens per second, the time
to the first text and the time between texts.

    tools/load.py --url http://localhost:8080 --concurrency 1,4,16,64 --requests 64

Each concurrency runs the same prompts, streamed, `--requests` of them, that many at a time. Beside
them `--beside-tokens N` keeps one request with a prompt of N tokens running, which shows how long
others wait for its refreshes. With `--commits` the times are those of committed tokens, which come
with the events of the denoising, instead of those of texts. Needs only Python.
"""
import argparse
import asyncio
import json
import statistics
import sys
import time
import urllib.parse

import raw_http

QUESTION = "{a} has {n} rocks and {b} has {m} more rocks than {a}. How many rocks do they have together?"
NAMES = ["Sam", "Olga", "Zoe", "Ben", "Ada", "Max", "Eva", "Tom"]
# What runs beside the load refreshes its whole canvas in every other forward.
BESIDE = {"gen_length": 32, "block_length": 8, "tokens_per_forward": 4, "eos_stop": False}
FAILURES = (RuntimeError, OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, ValueError,
            raw_http.Broken)


def question(i):
    return QUESTION.format(a=NAMES[i % 8], b=NAMES[(i + 3) % 8], n=10 + i % 37, m=2 + i % 11)


def prompt_ids(i, count):
    """That many token ids which every tokenizer of 256 bytes or more has."""
    return [(7 * i + 3 * k + k * k) % 200 for k in range(count)]


class Answer:
    """What one streamed answer took."""

    def __init__(self):
        self.first = None   # seconds to the first text or commit
        self.gaps = []      # seconds between texts or commits
        self.seconds = 0.0
        self.usage = None

    def note(self, begin, last, now):
        if self.first is None:
            self.first = now - begin
        else:
            self.gaps.append(now - last)


class Load:
    """Requests of one kind to a server."""

    def __init__(self, address, fields, *, key="", prompt_tokens=0, commits=False, timeout=600):
        self.address = address
        self.fields = fields
        self.headers = [("Authorization", f"Bearer {key}")] if key else []
        self.prompt_tokens = prompt_tokens
        self.commits = commits
        self.timeout = timeout

    def request(self, i):
        """(path, body) of the i-th request."""
        options = {"include_usage": True, "denoising": self.commits}
        body = {"stream": True, "stream_options": options, **self.fields}
        if self.prompt_tokens:
            return "/v1/completions", {**body, "prompt": prompt_ids(i, self.prompt_tokens)}
        return "/v1/chat/completions", {
            **body, "messages": [{"role": "user", "content": question(i)}]}

    def is_news(self, chunk):
        """Whether a chunk brings what the times are taken of."""
        if self.commits:
            return bool(chunk.get("denoising", {}).get("committed"))
        return any(choice.get("text") or choice.get("delta", {}).get("content")
                   for choice in chunk["choices"])

    async def ask(self, i):
        """Sends a request and reads its stream; raises one of FAILURES for anything else."""
        path, body = self.request(i)
        answer = Answer()
        begin = last = time.perf_counter()
        reader, writer = await raw_http.connect(self.address)
        try:
            writer.write(raw_http.request_bytes(self.address, "POST", path, body, self.headers))
            status, headers = await raw_http.read_head(reader)
            if status != 200:
                text = await raw_http.read_body(reader, headers)
                raise RuntimeError(f"{status}: {text[:2000].decode()}")
            async for event in raw_http.read_events(reader):
                if event == b"[DONE]":
                    break
                now = time.perf_counter()
                chunk = json.loads(event)
                if "error" in chunk:
                    raise RuntimeError(chunk["error"]["message"])
                answer.usage = chunk.get("usage") or answer.usage
                if self.is_news(chunk):
                    answer.note(begin, last, now)
                    last = now
        finally:
            writer.close()
        answer.seconds = time.perf_counter() - begin
        if answer.usage is None:
            raise RuntimeError("the stream ended without usage")
        return answer

    async def run(self, concurrency, requests, beside_tokens=0):
        """(answers, errors, seconds) of that many requests, `concurrency` at a time."""
        numbers = iter(range(requests))
        answers, errors = [], []

        async def worker():
            for i in numbers:
                try:
                    answers.append(await asyncio.wait_for(self.ask(i), self.timeout))
                except FAILURES as error:
                    errors.append(f"{type(error).__name__}: {error}")

        async def beside():
            long = Load(self.address, BESIDE, prompt_tokens=beside_tokens)
            long.headers = self.headers
            while True:
                await long.ask(0)

        neighbour = asyncio.create_task(beside()) if beside_tokens else None
        begin = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(min(concurrency, requests))))
        seconds = time.perf_counter() - begin
        if neighbour is not None:
            if neighbour.done():
                errors.append(f"beside: {neighbour.exception()}")
            neighbour.cancel()
        return answers, errors, seconds

    async def metrics(self):
        """All samples of /metrics by name and labels."""
        _, _, body = await raw_http.ask(self.address, "GET", "/metrics", None, self.headers)
        return {name: float(value) for name, value in
                (line.rsplit(" ", 1) for line in body.decode().splitlines() if line[0] != "#")}

    async def measure(self, concurrency, requests, beside_tokens=0):
        """The figures of a run, and its errors."""
        before = await self.metrics()
        answers, errors, seconds = await self.run(concurrency, requests, beside_tokens)
        after = await self.metrics()
        passed = {name: after[name] - before.get(name, 0) for name in after}
        forwards = passed["fastdllm_forward_rows_count"]
        firsts = [answer.first for answer in answers if answer.first is not None]
        gaps = [gap for answer in answers for gap in answer.gaps]
        tokens = sum(answer.usage["completion_tokens"] for answer in answers)
        times = [answer.seconds for answer in answers]
        return {
            "concurrency": concurrency, "requests": len(answers), "errors": len(errors),
            "seconds": round(seconds, 3), "tokens": tokens,
            "tokens_per_second": round(tokens / seconds, 2),
            "requests_per_second": round(len(answers) / seconds, 2),
            "rows_per_forward": round(passed["fastdllm_forward_rows_sum"] / max(forwards, 1), 1),
            "requests_per_forward":
                round(passed["fastdllm_forward_requests_sum"] / max(forwards, 1), 2),
            "first_ms": spread(firsts), "between_ms": spread(gaps),
            "request_ms": {"mean": round(1000 * statistics.fmean(times), 1) if times else 0},
        }, errors


def spread(values):
    """Quantiles in milliseconds."""
    ordered = sorted(values) or [0.0]
    at = {"median": 0.5, "p95": 0.95, "p99": 0.99, "max": 1}
    return {name: round(1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))], 1)
            for name, part in at.items()}


def line_of(figures):
    """The figures for people."""
    return ("{concurrency:4d} at once: {tokens_per_second:8.1f} tokens/s, {requests} requests, "
            "{rows_per_forward} rows a forward, first {first_ms[median]} ms (p95 {first_ms[p95]}), "
            "between {between_ms[median]} ms (p95 {between_ms[p95]}, p99 {between_ms[p99]}, max "
            "{between_ms[max]}), {errors} errors").format(**figures)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--url", default="http://localhost:8080")
    parser.add_argument("--concurrency", default="1,4,16,64", help="numbers, with commas")
    parser.add_argument("--requests", type=int, default=64, help="at each concurrency")
    parser.add_argument("--prompt-tokens", type=int, default=0,
                        help="prompts of that many token ids instead of questions")
    parser.add_argument("--beside-tokens", type=int, default=0,
                        help="length of the prompt of a request that runs beside the others")
    parser.add_argument("--commits", action="store_true", help="times of commits, not of texts")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for a request")
    parser.add_argument("--api-key", default="")
    parser.add_argument("--fields", default="{}", help="further fields of the requests, as JSON")
    parser.add_argument("--json", action="store_true", help="a line of JSON a concurrency")
    options = parser.parse_args()
    url = urllib.parse.urlsplit(options.url)
    load = Load((url.hostname, url.port or 80), json.loads(options.fields), key=options.api_key,
                prompt_tokens=options.prompt_tokens, commits=options.commits,
                timeout=options.timeout)
    failed = False
    for number in options.concurrency.split(","):
        figures, errors = asyncio.run(
            load.measure(int(number), options.requests, options.beside_tokens))
        failed |= bool(errors)
        print(json.dumps(figures) if options.json else line_of(figures), flush=True)
        for error in sorted(set(errors)):
            print(f"  {errors.count(error)} x {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
