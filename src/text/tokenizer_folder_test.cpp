#include "text/tokenizer_folder.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "fastdllm/error.h"

#include "text/byte_level.h"

namespace fdllm {
namespace {

using Json = nlohmann::json;
using Ids = std::vector<std::int32_t>;

/// A folder that is gone with the test.
class Folder {
 public:
  Folder() {
    static int number = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("fdllm-tokenizer-" + std::to_string(getpid()) + "-" + std::to_string(number++));
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  Folder& write(const char* name, std::string_view text) {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return *this;
  }
  Folder& write_json(const char* name, const Json& json) { return write(name, json.dump()); }
  Folder& remove(const char* name) {
    std::filesystem::remove(path_ / name);
    return *this;
  }
  std::unique_ptr<Tokenizer> read() const { return read_folder_tokenizer(path_); }
  Ids encode(std::string_view text) const { return read()->encode(text); }

  void expect_error(ErrorCode code, std::string_view part) const {
    try {
      read();
      ADD_FAILURE() << "no error for " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_NE(std::string_view(error.what()).find(part), std::string_view::npos) << error.what();
    }
  }

 private:
  std::filesystem::path path_;
};

/// All bytes (id = byte value), "12" 256, "th" 257, " t" 258, "é" 259.
Json vocabulary() {
  Json vocab;
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    vocab[spell_bytes({&c, 1})] = byte;
  }
  vocab.update({{"12", 256}, {"th", 257}, {"Ġt", 258}, {spell_bytes("\xc3\xa9"), 259}});
  return vocab;
}

constexpr char kMerges[] = "#version: 0.2\n1 2\nt h\nĠ t\nÃ ©\n";

Json token(const char* content, Json changes = Json::object()) {
  Json object = {{"content", content}, {"lstrip", false},      {"normalized", false},
                 {"rstrip", false},    {"single_word", false}, {"special", true}};
  object.update(changes);
  return object;
}

/// As Dream's published folders have it.
Json dream_config() {
  return {{"add_prefix_space", false},
          {"added_tokens_decoder", {{"260", token("<|endoftext|>")}, {"261", token("<|mask|>")}}},
          {"additional_special_tokens", {"<|mask|>"}},
          {"auto_map", {{"AutoTokenizer", {"tokenization_dream.DreamTokenizer", nullptr}}}},
          {"bos_token", nullptr},
          {"eos_token", "<|endoftext|>"},
          {"errors", "replace"},
          {"mask_token", "<|mask|>"},
          {"pad_token", "<|endoftext|>"},
          {"tokenizer_class", "DreamTokenizer"},
          {"unk_token", nullptr}};
}

/// Makes a folder without tokenizer.json.
void fill(Folder& folder, const Json& config = dream_config()) {
  folder.write_json("vocab.json", vocabulary())
      .write("merges.txt", std::string_view(kMerges))
      .write_json("tokenizer_config.json", config);
}

TEST(TokenizerFolder, ReadsVocabularyAndMergesByTheClass) {
  Folder folder;
  fill(folder);
  const auto dream = folder.read();
  EXPECT_EQ(dream->vocab_size(), 262);
  // Qwen2's pattern has each digit alone, and text is composed first.
  EXPECT_EQ(dream->encode("12 th"), (Ids{'1', '2', ' ', 257}));
  EXPECT_EQ(dream->encode("e\xcc\x81"), (Ids{259}));
  EXPECT_EQ(dream->encode("a<|mask|>th<|endoftext|>"), (Ids{'a', 261, 257, 260}));
  EXPECT_TRUE(dream->is_special(260));
  EXPECT_TRUE(dream->is_special(261));
  EXPECT_EQ(dream->decode_bytes(Ids{257, 261, 259}, true), "th\xc3\xa9");
  Json config = dream_config();
  for (const char* name : {"Qwen2Tokenizer", "Qwen2TokenizerFast"}) {
    config["tokenizer_class"] = name;
    fill(folder, config);
    EXPECT_EQ(folder.encode("12"), (Ids{'1', '2'})) << name;
  }
  config.erase("auto_map");
  for (const char* name : {"GPT2Tokenizer", "GPT2TokenizerFast"}) {
    config["tokenizer_class"] = name;
    fill(folder, config);
    EXPECT_EQ(folder.encode("12"), (Ids{256})) << name;
    EXPECT_EQ(folder.encode("e\xcc\x81"), (Ids{'e', 0xcc, 0x81})) << name;
  }
  config["add_prefix_space"] = true;
  fill(folder, config);
  EXPECT_EQ(folder.encode("th"), (Ids{' ', 257}));
}

TEST(TokenizerFolder, FindsTheClassWhereverItStands) {
  Folder folder;
  Json config = dream_config();
  config.erase("tokenizer_class");
  fill(folder, config);
  EXPECT_EQ(folder.encode("12"), (Ids{'1', '2'})) << "auto_map";
  config["auto_map"]["AutoTokenizer"] = "Dream-org/Dream-v0--tokenization_dream.DreamTokenizer";
  fill(folder, config);
  EXPECT_EQ(folder.encode("12"), (Ids{'1', '2'})) << "a name";
  config.erase("auto_map");
  fill(folder, config);
  folder.expect_error(ErrorCode::kUnsupported, "'tokenizer_class': expected Qwen2Tokenizer");
  folder.write_json("config.json", Json{{"model_type", "Dream"}});
  EXPECT_EQ(folder.encode("12"), (Ids{'1', '2'})) << "model_type";
  folder.write_json("config.json", Json{{"model_type", "x"}, {"tokenizer_class", "GPT2Tokenizer"}});
  EXPECT_EQ(folder.encode("12"), (Ids{256})) << "config.json";
  folder.remove("tokenizer_config.json");
  EXPECT_EQ(folder.encode("12"), (Ids{256})) << "without tokenizer_config.json";
  for (const char* name : {"LlamaTokenizer", "PreTrainedTokenizerFast", "BertTokenizerFast"}) {
    folder.write_json("tokenizer_config.json", Json{{"tokenizer_class", name}});
    folder.write_json("config.json", Json::object());
    folder.expect_error(ErrorCode::kUnsupported, name);
  }
}

TEST(TokenizerFolder, ReadsMergesAsTransformersDoes) {
  Folder folder;
  fill(folder);
  const Ids expected = folder.encode("th 12 \xc3\xa9");
  for (const char* merges : {"#version: 0.2\r\n1 2\r\nt h\r\nĠ t\r\nÃ ©\r\n", "1 2\nt h\nĠ t\nÃ ©",
                             "#version: 0.2\n\n1 2 \n \nt h\nĠ t\nÃ ©\n\n",
                             "\xef\xbb\xbf#version: 0.2\n1 2\nt h\nĠ t\nÃ ©\n"}) {
    folder.write("merges.txt", std::string_view(merges));
    EXPECT_EQ(folder.encode("th 12 \xc3\xa9"), expected) << merges;
  }
}

TEST(TokenizerFolder, NamesFileAndLineOfDamage) {
  using enum ErrorCode;
  Folder folder;
  fill(folder);
  const auto merges = [&](std::string_view text, std::string_view part) {
    folder.write("merges.txt", text);
    folder.expect_error(kCorruptFile, part);
    folder.write("merges.txt", std::string_view(kMerges));
  };
  merges("#version: 0.2\n1 2\n\nt\n", "merges.txt: line 4: expected two tokens");
  merges("1 2\nt h x\n", "merges.txt: line 2: expected two tokens");
  merges("1 2\nt q\n", "merges.txt: line 2: 't', 'q' or their concatenation is not in the");
  merges("1 2\nt none\n", "merges.txt: line 2:");
  merges("1 2\nt \xff\n", "merges.txt: line 2: not valid UTF-8");
  merges("", "merges.txt");
  folder.remove("merges.txt");
  folder.expect_error(kNotFound, "merges.txt");
  folder.write("merges.txt", std::string_view(kMerges));
  const auto vocab = [&](std::string_view text, std::string_view part) {
    folder.write("vocab.json", text);
    folder.expect_error(kCorruptFile, part);
    folder.write_json("vocab.json", vocabulary());
  };
  vocab("[1]", "vocab.json: expected an object");
  vocab("{}", "vocab.json");
  vocab("{\"a\": -1}", "vocab.json: 'a': expected an id in [0, 4194304), found -1");
  vocab("{\"a\": 4194304}", "vocab.json: 'a'");
  vocab("{\"a\": 1e3}", "vocab.json: 'a'");
  vocab("{\"a\": 18446744073709551615}", "vocab.json: 'a'");
  vocab("{\"a\": \"1\"}", "vocab.json: 'a'");
  vocab("{\"a\": 1, \"b\": 1}", "vocab.json: '(root)': 'b' has the id 1 of another token");
  vocab("{\"a\": 1", "vocab.json: byte");
  vocab("{\"\xff\": 1}", "vocab.json");
  folder.remove("vocab.json");
  folder.expect_error(kNotFound, "expected tokenizer.json, or vocab.json and merges.txt");
  folder.write("tokenizer.model", std::string_view("x"));
  folder.expect_error(kNotFound, "SentencePiece");
}

TEST(TokenizerFolder, OlderFoldersHaveAddedTokensInFilesOfTheirOwn) {
  Folder folder;
  Json config = dream_config();
  config.erase("added_tokens_decoder");
  config["mask_token"] = "<ignored>";
  fill(folder, config);
  folder.write_json("added_tokens.json",
                    Json{{"<|endoftext|>", 260}, {"<|mask|>", 261}, {"<plain>", 262}});
  folder.write_json("special_tokens_map.json",
                    Json{{"mask_token", token("<|mask|>", {{"rstrip", true}})},
                         {"additional_special_tokens", {"<new>", {{"content", "<newer>"}}}}});
  const auto tokenizer = folder.read();
  EXPECT_EQ(tokenizer->find("<|mask|>"), 261);
  EXPECT_TRUE(tokenizer->is_special(261));
  EXPECT_EQ(tokenizer->find("<plain>"), 262);
  EXPECT_FALSE(tokenizer->is_special(262));
  // Special tokens without an id get the next ones.
  EXPECT_EQ(tokenizer->find("<new>"), 263);
  EXPECT_EQ(tokenizer->find("<newer>"), 264);
  EXPECT_TRUE(tokenizer->is_special(264));
  EXPECT_EQ(tokenizer->find("<ignored>"), std::nullopt) << "the map's mask token is in force";
  EXPECT_EQ(tokenizer->encode("<plain><new>"), (Ids{262, 263}));

  // With a decoder both files say nothing.
  fill(folder);
  EXPECT_EQ(folder.read()->vocab_size(), 262);
}

TEST(TokenizerFolder, AddedTokensKeepTheirFlags) {
  Folder folder;
  Json config = dream_config();
  Json& tokens = config["added_tokens_decoder"];
  tokens["262"] = token("<left>", {{"lstrip", true}});
  tokens["263"] = token("<right>", {{"rstrip", true}});
  tokens["264"] = token("<word>", {{"single_word", true}});
  tokens["265"] = {{"content", "<e\xcc\x81>"}};
  tokens["266"] = token("<tool>", {{"special", false}});
  fill(folder, config);
  const auto tokenizer = folder.read();
  EXPECT_EQ(tokenizer->encode("a <left> b"), (Ids{'a', 262, ' ', 'b'}));
  EXPECT_EQ(tokenizer->encode("a <right> b"), (Ids{'a', ' ', 263, 'b'}));
  EXPECT_EQ(tokenizer->encode("a<word>").front(), 'a');
  EXPECT_EQ(tokenizer->encode("a<word>").size(), 7u);
  EXPECT_EQ(tokenizer->encode("-<word>"), (Ids{'-', 264}));
  EXPECT_EQ(tokenizer->encode("<\xc3\xa9>"), (Ids{265})) << "normalized where it isn't special";
  EXPECT_FALSE(tokenizer->is_special(265));
  EXPECT_FALSE(tokenizer->is_special(266));
  // A named token is special whatever its entry says.
  config["cls_token"] = "<tool>";
  config["sep_token"] = "th";
  fill(folder, config);
  EXPECT_TRUE(folder.read()->is_special(266));
  EXPECT_TRUE(folder.read()->is_special(257)) << "one of the vocabulary keeps its id";
}

TEST(TokenizerFolder, NamesDamagedAddedTokens) {
  using enum ErrorCode;
  Folder folder;
  const auto expect = [&](const char* pointer, Json value, std::string_view part) {
    Json config = dream_config();
    config[Json::json_pointer(pointer)] = std::move(value);
    fill(folder, config);
    folder.expect_error(kCorruptFile, part);
  };
  const std::string decoder = "tokenizer_config.json: 'added_tokens_decoder";
  expect("/added_tokens_decoder", Json::array(), decoder);
  for (const char* id : {"-1", "x", "", "4194304", "99999999999999999999", "1.5", " 5"}) {
    expect((std::string("/added_tokens_decoder/") + id).c_str(), token("<x>"),
           decoder + "." + id + "': expected an id in [0, 4194304)");
  }
  expect("/added_tokens_decoder/262", "<x>", decoder + ".262': expected an object");
  expect("/added_tokens_decoder/262", Json::object(), "added_tokens_decoder.262.content");
  expect("/added_tokens_decoder/262", token("<|mask|>"), "another added token has this text");
  expect("/added_tokens_decoder/0262", token("<|mask|>"), "another added token has this text");
  expect("/added_tokens_decoder/0261", token("<x>"), "another added token has this id");
  expect("/added_tokens_decoder/262", token("<x>", {{"lstrip", 1}}), "262.lstrip");
  expect("/added_tokens_decoder/262", token("th"),
         "tokenizer_config.json: 'added_tokens_decoder.262': token 'th' with id 262 contradicts");
  expect("/added_tokens_decoder/5", token("<x>"), "added_tokens_decoder.5");
  expect("/added_tokens_decoder/262", token(std::string(2000, 'x').c_str()), "content");
  expect("/eos_token", 5, "tokenizer_config.json: 'eos_token'");
  expect("/additional_special_tokens", "x", "additional_special_tokens");
  expect("/additional_special_tokens", {5}, "additional_special_tokens[0]");
  expect("/add_prefix_space", "x", "add_prefix_space");
  fill(folder);
  folder.write_json("tokenizer_config.json", Json::array());
  folder.expect_error(kCorruptFile, "tokenizer_config.json: expected a JSON object");
  Json config = dream_config();
  config.erase("added_tokens_decoder");
  fill(folder, config);
  folder.write_json("added_tokens.json", Json{{"<x>", -3}});
  folder.expect_error(kCorruptFile, "added_tokens.json: '<x>': expected an id");
  folder.write_json("added_tokens.json", Json{{"<x>", 300}, {"<y>", 300}});
  folder.expect_error(kCorruptFile, "added_tokens.json: '<y>'");
}

TEST(TokenizerFolder, BosAndEosAsTheFilesAsk) {
  Folder folder;
  Json config = dream_config();
  config["add_bos_token"] = true;
  fill(folder, config);
  EXPECT_TRUE(folder.read()->surrounding().before.empty()) << "no BOS token is named";
  config["bos_token"] = token("<|mask|>");
  config["add_eos_token"] = true;
  fill(folder, config);
  EXPECT_EQ(folder.read()->surrounding().before, (Ids{261}));
  EXPECT_EQ(folder.read()->surrounding().after, (Ids{260}));
  EXPECT_EQ(folder.encode("a"), (Ids{'a'}));

  // Beside a tokenizer.json they are added to what its post-processor adds, once.
  Json json = {
      {"model", {{"type", "BPE"}, {"vocab", vocabulary()}, {"merges", Json::array()}}},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
      {"added_tokens",
       {{{"id", 260}, {"content", "<|endoftext|>"}}, {{"id", 261}, {"content", "<|mask|>"}}}},
      {"decoder", {{"type", "ByteLevel"}}}};
  folder.write_json("tokenizer.json", json);
  EXPECT_EQ(folder.read()->surrounding().before, (Ids{261}));
  EXPECT_EQ(folder.read()->surrounding().after, (Ids{260}));
  json["post_processor"] = {
      {"type", "BertProcessing"}, {"cls", {"<|mask|>", 261}}, {"sep", {"x", 120}}};
  folder.write_json("tokenizer.json", json);
  EXPECT_EQ(folder.read()->surrounding().before, (Ids{261}));
  EXPECT_EQ(folder.read()->surrounding().after, (Ids{120, 260}));
  // What tokenizer.json adds stays: `add_bos_token: false` takes nothing away, as in transformers.
  config["add_bos_token"] = false;
  config["add_eos_token"] = nullptr;
  folder.write_json("tokenizer_config.json", config);
  EXPECT_EQ(folder.read()->surrounding().before, (Ids{261}));
  EXPECT_EQ(folder.read()->surrounding().after, (Ids{120}));

  config["add_bos_token"] = true;
  config["bos_token"] = "<none>";
  folder.write_json("tokenizer_config.json", config);
  folder.expect_error(ErrorCode::kCorruptFile, "'add_bos_token' asks for '<none>'");
  config["add_bos_token"] = 1;
  folder.write_json("tokenizer_config.json", config);
  folder.expect_error(ErrorCode::kCorruptFile, "'add_bos_token': expected true or false");
}

}  // namespace
}  // namespace fdllm
