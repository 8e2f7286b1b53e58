#include "cli/options/engine_flags.h"

#include <cstdio>
#include <map>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/log_output.h"
#include "cli/options/help_formatter.h"

namespace fdllm::cli {
namespace {

constexpr const char* kGroup = "Engine";

}  // namespace

void EngineFlags::add_model_option(CLI::App& app) {
  app.add_option("--model", model,
                 fmt::format("{} (default: $FDLLM_MODEL, else the small shipped one)", kModelHelp))
      ->type_name("DIR");
}

void EngineFlags::add_chat_template_option(CLI::App& app) {
  app.add_option("--chat-template", options.chat_template,
                 "chat template: the name of one of the model's, or a file (default: the one named "
                 "'default', or the only one)")
      ->type_name("NAME|FILE");
}

void EngineFlags::add_machine_options(CLI::App& app) {
  const char* group = kGroup;
  app.add_option("--threads", options.threads, "threads (default 0: one per physical core)")
      ->check(CLI::Range(0, 4096).description(""))
      ->type_name("N")
      ->group(group);
  app.add_option("--isa", options.isa,
                 "CPU instruction set: auto|scalar|avx2|avx512vnni|avx512bf16 (default "
                 "$FDLLM_ISA, else auto)")
      ->envname("FDLLM_ISA")
      ->type_name("ISA")
      ->group(std::string(kMore) + kGroup);
  app.add_option("--device", options.device,
                 "device: cpu, cuda, cuda:1, or several that hold the model together, cuda:0,1 "
                 "(default cpu)")
      ->type_name("NAME")
      ->group(group);
}

void EngineFlags::add_compute_options(CLI::App& app) {
  std::map<std::string, WeightType> types;
  std::string names;
  for (const WeightType type : weight_types()) {
    types.emplace(name_of(type), type);
    names += (names.empty() ? "" : "|") + std::string(name_of(type));
  }
  const char* group = kGroup;
  app.add_option_function<std::string>(
         "--weights", [this, types](const std::string& name) { options.weights = types.at(name); },
         "weights and arithmetic (default auto: bf16, or what suits the types of a GGUF file)")
      ->check(CLI::IsMember(types).description(""))
      ->type_name(names)
      ->group(group);
  add_machine_options(app);
  add_progress_option(app, progress)->group(std::string(kMore) + kGroup);
}

void EngineFlags::add_engine_options(CLI::App& app) {
  add_compute_options(app);
  const std::string group = std::string(kMore) + kGroup;
  app.add_option("--row-budget", options.row_budget,
                 "rows that one forward may batch (default 512)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 24).description(""))
      ->type_name("N")
      ->group(group);
  app.add_option("--max-live-requests", options.max_live_requests,
                 "requests that hold K/V at once, the others wait (default 64)")
      ->check(CLI::Range(1, 1 << 20).description(""))
      ->type_name("N")
      ->group(group);
  app.add_option_function<double>(
         "--slice-ms", [this](double ms) { options.slice_seconds = ms / 1000; },
         "a refresh that takes longer pauses between layers to let others' steps run (default 50; "
         "1e9: never)")
      ->check(CLI::Range(0.0, 1e9).description(""))
      ->type_name("MS")
      ->group(group);
  app.add_option("--memory-limit", options.memory_limit,
                 "bytes that may be taken, e.g. 8gb (default: what the machine has available)")
      ->transform(CLI::AsSizeValue(false).description(""))
      ->type_name("SIZE")
      ->group(group);
}

std::filesystem::path EngineFlags::model_path(HubFiles needed) const {
  if (!model.empty()) return find_model(model, needed);
  std::filesystem::path path = default_model(needed);
  write_log(fmt::format("fast-dllm: no --model given, using {}", path.string()));
  return path;
}

}  // namespace fdllm::cli
