#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fdllm::server {

/// Takes the chunks off a body as its bytes come, in whatever pieces. Extensions and trailers are
/// skipped. Every line has to end with CR LF; what is lenient there is read differently by a proxy
/// in front. (The HTTP library reads extensions past their line, so that what it makes of a body
/// depends on the pieces.)
class ChunkDecoder {
 public:
  enum class State : std::uint8_t { kMore, kDone, kRefused };

  explicit ChunkDecoder(std::size_t max_body_bytes);

  /// Appends to `body` what the bytes hold of it; returns how many belong to the request.
  std::size_t feed(std::string_view bytes, std::string& body);
  State state() const { return state_; }
  /// The status to answer with in kRefused.
  int refusal() const { return refusal_; }

 private:
  enum class Part : std::uint8_t {
    kSize,
    kExtension,
    kSizeEnd,
    kData,
    kDataCr,
    kDataLf,
    kTrailer,
    kTrailerLf,
  };

  void step(char c);
  void step_size(char c);
  void step_trailer(char c);
  void begin_data(char c);
  void expect(char c, char expected, Part next);
  void refuse(int status);

  std::size_t max_body_bytes_, max_wire_bytes_;
  std::size_t body_bytes_ = 0, wire_bytes_ = 0;
  State state_ = State::kMore;
  Part part_ = Part::kSize;
  int refusal_ = 0;
  int digits_ = 0;
  std::size_t size_ = 0;        ///< of the chunk: what has not come yet
  std::size_t line_bytes_ = 0;  ///< of an extension, or of a trailer's line
  std::size_t trailer_bytes_ = 0;
};

}  // namespace fdllm::server
