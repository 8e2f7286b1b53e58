#include "text/bpe.h"

#include <algorithm>
#include <queue>

#include "text/byte_level.h"
#include "text/utf8.h"

namespace fdllm {
namespace {

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

/// A token of the piece so far, in a list linked by index.
struct Symbol {
  std::int32_t id;  ///< -1 once it is merged into its left neighbour
  std::int64_t previous;
  std::int64_t next;
};

struct Candidate {
  std::int32_t rank;
  std::int32_t id;
  std::int64_t position;

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
  ids_.emplace(std::move(spelling), token);
  return true;
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
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  for (const char byte : piece) {
    const std::int32_t id = byte_ids_[static_cast<unsigned char>(byte)];
    if (id < 0) continue;
    const auto index = static_cast<std::int64_t>(symbols.size());
    symbols.push_back({id, index - 1, index + 1});
  }
  if (symbols.empty()) return;
  symbols.back().next = -1;

  std::vector<Candidate> storage;
  storage.reserve(symbols.size());
  std::priority_queue<Candidate> queue({}, std::move(storage));
  const auto propose = [&](std::int64_t left, std::int64_t right) {
    const Merge* merge = find_merge(symbols[static_cast<std::size_t>(left)].id,
                                    symbols[static_cast<std::size_t>(right)].id);
    if (merge != nullptr) queue.push({merge->rank, merge->id, left});
  };
  for (std::size_t index = 0; index + 1 < symbols.size(); ++index) {
    propose(static_cast<std::int64_t>(index), static_cast<std::int64_t>(index) + 1);
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
  for (std::int64_t index = 0; index >= 0; index = symbols[static_cast<std::size_t>(index)].next) {
    ids.push_back(symbols[static_cast<std::size_t>(index)].id);
  }
}

}  // namespace fdllm
