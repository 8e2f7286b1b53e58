"""Raw bytes to `fast-dllm serve`: whatever is sent, the server answers in HTTP or closes, in time,
never with 500, and goes on serving. tests/fuzz/http_fuzz.cpp does the same with coverage."""
import random
import re
import socket
import time
import unittest

from serve_support import Server
from support import TestCase

ROUNDS = 1500
PATIENCE = 20
BODY = b'{"prompt": "Sam has", "max_tokens": 4}'
SEEDS = [
    b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY),
    b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
    b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: one\r\n\r\n"
    b"GET /v1/models HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Type: application/json; "
    b"charset=utf-8\r\nContent-Length: 15\r\n\r\n{\"prompt\": \"a\"}",
    b"HEAD /page/main.js?a=%41&b HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-1,5-\r\nAccept-Encoding: gzip\r\n\r\n",
    b"POST /v1/infill HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n{",
    b"OPTIONS /v1/infill HTTP/1.1\r\nHost: localhost\r\nOrigin: http://a\r\nAuthorization: Bearer x\r\n\r\n",
]
WORDS = [b"\r\n", b"\n", b"\r", b"\0", b"\t", b" ", b":", b"%", b"%00", b"../", b"//", b"\xff",
         b"HTTP/1.1", b"HTTP/2.0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"-1", b"0", b"99999999999",
         b"18446744073709551616", b"0x10", b"chunked", b"Content-Length: 0\r\n",
         b"Content-Length: 1000000\r\n", b"Transfer-Encoding: chunked\r\n",
         b"Transfer-Encoding: gzip, chunked\r\n", b"Content-Encoding: gzip\r\n",
         b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"X: " + b"a" * 9000 + b"\r\n",
         b"Range: bytes=5-2\r\n", b";ext=1", b"ffffffffffffffff\r\n", b"{", b"TRACE", b"CONNECT"]


def damaged(draw):
    """One of the requests with a few changes, or two of them crossed."""
    data = bytearray(draw.choice(SEEDS))
    for _ in range(draw.randrange(1, 6)):
        at = draw.randrange(len(data) + 1)
        kind = draw.randrange(6)
        if kind == 0 and at < len(data):
            data[at] = draw.randrange(256)
        elif kind == 1:
            data[at:at] = draw.choice(WORDS)
        elif kind == 2:
            del data[at:at + draw.randrange(1, 40)]
        elif kind == 3:
            data[at:at + 1] = draw.choice(WORDS)
        elif kind == 4:
            other = draw.choice(SEEDS)
            data = data[:at] + bytearray(other[draw.randrange(len(other)):])
        else:
            begin = draw.randrange(len(data) + 1)
            data[at:at] = data[begin:begin + draw.randrange(60)]
    return bytes(data)


def exchange(port, data, draw):
    """All that the server answers until it closes; the client says that no more comes."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        answer = b""
        try:
            pieces = draw.choice([1, 1, 1, 3])
            for i in range(pieces):
                client.sendall(data[len(data) * i // pieces:len(data) * (i + 1) // pieces])
            # What waits for an answer is cut by this as by a client that leaves.
            if draw.random() < 0.7:
                time.sleep(0.02)
            client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                answer += piece
        except (ConnectionResetError, BrokenPipeError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
        return answer


class RawBytes(TestCase):
    def test_answers_or_closes(self):
        draw = random.Random(7)
        statuses = set()
        with Server("--request-timeout", 5) as server:
            for number in range(ROUNDS):
                data = damaged(draw)
                with self.subTest(number=number, data=data[:300]):
                    answer = exchange(server.port, data, draw)
                    if answer:
                        self.assertRegex(answer, rb"\AHTTP/1\.[01] \d\d\d ")
                    found = set(re.findall(rb"^HTTP/1\.[01] (\d\d\d) ", answer, re.MULTILINE))
                    self.assertNotIn(b"500", found)
                    statuses |= found
            self.assertEqual(server.ask("/v1/completions", BODY)[0], 200)
            end = time.monotonic() + PATIENCE
            while server.metric("fastdllm_requests_live") + server.metric(
                    "fastdllm_requests_waiting") > 0:
                self.assertLess(time.monotonic(), end)
            self.assertNotIn("warning", "".join(server.log))
        # The changes must reach behind the first check.
        self.assertLessEqual({b"200", b"400", b"404", b"413", b"415"}, statuses)

    def test_every_prefix_of_a_request(self):
        draw = random.Random(8)
        with Server() as server:
            for seed in SEEDS[:2]:
                for length in range(0, len(seed), 3):
                    answer = exchange(server.port, seed[:length], draw)
                    self.assertNotIn(b" 500 ", answer[:20])
            self.assertEqual(server.ask("/health")[0], 200)


if __name__ == "__main__":
    unittest.main()
