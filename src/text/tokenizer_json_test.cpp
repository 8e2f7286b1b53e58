#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "fastdllm/error.h"

#include "text/byte_level.h"
#include "text/tokenizer.h"

namespace fdllm {
namespace {

using Json = nlohmann::json;
using Ids = std::vector<std::int32_t>;

/// All bytes (id = byte value) and a few merges: "th" 256, "he" 257, "the" 258, "aa" 259, "aaaa"
/// 260, " t" 261, and "<s>" 262 as an added token.
Json small_tokenizer() {
  Json vocab;
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    vocab[spell_bytes({&c, 1})] = byte;
  }
  vocab.update({{"th", 256}, {"he", 257}, {"the", 258}, {"aa", 259}, {"aaaa", 260}, {"Ġt", 261}});
  return {
      {"added_tokens",
       {{{"id", 262}, {"content", "<s>"}, {"special", true}, {"normalized", false}}}},
      {"normalizer", nullptr},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model",
       {{"type", "BPE"},
        {"vocab", vocab},
        {"merges", {"h e", Json::array({"t", "he"}), "a a", "aa aa", "Ġ t"}}}}};
}

std::unique_ptr<Tokenizer> make(const Json& json) {
  return parse_tokenizer_json(json.dump(), "t");
}

Ids encode(const Json& json, std::string_view text) {
  return make(json)->encode(text);
}

void expect_error(const Json& json, ErrorCode code, std::string_view part) {
  try {
    make(json);
    ADD_FAILURE() << "no error for " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string_view(error.what()).find(part), std::string_view::npos) << error.what();
    EXPECT_TRUE(std::string_view(error.what()).starts_with("t: ")) << error.what();
  }
}

TEST(TokenizerJson, MergesByRank) {
  // "he" ranks before "th", which no merge makes.
  EXPECT_EQ(encode(small_tokenizer(), "the"), (Ids{258}));
  EXPECT_EQ(encode(small_tokenizer(), "th"), (Ids{'t', 'h'}));
  EXPECT_EQ(encode(small_tokenizer(), "aaaaa"), (Ids{260, 'a'}));
  EXPECT_EQ(encode(small_tokenizer(), "aaaaaaa"), (Ids{260, 259, 'a'}));
  EXPECT_EQ(encode(small_tokenizer(), ""), (Ids{}));
}

TEST(TokenizerJson, IgnoreMergesTakesWholePiecesFromTheVocabulary) {
  Json json = small_tokenizer();
  json["model"]["ignore_merges"] = true;
  EXPECT_EQ(encode(json, "th the"), (Ids{256, ' ', 258}));
}

TEST(TokenizerJson, ARepeatedMergeTakesTheLaterRank) {
  Json json = small_tokenizer();
  json["model"]["merges"] = {"h e", "t h", "h e"};
  EXPECT_EQ(encode(json, "the"), (Ids{256, 'e'}));
}

TEST(TokenizerJson, DecodesTheExactBytes) {
  const auto tokenizer = make(small_tokenizer());
  const std::string text = "aaé\x01 the<s>😀";
  EXPECT_EQ(tokenizer->decode_bytes(tokenizer->encode(text), false), text);
  EXPECT_EQ(tokenizer->decode_bytes(Ids{0xFF, 0xC3, 262}, true), "\xFF\xC3");
  EXPECT_EQ(tokenizer->decode_bytes(Ids{0xFF, 0xC3, 262}, false), "\xFF\xC3<s>");
  EXPECT_EQ(tokenizer->encode("\xFF"), tokenizer->encode("\uFFFD"));
}

TEST(TokenizerJson, KnowsIdsAndTexts) {
  Json json = small_tokenizer();
  json["added_tokens"][0]["id"] = 300;
  const auto tokenizer = make(json);
  EXPECT_EQ(tokenizer->vocab_size(), 301);
  EXPECT_TRUE(tokenizer->is_special(300));
  EXPECT_FALSE(tokenizer->is_special(262));
  EXPECT_FALSE(tokenizer->is_special(-1));
  EXPECT_EQ(tokenizer->find("<s>"), 300);
  EXPECT_EQ(tokenizer->find("Ġt"), 261);
  EXPECT_EQ(tokenizer->find("nothing"), std::nullopt);
  for (const std::int32_t id : {-1, 299, 301}) {
    EXPECT_FALSE(tokenizer->has(id)) << id;
    try {
      tokenizer->decode_bytes(Ids{id}, false);
      ADD_FAILURE() << id;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find(std::to_string(id)), std::string::npos);
    }
  }
  EXPECT_TRUE(tokenizer->has(300));
  EXPECT_TRUE(tokenizer->has(0));
}

TEST(TokenizerJson, AddedTokensMatchLeftmostLongest) {
  Json json = small_tokenizer();
  json["added_tokens"] = {{{"id", 270}, {"content", "<a>"}},
                          {{"id", 271}, {"content", "<a><b>"}},
                          {{"id", 272}, {"content", "a><"}}};
  EXPECT_EQ(encode(json, "<a><a><b>"), (Ids{270, 271}));
  EXPECT_EQ(encode(json, "a><"), (Ids{272}));
}

TEST(TokenizerJson, AddedTokensStripAndStandAlone) {
  Json json = small_tokenizer();
  json["added_tokens"] = {{{"id", 270}, {"content", "<l>"}, {"lstrip", true}},
                          {{"id", 271}, {"content", "<r>"}, {"rstrip", true}},
                          {{"id", 272}, {"content", "cat"}, {"single_word", true}}};
  EXPECT_EQ(encode(json, "x \n<l> y"), (Ids{'x', 270, ' ', 'y'}));
  EXPECT_EQ(encode(json, "x <r>\u3000 y"), (Ids{'x', ' ', 271, 'y'}));
  EXPECT_EQ(encode(json, "cat catx-cat"), (Ids{272, ' ', 'c', 'a', 't', 'x', '-', 272}));
}

TEST(TokenizerJson, NormalizedTokensMatchNormalizedText) {
  Json json = small_tokenizer();
  json["normalizer"] = {{"type", "NFC"}};
  json["added_tokens"] = {{{"id", 270}, {"content", "e\u0301!"}, {"normalized", true}},
                          {{"id", 271}, {"content", "o\u0301!"}, {"normalized", false}}};
  EXPECT_EQ(encode(json, "e\u0301!"), (Ids{270}));
  EXPECT_EQ(encode(json, "\u00e9!"), (Ids{270}));
  EXPECT_EQ(encode(json, "o\u0301!"), (Ids{271}));
  EXPECT_EQ(encode(json, "\u00f3!"), (Ids{0xC3, 0xB3, '!'}));
  EXPECT_EQ(encode(json, "u\u0308"), (Ids{0xC3, 0xBC}));
}

TEST(TokenizerJson, AddsAPrefixSpace) {
  Json json = small_tokenizer();
  json["pre_tokenizer"]["add_prefix_space"] = true;
  EXPECT_EQ(encode(json, "t"), (Ids{261}));
  EXPECT_EQ(encode(json, " t"), (Ids{261}));
  EXPECT_EQ(encode(json, "t<s>t"), (Ids{261, 262, 261}));
}

Json special_piece(const char* name) {
  return {{"SpecialToken", {{"id", name}, {"type_id", 0}}}};
}

/// A TemplateProcessing with the text between two tokens.
Json around_text(const Json& before, const Json& after) {
  return {{"type", "TemplateProcessing"},
          {"single", {before, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}, after}},
          {"special_tokens",
           {{"<s>", {{"id", "<s>"}, {"ids", {262}}, {"tokens", {"<s>"}}}},
            {"two", {{"id", "two"}, {"ids", {1, 2}}, {"tokens", {"a", "b"}}}}}}};
}

TEST(TokenizerJson, PostProcessorsTellWhatSurroundsAText) {
  Json json = small_tokenizer();
  const auto surrounding = [&] { return make(json)->surrounding(); };
  EXPECT_TRUE(surrounding().before.empty());
  json["post_processor"] = around_text(special_piece("<s>"), special_piece("two"));
  EXPECT_EQ(surrounding().before, (Ids{262}));
  EXPECT_EQ(surrounding().after, (Ids{1, 2}));
  EXPECT_EQ(encode(json, "x"), (Ids{'x'})) << "encode() itself adds nothing";
  // As `tokenizers` does: a later processor's tokens lie outside.
  json["post_processor"] = {
      {"type", "Sequence"},
      {"processors",
       {{{"type", "ByteLevel"}},
        around_text(special_piece("two"), special_piece("<s>")),
        {{"type", "RobertaProcessing"}, {"cls", {"<s>", 262}}, {"sep", {"th", 256}}}}}};
  EXPECT_EQ(surrounding().before, (Ids{262, 1, 2}));
  EXPECT_EQ(surrounding().after, (Ids{262, 256}));
  json["post_processor"] = {{"type", "BertProcessing"}, {"cls", {"a", 97}}, {"sep", {"b", 98}}};
  EXPECT_EQ(surrounding().before, (Ids{97}));
  EXPECT_EQ(surrounding().after, (Ids{98}));
}

TEST(TokenizerJson, DamagedPostProcessorsAreNamed) {
  using enum ErrorCode;
  Json json = small_tokenizer();
  const auto expect = [&](Json processor, std::string_view part, ErrorCode code = kCorruptFile) {
    json["post_processor"] = std::move(processor);
    expect_error(json, code, part);
  };
  expect({{"type", "TemplateProcessing"}, {"single", Json::array()}}, "post_processor.single");
  expect({{"type", "TemplateProcessing"}}, "post_processor.single");
  expect(around_text(special_piece("none"), special_piece("<s>")), "'none' has no ids");
  expect(around_text({{"Sequence", {{"id", "A"}}}}, special_piece("<s>")), "post_processor.single");
  expect(around_text({{"Sequence", {{"id", "B"}}}}, special_piece("<s>")), "post_processor.single");
  expect(around_text(3, special_piece("<s>")), "post_processor.single[0]");
  Json outside = around_text(special_piece("<s>"), special_piece("<s>"));
  outside["special_tokens"]["<s>"]["ids"] = {263};
  expect(outside, "an id in [0, 263)");
  outside["special_tokens"]["<s>"]["ids"] = {-1};
  expect(outside, "found -1");
  expect({{"type", "BertProcessing"}, {"cls", {"a", 97}}}, "post_processor.sep");
  expect({{"type", "BertProcessing"}, {"cls", {"a"}}, {"sep", {"b", 98}}}, "post_processor.cls");
  expect({{"type", "Metaspace"}}, "post_processor.type", kUnsupported);
  Json deep = {{"type", "ByteLevel"}};
  for (int i = 0; i < 20; ++i) deep = {{"type", "Sequence"}, {"processors", Json::array({deep})}};
  expect(deep, "post_processor.processors[0]", kUnsupported);
  // What doubles at each step is stopped.
  Json many = {{"type", "Sequence"}, {"processors", Json::array()}};
  for (int i = 0; i < 200; ++i) {
    many["processors"].push_back(around_text(special_piece("two"), special_piece("two")));
  }
  expect(many, "at most 256 tokens");
}

TEST(TokenizerJson, AnswersALimitBeforeTheWork) {
  const auto tokenizer = make(small_tokenizer());
  const auto expect_refused = [&](const std::string& text, std::size_t most, const char* part) {
    try {
      tokenizer->encode(text, most);
      ADD_FAILURE() << "no error for " << text.substr(0, 20);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  // The longest token with "aa" has four bytes, so 800,000 make at least 200,000 tokens.
  expect_refused(std::string(800'000, 'a'), 100, "at least 200000 tokens; at most 100 fit");
  expect_refused(std::string(4000, 'x'), 3999, "at least 4000 tokens");
  expect_refused("<s><s><s>", 2, "at least 3 tokens");
  expect_refused("the<s>x", 2, "at least 3 tokens");
  // What fits is never refused.
  for (const char* text : {"", "x", "the the aaaa aaaaa <s> \xc3\xa9", "aaaaaaaa", "thethe"}) {
    const Ids ids = tokenizer->encode(text);
    EXPECT_EQ(tokenizer->encode(text, ids.size()), ids);
    if (!ids.empty()) expect_refused(text, ids.size() - 1, "at most");
  }
}

TEST(TokenizerJson, NamesWhatItDoesNotSupport) {
  const auto changed = [](const char* pointer, Json value) {
    Json json = small_tokenizer();
    json[Json::json_pointer(pointer)] = std::move(value);
    return json;
  };
  using enum ErrorCode;
  const Json byte_level = {{"type", "ByteLevel"}};
  const auto pre_tokenizers = [&](const Json& first) {
    return Json{{"type", "Sequence"}, {"pretokenizers", {first, byte_level}}};
  };
  const auto regex = [&](const char* pattern) {
    return pre_tokenizers({{"type", "Split"},
                           {"pattern", {{"Regex", pattern}}},
                           {"behavior", "Isolated"},
                           {"invert", false}});
  };
  expect_error(changed("/model/type", "WordPiece"), kUnsupported, "'model.type'");
  expect_error(changed("/model/dropout", 0.1), kUnsupported, "'model.dropout'");
  expect_error(changed("/model/byte_fallback", true), kUnsupported, "'model.byte_fallback'");
  expect_error(changed("/model/end_of_word_suffix", "</w>"), kUnsupported, "end_of_word_suffix");
  expect_error(changed("/normalizer", {{"type", "Lowercase"}}), kUnsupported, "'normalizer.type'");
  expect_error(changed("/decoder", nullptr), kUnsupported, "'decoder'");
  expect_error(changed("/pre_tokenizer", nullptr), kUnsupported, "'pre_tokenizer'");
  expect_error(changed("/pre_tokenizer", pre_tokenizers({{"type", "Whitespace"}})), kUnsupported,
               "'pre_tokenizer.pretokenizers[0].type'");
  expect_error(changed("/pre_tokenizer", pre_tokenizers(byte_level)), kUnsupported,
               "no step after ByteLevel");
  expect_error(changed("/post_processor", {{"type", "Metaspace"}}), kUnsupported,
               "'post_processor.type'");
  for (const char* pattern : {"[a&&b]", "[a[b]]", "a(?i)b", "\\h", "(*UTF)a", "(?m:.)", "x{1,2}+",
                              "(?R)", "(", "\\K", "\\C"}) {
    expect_error(changed("/pre_tokenizer", regex(pattern)), kUnsupported, "pattern");
  }
}

TEST(TokenizerJson, NamesWhatIsDamaged) {
  const auto changed = [](const char* pointer, Json value) {
    Json json = small_tokenizer();
    json[Json::json_pointer(pointer)] = std::move(value);
    return json;
  };
  using enum ErrorCode;
  expect_error(Json::array(), kCorruptFile, "(root)");
  expect_error(Json::object(), kCorruptFile, "'model' is missing");
  expect_error(changed("/model/vocab/x", -1), kCorruptFile, "model.vocab");
  expect_error(changed("/model/vocab/xyz", 1LL << 40), kCorruptFile, "model.vocab");
  expect_error(changed("/model/vocab/xyz", 5), kCorruptFile, "has the id 5");
  expect_error(changed("/model/merges/0", "h z"), kCorruptFile, "'model.merges[0]'");
  expect_error(changed("/model/merges/0", "h e l"), kCorruptFile, "'model.merges[0]'");
  expect_error(changed("/model/merges/0", 5), kCorruptFile, "'model.merges[0]'");
  expect_error(changed("/added_tokens/0/content", ""), kCorruptFile, "'added_tokens[0].content'");
  expect_error(changed("/added_tokens/0/content", std::string(2000, 'x')), kCorruptFile,
               "'added_tokens[0].content'");
  expect_error(changed("/added_tokens/0/id", 5), kCorruptFile, "'added_tokens[0]'");
  expect_error(changed("/added_tokens/0/special", "yes"), kCorruptFile, "special");
  EXPECT_THROW(parse_tokenizer_json("{\"model\":", "t"), Error);
  EXPECT_THROW(read_tokenizer_json("/nonexistent/tokenizer.json"), Error);
}

/// Runs `work` and expects it to end well within what a quadratic algorithm would take.
template <typename Work>
void expect_fast(Work work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

TEST(TokenizerJson, LongRunsTakeLittleTime) {
  constexpr std::size_t kBytes = 1 << 20;
  Json json = small_tokenizer();
  json["added_tokens"].push_back({{"id", 270}, {"content", "\n"}, {"rstrip", true}});
  const auto tokenizer = make(json);
  for (const std::string_view unit : {"a", " ", "\n", "the", "\x80", "1 "}) {
    std::string text;
    while (text.size() < kBytes) text += unit;
    expect_fast([&] {
      const Ids ids = tokenizer->encode(text);
      EXPECT_EQ(tokenizer->decode_bytes(ids, false).size() > 0, true);
    });
  }
}

TEST(TokenizerJson, AHostilePatternIsAnErrorRatherThanAHang) {
  Json json = small_tokenizer();
  for (const char* pattern : {"(?:a|a)*[^a]", "(a*)*[^a]", "a*a*a*a*a*a*[^a]"}) {
    json["pre_tokenizer"] = {
        {"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}},
          {{"type", "ByteLevel"}}}}};
    const auto tokenizer = make(json);
    EXPECT_EQ(tokenizer->decode_bytes(tokenizer->encode("aab"), false), " aab");
    expect_fast([&] {
      try {
        tokenizer->encode(std::string(5000, 'a'));
        ADD_FAILURE() << pattern;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << error.what();
      }
    });
  }
}

TEST(TokenizerJson, ShippedTokenizersRoundTrip) {
  for (const char* model : {"llada-nano", "dream-nano"}) {
    const auto tokenizer = read_tokenizer_json(std::filesystem::path(FASTDLLM_SOURCE_DIR) /
                                               "models" / model / "tokenizer.json");
    const std::string text = "Tom has 12 apples.\n\n#### 12<|endoftext|> é 中文 😀\t";
    EXPECT_EQ(tokenizer->decode_bytes(tokenizer->encode(text), false), text);
  }
}

}  // namespace
}  // namespace fdllm
