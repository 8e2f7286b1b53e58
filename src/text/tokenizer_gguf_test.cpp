#include "text/tokenizer_gguf.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "text/byte_level.h"

namespace fdllm {
namespace {

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

/// Every byte with its own id, then words; all but the last of them can be merged.
GgufVocabulary words(const char* pre_tokenizer) {
  GgufVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre_tokenizer = pre_tokenizer;
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    vocabulary.tokens.push_back(spell_bytes({&c, 1}));
  }
  vocabulary.tokens.insert(vocabulary.tokens.end(), {"12", "123", "th", "\xc4\xa0t", "word"});
  vocabulary.merges = {"1 2", "12 3", "t h", "\xc4\xa0 t"};
  return vocabulary;
}

using Ids = std::vector<std::int32_t>;

TEST(GgufTokenizer, OnlySomeNamesTakeAWordWithoutMerges) {
  // As llama.cpp's tokenizer gives them (0.3.36 and later): "word" has no merges.
  const auto ids = [](const char* name) {
    return make_gguf_tokenizer(words(name), "model.gguf")->encode("word 123");
  };
  for (const char* name : {"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral",
                           "midm-2.0", "lfm2", "jina-v5-nano"}) {
    EXPECT_EQ(ids(name), (Ids{260, ' ', 257})) << name;
  }
  for (const char* name : {"smaug-bpe", "dbrx", "chatglm-bpe", "gpt-2", "default"}) {
    EXPECT_EQ(ids(name), (Ids{'w', 'o', 'r', 'd', ' ', 257})) << name;
  }
  for (const char* name : {"qwen2", "starcoder", "llada-moe", "qwen35", "megrez", "kormo"}) {
    EXPECT_EQ(ids(name), (Ids{'w', 'o', 'r', 'd', ' ', '1', '2', '3'})) << name;
  }
  // "default" cuts with GPT-2's pattern before it looks for numbers.
  EXPECT_EQ(make_gguf_tokenizer(words("default"), "f")->encode("x  12345"),
            (Ids{'x', ' ', ' ', 257, '4', '5'}));
}

TEST(GgufTokenizer, UndefinedTokensAreWords) {
  GgufVocabulary vocabulary = words("qwen2");
  vocabulary.types.assign(vocabulary.tokens.size(), 0);
  const auto tokenizer = make_gguf_tokenizer(vocabulary, "model.gguf");
  EXPECT_EQ(tokenizer->encode("th 12"), (Ids{258, ' ', '1', '2'}));
  EXPECT_EQ(tokenizer->decode_bytes(Ids{258}, true), "th");
  EXPECT_FALSE(tokenizer->is_special(258));
}

TEST(GgufTokenizer, MergesMakeTokensOfAnyKind) {
  for (const std::int64_t type : {2, 3, 4, 5, 6}) {
    GgufVocabulary vocabulary = words("gpt-2");
    vocabulary.types.assign(vocabulary.tokens.size(), 1);
    vocabulary.types[258] = type;  // "th"
    const auto tokenizer = make_gguf_tokenizer(vocabulary, "model.gguf");
    EXPECT_EQ(tokenizer->encode("th"), (Ids{258})) << type;
    EXPECT_EQ(tokenizer->is_special(258), type == 2 || type == 3);
  }
}

TEST(GgufTokenizer, SomeTextsAreControlTokensWhateverTheirType) {
  GgufVocabulary vocabulary = words("qwen2");
  vocabulary.tokens.emplace_back("<|im_end|>");
  vocabulary.tokens.emplace_back("");
  vocabulary.tokens.emplace_back("");
  vocabulary.types.assign(vocabulary.tokens.size(), 1);
  const auto tokenizer = make_gguf_tokenizer(vocabulary, "model.gguf");
  EXPECT_EQ(tokenizer->encode("x<|im_end|>"), (Ids{'x', 261}));
  EXPECT_TRUE(tokenizer->is_special(261));
  EXPECT_FALSE(tokenizer->has(262)) << "an empty text is no token";
}

TEST(GgufTokenizer, OfAPairThatComesTwiceTheFirstCounts) {
  GgufVocabulary vocabulary = words("gpt-2");
  vocabulary.tokens.emplace_back("23");
  vocabulary.merges = {"2 3", "1 2", "12 3", "2 3"};
  EXPECT_EQ(make_gguf_tokenizer(vocabulary, "model.gguf")->encode("123"), (Ids{'1', 261}));
}

TEST(GgufTokenizer, BosAndEosAsLlamaCpp) {
  GgufVocabulary vocabulary = words("qwen2");
  const auto surrounding = [&] { return make_gguf_tokenizer(vocabulary, "f")->surrounding(); };
  vocabulary.bos = 1;
  vocabulary.eos = 2;
  EXPECT_TRUE(surrounding().before.empty());
  vocabulary.add_bos = vocabulary.add_eos = true;
  EXPECT_EQ(surrounding().before, (Ids{1}));
  EXPECT_EQ(surrounding().after, (Ids{2}));
  // Llama 3's names have a BOS where the file says nothing.
  vocabulary.pre_tokenizer = "llama-bpe";
  vocabulary.add_bos = vocabulary.add_eos = std::nullopt;
  EXPECT_EQ(surrounding().before, (Ids{1}));
  EXPECT_TRUE(surrounding().after.empty());
  vocabulary.add_bos = false;
  EXPECT_TRUE(surrounding().before.empty());
  vocabulary.add_bos = true;
  vocabulary.bos = std::nullopt;
  EXPECT_TRUE(surrounding().before.empty());
  vocabulary.bos = 9999;
  expect_error([&] { surrounding(); }, ErrorCode::kCorruptFile, "'tokenizer.ggml.bos_token_id'");
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
               "expected a type from 0 to 6, found 7 for token 2");
  expect_error(with([](auto& v) { v.tokens[1] = "a"; }), ErrorCode::kCorruptFile, "comes twice");
  expect_error(with([](auto& v) { v.tokens[4] = "<|end|>"; }), ErrorCode::kCorruptFile,
               "'<|end|>'");
  expect_error(with([](auto& v) { v.merges[0] = "a c"; }), ErrorCode::kCorruptFile, "merges[0]");
  expect_error(with([](auto& v) { v.merges[0] = "ab"; }), ErrorCode::kCorruptFile, "merges[0]");
  expect_error(with([](auto& v) { v.own = "{"; }), ErrorCode::kCorruptFile,
               "model.gguf: 'tokenizer.fastdllm.tokenizer'");
  expect_error(with([](auto& v) { v.own = "[]"; }), ErrorCode::kCorruptFile, "an object");
  expect_error(with([](auto& v) { v.own = R"({"model": 3})"; }), ErrorCode::kCorruptFile,
               "an object");
  expect_error(with([](auto& v) { v.own = R"({"model": {}})"; }), ErrorCode::kUnsupported,
               "'tokenizer.fastdllm.tokenizer': 'pre_tokenizer'");
  expect_error(with([](auto& v) { v.tokens.clear(), v.types.clear(); }), ErrorCode::kCorruptFile,
               "model.vocab");
}

}  // namespace
}  // namespace fdllm
