"""A server for the tests: starting it, asking it and reading its log."""
import http.client
import json
import os
import queue
import re
import signal
import subprocess
import threading

from support import BINARY, LLADA, QUESTION

CHAT = {"messages": [{"role": "user", "content": QUESTION}]}
# Hundreds of forwards: long enough to do something to it meanwhile. With a temperature n answers
# differ, so that they are n requests of the engine.
LONG = {**CHAT, "gen_length": 384, "block_length": 8, "steps": 384, "eos_stop": False,
        "temperature": 0.5}


class Server:
    """`fast-dllm serve` on a free port. Use as a context, or call stop()."""

    def __init__(self, *arguments, model=LLADA, env=None):
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("FDLLM_API_KEY", "FDLLM_ISA", "FDLLM_MODEL")}
        environment.update(env or {})
        self.process = subprocess.Popen(
            [BINARY, "serve", "--model", str(model), "--port", "0", *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            encoding="utf-8", env=environment)
        self.log = []
        self.url = None
        self._addresses = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self._addresses.get(timeout=60)
        if self.url is None:
            raise RuntimeError("the server ended at once: " + "".join(self.log))
        self.port = int(self.url.rsplit(":", 1)[1])

    def _read(self):
        for line in self.process.stderr:
            self.log.append(line)
            if match := re.search(r"listening on (http://\S+)", line):
                self._addresses.put(match[1])
        self._addresses.put(None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, timeout=120):
        """Ends it as a supervisor does; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self._reader.join()
        self.process.stderr.close()
        return code

    def requests_logged(self):
        """The access log so far."""
        return [json.loads(line) for line in list(self.log) if line.startswith("{")]

    def connect(self, timeout=120):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, path, body=None, method=None, headers=None):
        """(status, headers, body) of a request; the body of a JSON answer is parsed."""
        connection = self.connect()
        try:
            data = json.dumps(body).encode() if isinstance(body, dict) else body
            all_headers = {"Content-Type": "application/json"} if data is not None else {}
            connection.request(method or ("GET" if data is None else "POST"), path, data,
                               {**all_headers, **(headers or {})})
            response = connection.getresponse()
            text = response.read()
            is_json = response.headers.get("Content-Type") == "application/json"
            return (response.status, response.headers,
                    json.loads(text) if is_json and text else text.decode())
        finally:
            connection.close()

    def stream(self, path, body):
        """The parsed events of a streamed answer, as they come; ends after [DONE]."""
        connection = self.connect()
        try:
            connection.request("POST", path, json.dumps({**body, "stream": True}),
                               {"Content-Type": "application/json"})
            response = connection.getresponse()
            if response.status != 200:
                raise AssertionError(f"{response.status}: {response.read()}")
            for line in response:
                text = line.decode().strip()
                if text == "data: [DONE]":
                    return
                if text.startswith("data: "):
                    yield json.loads(text[6:])
            raise AssertionError("the stream ended without [DONE]")
        finally:
            connection.close()

    def metric(self, name):
        text = self.ask("/metrics")[2]
        return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)[1])
