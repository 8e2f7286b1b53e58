#include "engine/convert.h"

#include <cmath>
#include <fstream>
#include <random>

#include <gtest/gtest.h>
#include <unistd.h>

#include "fastdllm/engine.h"

#include "engine/open_text.h"
#include "engine/requantize.h"
#include "formats/checkpoint.h"
#include "formats/gguf_writer.h"
#include "quant/row.h"

namespace fdllm {
namespace {

namespace fs = std::filesystem;

const char* const kModels[] = {"llada-nano", "dream-nano"};

fs::path shipped(const std::string& name) {
  return fs::path(FASTDLLM_SOURCE_DIR) / "models" / name;
}

class Convert : public testing::Test {
 protected:
  Convert() {
    std::string name = (fs::temp_directory_path() / "fdllm-convert-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    folder_ = name;
  }
  ~Convert() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  fs::path convert(const fs::path& input, DType type, const std::string& name = "out.gguf") {
    report_ = convert_to_gguf(input, folder_ / name, {.type = type, .threads = 2});
    return folder_ / name;
  }

  fs::path folder_;
  ConvertReport report_;
};

Engine load(const fs::path& path, WeightType weights) {
  EngineOptions options;
  options.weights = weights;
  options.threads = 2;
  return Engine::load(path, options);
}

std::vector<std::int32_t> some_canvas(const Engine& engine) {
  std::vector<std::int32_t> canvas = engine.tokenize("Sam has 18 rocks and Olga has 8 more. ");
  canvas.resize(canvas.size() + 16, engine.info().mask_token);
  return canvas;
}

double relative_error(const std::vector<float>& expected, const std::vector<float>& found) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    error += std::pow(double{found[i]} - double{expected[i]}, 2);
    size += std::pow(double{expected[i]}, 2);
  }
  return std::sqrt(error / size);
}

std::vector<float> values_of(const TensorView& tensor) {
  std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
  decode_row(tensor.dtype, tensor.data, values);
  return values;
}

TEST_F(Convert, ExactTypesGiveTheSameBits) {
  for (const char* name : kModels) {
    Engine original = load(shipped(name), WeightType::kF32);
    const auto canvas = some_canvas(original);
    const auto expected = original.logits({.canvas = canvas});
    // The shipped weights are BF16 and small enough for F16's range but not for all its steps.
    for (const DType type : {DType::kF32, DType::kBF16}) {
      Engine converted = load(convert(shipped(name), type), WeightType::kF32);
      EXPECT_EQ(converted.logits({.canvas = canvas}), expected) << name << " " << name_of(type);
      EXPECT_TRUE(report_.fallbacks.empty());
      EXPECT_TRUE(report_.heads.empty());
    }
    Engine half = load(convert(shipped(name), DType::kF16), WeightType::kF32);
    EXPECT_LT(relative_error(expected, half.logits({.canvas = canvas})), 1e-4) << name;
  }
}

TEST_F(Convert, EverythingElseSurvivesToo) {
  for (const char* name : kModels) {
    const Engine original = load(shipped(name), WeightType::kF32);
    const Engine converted = load(convert(shipped(name), DType::kF32), WeightType::kF32);
    const ModelInfo& a = original.info();
    const ModelInfo& b = converted.info();
    EXPECT_EQ(b.format, "gguf");
    EXPECT_EQ(a.family, b.family);
    EXPECT_EQ(a.vocab, b.vocab);
    EXPECT_EQ(a.tokenizer_vocab, b.tokenizer_vocab);
    EXPECT_EQ(a.max_positions, b.max_positions);
    EXPECT_EQ(a.parameters, b.parameters);
    EXPECT_EQ(a.qkv_bias, b.qkv_bias);
    EXPECT_EQ(a.tied_embeddings, b.tied_embeddings);
    EXPECT_EQ(a.logit_shift, b.logit_shift);
    EXPECT_EQ(a.mask_token, b.mask_token);
    EXPECT_EQ(a.end_tokens, b.end_tokens);
    EXPECT_EQ(a.rules.front().name, b.rules.front().name);
    EXPECT_EQ(a.rules.size(), b.rules.size());
    EXPECT_EQ(a.chat_template, b.chat_template);
    const ChatMessage message{"user", "Compute 12 + 7.\n\n<|endoftext|> 3 caf\xc3\xa9"};
    const std::string text = original.apply_chat_template(std::span(&message, 1), true);
    EXPECT_EQ(converted.apply_chat_template(std::span(&message, 1), true), text);
    EXPECT_EQ(converted.tokenize(text), original.tokenize(text));
  }
}

TEST_F(Convert, NamedChatTemplatesSurvive) {
  const fs::path model = folder_ / "model";
  fs::copy(shipped("llada-nano"), model, fs::copy_options::recursive);
  fs::create_directories(model / "additional_chat_templates");
  std::ofstream(model / "chat_template.jinja") << "default {{ eos_token }}";
  std::ofstream(model / "additional_chat_templates" / "rag.jinja") << "rag {{ messages|length }}";
  EngineOptions options;
  options.threads = 2;
  options.chat_template = "rag";
  const ChatMessage message{"user", "a"};
  for (const fs::path& path : {model, convert(model, DType::kF16)}) {
    const Engine rag = Engine::load(path, options);
    EXPECT_EQ(rag.info().chat_templates, (std::vector<std::string>{"default", "rag"})) << path;
    EXPECT_EQ(rag.apply_chat_template(std::span(&message, 1)), "rag 1") << path;
    const Engine other = load(path, WeightType::kBF16);
    EXPECT_EQ(other.apply_chat_template(std::span(&message, 1)), "default <|endoftext|>") << path;
  }
}

TEST_F(Convert, ABrokenChatTemplateStopsOnlyChats) {
  const fs::path model = folder_ / "model";
  fs::copy(shipped("llada-nano"), model, fs::copy_options::recursive);
  std::ofstream(model / "chat_template.jinja") << "a\n{% include 'x' %}";
  const ChatMessage message{"user", "a"};
  for (const fs::path& path : {model, convert(model, DType::kF16)}) {
    const Engine engine = load(path, WeightType::kBF16);
    const std::string& problem = engine.info().chat_template_problem;
    EXPECT_NE(problem.find("line 2: the tag 'include' is not supported"), std::string::npos)
        << problem;
    EXPECT_NE(problem.find("--chat-template FILE"), std::string::npos) << problem;
    EXPECT_FALSE(engine.tokenize("a").empty());
    try {
      engine.apply_chat_template(std::span(&message, 1));
      ADD_FAILURE() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.what(), problem);
    }
    std::ofstream(folder_ / "own.jinja") << "own";
    EngineOptions options;
    options.threads = 2;
    options.chat_template = (folder_ / "own.jinja").string();
    EXPECT_EQ(Engine::load(path, options).apply_chat_template(std::span(&message, 1)), "own");
  }
}

struct TypeBound {
  DType type;
  double low, high;  ///< of the relative error of the logits
};

TEST_F(Convert, QuantizedTypesStayNear) {
  for (const char* name : kModels) {
    Engine original = load(shipped(name), WeightType::kF32);
    const auto canvas = some_canvas(original);
    const auto expected = original.logits({.canvas = canvas});
    for (const TypeBound& bound : {TypeBound{DType::kQ8_0, 1e-4, 0.03},
                                   TypeBound{DType::kQ4_K, 1e-3, 0.2},  // falls back to Q5_0
                                   TypeBound{DType::kQ4_0, 1e-3, 0.4}}) {
      Engine converted = load(convert(shipped(name), bound.type), WeightType::kF32);
      const double error = relative_error(expected, converted.logits({.canvas = canvas}));
      EXPECT_GT(error, bound.low) << name << " " << name_of(bound.type);
      EXPECT_LT(error, bound.high) << name << " " << name_of(bound.type);
    }
  }
}

TEST_F(Convert, SaysWhichTensorsFellBack) {
  // Rows of 128 and 384 hold no whole blocks of 256.
  const auto checkpoint = open_checkpoint(convert(shipped("llada-nano"), DType::kQ4_K));
  EXPECT_EQ(report_.tensors, 39);
  EXPECT_EQ(report_.fallbacks.size(), 30u);
  EXPECT_TRUE(report_.heads.empty());
  for (const OtherType& other : report_.fallbacks) {
    EXPECT_EQ(checkpoint->find(other.tensor)->dtype, other.type) << other.tensor;
    const bool head = other.tensor == "output.weight";
    EXPECT_EQ(other.type, head ? DType::kQ8_0 : DType::kQ5_0);
    EXPECT_EQ(other.does_not_divide, head ? DType::kQ6_K : DType::kQ4_K);
  }
  EXPECT_EQ(checkpoint->find("blk.1.attn_norm.weight")->dtype, DType::kF32);
  EXPECT_EQ(report_.file_bytes, fs::file_size(folder_ / "out.gguf"));
}

TEST(TypeForColumns, FollowsTheListOfFallbacks) {
  EXPECT_EQ(type_for_columns(DType::kQ4_K, 512), DType::kQ4_K);
  EXPECT_EQ(type_for_columns(DType::kQ4_K, 96), DType::kQ5_0);
  EXPECT_EQ(type_for_columns(DType::kQ4_K, 100), DType::kF16);
  EXPECT_EQ(type_for_columns(DType::kQ6_K, 96), DType::kQ8_0);
  EXPECT_EQ(type_for_columns(DType::kQ6_K, 100), DType::kF16);
  EXPECT_EQ(type_for_columns(DType::kQ4_0, 96), DType::kQ4_0);
  EXPECT_EQ(type_for_columns(DType::kQ4_0, 100), DType::kF16);
  EXPECT_EQ(type_for_columns(DType::kQ8_0, 100), DType::kF16);
  EXPECT_EQ(type_for_columns(DType::kBF16, 7), DType::kBF16);
}

/// A LLaDA model of one layer with rows of 256 and 512 and random weights.
void write_wide_model(const fs::path& path, const fs::path& vocabulary_of, float weight_at_7 = 0) {
  const auto donor = open_checkpoint(vocabulary_of);
  const GgufVocabulary vocabulary = read_gguf_vocabulary(donor->config());
  GgufWriter writer;
  writer.add("general.architecture", std::string("llada"));
  const auto add = [&](const char* key, std::uint32_t value) {
    writer.add(std::string("llada.") + key, value);
  };
  add("block_count", 1);
  add("context_length", 64);
  add("embedding_length", 256);
  add("feed_forward_length", 512);
  add("attention.head_count", 4);
  add("attention.head_count_kv", 2);
  writer.add("tokenizer.ggml.model", vocabulary.model);
  writer.add("tokenizer.ggml.pre", vocabulary.pre_tokenizer);
  writer.add("tokenizer.ggml.tokens", vocabulary.tokens);
  writer.add("tokenizer.ggml.token_type",
             std::vector<std::int32_t>(vocabulary.types.begin(), vocabulary.types.end()));
  writer.add("tokenizer.ggml.merges", vocabulary.merges);
  writer.add("tokenizer.ggml.mask_token_id", 543u);
  writer.add("tokenizer.ggml.eos_token_id", 539u);
  const std::pair<const char*, std::vector<std::int64_t>> tensors[] = {
      {"token_embd.weight", {544, 256}},   {"output.weight", {544, 256}},
      {"output_norm.weight", {256}},       {"blk.0.attn_norm.weight", {256}},
      {"blk.0.attn_q.weight", {256, 256}}, {"blk.0.attn_k.weight", {128, 256}},
      {"blk.0.attn_v.weight", {128, 256}}, {"blk.0.attn_output.weight", {256, 256}},
      {"blk.0.ffn_norm.weight", {256}},    {"blk.0.ffn_gate.weight", {512, 256}},
      {"blk.0.ffn_up.weight", {512, 256}}, {"blk.0.ffn_down.weight", {256, 512}},
  };
  std::mt19937 random(7);
  for (const auto& [name, shape] : tensors) {
    writer.add_tensor(name, DType::kF32, shape, [&, shape = shape](const GgufSink& sink) {
      std::normal_distribution<float> normal(0.0f, 0.05f);
      std::vector<float> values(
          static_cast<std::size_t>(shape[0] * (shape.size() == 2 ? shape[1] : 1)));
      for (float& value : values) value = normal(random);
      if (weight_at_7 != 0) values[7] = weight_at_7;
      sink(std::as_bytes(std::span(values)));
    });
  }
  writer.write(path);
}

TEST_F(Convert, FromGgufToQ4KAndBack) {
  const fs::path nano = convert(shipped("llada-nano"), DType::kF32, "nano.gguf");
  const fs::path wide = folder_ / "wide.gguf";
  write_wide_model(wide, nano);
  const auto original = open_checkpoint(wide);
  const auto small = open_checkpoint(convert(wide, DType::kQ4_K, "small.gguf"));
  ASSERT_EQ(report_.heads.size(), 1u);
  EXPECT_EQ(report_.heads[0].tensor, "output.weight");
  EXPECT_TRUE(report_.fallbacks.empty());
  const auto back = open_checkpoint(convert(folder_ / "small.gguf", DType::kF32, "back.gguf"));
  for (const std::string& name : original->names()) {
    const TensorView* tensor = small->find(name);
    ASSERT_NE(tensor, nullptr) << name;
    const bool is_vector = tensor->shape.size() == 1;
    EXPECT_EQ(tensor->dtype, is_vector                 ? DType::kF32
                             : name == "output.weight" ? DType::kQ6_K
                                                       : DType::kQ4_K)
        << name;
    EXPECT_EQ(tensor->shape, original->find(name)->shape) << name;
    EXPECT_LT(relative_error(values_of(*original->find(name)), values_of(*tensor)), 0.08) << name;
    EXPECT_EQ(values_of(*back->find(name)), values_of(*tensor)) << "rows stay in their order";
  }
  Engine engine = load(folder_ / "small.gguf", WeightType::kF32);
  const auto canvas = some_canvas(engine);
  const auto logits = engine.logits({.canvas = canvas});
  EXPECT_EQ(load(folder_ / "back.gguf", WeightType::kF32).logits({.canvas = canvas}), logits);
  Engine plain = load(wide, WeightType::kF32);
  EXPECT_GT(relative_error(plain.logits({.canvas = canvas}), logits), 0.01);
}

TEST_F(Convert, WeightsThatNoTypeHoldsAreRefused) {
  const fs::path nano = convert(shipped("llada-nano"), DType::kF32, "nano.gguf");
  const fs::path wide = folder_ / "wide.gguf";
  const auto code_of = [&](DType type) {
    try {
      convert(wide, type);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("wide.gguf: 'token_embd.weight'"), std::string::npos)
          << error.what();
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  write_wide_model(wide, nano, std::nanf(""));
  EXPECT_EQ(code_of(DType::kF32), ErrorCode::kNumeric);
  EXPECT_EQ(code_of(DType::kQ4_K), ErrorCode::kNumeric);
  write_wide_model(wide, nano, 1e6f);
  EXPECT_EQ(code_of(DType::kF16), ErrorCode::kNumeric);
  EXPECT_FALSE(fs::exists(folder_ / "out.gguf"));
  EXPECT_FALSE(fs::exists(folder_ / "out.gguf.partial"));
  convert(wide, DType::kBF16);
  EXPECT_TRUE(fs::exists(folder_ / "out.gguf"));
}

TEST_F(Convert, OptionsAndFiles) {
  const auto code_of = [&](const fs::path& input, const fs::path& output,
                           const ConvertOptions& options) {
    try {
      convert_to_gguf(input, output, options);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  const fs::path model = shipped("llada-nano");
  EXPECT_EQ(code_of(model, folder_ / "o", {.type = DType::kQ3_K}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of(folder_ / "none", folder_ / "o", {}), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(model, folder_ / "none" / "o", {}), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(model, folder_ / "o", {.pre_tokenizer = "martian"}), ErrorCode::kUnsupported);
  convert_to_gguf(model, folder_ / "o", {.pre_tokenizer = "llama-bpe"});
  EXPECT_EQ(open_checkpoint(folder_ / "o")->config().text("tokenizer.ggml.pre"), "llama-bpe");
}

TEST_F(Convert, ProgressIsMonotoneAndComplete) {
  std::vector<std::uint64_t> told;
  std::uint64_t all = 0;
  const ConvertReport report = convert_to_gguf(shipped("llada-nano"), folder_ / "o", {},
                                               [&](std::uint64_t done, std::uint64_t total) {
                                                 EXPECT_TRUE(told.empty() || done > told.back());
                                                 told.push_back(done);
                                                 all = total;
                                                 return true;
                                               });
  ASSERT_GE(std::ssize(told), report.tensors);
  EXPECT_EQ(told.front(), 0U);
  EXPECT_EQ(told.back(), all);
  EXPECT_LT(all, report.file_bytes);
  EXPECT_GT(all, report.file_bytes * 9 / 10);
}

TEST_F(Convert, CancellingLeavesNoFile) {
  for (const int last : {0, 1, 20}) {
    int calls = 0;
    try {
      convert_to_gguf(shipped("llada-nano"), folder_ / "o", {},
                      [&](std::uint64_t, std::uint64_t) { return calls++ < last; });
      FAIL() << "the conversion went on";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCancelled);
    }
    EXPECT_EQ(calls, last + 1);
    EXPECT_FALSE(fs::exists(folder_ / "o"));
    EXPECT_FALSE(fs::exists(folder_ / "o.partial"));
  }
}

}  // namespace
}  // namespace fdllm
