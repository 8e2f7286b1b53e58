#!/usr/bin/env python3
"""Soaks `fast-dllm serve`: clients of good and bad manners, many at once, for a long time.

usage: soak.py --binary build/release/bin/fast-dllm --model models/llada-nano --seconds 600

Starts a server, computes the right answers with `fast-dllm generate` (of infills: with the idle
server), lets clients loose on it (soak_clients.py lists their kinds) and ends it with SIGTERM under
load. It fails unless
- every accepted request that was not cut is answered right, and every refusal has a proper status
  and OpenAI's error shape; no client waits longer than --patience;
- afterwards nothing is live, waits or holds K/V, and connections are closed;
- memory is flat: the line through the samples of the last two thirds of the time rises by at most
  --memory-bound over them;
- of the requests that were accepted before SIGTERM each gets its whole answer, and the server ends
  with 0.
"""
import argparse
import asyncio
import collections
import random
import sys
import time

import raw_http
from served import Served
from soak_cases import answer_offline, make_cases, read_answer
from soak_clients import MAX_BODY_BYTES, MAX_PROMPT_TOKENS, Clients, Wrong

SAMPLE_SECONDS = 1.0
MOST_FAILURES = 10
SPARE_FILES = 4  # the listening socket and what a library keeps open
REFUSAL_PAUSE = 0.2


class Soak:
    def __init__(self, server, cases, options):
        self.server = server
        self.cases = cases
        self.options = options
        self.clients = Clients(server.address, cases)
        self.outcomes = collections.Counter()
        self.failures = []
        self.memory = []  # (seconds, bytes)
        self.most_files = 0

    def fail(self, what):
        self.failures.append(what)
        print(f"FAILED: {what}", file=sys.stderr, flush=True)

    async def client(self, number, end):
        draw = random.Random(f"{self.options.seed} {number}")
        while time.monotonic() < end and len(self.failures) < MOST_FAILURES:
            try:
                kind, outcome = await asyncio.wait_for(self.clients.one(draw),
                                                       self.options.patience)
            except (Wrong, raw_http.Broken, ValueError, KeyError, OSError, asyncio.TimeoutError,
                    asyncio.IncompleteReadError) as error:
                self.fail(f"client {number}: {type(error).__name__}: {error}")
                continue
            self.outcomes[f"{kind}: {outcome}"] += 1
            if outcome.endswith(("429", "503")):
                await asyncio.sleep(REFUSAL_PAUSE * draw.random())

    async def watch(self, begin):
        """Samples the server's memory and files until cancelled."""
        while True:
            self.memory.append((time.monotonic() - begin, self.server.resident_bytes()))
            self.most_files = max(self.most_files, self.server.open_files())
            await asyncio.sleep(SAMPLE_SECONDS)

    async def load(self):
        begin = time.monotonic()
        watcher = asyncio.create_task(self.watch(begin))
        await asyncio.gather(*(self.client(i, begin + self.options.seconds)
                               for i in range(self.options.concurrency)))
        watcher.cancel()
        if self.server.process.poll() is not None:
            self.fail(f"the server ended with {self.server.process.returncode}")
            return
        await self.settle()

    async def settle(self):
        """Nothing may be left of the requests."""
        end = time.monotonic() + self.options.patience
        while True:
            metrics = await asyncio.to_thread(self.server.metrics)
            left = {name: metrics[f"fastdllm_{name}"]
                    for name in ("requests_live", "requests_waiting", "kv_bytes")}
            left["connections"] = self.server.open_files() > self.idle_files + 1
            if not any(left.values()):
                break
            if time.monotonic() > end:
                self.fail(f"left over on the idle server: {left}")
                break
            await asyncio.sleep(0.1)
        self.memory.append((self.memory[-1][0] + SAMPLE_SECONDS, self.server.resident_bytes()))
        forwards = metrics["fastdllm_forwards_total"]
        rows = metrics["fastdllm_forward_rows_sum"] / max(forwards, 1)
        print(f"forwards {forwards:.0f} of {rows:.1f} rows, useful tokens "
              f"{metrics['fastdllm_useful_tokens_total']:.0f}, most open files {self.most_files}")

    async def drain(self):
        """SIGTERM while every place is taken: all that was accepted is answered."""
        long = {"gen_length": 128, "block_length": 8, "steps": 128, "eos_stop": False}
        case = next(case for case in self.cases if case.path == "/v1/chat/completions")
        body = {"messages": case.body["messages"], **long}
        status, _, answer = await raw_http.ask(self.server.address, "POST", case.path, body)
        if status != 200:
            return self.fail(f"before SIGTERM: {status}")
        right = read_answer(answer)
        accepted = [asyncio.create_task(
            raw_http.ask(self.server.address, "POST", case.path, body))
            for _ in range(self.options.concurrency)]
        while (await asyncio.to_thread(self.held)) < len(accepted):
            await asyncio.sleep(0.05)
            if any(task.done() for task in accepted):
                return self.fail("requests ended before all were accepted")
        self.server.terminate()
        late = [asyncio.create_task(self.late(case, body, i)) for i in range(16)]
        for task in accepted:
            status, _, answer = await asyncio.wait_for(task, self.options.patience)
            if status != 200 or read_answer(answer) != right:
                self.fail(f"accepted before SIGTERM: {status} {answer[:300]!r}")
        print("after SIGTERM: all", len(accepted), "accepted ones answered, late ones:",
              dict(collections.Counter(await asyncio.gather(*late))))
        if (code := await asyncio.to_thread(self.server.stop)) != 0:
            self.fail(f"the server ended with {code}")

    def held(self):
        metrics = self.server.metrics()
        return metrics["fastdllm_requests_live"] + metrics["fastdllm_requests_waiting"]

    async def late(self, case, body, number):
        """A request after SIGTERM: 503, or 200 and 429 while the signal was not heard yet (two places
        are free)."""
        await asyncio.sleep(0.02 * number)
        try:
            reader, writer = await raw_http.connect(self.server.address)
        except OSError:
            return "not connected"
        try:
            writer.write(raw_http.request_bytes(self.server.address, "POST", case.path, body))
            status, headers = await raw_http.read_head(reader)
            await raw_http.read_body(reader, headers)
            if status not in (200, 429, 503):
                self.fail(f"a request after SIGTERM: {status}")
            return str(status)
        except (OSError, raw_http.Broken, asyncio.IncompleteReadError):
            return "cut"
        finally:
            writer.close()

    async def run(self):
        await self.learn_infills()
        self.idle_files = self.server.open_files()
        await self.load()
        if self.server.process.poll() is None:
            await self.drain()

    async def learn_infills(self):
        for case in self.cases:
            if case.expected is None:
                status, _, body = await raw_http.ask(self.server.address, "POST", case.path,
                                                     case.body)
                if status != 200:
                    raise RuntimeError(f"{case.path} {case.body}: {status} {body!r}")
                case.expected = read_answer(body)


def rise(samples):
    """What the straight line through (seconds, value) rises by from the first to the last."""
    if len(samples) < 3:
        return 0.0
    mean_x = sum(x for x, _ in samples) / len(samples)
    mean_y = sum(y for _, y in samples) / len(samples)
    slope = (sum((x - mean_x) * (y - mean_y) for x, y in samples)
             / sum((x - mean_x) ** 2 for x, _ in samples))
    return slope * (samples[-1][0] - samples[0][0])


def report(soak, options):
    megabytes = [(seconds, size / 1e6) for seconds, size in soak.memory]
    for i in range(0, len(megabytes), max(1, len(megabytes) // 20)):
        print("memory after {:5.0f} s: {:.1f} MB".format(*megabytes[i]))
    risen = rise([sample for sample in megabytes if sample[0] > options.seconds / 3])
    print(f"memory rose by {risen:+.2f} MB over the last two thirds (bound "
          f"{options.memory_bound:g} MB)")
    if risen > options.memory_bound:
        soak.fail(f"memory rose by {risen:.2f} MB")
    for outcome, count in sorted(soak.outcomes.items()):
        print(f"{count:7d} {outcome}")
    print(f"{sum(soak.outcomes.values())} clients, {len(soak.failures)} failures")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--reference", help="binary that computes the right answers (default: the "
                                            "same; a sanitized one is slow)")
    parser.add_argument("--model", required=True)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=float, default=120, help="seconds that a client waits")
    parser.add_argument("--memory-bound", type=float, default=6, help="MB that memory may rise by")
    options = parser.parse_args()
    cases = make_cases(options.cases)
    answer_offline(options.reference or options.binary, options.model, cases)
    # Fewer places than clients, so that some wait and some are refused.
    with Served(options.binary, options.model, "--max-live-requests", options.concurrency // 2,
                "--max-waiting", options.concurrency // 2 + 2, "--max-body-bytes", MAX_BODY_BYTES,
                "--max-prompt-tokens", MAX_PROMPT_TOKENS) as server:
        soak = Soak(server, cases, options)
        asyncio.run(soak.run())
    warnings = [line for line in server.log if "warning" in line or "Sanitizer" in line]
    if warnings:
        soak.fail("the server's log: " + " | ".join(warnings[:5]))
    report(soak, options)
    return 1 if soak.failures else 0


if __name__ == "__main__":
    sys.exit(main())
