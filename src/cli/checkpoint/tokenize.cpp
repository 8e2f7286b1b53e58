#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/generate/prompts.h"
#include "cli/options/engine_flags.h"
#include "engine/open_text.h"
#include "text/tokenizer.h"

namespace fdllm::cli {
namespace {

struct TokenizeFlags {
  EngineFlags engine;
  std::optional<std::string> text, decode;
  bool json = false, add_special_tokens = false;
};

int run_tokenize(const TokenizeFlags& flags) {
  if (flags.text && flags.decode) {
    fail(ErrorCode::kInvalidArgument, "TEXT contradicts --decode: give one of them");
  }
  // Only the tokenizer is read: a large checkpoint's weights need not be.
  const auto tokenizer = open_tokenizer(flags.engine.model_path(HubFiles::kTokenizer));
  std::vector<std::int32_t> ids;
  std::string text;
  if (flags.decode) {
    ids = parse_token_ids(*flags.decode == "-" ? read_text("-") : *flags.decode, "--decode");
    text = tokenizer->decode_bytes(ids, false);
  } else {
    text = flags.text && *flags.text != "-" ? *flags.text : read_text("-");
    ids = tokenizer->encode(text);
    if (flags.add_special_tokens) {
      const SurroundingTokens& around = tokenizer->surrounding();
      ids.insert(ids.begin(), around.before.begin(), around.before.end());
      ids.insert(ids.end(), around.after.begin(), around.after.end());
    }
  }
  if (flags.json) {
    nlohmann::ordered_json json;
    json["text"] = to_valid_utf8(text);
    json["ids"] = ids;
    json["tokens"] = nlohmann::ordered_json::array();
    for (const std::int32_t id : ids) {
      json["tokens"].push_back(to_valid_utf8(tokenizer->decode_bytes(std::span(&id, 1), false)));
    }
    fmt::print("{}\n", json.dump());
  } else if (flags.decode) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fputc('\n', stdout);
  } else {
    std::string line;
    for (const std::int32_t id : ids) line += (line.empty() ? "" : ",") + std::to_string(id);
    fmt::print("{}\n", line);
  }
  return 0;
}

}  // namespace

CommandBody add_tokenize(CLI::App& app) {
  const auto flags = std::make_shared<TokenizeFlags>();
  flags->engine.add_model_option(app);
  app.add_option("text", flags->text, "the text (-, or nothing: stdin)")->type_name("TEXT");
  app.add_option("--decode", flags->decode, "token ids to turn into text (-: stdin)")
      ->type_name("1,2,3");
  app.add_flag("--add-special-tokens", flags->add_special_tokens,
               "BOS and EOS around the text, as the model's files ask");
  app.add_flag("--json", flags->json, "print {text, ids, tokens}");
  return [flags] { return run_tokenize(*flags); };
}

}  // namespace fdllm::cli
