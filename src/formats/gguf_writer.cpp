#include "formats/gguf_writer.h"

#include <fstream>
#include <ostream>
#include <system_error>

#include "base/check.h"

namespace fdllm {
namespace {

constexpr std::uint32_t kVersion = 3;

template <typename T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

void append_text(std::string& bytes, const std::string& text) {
  append(bytes, std::uint64_t{text.size()});
  bytes += text;
}

void append_kind(std::string& bytes, GgufKind kind) {
  append(bytes, static_cast<std::uint32_t>(kind));
}

/// Appends a value with its kind before it.
struct ValueWriter {
  std::string& bytes;

  void operator()(bool value) const {
    append_kind(bytes, GgufKind::kBool);
    bytes += static_cast<char>(value);
  }
  void operator()(std::uint32_t value) const {
    append_kind(bytes, GgufKind::kU32);
    append(bytes, value);
  }
  void operator()(float value) const {
    append_kind(bytes, GgufKind::kF32);
    append(bytes, value);
  }
  void operator()(const std::string& value) const {
    append_kind(bytes, GgufKind::kText);
    append_text(bytes, value);
  }
  void operator()(const std::vector<std::int32_t>& values) const {
    begin_array(GgufKind::kI32, values.size());
    for (const std::int32_t value : values) append(bytes, value);
  }
  void operator()(const std::vector<std::string>& values) const {
    begin_array(GgufKind::kText, values.size());
    for (const std::string& value : values) append_text(bytes, value);
  }
  void begin_array(GgufKind kind, std::size_t count) const {
    append_kind(bytes, GgufKind::kArray);
    append_kind(bytes, kind);
    append(bytes, std::uint64_t{count});
  }
};

std::uint64_t aligned(std::uint64_t bytes) {
  return (bytes + kGgufAlignment - 1) / kGgufAlignment * kGgufAlignment;
}

void write_bytes(std::ostream& out, std::span<const char> bytes) {
  out.write(bytes.data(), std::ssize(bytes));
}

void write_padding(std::ostream& out, std::uint64_t written) {
  const std::string padding(static_cast<std::size_t>(aligned(written) - written), '\0');
  write_bytes(out, padding);
}

}  // namespace

std::uint64_t GgufWriter::Tensor::bytes() const {
  std::uint64_t total = row_bytes(dtype, shape.empty() ? 1 : shape.back());
  for (std::size_t i = 0; i + 1 < shape.size(); ++i) {
    total = checked_mul(total, static_cast<std::uint64_t>(shape[i]), name);
  }
  return total;
}

void GgufWriter::add(std::string key, GgufValue value) {
  values_.emplace_back(std::move(key), std::move(value));
}

void GgufWriter::add_tensor(std::string name, DType dtype, std::vector<std::int64_t> shape,
                            std::function<void(const GgufSink&)> write_data) {
  check(shape.empty() || shape.back() % static_cast<std::int64_t>(block_elements(dtype)) == 0,
        "a tensor of whole blocks");
  tensors_.push_back({std::move(name), dtype, std::move(shape), std::move(write_data)});
}

std::uint64_t GgufWriter::data_bytes() const {
  std::uint64_t total = 0;
  for (const Tensor& tensor : tensors_) total += tensor.bytes();
  return total;
}

std::string GgufWriter::header() const {
  std::string bytes = "GGUF";
  append(bytes, kVersion);
  append(bytes, std::uint64_t{tensors_.size()});
  append(bytes, std::uint64_t{values_.size()});
  for (const auto& [key, value] : values_) {
    append_text(bytes, key);
    std::visit(ValueWriter{bytes}, value);
  }
  std::uint64_t offset = 0;
  for (const Tensor& tensor : tensors_) {
    append_text(bytes, tensor.name);
    append(bytes, static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size) {
      append(bytes, static_cast<std::uint64_t>(*size));
    }
    append(bytes, gguf_type(tensor.dtype));
    append(bytes, offset);
    offset = aligned(offset + tensor.bytes());
  }
  return bytes;
}

void GgufWriter::write(std::ostream& out) const {
  const std::string head = header();
  write_bytes(out, head);
  write_padding(out, head.size());
  for (const Tensor& tensor : tensors_) {
    std::uint64_t written = 0;
    tensor.write_data([&](std::span<const std::byte> bytes) {
      write_bytes(out, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
      written += bytes.size();
    });
    check(written == tensor.bytes(), "all bytes of a tensor");
    write_padding(out, written);
  }
}

void GgufWriter::write(const std::filesystem::path& path) const {
  std::filesystem::path partial = path;
  partial += ".partial";
  std::error_code ignored;
  try {
    std::ofstream out(partial, std::ios::binary | std::ios::trunc);
    if (!out) {
      fail(ErrorCode::kNotFound,
           "{}: can't be written; is there such a folder, and may it be "
           "written to?",
           partial.string());
    }
    write(out);
    out.flush();
    if (!out) {
      fail(ErrorCode::kInternal, "{}: could not be written completely; is the disk full?",
           partial.string());
    }
  } catch (...) {
    std::filesystem::remove(partial, ignored);
    throw;
  }
  std::error_code error;
  std::filesystem::rename(partial, path, error);
  if (error) {
    std::filesystem::remove(partial, ignored);
    fail(ErrorCode::kNotFound, "{}: can't be written: {}", path.string(), error.message());
  }
}

}  // namespace fdllm
