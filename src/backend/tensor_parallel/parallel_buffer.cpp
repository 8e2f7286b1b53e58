#include "backend/tensor_parallel/parallel_buffer.h"

#include "base/check.h"

namespace fdllm::tensor_parallel {

ParallelBuffer::ParallelBuffer(DeviceGroup& group, std::int64_t elements)
    : group_(&group),
      size_(elements),
      whole_(static_cast<std::size_t>(group.size())),
      shares_(static_cast<std::size_t>(group.size())) {
  check(elements >= 0, "size of a buffer");
}

ParallelBuffer::ParallelBuffer(DeviceGroup& group, std::span<const float> values)
    : ParallelBuffer(group, std::ssize(values)) {
  for (int device = 0; device < group.size(); ++device) {
    whole_[device] = group[device].upload(values);
  }
}

ParallelBuffer::~ParallelBuffer() {
  try {
    wait_for_readers();
  } catch (...) {
    // A device that fails here fails what it is asked for next, where it can be told.
  }
}

void ParallelBuffer::allocate_whole() const {
  for (int device = 0; device < group_->size(); ++device) {
    if (whole_[device] == nullptr) whole_[device] = (*group_)[device].allocate(size_);
  }
}

void ParallelBuffer::allocate_shares(const ColumnLayout& layout) const {
  const std::int64_t rows = size_ / layout.columns();
  for (int device = 0; device < group_->size(); ++device) {
    const std::int64_t elements = rows * layout.columns_of(device);
    if (elements == 0 || (shares_[device] != nullptr && elements <= shares_[device]->size())) {
      continue;
    }
    shares_[device].reset();
    shares_[device] = (*group_)[device].allocate(elements);
  }
}

void ParallelBuffer::wait_for_readers() const {
  if (read_at_ != 0 && read_at_ == group_->barriers()) group_->barrier();
}

void ParallelBuffer::make_whole() const {
  if (is_whole_) return allocate_whole();
  allocate_whole();
  std::vector<ColumnSlice> slices;
  for (const ColumnPiece& piece : layout_.pieces()) {
    slices.push_back({shares_[piece.device].get(), layout_.columns_of(piece.device),
                      piece.local.begin, piece.local.end});
  }
  group_->barrier();
  read_at_ = group_->barriers();
  for (int device = 0; device < group_->size(); ++device) {
    (*group_)[device].join_columns(slices, rows_, *whole_[device]);
  }
  is_whole_ = true;
}

void ParallelBuffer::make_split(const ColumnLayout& layout, std::int64_t rows) const {
  if (is_split_ && rows <= rows_ && layout_ == layout) return;
  make_whole();
  wait_for_readers();
  is_split_ = false;
  allocate_shares(layout);
  std::vector<std::vector<ColumnSlice>> slices(whole_.size());
  for (const ColumnPiece& piece : layout.pieces()) {
    slices[piece.device].push_back(
        {whole_[piece.device].get(), layout.columns(), piece.whole.begin, piece.whole.end});
  }
  for (int device = 0; device < group_->size(); ++device) {
    if (slices[device].empty()) continue;
    (*group_)[device].join_columns(slices[device], rows, *shares_[device]);
  }
  layout_ = layout;
  rows_ = rows;
  is_split_ = true;
}

void ParallelBuffer::write_whole() {
  allocate_whole();
  is_whole_ = true;
  is_split_ = false;
}

void ParallelBuffer::write_split(const ColumnLayout& layout, std::int64_t rows) {
  wait_for_readers();
  is_whole_ = true;  // of any value, should there be no memory
  is_split_ = false;
  allocate_shares(layout);
  layout_ = layout;
  rows_ = rows;
  is_split_ = true;
  is_whole_ = false;
}

void ParallelBuffer::change_split() {
  wait_for_readers();
  is_whole_ = false;
}

}  // namespace fdllm::tensor_parallel
