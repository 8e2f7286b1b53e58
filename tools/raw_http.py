"""HTTP/1.1 by hand over asyncio, for the programs that load or mistreat a server: only with the
connection in one's own hands can a request be cut, stalled or sent in part."""
import asyncio
import json
import socket

MAX_LINE = 1 << 20


class Broken(Exception):
    """The connection ended in the middle of a response, or what came was no HTTP."""


def request_bytes(address, method, path, body=None, headers=()):
    """A whole request; `body` is bytes, or anything else to be sent as JSON."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", f"Host: {address[0]}:{address[1]}", "Connection: close"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


async def connect(address, receive_buffer=None):
    """(reader, writer) of a new connection; a small receive buffer makes the sender wait."""
    if receive_buffer is None:
        return await asyncio.open_connection(*address, limit=MAX_LINE)
    family, kind, protocol, _, place = (await asyncio.get_running_loop().getaddrinfo(
        *address, type=socket.SOCK_STREAM))[0]
    plain = socket.socket(family, kind, protocol)
    plain.setblocking(False)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    try:
        await asyncio.get_running_loop().sock_connect(plain, place)
        return await asyncio.open_connection(sock=plain, limit=receive_buffer)
    except BaseException:
        plain.close()
        raise


async def read_head(reader):
    """(status, headers with names in lower case) of a response."""
    first = (await reader.readline()).split(None, 2)
    if len(first) < 2 or not first[0].startswith(b"HTTP/1.") or not first[1].isdigit():
        raise Broken(f"expected a status line, found {b' '.join(first)[:80]!r}")
    headers = {}
    while line := (await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return int(first[1]), headers


async def read_chunks(reader):
    """The pieces of a chunked body, as they come."""
    while True:
        line = (await reader.readline()).strip()
        if not line:
            raise Broken("the body ended without its last chunk")
        size = int(line, 16)
        piece = await reader.readexactly(size)
        await reader.readexactly(2)
        if size == 0:
            return
        yield piece


async def read_body(reader, headers):
    """The whole body of a response."""
    if headers.get("transfer-encoding") == "chunked":
        return b"".join([piece async for piece in read_chunks(reader)])
    return await reader.readexactly(int(headers.get("content-length", 0)))


async def read_events(reader):
    """The data of a chunked body's server-sent events, as they come."""
    rest = b""
    async for piece in read_chunks(reader):
        *events, rest = (rest + piece).split(b"\n\n")
        for event in events:
            if event.startswith(b"data: "):
                yield event[6:]


async def ask(address, method, path, body=None, headers=()):
    """(status, headers, body as bytes) of a request on a connection of its own."""
    reader, writer = await connect(address)
    try:
        writer.write(request_bytes(address, method, path, body, headers))
        status, found = await read_head(reader)
        return status, found, await read_body(reader, found)
    finally:
        writer.close()
