#pragma once
#include <cstddef>
#include <string_view>

#include "server/http/received_request.h"

namespace fdllm::server {

/// The status with which a request is refused for its head alone, or 0: one length, chunked or
/// none; one host; no coding of the body; a body only where the method has one.
int head_refusal(const ReceivedRequest& request, std::size_t max_body_bytes);
/// Whether the raw head gives one length, of digits only: where such a head has a bad length, it is
/// too large a number.
bool has_huge_length(std::string_view raw_head);
/// Whether the method is one that some path may take; what is said of others needs no body.
bool is_known_method(std::string_view method);

}  // namespace fdllm::server
