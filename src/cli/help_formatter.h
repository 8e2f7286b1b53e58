#pragma once
#include <string>

#include <CLI/CLI.hpp>

namespace fdllm::cli {

/// `text` with lines of at most `width` columns where its words allow it; its own newlines stay.
std::string wrap_text(const std::string& text, std::size_t width);

/// Help in lines of at most 100 columns.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter();

  std::string make_option_desc(const CLI::Option* option) const override;
  std::string make_footer(const CLI::App* app) const override;
  std::string make_subcommand(const CLI::App* subcommand) const override;
};

}  // namespace fdllm::cli
