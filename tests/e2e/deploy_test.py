"""The files that deploy the server: they parse, and what they say of the program is true."""
import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
import unittest

try:
    import yaml
except ImportError as missing:
    print(f"skipped: {missing} (tools/requirements.txt names the package)")
    sys.exit(77)

from serve_support import Server
from support import LLADA, ROOT, TestCase, run

DOCKERFILE = {"FROM", "RUN", "COPY", "USER", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT"}


def instructions():
    """(name, arguments) of the Dockerfile's instructions, lines joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    return [line.split(None, 1) for line in text.splitlines() if line.strip()]


class Deployment(TestCase):
    def assert_serves(self, arguments):
        """The options exist: with a model that doesn't, the program gets as far as missing it."""
        done = run("serve", *arguments, "--model", self.folder / "none")
        self.assertEqual(done.returncode, 3, done.stderr)

    def container(self):
        documents = list(yaml.safe_load_all(
            (ROOT / "deploy" / "kubernetes.yaml").read_text(encoding="utf-8")))
        self.assertEqual([document["kind"] for document in documents], ["Deployment", "Service"])
        deployment, service = documents
        pod = deployment["spec"]["template"]
        self.assertEqual(deployment["spec"]["selector"]["matchLabels"], pod["metadata"]["labels"])
        self.assertEqual(service["spec"]["selector"], pod["metadata"]["labels"])
        (container,) = pod["spec"]["containers"]
        return pod, service, container

    def test_kubernetes(self):
        pod, service, container = self.container()
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        self.assertIn(service["spec"]["ports"][0]["targetPort"], ports)
        mounts = {mount["name"] for mount in container["volumeMounts"]}
        self.assertEqual(mounts, {volume["name"] for volume in pod["spec"]["volumes"]})
        timeout = float(container["args"][container["args"].index("--request-timeout") + 1])
        self.assertGreater(pod["spec"]["terminationGracePeriodSeconds"], timeout)
        entry = json.loads(dict(instructions())["ENTRYPOINT"])
        model = container["args"].index("--model")
        self.assert_serves(entry[2:] + container["args"][:model] + container["args"][model + 2:])
        self.assertIn(str(ports["http"]), entry)
        with Server(model=LLADA, env={"FDLLM_API_KEY": "k"}) as server:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                self.assertIn(container[probe]["httpGet"]["port"], ports)
                self.assertEqual(server.ask(container[probe]["httpGet"]["path"])[0], 200)

    def test_dockerfile(self):
        names = [name for name, _ in instructions()]
        self.assertLessEqual(set(names), DOCKERFILE)
        self.assertEqual((names[0], names[-1]), ("FROM", "ENTRYPOINT"))
        given = dict(instructions())
        self.assertEqual(json.loads(given["ENTRYPOINT"])[1], "serve")
        self.assertEqual(given["USER"].split(":")[0], "65534")
        # What building needs is what the installer of this project installs.
        build = next(arguments for name, arguments in instructions() if "g++" in arguments)
        installer = (ROOT / "tools" / "install_dependencies.sh").read_text(encoding="utf-8")
        packages = re.search(r"^packages=\((.*?)\)", installer, re.DOTALL | re.MULTILINE)[1]
        for package in packages.split():
            self.assertIn(f" {package} ", build)

    def test_systemd(self):
        path = ROOT / "deploy" / "fast-dllm.service"
        unit = configparser.ConfigParser(strict=True, interpolation=None)
        unit.optionxform = str
        unit.read_string(path.read_text(encoding="utf-8"))
        command = shlex.split(unit["Service"]["ExecStart"])
        self.assertEqual(command[1], "serve")
        self.assert_serves(command[2:])
        timeout = float(command[command.index("--request-timeout") + 1])
        self.assertGreater(float(unit["Service"]["TimeoutStopSec"]), timeout)
        if shutil.which("systemd-analyze"):
            checked = self.write("fast-dllm.service", path.read_text(encoding="utf-8").replace(
                command[0], shutil.which("true")))
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(checked)],
                                  capture_output=True, text=True, timeout=60)
            self.assertNotIn("fast-dllm.service:", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
