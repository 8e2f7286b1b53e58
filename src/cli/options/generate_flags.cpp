#include "cli/options/generate_flags.h"

#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/options/help_formatter.h"

namespace fdllm::cli {

bool tell_ignored(const GenerateOptions& given, const GenerateOptions& resolved) {
  if (!given.rule.get("steps") || resolved.rule.get("steps")) return false;
  fmt::print(stderr,
             "fast-dllm: --steps is ignored, as by the reference: another option chooses a rule "
             "without a schedule\n");
  return true;
}

namespace {

std::string group_of(const GenerateOption& option) {
  return option.common ? "Decoding" : kMore + std::string(option.group);
}

void add_flag(CLI::App& app, const GenerateOption& option, GenerateOptions& options) {
  const CLI::Option* flag =
      app.add_flag_callback(
             "--" + option.name, [&] { option.set(options, "true"); }, option.help)
          ->group(group_of(option));
  app.add_flag_callback(
         "--no-" + option.name,
         [&, flag] {
           if (flag->count() > 0) {
             throw CLI::ExcludesError("--no-" + option.name, "--" + option.name);
           }
           option.set(options, "false");
         },
         "the opposite of --" + option.name)
      ->group(group_of(option));
}

}  // namespace

void add_generate_options(CLI::App& app, GenerateOptions& options) {
  for (const GenerateOption& option : generate_options()) {
    if (option.kind == GenerateOption::Kind::kFlag) {
      add_flag(app, option, options);
      continue;
    }
    const auto set = [&](const std::string& value) { option.set(options, value); };
    const auto set_all = [&](const std::vector<std::string>& values) {
      for (const std::string& value : values) option.set(options, value);
    };
    const std::string name = "--" + option.name;
    CLI::Option* added =
        option.kind == GenerateOption::Kind::kTexts
            ? app.add_option_function<std::vector<std::string>>(name, set_all, option.help)
                  ->allow_extra_args(false)
            : app.add_option_function<std::string>(name, set, option.help);
    added->type_name(option.value_name)->group(group_of(option));
  }
}

}  // namespace fdllm::cli
