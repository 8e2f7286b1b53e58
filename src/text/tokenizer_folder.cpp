#include "text/tokenizer_folder.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "base/quote.h"
#include "base/utf8.h"
#include "text/bpe.h"
#include "text/folder_added_tokens.h"
#include "text/json_fields.h"
#include "text/post_processor.h"
#include "text/tokenizer_class.h"

namespace fdllm {
namespace {

using Json = nlohmann::json;

constexpr char kConfig[] = "tokenizer_config.json";
constexpr char kVocabulary[] = "vocab.json";
constexpr char kMerges[] = "merges.txt";
constexpr std::size_t kMaxMergesBytes = std::size_t{256} << 20;

/// The object of an optional file.
Json read_object(const std::filesystem::path& folder, const char* name) {
  const std::filesystem::path file = folder / name;
  if (!std::filesystem::exists(file)) return Json::object();
  Json root = parse_json(MappedFile::open(file).text(), name, {.dialect = JsonDialect::kPython});
  if (!root.is_object()) {
    fail(ErrorCode::kCorruptFile, "{}: expected a JSON object, found {}", name,
         JsonFields::describe(root));
  }
  return root;
}

std::string_view trimmed(std::string_view line) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t begin = line.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(kBlank) + 1 - begin);
}

/// Lines "left right"; a first line "#version: 0.2" and blank ones say nothing.
void read_merges(std::string_view text, TokenizerDocument& document) {
  if (text.size() > kMaxMergesBytes) {
    fail(ErrorCode::kCorruptFile, "{}: expected at most {} bytes, found {}", kMerges,
         kMaxMergesBytes, text.size());
  }
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  Json merges = Json::array();
  std::uint32_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.empty() || line.starts_with("#version")) continue;
    if (to_valid_utf8(line) != line) {
      fail(ErrorCode::kCorruptFile, "{}: line {}: not valid UTF-8", kMerges, number);
    }
    if (merges.size() == Bpe::kMaxMerges) {
      fail(ErrorCode::kCorruptFile, "{}: expected at most {} merges", kMerges, Bpe::kMaxMerges);
    }
    merges.push_back(line);
    document.merge_lines.push_back(number);
  }
  document.root["model"]["merges"] = std::move(merges);
}

Json pre_tokenizer_of(const TokenizerClass& tokenizer_class, bool add_prefix_space) {
  const bool own_pattern = !tokenizer_class.pattern.empty();
  Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", add_prefix_space}, {"use_regex", !own_pattern}};
  if (!own_pattern) return byte_level;
  const Json split = {{"type", "Split"},
                      {"pattern", {{"Regex", tokenizer_class.pattern}}},
                      {"behavior", "Isolated"},
                      {"invert", false}};
  return {{"type", "Sequence"}, {"pretokenizers", {split, byte_level}}};
}

/// The document of a folder without tokenizer.json; `config` becomes tokenizer_config.json with the
/// special tokens that are in force.
TokenizerDocument read_vocabulary_document(const std::filesystem::path& folder, Json& config) {
  const Json model_config = read_object(folder, "config.json");
  const TokenizerClass& tokenizer_class = find_tokenizer_class(config, model_config);
  const JsonFields fields(kConfig);
  TokenizerDocument document;
  document.source = kConfig;
  document.vocabulary_source = kVocabulary;
  document.merges_source = kMerges;
  document.root = {
      {"model", {{"type", "BPE"}}},
      {"pre_tokenizer",
       pre_tokenizer_of(tokenizer_class, fields.flag(config, "", "add_prefix_space", false))},
      {"decoder", {{"type", "ByteLevel"}}}};
  if (tokenizer_class.nfc) document.root["normalizer"] = {{"type", "NFC"}};
  document.root["model"]["vocab"] =
      parse_json(MappedFile::open(folder / kVocabulary).text(), kVocabulary);
  if (!document.root["model"]["vocab"].is_object()) {
    fail(ErrorCode::kCorruptFile, "{}: expected an object of tokens and their ids, found {}",
         kVocabulary, JsonFields::describe(document.root["model"]["vocab"]));
  }
  read_merges(MappedFile::open(folder / kMerges).text(), document);
  config = read_folder_added_tokens(folder, std::move(config), tokenizer_class, document);
  return document;
}

std::optional<std::int64_t> valid_id(const Json& id) {
  const bool valid = id.is_number_integer() && id >= 0 && id < Bpe::kMaxIds;
  return valid ? std::optional(id.get<std::int64_t>()) : std::nullopt;
}

/// The id of a token by its text; nullopt where the document has none.
std::optional<std::int64_t> id_of(const Json& root, const std::string& content) {
  const Json& added = JsonFields::optional_member(root, "added_tokens");
  if (added.is_array()) {
    for (const Json& token : added) {
      if (token.is_object() && JsonFields::optional_member(token, "content") == content) {
        return valid_id(JsonFields::optional_member(token, "id"));
      }
    }
  }
  const Json& model = JsonFields::optional_member(root, "model");
  if (!model.is_object() || !model.contains("vocab")) return std::nullopt;
  const Json& vocab = model["vocab"];
  if (!vocab.is_object() || !vocab.contains(content)) return std::nullopt;
  return valid_id(vocab[content]);
}

/// Adds the BOS and EOS that `config` asks for, unless the post-processor adds them already.
void ask_for_bos_and_eos(const Json& config, TokenizerDocument& document) {
  const JsonFields fields(kConfig);
  const auto asked = [&](const char* flag, const char* name) -> std::optional<std::int32_t> {
    if (!fields.flag(config, "", flag, false)) return std::nullopt;
    const auto text = special_token_text(config, name, kConfig);
    if (!text) return std::nullopt;  // transformers adds none then
    const auto id = id_of(document.root, *text);
    if (!id) {
      fail(ErrorCode::kCorruptFile, "{}: '{}' asks for {}, which is no token of the vocabulary",
           kConfig, flag, quote(*text));
    }
    return static_cast<std::int32_t>(*id);
  };
  std::optional<std::int32_t> bos = asked("add_bos_token", "bos_token");
  std::optional<std::int32_t> eos = asked("add_eos_token", "eos_token");
  if ((!bos && !eos) || !document.root.is_object()) return;
  Json& processor = document.root["post_processor"];
  const SurroundingTokens known =
      read_post_processor(processor, JsonFields(document.source), Bpe::kMaxIds);
  if (bos && !known.before.empty() && known.before.front() == *bos) bos.reset();
  if (eos && !known.after.empty() && known.after.back() == *eos) eos.reset();
  SurroundingTokens asked_for;
  if (bos) asked_for.before.push_back(*bos);
  if (eos) asked_for.after.push_back(*eos);
  Json own = template_processing(asked_for);
  if (processor.is_null()) {
    processor = std::move(own);
  } else {
    processor = {{"type", "Sequence"}, {"processors", {std::move(processor), std::move(own)}}};
  }
}

[[noreturn]] void fail_without_files(const std::filesystem::path& folder) {
  const bool sentence_piece = std::filesystem::exists(folder / "tokenizer.model");
  fail(ErrorCode::kNotFound,
       "{}: expected tokenizer.json, or vocab.json and merges.txt; found {}; were all files "
       "downloaded?",
       folder.string(),
       sentence_piece ? "only tokenizer.model (SentencePiece, which is not supported)" : "neither");
}

}  // namespace

TokenizerDocument read_folder_document(const std::filesystem::path& folder) {
  Json config = read_object(folder, kConfig);
  TokenizerDocument document;
  if (std::filesystem::exists(folder / "tokenizer.json")) {
    document = parse_tokenizer_document(MappedFile::open(folder / "tokenizer.json").text(),
                                        "tokenizer.json");
  } else if (std::filesystem::exists(folder / kVocabulary)) {
    document = read_vocabulary_document(folder, config);
  } else {
    fail_without_files(folder);
  }
  ask_for_bos_and_eos(config, document);
  return document;
}

std::unique_ptr<Tokenizer> read_folder_tokenizer(const std::filesystem::path& folder) {
  return make_tokenizer(read_folder_document(folder));
}

}  // namespace fdllm
