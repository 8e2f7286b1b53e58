#include "text/tokenizer_json.h"

#include <algorithm>
#include <set>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "base/quote.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/byte_level_tokenizer.h"
#include "text/json_fields.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"

namespace fdllm {
namespace {

using Json = nlohmann::json;

constexpr int kMaxSequenceDepth = 8;
constexpr std::size_t kMaxSteps = 64;

/// Reads the parts of one tokenizer.json; every message starts with the source's name.
class Reader {
 public:
  explicit Reader(const TokenizerDocument& document)
      : document_(document), root_(document.root), fields_(document.source) {}

  std::unique_ptr<Tokenizer> read() {
    if (!root_.is_object()) fields_.corrupt("(root)", "a JSON object", root_);
    Bpe bpe = read_model(fields_.member(root_, "", "model"));
    std::vector<AddedToken> added = read_added_tokens(bpe);
    const bool nfc =
        read_normalizer(JsonFields::optional_member(root_, "normalizer"), "normalizer", 0);
    PreTokenizer pre_tokenizer = read_pre_tokenizer();
    check_decoder();
    std::int32_t vocab_size = bpe.size();
    for (const AddedToken& token : added) vocab_size = std::max(vocab_size, token.id + 1);
    SurroundingTokens surrounding = read_post_processor(
        JsonFields::optional_member(root_, "post_processor"), fields_, vocab_size);
    return std::make_unique<ByteLevelTokenizer>(ByteLevelParts{
        std::move(bpe), std::move(added), std::move(pre_tokenizer), nfc, std::move(surrounding)});
  }

  PreTokenizer read_pre_tokenizer() const {
    std::vector<PreTokenizerStep> steps;
    read_steps(JsonFields::optional_member(root_, "pre_tokenizer"), "pre_tokenizer", 0, steps);
    if (steps.empty() || !std::holds_alternative<ByteLevelStep>(steps.back())) {
      fail(ErrorCode::kUnsupported,
           "{}: 'pre_tokenizer': expected a byte-level tokenizer, whose last step is ByteLevel",
           document_.source);
    }
    return {std::move(steps), document_.source + ": 'pre_tokenizer'"};
  }

 private:
  [[noreturn]] void unsupported(const std::string& field, std::string_view expected,
                                const Json& found) const {
    fields_.unsupported(field, expected, found, "only byte-level BPE is supported");
  }

  Bpe read_model(const Json& model) const {
    if (!model.is_object()) fields_.corrupt("model", "an object", model);
    if (model.contains("type") && model["type"] != "BPE") {
      unsupported("model.type", "'BPE'", model["type"]);
    }
    for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      const Json& value = JsonFields::optional_member(model, name);
      const bool none = value.is_null() || value == Json::string_t();
      if (!none) unsupported(std::string("model.") + name, "null", value);
    }
    const Json& dropout = JsonFields::optional_member(model, "dropout");
    if (!dropout.is_null() && dropout != 0) unsupported("model.dropout", "null", dropout);
    if (fields_.flag(model, "model.", "byte_fallback", false)) {
      unsupported("model.byte_fallback", "false", model["byte_fallback"]);
    }
    Bpe bpe;
    bpe.set_ignore_merges(fields_.flag(model, "model.", "ignore_merges", false));
    read_vocab(fields_.member(model, "model.", "vocab"), bpe);
    read_merges(fields_.member(model, "model.", "merges"), bpe);
    const Json& unknown = JsonFields::optional_member(model, "unk_token");
    if (!unknown.is_null() && !bpe.has_all_bytes()) {
      unsupported("model.unk_token", "null where the vocabulary lacks some of the 256 bytes",
                  unknown);
    }
    return bpe;
  }

  void read_vocab(const Json& vocab, Bpe& bpe) const {
    const bool own_file = !document_.vocabulary_source.empty();
    const JsonFields fields(own_file ? document_.vocabulary_source : document_.source);
    const auto field = [&](const std::string& spelling) {
      return own_file ? spelling : "model.vocab";
    };
    if (!vocab.is_object() || vocab.empty()) {
      fields.corrupt(field("(root)"), "an object of tokens and their ids", vocab);
    }
    for (const auto& [spelling, id] : vocab.items()) {
      if (!bpe.add_token(spelling, fields.id(id, field(spelling), Bpe::kMaxIds))) {
        fail(ErrorCode::kCorruptFile, "{}: '{}': {} has the id {} of another token",
             fields.source(), field("(root)"), quote(spelling), id.dump());
      }
    }
  }

  /// "merges.txt: line 17", or "tokenizer.json: 'model.merges[15]'".
  std::string merge_place(std::size_t index) const {
    if (index < document_.merge_lines.size()) {
      return fmt::format("{}: line {}", document_.merges_source, document_.merge_lines[index]);
    }
    return fmt::format("{}: 'model.merges[{}]'", document_.source, index);
  }

  void read_merges(const Json& merges, Bpe& bpe) const {
    if (!merges.is_array()) fields_.corrupt("model.merges", "an array", merges);
    if (merges.size() > Bpe::kMaxMerges) {
      fail(ErrorCode::kCorruptFile, "{}: 'model.merges': expected at most {}, found {}",
           fields_.source(), Bpe::kMaxMerges, merges.size());
    }
    for (std::size_t index = 0; index < merges.size(); ++index) {
      const Json& merge = merges[index];
      std::string_view left, right;
      if (merge.is_string()) {
        const std::string_view line = merge.get_ref<const std::string&>();
        if (line.starts_with("#version")) continue;
        const std::size_t space = line.find(' ');
        if (space != std::string_view::npos &&
            line.find(' ', space + 1) == std::string_view::npos) {
          left = line.substr(0, space);
          right = line.substr(space + 1);
        }
      } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
                 merge[1].is_string()) {
        left = merge[0].get_ref<const std::string&>();
        right = merge[1].get_ref<const std::string&>();
      }
      if (left.empty() && right.empty()) {
        fail(ErrorCode::kCorruptFile, "{}: expected two tokens with one space between, found {}",
             merge_place(index), JsonFields::describe(merge));
      }
      if (!bpe.add_merge(left, right)) {
        fail(ErrorCode::kCorruptFile, "{}: {}, {} or their concatenation is not in the vocabulary",
             merge_place(index), quote(left), quote(right));
      }
    }
  }

  AddedToken read_added_token(const Json& entry, const std::string& path) const {
    if (!entry.is_object()) fields_.corrupt(path, "an object", entry);
    const std::string dot = path + ".";
    AddedToken token;
    token.content = fields_.text(fields_.member(entry, dot, "content"), dot + "content");
    token.id = static_cast<std::int32_t>(
        fields_.id(fields_.member(entry, dot, "id"), dot + "id", Bpe::kMaxIds));
    token.special = fields_.flag(entry, dot, "special", false);
    token.normalized = fields_.flag(entry, dot, "normalized", !token.special);
    token.lstrip = fields_.flag(entry, dot, "lstrip", false);
    token.rstrip = fields_.flag(entry, dot, "rstrip", false);
    token.single_word = fields_.flag(entry, dot, "single_word", false);
    if (token.content.empty() || token.content.size() > AddedTokenMatcher::kMaxContentBytes) {
      fields_.corrupt(dot + "content",
                      fmt::format("1 to {} bytes", AddedTokenMatcher::kMaxContentBytes),
                      entry["content"]);
    }
    return token;
  }

  std::vector<AddedToken> read_added_tokens(const Bpe& bpe) const {
    const Json& list = JsonFields::optional_member(root_, "added_tokens");
    std::vector<AddedToken> tokens;
    if (list.is_null()) return tokens;
    if (!list.is_array()) fields_.corrupt("added_tokens", "an array", list);
    std::set<std::int32_t> ids;
    std::unordered_set<std::string> contents;
    for (std::size_t index = 0; index < list.size(); ++index) {
      const std::string path = fmt::format("added_tokens[{}]", index);
      AddedToken token = read_added_token(list[index], path);
      const auto in_vocabulary = bpe.find(token.content);
      if ((in_vocabulary && *in_vocabulary != token.id) || (!in_vocabulary && bpe.has(token.id)) ||
          !ids.insert(token.id).second || !contents.insert(token.content).second) {
        const std::string place = index < document_.added_places.size()
                                      ? document_.added_places[index]
                                      : fmt::format("{}: '{}'", document_.source, path);
        fail(ErrorCode::kCorruptFile,
             "{}: token {} with id {} contradicts the vocabulary or an earlier added token", place,
             quote(token.content), token.id);
      }
      tokens.push_back(std::move(token));
    }
    return tokens;
  }

  /// The members of a Sequence, else `node` itself.
  template <typename Visit>
  void for_each_step(const Json& node, const std::string& field, const char* list_name, int depth,
                     Visit visit) const {
    if (!node.is_object()) fields_.corrupt(field, "an object", node);
    const std::string& type =
        fields_.text(fields_.member(node, field + ".", "type"), field + ".type");
    if (type != "Sequence") return visit(node, type, field);
    if (depth == kMaxSequenceDepth) unsupported(field, "less nesting", node);
    const Json& list = fields_.member(node, field + ".", list_name);
    if (!list.is_array()) fields_.corrupt(field + "." + list_name, "an array", list);
    for (std::size_t index = 0; index < list.size(); ++index) {
      for_each_step(list[index], fmt::format("{}.{}[{}]", field, list_name, index), list_name,
                    depth + 1, visit);
    }
  }

  bool read_normalizer(const Json& node, const std::string& field, int depth) const {
    bool nfc = false;
    if (node.is_null()) return nfc;
    for_each_step(node, field, "normalizers", depth,
                  [&](const Json& step, const std::string& type, const std::string& path) {
                    if (type != "NFC")
                      unsupported(path + ".type", "'NFC' or 'Sequence'", step["type"]);
                    nfc = true;
                  });
    return nfc;
  }

  void read_steps(const Json& node, const std::string& field, int depth,
                  std::vector<PreTokenizerStep>& steps) const {
    if (node.is_null()) return;
    for_each_step(node, field, "pretokenizers", depth,
                  [&](const Json& step, const std::string& type, const std::string& path) {
                    if (!steps.empty() && std::holds_alternative<ByteLevelStep>(steps.back())) {
                      unsupported(path, "no step after ByteLevel", step["type"]);
                    }
                    if (steps.size() == kMaxSteps) unsupported(path, "fewer steps", step["type"]);
                    if (type == "Split") {
                      steps.emplace_back(read_split(step, path));
                    } else if (type == "Digits") {
                      steps.emplace_back(
                          DigitsStep{fields_.flag(step, path + ".", "individual_digits", false)});
                    } else if (type == "ByteLevel") {
                      steps.emplace_back(
                          ByteLevelStep{fields_.flag(step, path + ".", "add_prefix_space", true),
                                        fields_.flag(step, path + ".", "use_regex", true)});
                    } else {
                      unsupported(path + ".type", "'Split', 'Digits', 'ByteLevel' or 'Sequence'",
                                  step["type"]);
                    }
                  });
  }

  SplitStep read_split(const Json& step, const std::string& path) const {
    const Json& pattern = fields_.member(step, path + ".", "pattern");
    if (!pattern.is_object()) fields_.corrupt(path + ".pattern", "an object", pattern);
    std::string expression;
    if (pattern.contains("Regex")) {
      expression = fields_.text(pattern["Regex"], path + ".pattern.Regex");
    } else {
      expression = escape_regex(fields_.text(fields_.member(pattern, path + ".pattern.", "String"),
                                             path + ".pattern.String"));
    }
    const Json& behavior = fields_.member(step, path + ".", "behavior");
    constexpr std::pair<const char*, SplitBehavior> kBehaviors[] = {
        {"Removed", SplitBehavior::kRemoved},
        {"Isolated", SplitBehavior::kIsolated},
        {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
        {"MergedWithNext", SplitBehavior::kMergedWithNext},
        {"Contiguous", SplitBehavior::kContiguous}};
    for (const auto& [name, value] : kBehaviors) {
      if (behavior == name) {
        return {Regex(expression, fmt::format("{}: '{}.pattern'", document_.source, path)), value,
                fields_.flag(step, path + ".", "invert", false)};
      }
    }
    unsupported(path + ".behavior", "a known behavior", behavior);
  }

  void check_decoder() const {
    const Json& decoder = JsonFields::optional_member(root_, "decoder");
    if (!decoder.is_object() || JsonFields::optional_member(decoder, "type") != "ByteLevel") {
      unsupported("decoder", "ByteLevel",
                  decoder.is_object() ? JsonFields::optional_member(decoder, "type") : decoder);
    }
  }

  const TokenizerDocument& document_;
  const Json& root_;
  JsonFields fields_;
};

}  // namespace

TokenizerDocument parse_tokenizer_document(std::string_view json, std::string_view source) {
  TokenizerDocument document;
  document.root = parse_json(json, source);
  document.source = source;
  return document;
}

std::unique_ptr<Tokenizer> make_tokenizer(const TokenizerDocument& document) {
  return Reader(document).read();
}

PreTokenizer make_pre_tokenizer(const TokenizerDocument& document) {
  return Reader(document).read_pre_tokenizer();
}

std::unique_ptr<Tokenizer> parse_tokenizer_json(std::string_view json, std::string_view source) {
  return make_tokenizer(parse_tokenizer_document(json, source));
}

std::unique_ptr<Tokenizer> read_tokenizer_json(const std::filesystem::path& file) {
  return parse_tokenizer_json(MappedFile::open(file).text(), file.filename().string());
}

}  // namespace fdllm
