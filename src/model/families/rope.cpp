#include "model/families/rope.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "model/families/read.h"

namespace fdllm {
namespace {

// Names of the base; those of a second base for some layers must say the same.
constexpr std::array<std::string_view, 11> kThetaKeys = {
    "rope_theta",       "rope_base",        "rotary_base",
    "rotary_emb_base",  "rope_freq_base",   "rope_local_base_freq",
    "rope_local_theta", "local_rope_theta", "global_rope_theta",
    "rope_theta_local", "swa_rope_theta"};

// Objects that describe RoPE: of transformers from 5 on, and before.
constexpr std::array<std::string_view, 2> kSections = {"rope_parameters", "rope_scaling"};

// Numbers of which 1 changes nothing.
constexpr std::array<std::string_view, 7> kFactors = {
    "partial_rotary_factor", "rotary_pct",      "rope_pct", "rotary_percentage", "rope_ratio",
    "rope_scaling_factor",   "attention_factor"};

// The rotated part of a head.
constexpr std::array<std::string_view, 4> kWidths = {"rotary_dim", "rotary_ndims", "rope_dim",
                                                     "qk_rope_head_dim"};

constexpr std::array<std::string_view, 8> kFlagsOff = {
    "use_mrope",       "use_dynamic_ntk", "use_logn_attn",  "rope_interleaved",
    "rope_interleave", "use_nope",        "use_alibi_rope", "rotary_interleaved"};

constexpr std::array<std::string_view, 4> kAbsent = {"no_rope_layers", "no_rope_layer_interval",
                                                     "nope_layer_interval", "mrope_section"};

/// What stands in an object that describes RoPE.
constexpr std::array<std::string_view, 4> kSectionFactors = {"partial_rotary_factor", "factor",
                                                             "attention_factor", "mscale"};

void expect_one(const Metadata& config, const std::string& key) {
  const auto value = config.number(key);
  if (value && *value != 1.0) {
    fail(ErrorCode::kUnsupported,
         "{}: '{}': expected 1, found {}; this engine does not compute that variant",
         config.source(), key, *value);
  }
}

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

class RopeReader {
 public:
  RopeReader(const Metadata& config, std::int64_t head_dim)
      : config_(config), head_dim_(head_dim) {}

  double read(double fallback) {
    check_top();
    for (const std::string_view key : kThetaKeys) take_theta(std::string(key));
    for (const std::string_view section : kSections) read_section(std::string(section));
    return theta_.value_or(fallback);
  }

 private:
  void check_top() const {
    for (const std::string_view key : kFactors) expect_one(config_, std::string(key));
    for (const std::string_view key : kWidths) expect_whole_head(key);
    for (const std::string_view key : kFlagsOff) expect_flag(config_, key, false, false);
    for (const std::string_view key : kAbsent) expect_absent(config_, key);
    for (const char* key : {"rope_full_precision", "use_rope"}) {
      expect_flag(config_, key, true, true);
    }
    for (const char* key : {"rope_type", "rope_scaling_type"}) {
      expect_text(config_, key, "default", "default");
    }
    const std::string kind = config_.text("position_embedding_type").value_or("rope");
    if (kind != "rope" && kind != "rotary") {
      expect_text(config_, "position_embedding_type", "rope", "rope");
    }
  }

  void expect_whole_head(std::string_view key) const {
    const auto width = config_.integer(key);
    if (width && *width != head_dim_) {
      fail(ErrorCode::kUnsupported,
           "{}: '{}': expected {}, the whole head, found {}; this engine does not compute that "
           "variant",
           config_.source(), key, head_dim_, *width);
    }
  }

  void take_theta(const std::string& key) {
    if (!config_.has(key)) return;
    const double found = number_or(config_, key, 0, 1.0, 1e12);
    if (theta_ && *theta_ != found) {
      fail(ErrorCode::kCorruptFile, "{}: '{}': expected {}, as '{}' says, found {}",
           config_.source(), key, *theta_, theta_key_, found);
    }
    theta_ = found;
    theta_key_ = key;
  }

  /// One object for all layers, or one for each kind of layer.
  void read_section(const std::string& section) {
    if (config_.values().contains(section) && config_.has(section)) {
      fail(ErrorCode::kCorruptFile, "{}: '{}': expected an object or null, found something else",
           config_.source(), section);
    }
    const std::set<std::string> nested = check_members(section, Level::kAll);
    for (const std::string& kind : nested) {
      if (is_used(kind)) check_members(section + '.' + kind, Level::kKindOfLayer);
    }
  }

  enum class Level : std::uint8_t { kAll, kKindOfLayer };

  /// Gives the members that are objects themselves.
  std::set<std::string> check_members(const std::string& section, Level level) {
    std::set<std::string> nested;
    const std::string prefix = section + '.';
    const auto& values = config_.values();
    for (auto value = values.lower_bound(prefix);
         value != values.end() && value->first.starts_with(prefix); ++value) {
      const std::string rest = value->first.substr(prefix.size());
      const std::string name = rest.substr(0, rest.find('.'));
      const bool of_layers = level == Level::kAll && name.ends_with("_attention");
      if (of_layers && name.size() < rest.size()) {
        nested.insert(name);
      } else if (of_layers && is_used(name)) {
        fail(ErrorCode::kUnsupported,
             "{}: '{}': expected an object, found {}; this engine does not compute layers without "
             "RoPE",
             config_.source(), value->first, config_.has(value->first) ? "something else" : "null");
      } else {
        check_member(section, name);
      }
    }
    return nested;
  }

  void check_member(const std::string& section, const std::string& name) {
    const std::string key = section + '.' + name;
    if (name == "rope_type" || name == "type") {
      // Scaling positions by 1 is no scaling.
      const bool unscaled =
          config_.text(key) == "linear" && config_.number(section + ".factor") == 1.0;
      if (!unscaled) expect_text(config_, key, "default", "default");
    } else if (contains(kThetaKeys, name)) {
      take_theta(key);
    } else if (contains(kSectionFactors, name)) {
      expect_one(config_, key);
    } else if (name != "original_max_position_embeddings") {
      expect_absent(config_, key);
    }
  }

  /// A kind of layer that none of the layers is may say what it likes.
  bool is_used(const std::string& kind) const {
    if (!config_.has("layer_types")) return true;
    const auto kinds = config_.texts("layer_types").value_or(std::vector<std::string>{});
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
  }

  const Metadata& config_;
  std::int64_t head_dim_;
  std::optional<double> theta_;
  std::string theta_key_;
};

}  // namespace

double read_rope_theta(const Metadata& config, double fallback, std::int64_t head_dim) {
  return RopeReader(config, head_dim).read(fallback);
}

}  // namespace fdllm
