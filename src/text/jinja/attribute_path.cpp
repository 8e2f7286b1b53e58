#include "text/jinja/attribute_path.h"

#include <string>
#include <string_view>

#include "base/check.h"
#include "text/jinja/python_text.h"
#include "text/jinja/subscripts.h"

namespace fdllm::jinja {
namespace {

bool is_number(std::string_view part) {
  return !part.empty() && part.size() <= 18 &&
         part.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

AttributePath::AttributePath(const Value& attribute, Runtime& runtime) {
  if (holds<None>(attribute)) return;
  const auto* text = std::get_if<Text>(&attribute);
  if (text == nullptr) {
    parts_.push_back(attribute);
    return;
  }
  for (const std::string_view part : split_at(**text, ".", -1)) {
    runtime.budget().charge(8);
    if (is_number(part)) {
      parts_.emplace_back(std::int64_t{std::stoll(std::string(part))});
    } else {
      parts_.push_back(text_value(std::string(part)));
    }
  }
}

Value AttributePath::of(const Value& item, const Value& fallback, Runtime& runtime) const {
  Value value = item;
  for (const Value& part : parts_) {
    runtime.budget().charge(1);
    value = get_item(value, part, runtime);
    if (holds<Undefined>(value) && !holds<None>(fallback)) value = fallback;
  }
  return value;
}

}  // namespace fdllm::jinja
