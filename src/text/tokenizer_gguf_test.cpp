#include "text/tokenizer_gguf.h"

#include <fstream>
#include <functional>
#include <iterator>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "fastdllm/error.h"

namespace fdllm {
namespace {

using Json = nlohmann::json;

const char* const kTexts[] = {
    "Hello world, it's 12345 o'clock!\n\n  \tIndented   text\r\nwith breaks  ",
    "na\xc3\xafve caf\xc3\xa9 \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x98\x80 DON'T 3.14 x<=y",
    "<|endoftext|>Question: 7 + 8 = ?<|im_start|>",
    "",
    " ",
};

std::string read_model_file(const std::string& name) {
  std::ifstream file(FASTDLLM_SOURCE_DIR "/models/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void expect_error(const std::function<void()>& make, ErrorCode code, const std::string& part) {
  try {
    make();
    FAIL() << "expected an error with: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

/// "a", "b", "ab", a control token, a user-defined one and an unused one.
GgufVocabulary small_vocabulary() {
  GgufVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre_tokenizer = "qwen2";
  vocabulary.tokens = {"a", "b", "ab", "<|end|>", "<mine>", "[PAD5]"};
  vocabulary.types = {1, 1, 1, 3, 4, 5};
  vocabulary.merges = {"a b"};
  return vocabulary;
}

TEST(GgufTokenizer, AsTheTokenizerJsonThatItCameFrom) {
  for (const std::string model : {"llada-nano", "dream-nano"}) {
    const std::string json = read_model_file(model + "/tokenizer.json");
    const auto expected = parse_tokenizer_json(json, "tokenizer.json");
    const GgufVocabulary vocabulary =
        read_gguf_vocabulary(parse_tokenizer_document(json, "tokenizer.json"), 600);
    EXPECT_EQ(vocabulary.model, "gpt2");
    EXPECT_EQ(vocabulary.pre_tokenizer, "qwen2");
    EXPECT_FALSE(vocabulary.nfc);
    EXPECT_EQ(vocabulary.tokens.size(), 600u);
    EXPECT_EQ(vocabulary.types.back(), 5);
    EXPECT_EQ(vocabulary.tokens.back(), "[PAD599]");
    const auto found = make_gguf_tokenizer(vocabulary, "model.gguf");
    EXPECT_EQ(found->vocab_size(), expected->vocab_size());
    for (const char* text : kTexts) {
      const auto ids = expected->encode(text);
      EXPECT_EQ(found->encode(text), ids);
      EXPECT_EQ(found->decode_bytes(ids, false), expected->decode_bytes(ids, false));
    }
    for (std::int32_t id = 0; id < expected->vocab_size(); ++id) {
      EXPECT_EQ(found->is_special(id), expected->is_special(id)) << id;
      EXPECT_EQ(found->decode_bytes(std::span(&id, 1), true),
                expected->decode_bytes(std::span(&id, 1), true))
          << id;
    }
  }
}

TEST(GgufTokenizer, KindsOfTokens) {
  const auto tokenizer = make_gguf_tokenizer(small_vocabulary(), "model.gguf");
  EXPECT_EQ(tokenizer->encode("ab<|end|>ba<mine>[PAD5]"),
            (std::vector<std::int32_t>{2, 3, 1, 0, 4}));
  EXPECT_TRUE(tokenizer->is_special(3));
  EXPECT_FALSE(tokenizer->is_special(4));
  EXPECT_EQ(tokenizer->vocab_size(), 5);
  GgufVocabulary without_types = small_vocabulary();
  without_types.types.clear();
  EXPECT_EQ(make_gguf_tokenizer(without_types, "model.gguf")->vocab_size(), 6);
}

TEST(GgufTokenizer, EveryNamedPreTokenizerIsMade) {
  for (const std::string_view name : pre_tokenizer_names()) {
    const std::string json = read_model_file("llada-nano/tokenizer.json");
    const GgufVocabulary vocabulary =
        read_gguf_vocabulary(parse_tokenizer_document(json, "tokenizer.json"), 544, name);
    EXPECT_EQ(vocabulary.pre_tokenizer, name);
    const auto tokenizer = make_gguf_tokenizer(vocabulary, "model.gguf");
    for (const char* text : kTexts) {
      EXPECT_EQ(tokenizer->decode_bytes(tokenizer->encode(text), false), text) << name;
    }
  }
}

TEST(GgufTokenizer, NumbersAreCutAsTheNameSays) {
  // Every run of digits is a token, so the longest pieces win.
  GgufVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.tokens = {"1", "2", "3", "4", "12", "123", "1234", "34"};
  vocabulary.merges = {"1 2", "3 4", "12 3", "123 4"};
  const auto ids = [&](const char* name) {
    vocabulary.pre_tokenizer = name;
    return make_gguf_tokenizer(vocabulary, "model.gguf")->encode("1234");
  };
  using Ids = std::vector<std::int32_t>;
  EXPECT_EQ(ids("qwen2"), (Ids{0, 1, 2, 3}));
  EXPECT_EQ(ids("llada-moe"), (Ids{0, 1, 2, 3}));
  EXPECT_EQ(ids("starcoder"), (Ids{0, 1, 2, 3}));
  EXPECT_EQ(ids("llama-bpe"), (Ids{5, 3})) << "1 to 3 digits; a piece that is a token is taken";
  EXPECT_EQ(ids("gpt-2"), (Ids{4, 7})) << "one piece, merged by rank";
  EXPECT_EQ(ids("default"), (Ids{5, 3})) << "three digits at a time";
}

TEST(GgufTokenizer, Normalization) {
  GgufVocabulary vocabulary = small_vocabulary();
  vocabulary.tokens.insert(vocabulary.tokens.end(), {"\xc3\x83", "\xc2\xa9", "\xc3\x83\xc2\xa9"});
  vocabulary.types.insert(vocabulary.types.end(), {1, 1, 1});
  vocabulary.merges.emplace_back("\xc3\x83 \xc2\xa9");
  vocabulary.nfc = true;
  EXPECT_EQ(make_gguf_tokenizer(vocabulary, "model.gguf")->encode("e\xcc\x81"),
            std::vector<std::int32_t>{8});
}

TEST(GgufTokenizer, DamagedVocabularies) {
  const auto with = [](const std::function<void(GgufVocabulary&)>& change) {
    return [change] {
      GgufVocabulary vocabulary = small_vocabulary();
      change(vocabulary);
      make_gguf_tokenizer(vocabulary, "model.gguf");
    };
  };
  expect_error(with([](auto& v) { v.model = "llama"; }), ErrorCode::kUnsupported,
               "model.gguf: 'tokenizer.ggml.model': expected 'gpt2'");
  expect_error(with([](auto& v) { v.pre_tokenizer = "martian"; }), ErrorCode::kUnsupported,
               "model.gguf: 'tokenizer.ggml.pre': expected");
  expect_error(with([](auto& v) { v.types.pop_back(); }), ErrorCode::kCorruptFile,
               "expected 6 types");
  expect_error(with([](auto& v) { v.types[2] = 7; }), ErrorCode::kCorruptFile,
               "expected a type from 1 to 6, found 7 for token 2");
  expect_error(with([](auto& v) { v.tokens[1] = "a"; }), ErrorCode::kCorruptFile, "comes twice");
  expect_error(with([](auto& v) { v.tokens[4] = "<|end|>"; }), ErrorCode::kCorruptFile,
               "'<|end|>'");
  expect_error(with([](auto& v) { v.merges[0] = "a c"; }), ErrorCode::kCorruptFile, "merges[0]");
  expect_error(with([](auto& v) { v.merges[0] = "ab"; }), ErrorCode::kCorruptFile, "merges[0]");
  expect_error(with([](auto& v) { v.tokens.clear(), v.types.clear(); }), ErrorCode::kCorruptFile,
               "model.vocab");
}

TEST(GgufVocabularyOfJson, PreTokenizersWithoutANameAreRefused) {
  Json root = Json::parse(read_model_file("llada-nano/tokenizer.json"));
  const auto read = [&] {
    read_gguf_vocabulary(parse_tokenizer_document(root.dump(), "tokenizer.json"), 544);
  };
  root["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "\\p{L}+|.";
  expect_error(read, ErrorCode::kUnsupported, "expected one for which GGUF has a name (qwen2");
  root["pre_tokenizer"] = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", nullptr}};
  EXPECT_EQ(read_gguf_vocabulary(parse_tokenizer_document(root.dump(), "t"), 544).pre_tokenizer,
            "gpt-2");
  root["pre_tokenizer"]["add_prefix_space"] = true;
  expect_error(read, ErrorCode::kUnsupported, "expected one for which GGUF has a name");
}

TEST(GgufVocabularyOfJson, SizeAndNormalizer) {
  Json root = Json::parse(read_model_file("llada-nano/tokenizer.json"));
  expect_error(
      [&] { read_gguf_vocabulary(parse_tokenizer_document(root.dump(), "tokenizer.json"), 543); },
      ErrorCode::kCorruptFile, "its largest token id is 543");
  root["normalizer"] = {{"type", "NFC"}};
  EXPECT_TRUE(
      read_gguf_vocabulary(parse_tokenizer_document(root.dump(), "tokenizer.json"), 544).nfc);
}

}  // namespace
}  // namespace fdllm
