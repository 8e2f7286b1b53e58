#include "text/post_processor.h"

#include <cstddef>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/check.h"
#include "base/quote.h"

namespace fdllm {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 8;
/// Tokens on one side, more than which is taken for damage.
constexpr std::size_t kMaxTokens = 256;
constexpr char kKnown[] =
    "'ByteLevel', 'TemplateProcessing', 'RobertaProcessing', 'BertProcessing' or 'Sequence'";

class Reader {
 public:
  Reader(const JsonFields& fields, std::int32_t vocab_size)
      : fields_(fields), vocab_size_(vocab_size) {}

  void read(const Json& node, const std::string& field, int depth) {
    if (!node.is_object()) fields_.corrupt(field, "an object", node);
    const std::string type =
        fields_.text(fields_.member(node, field + ".", "type"), field + ".type");
    if (type == "Sequence") {
      read_sequence(node, field, depth);
    } else if (type == "TemplateProcessing") {
      read_template(node, field);
    } else if (type == "RobertaProcessing" || type == "BertProcessing") {
      surround({pair_id(node, field, "cls")}, {pair_id(node, field, "sep")}, field);
    } else if (type != "ByteLevel") {
      fields_.unsupported(field + ".type", kKnown, node["type"],
                          "what it adds to a text can't be told");
    }
  }

  SurroundingTokens take() { return std::move(surrounding_); }

 private:
  using Ids = std::vector<std::int32_t>;

  void read_sequence(const Json& node, const std::string& field, int depth) {
    if (depth == kMaxDepth) {
      fields_.unsupported(field, "less nesting", node,
                          fmt::format("at most {} levels are read", kMaxDepth));
    }
    const Json& list = fields_.member(node, field + ".", "processors");
    if (!list.is_array()) fields_.corrupt(field + ".processors", "an array", list);
    for (std::size_t i = 0; i < list.size(); ++i) {
      read(list[i], fmt::format("{}.processors[{}]", field, i), depth + 1);
    }
  }

  std::int32_t token(const Json& value, const std::string& field) const {
    return static_cast<std::int32_t>(fields_.id(value, field, vocab_size_));
  }

  /// The id of ["<s>", 0].
  std::int32_t pair_id(const Json& node, const std::string& field, const char* name) const {
    const Json& pair = fields_.member(node, field + ".", name);
    if (!pair.is_array() || pair.size() != 2) {
      fields_.corrupt(field + "." + name, "a token and its id", pair);
    }
    return token(pair[1], field + "." + name + "[1]");
  }

  /// What a later processor adds lies outside of what the ones before it added.
  void surround(const Ids& before, const Ids& after, const std::string& field) {
    surrounding_.before.insert(surrounding_.before.begin(), before.begin(), before.end());
    surrounding_.after.insert(surrounding_.after.end(), after.begin(), after.end());
    if (surrounding_.before.size() > kMaxTokens || surrounding_.after.size() > kMaxTokens) {
      fail(ErrorCode::kCorruptFile, "{}: '{}': expected at most {} tokens around a text",
           fields_.source(), field, kMaxTokens);
    }
  }

  void append_special(const Json& node, const Json& piece, const std::string& path, Ids& ids) {
    const std::string& name = fields_.text(fields_.member(piece, path + ".", "id"), path + ".id");
    const std::string field = path + ".special_tokens." + name;
    const Json& known = JsonFields::optional_member(node, "special_tokens");
    const Json& entry =
        known.is_object() ? JsonFields::optional_member(known, name.c_str()) : known;
    const Json& list = entry.is_object() ? JsonFields::optional_member(entry, "ids") : entry;
    if (!list.is_array()) {
      fail(ErrorCode::kCorruptFile, "{}: '{}': {} has no ids in 'special_tokens'", fields_.source(),
           path, quote(name));
    }
    for (const Json& id : list) {
      if (ids.size() == kMaxTokens) fields_.corrupt(field, "fewer ids", list);
      ids.push_back(token(id, field));
    }
  }

  void read_template(const Json& node, const std::string& field) {
    const std::string path = field + ".single";
    const Json& single = fields_.member(node, field + ".", "single");
    if (!single.is_array()) fields_.corrupt(path, "an array", single);
    Ids before, after;
    bool in_text = false;
    for (std::size_t i = 0; i < single.size(); ++i) {
      const std::string place = fmt::format("{}[{}]", path, i);
      const Json& piece = single[i];
      if (piece.is_object() && piece.contains("Sequence")) {
        const Json& sequence = piece["Sequence"];
        const Json& id = sequence.is_object() ? JsonFields::optional_member(sequence, "id") : piece;
        if (id != "A" || in_text) fields_.corrupt(place, "the sequence A, once", id);
        in_text = true;
      } else if (piece.is_object() && piece.contains("SpecialToken") &&
                 piece["SpecialToken"].is_object()) {
        append_special(node, piece["SpecialToken"], place, in_text ? after : before);
      } else {
        fields_.corrupt(place, "a 'Sequence' or a 'SpecialToken'", piece);
      }
    }
    if (!in_text) fields_.corrupt(path, "the sequence A", single);
    surround(before, after, field);
  }

  const JsonFields& fields_;
  std::int32_t vocab_size_;
  SurroundingTokens surrounding_;
};

}  // namespace

Json template_processing(const SurroundingTokens& surrounding) {
  Json single = Json::array();
  Json tokens = Json::object();
  const auto add = [&](const std::vector<std::int32_t>& ids, const char* name) {
    if (ids.empty()) return;
    single.push_back({{"SpecialToken", {{"id", name}}}});
    tokens[name] = {{"id", name}, {"ids", ids}};
  };
  add(surrounding.before, "before");
  single.push_back({{"Sequence", {{"id", "A"}}}});
  add(surrounding.after, "after");
  return {{"type", "TemplateProcessing"}, {"single", single}, {"special_tokens", tokens}};
}

SurroundingTokens read_post_processor(const Json& node, const JsonFields& fields,
                                      std::int32_t vocab_size) {
  if (node.is_null()) return {};
  Reader reader(fields, vocab_size);
  reader.read(node, "post_processor", 0);
  return reader.take();
}

}  // namespace fdllm
