#pragma once
#include "fields/values.h"

namespace fdllm::server {

// The readers of single values, which the command line uses too.
using fields::bad_field;
using fields::Json;
using fields::read_flag;
using fields::read_integer;
using fields::read_list;
using fields::read_text;
using fields::read_token_ids;
using fields::shown;

}  // namespace fdllm::server
