#pragma once
#include <string>

#include "server/http.h"

namespace fdllm::server {

/// A request as it was sent, before anything is made of it.
struct ReceivedRequest {
  std::string method, target;  ///< as sent: the target has its escapes and its query
  int minor_version = 1;       ///< of HTTP/1
  HttpHeaders headers;         ///< values without the blanks around them, else as sent
  std::string body;
  bool is_chunked = false;
  bool keeps_alive = false;  ///< what version and Connection say

  /// The first header of that name (in any case), or "".
  std::string_view header(std::string_view name) const;
  std::size_t count(std::string_view name) const;
};

}  // namespace fdllm::server
