#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace fdllm {

/// A token that is found in the text before anything else looks at it.
struct AddedToken {
  std::string content;
  std::int32_t id = 0;
  bool special = false;
  bool normalized = false;   ///< matched in the normalized text rather than in the text as given
  bool lstrip = false;       ///< takes the white space before it along
  bool rstrip = false;       ///< takes the white space after it along
  bool single_word = false;  ///< only where no word character touches it
};

/// A part of a text: an added token, or text between those.
struct TextPart {
  std::string_view text;
  std::optional<std::int32_t> id;
};

/// Finds added tokens: the leftmost, of those that start there the longest.
class AddedTokenMatcher {
 public:
  /// Longer contents would make matching slow on hostile text.
  static constexpr std::size_t kMaxContentBytes = 1024;

  /// `content` as it is to be found (that is, normalized where the token is).
  void add(std::string_view content, const AddedToken& token);
  /// `text` is valid UTF-8; the parts are in order and none is empty. Stops with the rest of the
  /// text unread after more than `most` tokens.
  std::vector<TextPart> split(std::string_view text, std::size_t most = SIZE_MAX) const;

 private:
  struct Flags {
    std::int32_t id;
    bool lstrip;
    bool rstrip;
    bool single_word;
  };
  struct Match {
    std::size_t size;
    Flags flags;
  };
  std::optional<Match> longest_at(std::string_view text, std::size_t offset) const;

  /// A trie: (node, byte) -> node; node 0 is the root.
  std::unordered_map<std::uint64_t, std::uint32_t> edges_;
  std::unordered_map<std::uint32_t, Flags> ends_;
  std::uint32_t nodes_ = 1;
};

}  // namespace fdllm
