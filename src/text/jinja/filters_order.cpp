#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "text/jinja/attribute_path.h"
#include "text/jinja/comparison.h"
#include "text/jinja/filter_functions.h"
#include "text/jinja/python_characters.h"
#include "text/jinja/python_text.h"

namespace fdllm::jinja::filters {
namespace {

/// Strings in lower case where case doesn't matter.
Value folded(const Value& value, bool case_sensitive, Runtime& runtime) {
  const auto* text = std::get_if<Text>(&value);
  if (case_sensitive || text == nullptr) return value;
  return runtime.text(to_lower(**text));
}

struct Keyed {
  Value key;
  Value item;
};

void sort_by_key(std::vector<Keyed>& entries, bool reverse, Runtime& runtime) {
  // Equal ones keep their order, from the largest down too.
  sort_values(
      entries,
      [&](const Keyed& a, const Keyed& b) {
        return reverse ? is_less(b.key, a.key, runtime) : is_less(a.key, b.key, runtime);
      },
      runtime);
}

Value items_of(std::vector<Keyed> entries, Runtime& runtime) {
  std::vector<Value> items;
  for (Keyed& entry : entries) items.push_back(std::move(entry.item));
  return runtime.list(std::move(items));
}

Value extreme(const Value& value, const Arguments& arguments, bool is_max, Runtime& runtime) {
  const Bound bound(runtime, is_max ? "max" : "min", arguments, {"case_sensitive", "attribute"});
  const AttributePath path(bound.value(1, None{}), runtime);
  const std::vector<Value> all = runtime.iterate(value);
  if (all.empty()) return undefined_value("no item, the sequence is empty");
  const auto key_of = [&](const Value& item) {
    return folded(path.of(item, None{}, runtime), bound.flag(0), runtime);
  };
  const Value* best = &all.front();
  Value best_key = key_of(*best);
  for (std::size_t i = 1; i < all.size(); ++i) {
    Value key = key_of(all[i]);
    if (is_max ? is_less(best_key, key, runtime) : is_less(key, best_key, runtime)) {
      best = &all[i];
      best_key = std::move(key);
    }
  }
  return *best;
}

}  // namespace

Value max(const Value& value, const Arguments& arguments, Runtime& runtime) {
  return extreme(value, arguments, true, runtime);
}

Value min(const Value& value, const Arguments& arguments, Runtime& runtime) {
  return extreme(value, arguments, false, runtime);
}

Value sort(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "sort", arguments, {"reverse", "case_sensitive", "attribute"});
  std::vector<AttributePath> paths;
  const Value attribute = bound.value(2, None{});
  if (const auto* text = std::get_if<Text>(&attribute)) {
    for (const std::string_view part : split_at(**text, ",", -1)) {
      paths.emplace_back(runtime.text(std::string(part)), runtime);
    }
  } else {
    paths.emplace_back(attribute, runtime);
  }
  std::vector<Keyed> entries;
  for (Value& item : runtime.iterate(value)) {
    std::vector<Value> keys;
    for (const AttributePath& path : paths) {
      keys.push_back(folded(path.of(item, None{}, runtime), bound.flag(1), runtime));
    }
    entries.push_back({runtime.list(std::move(keys)), std::move(item)});
  }
  sort_by_key(entries, bound.integer(0) != 0, runtime);
  return items_of(std::move(entries), runtime);
}

Value dictsort(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "dictsort", arguments, {"case_sensitive", "by", "reverse"});
  const std::string by = bound.text(1, "key");
  if (by != "key" && by != "value") runtime.error("'dictsort' sorts by 'key' or 'value'");
  runtime.require_defined(value);
  const auto* dict = std::get_if<const Dict*>(&value);
  if (dict == nullptr) {
    runtime.error(fmt::format("'dictsort' expects a dictionary, found {}", kind_name(value)));
  }
  std::vector<Keyed> entries;
  for (const auto& [key, item] : (*dict)->items) {
    entries.push_back({folded(by == "key" ? key : item, bound.flag(0), runtime),
                       runtime.list({key, item}, ListKind::kTuple)});
  }
  sort_by_key(entries, bound.integer(2) != 0, runtime);
  return items_of(std::move(entries), runtime);
}

Value unique(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "unique", arguments, {"case_sensitive", "attribute"});
  const Value attribute = bound.value(1, None{});
  return runtime.iterator([value, attribute, case_sensitive = bound.flag(0), &runtime] {
    const AttributePath path(attribute, runtime);
    std::vector<Value> seen;
    std::vector<Value> kept;
    for (Value& item : runtime.iterate(value)) {
      Value key = folded(path.of(item, None{}, runtime), case_sensitive, runtime);
      if (!is_hashable(key)) runtime.error(fmt::format("'unique' of {}", kind_name(key)));
      const bool is_known = std::any_of(
          seen.begin(), seen.end(), [&](const Value& other) { return runtime.equal(other, key); });
      if (is_known) continue;
      seen.push_back(std::move(key));
      kept.push_back(std::move(item));
    }
    return kept;
  });
}

Value groupby(const Value& value, const Arguments& arguments, Runtime& runtime) {
  const Bound bound(runtime, "groupby", arguments, {"attribute", "default", "case_sensitive"}, 1);
  const AttributePath path(bound.at(0), runtime);
  const Value fallback = bound.value(1, None{});
  std::vector<Keyed> entries;
  for (Value& item : runtime.iterate(value)) {
    Value key = folded(path.of(item, fallback, runtime), bound.flag(2), runtime);
    entries.push_back({std::move(key), std::move(item)});
  }
  sort_by_key(entries, false, runtime);
  std::vector<Value> groups;
  for (std::size_t begin = 0; begin < entries.size();) {
    std::vector<Value> members;
    std::size_t end = begin;
    while (end < entries.size() && runtime.equal(entries[end].key, entries[begin].key)) {
      members.push_back(entries[end++].item);
    }
    // The group's own name is the first member's, in its own case.
    Value name = path.of(members.front(), fallback, runtime);
    groups.push_back(
        runtime.list({std::move(name), runtime.list(std::move(members))}, ListKind::kGroup));
    begin = std::max(end, begin + 1);
  }
  return runtime.list(std::move(groups));
}

}  // namespace fdllm::jinja::filters
