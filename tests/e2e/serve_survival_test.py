"""`fast-dllm serve` where the system gives it nothing: no reader of its log, no threads, no files."""
import ctypes
import http.client
import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import time
import unittest

from serve_support import CHAT, Server
from support import BINARY, LLADA, TestCase

# Nobody else's, so that limits of processes count the server's threads alone.
OTHER_USER = 50000 + os.getpid() % 10000
SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 434, 438


class Bare:
    """A server whose stderr is what the test says, found by its port."""

    def __init__(self, stderr, *arguments, limit=None):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            [BINARY, "serve", "--model", str(LLADA), "--port", str(self.port), "--threads", "1",
             *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, preexec_fn=limit)

    def __enter__(self):
        end = time.monotonic() + 60
        while True:
            try:
                if self.ask("GET", "/health")[0] == 200:
                    return self
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the server did not start: {self.process.poll()}")
            time.sleep(0.05)

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)

    def ask(self, method, path, body=None, timeout=30):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


class Log(TestCase):
    def assert_serves(self, server, requests=20):
        for _ in range(requests):
            self.assertEqual(server.ask("GET", "/nowhere")[0], 404)
        self.assertEqual(server.ask("POST", "/v1/chat/completions", CHAT)[0], 200)
        self.assertIsNone(server.process.poll())

    def test_its_reader_is_gone(self):
        read, write = os.pipe()
        with Bare(write) as server:
            os.close(write)
            os.close(read)
            self.assert_serves(server)
        self.assertEqual(server.process.returncode, 0)

    def test_its_disk_is_full(self):
        with open("/dev/full", "wb") as full, Bare(full) as server:
            self.assert_serves(server)
        self.assertEqual(server.process.returncode, 0)

    def test_it_is_closed(self):
        with Bare(None, limit=lambda: os.close(2)) as server:
            self.assert_serves(server)
        self.assertEqual(server.process.returncode, 0)

    def test_its_reader_has_stopped_reading(self):
        read, write = os.pipe()
        with Bare(write) as server:
            os.close(write)
            begin = time.monotonic()
            # Far more lines than a pipe holds.
            self.assert_serves(server, 800)
            self.assertLess(time.monotonic() - begin, 60)
            os.set_blocking(read, False)
            while True:
                try:
                    os.read(read, 65536)
                except BlockingIOError:
                    break
            server.ask("GET", "/nowhere")
            time.sleep(0.1)
            self.assertIn(b"lines of this log were lost", os.read(read, 65536))
        os.close(read)
        self.assertEqual(server.process.returncode, 0)


class Shortage(TestCase):
    def open_idle(self, server, count, text=b""):
        sockets = []
        for _ in range(count):
            try:
                sockets.append(server.connect())
                sockets[-1].sendall(text)
            except OSError:
                pass
        return sockets

    def assert_others_are_served(self, server):
        for text in (b"", b"GET / HT", b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\n"
                     b"Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{"):
            sockets = self.open_idle(server, 80, text)
            time.sleep(0.2)
            for _ in range(3):
                status, body = server.ask("POST", "/v1/chat/completions", CHAT)
                self.assertEqual(status, 200, body)
            for one in sockets:
                one.close()
        self.assertIsNone(server.process.poll())

    @unittest.skipUnless(os.geteuid() == 0, "a limit of processes needs a user of its own")
    def test_no_more_threads(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_NPROC, (10, 10))
            os.setgroups([])
            os.setgid(OTHER_USER)
            os.setuid(OTHER_USER)

        for folder in [*pathlib.Path(BINARY).resolve().parents, *LLADA.parents]:
            if folder.stat().st_mode & 0o005 != 0o005:
                self.skipTest(f"{folder} is closed to other users")
        with Bare(subprocess.DEVNULL, limit=limit) as server:
            self.assert_others_are_served(server)
        self.assertEqual(server.process.returncode, 0)

    def test_no_more_files(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))

        with Bare(subprocess.DEVNULL, limit=limit) as server:
            self.assert_others_are_served(server)
        self.assertEqual(server.process.returncode, 0)

    def test_more_connections_than_it_has_places(self):
        with Bare(subprocess.DEVNULL, "--max-waiting", 1, "--max-live-requests", 1) as server:
            self.assert_others_are_served(server)

    def test_a_socket_that_cannot_go_on_ends_it(self):
        server = Server()
        libc = ctypes.CDLL(None, use_errno=True)
        process = libc.syscall(SYS_PIDFD_OPEN, server.process.pid, 0)
        broken = False
        for number in os.listdir(f"/proc/{server.process.pid}/fd"):
            copy = libc.syscall(SYS_PIDFD_GETFD, process, int(number), 0)
            if copy < 0:
                continue
            try:
                with socket.socket(fileno=copy) as one:
                    if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                        one.shutdown(socket.SHUT_RD)
                        broken = True
            except OSError:
                os.close(copy)
        if not broken:
            server.stop()
            self.skipTest("this system does not let one process take another's socket")
        self.assertEqual(server.process.wait(timeout=30), 8)
        server.stop()
        self.assertIn("no connections can be accepted any more", "".join(server.log))


class Options(TestCase):
    def test_keys_that_no_request_could_carry(self):
        for key in ("", "a\n", "a b", "a\tb", "\x01", "\u00e9"):
            message = self.fail_with(2, "serve", "--model", LLADA, "--api-key", key)
            self.assertIn("--api-key", message)
        for text, problem in (("", "empty"), ("a\nb\n", "line end")):
            message = self.fail_with(2, "serve", "--model", LLADA, "--api-key-file",
                                     self.write("key", text))
            self.assertIn(problem, message)
        self.fail_with(3, "serve", "--model", LLADA, "--api-key-file", self.folder / "none")
        done = subprocess.run([BINARY, "serve", "--model", LLADA], capture_output=True, text=True,
                              env={**os.environ, "FDLLM_API_KEY": ""}, timeout=60)
        self.assertEqual(done.returncode, 2)
        self.assertIn("FDLLM_API_KEY", done.stderr)

    def test_a_key_of_a_file(self):
        with Server("--api-key-file", self.write("key", "k%41y\n")) as server:
            self.assertEqual(server.ask("/v1/models")[0], 401)
            for value, status in (("Bearer k%41y", 200), ("bearer   k%41y", 200),
                                  ("Bearer kAy", 401), ("Basic k%41y", 401)):
                headers = {"Authorization": value}
                self.assertEqual(server.ask("/v1/models", headers=headers)[0], status, value)

    def test_a_used_port(self):
        with Server() as server:
            message = self.fail_with(8, "serve", "--model", LLADA, "--port", server.port)
            self.assertRegex(message, "Address already in use.*another program listens there")
        self.assertIn("no such address", self.fail_with(
            8, "serve", "--model", LLADA, "--host", "192.0.2.1"))
        for arguments in (("--host", ""), ("--allow-host", "http://a"), ("--cors-origin", "a b")):
            self.assertIn(arguments[0], self.fail_with(2, "serve", "--model", LLADA, *arguments))

    def test_hosts(self):
        with Server("--allow-host", "my.proxy", "--allow-host", ".example.com") as server:
            for host, status in (("localhost:1", 200), ("127.0.0.1", 200), ("[::1]:80", 200),
                                 ("my.proxy", 200), ("a.example.com:443", 200),
                                 ("evil.example", 403), ("localhost.evil.example", 403)):
                self.assertEqual(server.ask("/v1/models", headers={"Host": host})[0], status, host)
        with Server("--api-key", "k") as server:
            headers = {"Host": "my.proxy", "Authorization": "Bearer k"}
            self.assertEqual(server.ask("/v1/models", headers=headers)[0], 200)
        with Server("--host", "0.0.0.0") as server:
            self.assertEqual(server.ask("/v1/models", headers={"Host": "my.proxy"})[0], 200)

    def test_what_clients_send(self):
        with Server() as server:
            headers = {"Cookie": "c" * 30000, "Content-Type": "Application/JSON"}
            body = json.dumps({"prompt": "a"}).encode()
            self.assertEqual(server.ask("/tokenize/", body, headers=headers)[0], 200)
            self.assertEqual(server.ask("//models/")[0], 200)
            self.assertEqual(server.ask("/models", headers={"Cookie": "c" * 66000})[0], 431)
            connection = server.connect()
            connection.request("POST", "/chat/completions", json.dumps({**CHAT, "stream": True}),
                               {"Content-Type": "application/json"})
            response = connection.getresponse()
            self.assertEqual(response.headers["X-Accel-Buffering"], "no")
            response.read()
            timeout = int(re.search(r"timeout=(\d+)", response.headers["Keep-Alive"])[1])
            self.assertGreaterEqual(timeout, 60)
            connection.close()


if __name__ == "__main__":
    unittest.main()
