#include "machine.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <set>
#include <thread>

namespace ptx {
namespace {

const bool counting = std::getenv("TALARIA_PTX_REPORT") != nullptr;
const bool reversed =
    std::getenv("TALARIA_PTX_ORDER") != nullptr && std::strcmp(std::getenv("TALARIA_PTX_ORDER"), "reverse") == 0;

std::mutex counts_mutex;
std::map<std::string, Counts>& counts_of_all = *new std::map<std::string, Counts>();

std::string text_of(uint64_t number) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(number));
  return text;
}

}  // namespace

void Counts::add(const Counts& other) {
  launches += other.launches, blocks += other.blocks, warps += other.warps;
  for (int i = 0; i < 8; i++) instructions[i] += other.instructions[i];
  global_requests += other.global_requests, global_bytes += other.global_bytes, global_sectors += other.global_sectors;
  shared_requests += other.shared_requests, shared_turns += other.shared_turns,
      shared_least_turns += other.shared_least_turns;
}

// --- control flow -------------------------------------------------------------------------------------------------------

Warp::Warp(Block& block, uint32_t first_thread, uint32_t threads)
    : block_(block),
      kernel_(block.kernel),
      file_(block.registers.data() + first_thread / lanes * kernel_.file_bytes),
      predicates_(block.predicates.data() + first_thread / lanes * static_cast<size_t>(kernel_.predicates)),
      first_thread_(first_thread),
      live_(threads >= lanes ? ~0u : (1u << threads) - 1) {
  if (kernel_.code.empty()) live_ = 0;
  groups_.push_back({0, live_, Wait::NONE});
}

// The group that is behind runs, so that all meet where ways join.
void Warp::run() {
  for (;;) {
    Group* next = nullptr;
    for (Group& g : groups_) {
      if (g.wait == Wait::NONE && (next == nullptr || g.at < next->at)) next = &g;
    }
    if (next == nullptr) break;
    Group group = *next;
    groups_.erase(groups_.begin() + (next - groups_.data()));
    run_group(group);
  }
  for (const Group& g : groups_) {
    if (g.wait == Wait::WARP) {
      trap(kernel_.code[g.at],
           "lanes " + text_of(g.mask) + " of " + text_of(live_) + " wait for the others, which do not come");
    }
  }
}

// Where the first group behind `at` is.
uint32_t Warp::next_group(uint32_t at) const {
  uint32_t next = UINT32_MAX;
  for (const Group& g : groups_) {
    if (g.wait != Wait::BLOCK && g.at >= at) next = std::min(next, g.at);
  }
  return next;
}

void Warp::run_group(Group group) {
  uint32_t at = group.at, mask = group.mask, stop = next_group(at);
  const Instruction* code = kernel_.code.data();
  // With those that are there already, if so.
  auto leave = [&](Wait wait) {
    for (Group& g : groups_) {
      if (g.at != at || g.wait == Wait::BLOCK || wait == Wait::BLOCK) continue;
      g.mask |= mask, g.wait = Wait::NONE;
      return;
    }
    groups_.push_back({at, mask, wait});
  };
  for (;;) {
    if (at >= stop) return leave(Wait::NONE);
    const Instruction& i = code[at];
    uint32_t active = mask;
    if (i.guard >= 0) active &= i.guard_negated ? ~predicates_[i.guard] : predicates_[i.guard];
    if (i.flow == Flow::WARP && active != 0 && active != live_) {
      if (active != mask) trap(i, "part of a warp runs what all have to");
      return leave(Wait::WARP);
    }
    block_.counts.instructions[static_cast<int>(i.kind)]++;
    if (active == 0) {
      at++;
      continue;
    }
    switch (i.flow) {
      case Flow::NEXT:
      case Flow::WARP: try { i.run(*this, i, active);
        } catch (const Fault& fault) {
          trap(i, fault.what());
        }
        at++;
        break;
      case Flow::BRANCH:
        if (active == mask) {
          at = i.target;
        } else {
          const uint32_t stay = mask & ~active;
          mask = active, at = i.target;
          leave(Wait::NONE);
          mask = stay, at = static_cast<uint32_t>(&i - code) + 1;
          return leave(Wait::NONE);
        }
        stop = next_group(at);
        for (const Group& g : groups_) {  // that a jump has passed
          if (g.wait == Wait::NONE && g.at <= at) return leave(Wait::NONE);
        }
        break;
      case Flow::EXIT:
        live_ &= ~active;
        mask &= ~active;
        for (Group& g : groups_) {  // lanes may have waited for none but these
          if (g.wait == Wait::WARP) g.wait = Wait::NONE;
        }
        if (mask == 0) return;
        at++;
        break;
      case Flow::BLOCK_BARRIER:
        if (active != mask) trap(i, "a barrier under a condition that not all lanes meet");
        at++;
        return leave(Wait::BLOCK);
    }
  }
}

void Warp::pass_barrier() {
  Group all = groups_.front();
  for (const Group& g : groups_) {
    if (g.at != all.at) trap(kernel_.code[g.at - 1], "lanes of a warp wait at different barriers");
    all.mask |= g.mask;
  }
  if (all.mask != lanes_at_first_) trap(kernel_.code[all.at - 1], "lanes have ended that others wait for");
  all.wait = Wait::NONE;
  groups_.assign(1, all);
}

void Warp::wait_for_earlier(uint32_t mask) {
  waited_ |= mask;
  block_.waited = true;
}

void Warp::trap(const Instruction& i, const std::string& what) const {
  const auto index = static_cast<size_t>(&i - kernel_.code.data());
  throw Trap(kernel_.name + ", block " + std::to_string(block_.number) + ", threads from " +
             std::to_string(first_thread_) + ": " + what + ": " + kernel_.text[index] + " (" + kernel_.file +
             ", line " + std::to_string(i.text) + ")");
}

// --- memory -------------------------------------------------------------------------------------------------------------

void Warp::locate(const Instruction& i, uint32_t mask, Operand base, bool writes, uint8_t* where[lanes]) {
  uint64_t address[lanes];
  const auto offset = static_cast<uint64_t>(i.offset);
  if (base.wide) {
    const uint64_t* from = wide(base);
    each(mask, [&](int l) { address[l] = from[l] + offset; });
  } else {
    const uint32_t* from = narrow(base);
    each(mask, [&](int l) { address[l] = from[l] + offset; });
  }
  const uint64_t bytes = static_cast<uint64_t>(i.bytes) * i.vector;
  Space space = i.space;
  if (space == Space::GENERIC && block_.has_shared(address[std::countr_zero(mask)], 1)) {
    if (!i.exempt) trap(i, "an access that does not say that it is of block memory");
    space = Space::BLOCK;  // atomic operations alone
    each(mask, [&](int l) { address[l] -= reinterpret_cast<uintptr_t>(block_.shared.data()); });
  }
  uint8_t* memory = nullptr;
  uint64_t size = 0;
  switch (space) {
    case Space::PARAMETER:
      memory = const_cast<uint8_t*>(block_.launch.parameters.data()), size = block_.launch.parameters.size();
      break;
    case Space::BLOCK: memory = block_.shared.data(), size = block_.shared.size(); break;
    case Space::THREAD: memory = block_.local.data(), size = kernel_.local_bytes; break;
    default:
      if (counting) count_access(i, space, mask, address);
      check_global(i, mask, writes, address);
      each(mask, [&](int l) { where[l] = reinterpret_cast<uint8_t*>(address[l]); });
      return;
  }
  each(mask, [&](int l) {
    if (address[l] > size || size - address[l] < bytes || (address[l] & (bytes - 1)) != 0) {
      trap(i, "lane " + std::to_string(l) + " touches " + std::to_string(bytes) + " bytes at " + text_of(address[l]) +
                  " of " + std::to_string(size));
    }
    where[l] = memory + address[l];
    if (space == Space::THREAD) where[l] += (first_thread_ + static_cast<uint32_t>(l)) * kernel_.local_bytes;
  });
  if (space == Space::BLOCK) {
    if (counting) count_access(i, space, mask, address);
    check_shared(i, mask, writes, address);
  }
}

// Whether other threads are in it whose accesses may still be under way. Shuffles order no memory, bar.warp.sync does.
bool Warp::meets(const Block::Touch& t, uint16_t thread) const {
  if (t.at != block_.barriers) return false;
  if (t.warps || t.thread / lanes != thread / lanes) return true;
  return t.meetings == meetings_ && (t.lanes || t.thread != thread);
}

void Warp::add(Block::Touch& t, uint16_t thread) const {
  const bool now = t.at == block_.barriers, own_warp = now && t.thread / lanes == thread / lanes;
  t.warps = now && (t.warps || !own_warp);
  t.lanes = own_warp && t.meetings == meetings_ && (t.lanes || t.thread != thread);
  t.at = block_.barriers, t.meetings = meetings_, t.thread = thread;
}

void Warp::check_shared(const Instruction& i, uint32_t mask, bool writes, const uint64_t* address) {
  const uint64_t bytes = static_cast<uint64_t>(i.bytes) * i.vector;
  rewrites_ = 0;
  each(mask, [&](int l) {
    const auto thread = static_cast<uint16_t>(first_thread_ + static_cast<uint32_t>(l));
    for (uint64_t byte = address[l]; byte < address[l] + bytes; byte += 4) {
      Block::SharedWord& word = block_.shared_words[byte / 4];
      auto refuse = [&](const Block::Touch& other, const char* did, const char* does) {
        trap(i, "a race: thread " + std::to_string(thread) + does + "what thread " + std::to_string(other.thread) +
                    (other.lanes || other.warps ? " and others" : "") + did + ", at " + text_of(byte) +
                    ", without a barrier between them");
      };
      const bool atomic = i.exempt;
      const char* does = atomic ? " adds to " : writes ? " writes " : " reads ";
      if (!atomic && meets(word.added, thread)) refuse(word.added, " added to", does);
      if (meets(word.written, thread)) {
        if (atomic || !writes) refuse(word.written, " wrote", does);
        rewrites_ |= 1u << l;  // it may be the same value
      } else if (writes && meets(word.read, thread)) {
        refuse(word.read, " read", does);
      }
      add(atomic ? word.added : writes ? word.written : word.read, thread);
    }
  });
}

void Warp::check_rewrite(const Instruction& i, int lane, const uint8_t* where, const void* value, size_t bytes) const {
  if ((rewrites_ >> lane & 1) == 0 || std::memcmp(where, value, bytes) == 0) return;
  trap(i, "a race: lane " + std::to_string(lane) +
              " writes another value than a thread before it, without a barrier between them");
}

// Of memory of the thread's own, by an address that may be of any.
void Warp::check_own(const Instruction& i, int l, uint64_t address) const {
  const uint64_t bytes = static_cast<uint64_t>(i.bytes) * i.vector, size = kernel_.local_bytes;
  const uint64_t at =
      address - reinterpret_cast<uintptr_t>(block_.local.data()) - (first_thread_ + static_cast<uint32_t>(l)) * size;
  if (at > size || size - at < bytes || at % bytes != 0)
    trap(i, "lane " + std::to_string(l) + " touches what is not its own");
}

void Warp::check_global(const Instruction& i, uint32_t mask, bool writes, const uint64_t* address) {
  const uint64_t bytes = static_cast<uint64_t>(i.bytes) * i.vector;
  const uint64_t local = reinterpret_cast<uintptr_t>(block_.local.data());
  const Launch& launch = block_.launch;
  // Whether it is a launch before this one that may not have ended.
  auto is_running = [&](Author a) { return a.launch - launch.running_since < launch.number - launch.running_since; };
  each(mask, [&](int l) {
    const uint64_t a = address[l];
    if (i.space == Space::GENERIC && a - local < block_.local.size()) return check_own(i, l, a);
    if (last_ == nullptr || a < last_->begin || a > last_->end || last_->end - a < bytes ||
        last_generation_ != Memory::all().generation()) {
      last_generation_ = Memory::all().generation();
      last_ = Memory::all().find(a, bytes);
    }
    if (last_ == nullptr || (a & (bytes - 1)) != 0) {
      std::string what = last_ == nullptr ? " bytes that nobody allocated at " : " bytes at an odd address, ";
      last_ = nullptr;
      trap(i,
           "lane " + std::to_string(l) + (writes ? " writes " : " reads ") + std::to_string(bytes) + what + text_of(a));
    }
    if (last_->host || i.exempt) return;
    const bool early = launch.running_since != 0 && (waited_ >> l & 1) == 0;
    for (uint64_t byte = a; byte < a + bytes; byte += 4) {
      Word& word = last_->words[(byte - last_->begin) / 4];
      const uint32_t touched = bytes >= 4 ? 15 : ((1u << bytes) - 1) << (byte - last_->begin) % 4 & 15;
      // Of words that several blocks touched it is not known which touched what part.
      auto meets = [&](Author other) {
        if (other.launch != launch.number) return false;
        if (other.block == several) return touched == 15;
        return other.block != block_.number && (other.bytes & touched) != 0;
      };
      const Author self{launch.number, block_.number, touched};
      if (!writes) ptx::add(word.reader, self);
      const Author writer = writes ? ptx::add(word.writer, self) : word.writer.load(), reader = word.reader.load();
      if (early && (is_running(writer) || (writes && is_running(reader)))) {
        trap(i, std::string("before it has waited, a launch ") + (writes ? "writes" : "reads") +
                    " what launches before it may still use, at " + text_of(byte));
      }
      if (meets(writer) || (writes && meets(reader))) {
        const Author other = meets(writer) ? writer : reader;
        trap(i, "a race: block " + std::to_string(block_.number) + (writes ? " writes" : " reads") + " what " +
                    (other.block == several ? "several blocks" : "block " + std::to_string(other.block)) +
                    " of the same launch use, at " + text_of(byte));
      }
      if (i.unchanging && writer.launch == launch.number && (writer.bytes & touched) != 0) {
        trap(i, "a launch reads as unchanging what it wrote, at " + text_of(byte));
      }
    }
  });
}

void Warp::count_access(const Instruction& i, Space space, uint32_t mask, const uint64_t* address) {
  const uint64_t bytes = static_cast<uint64_t>(i.bytes) * i.vector;
  Counts& counts = block_.counts;
  if (space == Space::BLOCK) {
    // Lanes go together as many as have 128 bytes; in each turn, each of the 32 banks gives one word.
    const int together = bytes <= 4 ? 32 : static_cast<int>(128 / bytes);
    counts.shared_requests++;
    for (int first = 0; first < lanes; first += together) {
      std::set<uint64_t> words;
      for (int l = first; l < first + together; l++) {
        if ((mask >> l & 1) == 0) continue;
        for (uint64_t byte = address[l] / 4 * 4; byte < address[l] + bytes; byte += 4) words.insert(byte / 4);
      }
      int in_bank[32] = {}, most = 0;
      for (uint64_t word : words) most = std::max(most, ++in_bank[word % 32]);
      counts.shared_turns += static_cast<uint64_t>(most);
      counts.shared_least_turns += !words.empty();
    }
    return;
  }
  std::set<uint64_t> sectors;
  each(mask, [&](int l) {
    for (uint64_t sector = address[l] / 32; sector <= (address[l] + bytes - 1) / 32; sector++) sectors.insert(sector);
  });
  counts.global_requests++;
  counts.global_bytes += bytes * static_cast<uint64_t>(std::popcount(mask));
  counts.global_sectors += sectors.size();
}

// --- blocks and launches ------------------------------------------------------------------------------------------------

Block::Block(const Launch& l) : launch(l), kernel(*l.kernel), threads(l.threads[0] * l.threads[1] * l.threads[2]) {
  const size_t warps = (threads + lanes - 1) / lanes;
  shared.resize(kernel.shared_bytes + l.dynamic_shared_bytes);
  shared_words.resize(shared.size() / 4 + 1);
  local.resize(static_cast<size_t>(kernel.local_bytes) * warps * lanes);
  registers.resize(warps * kernel.file_bytes, 0xa5);
  predicates.resize(warps * static_cast<size_t>(kernel.predicates));
  for (uint8_t* file = registers.data(); file != registers.data() + registers.size(); file += kernel.file_bytes) {
    for (auto& [place, value] : kernel.constants) {
      for (int lane = 0; lane < lanes; lane++) {
        if (place.wide) {
          reinterpret_cast<uint64_t*>(file + place.row)[lane] = value;
        } else {
          reinterpret_cast<uint32_t*>(file + place.row)[lane] = static_cast<uint32_t>(value);
        }
      }
    }
  }
}

void Block::begin(const uint32_t index[3]) {
  for (auto* bytes : {&shared, &local})
    std::fill(bytes->begin(), bytes->end(), uint8_t{0xa5});  // nobody may count on zeros
  std::fill(predicates.begin(), predicates.end(), 0xa5a5a5a5u);
  const uint32_t x = launch.threads[0], y = launch.threads[1];
  for (uint32_t thread = 0; thread < (threads + lanes - 1) / lanes * lanes; thread++) {
    const uint32_t lane = thread % lanes, warp = thread / lanes;
    const uint32_t values[] = {
        thread % x, thread / x % y,    thread / x / y, index[0],       index[1],       index[2], x,
        y,          launch.threads[2], launch.grid[0], launch.grid[1], launch.grid[2], lane,     warp};
    for (auto& [place, which] : kernel.specials) {
      reinterpret_cast<uint32_t*>(registers.data() + warp * kernel.file_bytes + place.row)[lane] = values[which];
    }
  }
}

void Block::run(uint32_t n, const uint32_t index[3]) {
  number = n;
  barriers++;
  begin(index);
  std::vector<Warp> warps;
  for (uint32_t first = 0; first < threads; first += lanes)
    warps.emplace_back(*this, first, std::min<uint32_t>(lanes, threads - first));
  counts.blocks++;
  counts.warps += warps.size();
  for (;;) {
    for (size_t w = 0; w < warps.size(); w++) warps[reversed ? warps.size() - 1 - w : w].run();
    size_t ended = 0;
    for (Warp& w : warps) ended += w.ended();
    if (ended == warps.size()) return;
    if (ended != 0)
      throw Trap(kernel.name + ", block " + std::to_string(n) + ": warps have ended that others wait for at a barrier");
    barriers++;
    for (Warp& w : warps) w.pass_barrier();
  }
}

void run(const Launch& launch) {
  const uint64_t blocks = static_cast<uint64_t>(launch.grid[0]) * launch.grid[1] * launch.grid[2];
  if (blocks >= several) throw Trap(launch.kernel->name + ": more blocks than are told apart");
  std::atomic<uint64_t> next{0};
  std::mutex mutex;
  Counts counts;
  std::string trapped;
  bool waited = false;
  auto work = [&] {
    try {
      Block block(launch);
      for (uint64_t b; (b = next++) < blocks;) {
        const auto n = static_cast<uint32_t>(reversed ? blocks - 1 - b : b);
        const uint32_t index[] = {n % launch.grid[0], n / launch.grid[0] % launch.grid[1],
                                  n / launch.grid[0] / launch.grid[1]};
        block.run(n, index);
      }
      std::lock_guard<std::mutex> lock(mutex);
      counts.add(block.counts);
      waited |= block.waited;
    } catch (const std::exception& e) {
      next = blocks;
      std::lock_guard<std::mutex> lock(mutex);
      if (trapped.empty()) trapped = e.what();
    }
  };
  std::vector<std::thread> helpers;
  const uint64_t most = std::max(1u, std::thread::hardware_concurrency());
  for (uint64_t t = 1; t < std::min(most, blocks / 4); t++) helpers.emplace_back(work);
  work();
  for (std::thread& helper : helpers) helper.join();
  counts.launches = 1;
  if (counting) {
    std::lock_guard<std::mutex> lock(counts_mutex);
    counts_of_all[launch.kernel->name].add(counts);
  }
  if (!trapped.empty()) throw Trap(trapped);
  if (launch.running_since != 0 && !waited) {
    throw Trap(launch.kernel->name +
               ": none of an early launch's threads waits: it may end before those that launches after it wait for");
  }
}

std::string report() {
  std::lock_guard<std::mutex> lock(counts_mutex);
  std::string text;
  for (auto& [name, c] : counts_of_all) {
    uint64_t all = 0;
    for (uint64_t n : c.instructions) all += n;
    char line[400];
    std::snprintf(
        line, sizeof line, "| %s | %llu | %llu | %llu | %llu | %llu | %.2f | %llu | %.2f |\n", name.c_str(),
        static_cast<unsigned long long>(c.launches), static_cast<unsigned long long>(c.warps),
        static_cast<unsigned long long>(all),
        static_cast<unsigned long long>(c.instructions[static_cast<int>(Class::MATRIX)]),
        static_cast<unsigned long long>(c.global_bytes),
        c.global_bytes == 0 ? 0 : static_cast<double>(c.global_sectors) * 32 / static_cast<double>(c.global_bytes),
        static_cast<unsigned long long>(c.shared_requests),
        c.shared_least_turns == 0 ? 0
                                  : static_cast<double>(c.shared_turns) / static_cast<double>(c.shared_least_turns));
    text += line;
  }
  if (text.empty()) return text;
  return "| kernel | launches | warps | instructions | of matrices | bytes of global memory | read or written x | "
         "accesses of block memory | turns x |\n"
         "|---|---|---|---|---|---|---|---|---|\n" +
         text;
}

}  // namespace ptx
