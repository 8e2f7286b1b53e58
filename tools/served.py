"""A `fast-dllm serve` of one's own: starting it, watching its process and its figures, ending it."""
import os
import pathlib
import queue
import re
import signal
import subprocess
import threading
import urllib.request


class Served:
    """A server on a free port of 127.0.0.1. Use as a context, or call stop()."""

    def __init__(self, binary, model, *arguments, start_seconds=600):
        environment = {name: value for name, value in os.environ.items()
                       if name not in ("FDLLM_API_KEY", "FDLLM_MODEL")}
        self.process = subprocess.Popen(
            [str(binary), "serve", "--model", str(model), "--port", "0", *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            encoding="utf-8", errors="replace", env=environment)
        self.log = []  # lines that are no access log
        self._ports = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        port = self._ports.get(timeout=start_seconds)
        if port is None:
            raise RuntimeError("the server ended at once: " + "".join(self.log))
        self.address = ("127.0.0.1", port)

    def _read(self):
        for line in self.process.stderr:
            if line.startswith("{"):
                continue
            self.log.append(line)
            if match := re.search(r"listening on http://\S+:(\d+)", line):
                self._ports.put(int(match[1]))
        self._ports.put(None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def terminate(self):
        """Asks it to finish what it has accepted and to end."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self, timeout=600):
        """Ends it as a supervisor does; returns the exit code."""
        if self.process.poll() is None:
            self.terminate()
        try:
            code = self.process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self._reader.join()
        self.process.stderr.close()
        return code

    def resident_bytes(self):
        """Its own memory, without pages of files."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return 1024 * int(re.search(r"^RssAnon:\s+(\d+) kB$", text, re.MULTILINE)[1])

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def metrics(self):
        """All samples of /metrics by name and labels."""
        with urllib.request.urlopen(f"http://{self.address[0]}:{self.address[1]}/metrics",
                                    timeout=60) as response:
            text = response.read().decode()
        return {name: float(value) for name, value in
                (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))}
