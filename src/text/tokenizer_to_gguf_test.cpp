#include "text/tokenizer_to_gguf.h"

#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "fastdllm/error.h"

#include "text/gguf_pre_tokenizers.h"

namespace fdllm {
namespace {

using Json = nlohmann::json;

const char* const kTexts[] = {
    "Hello world, it's 12345 o'clock!\n\n  \tIndented   text\r\nwith breaks  ",
    "na\xc3\xafve caf\xc3\xa9 \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x98\x80 DON'T 3.14 x<=y",
    "<|endoftext|>Question: 7 + 8 = ?<|im_start|>",
    "1234567 12 3.14159, 1,000,000 and \xd9\xa3\xd9\xa3\xd9\xa3\xd9\xa3",
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

TokenizerDocument document_of(const std::string& model) {
  return parse_tokenizer_document(read_model_file(model + "/tokenizer.json"), "tokenizer.json");
}

void expect_same_tokens(const GgufVocabulary& vocabulary, const TokenizerDocument& document) {
  const auto expected = make_tokenizer(document);
  const auto found = make_gguf_tokenizer(vocabulary, "model.gguf");
  EXPECT_EQ(found->vocab_size(), expected->vocab_size());
  for (const char* text : kTexts) {
    const auto ids = expected->encode(text);
    EXPECT_EQ(found->encode(text), ids) << text;
    EXPECT_EQ(found->decode_bytes(ids, false), expected->decode_bytes(ids, false));
  }
  for (std::int32_t id = 0; id < expected->vocab_size(); ++id) {
    EXPECT_EQ(found->is_special(id), expected->is_special(id)) << id;
    EXPECT_EQ(found->decode_bytes(std::span(&id, 1), true),
              expected->decode_bytes(std::span(&id, 1), true))
        << id;
  }
  EXPECT_EQ(found->surrounding().before, expected->surrounding().before);
  EXPECT_EQ(found->surrounding().after, expected->surrounding().after);
}

TEST(TokenizerToGguf, ANamedWayNeedsNothingBeside) {
  for (const std::string model : {"llada-nano", "dream-nano"}) {
    const TokenizerDocument document = document_of(model);
    const GgufConversion conversion = convert_vocabulary(document, 600);
    const GgufVocabulary& vocabulary = conversion.vocabulary;
    EXPECT_EQ(vocabulary.model, "gpt2");
    EXPECT_EQ(vocabulary.pre_tokenizer, "qwen2");
    EXPECT_EQ(vocabulary.own, "");
    EXPECT_TRUE(conversion.warnings.empty());
    EXPECT_FALSE(vocabulary.nfc);
    EXPECT_EQ(vocabulary.tokens.size(), 600u);
    EXPECT_EQ(vocabulary.types.back(), 5);
    EXPECT_EQ(vocabulary.tokens.back(), "[PAD599]");
    expect_same_tokens(vocabulary, document);
  }
}

TEST(TokenizerToGguf, PatternsWithoutANameAreKept) {
  for (const std::string model : {"llada-mini", "dream-mini"}) {
    const TokenizerDocument document = document_of(model);
    const GgufConversion conversion = convert_vocabulary(document, 3200);
    // Groups of three digits are llama-bpe's too, but from the left, and words are merged.
    EXPECT_EQ(conversion.vocabulary.pre_tokenizer, "smaug-bpe");
    ASSERT_EQ(conversion.warnings.size(), 1u);
    EXPECT_NE(conversion.warnings[0].find("cuts 123|456|7 where this tokenizer cuts 1|234|567"),
              std::string::npos)
        << conversion.warnings[0];
    EXPECT_LT(conversion.vocabulary.own.size(), 4000u) << "no vocabulary in it";
    expect_same_tokens(conversion.vocabulary, document);
  }
}

TEST(TokenizerToGguf, ANameThatContradictsThePatternsIsWarnedAbout) {
  const TokenizerDocument document = document_of("llada-nano");
  for (const GgufPreTokenizer& known : gguf_pre_tokenizers()) {
    for (const std::string_view name : known.names) {
      const GgufConversion conversion = convert_vocabulary(document, 544, name);
      EXPECT_EQ(conversion.vocabulary.pre_tokenizer, name);
      const bool own_way = known.names.front() == "qwen2";
      EXPECT_EQ(conversion.warnings.size(), own_way ? 0u : 1u) << name;
      EXPECT_EQ(conversion.vocabulary.own.empty(), own_way) << name;
      if (name == known.names.front()) expect_same_tokens(conversion.vocabulary, document);
    }
  }
  const GgufConversion llama = convert_vocabulary(document, 544, "llama-bpe");
  EXPECT_NE(llama.warnings[0].find("cuts 123|456|7 where this tokenizer cuts 1|2|3|4|5|6|7"),
            std::string::npos)
      << llama.warnings[0];
  expect_error([&] { convert_vocabulary(document, 544, "martian"); }, ErrorCode::kUnsupported,
               "--pre-tokenizer");
  // A file's own way is kept likewise, also through a second file.
  const GgufConversion again =
      rename_pre_tokenizer(convert_vocabulary(document, 544).vocabulary, "a.gguf", "llama-bpe");
  EXPECT_EQ(again.warnings, llama.warnings);
  expect_same_tokens(again.vocabulary, document);
  const GgufConversion back = rename_pre_tokenizer(again.vocabulary, "b.gguf", "qwen2");
  EXPECT_TRUE(back.warnings.empty());
  expect_same_tokens(back.vocabulary, document);
}

TEST(TokenizerToGguf, KeepsWhatGgufHasNoWordsFor) {
  TokenizerDocument document = document_of("llada-nano");
  const Json plain = document.root;
  const auto expect_kept = [&] {
    const GgufConversion conversion = convert_vocabulary(document, 600);
    EXPECT_NE(conversion.vocabulary.own, "");
    expect_same_tokens(conversion.vocabulary, document);
    document.root = plain;
    return conversion.vocabulary;
  };
  document.root["added_tokens"][1]["lstrip"] = true;
  expect_kept();
  document.root["post_processor"] = {
      {"type", "BertProcessing"}, {"cls", {"x", 538}}, {"sep", {"y", 539}}};
  EXPECT_EQ(expect_kept().add_bos, true);
  document.root["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = true;
  expect_kept();
  document.root["normalizer"] = {{"type", "NFC"}};
  EXPECT_TRUE(convert_vocabulary(document, 600).vocabulary.nfc);
  document.root = plain;
  // The later of two equal merges counts here, the earlier in GGUF.
  document.root["model"]["merges"].push_back(document.root["model"]["merges"][0]);
  expect_same_tokens(convert_vocabulary(document, 600).vocabulary, document);
}

TEST(TokenizerToGguf, TheSizeMustHoldAllIds) {
  const TokenizerDocument document = document_of("llada-nano");
  expect_error([&] { convert_vocabulary(document, 543); }, ErrorCode::kCorruptFile,
               "its largest token id is 543");
}

}  // namespace
}  // namespace fdllm
