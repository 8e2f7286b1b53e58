#include "engine/convert.h"

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/mapped_file.h"
#include "engine/gguf_keys.h"
#include "engine/open_text.h"
#include "engine/requantize.h"
#include "formats/checkpoint.h"
#include "formats/gguf_writer.h"
#include "formats/hf_config.h"
#include "model/config.h"
#include "text/tokenizer_folder.h"
#include "text/tokenizer_to_gguf.h"

namespace fdllm {
namespace {

struct TargetType {
  DType type;
  std::uint32_t file_type;  ///< general.file_type: what llama.cpp calls a file of mostly this type
  DType head;
};

constexpr std::array kTargetTypes = {
    TargetType{DType::kF32, 0, DType::kF32},    TargetType{DType::kF16, 1, DType::kF16},
    TargetType{DType::kQ4_0, 2, DType::kQ6_K},  TargetType{DType::kQ8_0, 7, DType::kQ8_0},
    TargetType{DType::kQ4_K, 14, DType::kQ6_K}, TargetType{DType::kBF16, 32, DType::kBF16},
};

const TargetType& target_of(DType type) {
  for (const TargetType& target : kTargetTypes) {
    if (target.type == type) return target;
  }
  fail(ErrorCode::kInvalidArgument, "type: expected F32, BF16, F16, Q8_0, Q4_0 or Q4_K, found {}",
       name_of(type));
}

/// What the input says of special tokens, beside the vocabulary.
struct TextSettings {
  std::optional<std::int64_t> bos, eos, padding;
};

TextSettings settings_of_gguf(const Metadata& metadata) {
  return {.bos = metadata.integer(gguf_keys::kBos),
          .eos = metadata.integer(gguf_keys::kEos),
          .padding = metadata.integer(gguf_keys::kPadding)};
}

/// The id of a special token: by its text in tokenizer_config.json, else by config.json.
std::optional<std::int64_t> token_of_folder(const Metadata& tokenizer_config,
                                            const Metadata& config, const Tokenizer& tokenizer,
                                            const std::string& name) {
  const std::string key = name + "_token";
  std::optional<std::string> text;
  if (tokenizer_config.has(key + ".content")) {
    text = tokenizer_config.text(key + ".content");
  } else {
    text = tokenizer_config.text(key);
  }
  if (text) {
    if (const auto id = tokenizer.find(*text)) return *id;
  }
  const auto ids = config.integers(key + "_id");
  return ids && !ids->empty() ? std::optional(ids->front()) : std::nullopt;
}

TextSettings settings_of_folder(const Checkpoint& checkpoint, const ModelText& text) {
  const std::filesystem::path file = checkpoint.path() / "tokenizer_config.json";
  Metadata tokenizer_config("tokenizer_config.json", {});
  if (std::filesystem::exists(file)) {
    tokenizer_config = parse_hf_config(MappedFile::open(file).text(), "tokenizer_config.json");
  }
  const auto token = [&](const char* name) {
    return token_of_folder(tokenizer_config, checkpoint.config(), *text.tokenizer, name);
  };
  return {.bos = token("bos"), .eos = token("eos"), .padding = token("pad")};
}

/// "8.0B", "992K": as llama.cpp writes general.size_label.
std::string size_label(std::int64_t parameters) {
  struct Unit {
    double size;
    char letter;
  };
  constexpr std::array kUnits = {Unit{1e12, 'T'}, Unit{1e9, 'B'}, Unit{1e6, 'M'}};
  Unit unit{1e3, 'K'};
  for (const Unit& larger : kUnits) {
    if (static_cast<double>(parameters) > larger.size) {
      unit = larger;
      break;
    }
  }
  const double count = static_cast<double>(parameters) / unit.size;
  return fmt::format("{:.{}f}{}", count, count < 9.5 ? 1 : 0, unit.letter);
}

const Family& family_with_gguf(const Checkpoint& checkpoint) {
  const Family& family = family_of(checkpoint);
  if (family.has_gguf()) return family;
  fail(ErrorCode::kUnsupported,
       "{}: models of the family {} have no form in GGUF files that llama.cpp could read; "
       "--weights int4 quantises them as they are loaded",
       checkpoint.path().string(), family.name);
}

class Converter {
 public:
  Converter(const std::filesystem::path& input, const ConvertOptions& options)
      : options_(options),
        target_(target_of(options.type)),
        checkpoint_(open_checkpoint(input)),
        family_(family_with_gguf(*checkpoint_)),
        config_(family_.read_config(*checkpoint_)),
        tensors_(resolve_tensors(*checkpoint_, family_, config_)),
        text_(open_text(*checkpoint_)),
        requantizer_(options.threads) {}

  ConvertReport write(const std::filesystem::path& output, const ConvertProgress& progress) {
    progress_ = progress;
    add_general();
    add_shape();
    add_tokenizer();
    add_tensors();
    data_bytes_ = writer_.data_bytes();
    tell_progress();
    writer_.write(output);
    report_.file_bytes = std::filesystem::file_size(output);
    return std::move(report_);
  }

 private:
  void add_general() {
    writer_.add("general.architecture", std::string(family_.name));
    writer_.add("general.type", std::string("model"));
    writer_.add("general.name", std::filesystem::absolute(checkpoint_->path()).stem().string());
    writer_.add("general.size_label", size_label(tensors_.parameters));
    writer_.add("general.file_type", target_.file_type);
    writer_.add("general.quantization_version", std::uint32_t{2});
  }

  void add_shape() {
    const std::string prefix = std::string(family_.name) + '.';
    const auto add_size = [&](const char* key, std::int64_t value) {
      writer_.add(prefix + key, static_cast<std::uint32_t>(value));
    };
    add_size("block_count", config_.layers);
    add_size("context_length", config_.max_positions);
    add_size("embedding_length", config_.hidden);
    add_size("feed_forward_length", config_.ffn);
    add_size("attention.head_count", config_.heads);
    add_size("attention.head_count_kv", config_.kv_heads);
    add_size("rope.dimension_count", config_.head_dim);
    if (config_.heads * config_.head_dim != config_.hidden) {
      add_size("attention.key_length", config_.head_dim);
      add_size("attention.value_length", config_.head_dim);
    }
    add_size("vocab_size", config_.vocab);
    writer_.add(prefix + "rope.freq_base", static_cast<float>(config_.rope_theta));
    writer_.add(prefix + "attention.layer_norm_rms_epsilon", config_.rms_eps);
    writer_.add(prefix + "attention.causal", false);
    writer_.add("diffusion.shift_logits", config_.logit_shift == 1);
  }

  GgufConversion convert_tokenizer() const {
    if (checkpoint_->format() == "gguf") {
      GgufVocabulary vocabulary = read_gguf_vocabulary(checkpoint_->config());
      if (options_.pre_tokenizer.empty()) return {std::move(vocabulary), {}};
      return rename_pre_tokenizer(std::move(vocabulary), checkpoint_->config().source(),
                                  options_.pre_tokenizer);
    }
    return convert_vocabulary(read_folder_document(checkpoint_->path()), config_.vocab,
                              options_.pre_tokenizer);
  }

  void add_token(const char* key, std::optional<std::int64_t> id) {
    if (!id) return;
    if (*id < 0 || *id >= config_.vocab) {
      fail(ErrorCode::kCorruptFile, "{}: {}: expected a token from 0 to {}, found {}",
           checkpoint_->path().string(), key, config_.vocab - 1, *id);
    }
    writer_.add(key, static_cast<std::uint32_t>(*id));
  }

  void add_tokenizer() {
    GgufConversion conversion = convert_tokenizer();
    report_.warnings = std::move(conversion.warnings);
    GgufVocabulary& vocabulary = conversion.vocabulary;
    writer_.add(gguf_keys::kTokenizerModel, std::move(vocabulary.model));
    writer_.add(gguf_keys::kPreTokenizer, std::move(vocabulary.pre_tokenizer));
    writer_.add(gguf_keys::kTokens, std::move(vocabulary.tokens));
    if (!vocabulary.types.empty()) {
      writer_.add(gguf_keys::kTokenTypes,
                  std::vector<std::int32_t>(vocabulary.types.begin(), vocabulary.types.end()));
    }
    writer_.add(gguf_keys::kMerges, std::move(vocabulary.merges));
    if (vocabulary.nfc) writer_.add(gguf_keys::kNormalizer, std::string("NFC"));

    const bool is_gguf = checkpoint_->format() == "gguf";
    const TextSettings settings =
        is_gguf ? settings_of_gguf(checkpoint_->config()) : settings_of_folder(*checkpoint_, text_);
    add_token(gguf_keys::kBos, settings.bos);
    add_end_tokens(settings.eos);
    add_token(gguf_keys::kPadding, settings.padding);
    add_token(gguf_keys::kMask, config_.mask_token);
    if (vocabulary.add_bos) writer_.add(gguf_keys::kAddBos, *vocabulary.add_bos);
    if (vocabulary.add_eos) writer_.add(gguf_keys::kAddEos, *vocabulary.add_eos);
    if (!vocabulary.own.empty()) writer_.add(gguf_keys::kOwnTokenizer, vocabulary.own);
    add_chat_templates(text_.chat_templates);
  }

  /// The default under the format's own key, the others with their name behind it.
  void add_chat_templates(const ChatTemplates& templates) {
    std::vector<std::string> names;
    for (const ChatTemplates::Named& entry : templates.all) {
      if (entry.name == "default") {
        writer_.add(gguf_keys::kChatTemplate, entry.source);
      } else {
        names.push_back(entry.name);
        writer_.add(std::string(gguf_keys::kChatTemplate) + "." + entry.name, entry.source);
      }
    }
    if (!names.empty()) writer_.add(gguf_keys::kChatTemplateNames, std::move(names));
  }

  /// The format has room for two: the end of text, and the first other one as the end of a turn.
  void add_end_tokens(std::optional<std::int64_t> eos) {
    std::vector<std::int64_t> ends(config_.end_tokens.begin(), config_.end_tokens.end());
    if (!eos && !ends.empty()) eos = ends.front();
    std::erase_if(ends, [&](std::int64_t id) { return id == eos; });
    add_token(gguf_keys::kEos, eos);
    if (!ends.empty()) add_token(gguf_keys::kEot, ends.front());
  }

  void add_tensors() {
    const TensorNames& names = family_.gguf_names;
    const bool tied = config_.tied_embeddings;
    add_matrix(names.embedding, *tensors_.embedding, config_.vocab,
               tied ? target_.head : target_.type);
    if (!tied) add_matrix(names.head, *tensors_.head, config_.vocab, target_.head);
    add_vector(names.final_norm, tensors_.final_norm);
    for (std::size_t i = 0; i < tensors_.layers.size(); ++i) add_layer(i, tensors_.layers[i]);
    report_.tensors = added_;
  }

  void add_layer(std::size_t index, const LayerTensors& layer) {
    const TensorNames& names = family_.gguf_names;
    const auto name = [&](std::string_view pattern) {
      return fmt::format(fmt::runtime(pattern), index);
    };
    const auto matrix = [&](std::string_view pattern, const TensorView& tensor,
                            std::int64_t heads = 0) {
      add_matrix(name(pattern), tensor, tensor.shape[0], target_.type, order_for(heads));
    };
    const auto vector = [&](std::string_view pattern, const TensorView* tensor,
                            std::int64_t heads = 0) {
      add_vector(name(pattern), tensor, order_for(heads));
    };
    vector(names.attention_norm, layer.attention_norm);
    matrix(names.q, *layer.q, config_.heads);
    matrix(names.k, *layer.k, config_.kv_heads);
    matrix(names.v, *layer.v);
    vector(names.q_bias, layer.q_bias, config_.heads);
    vector(names.k_bias, layer.k_bias, config_.kv_heads);
    vector(names.v_bias, layer.v_bias);
    matrix(names.attention_out, *layer.attention_out);
    vector(names.ffn_norm, layer.ffn_norm);
    matrix(names.gate, *layer.gate);
    matrix(names.up, *layer.up);
    matrix(names.down, *layer.down);
  }

  /// The heads to interleave: none where the input has them so, or the family's files don't.
  std::int64_t order_for(std::int64_t heads) const {
    return family_.gguf_interleaves_query_key && !config_.interleaved_query_key ? heads : 0;
  }

  void add_matrix(std::string_view name, const TensorView& tensor, std::int64_t rows, DType wanted,
                  std::int64_t interleaved_heads = 0) {
    const std::int64_t columns = tensor.shape[1];
    const DType type = type_for_columns(wanted, columns);
    const OtherType other{std::string(name), type, columns, wanted};
    if (type != wanted) {
      report_.fallbacks.push_back(other);
    } else if (type != target_.type) {
      report_.heads.push_back(other);
    }
    add(name, tensor, type, {rows, columns}, interleaved_heads);
  }

  void add_vector(std::string_view name, const TensorView* tensor,
                  std::int64_t interleaved_heads = 0) {
    if (tensor != nullptr) add(name, *tensor, DType::kF32, tensor->shape, interleaved_heads);
  }

  void add(std::string_view name, const TensorView& tensor, DType type,
           std::vector<std::int64_t> shape, std::int64_t interleaved_heads) {
    ++added_;
    const std::int64_t rows = shape[0];
    writer_.add_tensor(std::string(name), type, std::move(shape),
                       [this, &tensor, rows, type, interleaved_heads](const GgufSink& sink) {
                         requantizer_.write(tensor, rows, type, interleaved_heads,
                                            [&](std::span<const std::byte> bytes) {
                                              sink(bytes);
                                              written_ += bytes.size();
                                              tell_progress();
                                            });
                       });
  }

  void tell_progress() const {
    if (!progress_ || progress_(written_, data_bytes_)) return;
    fail(ErrorCode::kCancelled, "{}: converting was cancelled", checkpoint_->path().string());
  }

  const ConvertOptions& options_;
  const TargetType& target_;
  std::unique_ptr<Checkpoint> checkpoint_;
  const Family& family_;
  ModelConfig config_;
  ModelTensors tensors_;
  ModelText text_;
  Requantizer requantizer_;
  GgufWriter writer_;
  ConvertProgress progress_;
  ConvertReport report_;
  std::int64_t added_ = 0;
  std::uint64_t written_ = 0, data_bytes_ = 0;
};

}  // namespace

ConvertReport convert_to_gguf(const std::filesystem::path& input,
                              const std::filesystem::path& output, const ConvertOptions& options,
                              const ConvertProgress& progress) {
  return Converter(input, options).write(output, progress);
}

}  // namespace fdllm
