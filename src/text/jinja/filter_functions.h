#pragma once
#include "text/jinja/runtime.h"

/// The filters, by what they work on. Each takes the value before the bar and the arguments.
namespace fdllm::jinja::filters {

// filters_text.cpp
Value capitalize(const Value& value, const Arguments& arguments, Runtime& runtime);
Value center(const Value& value, const Arguments& arguments, Runtime& runtime);
Value escape(const Value& value, const Arguments& arguments, Runtime& runtime);
Value force_escape(const Value& value, const Arguments& arguments, Runtime& runtime);
Value format(const Value& value, const Arguments& arguments, Runtime& runtime);
Value indent(const Value& value, const Arguments& arguments, Runtime& runtime);
Value lower(const Value& value, const Arguments& arguments, Runtime& runtime);
Value replace(const Value& value, const Arguments& arguments, Runtime& runtime);
Value safe(const Value& value, const Arguments& arguments, Runtime& runtime);
Value string(const Value& value, const Arguments& arguments, Runtime& runtime);
Value striptags(const Value& value, const Arguments& arguments, Runtime& runtime);
Value title(const Value& value, const Arguments& arguments, Runtime& runtime);
Value tojson(const Value& value, const Arguments& arguments, Runtime& runtime);
Value trim(const Value& value, const Arguments& arguments, Runtime& runtime);
Value truncate(const Value& value, const Arguments& arguments, Runtime& runtime);
Value upper(const Value& value, const Arguments& arguments, Runtime& runtime);
Value urlencode(const Value& value, const Arguments& arguments, Runtime& runtime);
Value wordcount(const Value& value, const Arguments& arguments, Runtime& runtime);
Value wordwrap(const Value& value, const Arguments& arguments, Runtime& runtime);
Value xmlattr(const Value& value, const Arguments& arguments, Runtime& runtime);

// filters_number.cpp
Value absolute(const Value& value, const Arguments& arguments, Runtime& runtime);
Value filesizeformat(const Value& value, const Arguments& arguments, Runtime& runtime);
Value to_float(const Value& value, const Arguments& arguments, Runtime& runtime);
Value to_int(const Value& value, const Arguments& arguments, Runtime& runtime);
Value round(const Value& value, const Arguments& arguments, Runtime& runtime);
Value sum(const Value& value, const Arguments& arguments, Runtime& runtime);

// filters_list.cpp
Value attr(const Value& value, const Arguments& arguments, Runtime& runtime);
Value batch(const Value& value, const Arguments& arguments, Runtime& runtime);
Value default_value(const Value& value, const Arguments& arguments, Runtime& runtime);
Value first(const Value& value, const Arguments& arguments, Runtime& runtime);
Value items(const Value& value, const Arguments& arguments, Runtime& runtime);
Value join(const Value& value, const Arguments& arguments, Runtime& runtime);
Value last(const Value& value, const Arguments& arguments, Runtime& runtime);
Value length(const Value& value, const Arguments& arguments, Runtime& runtime);
Value list(const Value& value, const Arguments& arguments, Runtime& runtime);
Value reverse(const Value& value, const Arguments& arguments, Runtime& runtime);
Value slice(const Value& value, const Arguments& arguments, Runtime& runtime);

// filters_order.cpp
Value dictsort(const Value& value, const Arguments& arguments, Runtime& runtime);
Value groupby(const Value& value, const Arguments& arguments, Runtime& runtime);
Value max(const Value& value, const Arguments& arguments, Runtime& runtime);
Value min(const Value& value, const Arguments& arguments, Runtime& runtime);
Value sort(const Value& value, const Arguments& arguments, Runtime& runtime);
Value unique(const Value& value, const Arguments& arguments, Runtime& runtime);

// filters_select.cpp
Value map(const Value& value, const Arguments& arguments, Runtime& runtime);
Value reject(const Value& value, const Arguments& arguments, Runtime& runtime);
Value rejectattr(const Value& value, const Arguments& arguments, Runtime& runtime);
Value select(const Value& value, const Arguments& arguments, Runtime& runtime);
Value selectattr(const Value& value, const Arguments& arguments, Runtime& runtime);

}  // namespace fdllm::jinja::filters
