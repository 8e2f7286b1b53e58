#include "cli/options/help_formatter.h"

#include <cstring>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace fdllm::cli {
namespace {

constexpr std::size_t kWidth = 100;
constexpr std::size_t kOptionColumn = 30;

}  // namespace

std::string wrap_text(const std::string& text, std::size_t width) {
  std::string result;
  std::size_t column = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    if (text[at] == '\n') {
      result += '\n';
      column = 0;
      ++at;
      continue;
    }
    // A word with the blanks before it; the blanks go where the line breaks.
    const std::size_t word = std::min(text.find_first_not_of(' ', at), text.size());
    const std::size_t end = std::min(text.find_first_of(" \n", word), text.size());
    if (column > 0 && column + (end - at) > width) {
      result += '\n';
      column = 0;
      at = word;
    }
    result += text.substr(at, end - at);
    column += end - at;
    at = end;
  }
  return result;
}

HelpFormatter::HelpFormatter() {
  column_width(kOptionColumn);
}

std::string HelpFormatter::make_help(const CLI::App* app, std::string name,
                                     CLI::AppFormatMode mode) const {
  shows_all_ = mode != CLI::AppFormatMode::Normal;
  std::string help = CLI::Formatter::make_help(app, std::move(name), mode);
  // Groups that are left out leave empty lines.
  for (std::size_t at = 0; (at = help.find("\n\n\n", at)) != std::string::npos;) help.erase(at, 1);
  return help;
}

std::string HelpFormatter::make_group(std::string group, bool is_positional,
                                      std::vector<const CLI::Option*> options) const {
  if (group.starts_with(kMore)) {
    if (!shows_all_) return "";
    group.erase(0, std::strlen(kMore));
  }
  return CLI::Formatter::make_group(std::move(group), is_positional, std::move(options));
}

std::string HelpFormatter::make_option_desc(const CLI::Option* option) const {
  return wrap_text(CLI::Formatter::make_option_desc(option), kWidth - kOptionColumn);
}

std::string HelpFormatter::make_footer(const CLI::App* app) const {
  return "\n" + wrap_text(app->get_footer(), kWidth) + "\n";
}

std::string HelpFormatter::make_subcommand(const CLI::App* subcommand) const {
  std::stringstream out;
  CLI::detail::format_help(out, subcommand->get_name(), subcommand->get_description(),
                           kOptionColumn);
  return out.str();
}

}  // namespace fdllm::cli
