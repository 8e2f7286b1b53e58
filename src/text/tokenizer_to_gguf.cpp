#include "text/tokenizer_to_gguf.h"

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "text/bpe.h"
#include "text/gguf_pre_tokenizers.h"
#include "text/json_fields.h"

namespace fdllm {
namespace {

using Json = nlohmann::json;

/// Texts on which the patterns in use differ.
constexpr std::array<std::string_view, 14> kProbes = {
    "1234567",
    "12345 apples",
    "x = 3.14159 + 2;",
    "Don't, WE'LL",
    "one  two   three ",
    "line\n\n  line\r\n\t",
    "a/b->c != [d]\n",
    "na\xc3\xafve e\xcc\x81t\xc3\xa9",
    "\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c",
    "\xe0\xa4\xa8\xe0\xa4\xae\xe0\xa4\xb8\xe0\xa5\x8d\xe0\xa4\xa4\xe0\xa5\x87",
    "$5,000 <= 10^6",
    "\xf0\x9f\x98\x80\xf0\x9f\x91\x8d ok",
    "snake_case CamelCase",
    "42nd 1st",
};

// What follows reads JSON that make_tokenizer() has accepted.

bool flag(const Json& object, const char* name, bool absent) {
  const Json& value = JsonFields::optional_member(object, name);
  return value.is_null() ? absent : value.get<bool>();
}

void fill_tokens(const Json& root, GgufVocabulary& vocabulary) {
  std::vector<std::string>& tokens = vocabulary.tokens;
  const auto set = [&](std::size_t id, const std::string& text, GgufTokenType type) {
    if (id >= tokens.size()) return;
    tokens[id] = text;
    vocabulary.types[id] = static_cast<std::int64_t>(type);
  };
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    set(id, fmt::format("[PAD{}]", id), GgufTokenType::kUnused);
  }
  for (const auto& [text, id] : root.at("model").at("vocab").items()) {
    set(id.get<std::size_t>(), text, GgufTokenType::kNormal);
  }
  for (const Json& token : root.value("added_tokens", Json::array())) {
    set(token["id"].get<std::size_t>(), token["content"],
        flag(token, "special", false) ? GgufTokenType::kControl : GgufTokenType::kUserDefined);
  }
}

/// Of a pair that comes twice the last counts in a tokenizer.json, the first in GGUF.
void fill_merges(const Json& merges, std::vector<std::string>& lines) {
  std::unordered_set<std::string> seen;
  for (auto merge = merges.rbegin(); merge != merges.rend(); ++merge) {
    std::string line = merge->is_string()
                           ? merge->get<std::string>()
                           : (*merge)[0].get<std::string>() + ' ' + (*merge)[1].get<std::string>();
    if (line.starts_with("#version") || !seen.insert(line).second) continue;
    lines.push_back(std::move(line));
  }
  std::reverse(lines.begin(), lines.end());
}

bool has_nfc(const Json& root) {
  // Whether it is all that the normalizer does was checked when the tokenizer was made.
  const Json& node = JsonFields::optional_member(root, "normalizer");
  return node.is_object() && node.dump().find("\"NFC\"") != std::string::npos;
}

/// Whether an added token is matched in a way for which GGUF has no words.
bool has_flags(const Json& root) {
  const Json added = root.value("added_tokens", Json::array());
  return std::any_of(added.begin(), added.end(), [](const Json& token) {
    return flag(token, "normalized", !flag(token, "special", false)) ||
           flag(token, "lstrip", false) || flag(token, "rstrip", false) ||
           flag(token, "single_word", false);
  });
}

std::string without_vocabulary(Json root) {
  Json& model = root["model"];
  model.erase("vocab");
  model.erase("merges");
  return root.dump();
}

PreTokenizer make_named(const GgufPreTokenizer& named) {
  TokenizerDocument document;
  document.root["pre_tokenizer"] = pre_tokenizer_json(named);
  return make_pre_tokenizer(document);
}

std::vector<std::string> pieces_of(const PreTokenizer& pre_tokenizer, std::string_view text) {
  const Pieces pieces = pre_tokenizer.split(text);
  return {pieces.views.begin(), pieces.views.end()};
}

std::size_t equal_probes(const PreTokenizer& own, const GgufPreTokenizer& named) {
  const PreTokenizer other = make_named(named);
  return static_cast<std::size_t>(std::count_if(
      kProbes.begin(), kProbes.end(),
      [&](std::string_view text) { return pieces_of(own, text) == pieces_of(other, text); }));
}

const GgufPreTokenizer& nearest(const PreTokenizer& own, bool ignore_merges) {
  const GgufPreTokenizer* best = nullptr;
  std::size_t most = 0;
  for (const GgufPreTokenizer& known : gguf_pre_tokenizers()) {
    const std::size_t equal =
        2 * equal_probes(own, known) + (known.ignore_merges == ignore_merges ? 1 : 0);
    if (best == nullptr || equal > most) {
      best = &known;
      most = equal;
    }
  }
  return *best;
}

/// "1|234|567", with what can't be seen spelled out.
std::string shown(const std::vector<std::string>& pieces) {
  std::string text;
  for (const std::string& piece : pieces) {
    if (!text.empty()) text += '|';
    for (const char c : piece)
      text += c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : std::string(1, c);
  }
  return text;
}

std::string difference(const PreTokenizer& own, const GgufPreTokenizer& named, bool ignore_merges) {
  const std::string_view name = named.names.front();
  const PreTokenizer other = make_named(named);
  for (const std::string_view text : kProbes) {
    const auto here = pieces_of(own, text);
    const auto there = pieces_of(other, text);
    if (here != there) {
      return fmt::format(
          "llama.cpp will tokenize otherwise: with '{}' it cuts {} where this tokenizer cuts {}; "
          "this engine reads the tokenizer's own patterns from the file",
          name, shown(there), shown(here));
    }
  }
  if (named.ignore_merges != ignore_merges) {
    return fmt::format(
        "llama.cpp may tokenize otherwise: with '{}' it {} words of the vocabulary, which this "
        "tokenizer {}; this engine reads the tokenizer's own way from the file",
        name, named.ignore_merges ? "does not merge" : "merges",
        named.ignore_merges ? "does" : "does not");
  }
  return fmt::format(
      "llama.cpp may tokenize otherwise: the patterns of '{}' are not this tokenizer's own, which "
      "this engine reads from the file",
      name);
}

/// Names the way to cut up text, and keeps the tokenizer's own where the name says something else.
void name_and_keep(const TokenizerDocument& document, std::string_view wanted,
                   GgufConversion& conversion) {
  const GgufPreTokenizer* exact = name_pre_tokenizer(document.root);
  const bool ignore_merges = flag(document.root.at("model"), "ignore_merges", false);
  std::optional<PreTokenizer> own;
  if (exact == nullptr || !wanted.empty()) own.emplace(make_pre_tokenizer(document));
  const GgufPreTokenizer& named = !wanted.empty()
                                      ? find_gguf_pre_tokenizer(wanted, "--pre-tokenizer")
                                  : exact != nullptr ? *exact
                                                     : nearest(*own, ignore_merges);
  GgufVocabulary& vocabulary = conversion.vocabulary;
  vocabulary.pre_tokenizer = wanted.empty() ? named.names.front() : wanted;
  if (exact == &named) return;
  conversion.warnings.push_back(difference(*own, named, ignore_merges));
  vocabulary.own = without_vocabulary(document.root);
}

}  // namespace

GgufConversion convert_vocabulary(const TokenizerDocument& document, std::int64_t size,
                                  std::string_view pre_tokenizer) {
  const Json& root = document.root;
  const auto tokenizer = make_tokenizer(document);
  if (size < tokenizer->vocab_size() || size > Bpe::kMaxIds) {
    fail(ErrorCode::kCorruptFile,
         "{}: its largest token id is {}, but the model's vocabulary has {} tokens; does this "
         "tokenizer belong to this checkpoint?",
         document.source, tokenizer->vocab_size() - 1, size);
  }
  GgufConversion conversion;
  GgufVocabulary& vocabulary = conversion.vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.nfc = has_nfc(root);
  vocabulary.tokens.resize(static_cast<std::size_t>(size));
  vocabulary.types.resize(static_cast<std::size_t>(size));
  fill_tokens(root, vocabulary);
  fill_merges(root.at("model").at("merges"), vocabulary.merges);
  name_and_keep(document, pre_tokenizer, conversion);
  const SurroundingTokens& around = tokenizer->surrounding();
  if (has_flags(root) || !around.before.empty() || !around.after.empty()) {
    vocabulary.own = without_vocabulary(root);
  }
  // So that it isn't llama.cpp's default for the name.
  vocabulary.add_bos = !around.before.empty();
  make_gguf_tokenizer(vocabulary, document.source);
  return conversion;
}

GgufConversion rename_pre_tokenizer(GgufVocabulary vocabulary, std::string_view source,
                                    std::string_view pre_tokenizer) {
  const TokenizerDocument document = make_gguf_document(vocabulary, source);
  make_tokenizer(document);
  GgufConversion conversion;
  conversion.vocabulary = std::move(vocabulary);
  name_and_keep(document, pre_tokenizer, conversion);
  return conversion;
}

}  // namespace fdllm
