#include "formats/safetensors.h"

#include <gtest/gtest.h>

#include "fastdllm/error.h"

#include "formats/checkpoint_test_files.h"

namespace fdllm {
namespace {

using testing_files::safetensors_bytes;
using testing_files::safetensors_file;

std::vector<SafetensorsEntry> parse(const std::string& bytes) {
  return parse_safetensors_header(std::as_bytes(std::span(bytes)), "m.safetensors");
}

std::string error_of_bytes(const std::string& bytes) {
  try {
    parse(bytes);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorruptFile) << error.what();
    return error.what();
  }
  return "no error";
}

std::string error_of(const std::string& header, const std::string& data) {
  return error_of_bytes(safetensors_bytes(header, data));
}

// One tensor 'a' with the given fields and `bytes` bytes of data.
std::string error_of_entry(const std::string& fields, std::size_t bytes) {
  return error_of("{\"a\": {" + fields + "}}", std::string(bytes, 'x'));
}

TEST(SafetensorsHeader, GoodFile) {
  const auto entries = parse(safetensors_file(
      {{"b", {2, 3}, "F32", 4}, {"a", {5}, "F16", 2}, {"s", {}, "BF16", 2}, {"z", {0, 7}}}));
  ASSERT_EQ(entries.size(), 4u);
  EXPECT_EQ(entries[0].name, "b");
  EXPECT_EQ(entries[0].dtype, DType::kF32);
  EXPECT_EQ(entries[0].shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(entries[0].end - entries[0].begin, 24u);
  EXPECT_EQ(entries[1].name, "a");
  EXPECT_EQ(entries[1].dtype, DType::kF16);
  EXPECT_EQ(entries[1].begin, entries[0].end);
  EXPECT_EQ(entries[2].shape.size(), 0u) << "a scalar";
  EXPECT_EQ(entries[3].begin, entries[3].end) << "an empty tensor";
}

TEST(SafetensorsHeader, NoTensors) {
  EXPECT_TRUE(parse(safetensors_bytes("{}", "")).empty());
}

TEST(SafetensorsHeader, TruncatedAtEveryByte) {
  const std::string good = safetensors_file({{"a", {2, 3}}, {"b", {4}}});
  EXPECT_EQ(error_of_bytes(good), "no error");
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_NE(error_of_bytes(good.substr(0, size)), "no error") << size;
  }
}

TEST(SafetensorsHeader, HeaderLength) {
  EXPECT_EQ(error_of_bytes("short"),
            "m.safetensors: expected at least 8 bytes, found 5; is this a safetensors file?");
  EXPECT_EQ(error_of_bytes(std::string(8, '\xff')),
            "m.safetensors: header length: expected at most 100000000, found "
            "18446744073709551615; is this a safetensors file?");
  EXPECT_EQ(error_of_bytes(std::string("\x03\0\0\0\0\0\0\0{}", 10)),
            "m.safetensors: header length: expected at most the 2 bytes that follow, found 3; was "
            "the file cut off?");
  EXPECT_NE(error_of("", ""), "no error");
}

TEST(SafetensorsHeader, HeaderText) {
  EXPECT_EQ(error_of("[]", ""), "m.safetensors: header: expected a JSON object, found array");
  EXPECT_NE(error_of("{\"a\"", ""), "no error");
  EXPECT_NE(error_of(std::string(1000, '['), ""), "no error");
  EXPECT_NE(error_of("{\"\xff\": 1}", ""), "no error");
  EXPECT_EQ(error_of(R"({"a": 1})", ""), "m.safetensors: 'a': expected an object, found '1'");
  EXPECT_EQ(error_of(R"({"__metadata__": {"x": 1}})", ""),
            "m.safetensors: '__metadata__': expected an object of texts, found '1'");
  EXPECT_NE(error_of(R"({"__metadata__": "x"})", ""), "no error");
}

TEST(SafetensorsHeader, DuplicateNames) {
  const std::string entry = R"({"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]})";
  EXPECT_EQ(error_of("{\"a\": " + entry + ", \"a\": " + entry + "}", "xx"),
            "m.safetensors: header: 'a' stands twice in one object");
}

TEST(SafetensorsHeader, Fields) {
  EXPECT_EQ(error_of_entry(R"("shape": [1], "data_offsets": [0, 2])", 2),
            "m.safetensors: 'a': expected the field 'dtype', found none");
  EXPECT_NE(error_of_entry(R"("dtype": "BF16", "data_offsets": [0, 2])", 2), "no error");
  EXPECT_NE(error_of_entry(R"("dtype": "BF16", "shape": [1])", 2), "no error");
  EXPECT_NE(error_of_entry(R"("dtype": 1, "shape": [1], "data_offsets": [0, 2])", 2), "no error");
  EXPECT_NE(error_of_entry(R"("dtype": "BF16", "shape": 1, "data_offsets": [0, 2])", 2),
            "no error");
  EXPECT_NE(error_of_entry(R"("dtype": "BF16", "shape": [1.0], "data_offsets": [0, 2])", 2),
            "no error");
  EXPECT_NE(error_of_entry(R"("dtype": "BF16", "shape": [-1], "data_offsets": [0, 2])", 2),
            "no error");
  EXPECT_NE(error_of_entry(R"("dtype": "BF16", "shape": [1], "data_offsets": [2])", 2), "no error");
  EXPECT_NE(error_of_entry(R"("dtype": "BF16", "shape": [1], "data_offsets": [-2, 0])", 2),
            "no error");
  EXPECT_NE(error_of_entry(R"("dtype": "BF16", "shape": [1], "data_offsets": [0, 2.0])", 2),
            "no error");
}

TEST(SafetensorsHeader, Offsets) {
  EXPECT_EQ(error_of_entry(R"("dtype": "BF16", "shape": [1], "data_offsets": [0, 4])", 2),
            "m.safetensors: 'a': expected data_offsets inside the 2 bytes of data, found [0, 4]; "
            "was the file cut off?");
  EXPECT_NE(error_of_entry(R"("dtype": "BF16", "shape": [1], "data_offsets": [2, 0])", 2),
            "no error");
  EXPECT_NE(error_of_entry(
                R"("dtype": "U8", "shape": [1],
                   "data_offsets": [18446744073709551614, 18446744073709551615])",
                2),
            "no error");
}

TEST(SafetensorsHeader, SizeIsShapeTimesDtype) {
  EXPECT_EQ(error_of_entry(R"("dtype": "F32", "shape": [3, 1], "data_offsets": [0, 6])", 6),
            "m.safetensors: 'a': expected 12 bytes for F32 [3, 1], found 6");
  EXPECT_NE(error_of_entry(
                R"("dtype": "BF16", "shape": [4294967296, 4294967296], "data_offsets": [0, 2])", 2),
            "no error")
      << "2^64 elements must not wrap to none";
  EXPECT_NE(
      error_of_entry(R"("dtype": "I8", "shape": [9223372036854775808], "data_offsets": [0, 2])", 2),
      "no error");
  EXPECT_NE(error_of_entry(R"("dtype": "I64", "shape": [1], "data_offsets": [0, 2])", 2),
            "no error")
      << "the sizes of dtypes that are not computed with are known too";
}

TEST(SafetensorsHeader, TooManyDimensions) {
  std::string shape = "[1";
  for (int i = 0; i < 64; ++i) shape += ", 1";
  EXPECT_EQ(
      error_of_entry("\"dtype\": \"U8\", \"shape\": " + shape + R"(], "data_offsets": [0, 1])", 1),
      "m.safetensors: 'a': expected at most 64 dimensions, found 65");
}

TEST(SafetensorsHeader, OverlapGapAndTrailingBytes) {
  const auto two = [](int begin, int end, std::size_t bytes) {
    return error_of(R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}, "b": {"dtype":
        "U8", "shape": [)" +
                        std::to_string(end - begin) + R"(], "data_offsets": [)" +
                        std::to_string(begin) + ", " + std::to_string(end) + "]}}",
                    std::string(bytes, 'x'));
  };
  EXPECT_EQ(two(4, 6, 6), "no error");
  EXPECT_EQ(
      two(3, 6, 6),
      "m.safetensors: 'b': expected its data to begin at byte 4, found 3 (it overlaps another "
      "tensor)");
  EXPECT_NE(two(0, 4, 4), "no error") << "the same bytes twice";
  EXPECT_EQ(two(5, 6, 6),
            "m.safetensors: 'b': expected its data to begin at byte 4, found 5 (there is a gap "
            "before it)");
  EXPECT_EQ(two(4, 6, 7), "m.safetensors: expected 6 bytes of data, found 7");
}

TEST(SafetensorsHeader, HostileNamesAreClippedInMessages) {
  const std::string message = error_of("{\"" + std::string(100000, 'n') + "\": 1}", "");
  EXPECT_LT(message.size(), 300u);
}

std::string index_error(const std::string& text) {
  try {
    parse_safetensors_index(text, "index.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorruptFile) << error.what();
    return error.what();
  }
  return "no error";
}

TEST(SafetensorsIndex, GoodIndex) {
  const auto index = parse_safetensors_index(
      R"({"metadata": {"total_size": 9}, "weight_map": {"a": "1.safetensors"}})", "index.json");
  ASSERT_EQ(index.size(), 1u);
  EXPECT_EQ(index.find("a")->second, "1.safetensors");
}

TEST(SafetensorsIndex, FilesStayInTheFolder) {
  for (const char* file : {"../x.safetensors", "/etc/x.safetensors", "a/b.safetensors",
                           "a\\\\b.safetensors", "a\\u0000.safetensors", "..", "", "passwd"}) {
    const std::string text = std::string(R"({"weight_map": {"a": ")") + file + "\"}}";
    EXPECT_NE(index_error(text).find("expected the name of a .safetensors file in the same folder"),
              std::string::npos)
        << text;
  }
}

TEST(SafetensorsIndex, Damaged) {
  EXPECT_NE(index_error("{"), "no error");
  EXPECT_NE(index_error("[]"), "no error");
  EXPECT_NE(index_error("{}"), "no error");
  EXPECT_NE(index_error(R"({"weight_map": 1})"), "no error");
  EXPECT_NE(index_error(R"({"weight_map": {"a": 1}})"), "no error");
  EXPECT_EQ(index_error(R"({"weight_map": {}})"),
            "index.json: 'weight_map': expected tensors, found none");
}

}  // namespace
}  // namespace fdllm
