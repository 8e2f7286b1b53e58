"""The kinds of abuse of abuse.py. Each is a function of (address, worker's number, event that ends
it) that does its harm once, and how many workers do it at once."""
import http.client
import json
import random
import socket
import struct

CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "Sam has 18 rocks."}]
BODY_BYTES = 7_900_000  # the server takes 8 MB
TIMEOUT = 60


def ask(address, path, body):
    """Sends a whole request and reads its answer, whatever that is."""
    connection = http.client.HTTPConnection(*address, timeout=TIMEOUT)
    try:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", path, data, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def connect(address):
    return socket.create_connection(address, timeout=TIMEOUT)


def head(path, length, more=""):
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {length}\r\n{more}\r\n").encode()


def many_stops(address, number, _):
    stops = ["a"] * 50_000 if number % 2 else [str(i) for i in range(50_000)]
    ask(address, CHAT, {"messages": MESSAGES, "stop": stops, "preset": "fast", "n": 64})


def empty_parts(address, _, __):
    ask(address, "/v1/infill", {"parts": [""] * 1_500_000 + [{"hole": 2}], "n": 64})


def huge_key(address, number, _):
    key = ("k" if number % 2 else "\u00e9") * 3_900_000
    ask(address, CHAT, {"messages": [{**MESSAGES[0], key: 1}]})


def deep_json(address, number, _):
    text = b"[" * BODY_BYTES if number % 2 else b'{"a":' * (BODY_BYTES // 5)
    ask(address, CHAT, b'{"messages": ' + text)


def wide_json(address, number, _):
    if number % 2:
        ask(address, "/v1/completions", {"prompt": [[1]] * 1_500_000})
    else:
        ask(address, CHAT, {"messages": [{"role": "user", "content": ""}] * 200_000})


def giant_prompt(address, number, _):
    text = ["a", "7", " ", "a b ", "\u00df\u0301"][number % 5]
    count = BODY_BYTES // len(json.dumps(text))
    ask(address, "/v1/completions", {"prompt": text * count, "max_tokens": 4})


def idle_connections(address, _, stop):
    sockets = []
    try:
        for _ in range(500):
            if stop.is_set():
                break
            sockets.append(connect(address))
        stop.wait(2)
    finally:
        for one in sockets:
            one.close()


def half_heads(address, number, stop):
    sockets = []
    try:
        for _ in range(100):
            sockets.append(connect(address))
            sockets[-1].sendall(b"POST /v1/completions HTTP/1.1\r\nHost: loc")
        # One byte now and then, as if the rest would come.
        for _ in range(4):
            if stop.wait(0.5):
                break
            for one in sockets:
                one.send(b"a" if number % 2 else b"\r")
    finally:
        for one in sockets:
            one.close()


def half_bodies(address, _, stop):
    sockets = []
    try:
        for _ in range(16):
            sockets.append(connect(address))
            sockets[-1].sendall(head(CHAT, BODY_BYTES))
            sockets[-1].sendall(b" " * (BODY_BYTES - 1))
        stop.wait(2)
    finally:
        for one in sockets:
            one.close()


def huge_heads(address, number, _):
    fill = ["X: " + "a" * 70_000, "a:\r\n" * 20_000, "Cookie: " + "c" * 60_000][number % 3]
    with connect(address) as one:
        one.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + fill.encode() + b"\r\n\r\n")
        one.recv(65536)


def noise(address, number, _):
    draw = random.Random(number)
    for _ in range(20):
        with connect(address) as one:
            one.sendall(draw.randbytes(draw.randrange(1, 3000)))
            one.settimeout(0.2)
            try:
                one.recv(65536)
            except TimeoutError:
                pass


def resets(address, _, __):
    for _ in range(50):
        with connect(address) as one:
            one.sendall(head(CHAT, 30) + b'{"messages": ')
            # The kernel answers the close with a reset.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def tiny_chunks(address, _, __):
    with connect(address) as one:
        one.sendall(b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\n"
                    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        one.sendall(b"1;x=y\r\n \r\n" * 400_000)
        one.recv(65536)


def unread_streams(address, _, stop):
    body = json.dumps({"messages": MESSAGES, "stream": True, "stream_options": {"denoising": True},
                       "gen_length": 64}).encode()
    sockets = []
    try:
        for _ in range(4):
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            one.settimeout(TIMEOUT)
            one.connect(address)
            one.sendall(head(CHAT, len(body)) + body)
            sockets.append(one)
        stop.wait(3)
    finally:
        for one in sockets:
            one.close()


CASES = {
    "many stop strings": (many_stops, 2),
    "empty parts": (empty_parts, 2),
    "huge keys": (huge_key, 2),
    "deep JSON": (deep_json, 2),
    "wide JSON": (wide_json, 2),
    "giant prompts": (giant_prompt, 2),
    "idle connections": (idle_connections, 4),
    "half heads": (half_heads, 6),
    "half bodies": (half_bodies, 2),
    "huge heads": (huge_heads, 3),
    "noise": (noise, 2),
    "resets": (resets, 2),
    "tiny chunks": (tiny_chunks, 1),
    "unread streams": (unread_streams, 2),
}
