#!/usr/bin/env python3
"""Loads a running server and reports, for each concurrency, the useful tokens per second, the time
to the first text and the time between texts.

    tools/load.py --url http://localhost:8080 --concurrency 1,4,16,64 --requests 64

Each concurrency runs the same prompts, streamed, `--requests` of them, that many at a time. Needs
only Python.
"""
import argparse
import asyncio
import json
import statistics
import sys
import time
import urllib.parse

QUESTION = "{a} has {n} rocks and {b} has {m} more rocks than {a}. How many rocks do they have together?"
NAMES = ["Sam", "Olga", "Zoe", "Ben", "Ada", "Max", "Eva", "Tom"]
MAX_LINE = 1 << 20


def prompt(i):
    return QUESTION.format(a=NAMES[i % 8], b=NAMES[(i + 3) % 8], n=10 + i % 37, m=2 + i % 11)


class Answer:
    """What one streamed answer took."""

    def __init__(self):
        self.first = None   # seconds to the first text
        self.gaps = []      # seconds between texts
        self.seconds = 0.0
        self.usage = None


async def read_events(reader):
    """The data of a chunked response's events."""
    rest = b""
    while size := int((await reader.readline()).strip() or b"0", 16):
        rest += await reader.readexactly(size)
        await reader.readexactly(2)
        *events, rest = rest.split(b"\n\n")
        for event in events:
            if event.startswith(b"data: "):
                yield event[6:]


async def ask(address, body, key):
    """Sends a request and reads its stream; raises RuntimeError for anything but an answer."""
    answer = Answer()
    begin = last = time.perf_counter()
    reader, writer = await asyncio.open_connection(address.hostname, address.port or 80,
                                                   limit=MAX_LINE)
    try:
        data = json.dumps(body).encode()
        key_line = f"Authorization: Bearer {key}\r\n" if key else ""
        writer.write(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {address.netloc}\r\n"
                     f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
                     f"{key_line}Connection: close\r\n\r\n".encode() + data)
        status = await reader.readline()
        while (await reader.readline()).strip():
            pass
        if b" 200 " not in status:
            raise RuntimeError(f"{status.decode().strip()}: {(await reader.read(2000)).decode()}")
        async for event in read_events(reader):
            if event == b"[DONE]":
                break
            chunk = json.loads(event)
            if "error" in chunk:
                raise RuntimeError(chunk["error"]["message"])
            answer.usage = chunk.get("usage") or answer.usage
            if not any(choice["delta"].get("content") for choice in chunk["choices"]):
                continue
            now = time.perf_counter()
            if answer.first is None:
                answer.first = now - begin
            else:
                answer.gaps.append(now - last)
            last = now
    finally:
        writer.close()
    answer.seconds = time.perf_counter() - begin
    if answer.usage is None:
        raise RuntimeError("the stream ended without usage")
    return answer


async def run(address, fields, key, concurrency, requests, timeout):
    """(answers, errors, seconds) of that many requests, `concurrency` at a time."""
    numbers = iter(range(requests))
    answers, errors = [], []

    async def worker():
        for i in numbers:
            body = {"messages": [{"role": "user", "content": prompt(i)}], "stream": True,
                    "stream_options": {"include_usage": True}, **fields}
            try:
                answers.append(await asyncio.wait_for(ask(address, body, key), timeout))
            except (RuntimeError, OSError, asyncio.TimeoutError, asyncio.IncompleteReadError,
                    ValueError) as error:
                errors.append(f"{type(error).__name__}: {error}")

    begin = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(min(concurrency, requests))))
    return answers, errors, time.perf_counter() - begin


def quantile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def report(concurrency, answers, errors, seconds):
    firsts = [answer.first for answer in answers if answer.first is not None]
    gaps = [gap for answer in answers for gap in answer.gaps]
    tokens = sum(answer.usage["completion_tokens"] for answer in answers)
    return {"concurrency": concurrency, "requests": len(answers), "errors": len(errors),
            "seconds": round(seconds, 3), "tokens": tokens,
            "tokens_per_second": round(tokens / seconds, 1),
            "requests_per_second": round(len(answers) / seconds, 2),
            "first_text_ms": {"median": round(1000 * quantile(firsts, 0.5), 1),
                              "p95": round(1000 * quantile(firsts, 0.95), 1)},
            "between_texts_ms": {"median": round(1000 * quantile(gaps, 0.5), 1),
                                 "p95": round(1000 * quantile(gaps, 0.95), 1)},
            "request_ms": {"mean": round(1000 * statistics.fmean(a.seconds for a in answers), 1)
                           if answers else 0}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--url", default="http://localhost:8080")
    parser.add_argument("--concurrency", default="1,4,16,64", help="numbers, with commas")
    parser.add_argument("--requests", type=int, default=64, help="at each concurrency")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for a request")
    parser.add_argument("--api-key", default="")
    parser.add_argument("--fields", default="{}", help="further fields of the requests, as JSON")
    parser.add_argument("--json", action="store_true", help="a line of JSON a concurrency")
    options = parser.parse_args()
    failed = False
    for number in options.concurrency.split(","):
        answers, errors, seconds = asyncio.run(
            run(urllib.parse.urlsplit(options.url), json.loads(options.fields), options.api_key,
                int(number), options.requests, options.timeout))
        figures = report(int(number), answers, errors, seconds)
        failed |= bool(errors)
        if options.json:
            print(json.dumps(figures), flush=True)
        else:
            print("{concurrency:4d} at once: {tokens_per_second:8.1f} tokens/s, {requests} "
                  "requests, first text {first_text_ms[median]} ms (p95 {first_text_ms[p95]}), "
                  "between texts {between_texts_ms[median]} ms (p95 {between_texts_ms[p95]}), "
                  "{errors} errors".format(**figures), flush=True)
        for error in sorted(set(errors)):
            print(f"  {errors.count(error)} x {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
