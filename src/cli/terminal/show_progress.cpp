#include "cli/terminal/show_progress.h"

#include <CLI/CLI.hpp>

namespace fdllm::cli {

CLI::Option* add_progress_option(CLI::App& app, ShowProgress& show) {
  return app.add_flag_callback(
      "--no-progress", [&show] { show = ShowProgress::kNo; },
      "say nothing on stderr about how far loading and computing are");
}

}  // namespace fdllm::cli
