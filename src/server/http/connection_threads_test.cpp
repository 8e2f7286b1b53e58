#include "server/http/connection_threads.h"

#include <atomic>
#include <future>
#include <system_error>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include "fastdllm/error.h"

namespace fdllm::server {
namespace {

Socket any_socket() {
  return Socket(eventfd(0, 0));
}

/// A system that gives that many threads.
ConnectionThreads::MakeThread at_most(int count) {
  return [left = count](std::function<void()> body) mutable {
    if (left == 0) {
      throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
    }
    --left;
    return std::thread(std::move(body));
  };
}

/// Serves until the gate is opened.
struct Gate {
  std::promise<void> open;
  std::shared_future<void> is_open = open.get_future().share();
  std::atomic<int> served{0};

  ConnectionThreads::Serve serve() {
    return [this](const Socket& socket) {
      EXPECT_TRUE(socket.is_open());
      is_open.wait();
      ++served;
    };
  }
};

TEST(ConnectionThreads, HasAThreadForEachUpToItsLimit) {
  Gate gate;
  ConnectionThreads threads(6, gate.serve());
  for (int i = 0; i < 6; ++i) {
    Socket socket = any_socket();
    EXPECT_TRUE(threads.serve(socket));
    EXPECT_FALSE(socket.is_open());
  }
  Socket more = any_socket();
  EXPECT_FALSE(threads.serve(more));
  EXPECT_TRUE(more.is_open());
  threads.serve_later(std::move(more));
  gate.open.set_value();
  threads.stop();
  EXPECT_EQ(gate.served, 7);
}

TEST(ConnectionThreads, GoesOnWithTheThreadsThatThereAre) {
  Gate gate;
  ConnectionThreads threads(100, gate.serve(), at_most(2));
  EXPECT_EQ(threads.threads(), 2u);
  std::vector<Socket> refused;
  for (int i = 0; i < 5; ++i) {
    Socket socket = any_socket();
    if (!threads.serve(socket)) refused.push_back(std::move(socket));
  }
  ASSERT_EQ(refused.size(), 3u);
  for (const Socket& socket : refused) EXPECT_TRUE(socket.is_open());
  gate.open.set_value();
  threads.stop();
  EXPECT_EQ(gate.served, 2);
}

TEST(ConnectionThreads, WithoutAThreadItIsAnError) {
  try {
    const ConnectionThreads threads(
        4, [](const Socket&) {}, at_most(0));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
  }
}

}  // namespace
}  // namespace fdllm::server
