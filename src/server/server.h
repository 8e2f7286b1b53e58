#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fastdllm/engine.h"

namespace fdllm::server {

struct ServerOptions {
  std::string host = "127.0.0.1";
  int port = 8080;      ///< 0: any free one
  std::string api_key;  ///< empty: everybody may ask
  /// Names under which the server may be asked besides its own; see allowed_hosts.h.
  std::vector<std::string> allowed_hosts;
  std::string cors_origin;  ///< origin whose pages may ask, "*" for all; empty: none
  std::string model_name;   ///< empty: the name of the checkpoint's folder or file
  std::size_t max_waiting = 128;
  std::size_t max_body_bytes = std::size_t{8} << 20;
  std::int64_t max_prompt_tokens = 0;  ///< 0: no limit but the model's
  double request_seconds = 600;        ///< 0: requests may take as long as they like
  std::size_t max_connections = 256;
  GenerateOptions defaults;  ///< preset and gen_length of requests that give none
};

/// An OpenAI-compatible HTTP server for one engine.
class Server {
 public:
  /// `engine` must outlive the server. Its requests and warnings go to the log (base/log.h).
  Server(Engine& engine, ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Listens. Returns the port. Throws kUnavailable where the address cannot be had.
  int start();
  /// Why no connections are accepted any more, which only a new process mends; empty: all is well.
  std::string failure() const;
  /// From now on /ready and new requests get 503. Any thread.
  void refuse_new();
  /// Takes no new requests, as after refuse_new(), and returns when all accepted ones have
  /// been answered and the address is free.
  void drain();
  /// Ends what is being answered with an error, so that drain() soon returns. Any thread.
  void abort();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fdllm::server
