"""`fast-dllm serve` on the shipped models, through plain HTTP."""
import concurrent.futures
import json
import pathlib
import random
import re
import resource
import signal
import socket
import subprocess
import time
import unittest

from serve_support import CHAT, LONG, Server
from support import DREAM, LLADA, QUESTION, ROOT, TestCase, run


# What must still be running when something happens to it takes long on every machine.
SLOW = ("--threads", 1, "--isa", "scalar")


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it did not happen in time")
        time.sleep(0.02)


class Answers(TestCase):
    """What is served is what `fast-dllm generate` gives, whatever runs beside it."""

    SETTINGS = {
        LLADA: [{}, {"cache": "none", "gen_length": 64}, {"cache": "prefix", "threshold": 0.7},
                {"factor": 1.0}, {"steps": 32, "gen_length": 64, "block_length": 16},
                {"temperature": 0.7, "seed": 5}, {"gen_length": 96, "block_length": 8},
                {"correct": True}, {"stop": ["rocks"]}, {"eos_stop": False, "gen_length": 64}],
        DREAM: [{}, {"cache": "prefix"}, {"cache": "none", "gen_length": 32, "alg": "entropy"},
                {"alg": "maskgit_plus", "steps": 32, "gen_length": 64},
                {"temperature": 0.8, "top_p": 0.9, "seed": 3}, {"stop": ["rocks"]}],
    }

    def requests(self, model, count, seed):
        source = random.Random(seed)
        return [{"prompt": f"{QUESTION} {i} " + "and then " * source.randrange(20),
                 **source.choice(self.SETTINGS[model])} for i in range(count)]

    def served(self, server, request):
        """(text, finish_reason, forwards) of a request, streamed or not."""
        source = random.Random(json.dumps(request))
        time.sleep(source.random() * 0.5)
        options = {name: value for name, value in request.items() if name != "prompt"}
        body = {"messages": [{"role": "user", "content": request["prompt"]}], **options}
        if source.random() < 0.5:
            status, _, answer = server.ask("/v1/chat/completions", body)
            self.assertEqual(status, 200, answer)
            choice = answer["choices"][0]
            return choice["message"]["content"], choice["finish_reason"], answer["usage"]["forwards"]
        text, reason, usage = "", None, None
        for chunk in server.stream("/v1/chat/completions",
                                   {**body, "stream_options": {"include_usage": True}}):
            usage = chunk.get("usage") or usage
            for choice in chunk["choices"]:
                text += choice["delta"].get("content", "")
                reason = choice["finish_reason"] or reason
        return text, reason, usage["forwards"]

    def compare(self, model):
        requests = self.requests(model, 32, seed=1)
        lines = "".join(json.dumps(request) + "\n" for request in requests)
        expected = self.json_lines("generate", "--model", model, "--prompts",
                                   self.write("prompts.jsonl", lines), "--json", timeout=600)
        with Server(model=model) as server:
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                found = list(pool.map(lambda request: self.served(server, request), requests))
        for request, alone, answer in zip(requests, expected, found):
            forwards = alone["forwards"]["refresh"] + alone["forwards"]["window"]
            self.assertEqual(answer, (alone["text"], alone["finish_reason"], forwards), request)

    def test_llada(self):
        self.compare(LLADA)

    def test_dream(self):
        self.compare(DREAM)

    def test_dreams_canvas_without_blocks_is_as_long_as_the_limit(self):
        with Server(model=DREAM) as server:
            chunks = list(server.stream("/v1/chat/completions",
                                        {**CHAT, "cache": "none", "max_tokens": 20,
                                         "stream_options": {"denoising": True}}))
            canvas = next(chunk["denoising"]["canvas"] for chunk in chunks if "denoising" in chunk)
            self.assertEqual((canvas["gen_length"], canvas["block_length"]), (20, 20))


class Denoising(TestCase):
    def test_events_rebuild_the_canvas(self):
        with Server() as server:
            canvas, start, masked, usage = None, None, None, None
            for chunk in server.stream("/v1/completions",
                                       {"prompt": QUESTION, "eos_stop": False, "gen_length": 64,
                                        "stream_options": {"denoising": True}}):
                usage = chunk.get("usage") or usage
                event = chunk.get("denoising")
                if event is None:
                    continue
                self.assertEqual(chunk["choices"], [])
                if "canvas" in event:
                    start = event["canvas"]
                    canvas = [None] * start["gen_length"]
                    continue
                for position, text in event["committed"]:
                    self.assertIsNone(canvas[position])
                    canvas[position] = text
                for position, _, confidence in event["provisional"]:
                    self.assertIsNone(canvas[position])
                    self.assertTrue(0 <= confidence <= 1)
                masked = canvas.count(None)
                self.assertEqual(event["masked"], masked)
                begin, end = event["query"]
                self.assertTrue(-start["prompt_tokens"] <= begin < end <= 64)
                self.assertEqual(event["forwards"], event["step"] + 1)
            self.assertEqual(masked, 0)
            self.assertEqual(usage["prompt_tokens"], start["prompt_tokens"])


class Operation(TestCase):
    def test_what_requests_leave_open_is_the_servers_to_say(self):
        with Server("--preset", "exact", "--gen-length", 24) as server:
            def forwards(**options):
                status, _, answer = server.ask("/v1/chat/completions",
                                               {**CHAT, "eos_stop": False, **options})
                self.assertEqual(status, 200, answer)
                return answer["usage"]["forwards"]
            self.assertEqual(forwards(), 24)
            self.assertEqual(forwards(gen_length=16), 16)
            self.assertEqual(forwards(max_tokens=32), 32)
            self.assertEqual(forwards(tokens_per_forward=4), 6)
            self.assertLess(forwards(preset="paper"), 24)
        self.assertIn("--gen-length", self.fail_with(2, "serve", "--model", LLADA, "--port", 0,
                                                     "--gen-length", 0))

    def test_a_client_that_leaves_frees_its_request(self):
        with Server() as server:
            for stream in (True, False):
                connection = server.connect()
                connection.request("POST", "/v1/chat/completions",
                                   json.dumps({**LONG, "n": 40, "stream": stream}),
                                   {"Content-Type": "application/json"})
                wait_until(lambda: server.metric("fastdllm_requests_live") > 0)
                connection.sock.shutdown(socket.SHUT_RDWR)
                connection.close()
                wait_until(lambda: server.metric("fastdllm_requests_live") == 0, 5)
                self.assertEqual(server.metric("fastdllm_requests_waiting"), 0)
            cancelled = server.metric('fastdllm_finished_total{reason="cancelled"}')
            self.assertGreater(cancelled, 0)
            self.assertEqual(server.ask("/v1/chat/completions", CHAT)[0], 200)

    def test_many_streams_at_once(self):
        with Server() as server:
            with concurrent.futures.ThreadPoolExecutor(96) as pool:
                texts = list(pool.map(lambda _: "".join(
                    choice["delta"].get("content", "")
                    for chunk in server.stream("/v1/chat/completions", CHAT)
                    for choice in chunk["choices"]), range(96)))
            self.assertEqual(len(set(texts)), 1)
            self.assertIn("rocks", texts[0] + "rocks")

    def test_a_full_queue_refuses(self):
        with Server("--max-live-requests", 1, "--max-waiting", 2) as server:
            status, headers, body = server.ask("/v1/chat/completions", {**LONG, "n": 4})
            self.assertEqual((status, headers["Retry-After"]), (429, "1"))
            self.assertEqual(body["error"]["type"], "rate_limit_error")
            self.assertEqual(server.ask("/v1/chat/completions", CHAT)[0], 200)

    def test_a_request_ends_with_its_deadline(self):
        with Server(*SLOW, "--request-timeout", 3) as server:
            begin = time.monotonic()
            status, _, body = server.ask("/v1/chat/completions", {**LONG, "n": 2})
            self.assertEqual(status, 200)
            self.assertLess(time.monotonic() - begin, 20)
            self.assertIn("deadline", [choice.get("stop_reason") for choice in body["choices"]])

    def test_a_deadline_that_passes_in_the_queue_is_an_error(self):
        with Server(*SLOW, "--max-live-requests", 1, "--request-timeout", 3) as server:
            with concurrent.futures.ThreadPoolExecutor(6) as pool:
                answers = list(pool.map(
                    lambda seed: server.ask("/v1/chat/completions", {**LONG, "n": 4, "seed": seed}),
                    range(6)))
            self.assertIn(200, [status for status, _, _ in answers])
            late = [(headers, body) for status, headers, body in answers if status != 200]
            self.assertGreater(len(late), 1)
            for headers, body in late:
                self.assertEqual(body["error"]["code"], "deadline", body)
                self.assertEqual(headers["Retry-After"], "1")
            # Of four answers one at a time, some end in time, or with what they have, or never began:
            # that is an answer, and every choice has its end.
            for status, _, body in answers:
                if status == 200:
                    self.assertIn("deadline",
                                  [choice.get("stop_reason") for choice in body["choices"]])
            stream = list(server.stream("/v1/chat/completions", {**LONG, "n": 4}))
            ends = [choice for chunk in stream for choice in chunk["choices"]
                    if choice["finish_reason"]]
            self.assertEqual(sorted(choice["index"] for choice in ends), [0, 1, 2, 3])
            self.assertIn("deadline", [choice.get("stop_reason") for choice in ends])

    def test_memory_that_is_too_small_for_a_request(self):
        need = json.loads(run("inspect", LLADA, "--canvas", 100, "--json").stdout)["memory"]
        with Server("--memory-limit", need["total"]) as server:
            status, headers, body = server.ask("/v1/chat/completions", LONG)
            self.assertEqual((status, body["error"]["code"]), (503, "out_of_memory"))
            self.assertEqual(headers["Retry-After"], "1")
            self.assertRegex(body["error"]["message"],
                             r"a canvas of \d+ tokens needs .* is available")
            small = {**CHAT, "max_tokens": 16, "temperature": 0.5, "n": 6}
            self.assertEqual(server.ask("/v1/chat/completions", small)[0], 200)
            self.assertEqual(server.metric("fastdllm_kv_bytes"), 0)

    def test_a_limit_of_the_address_space_is_survived(self):
        with Server() as server:
            connection = server.connect()  # whose thread exists before memory is short

            def ask(body):
                connection.request("POST", "/v1/chat/completions", json.dumps(body),
                                   {"Content-Type": "application/json"})
                response = connection.getresponse()
                return response.status, json.loads(response.read())

            self.assertEqual(ask(CHAT)[0], 200)
            pid = server.process.pid
            pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[0])
            unlimited = resource.prlimit(pid, resource.RLIMIT_AS)
            resource.prlimit(pid, resource.RLIMIT_AS,
                             (pages * resource.getpagesize() + (64 << 10), unlimited[1]))
            time.sleep(0.2)
            for _ in range(5):
                status, body = ask({**LONG, "n": 4})
                self.assertEqual((status, body["error"]["code"]), (503, "out_of_memory"), body)
                time.sleep(0.1)
            resource.prlimit(pid, resource.RLIMIT_AS, unlimited)
            time.sleep(0.2)
            self.assertEqual(ask(CHAT)[0], 200)
            connection.close()

    def test_sigterm_finishes_what_was_accepted(self):
        server = Server(*SLOW)
        long = {**LONG, "gen_length": 64, "steps": 64}
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = [pool.submit(server.ask, "/v1/chat/completions", {**long, "seed": seed})
                       for seed in range(8)]
            wait_until(lambda: server.metric("fastdllm_requests_live") == 8)
            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: any("draining" in line for line in server.log))
            try:
                wait_until(lambda: server.ask("/ready")[0] == 503)
                self.assertEqual(server.ask("/v1/chat/completions", CHAT)[0], 503)
            except ConnectionRefusedError:
                pass  # it was quick and has ended
            for answer in answers:
                status, _, body = answer.result()
                self.assertEqual((status, body["usage"]["forwards"]), (200, 64))
        self.assertEqual(server.stop(), 0)

    def test_a_second_signal_ends_what_is_being_answered(self):
        server = Server(*SLOW)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(server.ask, "/v1/chat/completions", {**LONG, "n": 60})
            wait_until(lambda: server.metric("fastdllm_requests_live") > 8)
            server.process.send_signal(signal.SIGINT)
            wait_until(lambda: any("draining" in line for line in server.log))
            server.process.send_signal(signal.SIGINT)
            status, _, body = answer.result()
            self.assertEqual((status, body["error"]["code"]), (503, "cancelled"))
        self.assertEqual(server.stop(), 0)

    def test_the_log_has_a_line_a_request_and_no_text(self):
        with Server() as server:
            server.ask("/v1/chat/completions", CHAT, headers={"X-Request-Id": "my-id"})
            # A line is written when the answer has been sent.
            wait_until(lambda: len(server.requests_logged()) == 1)
            server.ask("/nowhere")
            wait_until(lambda: len(server.requests_logged()) == 2)
            first, second = server.requests_logged()
            self.assertEqual((first["request"], first["method"], first["path"], first["status"]),
                             ("my-id", "POST", "/v1/chat/completions", 200))
            self.assertGreater(first["completion_tokens"], 10)
            self.assertTrue(first["complete"])
            self.assertEqual(second["status"], 404)
            self.assertNotIn("rocks", "".join(server.log))

    def test_the_key_comes_from_the_environment(self):
        with Server(env={"FDLLM_API_KEY": "secret"}) as server:
            self.assertEqual(server.ask("/v1/models")[0], 401)
            status, headers, body = server.ask("/v1/chat/completions", CHAT)
            self.assertEqual((status, headers["WWW-Authenticate"]), (401, "Bearer"))
            self.assertEqual(body["error"]["code"], "invalid_api_key")
            key = {"Authorization": "Bearer secret"}
            self.assertEqual(server.ask("/v1/chat/completions", CHAT, headers=key)[0], 200)

    def test_cors(self):
        origin = {"Origin": "http://there"}
        with Server() as server:
            headers = server.ask("/v1/models", headers=origin)[1]
            self.assertNotIn("Access-Control-Allow-Origin", headers)
        with Server("--cors-origin", "http://there") as server:
            status, headers, _ = server.ask("/v1/chat/completions", method="OPTIONS",
                                            headers=origin)
            self.assertEqual((status, headers["Access-Control-Allow-Origin"]),
                             (204, "http://there"))

    def test_limits(self):
        with Server("--max-body-bytes", 1000, "--max-prompt-tokens", 10) as server:
            self.assertEqual(server.ask("/tokenize", {"prompt": "a" * 2000})[0], 413)
            status, _, body = server.ask("/v1/chat/completions", CHAT)
            self.assertEqual((status, body["error"]["code"]), (400, "context_length_exceeded"))

    def test_damaged_bodies_are_refused(self):
        source = random.Random(2)
        body = json.dumps({**CHAT, "max_tokens": 16, "stop": ["x"], "stream": False}).encode()
        with Server() as server:
            for _ in range(200):
                damaged = bytearray(body)
                for _ in range(source.randrange(1, 4)):
                    damaged[source.randrange(len(damaged))] = source.randrange(256)
                status, _, answer = server.ask("/v1/chat/completions", bytes(damaged))
                self.assertIn(status, (200, 400, 404), (bytes(damaged), answer))


class Documentation(unittest.TestCase):
    def test_the_curl_examples_work(self):
        text = (ROOT / "docs" / "server.md").read_text(encoding="utf-8")
        text += (ROOT / "README.md").read_text(encoding="utf-8")
        examples = [example for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
                    for example in block.strip().split("\n\n") if example.startswith("curl ")]
        self.assertGreaterEqual(len(examples), 6)
        with Server() as server:
            for example in examples:
                with self.subTest(example):
                    self.assertIn("localhost:8080", example)
                    command = example.replace("localhost:8080", f"127.0.0.1:{server.port}")
                    done = subprocess.run(["bash", "-c", command + " --fail-with-body -sS"],
                                          capture_output=True, text=True, timeout=60)
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                    self.assertNotIn('"error"', done.stdout)
                    self.assertNotEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main()
