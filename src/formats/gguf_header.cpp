#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <set>

#include "base/check.h"
#include "base/quote.h"
#include "base/utf8.h"
#include "formats/gguf.h"

namespace fdllm {
namespace {

static_assert(std::endian::native == std::endian::little, "values are read as they are stored");

constexpr std::uint32_t kVersions[] = {2, 3};
// Real headers have some dozen keys, three arrays as long as the vocabulary and 15 MB at most.
constexpr std::size_t kMaxHeaderBytes = std::size_t{512} << 20;
constexpr std::uint64_t kMaxArrayElements = 1 << 24;  // of all arrays together
constexpr std::uint64_t kMaxEntries = 1 << 16;        // of metadata keys, and of tensors
constexpr std::uint64_t kMaxNameBytes = 65535;
constexpr std::uint32_t kMaxRank = 4;
// The fewest bytes of a metadata entry and of a tensor description.
constexpr std::uint64_t kEntryBytes = 8 + 4 + 1;
constexpr std::uint64_t kTensorBytes = 8 + 4 + 4 + 8;

/// Bytes of a value of a fixed size; 0 for texts and arrays.
std::size_t size_of_kind(GgufKind kind) {
  switch (kind) {
    case GgufKind::kU8:
    case GgufKind::kI8:
    case GgufKind::kBool:
      return 1;
    case GgufKind::kU16:
    case GgufKind::kI16:
      return 2;
    case GgufKind::kU32:
    case GgufKind::kI32:
    case GgufKind::kF32:
      return 4;
    case GgufKind::kU64:
    case GgufKind::kI64:
    case GgufKind::kF64:
      return 8;
    case GgufKind::kText:
    case GgufKind::kArray:
      return 0;
  }
  return 0;
}

bool is_printable_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

/// Reads the header's fields in order; nothing is read beyond the file or the header's limit.
class Cursor {
 public:
  Cursor(std::span<const std::byte> file, std::string_view source)
      : bytes_(file.first(std::min(file.size(), kMaxHeaderBytes))),
        cut_(file.size() > kMaxHeaderBytes),
        source_(source) {}

  std::size_t position() const { return position_; }
  std::size_t left() const { return bytes_.size() - position_; }
  std::string_view source() const { return source_; }

  const std::byte* take(std::uint64_t count, std::string_view what) {
    if (count > left()) {
      if (cut_) {
        fail(ErrorCode::kUnsupported, "{}: {}: expected a header of at most {} bytes, found more",
             source_, what, kMaxHeaderBytes);
      }
      fail(ErrorCode::kCorruptFile,
           "{}: {}: expected {} bytes, found {} before the end of the file; was it cut off?",
           source_, what, count, left());
    }
    const std::byte* place = bytes_.data() + position_;
    position_ += static_cast<std::size_t>(count);
    return place;
  }

  template <typename T>
  T number(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof(T), what), sizeof(T));
    return value;
  }

  std::string_view text(std::string_view what) {
    const auto length = number<std::uint64_t>(what);
    return {reinterpret_cast<const char*>(take(length, what)), static_cast<std::size_t>(length)};
  }

  std::string name(std::string_view what) {
    const std::string_view found = text(what);
    if (found.empty() || found.size() > kMaxNameBytes || !is_printable_ascii(found)) {
      fail(ErrorCode::kCorruptFile,
           "{}: {}: expected 1 to {} printable ASCII characters, found {} bytes", source_, what,
           kMaxNameBytes, found.size());
    }
    return std::string(found);
  }

  std::string utf8(std::string_view what) {
    const std::string_view found = text(what);
    if (!is_valid_utf8(found)) {
      fail(ErrorCode::kCorruptFile, "{}: {}: expected UTF-8, found other bytes", source_, what);
    }
    return std::string(found);
  }

  /// A count of things of at least `least_bytes` each, of which the file must have room for all.
  std::uint64_t count(std::uint64_t least_bytes, std::string_view what) {
    const auto found = number<std::uint64_t>(what);
    if (found > left() / least_bytes) {
      fail(ErrorCode::kCorruptFile,
           "{}: {}: expected at most {}, for which the file has bytes, found {}", source_, what,
           left() / least_bytes, found);
    }
    return found;
  }

  /// The same for the parts of the header.
  std::uint64_t entries(std::uint64_t least_bytes, std::string_view what) {
    const std::uint64_t found = count(least_bytes, what);
    if (found > kMaxEntries) {
      fail(ErrorCode::kUnsupported, "{}: {}: expected at most {}, found {}", source_, what,
           kMaxEntries, found);
    }
    return found;
  }

 private:
  std::span<const std::byte> bytes_;
  bool cut_;
  std::string_view source_;
  std::size_t position_ = 0;
};

class MetadataReader {
 public:
  explicit MetadataReader(Cursor& cursor) : cursor_(cursor) {}

  void read_entry(std::map<std::string, Metadata::Value, std::less<>>& values) {
    const std::string key = cursor_.name("the name of a metadata key");
    what_ = fmt::format("key {}", quote(key));
    if (values.contains(key)) {
      fail(ErrorCode::kCorruptFile, "{}: {}: the key comes twice", cursor_.source(), what_);
    }
    const GgufKind kind = read_kind();
    if (kind != GgufKind::kArray) {
      values.emplace(key, scalar(kind));
    } else if (auto value = array()) {
      values.emplace(key, *std::move(value));
    }
  }

 private:
  GgufKind read_kind() {
    const auto kind = cursor_.number<std::uint32_t>(what_);
    if (kind > static_cast<std::uint32_t>(GgufKind::kF64)) {
      fail(ErrorCode::kCorruptFile, "{}: {}: expected a kind of value from 0 to {}, found {}",
           cursor_.source(), what_, static_cast<std::uint32_t>(GgufKind::kF64), kind);
    }
    return static_cast<GgufKind>(kind);
  }

  template <typename T>
  std::int64_t integer() {
    return static_cast<std::int64_t>(cursor_.number<T>(what_));
  }

  bool boolean() {
    const auto found = cursor_.number<std::uint8_t>(what_);
    if (found > 1) {
      fail(ErrorCode::kCorruptFile, "{}: {}: expected 0 or 1 as truth value, found {}",
           cursor_.source(), what_, found);
    }
    return found == 1;
  }

  Metadata::Value unsigned64() {
    const auto found = cursor_.number<std::uint64_t>(what_);
    if (found <= INT64_MAX) return static_cast<std::int64_t>(found);
    return static_cast<double>(found);
  }

  Metadata::Value scalar(GgufKind kind) {
    switch (kind) {
      case GgufKind::kU8:
        return integer<std::uint8_t>();
      case GgufKind::kI8:
        return integer<std::int8_t>();
      case GgufKind::kU16:
        return integer<std::uint16_t>();
      case GgufKind::kI16:
        return integer<std::int16_t>();
      case GgufKind::kU32:
        return integer<std::uint32_t>();
      case GgufKind::kI32:
        return integer<std::int32_t>();
      case GgufKind::kI64:
        return integer<std::int64_t>();
      case GgufKind::kU64:
        return unsigned64();
      case GgufKind::kF32:
        return static_cast<double>(cursor_.number<float>(what_));
      case GgufKind::kF64:
        return cursor_.number<double>(what_);
      case GgufKind::kBool:
        return boolean();
      case GgufKind::kText:
        return cursor_.utf8(what_);
      case GgufKind::kArray:
        break;
    }
    throw Error(ErrorCode::kInternal, "an array as scalar");
  }

  std::optional<Metadata::Value> array() {
    const GgufKind kind = read_kind();
    if (kind == GgufKind::kArray) {
      fail(ErrorCode::kUnsupported,
           "{}: {}: expected an array of numbers or texts, found an array "
           "of arrays",
           cursor_.source(), what_);
    }
    const std::size_t size = size_of_kind(kind);
    const std::uint64_t count = cursor_.count(kind == GgufKind::kText ? 8 : size, what_);
    array_elements_ += count;
    if (array_elements_ > kMaxArrayElements) {
      fail(ErrorCode::kUnsupported,
           "{}: {}: expected at most {} elements in all arrays, found more", cursor_.source(),
           what_, kMaxArrayElements);
    }
    if (kind == GgufKind::kF32 || kind == GgufKind::kF64) {
      cursor_.take(count * size, what_);
      return std::nullopt;
    }
    if (kind == GgufKind::kText) {
      std::vector<std::string> texts;
      texts.reserve(static_cast<std::size_t>(count));
      for (std::uint64_t i = 0; i < count; ++i) texts.push_back(cursor_.utf8(what_));
      return texts;
    }
    std::vector<std::int64_t> integers;
    integers.reserve(static_cast<std::size_t>(count));
    for (std::uint64_t i = 0; i < count; ++i) integers.push_back(array_integer(kind));
    return integers;
  }

  std::int64_t array_integer(GgufKind kind) {
    const Metadata::Value value = scalar(kind);
    if (const auto* number = std::get_if<std::int64_t>(&value)) return *number;
    if (const auto* flag = std::get_if<bool>(&value)) return *flag ? 1 : 0;
    fail(ErrorCode::kUnsupported, "{}: {}: expected integers below 2^63, found a larger one",
         cursor_.source(), what_);
  }

  Cursor& cursor_;
  std::string what_;
  std::uint64_t array_elements_ = 0;
};

std::size_t read_alignment(const GgufHeader& header, std::string_view source) {
  const auto found = header.values.find("general.alignment");
  if (found == header.values.end()) return kGgufAlignment;
  const auto* value = std::get_if<std::int64_t>(&found->second);
  if (value == nullptr || *value < 1 || *value > UINT32_MAX ||
      !std::has_single_bit(static_cast<std::uint64_t>(*value))) {
    fail(ErrorCode::kCorruptFile, "{}: 'general.alignment': expected a power of two, found {}",
         source, value == nullptr ? "no integer" : fmt::format("{}", *value));
  }
  return static_cast<std::size_t>(*value);
}

/// A tensor whose `begin` is still relative to the data.
GgufTensor read_tensor(Cursor& cursor) {
  GgufTensor tensor;
  tensor.name = cursor.name("the name of a tensor");
  const std::string what = fmt::format("tensor {}", quote(tensor.name));
  const auto rank = cursor.number<std::uint32_t>(what);
  if (rank > kMaxRank) {
    fail(ErrorCode::kCorruptFile, "{}: {}: expected at most {} dimensions, found {}",
         cursor.source(), what, kMaxRank, rank);
  }
  for (std::uint32_t i = 0; i < rank; ++i) {
    const auto size = cursor.number<std::uint64_t>(what);
    if (size > INT64_MAX) {
      fail(ErrorCode::kCorruptFile, "{}: {}: expected dimensions below 2^63, found {}",
           cursor.source(), what, size);
    }
    tensor.shape.push_back(static_cast<std::int64_t>(size));
  }
  std::reverse(tensor.shape.begin(), tensor.shape.end());
  tensor.type = cursor.number<std::uint32_t>(what);
  tensor.dtype = dtype_of_gguf(tensor.type);
  tensor.begin = cursor.number<std::uint64_t>(what);
  return tensor;
}

std::uint64_t stored_bytes(const GgufTensor& tensor, std::string_view source) {
  if (!tensor.dtype) return 0;
  const std::string what = fmt::format("{}: {}: the size of shape {}", source, quote(tensor.name),
                                       shape_text(tensor.shape));
  const std::uint64_t elements = block_elements(*tensor.dtype);
  const std::uint64_t columns =
      tensor.shape.empty() ? 1 : static_cast<std::uint64_t>(tensor.shape.back());
  if (columns % elements != 0) {
    fail(ErrorCode::kCorruptFile, "{}: {}: expected rows of whole blocks of {} as {}, found {}",
         source, quote(tensor.name), elements, name_of(*tensor.dtype), columns);
  }
  std::uint64_t bytes =
      checked_mul(columns / elements, std::uint64_t{block_bytes(*tensor.dtype)}, what);
  for (std::size_t i = 0; i + 1 < tensor.shape.size(); ++i) {
    bytes = checked_mul(bytes, static_cast<std::uint64_t>(tensor.shape[i]), what);
  }
  return bytes;
}

void place_tensor(GgufTensor& tensor, std::size_t data_begin, std::size_t alignment,
                  std::size_t file_size, std::string_view source) {
  if (tensor.begin % alignment != 0) {
    fail(ErrorCode::kCorruptFile,
         "{}: {}: expected an offset that is a multiple of the alignment {}, found {}", source,
         quote(tensor.name), alignment, tensor.begin);
  }
  const std::uint64_t bytes = stored_bytes(tensor, source);
  // Even an empty tensor has a place inside the file.
  const bool has_data = data_begin <= file_size;
  const std::size_t data_bytes = has_data ? file_size - data_begin : 0;
  if (!has_data || tensor.begin > data_bytes || bytes > data_bytes - tensor.begin) {
    fail(ErrorCode::kCorruptFile,
         "{}: {}: expected {} bytes from {} on inside the {} bytes of data; was the file cut off?",
         source, quote(tensor.name), bytes, tensor.begin, data_bytes);
  }
  tensor.begin += data_begin;
  tensor.end = tensor.begin + static_cast<std::size_t>(bytes);
}

std::uint32_t read_version(Cursor& cursor) {
  const std::string_view magic(reinterpret_cast<const char*>(cursor.take(4, "magic")), 4);
  if (magic != "GGUF") {
    fail(ErrorCode::kCorruptFile, "{}: expected a file that begins with GGUF, found {}",
         cursor.source(), is_printable_ascii(magic) ? quote(magic) : "other bytes");
  }
  const auto version = cursor.number<std::uint32_t>("version");
  if (std::find(std::begin(kVersions), std::end(kVersions), version) == std::end(kVersions)) {
    const bool swapped = (version & 0xffffu) == 0 && version != 0;
    fail(ErrorCode::kUnsupported, "{}: expected GGUF version 2 or 3, found {}{}", cursor.source(),
         version, swapped ? "; the file is big-endian, only little-endian ones are read" : "");
  }
  return version;
}

}  // namespace

GgufHeader parse_gguf_header(std::span<const std::byte> file, std::string_view source) {
  Cursor cursor(file, source);
  GgufHeader header;
  header.version = read_version(cursor);
  const std::uint64_t tensor_count = cursor.entries(kTensorBytes, "the number of tensors");
  const std::uint64_t entry_count = cursor.entries(kEntryBytes, "the number of metadata keys");
  MetadataReader reader(cursor);
  for (std::uint64_t i = 0; i < entry_count; ++i) reader.read_entry(header.values);
  header.alignment = read_alignment(header, source);

  std::set<std::string_view> names;
  header.tensors.reserve(static_cast<std::size_t>(tensor_count));
  for (std::uint64_t i = 0; i < tensor_count; ++i) header.tensors.push_back(read_tensor(cursor));
  const std::size_t data_begin =
      (cursor.position() + header.alignment - 1) / header.alignment * header.alignment;
  for (GgufTensor& tensor : header.tensors) {
    if (!names.insert(tensor.name).second) {
      fail(ErrorCode::kCorruptFile, "{}: {}: the tensor comes twice", source, quote(tensor.name));
    }
    place_tensor(tensor, data_begin, header.alignment, file.size(), source);
  }
  return header;
}

}  // namespace fdllm
