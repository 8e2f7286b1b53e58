#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "fastdllm/error.h"

#include "verify/replay.h"
#include "verify/trace.h"

// Any line either is refused with a corrupt-file error or survives a round trip.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  fdllm::Trace trace;
  try {
    trace = fdllm::parse_trace(line, "fuzz:1");
  } catch (const fdllm::Error& error) {
    if (error.code() != fdllm::ErrorCode::kCorruptFile) std::abort();
    return 0;
  }
  const fdllm::Trace again = fdllm::parse_trace(fdllm::format_trace(trace), "again:1");
  if (fdllm::first_divergence(trace, again)) std::abort();
  if (again.output_ids != trace.output_ids || again.prompt_ids != trace.prompt_ids) std::abort();
  (void)fdllm::replay_request(trace);
  return 0;
}
