#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "fastdllm/progress.h"

#include "model/transformer.h"

namespace fdllm {

/// Tells a listener how far a load has come, and throws kCancelled where it wants no more of it.
class LoadWatch {
 public:
  /// `listener` must outlive the watch; `model` is named in the error.
  LoadWatch(const LoadListener& listener, double interval_seconds, std::string model)
      : listener_(listener), interval_(interval_seconds), model_(std::move(model)) {}

  void opening();
  /// What a Transformer is to call; empty where nobody listens.
  PackCallback on_packed();
  void loaded();

 private:
  void packed(std::uint64_t done, std::uint64_t total);
  void tell(LoadProgress::Phase phase);

  const LoadListener& listener_;
  std::chrono::duration<double> interval_;
  std::string model_;
  std::chrono::steady_clock::time_point last_;
  std::uint64_t done_ = 0, total_ = 0;
};

}  // namespace fdllm
