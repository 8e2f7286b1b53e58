#pragma once
// Helpers of the tests of configurations.
#include <functional>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "fastdllm/error.h"

#include "formats/checkpoint_test_files.h"
#include "model/config.h"

namespace fdllm::testing_models {

using nlohmann::json;

/// What the family of a folder with these files reads.
inline ModelConfig read_config(const json& config, const json& generation = nullptr) {
  const testing_files::TemporaryFolder folder;
  folder.write("config.json", config.dump());
  if (!generation.is_null()) folder.write("generation_config.json", generation.dump());
  folder.write("model.safetensors", testing_files::safetensors_file({{"x", {1}}}));
  const auto checkpoint = open_checkpoint(folder.path());
  return family_of(*checkpoint).read_config(*checkpoint);
}

inline json changed(json config, const char* key, json value) {
  config[key] = std::move(value);
  return config;
}

inline void expect_error(const std::function<void()>& call, ErrorCode code,
                         const std::string& part) {
  try {
    call();
    FAIL() << "expected an error with: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

inline void expect_refused(const json& base, const char* key, const json& value, ErrorCode code) {
  expect_error([&] { read_config(changed(base, key, value)); }, code, key);
}

}  // namespace fdllm::testing_models
