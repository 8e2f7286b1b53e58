#pragma once
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace fdllm::cli {

/// `text` with lines of at most `width` columns where its words allow it; its own newlines stay.
std::string wrap_text(const std::string& text, std::size_t width);

/// Options of a group whose name begins with this are in `--help-all`, not in `--help`.
inline constexpr const char* kMore = "More: ";

/// Help in lines of at most 100 columns.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter();

  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override;
  std::string make_group(std::string group, bool is_positional,
                         std::vector<const CLI::Option*> options) const override;
  std::string make_option_desc(const CLI::Option* option) const override;
  std::string make_footer(const CLI::App* app) const override;
  std::string make_subcommand(const CLI::App* subcommand) const override;

 private:
  mutable bool shows_all_ = false;  // CLI11 tells its formatters of the mode in make_help() alone
};

}  // namespace fdllm::cli
