#pragma once
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

#include "server/http/socket.h"

namespace fdllm::server {

/// Threads that serve a connection each, made when they are needed and ended when they were idle
/// for a while. A system that gives no more threads is no error: fewer connections are served.
class ConnectionThreads {
 public:
  using Serve = std::function<void(Socket)>;
  /// Makes a thread; throws std::system_error where there is none to be had.
  using MakeThread = std::function<std::thread(std::function<void()>)>;

  /// `serve` runs on the threads and must not throw. Throws kOutOfMemory where not even one thread
  /// can be had.
  ConnectionThreads(std::size_t limit, Serve serve, MakeThread make_thread = {});
  /// As stop().
  ~ConnectionThreads();
  ConnectionThreads(const ConnectionThreads&) = delete;
  ConnectionThreads& operator=(const ConnectionThreads&) = delete;

  /// Takes the socket over where a thread is free or can be had; else it stays the caller's.
  bool serve(Socket& socket);
  /// The next thread that becomes free serves it.
  void serve_later(Socket socket);
  /// Returns when all connections that were taken over have been served.
  void stop();
  std::size_t threads() const;

 private:
  using Handle = std::list<std::thread>::iterator;

  bool add_thread();
  void work(Handle self);
  void join_ended();

  std::size_t limit_;
  Serve serve_;
  MakeThread make_thread_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Socket> waiting_;
  std::list<std::thread> running_, ended_;
  std::size_t busy_ = 0;  ///< threads that serve a connection
  bool stops_ = false;
};

}  // namespace fdllm::server
