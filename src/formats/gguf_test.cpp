#include "formats/gguf.h"

#include <cstring>
#include <sstream>

#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "formats/checkpoint_test_files.h"
#include "formats/gguf_writer.h"

namespace fdllm {
namespace {

using testing_files::TemporaryFolder;

template <typename T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(T)};
}
std::string text(const std::string& value) {
  return raw(std::uint64_t{value.size()}) + value;
}
std::string kind(GgufKind value) {
  return raw(static_cast<std::uint32_t>(value));
}

std::string start(std::uint64_t tensors, std::uint64_t entries, std::uint32_t version = 3) {
  return "GGUF" + raw(version) + raw(tensors) + raw(entries);
}
std::string entry(const std::string& key, GgufKind value_kind, const std::string& value) {
  return text(key) + kind(value_kind) + value;
}
std::string array(GgufKind element, std::uint64_t count, const std::string& elements) {
  return kind(element) + raw(count) + elements;
}
/// `sizes` in the file's order: columns first.
std::string tensor(const std::string& name, const std::vector<std::uint64_t>& sizes,
                   std::uint32_t type, std::uint64_t offset) {
  std::string bytes = text(name) + raw(static_cast<std::uint32_t>(sizes.size()));
  for (const std::uint64_t size : sizes) bytes += raw(size);
  return bytes + raw(type) + raw(offset);
}
std::string padded(std::string bytes, std::size_t alignment = 32) {
  bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
  return bytes;
}

GgufHeader parse(const std::string& bytes) {
  return parse_gguf_header(std::as_bytes(std::span(bytes)), "model.gguf");
}

void expect_error(const std::string& bytes, ErrorCode code, const std::string& part) {
  try {
    parse(bytes);
    FAIL() << "expected an error with: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    EXPECT_TRUE(std::string(error.what()).starts_with("model.gguf: ")) << error.what();
  }
}
void expect_corrupt(const std::string& bytes, const std::string& part) {
  expect_error(bytes, ErrorCode::kCorruptFile, part);
}

TEST(GgufHeader, EveryKindOfValue) {
  const std::string bytes =
      start(0, 16, 2) + entry("u8", GgufKind::kU8, raw(std::uint8_t{200})) +
      entry("i8", GgufKind::kI8, raw(std::int8_t{-3})) +
      entry("u16", GgufKind::kU16, raw(std::uint16_t{60000})) +
      entry("i16", GgufKind::kI16, raw(std::int16_t{-300})) +
      entry("u32", GgufKind::kU32, raw(std::uint32_t{4000000000})) +
      entry("i32", GgufKind::kI32, raw(std::int32_t{-70000})) +
      entry("f32", GgufKind::kF32, raw(0.5f)) + entry("yes", GgufKind::kBool, "\x01") +
      entry("text", GgufKind::kText, text("h\xc3\xa9")) +
      entry("u64", GgufKind::kU64, raw(std::uint64_t{1} << 40)) +
      entry("huge", GgufKind::kU64, raw(UINT64_MAX)) +
      entry("i64", GgufKind::kI64, raw(std::int64_t{-1})) + entry("f64", GgufKind::kF64, raw(0.1)) +
      entry("texts", GgufKind::kArray, array(GgufKind::kText, 2, text("a") + text(""))) +
      entry("ids", GgufKind::kArray,
            array(GgufKind::kI32, 2, raw(std::int32_t{7}) + raw(std::int32_t{-8}))) +
      entry("scores", GgufKind::kArray, array(GgufKind::kF32, 1, raw(1.5f)));
  const GgufHeader header = parse(bytes);
  EXPECT_EQ(header.version, 2u);
  EXPECT_EQ(header.alignment, 32u);
  EXPECT_TRUE(header.tensors.empty());
  const Metadata metadata("model.gguf", header.values);
  EXPECT_EQ(metadata.integer("u8"), 200);
  EXPECT_EQ(metadata.integer("i8"), -3);
  EXPECT_EQ(metadata.integer("u16"), 60000);
  EXPECT_EQ(metadata.integer("i16"), -300);
  EXPECT_EQ(metadata.integer("u32"), 4000000000);
  EXPECT_EQ(metadata.integer("i32"), -70000);
  EXPECT_EQ(metadata.number("f32"), 0.5);
  EXPECT_EQ(metadata.boolean("yes"), true);
  EXPECT_EQ(metadata.text("text"), "h\xc3\xa9");
  EXPECT_EQ(metadata.integer("u64"), std::int64_t{1} << 40);
  EXPECT_EQ(metadata.number("huge"), 18446744073709551616.0);
  EXPECT_EQ(metadata.integer("i64"), -1);
  EXPECT_EQ(metadata.number("f64"), 0.1);
  EXPECT_EQ(metadata.texts("texts"), (std::vector<std::string>{"a", ""}));
  EXPECT_EQ(metadata.integers("ids"), (std::vector<std::int64_t>{7, -8}));
  EXPECT_FALSE(metadata.has("scores"));
}

TEST(GgufHeader, TensorsAndAlignment) {
  const std::string head =
      padded(start(2, 1) + entry("general.alignment", GgufKind::kU32, raw(std::uint32_t{64})) +
                 tensor("b", {64, 3}, 8, 64) + tensor("a", {5}, 0, 0),
             64);
  const GgufHeader header = parse(head + std::string(64 + 3 * 2 * 34, 'x'));
  ASSERT_EQ(header.tensors.size(), 2u);
  EXPECT_EQ(header.alignment, 64u);
  EXPECT_EQ(header.tensors[0].name, "b");
  EXPECT_EQ(header.tensors[0].dtype, DType::kQ8_0);
  EXPECT_EQ(header.tensors[0].shape, (std::vector<std::int64_t>{3, 64}));
  EXPECT_EQ(header.tensors[0].begin, head.size() + 64);
  EXPECT_EQ(header.tensors[0].end, head.size() + 64 + 3 * 2 * 34);
  EXPECT_EQ(header.tensors[1].dtype, DType::kF32);
  EXPECT_EQ(header.tensors[1].begin, head.size());
  EXPECT_EQ(header.tensors[1].end, head.size() + 20);
}

TEST(GgufHeader, EveryCutIsNoticed) {
  const std::string bytes =
      padded(start(1, 2) + entry("k", GgufKind::kArray, array(GgufKind::kText, 1, text("abc"))) +
             entry("n", GgufKind::kU32, raw(std::uint32_t{1})) + tensor("t", {8}, 0, 0)) +
      std::string(32, 'x');
  EXPECT_EQ(parse(bytes).tensors.size(), 1u);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THROW(parse(bytes.substr(0, size)), Error) << size;
  }
}

TEST(GgufHeader, WrongBeginnings) {
  expect_corrupt("", "magic");
  expect_corrupt("GGML" + std::string(40, '\0'), "expected a file that begins with GGUF");
  expect_error(start(0, 0, 1), ErrorCode::kUnsupported, "expected GGUF version 2 or 3, found 1");
  expect_error(start(0, 0, 0x03000000), ErrorCode::kUnsupported, "big-endian");
}

TEST(GgufHeader, CountsBeyondTheFile) {
  expect_corrupt(start(UINT64_MAX, 0), "the number of tensors");
  expect_corrupt(start(0, UINT64_MAX), "the number of metadata keys");
  expect_corrupt(start(0, 1) + text("k") + std::string(8, '\xff'), "kind of value");
  expect_corrupt(start(0, 1) + raw(UINT64_MAX) + std::string(40, 'k'),
                 "the name of a metadata key");
  expect_corrupt(start(0, 1) + entry("k", GgufKind::kText, raw(UINT64_MAX)), "key 'k'");
  for (const GgufKind element : {GgufKind::kU8, GgufKind::kF64, GgufKind::kText}) {
    for (const std::uint64_t count : {UINT64_MAX, UINT64_MAX / 8 + 1, std::uint64_t{100}}) {
      expect_corrupt(start(0, 1) + entry("k", GgufKind::kArray, array(element, count, "xx")),
                     "key 'k'");
    }
  }
  const std::string many(std::size_t{1} << 21, '\0');
  expect_error(start(1 << 16 | 1, 0) + many, ErrorCode::kUnsupported, "the number of tensors");
}

TEST(GgufHeader, ArraysAltogetherAreBounded) {
  const std::uint64_t half = (1u << 23) + 1;
  const std::string flags(half, '\0');
  expect_error(
      start(0, 1) + entry("a", GgufKind::kArray, array(GgufKind::kArray, 1, "xxxxxxxxxxxx")),
      ErrorCode::kUnsupported, "array of arrays");
  expect_error(start(0, 2) + entry("a", GgufKind::kArray, array(GgufKind::kBool, half, flags)) +
                   entry("b", GgufKind::kArray, array(GgufKind::kBool, half, flags)),
               ErrorCode::kUnsupported, "key 'b': expected at most 16777216 elements");
}

TEST(GgufHeader, DamagedMetadata) {
  const std::string one = entry("k", GgufKind::kU8, "\x01");
  expect_corrupt(start(0, 2) + one + one, "key 'k': the key comes twice");
  expect_corrupt(start(0, 1) + entry("k", GgufKind::kBool, "\x02"), "expected 0 or 1");
  expect_corrupt(start(0, 1) + entry("k", GgufKind::kText, text("\xff")), "expected UTF-8");
  expect_corrupt(start(0, 1) + entry("\x01", GgufKind::kU8, "\x01"), "printable ASCII");
  expect_corrupt(start(0, 1) + entry("", GgufKind::kU8, "\x01") + "xxxx", "printable ASCII");
  for (const std::uint32_t alignment : {0u, 3u, 48u}) {
    expect_corrupt(start(0, 1) + entry("general.alignment", GgufKind::kU32, raw(alignment)),
                   "expected a power of two");
  }
  expect_corrupt(start(0, 1) + entry("general.alignment", GgufKind::kText, text("32")),
                 "'general.alignment'");
}

TEST(GgufHeader, DamagedTensors) {
  const auto file = [](const std::string& description) {
    return padded(start(1, 0) + description) + std::string(64, 'x');
  };
  expect_corrupt(file(tensor("t", {4, 4, 1}, 0, 32)), "'t': expected 64 bytes from 32");
  expect_corrupt(file(tensor("t", {4}, 0, 8)), "multiple of the alignment");
  expect_corrupt(file(tensor("t", {4}, 0, UINT64_MAX / 32 * 32)), "inside the 64 bytes");
  expect_corrupt(file(tensor("t", {31}, 8, 0)), "expected rows of whole blocks of 32 as Q8_0");
  expect_corrupt(file(tensor("t", {UINT64_MAX}, 0, 0)), "dimensions below 2^63");
  expect_corrupt(file(tensor("t", {std::uint64_t{1} << 62, 4}, 0, 0)), "the size of shape");
  expect_corrupt(file(tensor("t", {std::uint64_t{1} << 32, std::uint64_t{1} << 32}, 8, 0)),
                 "the size of shape");
  expect_corrupt(file(tensor("t", {1, 1, 1, 1, 1}, 0, 0)), "at most 4 dimensions");
  expect_corrupt(file(tensor("", {1}, 0, 0)), "the name of a tensor");
  expect_corrupt(
      padded(start(2, 0) + tensor("t", {1}, 0, 0) + tensor("t", {1}, 0, 0)) + std::string(32, 'x'),
      "'t': the tensor comes twice");
}

TEST(GgufHeader, EmptyTensorsLieInsideTheFileToo) {
  const std::string bytes = start(1, 0) + tensor("t", {0}, 0, 0);
  ASSERT_NE(bytes.size() % 32, 0u);
  expect_corrupt(bytes, "expected 0 bytes from 0");
  const GgufHeader header = parse(padded(bytes));
  EXPECT_EQ(header.tensors[0].begin, padded(bytes).size());
  EXPECT_EQ(header.tensors[0].end, padded(bytes).size());
}

TEST(GgufHeader, HugeAlignmentDoesNoHarm) {
  expect_corrupt(start(1, 1) +
                     entry("general.alignment", GgufKind::kU32, raw(std::uint32_t{0x80000000})) +
                     tensor("t", {1}, 0, 0),
                 "inside the 0 bytes of data");
}

TEST(GgufFile, OtherTypesAreRefusedOnlyWhenAskedFor) {
  const TemporaryFolder folder;
  const auto path =
      folder.write("model.gguf", padded(start(3, 0) + tensor("i", {4}, 26, 0) +
                                        tensor("x", {4}, 999, 0) + tensor("w", {4}, 0, 0)) +
                                     std::string(32, 'x'));
  const auto checkpoint = open_checkpoint(path);
  EXPECT_EQ(checkpoint->names(), (std::vector<std::string>{"i", "w", "x"}));
  EXPECT_NE(checkpoint->find("w"), nullptr);
  EXPECT_EQ(checkpoint->find("v"), nullptr);
  for (const auto& [name, found] : {std::pair("i", "found I32"), {"x", "found number 999"}}) {
    try {
      checkpoint->find(name);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
      EXPECT_NE(std::string(error.what()).find(found), std::string::npos) << error.what();
    }
  }
}

TEST(GgufFile, PartsOfASplitModelAreRefused) {
  const TemporaryFolder folder;
  const auto path = folder.write(
      "part.gguf", start(0, 1) + entry("split.count", GgufKind::kU16, raw(std::uint16_t{2})));
  try {
    open_checkpoint(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("a part of 2"), std::string::npos);
  }
}

TEST(GgufWriter, WhatItWritesIsReadBack) {
  GgufWriter writer;
  writer.add("general.architecture", std::string("llada"));
  writer.add("flag", true);
  writer.add("number", std::uint32_t{77});
  writer.add("real", 0.25f);
  writer.add("ids", std::vector<std::int32_t>{1, -2});
  writer.add("texts", std::vector<std::string>{"a", "\xc4\xa0"});
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  writer.add_tensor("w", DType::kF32, {3, 2}, [&](const GgufSink& sink) {
    sink(std::as_bytes(std::span(values)).first(8));
    sink(std::as_bytes(std::span(values)).subspan(8));
  });
  const std::vector<std::byte> block(34, std::byte{9});
  writer.add_tensor("q", DType::kQ8_0, {32}, [&](const GgufSink& sink) { sink(block); });
  EXPECT_EQ(writer.data_bytes(), 24u + 34u);

  const TemporaryFolder folder;
  const auto path = folder.path() / "out.gguf";
  writer.write(path);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "out.gguf.partial"));
  EXPECT_EQ(std::filesystem::file_size(path) % kGgufAlignment, 0u);
  const auto checkpoint = open_checkpoint(path);
  EXPECT_EQ(checkpoint->format(), "gguf");
  EXPECT_EQ(checkpoint->path(), path);
  EXPECT_EQ(checkpoint->config().text("general.architecture"), "llada");
  EXPECT_EQ(checkpoint->config().boolean("flag"), true);
  EXPECT_EQ(checkpoint->config().integer("number"), 77);
  EXPECT_EQ(checkpoint->config().number("real"), 0.25);
  EXPECT_EQ(checkpoint->config().integers("ids"), (std::vector<std::int64_t>{1, -2}));
  EXPECT_EQ(checkpoint->config().texts("texts"), (std::vector<std::string>{"a", "\xc4\xa0"}));
  const TensorView* view = checkpoint->find("w");
  ASSERT_NE(view, nullptr);
  EXPECT_EQ(view->shape, (std::vector<std::int64_t>{3, 2}));
  EXPECT_EQ(view->file, "out.gguf");
  ASSERT_EQ(view->data.size(), 24u);
  EXPECT_EQ(std::memcmp(view->data.data(), values.data(), 24), 0);
  EXPECT_EQ(checkpoint->find("q")->dtype, DType::kQ8_0);
  EXPECT_EQ(checkpoint->find("q")->data[33], std::byte{9});
}

TEST(GgufWriter, NothingIsLeftWhereWritingFails) {
  const TemporaryFolder folder;
  GgufWriter writer;
  EXPECT_THROW(writer.write(folder.path() / "no" / "out.gguf"), Error);
  writer.add_tensor("w", DType::kF32, {1},
                    [](const GgufSink&) { throw Error(ErrorCode::kNumeric, "no"); });
  EXPECT_THROW(writer.write(folder.path() / "out.gguf"), Error);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(GgufTypes, NumbersAndTypesBelongTogether) {
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    const auto type = static_cast<DType>(i);
    EXPECT_EQ(dtype_of_gguf(gguf_type(type)), type) << name_of(type);
  }
  EXPECT_EQ(gguf_type(DType::kQ4_K), 12u);
  EXPECT_EQ(gguf_type(DType::kBF16), 30u);
  EXPECT_EQ(dtype_of_gguf(4), std::nullopt);
}

}  // namespace
}  // namespace fdllm
