#include "formats/safetensors.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/json.h"
#include "base/lfs_pointer.h"
#include "base/quote.h"
#include "formats/unusable_folder.h"

namespace fdllm {
namespace {

using nlohmann::json;

constexpr std::size_t kLengthBytes = 8;
// The format's own limit.
constexpr std::size_t kMaxHeaderBytes = 100'000'000;
constexpr std::size_t kMaxRank = 64;

struct StoredType {
  std::string_view name;
  std::size_t bits;  ///< of one element
  std::optional<DType> dtype;
};

constexpr std::array kStoredTypes = {
    StoredType{"F32", 32, DType::kF32},     StoredType{"F16", 16, DType::kF16},
    StoredType{"BF16", 16, DType::kBF16},   StoredType{"F64", 64, std::nullopt},
    StoredType{"I64", 64, std::nullopt},    StoredType{"U64", 64, std::nullopt},
    StoredType{"C64", 64, std::nullopt},    StoredType{"I32", 32, std::nullopt},
    StoredType{"U32", 32, std::nullopt},    StoredType{"I16", 16, std::nullopt},
    StoredType{"U16", 16, std::nullopt},    StoredType{"I8", 8, std::nullopt},
    StoredType{"U8", 8, std::nullopt},      StoredType{"BOOL", 8, std::nullopt},
    StoredType{"F8_E4M3", 8, std::nullopt}, StoredType{"F8_E5M2", 8, std::nullopt},
    StoredType{"F8_E8M0", 8, std::nullopt},
};

const StoredType* stored_type(std::string_view name) {
  const auto* found = std::find_if(kStoredTypes.begin(), kStoredTypes.end(),
                                   [&](const StoredType& type) { return type.name == name; });
  return found == kStoredTypes.end() ? nullptr : found;
}

std::uint64_t read_length(std::span<const std::byte> file) {
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    length |= std::to_integer<std::uint64_t>(file[i]) << (8 * i);
  }
  return length;
}

[[noreturn]] void wrong_field(std::string_view source, std::string_view name,
                              std::string_view expected, const json& found) {
  // Containers are not dumped: they may be large.
  const std::string text = found.is_structured() ? found.type_name() : found.dump();
  fail(ErrorCode::kCorruptFile, "{}: {}: expected {}, found {}", source, quote(name), expected,
       quote(text));
}

const json& field(const json& entry, const char* key, std::string_view source,
                  std::string_view name) {
  if (!entry.is_object()) wrong_field(source, name, "an object", entry);
  const auto found = entry.find(key);
  if (found == entry.end()) {
    fail(ErrorCode::kCorruptFile, "{}: {}: expected the field '{}', found none", source,
         quote(name), key);
  }
  return *found;
}

std::uint64_t natural(const json& value, std::string_view what, std::string_view source,
                      std::string_view name) {
  if (!value.is_number_unsigned()) {
    wrong_field(source, name, fmt::format("{} that is a whole number of at least 0", what), value);
  }
  return value.get<std::uint64_t>();
}

std::vector<std::int64_t> parse_shape(const json& value, std::string_view source,
                                      std::string_view name) {
  if (!value.is_array()) wrong_field(source, name, "a list as 'shape'", value);
  if (value.size() > kMaxRank) {
    fail(ErrorCode::kCorruptFile, "{}: {}: expected at most {} dimensions, found {}", source,
         quote(name), kMaxRank, value.size());
  }
  std::vector<std::int64_t> shape;
  for (const json& size : value) {
    const std::uint64_t number = natural(size, "a dimension", source, name);
    if (number > INT64_MAX) wrong_field(source, name, "a dimension below 2^63", size);
    shape.push_back(static_cast<std::int64_t>(number));
  }
  return shape;
}

void check_size(const SafetensorsEntry& entry, const StoredType& type, std::string_view source) {
  const std::string what = fmt::format("{}: {}: the size of shape {}", source, quote(entry.name),
                                       shape_text(entry.shape));
  std::uint64_t bits = type.bits;
  for (const std::int64_t size : entry.shape) {
    bits = checked_mul(bits, static_cast<std::uint64_t>(size), what);
  }
  const std::uint64_t expected = bits / 8;
  if (entry.end - entry.begin != expected) {
    fail(ErrorCode::kCorruptFile, "{}: {}: expected {} bytes for {} {}, found {}", source,
         quote(entry.name), expected, entry.dtype_name, shape_text(entry.shape),
         entry.end - entry.begin);
  }
}

SafetensorsEntry parse_entry(const std::string& name, const json& value, std::size_t data_begin,
                             std::size_t file_size, std::string_view source) {
  SafetensorsEntry entry;
  entry.name = name;
  const json& dtype = field(value, "dtype", source, name);
  if (!dtype.is_string()) wrong_field(source, name, "a text as 'dtype'", dtype);
  entry.dtype_name = dtype.get<std::string>();
  entry.shape = parse_shape(field(value, "shape", source, name), source, name);

  const json& offsets = field(value, "data_offsets", source, name);
  if (!offsets.is_array() || offsets.size() != 2) {
    wrong_field(source, name, "two numbers as 'data_offsets'", offsets);
  }
  const std::uint64_t begin = natural(offsets[0], "an offset", source, name);
  const std::uint64_t end = natural(offsets[1], "an offset", source, name);
  const std::size_t data_bytes = file_size - data_begin;
  if (begin > end || end > data_bytes) {
    fail(ErrorCode::kCorruptFile,
         "{}: {}: expected data_offsets inside the {} bytes of data, found [{}, {}]; was the file "
         "cut off?",
         source, quote(name), data_bytes, begin, end);
  }
  entry.begin = data_begin + begin;
  entry.end = data_begin + end;

  if (const StoredType* type = stored_type(entry.dtype_name)) {
    entry.dtype = type->dtype;
    check_size(entry, *type, source);
  }
  return entry;
}

void check_metadata(const json& value, std::string_view source) {
  if (!value.is_object()) wrong_field(source, "__metadata__", "an object of texts", value);
  for (const json& text : value) {
    if (!text.is_string()) wrong_field(source, "__metadata__", "an object of texts", text);
  }
}

// The data of the entries (sorted) must follow one another without overlap or gap.
void check_coverage(std::span<const SafetensorsEntry> entries, std::size_t data_begin,
                    std::size_t file_size, std::string_view source) {
  std::size_t covered = data_begin;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.begin != covered) {
      fail(ErrorCode::kCorruptFile, "{}: {}: expected its data to begin at byte {}, found {} ({})",
           source, quote(entry.name), covered - data_begin, entry.begin - data_begin,
           entry.begin < covered ? "it overlaps another tensor" : "there is a gap before it");
    }
    covered = entry.end;
  }
  if (covered != file_size) {
    fail(ErrorCode::kCorruptFile, "{}: expected {} bytes of data, found {}", source,
         covered - data_begin, file_size - data_begin);
  }
}

}  // namespace

std::vector<SafetensorsEntry> parse_safetensors_header(std::span<const std::byte> file,
                                                       std::string_view source) {
  refuse_lfs_pointer({reinterpret_cast<const char*>(file.data()), file.size()}, source);
  if (file.size() < kLengthBytes) {
    fail(ErrorCode::kCorruptFile,
         "{}: expected at least {} bytes, found {}; is this a safetensors file?", source,
         kLengthBytes, file.size());
  }
  const std::uint64_t length = read_length(file);
  if (length > kMaxHeaderBytes) {
    fail(ErrorCode::kCorruptFile,
         "{}: header length: expected at most {}, found {}; is this a safetensors file?", source,
         kMaxHeaderBytes, length);
  }
  if (length > file.size() - kLengthBytes) {
    fail(ErrorCode::kCorruptFile,
         "{}: header length: expected at most the {} bytes that follow, found {}; was the file cut "
         "off?",
         source, file.size() - kLengthBytes, length);
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes,
                              static_cast<std::size_t>(length));
  const json header = parse_json(
      text, fmt::format("{}: header", source),
      {.max_bytes = kMaxHeaderBytes, .max_depth = 8, .duplicate_keys = DuplicateKeys::kReject});
  if (!header.is_object()) {
    fail(ErrorCode::kCorruptFile, "{}: header: expected a JSON object, found {}", source,
         header.type_name());
  }

  const std::size_t data_begin = kLengthBytes + static_cast<std::size_t>(length);
  std::vector<SafetensorsEntry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      check_metadata(value, source);
    } else {
      entries.push_back(parse_entry(name, value, data_begin, file.size(), source));
    }
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  check_coverage(entries, data_begin, file.size(), source);
  return entries;
}

std::map<std::string, std::string, std::less<>> parse_safetensors_index(std::string_view text,
                                                                        std::string_view source) {
  // transformers reads it with json.load, the header above is for a strict parser.
  const json root =
      parse_json(text, source, {.max_bytes = kMaxHeaderBytes, .dialect = JsonDialect::kPython});
  const json& files = field(root, "weight_map", source, "weight_map");
  if (!files.is_object()) wrong_field(source, "weight_map", "an object", files);
  std::map<std::string, std::string, std::less<>> index;
  for (const auto& [tensor, file] : files.items()) {
    if (!file.is_string()) wrong_field(source, tensor, "a file name", file);
    const auto& name = file.get_ref<const std::string&>();
    if (!name.ends_with(".safetensors") ||
        name.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos) {
      wrong_field(source, tensor, "the name of a .safetensors file in the same folder", file);
    }
    index.emplace(tensor, name);
  }
  if (index.empty()) {
    fail(ErrorCode::kCorruptFile, "{}: 'weight_map': expected tensors, found none", source);
  }
  return index;
}

namespace {

void require_shards(const std::filesystem::path& folder, const std::set<std::string>& shards,
                    std::string_view index_name) {
  std::size_t missing = 0;
  std::string first;
  for (const std::string& shard : shards) {
    if (std::filesystem::exists(folder / shard)) continue;
    if (missing++ == 0) first = shard;
  }
  if (missing == 0) return;
  const std::string others =
      missing == 1 ? std::string() : fmt::format(" ({} of {} are missing)", missing, shards.size());
  fail(ErrorCode::kNotFound, "{}: expected the shard {} in {}, found no such file{}{}", index_name,
       quote(first), folder.string(), others, unfinished_download(folder));
}

}  // namespace

SafetensorsStore::SafetensorsStore(const std::filesystem::path& folder) {
  const auto single = folder / "model.safetensors";
  if (std::filesystem::exists(single)) {
    add_file(single);
    return;
  }
  const auto index_path = folder / "model.safetensors.index.json";
  if (!std::filesystem::exists(index_path)) refuse_folder(folder);
  const std::string index_name = index_path.filename().string();
  const auto index = parse_safetensors_index(MappedFile::open(index_path).text(), index_name);
  std::set<std::string> shards;
  for (const auto& [tensor, file] : index) shards.insert(file);
  require_shards(folder, shards, index_name);
  for (const std::string& shard : shards) add_file(folder / shard);
  for (const auto& [tensor, file] : index) {
    const auto found = tensors_.find(tensor);
    if (found == tensors_.end() || found->second.view.file != file) {
      fail(ErrorCode::kNotFound, "{}: expected the tensor {}, as {} says, found none", file,
           quote(tensor), index_name);
    }
  }
}

void SafetensorsStore::add_file(const std::filesystem::path& path) {
  const std::string file_name = path.filename().string();
  files_.push_back(MappedFile::open(path));
  const std::span<const std::byte> bytes = files_.back().bytes();
  for (SafetensorsEntry& entry : parse_safetensors_header(bytes, file_name)) {
    Stored stored;
    stored.view = {.name = entry.name,
                   .dtype = entry.dtype.value_or(DType::kF32),
                   .shape = std::move(entry.shape),
                   .data = bytes.subspan(entry.begin, entry.end - entry.begin),
                   .file = file_name};
    if (!entry.dtype) {
      stored.problem = fmt::format("{}: {}: expected dtype F32, F16 or BF16, found {}", file_name,
                                   quote(entry.name), quote(entry.dtype_name));
    }
    const auto [place, added] = tensors_.emplace(entry.name, std::move(stored));
    if (!added) {
      fail(ErrorCode::kCorruptFile, "{}: {}: the tensor is in {} too", file_name, quote(entry.name),
           place->second.view.file);
    }
  }
}

const TensorView* SafetensorsStore::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) return nullptr;
  if (!found->second.problem.empty()) throw Error(ErrorCode::kUnsupported, found->second.problem);
  return &found->second.view;
}

std::vector<std::string> SafetensorsStore::names() const {
  std::vector<std::string> names;
  names.reserve(tensors_.size());
  for (const auto& [name, stored] : tensors_) names.push_back(name);
  return names;
}

}  // namespace fdllm
