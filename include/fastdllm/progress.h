#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>

namespace fdllm {

/// How far a model has been loaded.
struct LoadProgress {
  enum class Phase : std::uint8_t {
    kOpening,  ///< configuration, tokenizer and the list of tensors; the bytes are still 0
    kPacking,  ///< weights are read from the file and packed
    kLoaded,   ///< the last call: bytes_done is bytes_total
  };
  Phase phase = Phase::kOpening;
  /// Of the weights as the file stores them; without the embedding, which is read in place.
  std::uint64_t bytes_done = 0, bytes_total = 0;
};

/// Called on the thread that loads; must not throw. False ends the load with Error kCancelled.
using LoadListener = std::function<bool(const LoadProgress&)>;

/// How far a forward of many rows has come, such as the first one after a long prompt.
struct ForwardProgress {
  std::size_t request = 0;  ///< index into the batch; of a Service, the ticket
  std::int32_t step = 0;    ///< StepEvent::step of this forward
  std::int32_t layers_done = 0;
  std::int32_t layers = 0;
  std::int32_t rows = 0;  ///< of the request's canvas that this forward runs
  double seconds = 0;     ///< since it began; others' forwards in its pauses included
};

/// Called on the thread that runs the forwards; must be quick and not throw. False cancels the
/// request without waiting for the end of the forward, unless others need that.
using ForwardListener = std::function<bool(const ForwardProgress&)>;

}  // namespace fdllm
