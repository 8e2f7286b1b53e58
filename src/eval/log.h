#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "eval/run.h"

namespace fdllm::eval {

/// An item as a log holds it.
struct LoggedItem {
  ItemRecord record;
  std::int32_t session = 1;  ///< which run of the program wrote it: each has a clock of its own
};

/// A whole log: one JSON object a line, the header first.
struct LogContent {
  nlohmann::ordered_json settings;  ///< what must not change between sessions
  nlohmann::ordered_json about;     ///< what may: paths, hardware, versions
  std::vector<LoggedItem> items;
};

/// Reads a log; a last line without its newline, which a killed run leaves, is ignored. Throws
/// kNotFound, and kCorruptFile naming file and line.
LogContent read_log(const std::filesystem::path& path);

/// Seconds that the sessions of a log took together, each until its last finished item.
double logged_seconds(std::span<const LoggedItem> items);

/// A log that grows by one line an item, so that a run that is killed at any moment can go on where
/// it was.
class ResultLog {
 public:
  /// Opens the log, or makes it where there is none; removes an unfinished last line. Throws
  /// kInvalidArgument where it was made with other settings, and kBusy where another process writes
  /// it; kCorruptFile where it is something else than a log.
  ResultLog(std::filesystem::path path, nlohmann::ordered_json settings,
            nlohmann::ordered_json about);
  ResultLog(const ResultLog&) = delete;
  ResultLog& operator=(const ResultLog&) = delete;
  ~ResultLog();

  /// Of this session and those before.
  const std::vector<LoggedItem>& items() const { return content_.items; }
  /// Appends one line. It is the system's before this returns. Throws kUnsupported where that fails
  /// (a full disk).
  void add(const ItemRecord& record);

 private:
  void append(const nlohmann::ordered_json& line);

  std::filesystem::path path_;
  LogContent content_;
  std::int32_t session_ = 1;
  int fd_ = -1;
};

/// A record as its line of a log.
nlohmann::ordered_json record_json(const ItemRecord& record);

/// A number that changes when a model's files do: from their names, sizes and samples of their
/// bytes.
std::uint64_t model_fingerprint(const std::filesystem::path& model);

}  // namespace fdllm::eval
