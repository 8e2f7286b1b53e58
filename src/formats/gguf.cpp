#include "formats/gguf.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "base/mapped_file.h"
#include "base/quote.h"

namespace fdllm {
namespace {

struct StoredType {
  std::uint32_t number;
  const char* name;
  std::optional<DType> dtype;
};

constexpr std::array kStoredTypes = {
    StoredType{0, "F32", DType::kF32},        StoredType{1, "F16", DType::kF16},
    StoredType{2, "Q4_0", DType::kQ4_0},      StoredType{3, "Q4_1", DType::kQ4_1},
    StoredType{6, "Q5_0", DType::kQ5_0},      StoredType{7, "Q5_1", DType::kQ5_1},
    StoredType{8, "Q8_0", DType::kQ8_0},      StoredType{10, "Q2_K", DType::kQ2_K},
    StoredType{11, "Q3_K", DType::kQ3_K},     StoredType{12, "Q4_K", DType::kQ4_K},
    StoredType{13, "Q5_K", DType::kQ5_K},     StoredType{14, "Q6_K", DType::kQ6_K},
    StoredType{20, "IQ4_NL", DType::kIQ4_NL}, StoredType{30, "BF16", DType::kBF16},
    StoredType{9, "Q8_1", std::nullopt},      StoredType{15, "Q8_K", std::nullopt},
    StoredType{16, "IQ2_XXS", std::nullopt},  StoredType{17, "IQ2_XS", std::nullopt},
    StoredType{18, "IQ3_XXS", std::nullopt},  StoredType{19, "IQ1_S", std::nullopt},
    StoredType{21, "IQ3_S", std::nullopt},    StoredType{22, "IQ2_S", std::nullopt},
    StoredType{23, "IQ4_XS", std::nullopt},   StoredType{24, "I8", std::nullopt},
    StoredType{25, "I16", std::nullopt},      StoredType{26, "I32", std::nullopt},
    StoredType{27, "I64", std::nullopt},      StoredType{28, "F64", std::nullopt},
    StoredType{29, "IQ1_M", std::nullopt},    StoredType{34, "TQ1_0", std::nullopt},
    StoredType{35, "TQ2_0", std::nullopt},    StoredType{39, "MXFP4", std::nullopt},
};

std::string type_name(std::uint32_t number) {
  const auto* found = std::find_if(kStoredTypes.begin(), kStoredTypes.end(),
                                   [&](const StoredType& type) { return type.number == number; });
  return found == kStoredTypes.end() ? fmt::format("number {}", number) : found->name;
}

std::string known_types() {
  std::string names;
  for (const StoredType& type : kStoredTypes) {
    if (type.dtype) names += fmt::format("{}{}", names.empty() ? "" : ", ", type.name);
  }
  return names;
}

/// A whole model in one file.
class GgufFile final : public Checkpoint {
 public:
  explicit GgufFile(const std::filesystem::path& path)
      : path_(path), file_(MappedFile::open(path)), name_(path.filename().string()) {
    GgufHeader header = parse_gguf_header(file_.bytes(), name_);
    config_ = Metadata(name_, std::move(header.values));
    if (const std::int64_t parts = config_.integer("split.count").value_or(1); parts > 1) {
      fail(ErrorCode::kUnsupported,
           "{}: 'split.count': expected a whole model in one file, found a part of {}; "
           "llama-gguf-split --merge joins them",
           name_, parts);
    }
    for (GgufTensor& tensor : header.tensors) add(std::move(tensor));
  }

  const std::filesystem::path& path() const override { return path_; }
  std::string_view format() const override { return "gguf"; }
  const Metadata& config() const override { return config_; }
  const Metadata& generation() const override { return generation_; }

  const TensorView* find(std::string_view name) const override {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) return nullptr;
    if (!found->second.dtype) {
      fail(ErrorCode::kUnsupported, "{}: {}: expected a type among {}, found {}", name_,
           quote(name), known_types(), type_name(found->second.type));
    }
    return &found->second.view;
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    names.reserve(tensors_.size());
    for (const auto& [name, stored] : tensors_) names.push_back(name);
    return names;
  }

  void prefetch(const TensorView& tensor) const override { MappedFile::prefetch(tensor.data); }
  void release(const TensorView& tensor) const override { MappedFile::release(tensor.data); }

 private:
  struct Stored {
    TensorView view;
    std::uint32_t type;
    std::optional<DType> dtype;
  };

  void add(GgufTensor tensor) {
    Stored stored{.view = {.name = tensor.name,
                           .dtype = tensor.dtype.value_or(DType::kF32),
                           .shape = std::move(tensor.shape),
                           .data = file_.bytes().subspan(tensor.begin, tensor.end - tensor.begin),
                           .file = name_},
                  .type = tensor.type,
                  .dtype = tensor.dtype};
    tensors_.emplace(std::move(tensor.name), std::move(stored));
  }

  std::filesystem::path path_;
  MappedFile file_;
  std::string name_;
  Metadata config_;
  Metadata generation_;
  std::map<std::string, Stored, std::less<>> tensors_;
};

}  // namespace

std::uint32_t gguf_type(DType type) {
  const auto* found = std::find_if(kStoredTypes.begin(), kStoredTypes.end(),
                                   [&](const StoredType& stored) { return stored.dtype == type; });
  check(found != kStoredTypes.end(), "a tensor type without a number in GGUF");
  return found->number;
}

std::optional<DType> dtype_of_gguf(std::uint32_t type) {
  const auto* found = std::find_if(kStoredTypes.begin(), kStoredTypes.end(),
                                   [&](const StoredType& stored) { return stored.number == type; });
  return found == kStoredTypes.end() ? std::nullopt : found->dtype;
}

bool is_gguf(const std::filesystem::path& path) {
  return !std::filesystem::is_directory(path) && MappedFile::open(path).text().starts_with("GGUF");
}

std::unique_ptr<Checkpoint> open_gguf(const std::filesystem::path& path) {
  return std::make_unique<GgufFile>(path);
}

}  // namespace fdllm
