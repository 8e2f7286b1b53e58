#pragma once
#include <cstdint>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace fdllm::cli {

/// What a command shows on stderr while one waits.
enum class ShowProgress : std::uint8_t {
  kYes,  ///< a line that is rewritten where stderr is a terminal, else one line at the end
  kNo,
};

/// --no-progress.
CLI::Option* add_progress_option(CLI::App& app, ShowProgress& show);

}  // namespace fdllm::cli
