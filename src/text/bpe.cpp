#include "text/bpe.h"

#include <algorithm>
#include <cstdint>
#include <queue>

#include "base/check.h"
#include "base/utf8.h"
#include "text/byte_level.h"

namespace fdllm {
namespace {

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

std::size_t pair_index(char first, char second) {
  return std::size_t{static_cast<unsigned char>(first)} << 8 | static_cast<unsigned char>(second);
}

/// A token of the piece so far, in a list linked by index.
struct Symbol {
  std::int32_t id;  ///< -1 once it is merged into its left neighbour
  std::int32_t previous;
  std::int32_t next;
};

struct Candidate {
  std::int32_t rank;
  std::int32_t id;
  std::int32_t position;

  /// The queue gives the lowest rank first, the leftmost of equals.
  friend bool operator<(const Candidate& a, const Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
  }
};

}  // namespace

bool Bpe::add_token(std::string spelling, std::int64_t id) {
  if (id < 0 || id >= kMaxIds || ids_.contains(spelling)) return false;
  const auto index = static_cast<std::size_t>(id);
  if (index >= used_.size()) {
    used_.resize(index + 1);
    bytes_.resize(index + 1);
  }
  if (used_[index]) return false;
  used_[index] = true;
  bytes_[index] = read_spelled_bytes(spelling).value_or(spelling);
  const auto token = static_cast<std::int32_t>(id);
  if (!spelling.empty() && utf8_length(spelling.front()) == spelling.size() &&
      bytes_[index].size() == 1 && spell_bytes(bytes_[index]) == spelling) {
    byte_ids_[static_cast<unsigned char>(bytes_[index].front())] = token;
  }
  note_pairs(bytes_[index]);
  ids_.emplace(std::move(spelling), token);
  return true;
}

void Bpe::note_pairs(std::string_view bytes) {
  if (longest_with_pair_.empty()) longest_with_pair_.assign(std::size_t{1} << 16, 1);
  const auto length = static_cast<std::uint16_t>(std::min<std::size_t>(bytes.size(), UINT16_MAX));
  for (std::size_t i = 0; i + 1 < bytes.size(); ++i) {
    std::uint16_t& longest = longest_with_pair_[pair_index(bytes[i], bytes[i + 1])];
    longest = std::max(longest, length);
  }
}

std::size_t Bpe::fewest_tokens(std::string_view text) const {
  // A token of n bytes has n shares of 1/n, so the tokens are the sum of all bytes' shares. A byte
  // is either a token of its own or in one with a neighbour, which is no longer than the longest
  // token that holds such a pair. Shares are counted in 2^-32, rounded down.
  constexpr std::uint64_t kOne = std::uint64_t{1} << 32;
  // Bytes that the vocabulary lacks vanish, and make neighbours of others.
  if (!has_all_bytes()) return 0;
  std::uint64_t whole = 0;
  std::uint64_t shares = 0;
  std::uint16_t before = 1;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::uint16_t after =
        i + 1 < text.size() ? longest_with_pair_[pair_index(text[i], text[i + 1])] : 1;
    const std::uint16_t longest = std::max(before, after);
    before = after;
    if (longest == UINT16_MAX) continue;  // longer than what is noted
    shares += kOne / longest;
    whole += shares / kOne;
    shares %= kOne;
  }
  return whole;
}

bool Bpe::add_merge(std::string_view left, std::string_view right) {
  const auto left_id = find(left);
  const auto right_id = find(right);
  const auto merged_id = find(std::string(left).append(right));
  if (!left_id || !right_id || !merged_id) return false;
  merges_[pair_key(*left_id, *right_id)] = {next_rank_++, *merged_id};
  return true;
}

std::optional<std::int32_t> Bpe::find(std::string_view spelling) const {
  const auto found = ids_.find(spelling);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

bool Bpe::has_all_bytes() const {
  return std::find(byte_ids_.begin(), byte_ids_.end(), -1) == byte_ids_.end();
}

const Bpe::Merge* Bpe::find_merge(std::int32_t left, std::int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void Bpe::encode(std::string_view piece, std::vector<std::int32_t>& ids) const {
  if (ignore_merges_) {
    if (const auto whole = find(spell_bytes(piece))) {
      ids.push_back(*whole);
      return;
    }
  }
  if (piece.size() > INT32_MAX) {
    fail(ErrorCode::kInvalidArgument, "a word has {} bytes, at most {} can be tokenized",
         piece.size(), INT32_MAX);
  }
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  for (const char byte : piece) {
    const std::int32_t id = byte_ids_[static_cast<unsigned char>(byte)];
    if (id < 0) continue;
    const auto index = static_cast<std::int32_t>(symbols.size());
    symbols.push_back({id, index - 1, index + 1});
  }
  if (symbols.empty()) return;
  symbols.back().next = -1;

  std::vector<Candidate> storage;
  storage.reserve(symbols.size());
  std::priority_queue<Candidate> queue({}, std::move(storage));
  const auto propose = [&](std::int32_t left, std::int32_t right) {
    const Merge* merge = find_merge(symbols[static_cast<std::size_t>(left)].id,
                                    symbols[static_cast<std::size_t>(right)].id);
    if (merge != nullptr) queue.push({merge->rank, merge->id, left});
  };
  for (std::size_t index = 0; index + 1 < symbols.size(); ++index) {
    propose(static_cast<std::int32_t>(index), static_cast<std::int32_t>(index) + 1);
  }
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    Symbol& left = symbols[static_cast<std::size_t>(top.position)];
    if (left.id < 0 || left.next < 0) continue;
    Symbol& right = symbols[static_cast<std::size_t>(left.next)];
    // The pair may have changed since it was queued.
    const Merge* merge = find_merge(left.id, right.id);
    if (merge == nullptr || merge->id != top.id) continue;
    left.id = top.id;
    right.id = -1;
    left.next = right.next;
    if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = top.position;
    if (left.previous >= 0) propose(left.previous, top.position);
    if (left.next >= 0) propose(top.position, left.next);
  }
  for (std::int32_t index = 0; index >= 0; index = symbols[static_cast<std::size_t>(index)].next) {
    ids.push_back(symbols[static_cast<std::size_t>(index)].id);
  }
}

}  // namespace fdllm
