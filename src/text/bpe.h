#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace fdllm {

/// Byte-level byte-pair encoding: a vocabulary in byte spelling (byte_level.h) and ranked merges.
class Bpe {
 public:
  /// Ids at or above this are taken for damage; the largest vocabularies have about 300,000.
  static constexpr std::int32_t kMaxIds = 1 << 22;
  /// So are more merges; the largest tokenizers have about 450,000.
  static constexpr std::size_t kMaxMerges = std::size_t{1} << 23;

  /// Adds a token; false where its spelling or its id is taken or the id is out of range.
  bool add_token(std::string spelling, std::int64_t id);
  /// Adds a merge, ranked after those added before (a repeated pair takes the later rank); false
  /// where left, right or their concatenation is no token. All tokens come first.
  bool add_merge(std::string_view left, std::string_view right);
  /// Whether a piece that is a token as a whole becomes that token without merging.
  void set_ignore_merges(bool ignore) { ignore_merges_ = ignore; }

  /// Appends the tokens of one pre-tokenized piece. Bytes that the vocabulary lacks are left out,
  /// as `tokenizers` does where there is no unknown token. O(n log n) in the piece's bytes; takes
  /// about 24 bytes of memory for each. Throws kInvalidArgument for 2^31 bytes and more.
  void encode(std::string_view piece, std::vector<std::int32_t>& ids) const;
  /// A number of tokens that `text` has at least, however it is cut into pieces: a token that holds
  /// a pair of neighbouring bytes is at most as long as the longest one of the vocabulary that
  /// does. O(n), without memory.
  std::size_t fewest_tokens(std::string_view text) const;

  std::optional<std::int32_t> find(std::string_view spelling) const;
  /// The exact bytes of a token (its spelling's own where that has a character that spells no
  /// byte); empty for an id without token.
  std::string_view bytes_of(std::int32_t id) const { return bytes_[static_cast<std::size_t>(id)]; }
  bool has(std::int32_t id) const {
    return static_cast<std::size_t>(id) < used_.size() && used_[static_cast<std::size_t>(id)];
  }
  /// Largest id + 1.
  std::int32_t size() const { return static_cast<std::int32_t>(used_.size()); }
  bool has_all_bytes() const;

 private:
  struct Merge {
    std::int32_t rank;
    std::int32_t id;
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  const Merge* find_merge(std::int32_t left, std::int32_t right) const;
  void note_pairs(std::string_view bytes);

  std::unordered_map<std::string, std::int32_t, TextHash, std::equal_to<>> ids_;
  std::vector<std::string> bytes_;
  std::vector<bool> used_;
  std::unordered_map<std::uint64_t, Merge> merges_;
  std::int32_t next_rank_ = 0;
  std::array<std::int32_t, 256> byte_ids_ = [] {
    std::array<std::int32_t, 256> ids;
    ids.fill(-1);
    return ids;
  }();
  /// By a pair of bytes: those of the longest token that holds it; empty before the first token.
  std::vector<std::uint16_t> longest_with_pair_;
  bool ignore_merges_ = false;
};

}  // namespace fdllm
