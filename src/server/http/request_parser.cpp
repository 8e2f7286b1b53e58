#include "server/http/request_parser.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include "server/http/chunk_decoder.h"
#include "server/http/head_rules.h"
#include "server/http/head_scanner.h"

namespace fdllm::server {
namespace {

namespace beast = boost::beast;

/// The library's parser, which says what it finds by calls; only for heads.
class LibraryParser : public beast::http::basic_parser<true> {
 public:
  explicit LibraryParser(ReceivedRequest& request) : request_(request) {}

 private:
  using Text = beast::string_view;
  using Status = beast::error_code;

  void on_request_impl(beast::http::verb, Text method, Text target, int version, Status&) override {
    request_.method.assign(method.data(), method.size());
    request_.target.assign(target.data(), target.size());
    request_.minor_version = version % 10;
  }
  void on_response_impl(int, Text, int, Status&) override {}
  void on_field_impl(beast::http::field, Text name, Text value, Status&) override {
    request_.headers.emplace_back(std::string(name.data(), name.size()),
                                  std::string(value.data(), value.size()));
  }
  void on_header_impl(Status&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Status&) override {}
  std::size_t on_body_impl(Text body, Status&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, Text, Status&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text body, Status&) override { return body.size(); }
  void on_finish_impl(Status&) override {}

  ReceivedRequest& request_;
};

}  // namespace

class RequestParser::Machine {
 public:
  explicit Machine(std::size_t max_body_bytes)
      : max_body_bytes_(max_body_bytes), chunks_(max_body_bytes) {}

  std::size_t feed_head(std::string_view bytes);
  std::size_t feed_body(std::string_view bytes);

  State state() const { return state_; }
  bool has_begun() const { return scanner_.has_begun(); }
  int refusal() const { return refusal_; }
  bool leaves_body() const { return leaves_body_; }
  ReceivedRequest& request() { return request_; }

 private:
  void refuse(int status) {
    state_ = State::kRefused;
    refusal_ = status;
  }
  void parse_head();

  std::size_t max_body_bytes_;
  State state_ = State::kHead;
  int refusal_ = 0;
  bool leaves_body_ = false;
  HeadScanner scanner_;
  std::string head_;  ///< raw
  ReceivedRequest request_;
  ChunkDecoder chunks_;
  std::size_t length_ = 0;  ///< of the body without chunks: what has not come yet
};

std::size_t RequestParser::Machine::feed_head(std::string_view bytes) {
  const std::size_t skipped =
      has_begun() ? 0 : std::min(bytes.find_first_not_of("\r\n"), bytes.size());
  std::size_t used = 0;
  const HeadScanner::Verdict verdict = scanner_.scan(bytes, used);
  if (verdict == HeadScanner::Verdict::kBad) {
    refuse(400);
    return used;
  }
  if (used > skipped) head_.append(bytes.substr(skipped, used - skipped));
  const bool is_whole = verdict == HeadScanner::Verdict::kEnd;
  if (head_.size() > kMaxHeadBytes || (!is_whole && head_.size() == kMaxHeadBytes)) {
    refuse(431);
  } else if (is_whole) {
    parse_head();
  }
  return used;
}

void RequestParser::Machine::parse_head() {
  LibraryParser parser(request_);
  parser.header_limit(kMaxHeadBytes + 1);
  parser.skip(true);
  beast::error_code error;
  parser.put(boost::asio::const_buffer(head_.data(), head_.size()), error);
  if (error == beast::http::error::bad_content_length && has_huge_length(head_)) return refuse(413);
  if (error || !parser.is_done()) return refuse(400);
  request_.is_chunked = parser.chunked();
  request_.keeps_alive = parser.keep_alive();
  if (const int status = head_refusal(request_, max_body_bytes_)) return refuse(status);
  head_ = {};
  leaves_body_ = !is_known_method(request_.method);
  length_ = static_cast<std::size_t>(parser.content_length().value_or(0));
  const bool has_body = !leaves_body_ && (request_.is_chunked || length_ > 0);
  state_ = has_body ? State::kBody : State::kDone;
}

std::size_t RequestParser::Machine::feed_body(std::string_view bytes) {
  if (request_.is_chunked) {
    const std::size_t used = chunks_.feed(bytes, request_.body);
    if (chunks_.state() == ChunkDecoder::State::kRefused) refuse(chunks_.refusal());
    if (chunks_.state() == ChunkDecoder::State::kDone) state_ = State::kDone;
    return used;
  }
  const std::size_t used = std::min(length_, bytes.size());
  request_.body.append(bytes.substr(0, used));
  length_ -= used;
  if (length_ == 0) state_ = State::kDone;
  return used;
}

RequestParser::RequestParser(std::size_t max_body_bytes)
    : machine_(std::make_unique<Machine>(max_body_bytes)) {}

RequestParser::~RequestParser() = default;

std::size_t RequestParser::feed(std::string_view bytes) {
  if (bytes.empty()) return 0;
  return state() == State::kHead ? machine_->feed_head(bytes) : machine_->feed_body(bytes);
}

RequestParser::State RequestParser::state() const {
  return machine_->state();
}

bool RequestParser::has_begun() const {
  return machine_->has_begun();
}

int RequestParser::refusal() const {
  return machine_->refusal();
}

bool RequestParser::leaves_body() const {
  return machine_->leaves_body();
}

ReceivedRequest& RequestParser::request() {
  return machine_->request();
}

}  // namespace fdllm::server
