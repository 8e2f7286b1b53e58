#include "engine/convert.h"

#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/system_memory.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/options/model_path.h"
#include "cli/terminal/load_view.h"
#include "cli/terminal/progress_line.h"

namespace fdllm::cli {
namespace {

struct ConvertFlags {
  std::string input, output;
  ConvertOptions options;
  ShowProgress progress = ShowProgress::kYes;
};

/// Tensors that share a type and a reason, as one line.
void print_group(const std::vector<OtherType>& tensors) {
  std::map<std::pair<DType, std::pair<DType, std::int64_t>>, std::vector<std::string>> groups;
  for (const OtherType& tensor : tensors) {
    groups[{tensor.type, {tensor.does_not_divide, tensor.columns}}].push_back(tensor.tensor);
  }
  for (const auto& [group, names] : groups) {
    const auto& [type, reason] = group;
    std::string line;
    for (const std::string& name : names) line += (line.empty() ? "" : ", ") + name;
    if (type == reason.first) {
      fmt::print("kept as {}: {}\n", name_of(type), line);
    } else {
      fmt::print("as {}, since rows of {} are no whole blocks of {} ({}): {}\n", name_of(type),
                 reason.second, name_of(reason.first), block_elements(reason.first), line);
    }
  }
}

int run_convert(const ConvertFlags& flags) {
  catch_interrupt();
  ProgressLine line(flags.progress);
  const std::string name = short_name(flags.output);
  const ConvertReport report =
      convert_to_gguf(find_model(flags.input), flags.output, flags.options,
                      [&](std::uint64_t done, std::uint64_t total) {
                        const double share = static_cast<double>(done) / static_cast<double>(total);
                        line.show({.what = "writing " + name,
                                   .share = share,
                                   .figures = bytes_share(done, total),
                                   .seconds_left = seconds_left(line.seconds(), share)});
                        return !interrupted();
                      });
  const double seconds = line.seconds();
  line.clear();
  for (const std::string& warning : report.warnings) {
    fmt::print(stderr, "fast-dllm: warning: {}\n", warning);
  }
  print_group(report.heads);
  print_group(report.fallbacks);
  fmt::print("{}: {} tensors, {} in {}\n", flags.output, report.tensors,
             bytes_text(report.file_bytes), seconds_text(seconds));
  return 0;
}

}  // namespace

CommandBody add_convert(CLI::App& app) {
  const auto flags = std::make_shared<ConvertFlags>();
  const std::map<std::string, DType> types = {{"F32", DType::kF32},   {"BF16", DType::kBF16},
                                              {"F16", DType::kF16},   {"Q8_0", DType::kQ8_0},
                                              {"Q4_0", DType::kQ4_0}, {"Q4_K", DType::kQ4_K}};
  app.add_option("input", flags->input, kModelHelp)->required()->type_name("IN");
  app.add_option("output", flags->output, "the file to write")->required()->type_name("OUT.gguf");
  app.add_option("--type", flags->options.type, "type of the weights (default BF16)")
      ->transform(CLI::CheckedTransformer(types, CLI::ignore_case).description(""))
      ->type_name("F32|BF16|F16|Q8_0|Q4_0|Q4_K");
  app.add_option("--pre-tokenizer", flags->options.pre_tokenizer,
                 "llama.cpp's name for the way the tokenizer cuts up text (default: found by its "
                 "patterns; the nearest, with a warning, where there is none)")
      ->type_name("NAME");
  app.add_option("--threads", flags->options.threads, "threads (default 0: one per physical core)")
      ->check(CLI::Range(0, 1024).description(""))
      ->type_name("N");
  add_progress_option(app, flags->progress);
  app.footer(
      "Writes a file that llama.cpp and this program load. Vectors stay F32; with 4 bits the head\n"
      "is Q6_K; rows that a type's blocks do not divide get llama.cpp's next type (Q4_K: Q5_0,\n"
      "Q6_K: Q8_0, else F16), and the command says which.");
  return [flags] { return run_convert(*flags); };
}

}  // namespace fdllm::cli
