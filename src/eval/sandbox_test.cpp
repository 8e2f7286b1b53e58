#include "eval/sandbox.h"

#include <chrono>
#include <cstdlib>

#include <sys/wait.h>

#include "eval/eval_testing.h"

namespace fdllm::eval {
namespace {

std::string verdict_of(const std::string& code, const std::string& tests,
                       const std::string& entry_point = "", SandboxOptions options = {}) {
  const ProgramOutcome outcome = run_program({code, tests, entry_point}, options);
  EXPECT_EQ(outcome.passed, outcome.verdict == "passed");
  return outcome.verdict;
}

TEST(Sandbox, RunsTests) {
  EXPECT_EQ(verdict_of("def f(x):\n  return x + 1", "assert f(1) == 2"), "passed");
  EXPECT_EQ(verdict_of("def f(x):\n  return x", "assert f(1) == 2, 'wrong €'"),
            "failed: AssertionError: wrong €");
  EXPECT_EQ(verdict_of("def f(:", "f(1)").substr(0, 19), "failed: SyntaxError");
  EXPECT_EQ(verdict_of("", "f(1)"), "failed: NameError: name 'f' is not defined");
  EXPECT_EQ(verdict_of("\xff\xfe", "1").substr(0, 19), "failed: SyntaxError");
  EXPECT_EQ(verdict_of(std::string(1, '\0'), "1").substr(0, 7), "failed:");
}

TEST(Sandbox, OnlyItsTestsCanPassAProgram) {
  const std::string tests = "assert False";
  for (const char* code :
       {"import os\nos._exit(0)", "raise SystemExit(0)", "print('passed')",
        "import os\nfor fd in range(20):\n  try: os.write(fd, b'passed')\n  except OSError: pass",
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()"}) {
    EXPECT_NE(verdict_of(code, tests), "passed") << code;
  }
}

TEST(Sandbox, KeepsWhatTheEntryPointNeeds) {
  const std::string prompt = "import math\n\ndef f(x):\n    \"\"\" doc \"\"\"\n";
  EXPECT_EQ(
      verdict_of(prompt + "    return helper(x)\n\ndef helper(x):\n    return math.floor(x)\n\n"
                          "Now an explanation in words.\n",
                 "assert f(1.5) == 1", "f"),
      "passed");
  // The whole function again after its signature, and something that must not run.
  EXPECT_EQ(verdict_of(prompt + "\ndef f(x):\n    return BASE\nBASE = 7\nexit()\ninput()\n",
                       "assert f(1) == 7", "f"),
            "passed");
  EXPECT_EQ(
      verdict_of("def g():\n    return 3\ndef f():\n    return 1", "assert f() + g() == 4", "f"),
      "passed");
  EXPECT_EQ(verdict_of("only words here", "f()", "f"),
            "failed: NameError: name 'f' is not defined");
}

TEST(Sandbox, EndsWhatTakesTooLong) {
  SandboxOptions options;
  options.timeout_seconds = 1;
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(verdict_of("while True: pass", "", "", options), "timed out");
  EXPECT_EQ(verdict_of("import time\ntime.sleep(1000)", "", "", options), "timed out");
  EXPECT_EQ(verdict_of("import signal, time\nfor s in range(1, 30):\n  try: signal.signal(s, "
                       "signal.SIG_IGN)\n  except (OSError, ValueError): pass\ntime.sleep(1000)",
                       "", "", options),
            "timed out");
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(taken.count(), 30);
}

TEST(Sandbox, LimitsMemoryAndFiles) {
  EXPECT_EQ(verdict_of("x = bytearray(1 << 32)", "").substr(0, 19), "failed: MemoryError");
  EXPECT_EQ(verdict_of("open('a', 'w').write('x' * 1000)", "assert open('a').read() == 'x' * 1000"),
            "passed");
  EXPECT_NE(verdict_of("f = open('a', 'wb')\nfor _ in range(64):\n  f.write(b'x' * (1 << 20))\n"
                       "f.close()",
                       ""),
            "passed");
  EXPECT_EQ(verdict_of("import os\nassert os.listdir('.') == []", ""), "passed");
}

TEST(Sandbox, GivesNoEnvironmentAndNoInput) {
  setenv("FDLLM_TEST_SECRET", "1", 1);
  EXPECT_EQ(verdict_of("import os, sys\nassert 'FDLLM_TEST_SECRET' not in os.environ\n"
                       "assert sys.stdin.read() == ''",
                       ""),
            "passed");
  unsetenv("FDLLM_TEST_SECRET");
}

TEST(Sandbox, NamespacesContainIt) {
  if (available_isolation() != Isolation::kNamespaces) GTEST_SKIP() << "no namespaces here";
  const TestFolder folder;
  const std::string file = (folder / "kept").string();
  folder.write("kept", "kept");
  EXPECT_NE(verdict_of("open('" + file + "', 'w').write('lost')", ""), "passed");
  EXPECT_NE(verdict_of("import os\nos.remove('" + file + "')", ""), "passed");
  EXPECT_NE(verdict_of("import os\nos.mkdir('/tmp/fast-dllm-escaped')", ""), "passed");
  EXPECT_EQ(read_file(file), "kept");
  EXPECT_FALSE(std::filesystem::exists("/tmp/fast-dllm-escaped"));
  EXPECT_EQ(verdict_of("import os\nassert os.getpid() == 1 and os.listdir('/proc') == []\n"
                       "assert os.getuid() == 65534",
                       ""),
            "passed");
  EXPECT_NE(verdict_of("import socket\nsocket.create_connection(('127.0.0.1', 22), 1)", ""),
            "passed");
  EXPECT_EQ(verdict_of("import socket\nnames = [n for _, n in socket.if_nameindex()]\n"
                       "assert names == ['lo'], names\ntry:\n  socket.socket(socket.AF_INET, "
                       "socket.SOCK_DGRAM).connect(('192.0.2.1', 9))\nexcept OSError: ok = True",
                       "assert ok"),
            "passed");
  // What it starts ends with it.
  EXPECT_EQ(verdict_of("import os, time\nif os.fork() == 0:\n  os.setsid()\n  time.sleep(100)", ""),
            "passed");
}

TEST(Sandbox, LeavesNothingBehind) {
  const auto count = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                         std::filesystem::directory_iterator());
  };
  verdict_of("", "");
  const auto before = count();
  for (int i = 0; i < 5; ++i) verdict_of("open('a', 'w').write('b')", "");
  EXPECT_EQ(count(), before);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);  // no child is left
}

TEST(Sandbox, NeedsAPython) {
  SandboxOptions options;
  options.python = "no-such-python";
  expect_error(ErrorCode::kNotFound, "no-such-python", [&] { run_program({}, options); });
  options.python = "./no-such-python";
  expect_error(ErrorCode::kNotFound, "no-such-python", [&] { run_program({}, options); });
  const TestFolder folder;
  options.python = folder.write("text", "no program").string();
  std::filesystem::permissions(options.python, std::filesystem::perms::owner_all);
  expect_error(ErrorCode::kNotFound, "could not be started", [&] { run_program({}, options); });
}

}  // namespace
}  // namespace fdllm::eval
