// Tensors' memory, and the packing of weights as they are written.
#include <algorithm>
#include <vector>

#include "kernels.hpp"
#include "packed.hpp"

namespace talaria::cpu {

namespace {

// What one thread copies at a time: a huge page, as threads that touch the same one first would each clear one.
constexpr int64_t task_bytes = int64_t{2} << 20;

}  // namespace

Memory::Memory(const talaria_tensor_desc& desc, int64_t bytes, bool counted_only)
    : kind_(desc.kind),
      type_(desc.type),
      packed_(desc.kind == TALARIA_WEIGHT && is_packed(desc.type)),
      plane_rows_(desc.shape[2]),
      row_bytes_(bytes / (desc.shape[0] * desc.shape[1] * desc.shape[2])),
      pages_bytes_(Pages::taken(desc.shape[0] * desc.shape[1] *
                                (packed_ ? padded_rows(type_, plane_rows_) : plane_rows_) * row_bytes_)),
      pages_(counted_only ? 0 : pages_bytes_) {
  // Weights are written at once, by many threads. What else there is counts as taken from now on, not from its first use.
  if (desc.kind != TALARIA_WEIGHT && !counted_only) std::memset(data(), 0, static_cast<size_t>(bytes));
}

void Memory::write(int64_t offset, const uint8_t* source, int64_t bytes, Pool& pool) {
  if (!packed_) {
    pool.run((bytes + task_bytes - 1) / task_bytes, [&](int64_t task, int32_t) {
      int64_t at = task * task_bytes;
      std::memcpy(data() + offset + at, source + at, static_cast<size_t>(std::min(task_bytes, bytes - at)));
    });
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
  uint8_t* base = data() + plane * padded_rows(type_, plane_rows_) * row_bytes_;
  int64_t end_row = first_row + count;
  int64_t first_panel = first_row / panel_rows, end_panel = (end_row + panel_rows - 1) / panel_rows;
  int64_t per_task = std::max<int64_t>(1, task_bytes / (panel_rows * row_bytes_));
  pool.run((end_panel - first_panel + per_task - 1) / per_task, [&](int64_t task, int32_t) {
    int64_t panel = first_panel + task * per_task, end = std::min(panel + per_task, end_panel);
    for (; panel < end; panel++) write_panel(base, panel * panel_rows, first_row, rows, end_row);
  });
}

// Writes the panel that begins at row `begin` of a plane, from rows [first_row, end_row).
void Memory::write_panel(uint8_t* plane, int64_t begin, int64_t first_row, const uint8_t* rows, int64_t end_row) {
  uint8_t* panel = plane + begin * row_bytes_;
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
}

}  // namespace talaria::cpu
