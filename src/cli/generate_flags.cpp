#include "cli/generate_flags.h"

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace fdllm::cli {

bool tell_ignored(const GenerateOptions& given, const GenerateOptions& resolved) {
  if (!given.steps || resolved.steps) return false;
  fmt::print(stderr,
             "fast-dllm: --steps is ignored, as by the reference: another option chooses a rule "
             "without a schedule\n");
  return true;
}

void add_generate_options(CLI::App& app, GenerateOptions& options) {
  const char* group = "Decoding";
  for (const GenerateOption& option : generate_options()) {
    const std::string name(option.name);
    const std::string help(option.help);
    const auto set = [&option](GenerateOptions& target, std::string_view value) {
      option.set(target, value);
    };
    switch (option.kind) {
      case GenerateOption::Kind::kFlag: {
        const CLI::Option* flag =
            app.add_flag_callback(
                   "--" + name, [set, &options] { set(options, "true"); }, help)
                ->group(group);
        app.add_flag_callback(
               "--no-" + name,
               [set, &options, flag, name] {
                 if (flag->count() > 0) throw CLI::ExcludesError("--no-" + name, "--" + name);
                 set(options, "false");
               },
               "the opposite of --" + name)
            ->group(group);
        break;
      }
      case GenerateOption::Kind::kTexts:
        app.add_option_function<std::vector<std::string>>(
               "--" + name,
               [set, &options](const std::vector<std::string>& values) {
                 for (const std::string& value : values) set(options, value);
               },
               help)
            ->allow_extra_args(false)
            ->type_name(std::string(option.value_name))
            ->group(group);
        break;
      case GenerateOption::Kind::kInteger:
      case GenerateOption::Kind::kNumber:
      case GenerateOption::Kind::kText:
        app.add_option_function<std::string>(
               "--" + name, [set, &options](const std::string& value) { set(options, value); },
               help)
            ->type_name(std::string(option.value_name))
            ->group(group);
        break;
    }
  }
}

}  // namespace fdllm::cli
