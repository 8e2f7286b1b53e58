#include "server/http/listener.h"

#include <atomic>
#include <cerrno>
#include <deque>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "fastdllm/error.h"

namespace fdllm::server {
namespace {

using ::testing::HasSubstr;

Socket connected(int port) {
  Socket client(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  connect(client.descriptor(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  return client;
}

/// A listener on a thread, whose system fails with these errors first.
class Running {
 public:
  explicit Running(std::deque<int> errors, int errors_of_take = 0)
      : errors_(std::move(errors)),
        errors_of_take_(errors_of_take),
        listener_("127.0.0.1", 0, [this](int socket) { return accept_or_fail(socket); }),
        thread_([this] {
          listener_.run({.take = [this](Socket socket) { take(std::move(socket)); },
                         .make_room = [this] { ++rooms; },
                         .milliseconds = [] { return 1000; }});
          ended = true;
        }) {}
  ~Running() {
    listener_.stop();
    thread_.join();
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  /// Whether a connection is taken within some seconds.
  bool takes_one() {
    const int before = taken;
    const Socket client = connected(listener_.port());
    for (int i = 0; i < 1000 && taken == before; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return taken > before;
  }
  const Listener& listener() const { return listener_; }

  std::atomic<int> taken{0}, rooms{0};
  std::atomic<bool> ended{false};

 private:
  int accept_or_fail(int socket) {
    if (errors_.empty()) return accept(socket, nullptr, nullptr);
    errno = errors_.front();
    errors_.pop_front();
    return -1;
  }
  void take(const Socket& socket) {
    EXPECT_TRUE(socket.is_open());
    if (errors_of_take_-- > 0) throw std::bad_alloc();
    ++taken;
  }

  std::deque<int> errors_;  ///< of the listener's thread
  int errors_of_take_;
  Listener listener_;
  std::thread thread_;
};

TEST(Listener, SurvivesAFailedAccept) {
  for (const int error : {ECONNABORTED, EINTR, EPROTO, EPERM, ENETDOWN, EAGAIN, EMFILE, ENFILE,
                          ENOBUFS, ENOMEM, EIO}) {
    SCOPED_TRACE(error);
    Running running({error, error, error});
    EXPECT_TRUE(running.takes_one());
    EXPECT_TRUE(running.takes_one());
    EXPECT_EQ(running.listener().failure(), "");
    const bool is_shortage =
        error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
    EXPECT_EQ(running.rooms, is_shortage ? 3 : 0);
  }
}

TEST(Listener, SaysWhenItCannotGoOn) {
  Running running({EBADF});
  const Socket client = connected(running.listener().port());
  for (int i = 0; i < 1000 && !running.ended; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_TRUE(running.ended);
  EXPECT_THAT(running.listener().failure(), HasSubstr("Bad file descriptor"));
}

TEST(Listener, SurvivesAConnectionThatThereIsNoMemoryFor) {
  Running running({}, 2);
  connected(running.listener().port());
  connected(running.listener().port());
  EXPECT_TRUE(running.takes_one());
}

TEST(Listener, KnowsWhoReachesIt) {
  EXPECT_TRUE(Listener("127.0.0.1", 0).is_loopback());
  EXPECT_TRUE(Listener("127.1.2.3", 0).is_loopback());
  EXPECT_FALSE(Listener("0.0.0.0", 0).is_loopback());
  try {
    EXPECT_TRUE(Listener("::1", 0).is_loopback());
    EXPECT_FALSE(Listener("::", 0).is_loopback());
  } catch (const Error&) {
    // A machine without IPv6.
  }
  EXPECT_THROW(Listener("no.such.host.invalid", 0), Error);
  EXPECT_THROW(Listener("192.0.2.1", 0), Error);
}

TEST(Listener, FreesItsAddress) {
  int port = 0;
  {
    Running running({});
    port = running.listener().port();
    EXPECT_THROW(Listener("127.0.0.1", port), Error);
  }
  EXPECT_EQ(Listener("127.0.0.1", port).port(), port);
}

}  // namespace
}  // namespace fdllm::server
