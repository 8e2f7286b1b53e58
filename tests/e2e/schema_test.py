"""What /openapi.json says is true, and what contradicts it is refused: schemathesis makes requests
by it, good and bad ones."""
import os
import subprocess
import sys
import unittest

try:
    import schemathesis  # noqa: F401 (run as a program below)
except ImportError as missing:
    print(f"skipped: {missing} (tools/requirements-clients.txt names the package)")
    sys.exit(77)

from serve_support import Server
from support import TestCase


class Schema(TestCase):
    def run_schemathesis(self, server, examples, *arguments):
        program = os.path.join(os.path.dirname(sys.executable), "schemathesis")
        done = subprocess.run(
            [program, "run", server.url + "/openapi.json", "--seed", "1", "--no-color",
             "--continue-on-failure", "--phases", "examples,coverage,fuzzing", "--max-examples",
             str(examples), "--request-timeout", "60", "--suppress-health-check", "all",
             # Methods that HTTP does not know are no HTTP here (400).
             "--exclude-checks", "unsupported_method", *arguments],
            capture_output=True, text=True, timeout=1500, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stdout[-8000:] + done.stderr[-2000:])

    def test_requests_that_generate(self):
        # Of these fields some contradict each other, which a schema cannot say; so requests that
        # it allows may be refused, but never with 500.
        with Server("--request-timeout", 1) as server:
            self.run_schemathesis(server, 40, "--exclude-checks",
                                  "unsupported_method,positive_data_acceptance")
            self.assertEqual(server.ask("/health")[0], 200)
            self.assertEqual(server.metric("fastdllm_requests_live"), 0)
            self.assertNotIn("warning", "".join(server.log))

    def test_all_others(self):
        with Server() as server:
            self.run_schemathesis(server, 60, "--include-path-regex",
                                  "^/(detokenize|tokenizer_info|health|ready|metrics|v1/models.*)$")
            # A schema can't say how long a text may be that the model has positions for.
            self.run_schemathesis(server, 60, "--include-path-regex", "^/tokenize$",
                                  "--exclude-checks",
                                  "unsupported_method,positive_data_acceptance")


if __name__ == "__main__":
    unittest.main()
