#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "fastdllm/engine.h"

#include "cli/options/engine_flags.h"
#include "cli/terminal/progress_line.h"

namespace fdllm::cli {

/// Shows how far a model has been loaded and, where stderr is no terminal, a line when it is:
/// "loaded LLaDA-8B-Instruct: 16.0 GB in 9.1 s". As long as it lives, Ctrl-C ends the load; a
/// second one ends the program.
class LoadView {
 public:
  /// Small models are loaded before one could read that they are.
  enum class Size : std::uint8_t { kSmall, kLarge };

  LoadView(std::string name, ShowProgress show, Size size);
  LoadView(const LoadView&) = delete;
  LoadView& operator=(const LoadView&) = delete;
  ~LoadView();

  /// What the one who loads is to call.
  LoadListener listener() {
    return [this](const LoadProgress& progress) { return on_progress(progress); };
  }

 private:
  bool on_progress(const LoadProgress& progress);

  std::string name_;
  ShowProgress show_;
  Size size_;
  ProgressLine line_;
  double opened_ = 0;  ///< seconds until packing began
};

/// By the bytes of a model's folder or file.
LoadView::Size size_of(const std::filesystem::path& model);
/// A model's folder or file without the folders above it.
std::string short_name(const std::filesystem::path& model);

/// Loads the model that the flags name, in view; `wanted` may end that too.
Engine load_engine(const EngineFlags& flags, const LoadListener& wanted = {});

}  // namespace fdllm::cli
