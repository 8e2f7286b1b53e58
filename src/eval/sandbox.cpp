// A program runs in a child made with clone(2): where the system lets anybody have namespaces, the
// child gets its own of every kind that matters, else the resource limits have to do. Between clone
// and exec the child only makes system calls, since other threads may hold locks that it copied.
#include "eval/sandbox.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/quote.h"
#include "base/utf8_check.h"
#include "eval/harness.h"

namespace fdllm::eval {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kOpenFiles = 64;
constexpr rlim_t kProcesses = 8;
constexpr std::size_t kMaxVerdict = 300;
constexpr char kInnerUser[] = "65534";  // nobody: without capabilities after exec
constexpr char kScratchOptions[] = "size=16m,mode=0700";
constexpr int kNamespaces =
    CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

/// A file descriptor that is closed in the end.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() { close(); }
  int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

[[noreturn]] void fail_system(const char* what) {
  fail(ErrorCode::kUnsupported, "running a program: {}: {}", what, std::strerror(errno));
}

/// An empty folder that is removed in the end, whatever was written into it.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (fs::temp_directory_path() / "fast-dllm-eval-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) fail_system("making a folder for it");
    path_ = name;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Everything that the child needs, made before it exists.
struct ChildPlan {
  bool namespaces = false;
  bool probe = false;  ///< end successfully once the fences are up
  std::string user_map, group_map;
  const char* folder = nullptr;
  int input = -1, output = -1, failure = -1;
  rlim_t cpu_seconds = 0, memory = 0, file_size = 0;
  char* const* arguments = nullptr;
};

bool write_file(const char* path, std::string_view text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = write(fd, text.data(), text.size()) == std::ssize(text);
  return close(fd) == 0 && written;
}

bool limit(int resource, rlim_t value) {
  rlimit limits{};
  if (getrlimit(static_cast<__rlimit_resource>(resource), &limits) != 0) return false;
  limits.rlim_cur = limits.rlim_max = std::min(value, limits.rlim_max);
  return setrlimit(static_cast<__rlimit_resource>(resource), &limits) == 0;
}

/// In the child: nobody's user, no network, no other processes, and no file that can be changed but
/// those of an empty file system in memory at the work folder.
bool enter_namespaces(const ChildPlan& plan) {
  if (!write_file("/proc/self/setgroups", "deny")) return false;
  if (!write_file("/proc/self/uid_map", plan.user_map)) return false;
  if (!write_file("/proc/self/gid_map", plan.group_map)) return false;
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attributes, sizeof attributes) !=
      0) {
    return false;
  }
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  // The old /proc shows the processes outside.
  if (mount("none", "/proc", "tmpfs", kFlags | MS_RDONLY, nullptr) != 0) return false;
  return mount("none", plan.folder, "tmpfs", kFlags, kScratchOptions) == 0;
}

bool set_limits(const ChildPlan& plan) {
  return limit(RLIMIT_CPU, plan.cpu_seconds) && limit(RLIMIT_AS, plan.memory) &&
         limit(RLIMIT_FSIZE, plan.file_size) && limit(RLIMIT_CORE, 0) &&
         limit(RLIMIT_NOFILE, kOpenFiles) && limit(RLIMIT_NPROC, kProcesses);
}

/// In the child: puts up the fences and becomes Python. Reports a failure as errno.
[[noreturn]] void become_program(const ChildPlan& plan) {
  const auto give_up = [&] {
    const int error = errno == 0 ? EINVAL : errno;
    [[maybe_unused]] const auto written = write(plan.failure, &error, sizeof error);
    _exit(1);
  };
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setsid();
  if (plan.namespaces && !enter_namespaces(plan)) give_up();
  if (plan.probe) _exit(0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGPIPE}) signal(number, SIG_DFL);
  if (chdir(plan.folder) != 0) give_up();
  // Above what they are copied to, so that no copy overwrites one that is still needed.
  constexpr int kHigh = 16, kFailure = 3;
  const int input = fcntl(plan.input, F_DUPFD, kHigh);
  const int output = fcntl(plan.output, F_DUPFD, kHigh);
  const int failure = fcntl(plan.failure, F_DUPFD, kHigh);
  const int null = open("/dev/null", O_WRONLY);
  const bool copied = input >= 0 && output >= 0 && failure >= 0 && null >= 0 &&
                      dup2(null, 2) == 2 && dup2(input, 0) == 0 && dup2(output, 1) == 1 &&
                      dup3(failure, kFailure, O_CLOEXEC) == kFailure;
  if (!copied) give_up();
  if (syscall(SYS_close_range, kFailure + 1, ~0U, 0) != 0) {
    const long most = sysconf(_SC_OPEN_MAX);
    for (int fd = kFailure + 1; fd < most; ++fd) close(fd);
  }
  char* const no_environment[] = {nullptr};
  if (set_limits(plan) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
    execve(plan.arguments[0], plan.arguments, no_environment);
  }
  const int error = errno;
  [[maybe_unused]] const auto written = write(kFailure, &error, sizeof error);
  _exit(1);
}

/// As fork(2), with namespaces; not through fork(), whose handlers belong to the parent's threads.
pid_t clone_child(bool namespaces) {
  return static_cast<pid_t>(
      syscall(SYS_clone, SIGCHLD | (namespaces ? kNamespaces : 0), nullptr, nullptr, nullptr, 0));
}

std::array<Descriptor, 2> make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail_system("a pipe");
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

bool probe_namespaces() {
  const ScratchFolder folder;
  auto failure = make_pipe();
  ChildPlan plan;
  plan.namespaces = plan.probe = true;
  plan.user_map = fmt::format("{} {} 1", kInnerUser, geteuid());
  plan.group_map = fmt::format("{} {} 1", kInnerUser, getegid());
  plan.folder = folder.path().c_str();
  plan.failure = failure[1].get();
  const pid_t child = clone_child(true);
  if (child < 0) return false;
  if (child == 0) become_program(plan);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// A file in memory that holds `text`, to be read from its beginning.
Descriptor text_in_memory(std::string_view text) {
  Descriptor file(memfd_create("fast-dllm-program", MFD_CLOEXEC));
  if (file.get() < 0) fail_system("a file in memory");
  while (!text.empty()) {
    const ssize_t written = write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail_system("writing the program");
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (lseek(file.get(), 0, SEEK_SET) != 0) fail_system("a file in memory");
  return file;
}

std::string fresh_nonce() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}{:08x}", device(), device(), device());
}

/// The child's process group; ended, with all that it started, at the latest on destruction.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { end(); }

  /// Whether it has ended by itself.
  bool ended() {
    if (pid_ > 0 && waitpid(pid_, &status_, WNOHANG) == pid_) {
      kill(-pid_, SIGKILL);
      pid_ = 0;
    }
    return pid_ == 0;
  }
  void end() {
    if (pid_ == 0) return;
    kill(-pid_, SIGKILL);  // the group exists only after the child's setsid()
    kill(pid_, SIGKILL);
    while (waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
  }
  int status() const { return status_; }

 private:
  pid_t pid_;
  int status_ = 0;
};

/// What the child writes until it ends; nothing where that takes longer than allowed.
std::optional<std::string> read_until_end(Child& child, int fd, double seconds) {
  const auto deadline = Clock::now() + std::chrono::duration<double>(seconds);
  std::string text;
  std::array<char, 4096> buffer;
  fcntl(fd, F_SETFL, O_NONBLOCK);
  for (;;) {
    const bool ended = child.ended();
    ssize_t count = 0;
    while ((count = read(fd, buffer.data(), buffer.size())) > 0) {
      // What goes beyond a verdict is read, so that the writer isn't blocked, and dropped.
      const std::size_t room = 2 * kMaxVerdict - text.size();
      text.append(buffer.data(), std::min(static_cast<std::size_t>(count), room));
    }
    if (ended) return text;
    if (Clock::now() >= deadline) return std::nullopt;
    if (count == 0) {
      usleep(2000);  // closed, but not ended yet
    } else {
      pollfd waiting{fd, POLLIN, 0};
      poll(&waiting, 1, 10);
    }
  }
}

ProgramOutcome outcome_of(const std::optional<std::string>& text, const std::string& nonce,
                          int status) {
  if (!text) return {false, "timed out"};
  if (*text == nonce + " passed") return {true, "passed"};
  if (text->starts_with("failed: ") && is_valid_utf8(*text)) {
    return {false, text->substr(0, kMaxVerdict)};
  }
  if (WIFSIGNALED(status)) {
    return {false, fmt::format("failed: ended by signal {}", WTERMSIG(status))};
  }
  return {false, "failed: it ended before its tests did"};
}

}  // namespace

Isolation available_isolation() {
  static const bool namespaces = probe_namespaces();
  return namespaces ? Isolation::kNamespaces : Isolation::kLimits;
}

std::string find_python(const std::string& python) {
  const auto runs = [](const std::string& path) { return access(path.c_str(), X_OK) == 0; };
  if (python.find('/') != std::string::npos) {
    std::error_code error;
    const std::string path = fs::absolute(python, error).string();
    if (!error && runs(path)) return path;
    fail(ErrorCode::kNotFound, "--python {}: there is no program that can be run", quote(python));
  }
  const char* variable = std::getenv("PATH");
  std::string_view rest = variable == nullptr ? "/usr/bin:/bin" : variable;
  while (!rest.empty()) {
    const std::string_view folder = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(folder.size() + 1, rest.size()));
    const std::string path = std::string(folder) + "/" + python;
    if (folder.starts_with('/') && runs(path)) return path;
  }
  fail(ErrorCode::kNotFound, "--python {}: not found in PATH; give the path of a Python 3",
       quote(python));
}

ProgramOutcome run_program(const Program& program, const SandboxOptions& options) {
  const std::string python = find_python(options.python);
  const std::string nonce = fresh_nonce();
  const nlohmann::json request = {{"nonce", nonce},
                                  {"code", program.code},
                                  {"tests", program.tests},
                                  {"entry_point", program.entry_point}};
  const Descriptor input =
      text_in_memory(request.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
  const ScratchFolder folder;
  auto output = make_pipe();
  auto failure = make_pipe();
  std::vector<std::string> words = {python, "-I", "-B", "-X", "utf8", "-c", sandbox_harness()};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  ChildPlan plan;
  plan.namespaces = available_isolation() == Isolation::kNamespaces;
  plan.user_map = fmt::format("{} {} 1", kInnerUser, geteuid());
  plan.group_map = fmt::format("{} {} 1", kInnerUser, getegid());
  plan.folder = folder.path().c_str();
  plan.input = input.get();
  plan.output = output[1].get();
  plan.failure = failure[1].get();
  plan.cpu_seconds = static_cast<rlim_t>(std::ceil(options.timeout_seconds)) + 1;
  plan.memory = options.memory_bytes;
  plan.file_size = options.file_bytes;
  plan.arguments = arguments.data();
  const pid_t pid = clone_child(plan.namespaces);
  if (pid < 0) fail_system("starting a process");
  if (pid == 0) become_program(plan);
  Child child(pid);
  output[1].close();
  failure[1].close();

  int error = 0;
  ssize_t count = 0;
  while ((count = read(failure[0].get(), &error, sizeof error)) < 0 && errno == EINTR) {
  }
  if (count == sizeof error) {
    fail(ErrorCode::kNotFound, "--python {}: could not be started in the sandbox: {}",
         quote(options.python), std::strerror(error));
  }
  const auto text = read_until_end(child, output[0].get(), options.timeout_seconds);
  child.end();
  return outcome_of(text, nonce, child.status());
}

}  // namespace fdllm::eval
