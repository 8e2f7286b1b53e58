#include "eval/log.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/failure.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "eval/data.h"

namespace fdllm::eval {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kMark = "fast-dllm";
constexpr int kVersion = 1;

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<bool> optional_bool(const nlohmann::json& object, const char* field) {
  const auto found = object.find(field);
  if (found == object.end() || found->is_null()) return std::nullopt;
  return found->get<bool>();
}

LoggedItem parse_item(const nlohmann::json& line) {
  LoggedItem item;
  ItemRecord& record = item.record;
  item.session = line.at("session").get<std::int32_t>();
  record.id = line.at("id").get<std::string>();
  record.prompt_hash = std::stoull(line.at("prompt_hash").get<std::string>(), nullptr, 16);
  record.prompt_tokens = line.at("prompt_tokens").get<std::int64_t>();
  record.text = line.at("text").get<std::string>();
  record.extracted = line.at("extracted").get<std::string>();
  record.expected = line.at("expected").get<std::string>();
  record.correct = line.at("correct").get<bool>();
  record.correct_strict = optional_bool(line, "correct_strict");
  record.refresh_forwards = line.at("forwards").at("refresh").get<std::int64_t>();
  record.window_forwards = line.at("forwards").at("window").get<std::int64_t>();
  record.query_rows = line.at("rows").at("query").get<std::int64_t>();
  record.scored_rows = line.at("rows").at("scored").get<std::int64_t>();
  record.attention_pairs = line.at("rows").at("attention_pairs").get<std::int64_t>();
  record.useful_tokens = line.at("useful_tokens").get<std::int64_t>();
  record.seconds = line.at("seconds").get<double>();
  record.clock = line.at("clock").get<double>();
  record.error = line.value("error", "");
  if (line.contains("error_code")) {
    record.error_code = error_code_from(line.at("error_code").get<std::string>());
  }
  const auto finish = line.at("finish").get<std::string>();
  const auto known = std::ranges::find_if(
      kFinishReasons, [&](FinishReason reason) { return name_of(reason) == finish; });
  if (known == kFinishReasons.end()) throw std::invalid_argument("finish");
  record.finish = *known;
  return item;
}

/// The header's line, or nothing where the text doesn't begin with one.
std::optional<Json> parse_header(std::string_view line) {
  const Json header = Json::parse(line, nullptr, false);
  const bool whole = header.is_object() && header.contains("eval") && header["eval"] == kMark &&
                     header.contains("version") && header["version"] == kVersion &&
                     header.contains("settings") && header.contains("about");
  return whole ? std::optional(header) : std::nullopt;
}

/// The lines of a log that end in a newline.
LogContent parse_log(std::string_view text, const std::string& source) {
  LogContent content;
  std::set<std::string> ids;
  std::size_t number = 0;
  for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    ++number;
    if (number == 1) {
      const auto header = parse_header(line);
      if (!header) {
        fail(ErrorCode::kCorruptFile, "{}:1: expected the header of a log of fast-dllm eval",
             source);
      }
      content.settings = (*header)["settings"];
      content.about = (*header)["about"];
      continue;
    }
    const std::string where = fmt::format("{}:{}", source, number);
    const nlohmann::json object = parse_json(line, where);
    try {
      content.items.push_back(parse_item(object));
    } catch (const std::exception& error) {
      fail(ErrorCode::kCorruptFile, "{}: expected an item of a log of fast-dllm eval: {}", where,
           error.what());
    }
    if (!ids.insert(content.items.back().record.id).second) {
      fail(ErrorCode::kCorruptFile, "{}: the item '{}' is in the log twice", where,
           content.items.back().record.id);
    }
  }
  if (number == 0) {
    fail(ErrorCode::kCorruptFile, "{}: expected a log of fast-dllm eval, found no whole line",
         source);
  }
  return content;
}

/// "options.gen_length was 256, is 128", of the first few settings that differ.
std::string differences(const Json& was, const Json& is) {
  // Flattened through the sorted kind of object, so that the order of fields doesn't matter.
  const nlohmann::json before = nlohmann::json(was).flatten();
  const nlohmann::json now = nlohmann::json(is).flatten();
  std::set<std::string> names;
  for (const auto& [name, value] : before.items()) names.insert(name);
  for (const auto& [name, value] : now.items()) names.insert(name);
  constexpr int kShown = 4;
  std::string text;
  int count = 0;
  const auto shown = [](const nlohmann::json& object, const std::string& name) {
    return object.contains(name) ? object[name].dump(-1, ' ', true).substr(0, 80) : "not set";
  };
  for (const std::string& name : names) {
    if (before.contains(name) && now.contains(name) && before[name] == now[name]) continue;
    if (++count > kShown) continue;
    std::string field = name.substr(1);
    std::replace(field.begin(), field.end(), '/', '.');
    text += fmt::format("{}{} was {}, is {}", text.empty() ? "" : "; ", field, shown(before, name),
                        shown(now, name));
  }
  if (count > kShown) text += fmt::format("; and {} more", count - kShown);
  return text;
}

std::string read_whole(int fd, const std::string& source) {
  std::string text;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t count = read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      fail(ErrorCode::kNotFound, "{}: cannot be read: {}", source, std::strerror(errno));
    }
    if (count == 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
  }
}

}  // namespace

Json record_json(const ItemRecord& record) {
  Json json;
  json["id"] = record.id;
  json["prompt_hash"] = fmt::format("{:016x}", record.prompt_hash);
  json["prompt_tokens"] = record.prompt_tokens;
  json["text"] = record.text;
  json["extracted"] = record.extracted;
  json["expected"] = record.expected;
  json["correct"] = record.correct;
  if (record.correct_strict) json["correct_strict"] = *record.correct_strict;
  json["forwards"] = {{"refresh", record.refresh_forwards}, {"window", record.window_forwards}};
  json["rows"] = {{"query", record.query_rows},
                  {"scored", record.scored_rows},
                  {"attention_pairs", record.attention_pairs}};
  json["useful_tokens"] = record.useful_tokens;
  json["seconds"] = record.seconds;
  json["clock"] = record.clock;
  json["finish"] = name_of(record.finish);
  if (!record.error.empty()) json["error"] = record.error;
  if (record.error_code) json["error_code"] = name_of(*record.error_code);
  return json;
}

LogContent read_log(const std::filesystem::path& path) {
  return parse_log(MappedFile::open(path).text(), path.string());
}

double logged_seconds(std::span<const LoggedItem> items) {
  std::map<std::int32_t, double> clocks;
  for (const LoggedItem& item : items) {
    double& clock = clocks[item.session];
    clock = std::max(clock, item.record.clock);
  }
  double seconds = 0;
  for (const auto& [session, clock] : clocks) seconds += clock;
  return seconds;
}

ResultLog::ResultLog(std::filesystem::path path, Json settings, Json about)
    : path_(std::move(path)) {
  const std::string source = path_.string();
  fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0) {
    fail(ErrorCode::kNotFound, "--output {}: cannot be opened: {}", source, std::strerror(errno));
  }
  try {
    struct stat status {};
    if (fstat(fd_, &status) != 0 || !S_ISREG(status.st_mode)) {
      fail(ErrorCode::kInvalidArgument, "--output {}: expected a regular file", source);
    }
    if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      fail(ErrorCode::kBusy, "--output {}: another process is writing it", source);
    }
    const Json header = {
        {"eval", kMark}, {"version", kVersion}, {"settings", settings}, {"about", about}};
    const std::string text = read_whole(fd_, source);
    const std::size_t whole = text.rfind('\n') + 1;  // 0 where there is none
    const std::string_view begun = "{\"eval\":\"fast-dllm\",";
    if (whole > 0) {
      content_ = parse_log(std::string_view(text).substr(0, whole), source);
      if (const std::string found = differences(content_.settings, settings); !found.empty()) {
        fail(ErrorCode::kInvalidArgument,
             "--output {}: holds results of other settings: {}; name another file, or remove this "
             "one",
             source, found);
      }
      for (const LoggedItem& item : content_.items) {
        session_ = std::max(session_, item.session + 1);
      }
    } else if (!text.empty() && !text.starts_with(begun) && !begun.starts_with(text)) {
      fail(ErrorCode::kCorruptFile, "--output {}: is no log of fast-dllm eval; name another file",
           source);
    }
    if (whole < text.size() && ftruncate(fd_, static_cast<off_t>(whole)) != 0) {
      fail(ErrorCode::kUnsupported, "--output {}: its unfinished last line can't be removed: {}",
           source, std::strerror(errno));
    }
    if (whole == 0) {
      content_.settings = std::move(settings);
      content_.about = std::move(about);
      append(header);
    }
  } catch (...) {
    close(fd_);
    throw;
  }
}

ResultLog::~ResultLog() {
  close(fd_);
}

void ResultLog::append(const Json& line) {
  const std::string text = dumped(line) + "\n";
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t count = write(fd_, rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      fail(ErrorCode::kUnsupported, "--output {}: cannot be written: {}", path_.string(),
           std::strerror(errno));
    }
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
}

void ResultLog::add(const ItemRecord& record) {
  Json line = {{"session", session_}};
  line.update(record_json(record));
  append(line);
  content_.items.push_back({record, session_});
}

std::uint64_t model_fingerprint(const std::filesystem::path& model) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  std::error_code error;
  if (fs::is_directory(model, error)) {
    for (const auto& entry : fs::directory_iterator(model, error)) {
      const std::string extension = entry.path().extension().string();
      const bool counts = extension == ".safetensors" || extension == ".json";
      if (counts && entry.is_regular_file(error)) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
  } else {
    files.push_back(model);
  }
  constexpr std::size_t kSamples = 16, kSampleBytes = 1 << 16;
  std::uint64_t hash = kHashBasis;
  for (const fs::path& path : files) {
    if (fs::file_size(path, error) == 0 || error) continue;
    const MappedFile file = MappedFile::open(path);
    const std::string_view bytes = file.text();
    hash = hash_bytes(fmt::format("{} {}\n", path.filename().string(), bytes.size()), hash);
    const std::size_t distance = std::max(bytes.size() / kSamples, kSampleBytes);
    for (std::size_t at = 0; at < bytes.size(); at += distance) {
      hash = hash_bytes(bytes.substr(at, kSampleBytes), hash);
    }
    if (bytes.size() > kSampleBytes) {
      hash = hash_bytes(bytes.substr(bytes.size() - kSampleBytes), hash);
    }
  }
  return hash;
}

}  // namespace fdllm::eval
