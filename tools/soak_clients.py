"""The clients of the soak: each asks one thing, in its own bad manners, and judges the answer."""
import asyncio
import json
import os
import random
import signal
import socket
import struct

import raw_http
from soak_cases import StreamedAnswer, read_answer

MAX_BODY_BYTES = 65536  # of the server that is soaked
MAX_PROMPT_TOKENS = 400
SMALL_BUFFER = 4096


class Wrong(Exception):
    """The server did something that it must not."""


class Refused(Exception):
    """The server refused, in the way it should."""

    def __init__(self, status):
        super().__init__(str(status))
        self.status = status


def check_refusal(status, headers, body):
    """Raises Wrong unless it is an error in OpenAI's shape."""
    if not 400 <= status < 600 or status == 500:
        raise Wrong(f"expected a refusal, found {status}: {body[:200]!r}")
    error = json.loads(body)["error"]
    if not error["message"] or not error["type"] or {"param", "code"} - error.keys():
        raise Wrong(f"{status} without OpenAI's error: {body[:200]!r}")
    if status in (429, 503) and "retry-after" not in headers:
        raise Wrong(f"{status} without Retry-After")


async def check_accepted(reader):
    """Reads the head; raises Refused for a queue that is full or a server that drains."""
    status, headers = await raw_http.read_head(reader)
    if status == 200:
        return headers
    body = await raw_http.read_body(reader, headers)
    check_refusal(status, headers, body)
    if status not in (429, 503):
        raise Wrong(f"a good request was refused: {status} {body[:200]!r}")
    raise Refused(status)


def check_answer(case, found):
    if found != case.expected:
        raise Wrong(f"{case.path} {json.dumps(case.body)}: expected {case.expected}, found {found}")


def reset(writer):
    """Closes the connection at once, with a reset instead of an orderly end."""
    plain = writer.get_extra_info("socket")
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def send_signal(handle, number):
    """Signals a process; it may have ended."""
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        pass


def streamed_body(case, draw):
    options = {"include_usage": True, "denoising": draw.random() < 0.5}
    return {**case.body, "stream": True, "stream_options": options}


class Clients:
    """All kinds of clients of the server at `address`."""

    def __init__(self, address, cases):
        self.address = address
        self.cases = cases
        self.stopped = asyncio.Semaphore(4)  # child processes at once

    async def open(self, case, body, headers=(), receive_buffer=None):
        reader, writer = await raw_http.connect(self.address, receive_buffer)
        writer.write(raw_http.request_bytes(self.address, "POST", case.path, body, headers))
        return reader, writer

    async def whole(self, case, draw, headers=()):
        """Waits for the answer."""
        reader, writer = await self.open(case, case.body, headers)
        try:
            found = await check_accepted(reader)
            for name, value in headers:
                if found.get(name.lower()) != value:
                    raise Wrong(f"{name}: expected {value}, found {found.get(name.lower())}")
            check_answer(case, read_answer(await raw_http.read_body(reader, found)))
        finally:
            writer.close()

    async def stream(self, case, draw, receive_buffer=None, pause=0.0):
        """Reads a stream, perhaps slowly."""
        reader, writer = await self.open(case, streamed_body(case, draw), (), receive_buffer)
        try:
            await check_accepted(reader)
            answer = StreamedAnswer()
            async for event in raw_http.read_events(reader):
                answer.push(event)
                if pause:
                    await asyncio.sleep(pause * draw.random())
            check_answer(case, answer.result())
        finally:
            writer.close()

    async def slow(self, case, draw):
        """Reads a stream through a small window, with pauses."""
        await self.stream(case, draw, SMALL_BUFFER, pause=0.2)

    async def same_id(self, case, draw):
        """Two requests of one id at once: each gets its own answer."""
        headers = [("X-Request-Id", f"same-{draw.randrange(4)}")]
        await asyncio.gather(self.whole(case, draw, headers),
                             self.whole(draw.choice(self.cases), draw, headers))

    async def several(self, case, draw):
        """Asks for several answers; at temperature 0 they are all the right one."""
        if case.body.get("temperature"):
            return await self.whole(case, draw)
        reader, writer = await self.open(case, {**case.body, "n": 3})
        try:
            found = await check_accepted(reader)
            answer = json.loads(await raw_http.read_body(reader, found))
            for i, choice in enumerate(answer["choices"]):
                # Equal answers are generated once, and their forwards are counted once.
                one = {"choices": [choice], "usage": answer["usage"]}
                if choice["index"] != i:
                    raise Wrong(f"choice {i} has the index {choice['index']}")
                check_answer(case, read_answer(json.dumps(one)))
        finally:
            writer.close()

    async def leave(self, case, draw):
        """Cuts a request at any time, in an orderly way or not, streamed or not."""
        body = streamed_body(case, draw) if draw.random() < 0.6 else case.body
        reader, writer = await self.open(case, body)
        try:
            await asyncio.wait_for(reader.read(draw.choice([1, 400, 4000])), draw.random())
        except (asyncio.TimeoutError, ConnectionError):
            pass
        if draw.random() < 0.5:
            reset(writer)
        writer.close()

    async def half(self, case, draw):
        """Sends a part of a request and leaves, or says that no more comes."""
        whole = raw_http.request_bytes(self.address, "POST", case.path, case.body)
        reader, writer = await raw_http.connect(self.address)
        writer.write(whole[:draw.randrange(len(whole))])
        await asyncio.sleep(0.1 * draw.random())
        if draw.random() < 0.5:
            reset(writer)
        elif draw.random() < 0.5:
            writer.write_eof()
            await reader.read()
        writer.close()

    async def malformed(self, case, draw):
        """Sends a body that is damaged; it may by chance still be a good one."""
        body = bytearray(json.dumps({**case.body, "max_tokens": 8}).encode())
        for _ in range(draw.randrange(1, 4)):
            body[draw.randrange(len(body))] = draw.randrange(256)
        if draw.random() < 0.3:
            body = body[:draw.randrange(len(body))]
        status, headers, answer = await raw_http.ask(self.address, "POST", case.path, bytes(body))
        if status == 200:
            json.loads(answer)
            return
        check_refusal(status, headers, answer)
        raise Refused(status)

    async def oversized(self, case, draw):
        """Asks too much: of the prompt's tokens, of the body, or of the canvas."""
        text, expected = draw.choice([("rocks " * MAX_PROMPT_TOKENS * 2, 400),
                                      ("rocks " * MAX_BODY_BYTES, 413), ("rocks", 400)])
        length = {"gen_length": 1 << 20} if text == "rocks" else {}
        try:
            status, headers, answer = await raw_http.ask(
                self.address, "POST", "/v1/completions", {"prompt": text, **length})
        except ConnectionError:
            # The server need not read what it refuses, so the answer may be lost to a reset.
            if expected == 413:
                raise Refused(413) from None
            raise
        check_refusal(status, headers, answer)
        if status != expected:
            raise Wrong(f"expected {expected}, found {status}: {answer[:200]!r}")
        raise Refused(status)

    async def look(self, case, draw):
        """Reads what needs no model."""
        path = draw.choice(["/health", "/ready", "/metrics", "/v1/models", "/openapi.json", "/",
                            "/tokenizer_info"])
        status, _, body = await raw_http.ask(self.address, "GET", path)
        if status != 200 or not body:
            raise Wrong(f"{path}: {status}")
        text = f"{draw.choice(self.cases).body}"
        body = await raw_http.ask(self.address, "POST", "/tokenize", {"prompt": text})
        tokens = json.loads(body[2])["tokens"]
        body = await raw_http.ask(self.address, "POST", "/detokenize", {"tokens": tokens})
        if json.loads(body[2])["prompt"] != text:
            raise Wrong(f"tokenize and detokenize made {body[2]!r} of {text!r}")

    async def frozen(self, case, draw):
        """A client process that is stopped in mid-stream, and goes on or is killed."""
        url = f"http://{self.address[0]}:{self.address[1]}{case.path}"
        async with self.stopped:
            process = await asyncio.create_subprocess_exec(
                "curl", "-sN", "--limit-rate", "200k", "-w", "\n%{http_code}", "-H",
                "Content-Type: application/json", "--data-binary", "@-", url,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
            # Unlike an id, it never comes to mean another process.
            handle = os.pidfd_open(process.pid)
            try:
                process.stdin.write(json.dumps(streamed_body(case, draw)).encode())
                process.stdin.close()
                begin = await process.stdout.read(1)
                send_signal(handle, signal.SIGSTOP)
                await asyncio.sleep(3 * draw.random())
                if draw.random() < 0.5:
                    return
                send_signal(handle, signal.SIGCONT)
                body, _, status = (begin + await process.stdout.read()).rpartition(b"\n")
            finally:
                send_signal(handle, signal.SIGKILL)
                os.close(handle)
                await process.wait()
        if status != b"200":
            if status not in (b"429", b"503"):
                raise Wrong(f"curl: {status!r} {body[:200]!r}")
            raise Refused(int(status))
        answer = StreamedAnswer()
        for event in body.split(b"\n\n"):
            if event.startswith(b"data: "):
                answer.push(event[6:])
        check_answer(case, answer.result())

    def kinds(self):
        """(client, weight) of all kinds."""
        return [(self.whole, 20), (self.stream, 20), (self.slow, 6), (self.same_id, 5),
                (self.several, 4), (self.leave, 14), (self.half, 6), (self.malformed, 10),
                (self.oversized, 4), (self.look, 5), (self.frozen, 6)]

    async def one(self, draw: random.Random):
        """(kind, what came of it) of one client drawn at random; raises Wrong."""
        clients, weights = zip(*self.kinds())
        client = draw.choices(clients, weights)[0]
        try:
            await client(draw.choice(self.cases), draw)
        except Refused as refusal:
            return client.__name__, f"refused with {refusal.status}"
        return client.__name__, "right"
