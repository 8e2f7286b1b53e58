#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "server/http/received_request.h"

namespace fdllm::server {

/// Largest head of a request: its first line and its headers.
inline constexpr std::size_t kMaxHeadBytes = std::size_t{64} << 10;

/// Makes a request of bytes as they come, whatever pieces they come in (heads with the
/// HTTP library). Nothing that it is fed makes it hold more than the limits.
class RequestParser {
 public:
  enum class State : std::uint8_t { kHead, kBody, kDone, kRefused };

  explicit RequestParser(std::size_t max_body_bytes);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  /// Takes bytes up to the end of the head or of the request; returns how many it has taken. To be
  /// called while the state is kHead or kBody.
  std::size_t feed(std::string_view bytes);
  State state() const;
  /// Whether anything of a request has come.
  bool has_begun() const;
  /// The status to answer with in kRefused.
  int refusal() const;
  /// Whether a body follows that was left unread, so that the connection cannot go on.
  bool leaves_body() const;
  /// What is known of the request so far.
  ReceivedRequest& request();

 private:
  class Machine;
  std::unique_ptr<Machine> machine_;
};

}  // namespace fdllm::server
