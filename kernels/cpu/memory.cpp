// Tensors' memory, and the packing of weights as they are written.
#include <algorithm>
#include <cstdlib>
#include <new>
#include <vector>

#include "kernels.hpp"
#include "packed.hpp"

namespace talaria::cpu {

Memory::Memory(const talaria_tensor_desc& desc, int64_t bytes)
    : type_(desc.type),
      packed_(desc.kind == TALARIA_WEIGHT && is_packed(desc.type)),
      plane_rows_(desc.shape[2]),
      row_bytes_(bytes / (desc.shape[0] * desc.shape[1] * desc.shape[2])) {
  int64_t rows = packed_ ? padded_rows(type_, plane_rows_) : plane_rows_;
  size_t size = (static_cast<size_t>(desc.shape[0] * desc.shape[1] * rows * row_bytes_) + 63) / 64 * 64;
  data_ = static_cast<uint8_t*>(std::aligned_alloc(64, size));
  if (data_ == nullptr) throw std::bad_alloc();
  std::memset(data_, 0, size);
}

Memory::~Memory() { std::free(data_); }

void Memory::write(int64_t offset, const uint8_t* source, int64_t bytes, Pool& pool) {
  if (!packed_) {
    std::memcpy(data_ + offset, source, static_cast<size_t>(bytes));
    return;
  }
  int64_t row = offset / row_bytes_, end = row + bytes / row_bytes_;
  while (row < end) {  // panels do not reach from one plane into the next
    int64_t plane = row / plane_rows_, first = row % plane_rows_;
    int64_t count = std::min(plane_rows_ - first, end - row);
    write_plane(plane, first, source, count, pool);
    source += count * row_bytes_;
    row += count;
  }
}

void Memory::write_plane(int64_t plane, int64_t first_row, const uint8_t* rows, int64_t count, Pool& pool) {
  uint8_t* base = data_ + plane * padded_rows(type_, plane_rows_) * row_bytes_;
  int64_t end_row = first_row + count;
  int64_t first_panel = first_row / panel_rows, end_panel = (end_row + panel_rows - 1) / panel_rows;
  pool.run(end_panel - first_panel, [&](int64_t task, int32_t) {
    int64_t begin = (first_panel + task) * panel_rows;
    uint8_t* panel = base + begin * row_bytes_;
    if (begin >= first_row && begin + panel_rows <= end_row) {
      pack_panel(type_, rows + (begin - first_row) * row_bytes_, row_bytes_, panel);
      return;
    }
    // A panel of which only some rows come now keeps the others.
    std::vector<uint8_t> whole(static_cast<size_t>(panel_rows * row_bytes_));
    unpack_panel(type_, panel, row_bytes_, whole.data());
    int64_t from = std::max(begin, first_row), to = std::min(begin + panel_rows, end_row);
    std::memcpy(whole.data() + (from - begin) * row_bytes_, rows + (from - first_row) * row_bytes_,
                static_cast<size_t>((to - from) * row_bytes_));
    pack_panel(type_, whole.data(), row_bytes_, panel);
  });
}

}  // namespace talaria::cpu
