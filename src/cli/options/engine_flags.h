#pragma once
#include <filesystem>
#include <string>

#include "fastdllm/options.h"

#include "cli/options/model_path.h"
#include "cli/terminal/show_progress.h"

namespace CLI {
class App;
}

namespace fdllm::cli {

/// The options that choose a model and how it runs.
struct EngineFlags {
  std::string model;  ///< empty: the default
  EngineOptions options;
  ShowProgress progress = ShowProgress::kYes;

  /// --device, --isa, --threads.
  void add_machine_options(CLI::App& app);
  /// Those, --weights and --no-progress.
  void add_compute_options(CLI::App& app);
  /// Those, and --row-budget, --max-live-requests, --memory-limit.
  void add_engine_options(CLI::App& app);
  void add_model_option(CLI::App& app);
  /// --chat-template, for the commands that put prompts into it.
  void add_chat_template_option(CLI::App& app);
  /// The model that was asked for, else the default one, which is then named on stderr.
  std::filesystem::path model_path(HubFiles needed = HubFiles::kModel) const;
};

}  // namespace fdllm::cli
