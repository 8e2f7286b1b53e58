#!/usr/bin/env python3
"""Mistreats `fast-dllm serve` on a machine that gives it little, beside a client that behaves.

usage: abuse.py --binary build/release/bin/fast-dllm --model models/llada-nano --seconds 600

Starts a server with limits on its address space, its files and (as root) its threads, whose log
nobody reads, and lets one kind of client of abuse_cases.py after the other loose on it. It fails
unless
- the server lives, and ends with 0 when it is told to;
- the client that behaves gets all its answers, and during each kind of abuse half of them within
  twice its usual time (plus --slack);
- a minute later at most, the server holds no more memory than before (plus --memory-bound), and no
  connection.
Needs only Python. The clients share the machine with the server: few cores make it slower.
"""
import abuse_cases
import argparse
import atexit
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time


PAUSE = 0.05
RECOVERY_SECONDS = 60
QUESTION = {"messages": [{"role": "user", "content": "Sam has 18 rocks. How many has Sam?"}],
            "max_tokens": 32}


class Limited:
    """A server under limits, whose log is read until it listens and never again."""

    def __init__(self, options):
        user = 50000 + os.getpid() % 10000
        # The user with limits may not look into the folder of the one who started this.
        place = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, place, ignore_errors=True)
        os.chmod(place, 0o755)
        options.binary = shutil.copy(options.binary, place)
        options.model = shutil.copytree(options.model, os.path.join(place, "model"))

        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (options.address_space << 20,) * 2)
            resource.setrlimit(resource.RLIMIT_NOFILE, (options.files,) * 2)
            if os.geteuid() == 0:
                # Limits of processes count a user's threads, and root's not at all.
                resource.setrlimit(resource.RLIMIT_NPROC, (options.threads,) * 2)
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)

        self.process = subprocess.Popen(
            [options.binary, "serve", "--model", options.model, "--port", "0", "--threads", "2"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            preexec_fn=limit)
        lines = []
        for line in self.process.stderr:
            lines.append(line)
            if match := re.search(r"listening on http://\S+:(\d+)", line):
                self.address = ("127.0.0.1", int(match[1]))
                break
        else:
            raise RuntimeError("the server ended at once: " + "".join(lines))
        self.process.stderr.close()

    def memory(self):
        """Its own memory in MB, without pages of files."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"^RssAnon:\s+(\d+) kB$", text, re.MULTILINE)[1]) / 1024

    def files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def lives(self):
        return self.process.poll() is None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)


class Polite:
    """A client that asks one small question after the other."""

    def __init__(self, address):
        self.address = address
        self.seconds = []
        self.failures = []

    def ask(self):
        begin = time.perf_counter()
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps(QUESTION),
                               {"Content-Type": "application/json"})
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                self.failures.append(f"{response.status}: {body[:200]!r}")
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(f"{type(error).__name__}: {error}")
        finally:
            connection.close()
        self.seconds.append(time.perf_counter() - begin)

    def ask_for(self, seconds):
        """Asks for that long; returns how long the answers took."""
        self.seconds = []
        end = time.monotonic() + seconds
        while time.monotonic() < end or len(self.seconds) < 5:
            self.ask()
            time.sleep(PAUSE)
        return self.seconds


def attack(address, case, workers, seconds, polite):
    """Lets workers commit one kind of abuse; returns how long the polite client's answers took."""
    stop = threading.Event()

    def work(number):
        while not stop.is_set():
            begin = time.monotonic()
            try:
                case(address, number, stop)
            except (OSError, http.client.HTTPException):
                pass
            # As much rest as work, so that it is the server that is tried and not the cores.
            stop.wait(max(PAUSE, time.monotonic() - begin))

    threads = [threading.Thread(target=work, args=(number,), daemon=True)
               for number in range(workers)]
    for thread in threads:
        thread.start()
    try:
        return polite.ask_for(seconds)
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=60)


class Trial:
    def __init__(self, options):
        self.options = options
        self.failures = []
        self.server = Limited(options)

    def fail(self, what):
        self.failures.append(what)
        print(f"FAILED: {what}", flush=True)

    def abuse(self, polite, usual):
        cases = abuse_cases.CASES
        for name, (case, workers) in cases.items():
            took = attack(self.server.address, case, workers, self.options.seconds / len(cases),
                          polite)
            if not self.server.lives():
                return self.fail(f"{name}: the server ended with {self.server.process.returncode}")
            median = statistics.median(took)
            print(f"{name:24s} {len(took):5d} answers, median {1000 * median:7.1f} ms, longest "
                  f"{1000 * max(took):7.1f} ms, {self.server.memory():6.1f} MB, "
                  f"{self.server.files():4d} files", flush=True)
            for failure in sorted(set(polite.failures)):
                self.fail(f"{name}: the client that behaves got {failure}")
            polite.failures.clear()
            if median > 2 * usual + self.options.slack:
                self.fail(f"{name}: answers took {1000 * median:.1f} ms, usual are "
                          f"{1000 * usual:.1f} ms")
        return None

    def settle(self, memory, files):
        end = time.monotonic() + RECOVERY_SECONDS
        while True:
            left = (self.server.memory(), self.server.files())
            if left[0] <= memory + self.options.memory_bound and left[1] <= files:
                break
            if time.monotonic() > end:
                return self.fail(f"left over: {left[0]:.1f} MB and {left[1]} files; there were "
                                 f"{memory:.1f} MB and {files}")
            time.sleep(0.5)
        print(f"afterwards {left[0]:.1f} MB (before {memory:.1f} MB), {left[1]} files")
        return None

    def run(self):
        polite = Polite(self.server.address)
        polite.ask_for(self.options.warm_up)
        usual = statistics.median(polite.ask_for(self.options.warm_up))
        memory, files = self.server.memory(), self.server.files()
        print(f"usual: median {1000 * usual:.1f} ms, {memory:.1f} MB, {files} files", flush=True)
        self.abuse(polite, usual)
        if not self.server.lives():
            return
        self.settle(memory, files + 1)
        if (code := self.server.stop()) != 0:
            self.fail(f"the server ended with {code}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--seconds", type=float, default=600, help="of all abuse together")
    parser.add_argument("--warm-up", type=float, default=5, help="seconds of good manners first")
    parser.add_argument("--slack", type=float, default=0.02, help="seconds beyond twice the usual")
    parser.add_argument("--address-space", type=int, default=3000, help="MB")
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--threads", type=int, default=60)
    parser.add_argument("--memory-bound", type=float, default=64, help="MB that may stay")
    options = parser.parse_args()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    trial = Trial(options)
    try:
        trial.run()
    finally:
        if trial.server.lives():
            trial.server.process.kill()
            trial.server.process.wait()
    print(f"{len(trial.failures)} failures")
    return 1 if trial.failures else 0


if __name__ == "__main__":
    sys.exit(main())
