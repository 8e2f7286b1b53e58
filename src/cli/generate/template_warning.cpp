#include "cli/generate/template_warning.h"

#include "base/log.h"

namespace fdllm::cli {

void warn_without_template(const Engine& engine, std::string_view consequence) {
  static bool warned = false;
  if (warned || engine.has_chat_template()) return;
  warned = true;
  const bool is_gguf = engine.info().format == "gguf";
  log_warning("{}: found no chat template ({}): {}", engine.info().path,
              is_gguf ? "the key tokenizer.chat_template"
                      : "tokenizer_config.json with one, or chat_template.jinja",
              consequence);
}

}  // namespace fdllm::cli
