#pragma once
#include <string>
#include <string_view>

namespace fdllm::server {

inline constexpr std::string_view kSseContentType = "text/event-stream";
/// Closes a stream, as OpenAI's clients expect.
inline constexpr std::string_view kSseDone = "data: [DONE]\n\n";
/// A comment: keeps proxies from closing a silent stream.
inline constexpr std::string_view kSseKeepAlive = ": keep-alive\n\n";

/// A server-sent event with that data. Line breaks of `data` begin lines of the same event, so that
/// the client gets `data` back (with LF for CR LF and CR).
std::string sse_event(std::string_view data);

}  // namespace fdllm::server
