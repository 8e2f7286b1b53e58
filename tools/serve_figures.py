#!/usr/bin/env python3
"""The figures of docs/measured/server.md: what `fast-dllm serve` adds to `generate`, what batching gains, and
how long a request waits for the refreshes of others.

usage: serve_figures.py overhead   --binary B --model models/llada-nano
       serve_figures.py throughput --binary B --model models/llada-nano
       serve_figures.py full-size  --binary B --model llada-8b.gguf
       serve_figures.py tail       --binary B --model llada-8b.gguf

For the last two make a checkpoint of random weights (time does not depend on the values):
       make_random_gguf.py llada-8b.gguf --shape llada-8b --type Q4_0
Each starts its own servers, one after the other. Quiet the machine first. A line of JSON a figure.
"""
import argparse
import asyncio
import http.client
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

from load import Load, question, spread
from served import Served

# One token is committed each forward, so that every block length does the same work.
FIXED_RATE = {"tokens_per_forward": 1, "eos_stop": False}


def tell(**figures):
    print(json.dumps(figures), flush=True)


def run_load(server, fields, concurrency, requests, *, beside_tokens=0, **kind):
    """The figures of a load; errors end the program."""
    load = Load(server.address, fields, **kind)
    figures, errors = asyncio.run(load.measure(concurrency, requests, beside_tokens))
    if errors:
        raise SystemExit("\n".join(sorted(set(errors))))
    return figures


def overhead(options):
    """Seconds of a request at the client less those that the engine reports for it, on one
    connection, one at a time; and the engine's against those of `generate`, alone too."""
    with tempfile.TemporaryDirectory() as folder:
        prompts = pathlib.Path(folder) / "prompts.jsonl"
        prompts.write_text("".join(json.dumps({"prompt": question(i)}) + "\n"
                                   for i in range(options.requests)), encoding="utf-8")
        done = subprocess.run([options.binary, "generate", "--model", options.model, "--prompts",
                               prompts, "--json", "--max-live-requests", "1"],
                              capture_output=True, text=True, encoding="utf-8", check=True)
    # Their clocks start together and they run one after the other.
    offline = max(json.loads(line)["seconds"] for line in done.stdout.splitlines())
    engine, extra = [], {False: [], True: []}
    with Served(options.binary, options.model) as server:
        connection = http.client.HTTPConnection(*server.address)
        for i in range(2 * options.requests):
            stream = i % 2 == 1
            body = {"messages": [{"role": "user", "content": question(i // 2)}], "stream": stream}
            if stream:
                body["stream_options"] = {"include_usage": True}
            begin = time.perf_counter()
            connection.request("POST", "/v1/chat/completions", json.dumps(body),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse().read()
            seconds = time.perf_counter() - begin
            if stream:
                answer = answer.split(b"data: ")[-2]
            usage = json.loads(answer)["usage"]
            extra[stream].append(seconds - usage["seconds"])
            if not stream:
                engine.append(usage["seconds"])
        connection.close()
    tell(figure="overhead", requests=options.requests,
         generate_ms_a_request=round(1000 * offline / options.requests, 3),
         served_engine_ms_a_request=round(1000 * statistics.fmean(engine), 3),
         added_ms={"whole": spread_finely(extra[False]), "stream": spread_finely(extra[True])})


def spread_finely(values):
    return {"mean": round(1000 * statistics.fmean(values), 3), **spread(values)}


def throughput(options):
    """Useful tokens a second of questions, at several concurrencies; the best of some rounds."""
    with Served(options.binary, options.model) as server:
        run_load(server, {}, 4, 16)
        rounds = {}
        for _ in range(3):
            for concurrency in (1, 4, 16, 64):
                figures = run_load(server, {}, concurrency, max(options.requests, concurrency))
                rounds.setdefault(concurrency, []).append(figures)
        for concurrency, runs in rounds.items():
            speeds = sorted(run["tokens_per_second"] for run in runs)
            tell(figure="throughput", **{**runs[0], "tokens_per_second": speeds[1],
                                         "range": [speeds[0], speeds[-1]]})


def full_size(options):
    """Tokens a second of a small canvas at several block lengths and concurrencies."""
    with Served(options.binary, options.model, "--weights", options.weights) as server:
        run_load(server, {**FIXED_RATE, "gen_length": 4, "block_length": 4}, 1, 1, prompt_tokens=8)
        for block, concurrencies in ((4, (1, 4, 16)), (8, (1, 4, 16)), (32, (1, 4))):
            fields = {**FIXED_RATE, "gen_length": max(16, block), "block_length": block}
            for concurrency in concurrencies:
                figures = run_load(server, fields, concurrency, concurrency,
                                   prompt_tokens=8, commits=True)
                tell(figure="full-size", block_length=block, **figures)


def tail(options):
    """Time between the commits of short requests: alone, and beside a long prompt whose refreshes
    pause between layers, or do not."""
    fields = {**FIXED_RATE, "gen_length": 16, "block_length": 16}
    beside = options.beside_tokens
    for slice_ms, beside_tokens in ((50, 0), (50, beside), (1e9, beside)):
        with Served(options.binary, options.model, "--weights", options.weights, "--slice-ms",
                    slice_ms) as server:
            # The first refresh tells the server how long they take.
            run_load(server, {**fields, "gen_length": 1, "block_length": 1}, 1, 1,
                     prompt_tokens=beside)
            figures = run_load(server, fields, 2, options.short_requests, prompt_tokens=8,
                               commits=True, beside_tokens=beside_tokens)
            tell(figure="tail", slice_ms=slice_ms, beside_tokens=beside_tokens, **figures)
            server.process.kill()  # the long request would go on


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    figures = {"overhead": overhead, "throughput": throughput, "full-size": full_size, "tail": tail}
    parser.add_argument("figure", choices=figures)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--weights", default="int4")
    parser.add_argument("--beside-tokens", type=int, default=480)
    parser.add_argument("--short-requests", type=int, default=2, help="of tail")
    options = parser.parse_args()
    figures[options.figure](options)


if __name__ == "__main__":
    main()
