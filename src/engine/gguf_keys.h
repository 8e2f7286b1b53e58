#pragma once

/// Keys of GGUF files that reading and writing have in common.
namespace fdllm::gguf_keys {

inline constexpr char kTokenizerModel[] = "tokenizer.ggml.model";
inline constexpr char kPreTokenizer[] = "tokenizer.ggml.pre";
inline constexpr char kTokens[] = "tokenizer.ggml.tokens";
inline constexpr char kTokenTypes[] = "tokenizer.ggml.token_type";
inline constexpr char kMerges[] = "tokenizer.ggml.merges";
inline constexpr char kBos[] = "tokenizer.ggml.bos_token_id";
inline constexpr char kEos[] = "tokenizer.ggml.eos_token_id";
inline constexpr char kEot[] = "tokenizer.ggml.eot_token_id";
inline constexpr char kPadding[] = "tokenizer.ggml.padding_token_id";
inline constexpr char kMask[] = "tokenizer.ggml.mask_token_id";
inline constexpr char kUnknown[] = "tokenizer.ggml.unknown_token_id";
/// So it is spelled.
inline constexpr char kSeparator[] = "tokenizer.ggml.seperator_token_id";
inline constexpr char kClass[] = "tokenizer.ggml.cls_token_id";
inline constexpr char kAddBos[] = "tokenizer.ggml.add_bos_token";
inline constexpr char kAddEos[] = "tokenizer.ggml.add_eos_token";
/// The default one; others have the same key and their name behind it.
inline constexpr char kChatTemplate[] = "tokenizer.chat_template";
inline constexpr char kChatTemplateNames[] = "tokenizer.chat_templates";
/// Our own: "NFC" where text is normalized first, of which llama.cpp's keys say nothing.
inline constexpr char kNormalizer[] = "tokenizer.fastdllm.normalizer";
/// Our own: a tokenizer.json without vocabulary and merges, where llama.cpp's keys can't say how
/// text becomes tokens.
inline constexpr char kOwnTokenizer[] = "tokenizer.fastdllm.tokenizer";

}  // namespace fdllm::gguf_keys
