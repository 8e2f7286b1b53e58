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
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/utf8.h"

namespace fdllm {
namespace {

using Json = nlohmann::json;

constexpr int kMaxSequenceDepth = 8;
constexpr std::size_t kMaxSteps = 64;

class JsonTokenizer final : public Tokenizer {
 public:
  JsonTokenizer(Bpe bpe, std::vector<AddedToken> added, PreTokenizer pre_tokenizer, bool nfc)
      : bpe_(std::move(bpe)), pre_tokenizer_(std::move(pre_tokenizer)), nfc_(nfc) {
    vocab_size_ = bpe_.size();
    for (AddedToken& token : added) {
      if (token.normalized) {
        normalized_.add(nfc_ ? normalize_nfc(token.content) : token.content, token);
      } else {
        literal_.add(token.content, token);
      }
      vocab_size_ = std::max(vocab_size_, token.id + 1);
      added_ids_.emplace(token.content, token.id);
      added_.emplace(token.id, std::move(token));
    }
  }

  std::vector<std::int32_t> encode(std::string_view text) const override {
    std::vector<std::int32_t> ids;
    const std::string valid = to_valid_utf8(text);
    for (const TextPart& part : literal_.split(valid)) {
      if (part.id) {
        ids.push_back(*part.id);
        continue;
      }
      const std::string normalized = nfc_ ? normalize_nfc(part.text) : std::string(part.text);
      for (const TextPart& inner : normalized_.split(normalized)) {
        if (inner.id) {
          ids.push_back(*inner.id);
        } else {
          const Pieces pieces = pre_tokenizer_.split(inner.text);
          for (const std::string_view piece : pieces.views) bpe_.encode(piece, ids);
        }
      }
    }
    return ids;
  }

  std::string decode_bytes(std::span<const std::int32_t> ids, bool skip_special) const override {
    std::string bytes;
    for (const std::int32_t id : ids) {
      check_id(id);
      const auto added = added_.find(id);
      if (added != added_.end() && skip_special && added->second.special) continue;
      // An added token that is no vocabulary entry stands for its own text. (`tokenizers` would
      // read even that as byte spelling, which damages texts such as "é".)
      if (bpe_.has(id)) {
        bytes += bpe_.bytes_of(id);
      } else if (added != added_.end()) {
        bytes += added->second.content;
      }
    }
    return bytes;
  }

  bool is_special(std::int32_t id) const override {
    const auto added = added_.find(id);
    return added != added_.end() && added->second.special;
  }

  std::int32_t vocab_size() const override { return vocab_size_; }

  std::optional<std::int32_t> find(std::string_view token) const override {
    const auto added = added_ids_.find(std::string(token));
    if (added != added_ids_.end()) return added->second;
    return bpe_.find(token);
  }

 private:
  void check_id(std::int32_t id) const {
    if (id < 0 || id >= vocab_size_) {
      fail(ErrorCode::kInvalidArgument, "token id {} is not in the tokenizer's range [0, {})", id,
           vocab_size_);
    }
  }

  Bpe bpe_;
  PreTokenizer pre_tokenizer_;
  bool nfc_;
  AddedTokenMatcher literal_;
  AddedTokenMatcher normalized_;
  std::unordered_map<std::int32_t, AddedToken> added_;
  std::unordered_map<std::string, std::int32_t> added_ids_;
  std::int32_t vocab_size_ = 0;
};

/// Reads the parts of one tokenizer.json; every message starts with the source's name.
class Reader {
 public:
  Reader(const Json& root, std::string_view source) : root_(root), source_(source) {}

  std::unique_ptr<Tokenizer> read() {
    if (!root_.is_object()) corrupt("(root)", "a JSON object", root_);
    Bpe bpe = read_model(member(root_, "", "model"));
    std::vector<AddedToken> added = read_added_tokens(bpe);
    const bool nfc = read_normalizer(optional_member(root_, "normalizer"), "normalizer", 0);
    std::vector<PreTokenizerStep> steps;
    read_pre_tokenizer(optional_member(root_, "pre_tokenizer"), "pre_tokenizer", 0, steps);
    if (steps.empty() || !std::holds_alternative<ByteLevelStep>(steps.back())) {
      fail(ErrorCode::kUnsupported,
           "{}: 'pre_tokenizer': expected a byte-level tokenizer, whose last step is ByteLevel",
           source_);
    }
    check_decoder();
    check_post_processor(optional_member(root_, "post_processor"), "post_processor", 0);
    return std::make_unique<JsonTokenizer>(
        std::move(bpe), std::move(added),
        PreTokenizer(std::move(steps), source_ + ": 'pre_tokenizer'"), nfc);
  }

 private:
  [[noreturn]] void corrupt(const std::string& field, std::string_view expected,
                            const Json& found) const {
    fail(ErrorCode::kCorruptFile, "{}: '{}': expected {}, found {}", source_, field, expected,
         describe(found));
  }
  [[noreturn]] void unsupported(const std::string& field, std::string_view expected,
                                const Json& found) const {
    fail(ErrorCode::kUnsupported,
         "{}: '{}': expected {}, found {}; only byte-level BPE is supported", source_, field,
         expected, describe(found));
  }

  static std::string describe(const Json& value) {
    if (value.is_string()) return quote(value.get_ref<const std::string&>());
    if (value.is_primitive()) return value.dump();
    return value.is_array() ? "an array" : "an object";
  }

  const Json& member(const Json& object, const std::string& path, const char* name) const {
    const auto found = object.find(name);
    if (found == object.end()) {
      fail(ErrorCode::kCorruptFile, "{}: '{}{}' is missing; is this a Hugging Face tokenizer.json?",
           source_, path, name);
    }
    return *found;
  }
  static const Json& optional_member(const Json& object, const char* name) {
    static const Json kNull;
    const auto found = object.find(name);
    return found == object.end() ? kNull : *found;
  }
  const std::string& text(const Json& value, const std::string& field) const {
    if (!value.is_string()) corrupt(field, "a string", value);
    return value.get_ref<const std::string&>();
  }
  bool flag(const Json& object, const std::string& path, const char* name, bool absent) const {
    const Json& value = optional_member(object, name);
    if (value.is_null()) return absent;
    if (!value.is_boolean()) corrupt(path + name, "true or false", value);
    return value.get<bool>();
  }
  std::int64_t token_id(const Json& value, const std::string& field) const {
    if (!value.is_number_integer() || value < 0 || value >= Bpe::kMaxIds) {
      corrupt(field, fmt::format("an id in [0, {})", Bpe::kMaxIds), value);
    }
    return value.get<std::int64_t>();
  }

  Bpe read_model(const Json& model) const {
    if (!model.is_object()) corrupt("model", "an object", model);
    if (model.contains("type") && model["type"] != "BPE") {
      unsupported("model.type", "'BPE'", model["type"]);
    }
    for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      const Json& value = optional_member(model, name);
      const bool none = value.is_null() || value == Json::string_t();
      if (!none) unsupported(std::string("model.") + name, "null", value);
    }
    const Json& dropout = optional_member(model, "dropout");
    if (!dropout.is_null() && dropout != 0) unsupported("model.dropout", "null", dropout);
    if (flag(model, "model.", "byte_fallback", false)) {
      unsupported("model.byte_fallback", "false", model["byte_fallback"]);
    }
    Bpe bpe;
    bpe.set_ignore_merges(flag(model, "model.", "ignore_merges", false));
    read_vocab(member(model, "model.", "vocab"), bpe);
    read_merges(member(model, "model.", "merges"), bpe);
    const Json& unknown = optional_member(model, "unk_token");
    if (!unknown.is_null() && !bpe.has_all_bytes()) {
      unsupported("model.unk_token", "null where the vocabulary lacks some of the 256 bytes",
                  unknown);
    }
    return bpe;
  }

  void read_vocab(const Json& vocab, Bpe& bpe) const {
    if (!vocab.is_object() || vocab.empty()) corrupt("model.vocab", "a filled object", vocab);
    for (const auto& [spelling, id] : vocab.items()) {
      if (!bpe.add_token(spelling, token_id(id, "model.vocab"))) {
        fail(ErrorCode::kCorruptFile, "{}: 'model.vocab': {} has the id {} of another token",
             source_, quote(spelling), id.dump());
      }
    }
  }

  void read_merges(const Json& merges, Bpe& bpe) const {
    if (!merges.is_array()) corrupt("model.merges", "an array", merges);
    for (std::size_t index = 0; index < merges.size(); ++index) {
      const Json& merge = merges[index];
      const auto field = [&] { return fmt::format("model.merges[{}]", index); };
      std::string_view left, right;
      if (merge.is_string()) {
        const std::string_view line = merge.get_ref<const std::string&>();
        if (line.starts_with("#version")) continue;
        const std::size_t space = line.find(' ');
        if (space == std::string_view::npos ||
            line.find(' ', space + 1) != std::string_view::npos) {
          corrupt(field(), "two tokens with one space between", merge);
        }
        left = line.substr(0, space);
        right = line.substr(space + 1);
      } else if (merge.is_array() && merge.size() == 2) {
        left = text(merge[0], field());
        right = text(merge[1], field());
      } else {
        corrupt(field(), "a pair of tokens", merge);
      }
      if (!bpe.add_merge(left, right)) {
        fail(ErrorCode::kCorruptFile,
             "{}: '{}': {}, {} or their concatenation is not in the vocabulary", source_, field(),
             quote(left), quote(right));
      }
    }
  }

  std::vector<AddedToken> read_added_tokens(const Bpe& bpe) const {
    const Json& list = optional_member(root_, "added_tokens");
    std::vector<AddedToken> tokens;
    if (list.is_null()) return tokens;
    if (!list.is_array()) corrupt("added_tokens", "an array", list);
    std::set<std::int32_t> ids;
    std::unordered_set<std::string> contents;
    for (std::size_t index = 0; index < list.size(); ++index) {
      const Json& entry = list[index];
      const std::string path = fmt::format("added_tokens[{}]", index);
      if (!entry.is_object()) corrupt(path, "an object", entry);
      AddedToken token;
      token.content = text(member(entry, path + ".", "content"), path + ".content");
      token.id = static_cast<std::int32_t>(token_id(member(entry, path + ".", "id"), path + ".id"));
      token.special = flag(entry, path + ".", "special", false);
      token.normalized = flag(entry, path + ".", "normalized", !token.special);
      token.lstrip = flag(entry, path + ".", "lstrip", false);
      token.rstrip = flag(entry, path + ".", "rstrip", false);
      token.single_word = flag(entry, path + ".", "single_word", false);
      if (token.content.empty() || token.content.size() > AddedTokenMatcher::kMaxContentBytes) {
        corrupt(path + ".content",
                fmt::format("1 to {} bytes", AddedTokenMatcher::kMaxContentBytes),
                entry["content"]);
      }
      const auto in_vocabulary = bpe.find(token.content);
      if ((in_vocabulary && *in_vocabulary != token.id) || (!in_vocabulary && bpe.has(token.id)) ||
          !ids.insert(token.id).second || !contents.insert(token.content).second) {
        fail(ErrorCode::kCorruptFile,
             "{}: '{}': token {} with id {} contradicts the vocabulary or an earlier added token",
             source_, path, quote(token.content), token.id);
      }
      tokens.push_back(std::move(token));
    }
    return tokens;
  }

  /// The members of a Sequence, else `node` itself.
  template <typename Visit>
  void for_each_step(const Json& node, const std::string& field, const char* list_name, int depth,
                     Visit visit) const {
    if (!node.is_object()) corrupt(field, "an object", node);
    const std::string& type = text(member(node, field + ".", "type"), field + ".type");
    if (type != "Sequence") return visit(node, type, field);
    if (depth == kMaxSequenceDepth) unsupported(field, "less nesting", node);
    const Json& list = member(node, field + ".", list_name);
    if (!list.is_array()) corrupt(field + "." + list_name, "an array", list);
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

  void read_pre_tokenizer(const Json& node, const std::string& field, int depth,
                          std::vector<PreTokenizerStep>& steps) const {
    if (node.is_null()) return;
    for_each_step(
        node, field, "pretokenizers", depth,
        [&](const Json& step, const std::string& type, const std::string& path) {
          if (!steps.empty() && std::holds_alternative<ByteLevelStep>(steps.back())) {
            unsupported(path, "no step after ByteLevel", step["type"]);
          }
          if (steps.size() == kMaxSteps) unsupported(path, "fewer steps", step["type"]);
          if (type == "Split") {
            steps.emplace_back(read_split(step, path));
          } else if (type == "Digits") {
            steps.emplace_back(DigitsStep{flag(step, path + ".", "individual_digits", false)});
          } else if (type == "ByteLevel") {
            steps.emplace_back(ByteLevelStep{flag(step, path + ".", "add_prefix_space", true),
                                             flag(step, path + ".", "use_regex", true)});
          } else {
            unsupported(path + ".type", "'Split', 'Digits', 'ByteLevel' or 'Sequence'",
                        step["type"]);
          }
        });
  }

  SplitStep read_split(const Json& step, const std::string& path) const {
    const Json& pattern = member(step, path + ".", "pattern");
    if (!pattern.is_object()) corrupt(path + ".pattern", "an object", pattern);
    std::string expression;
    if (pattern.contains("Regex")) {
      expression = text(pattern["Regex"], path + ".pattern.Regex");
    } else {
      expression = escape_regex(
          text(member(pattern, path + ".pattern.", "String"), path + ".pattern.String"));
    }
    const Json& behavior = member(step, path + ".", "behavior");
    constexpr std::pair<const char*, SplitBehavior> kBehaviors[] = {
        {"Removed", SplitBehavior::kRemoved},
        {"Isolated", SplitBehavior::kIsolated},
        {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
        {"MergedWithNext", SplitBehavior::kMergedWithNext},
        {"Contiguous", SplitBehavior::kContiguous}};
    for (const auto& [name, value] : kBehaviors) {
      if (behavior == name) {
        return {Regex(expression, fmt::format("{}: '{}.pattern'", source_, path)), value,
                flag(step, path + ".", "invert", false)};
      }
    }
    unsupported(path + ".behavior", "a known behavior", behavior);
  }

  void check_decoder() const {
    const Json& decoder = optional_member(root_, "decoder");
    if (!decoder.is_object() || optional_member(decoder, "type") != "ByteLevel") {
      unsupported("decoder", "ByteLevel",
                  decoder.is_object() ? optional_member(decoder, "type") : decoder);
    }
  }

  /// Known post-processors only add tokens around the text or adjust offsets, neither of which
  /// encode does: a prompt's BOS comes from the chat template.
  void check_post_processor(const Json& node, const std::string& field, int depth) const {
    if (node.is_null()) return;
    for_each_step(node, field, "processors", depth,
                  [&](const Json& step, const std::string& type, const std::string& path) {
                    if (type != "ByteLevel" && type != "TemplateProcessing") {
                      unsupported(path + ".type", "'ByteLevel' or 'TemplateProcessing'",
                                  step["type"]);
                    }
                  });
  }

  const Json& root_;
  std::string source_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_json_tokenizer(const Json& root, std::string_view source) {
  return Reader(root, source).read();
}

std::unique_ptr<Tokenizer> parse_tokenizer_json(std::string_view json, std::string_view source) {
  return make_json_tokenizer(parse_json(json, source), source);
}

std::unique_ptr<Tokenizer> read_tokenizer_json(const std::filesystem::path& file) {
  return parse_tokenizer_json(MappedFile::open(file).text(), file.filename().string());
}

}  // namespace fdllm
