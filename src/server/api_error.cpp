#include "server/api_error.h"

#include <string_view>

#include <fmt/format.h>

#include "fields/values.h"

namespace fdllm::server {
namespace {

/// The field that a message of the engine begins with: "'gen_length': expected ...".
std::string named_field(std::string_view message) {
  if (!message.starts_with('\'')) return "";
  const std::size_t end = message.find('\'', 1);
  return end == std::string_view::npos ? "" : std::string(message.substr(1, end - 1));
}

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kUnsupported:
      return 400;
    case ErrorCode::kBusy:
      return 429;
    case ErrorCode::kUnavailable:
    case ErrorCode::kCancelled:
    case ErrorCode::kOutOfMemory:
      return 503;
    case ErrorCode::kNotFound:
    case ErrorCode::kCorruptFile:
    case ErrorCode::kNumeric:
    case ErrorCode::kInternal:
      break;
  }
  return 500;
}

std::string code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kBusy:
      return "queue_full";
    case ErrorCode::kUnavailable:
      return "draining";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kOutOfMemory:
      return "out_of_memory";
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kUnsupported:
    case ErrorCode::kNotFound:
    case ErrorCode::kCorruptFile:
    case ErrorCode::kNumeric:
    case ErrorCode::kInternal:
      break;
  }
  return "";
}

}  // namespace

void refuse_parameter(std::string_view field, std::string_view reason) {
  throw ApiError(400, fmt::format("'{}': {}", field, reason), std::string(field),
                 "unsupported_parameter");
}

void unknown_field(std::string_view field) {
  throw ApiError(
      400, fmt::format("'{}': unknown field; /openapi.json lists those that are known", field),
      std::string(field), "unknown_parameter");
}

ApiError to_api_error(const Failure& failure) {
  const std::string field = named_field(failure.message);
  const bool is_parameter = failure.code == ErrorCode::kUnsupported && !field.empty();
  return {status_of(failure.code), failure.message, field,
          is_parameter ? "unsupported_parameter" : code_of(failure.code)};
}

ApiError to_api_error(const Error& error) {
  if (const auto* wrong = dynamic_cast<const fields::FieldError*>(&error)) {
    const bool is_wrong = wrong->fault() == fields::FieldError::Fault::kWrong;
    return {400, wrong->what(), wrong->field(),
            is_wrong ? "invalid_type" : "unsupported_parameter"};
  }
  return to_api_error(Failure{error.code(), error.what()});
}

ApiError device_failed() {
  return {503, "The device runs no forward any more; the server must be started anew.", "",
          "device_failed"};
}

std::string error_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 429:
      return "rate_limit_error";
    case 503:
      return "unavailable_error";
    default:
      return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

}  // namespace fdllm::server
