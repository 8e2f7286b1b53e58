#include "text/jinja/filters.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/quote.h"
#include "text/jinja/filter_functions.h"

namespace fdllm::jinja {
namespace {

using Filter = Value (*)(const Value&, const Arguments&, Runtime&);

/// Null: jinja2 has it, and no prompt needs it.
constexpr std::pair<std::string_view, Filter> kFilters[] = {
    {"abs", filters::absolute},
    {"attr", filters::attr},
    {"batch", filters::batch},
    {"capitalize", filters::capitalize},
    {"center", filters::center},
    {"count", filters::length},
    {"d", filters::default_value},
    {"default", filters::default_value},
    {"dictsort", filters::dictsort},
    {"e", filters::escape},
    {"escape", filters::escape},
    {"filesizeformat", filters::filesizeformat},
    {"first", filters::first},
    {"float", filters::to_float},
    {"forceescape", filters::force_escape},
    {"format", filters::format},
    {"groupby", filters::groupby},
    {"indent", filters::indent},
    {"int", filters::to_int},
    {"items", filters::items},
    {"join", filters::join},
    {"last", filters::last},
    {"length", filters::length},
    {"list", filters::list},
    {"lower", filters::lower},
    {"map", filters::map},
    {"max", filters::max},
    {"min", filters::min},
    {"pprint", nullptr},
    {"random", nullptr},
    {"reject", filters::reject},
    {"rejectattr", filters::rejectattr},
    {"replace", filters::replace},
    {"reverse", filters::reverse},
    {"round", filters::round},
    {"safe", filters::safe},
    {"select", filters::select},
    {"selectattr", filters::selectattr},
    {"slice", filters::slice},
    {"sort", filters::sort},
    {"string", filters::string},
    {"striptags", filters::striptags},
    {"sum", filters::sum},
    {"title", filters::title},
    {"tojson", filters::tojson},
    {"trim", filters::trim},
    {"truncate", filters::truncate},
    {"unique", filters::unique},
    {"upper", filters::upper},
    {"urlencode", filters::urlencode},
    {"urlize", nullptr},
    {"wordcount", filters::wordcount},
    {"wordwrap", filters::wordwrap},
    {"xmlattr", filters::xmlattr}};

const std::pair<std::string_view, Filter>* find_filter(std::string_view name) {
  return std::find_if(std::begin(kFilters), std::end(kFilters),
                      [&](const auto& entry) { return entry.first == name; });
}

}  // namespace

bool is_filter(std::string_view name) {
  return find_filter(name) != std::end(kFilters);
}

Value run_filter(std::string_view name, const Value& value, const Arguments& arguments,
                 Runtime& runtime) {
  const auto* found = find_filter(name);
  if (found == std::end(kFilters) || found->second == nullptr) {
    runtime.unsupported("the filter " + quote(name));
  }
  return found->second(value, arguments, runtime);
}

}  // namespace fdllm::jinja
