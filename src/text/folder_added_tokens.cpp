#include "text/folder_added_tokens.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "base/quote.h"
#include "text/bpe.h"
#include "text/json_fields.h"

namespace fdllm {
namespace {

using Json = nlohmann::json;

constexpr char kConfig[] = "tokenizer_config.json";
constexpr char kAddedTokens[] = "added_tokens.json";
constexpr char kSpecialTokens[] = "special_tokens_map.json";

/// In the order in which transformers gives them ids.
constexpr std::array kNames = {"bos_token", "eos_token", "unk_token", "sep_token",
                               "pad_token", "cls_token", "mask_token"};
/// The lists of further ones: version 4's name and version 5's.
constexpr std::array kLists = {"additional_special_tokens", "extra_special_tokens"};
/// Above this they are taken for damage: it also bounds what is made of a list without ids.
constexpr std::size_t kMaxAdded = std::size_t{1} << 20;

std::optional<Json> read_object(const std::filesystem::path& folder, const char* name) {
  const std::filesystem::path file = folder / name;
  if (!std::filesystem::exists(file)) return std::nullopt;
  Json root = parse_json(MappedFile::open(file).text(), name, {.dialect = JsonDialect::kPython});
  if (!root.is_object()) fail(ErrorCode::kCorruptFile, "{}: expected a JSON object", name);
  return root;
}

class Collector {
 public:
  explicit Collector(TokenizerDocument& document)
      : document_(document), vocabulary_(document.root["model"]["vocab"]) {}

  void read_decoder(const Json& decoder) {
    const JsonFields fields(kConfig);
    if (!decoder.is_object()) {
      fields.corrupt("added_tokens_decoder", "an object of ids and tokens", decoder);
    }
    for (const auto& [key, value] : decoder.items()) {
      const std::string field = "added_tokens_decoder." + key;
      std::int64_t id = -1;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
      if (error != std::errc() || end != key.data() + key.size() || id < 0 || id >= Bpe::kMaxIds) {
        fields.corrupt(field, fmt::format("an id in [0, {})", Bpe::kMaxIds), key);
      }
      if (!value.is_object()) fields.corrupt(field, "an object", value);
      const bool special = fields.flag(value, field + ".", "special", false);
      add(id, token(value, special, fields, field), place(kConfig, field));
    }
  }

  void read_added_tokens(const Json& tokens) {
    const JsonFields fields(kAddedTokens);
    for (const auto& [content, id] : tokens.items()) {
      add(fields.id(id, content, Bpe::kMaxIds),
          {{"content", content}, {"special", false}, {"normalized", true}},
          place(kAddedTokens, content));
    }
  }

  /// A named special token, or one of a list.
  void add_special(const Json& value, const std::string& source, const std::string& field) {
    if (value.is_null()) return;
    const JsonFields fields(source);
    Json entry;
    if (value.is_object()) {
      entry = token(value, true, fields, field);
    } else {
      entry["content"] = fields.text(value, field);
      entry["special"] = true;
      entry["normalized"] = false;
    }
    const std::string content = entry["content"];
    if (content.empty()) return;
    if (const auto known = ids_.find(content); known != ids_.end()) {
      Json& added = tokens_.at(known->second).entry;
      // added_tokens.json has no flags: there a special token is matched before normalizing.
      if (tokens_.at(known->second).place.starts_with(kAddedTokens)) added["normalized"] = false;
      added["special"] = true;
      return;
    }
    const auto in_vocabulary = vocabulary_.find(content);
    const std::int64_t id =
        in_vocabulary != vocabulary_.end() && in_vocabulary->is_number_integer()
            ? JsonFields(document_.vocabulary_source).id(*in_vocabulary, content, Bpe::kMaxIds)
            : next_id();
    add(id, std::move(entry), place(source, field));
  }

  void store() {
    Json list = Json::array();
    for (auto& [id, added] : tokens_) {
      added.entry["id"] = id;
      list.push_back(std::move(added.entry));
      document_.added_places.push_back(std::move(added.place));
    }
    document_.root["added_tokens"] = std::move(list);
  }

 private:
  struct Added {
    Json entry;
    std::string place;
  };

  static std::string place(std::string_view source, const std::string& field) {
    return fmt::format("{}: {}", source, quote(field));
  }

  static Json token(const Json& value, bool special, const JsonFields& fields,
                    const std::string& field) {
    const std::string path = field + ".";
    Json entry = {{"content", fields.text(fields.member(value, path, "content"), path + "content")},
                  {"special", special},
                  {"normalized", fields.flag(value, path, "normalized", !special)}};
    for (const char* name : {"lstrip", "rstrip", "single_word"}) {
      entry[name] = fields.flag(value, path, name, false);
    }
    return entry;
  }

  void add(std::int64_t id, Json entry, std::string where) {
    const std::string content = entry["content"];
    if (tokens_.size() == kMaxAdded) {
      fail(ErrorCode::kCorruptFile, "{}: expected at most {} added tokens", where, kMaxAdded);
    }
    const auto [other, is_new] = tokens_.try_emplace(id, Added{std::move(entry), where});
    if (!is_new || !ids_.emplace(content, id).second) {
      fail(ErrorCode::kCorruptFile, "{}: token {} with id {}: another added token has {}", where,
           quote(content), id, is_new ? "this text" : "this id");
    }
  }

  /// After the vocabulary and the tokens so far.
  std::int64_t next_id() {
    if (next_id_ == 0) {
      for (const auto& [spelling, id] : vocabulary_.items()) {
        if (id.is_number_integer()) next_id_ = std::max(next_id_, id.get<std::int64_t>() + 1);
      }
    }
    const std::int64_t last = tokens_.empty() ? -1 : tokens_.rbegin()->first;
    return std::max(next_id_, last + 1);
  }

  TokenizerDocument& document_;
  const Json& vocabulary_;
  std::map<std::int64_t, Added> tokens_;
  std::unordered_map<std::string, std::int64_t> ids_;
  std::int64_t next_id_ = 0;
};

/// Adds the tokens of a list, or of an object of names and tokens, as version 5 writes it too.
void add_list(Collector& collector, const Json& list, const std::string& source,
              const std::string& field) {
  if (list.is_null()) return;
  if (!list.is_array() && !list.is_object()) {
    JsonFields(source).corrupt(field, "a list of tokens", list);
  }
  std::size_t index = 0;
  for (const Json& token : list) {
    collector.add_special(token, source, fmt::format("{}[{}]", field, index++));
  }
}

}  // namespace

std::optional<std::string> special_token_text(const Json& config, const char* name,
                                              std::string_view source) {
  const Json& value = JsonFields::optional_member(config, name);
  if (value.is_null()) return std::nullopt;
  const Json& content = value.is_object() ? JsonFields::optional_member(value, "content") : value;
  if (!content.is_string()) {
    JsonFields(source).corrupt(name, "a string or an object with 'content'", value);
  }
  auto text = content.get<std::string>();
  return text.empty() ? std::nullopt : std::optional(std::move(text));
}

Json read_folder_added_tokens(const std::filesystem::path& folder, Json tokenizer_config,
                              const TokenizerClass& tokenizer_class, TokenizerDocument& document) {
  Collector collector(document);
  Json map = Json::object();
  if (const Json& decoder = JsonFields::optional_member(tokenizer_config, "added_tokens_decoder");
      !decoder.is_null()) {
    collector.read_decoder(decoder);
  } else {
    if (auto found = read_object(folder, kSpecialTokens)) map = *std::move(found);
    if (const auto tokens = read_object(folder, kAddedTokens)) collector.read_added_tokens(*tokens);
  }
  for (const DefaultToken& token : tokenizer_class.defaults) {
    tokenizer_config.emplace(token.name, token.content);
  }
  for (const char* name : kNames) {
    if (map.contains(name)) tokenizer_config[name] = map[name];
    collector.add_special(JsonFields::optional_member(tokenizer_config, name),
                          map.contains(name) ? kSpecialTokens : kConfig, name);
  }
  for (const char* name : kLists) {
    add_list(collector, JsonFields::optional_member(tokenizer_config, name), kConfig, name);
    add_list(collector, JsonFields::optional_member(map, name), kSpecialTokens, name);
  }
  collector.store();
  return tokenizer_config;
}

}  // namespace fdllm
