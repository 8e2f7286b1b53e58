#include "verify/logits_check.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "base/check.h"
#include "base/mapped_file.h"
#include "base/range.h"
#include "formats/safetensors.h"

namespace fdllm {
namespace {

/// Rows that the dual-cache forward of the file feeds.
constexpr std::int32_t kDualRows = 16;
/// First row of the block that small_logits are of.
constexpr std::int32_t kSmallBegin = 8;
/// Masked positions at the end of the file's canvases: the prompt is what precedes them.
constexpr std::int32_t kMasked = 32;
/// Canvas lengths of a file are bounded so that a hostile one can't ask for absurd work.
constexpr std::int64_t kMaxLength = 1 << 20;

class LogitsFile {
 public:
  explicit LogitsFile(const std::filesystem::path& path)
      : source_(path.string()),
        file_(MappedFile::open(path)),
        entries_(parse_safetensors_header(file_.bytes(), source_)) {}

  bool has(const std::string& name) const { return find(name) != nullptr; }

  /// [T] token ids below `vocab`, stored as I64 or I32.
  std::vector<std::int32_t> ids(const std::string& name, std::int64_t vocab) const {
    const SafetensorsEntry& entry = required(name);
    const bool wide = entry.dtype_name == "I64";
    if ((!wide && entry.dtype_name != "I32") || entry.shape.size() != 1) {
      fail(ErrorCode::kCorruptFile, "{}: '{}': expected I64 or I32 [T], found {} {}", source_, name,
           entry.dtype_name, shape_text(entry.shape));
    }
    if (entry.shape[0] > kMaxLength) {
      fail(ErrorCode::kCorruptFile, "{}: '{}': expected at most {} tokens, found {}", source_, name,
           kMaxLength, entry.shape[0]);
    }
    std::vector<std::int32_t> ids(static_cast<std::size_t>(entry.shape[0]));
    const std::byte* data = file_.bytes().data() + entry.begin;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      std::int64_t value = 0;
      if (wide) {
        std::memcpy(&value, data + i * sizeof value, sizeof value);
      } else {
        std::int32_t narrow = 0;
        std::memcpy(&narrow, data + i * sizeof narrow, sizeof narrow);
        value = narrow;
      }
      if (value < 0 || value >= vocab) {
        fail(ErrorCode::kCorruptFile, "{}: '{}': expected token ids below {}, found {}", source_,
             name, vocab, value);
      }
      ids[i] = static_cast<std::int32_t>(value);
    }
    return ids;
  }

  /// A positive number, stored as I64 [].
  std::int32_t integer(const std::string& name) const {
    const SafetensorsEntry& entry = required(name);
    std::int64_t value = 0;
    if (entry.dtype_name == "I64" && entry.shape.empty()) {
      std::memcpy(&value, file_.bytes().data() + entry.begin, sizeof value);
    }
    if (value < 1 || value > kMaxLength) {
      fail(ErrorCode::kCorruptFile, "{}: '{}': expected an I64 from 1 to {}, found {} {}", source_,
           name, kMaxLength, entry.dtype_name, value);
    }
    return static_cast<std::int32_t>(value);
  }

  /// F32 of the given shape.
  std::vector<float> logits(const std::string& name, std::int64_t rows, std::int64_t vocab) const {
    const SafetensorsEntry& entry = required(name);
    const std::vector<std::int64_t> shape{rows, vocab};
    if (entry.dtype_name != "F32" || entry.shape != shape) {
      fail(ErrorCode::kCorruptFile, "{}: '{}': expected F32 {}, found {} {}", source_, name,
           shape_text(shape), entry.dtype_name, shape_text(entry.shape));
    }
    std::vector<float> values(static_cast<std::size_t>(rows * vocab));
    std::memcpy(values.data(), file_.bytes().data() + entry.begin, values.size() * sizeof(float));
    return values;
  }

  const std::string& source() const { return source_; }

 private:
  const SafetensorsEntry* find(const std::string& name) const {
    const auto found = std::ranges::find(entries_, name, &SafetensorsEntry::name);
    return found == entries_.end() ? nullptr : &*found;
  }

  const SafetensorsEntry& required(const std::string& name) const {
    const SafetensorsEntry* entry = find(name);
    if (entry == nullptr) {
      fail(ErrorCode::kNotFound, "{}: tensor '{}' is missing", source_, name);
    }
    return *entry;
  }

  std::string source_;
  MappedFile file_;
  std::vector<SafetensorsEntry> entries_;
};

}  // namespace

double relative_difference(std::span<const float> expected, std::span<const float> found) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (expected.size() != found.size()) return kInfinity;
  double difference = 0;
  double largest = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double delta = std::fabs(double{expected[i]} - double{found[i]});
    if (!std::isfinite(delta)) return kInfinity;
    difference = std::max(difference, delta);
    largest = std::max(largest, std::fabs(double{expected[i]}));
  }
  if (difference == 0) return 0;
  return largest == 0 ? kInfinity : difference / largest;
}

namespace {

/// Compares what one forward gives with a tensor of the file.
using Compare =
    std::function<void(const char* tensor, std::int64_t rows, const std::vector<float>& found)>;

/// A canvas, and what becomes of it after a step, over the K/V of both caches.
void check_canvas(const LogitsFile& file, int index, Engine& engine, const Compare& compare) {
  const std::int64_t vocab = engine.info().vocab;
  const auto name = [&](const char* tensor) { return fmt::format("{}.{}", index, tensor); };
  const auto canvas = file.ids(name("ids"), vocab);
  const auto next = file.ids(name("ids_after_first_unmask"), vocab);
  const auto length = static_cast<std::int32_t>(canvas.size());
  if (length < kMasked || next.size() != canvas.size()) {
    fail(ErrorCode::kCorruptFile,
         "{}: '{}': expected as many tokens as '{}' and at least {}, found {} and {}",
         file.source(), name("ids_after_first_unmask"), name("ids"), kMasked, next.size(), length);
  }
  const std::int32_t prompt = length - kMasked;
  const auto window_logits = [&](Range window, std::int32_t attend_end) {
    return engine.logits({.canvas = canvas,
                          .window = {window.begin, window.end},
                          .window_canvas = next,
                          .attend_end = attend_end});
  };
  compare("full_logits", length, engine.logits({.canvas = canvas}));
  // The window overwrites its own rows, so a prefix cache is the rows before it and nothing of
  // the first forward after it: all of [P, T) is the window.
  compare("prefix_cached_logits", kMasked, window_logits({prompt, length}, prompt));
  compare("dual_cached_logits", kDualRows, window_logits({prompt, prompt + kDualRows}, length));
}

/// `canvas` with other tokens from `begin` on.
std::vector<std::int32_t> replaced(std::vector<std::int32_t> canvas, std::int32_t begin,
                                   const std::vector<std::int32_t>& tokens) {
  std::copy(tokens.begin(), tokens.end(), canvas.begin() + begin);
  return canvas;
}

/// Whole blocks, the last one masked over the K/V of those before it, and some of its rows over its
/// own K/V.
void check_blocks(const LogitsFile& file, int index, Engine& engine, const Compare& compare) {
  const std::int64_t vocab = engine.info().vocab;
  const auto name = [&](const char* tensor) { return fmt::format("{}.{}", index, tensor); };
  const auto canvas = file.ids(name("ids"), vocab);
  const auto live = file.ids(name("live_ids"), vocab);
  const auto length = static_cast<std::int32_t>(canvas.size());
  const auto block = static_cast<std::int32_t>(live.size());
  if (live.empty() || length < block) {
    fail(ErrorCode::kCorruptFile, "{}: '{}': expected 1 to {} tokens, found {}", file.source(),
         name("live_ids"), length, block);
  }
  const std::int32_t causal_block =
      file.has(name("block_length")) ? file.integer(name("block_length")) : 0;
  compare("full_logits", length, engine.logits({.canvas = canvas, .causal_block = causal_block}));
  const auto window_logits = [&](const std::vector<std::int32_t>& before, Range window,
                                 const std::vector<std::int32_t>& tokens) {
    const auto after = replaced(before, window.begin, tokens);
    return engine.logits({.canvas = before,
                          .window = {window.begin, window.end},
                          .window_canvas = after,
                          .attend_end = length,
                          .causal_block = causal_block});
  };
  compare("live_logits", block, window_logits(canvas, {length - block, length}, live));
  if (!file.has(name("small_ids"))) return;
  const auto small = file.ids(name("small_ids"), vocab);
  const std::int32_t begin = length - block + kSmallBegin;
  const auto end = begin + static_cast<std::int32_t>(small.size());
  if (small.empty() || end > length) {
    fail(ErrorCode::kCorruptFile, "{}: '{}': expected 1 to {} tokens, found {}", file.source(),
         name("small_ids"), length - begin, small.size());
  }
  compare("small_logits", end - begin,
          window_logits(replaced(canvas, length - block, live), {begin, end}, small));
}

}  // namespace

void check_logits(const std::filesystem::path& path, Engine& engine,
                  const std::function<void(const LogitsReport&)>& report) {
  const LogitsFile file(path);
  const std::int64_t vocab = engine.info().vocab;
  if (!file.has("0.ids")) {
    fail(ErrorCode::kCorruptFile, "{}: tensor '0.ids' is missing: this is no file of logits",
         file.source());
  }
  for (int i = 0; file.has(fmt::format("{}.ids", i)); ++i) {
    const Compare compare = [&](const char* tensor, std::int64_t rows,
                                const std::vector<float>& found) {
      const std::string name = fmt::format("{}.{}", i, tensor);
      report({name, relative_difference(file.logits(name, rows, vocab), found)});
    };
    if (file.has(fmt::format("{}.live_ids", i))) {
      check_blocks(file, i, engine, compare);
    } else {
      check_canvas(file, i, engine, compare);
    }
  }
}

}  // namespace fdllm
