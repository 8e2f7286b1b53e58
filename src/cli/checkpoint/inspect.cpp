#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "fastdllm/engine.h"

#include "base/check.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/options/engine_flags.h"
#include "cli/terminal/display_text.h"
#include "engine/open_text.h"
#include "text/tokenizer.h"

namespace fdllm::cli {
namespace {

struct InspectFlags {
  EngineFlags engine;
  std::int64_t canvas = 0;  ///< 0: the shorter of 1024 and what the model allows
  std::int64_t requests = 1;
  bool json = false;
};

std::string size_text(std::uint64_t bytes) {
  const char* units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(units)) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} bytes", bytes) : fmt::format("{:.1f} {}", value, units[unit]);
}

std::string token_text(const Tokenizer& tokenizer, std::int32_t id) {
  if (!tokenizer.has(id)) return fmt::format("{}", id);
  const std::string text = to_valid_utf8(tokenizer.decode_bytes(std::span(&id, 1), false));
  return fmt::format("{} {}", id, printable(text));
}

std::string kept_text(const KeptWeights& kept) {
  if (kept.relative_error == 0) {
    return fmt::format("{} runs as it is ({})", kept.stored, name_of(kept.kept));
  }
  return fmt::format(
      "{} is converted to {}: {:.2g} % error (relative, root mean square, of a "
      "sample of rows)",
      kept.stored, name_of(kept.kept), 100 * kept.relative_error);
}

nlohmann::ordered_json to_json(const ModelInfo& info, const InspectFlags& flags,
                               const MemoryEstimate& memory) {
  nlohmann::ordered_json json;
  json["path"] = info.path;
  json["family"] = info.family;
  json["format"] = info.format;
  json["backend"] = info.backend;
  json["weights"] = name_of(info.weights);
  json["kept_weights"] = nlohmann::ordered_json::array();
  for (const KeptWeights& kept : info.kept_weights) {
    json["kept_weights"].push_back({{"stored", kept.stored},
                                    {"kept", name_of(kept.kept)},
                                    {"relative_error", kept.relative_error}});
  }
  json["parameters"] = info.parameters;
  json["stored_tensors"] = nlohmann::ordered_json::object();
  for (const auto& [name, count] : info.stored_dtypes) json["stored_tensors"][name] = count;
  json["hidden"] = info.hidden;
  json["layers"] = info.layers;
  json["heads"] = info.heads;
  json["kv_heads"] = info.kv_heads;
  json["head_dim"] = info.head_dim;
  json["ffn"] = info.ffn;
  json["vocab"] = info.vocab;
  json["tokenizer_vocab"] = info.tokenizer_vocab;
  json["max_positions"] = info.max_positions;
  json["tied_embeddings"] = info.tied_embeddings;
  json["qkv_bias"] = info.qkv_bias;
  json["logit_shift"] = info.logit_shift;
  json["mask_token"] = info.mask_token;
  json["end_tokens"] = info.end_tokens;
  json["rules"] = nlohmann::ordered_json::array();
  for (const RuleInfo& rule : info.rules) json["rules"].push_back(rule.name);
  json["memory"] = {{"canvas", flags.canvas},    {"requests", flags.requests},
                    {"weights", memory.weights}, {"kv", memory.kv},
                    {"buffers", memory.buffers}, {"total", memory.total()}};
  if (info.chat_template.empty()) {
    json["chat_template"] = nullptr;
  } else {
    json["chat_template"] = info.chat_template;
  }
  json["chat_templates"] = info.chat_templates;
  json["chat_template_problem"] = info.chat_template_problem.empty()
                                      ? nlohmann::ordered_json()
                                      : nlohmann::ordered_json(info.chat_template_problem);
  return json;
}

void print_text(const ModelInfo& info, const InspectFlags& flags, const MemoryEstimate& memory) {
  const auto row = [](const char* name, const std::string& value) {
    fmt::print("{:<16}{}\n", name, value);
  };
  const auto tokenizer = open_tokenizer(info.path);
  row("checkpoint", info.path);
  row("family", fmt::format("{} ({})", info.family, info.format));
  row("parameters", fmt::format("{}", info.parameters));
  std::string stored;
  for (const auto& [name, count] : info.stored_dtypes) {
    stored += fmt::format("{}{} x {}", stored.empty() ? "" : ", ", count, name);
  }
  row("stored tensors", stored);
  row("layers", fmt::format("{}, hidden {}, FFN {}", info.layers, info.hidden, info.ffn));
  row("attention", fmt::format("{} heads of {}, {} K/V heads{}", info.heads, info.head_dim,
                               info.kv_heads, info.qkv_bias ? ", q/k/v biases" : ""));
  row("vocabulary", fmt::format("{} (tokenizer {}){}", info.vocab, info.tokenizer_vocab,
                                info.tied_embeddings ? ", head tied to the embedding" : ""));
  row("positions", fmt::format("at most {}", info.max_positions));
  row("logit shift", fmt::format("{}", info.logit_shift));
  row("mask token", token_text(*tokenizer, info.mask_token));
  std::string ends;
  for (const std::int32_t id : info.end_tokens) {
    ends += (ends.empty() ? "" : ", ") + token_text(*tokenizer, id);
  }
  row("end tokens", ends);
  std::string rules;
  for (const RuleInfo& rule : info.rules) rules += (rules.empty() ? "" : ", ") + rule.name;
  row("unmask rules", rules + " (the first is the default)");
  row("back end", info.backend);
  const bool chosen = flags.engine.options.weights == WeightType::kAuto;
  row("weights", std::string(name_of(info.weights)) + (chosen ? " (chosen by auto)" : ""));
  for (const KeptWeights& kept : info.kept_weights) row("", kept_text(kept));
  row("memory",
      fmt::format("{} = weights {} + K/V {} + buffers {}", size_text(memory.total()),
                  size_text(memory.weights), size_text(memory.kv), size_text(memory.buffers)));
  row("", fmt::format("for {} request{} on a canvas of {} tokens", flags.requests,
                      flags.requests == 1 ? "" : "s", flags.canvas));
  const std::string& problem = info.chat_template_problem;
  const bool has_none = info.chat_template.empty() && problem.empty();
  row("chat template",
      has_none ? "none: prompts go to the model as they are, chats are refused" : problem);
  if (info.chat_templates.size() > 1) {
    row("", fmt::format("one of {} (--chat-template)", fmt::join(info.chat_templates, ", ")));
  }
  if (!info.chat_template.empty()) fmt::print("{}\n", printable(info.chat_template));
}

nlohmann::ordered_json to_json(const std::vector<FoundModel>& models) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const FoundModel& model : models) {
    nlohmann::ordered_json entry = {{"name", model.name},
                                    {"family", model.family},
                                    {"bytes", model.bytes},
                                    {"path", model.path.string()}};
    entry["problem"] = nullptr;
    if (!model.problem.empty()) entry["problem"] = model.problem;
    list.push_back(std::move(entry));
  }
  return {{"models", std::move(list)}};
}

void print_text(const std::vector<FoundModel>& models) {
  std::size_t width = 0;
  for (const FoundModel& model : models) width = std::max(width, printable(model.name).size());
  for (const FoundModel& model : models) {
    fmt::print("{:<{}}  {:<6} {:>10}  {}\n", printable(model.name), width, model.family,
               size_text(model.bytes), printable(model.path.string()));
    if (!model.problem.empty()) {
      fmt::print("{:<{}}  can't be loaded: {}\n", "", width, printable(model.problem));
    }
  }
  if (models.empty()) fmt::print("no models here; 'hf download ORG/NAME' downloads one\n");
  fmt::print("'fast-dllm inspect NAME' shows one, --model takes these names\n");
}

/// What is there, where no model was named.
int list_models(const InspectFlags& flags) {
  if (flags.canvas != 0 || flags.requests != 1) {
    fail(ErrorCode::kInvalidArgument, "--canvas and --requests need a model: give its name");
  }
  const std::vector<FoundModel> models = known_models();
  if (flags.json) {
    fmt::print("{}\n",
               to_json(models).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    print_text(models);
  }
  return 0;
}

int run_inspect(InspectFlags& flags) {
  if (flags.engine.model.empty()) return list_models(flags);
  const auto path = flags.engine.model_path();
  const ModelInfo info = Engine::inspect(path, flags.engine.options);
  if (flags.canvas == 0) flags.canvas = std::min<std::int64_t>(1024, info.max_positions);
  const MemoryEstimate memory =
      Engine::estimate(path, flags.engine.options, flags.canvas, flags.requests);
  if (flags.json) {
    fmt::print("{}\n", to_json(info, flags, memory)
                           .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    print_text(info, flags, memory);
  }
  return 0;
}

}  // namespace

CommandBody add_inspect(CLI::App& app) {
  const auto flags = std::make_shared<InspectFlags>();
  app.add_option("dir,--model", flags->engine.model,
                 fmt::format("{} (nothing: lists those that are there)", kModelHelp))
      ->type_name("DIR");
  flags->engine.add_chat_template_option(app);
  app.add_option("--canvas", flags->canvas,
                 "tokens of a canvas, prompt included, for the estimate (default 1024, or what the "
                 "model allows)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 24).description(""))
      ->type_name("N");
  app.add_option("--requests", flags->requests, "live requests for the estimate (default 1)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20).description(""))
      ->type_name("N");
  app.add_flag("--json", flags->json, "print one JSON object");
  flags->engine.add_engine_options(app);
  return [flags] { return run_inspect(*flags); };
}

}  // namespace fdllm::cli
