#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "formats/checkpoint.h"

namespace fdllm::bench {

/// The configuration of a published model, so that it can be measured without its weights.
struct Shape {
  std::string_view name;
  std::string_view config;      ///< config.json, as its family reads it
  std::string_view layers_key;  ///< the key of config that holds the number of layers
};

std::span<const Shape> shapes();

/// "llada-8b, dream-7b, ..."
std::string shape_names();

/// The shape called `name`; kInvalidArgument naming the known ones.
const Shape& find_shape(std::string_view name);

/// The shape's config.json as a checkpoint's; `layers` replaces its depth.
Metadata shape_config(const Shape& shape, std::optional<std::int64_t> layers = std::nullopt);

/// The shape's own depth.
std::int64_t layers_of(const Shape& shape);

}  // namespace fdllm::bench
