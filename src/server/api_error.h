#pragma once
#include <stdexcept>
#include <string>
#include <string_view>

#include "fastdllm/error.h"

namespace fdllm::server {

/// An error as the API reports it: {"error": {message, type, param, code}} with a status.
struct ApiError : std::runtime_error {
  ApiError(int http_status, const std::string& message, std::string field = {},
           std::string error_code = {})
      : std::runtime_error(message),
        status(http_status),
        param(std::move(field)),
        code(std::move(error_code)) {}

  int status;
  std::string param;  ///< the field it is about; empty: null
  std::string code;   ///< empty: null
};

/// Throws what is answered to a value that is well-formed, but asks for what this server doesn't
/// do.
[[noreturn]] void refuse_parameter(std::string_view field, std::string_view reason);
[[noreturn]] void unknown_field(std::string_view field);
/// The one place where an error of the engine, or of a field, becomes a status.
ApiError to_api_error(const Failure& failure);
ApiError to_api_error(const Error& error);
/// What the probes say once nothing can be answered until the process is started anew.
ApiError device_failed();
/// OpenAI's word for errors of that status.
std::string error_type(int status);

}  // namespace fdllm::server
