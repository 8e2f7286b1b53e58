#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "backend/tensor_parallel/column_layout.h"
#include "backend/tensor_parallel/device_group.h"

namespace fdllm::tensor_parallel {

/// Values that every device holds whole, or each some columns of, or both. What an operation needs
/// is made where it is missing, and memory taken then; so a value that is read as it was written
/// never moves, and one that is read twice moves once.
///
/// Shares of a row are read by the other devices while it is made whole. Whoever writes to a share
/// later must not overtake them: the next barrier() sees to that, and where none came since, one is
/// made first.
class ParallelBuffer final : public Buffer {
 public:
  ParallelBuffer(DeviceGroup& group, std::int64_t elements);
  /// Whole on every device.
  ParallelBuffer(DeviceGroup& group, std::span<const float> values);
  ~ParallelBuffer() override;

  std::int64_t size() const override { return size_; }

  /// For an operation that reads or changes all columns: whole(device) holds the values.
  void make_whole() const;
  /// For one that reads or changes each device's columns of the first `rows` rows.
  void make_split(const ColumnLayout& layout, std::int64_t rows) const;
  /// Each device has its columns of the first `rows` rows of `columns`.
  bool is_split(std::int64_t columns, std::int64_t rows) const {
    return is_split_ && layout_.columns() == columns && rows <= rows_;
  }
  const ColumnLayout& layout() const { return layout_; }

  /// An operation comes that writes whole(device); what it leaves, if anything, must be whole.
  void write_whole();
  /// One that writes share(device), its columns of the first `rows` rows, and loses the rest.
  void write_split(const ColumnLayout& layout, std::int64_t rows);
  /// One that changes share(device) after make_split().
  void change_split();

  Buffer& whole(int device) const { return *whole_[device]; }
  /// Of devices that hold columns.
  Buffer& share(int device) const { return *shares_[device]; }

 private:
  void allocate_whole() const;
  void allocate_shares(const ColumnLayout& layout) const;
  void wait_for_readers() const;

  DeviceGroup* group_;
  std::int64_t size_;
  // Where the values are, which is no part of what they are.
  mutable std::vector<std::unique_ptr<Buffer>> whole_, shares_;
  mutable bool is_whole_ = true;
  mutable bool is_split_ = false;
  mutable ColumnLayout layout_;
  mutable std::int64_t rows_ = 0;
  mutable std::uint64_t read_at_ = 0;  ///< the barrier after which other devices read the shares
};

}  // namespace fdllm::tensor_parallel
