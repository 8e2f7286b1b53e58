#include "server/http/chunk_decoder.h"

#include <algorithm>

#include "server/http/protocol_words.h"

namespace fdllm::server {
namespace {

// What chunks add to a body is bounded by a fixed part of it; smaller chunks are refused.
constexpr std::size_t kChunkOverhead = 2;
constexpr std::size_t kSpareOverhead = std::size_t{64} << 10;
constexpr std::size_t kLongestExtension = 4096;
constexpr std::size_t kLongestTrailers = 8192;
constexpr int kMostDigits = 16;

}  // namespace

ChunkDecoder::ChunkDecoder(std::size_t max_body_bytes)
    : max_body_bytes_(max_body_bytes),
      max_wire_bytes_(kChunkOverhead * max_body_bytes + kSpareOverhead) {}

void ChunkDecoder::refuse(int status) {
  state_ = State::kRefused;
  refusal_ = status;
}

std::size_t ChunkDecoder::feed(std::string_view bytes, std::string& body) {
  std::size_t used = 0;
  while (used < bytes.size() && state_ == State::kMore) {
    std::size_t taken = 1;
    if (part_ == Part::kData) {
      taken = std::min(size_, bytes.size() - used);
      body.append(bytes.substr(used, taken));
      size_ -= taken;
      if (size_ == 0) part_ = Part::kDataCr;
    } else {
      step(bytes[used]);
    }
    used += taken;
    wire_bytes_ += taken;
    if (state_ == State::kMore && wire_bytes_ > max_wire_bytes_) refuse(413);
  }
  return used;
}

void ChunkDecoder::expect(char c, char expected, Part next) {
  if (c != expected) return refuse(400);
  part_ = next;
}

void ChunkDecoder::step(char c) {
  switch (part_) {
    case Part::kSize:
      return step_size(c);
    case Part::kExtension:
      if (c == '\r') {
        part_ = Part::kSizeEnd;
      } else if (is_control(c) || ++line_bytes_ > kLongestExtension) {
        refuse(400);
      }
      return;
    case Part::kSizeEnd:
      return begin_data(c);
    case Part::kData:
      return;
    case Part::kDataCr:
      return expect(c, '\r', Part::kDataLf);
    case Part::kDataLf:
      digits_ = 0;
      return expect(c, '\n', Part::kSize);
    case Part::kTrailer:
    case Part::kTrailerLf:
      return step_trailer(c);
  }
}

void ChunkDecoder::step_size(char c) {
  const int digit = hex_digit(c);
  if (digit >= 0) {
    if (++digits_ > kMostDigits) return refuse(400);
    size_ = size_ * 16 + static_cast<std::size_t>(digit);
    if (size_ > max_body_bytes_ - body_bytes_) refuse(413);
    return;
  }
  if (digits_ == 0) return refuse(400);
  line_bytes_ = 0;
  if (c == '\r') {
    part_ = Part::kSizeEnd;
  } else if (c == ';' || c == ' ' || c == '\t') {
    part_ = Part::kExtension;
  } else {
    refuse(400);
  }
}

void ChunkDecoder::begin_data(char c) {
  line_bytes_ = 0;
  expect(c, '\n', size_ == 0 ? Part::kTrailer : Part::kData);
  body_bytes_ += size_;
}

void ChunkDecoder::step_trailer(char c) {
  if (part_ == Part::kTrailerLf) {
    if (c == '\n' && line_bytes_ == 0) {
      state_ = State::kDone;
      return;
    }
    line_bytes_ = 0;
    return expect(c, '\n', Part::kTrailer);
  }
  if (c == '\r') {
    part_ = Part::kTrailerLf;
    return;
  }
  ++line_bytes_;
  if (is_control(c)) return refuse(400);
  if (++trailer_bytes_ > kLongestTrailers) refuse(431);
}

}  // namespace fdllm::server
