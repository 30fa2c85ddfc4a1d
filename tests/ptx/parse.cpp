// Reads PTX, and gives registers rows of the register file: texts have thousands of registers, of which few live at once.
#include <algorithm>
#include <cctype>
#include <cstring>
#include <map>
#include <set>

#include "module.hpp"

namespace ptx {
namespace {

struct Register {
  int bits = 0;               // 1 for predicates
  int first = -1, last = -1;  // instructions between which its value is kept
  Operand place;

  void cover(int instruction) {
    first = first < 0 ? instruction : std::min(first, instruction);
    last = std::max(last, instruction);
  }
};

struct Statement {
  int line;
  std::string text;
};

std::string trimmed(std::string text) {
  size_t begin = text.find_first_not_of(" \t\n"), end = text.find_last_not_of(" \t\n");
  return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

bool is_label(const std::string& text) {
  return text.rfind("$L", 0) == 0 && text.find_first_of(" \t,") == std::string::npos;
}

// Without comments, cut at semicolons, labels and braces that open or close a body.
std::vector<Statement> cut(const std::string& text) {
  std::vector<Statement> result;
  std::string current;
  int line = 1, begin = 1, depth = 0;
  auto finish = [&] {
    std::string found = trimmed(current);
    if (!found.empty()) result.push_back({begin, found});
    current.clear();
  };
  for (size_t i = 0; i < text.size(); i++) {
    char c = text[i];
    if (c == '/' && i + 1 < text.size() && text[i + 1] == '/') {
      while (i < text.size() && text[i] != '\n') i++;
      c = '\n';
    }
    if (c == '\n') line++;
    if (trimmed(current).empty()) begin = line;
    bool operand =
        c == '{' ? !trimmed(current).empty() && current.find(".entry") == std::string::npos : c == '}' && depth > 0;
    if (operand) depth += c == '{' ? 1 : -1;
    if ((c == '{' || c == '}') && !operand) {
      finish();
      result.push_back({line, std::string(1, c)});
    } else if (c == ';') {
      finish();
    } else if (c == ':' && is_label(trimmed(current))) {
      current += ':';
      finish();
    } else {
      current += c == '\n' ? ' ' : c;
      // Directives of one line.
      std::string start = trimmed(current);
      if (c == '\n' &&
          (start.rfind(".version", 0) == 0 || start.rfind(".target", 0) == 0 || start.rfind(".address_size", 0) == 0))
        finish();
    }
  }
  finish();
  return result;
}

// At commas that are in no brackets.
std::vector<std::string> operands_of(const std::string& text) {
  std::vector<std::string> result;
  std::string current;
  int depth = 0;
  for (char c : text) {
    if (c == '{' || c == '[') depth++;
    if (c == '}' || c == ']') depth--;
    if (c == ',' && depth == 0) {
      result.push_back(trimmed(current));
      current.clear();
    } else {
      current += c;
    }
  }
  if (!trimmed(current).empty()) result.push_back(trimmed(current));
  return result;
}

uint64_t immediate(const std::string& text) {
  if (text.rfind("0f", 0) == 0 || text.rfind("0F", 0) == 0) return std::stoull(text.substr(2), nullptr, 16);
  bool negative = text[0] == '-';
  size_t read = 0;
  uint64_t value = std::stoull(negative ? text.substr(1) : text, &read, 0);
  if (read + negative != text.size()) throw Trap("no number: " + text);
  return negative ? ~value + 1 : value;
}

class KernelReader {
 public:
  KernelReader(Kernel& kernel, const std::map<std::string, uint64_t>& shared) : kernel_(kernel), symbols_(shared) {}

  void parameter(const std::string& name, uint32_t bytes, uint32_t align) {
    kernel_.parameter_bytes = (kernel_.parameter_bytes + align - 1) / align * align;
    symbols_[name] = kernel_.parameter_bytes;
    kernel_.parameter_bytes += bytes;
  }

  void statement(const Statement& s) {
    if (s.text.back() == ':') {
      labels_[s.text.substr(0, s.text.size() - 1)] = static_cast<uint32_t>(kernel_.code.size());
    } else if (s.text[0] == '.') {
      directive(s);
    } else {
      instruction(s);
    }
  }

  void finish() {
    auto ends = [](const Instruction& i) { return i.guard < 0 && (i.flow == Flow::EXIT || i.flow == Flow::BRANCH); };
    if (kernel_.code.empty() || !ends(kernel_.code.back())) throw Trap("the kernel goes on behind its end");
    for (auto& [index, label] : branches_) {
      auto found = labels_.find(label);
      if (found == labels_.end()) throw Trap("no label " + label);
      kernel_.code[index].target = found->second;
    }
    place();
    for (Patch& patch : patches_) *patch.operand(kernel_) = registers_.at(patch.name).place;
    for (auto& [name, row] : specials_) kernel_.specials.emplace_back(registers_.at(name).place, row);
    for (auto& [name, value] : constants_) kernel_.constants.emplace_back(registers_.at(name).place, value);
  }

 private:
  // An operand that gets its row when all are known.
  struct Patch {
    size_t instruction;
    int index;
    bool to;
    std::string name;
    Operand* operand(Kernel& kernel) const {
      Instruction& i = kernel.code[instruction];
      return to ? &i.to[index] : &i.from[index];
    }
  };

  void directive(const Statement& s) {
    if (s.text.rfind(".reg", 0) == 0) {
      size_t dot = s.text.find('.', 1), space = s.text.find_first_of(" \t", dot), less = s.text.find('<');
      std::string type = s.text.substr(dot, space - dot), prefix = trimmed(s.text.substr(space, less - space));
      int bits = type == ".pred" ? 1 : std::atoi(type.c_str() + 2);
      if (less == std::string::npos) {
        scoped_[prefix] = prefix + " of " + std::to_string(s.line);
        registers_[scoped_[prefix]].bits = bits;
        return;
      }
      int count = std::atoi(s.text.c_str() + less + 1);
      for (int i = 0; i < count; i++) registers_[prefix + std::to_string(i)].bits = bits;
    } else if (s.text.rfind(".shared", 0) == 0 || s.text.rfind(".local", 0) == 0) {
      bool shared = s.text[1] == 's';
      uint32_t& used = shared ? kernel_.shared_bytes : kernel_.local_bytes;
      size_t align_at = s.text.find(".align"), type_at = s.text.find(".b8"), bracket = s.text.find('[');
      if (align_at == std::string::npos || type_at == std::string::npos)
        throw Trap("line " + std::to_string(s.line) + ": " + s.text);
      uint32_t align = static_cast<uint32_t>(std::atoi(s.text.c_str() + align_at + 6));
      used = (used + align - 1) / align * align;
      symbols_[trimmed(s.text.substr(type_at + 3, bracket - type_at - 3))] = used;
      used += static_cast<uint32_t>(std::atoi(s.text.c_str() + bracket + 1));
    } else if (s.text.rfind(".pragma", 0) != 0) {
      throw Trap("line " + std::to_string(s.line) + ": " + s.text);
    }
  }

  void instruction(const Statement& s) {
    Instruction i;
    i.text = s.line;
    std::string text = s.text;
    if (text[0] == '@') {
      size_t end = text.find_first_of(" \t");
      i.guard_negated = text[1] == '!';
      std::string name = text.substr(i.guard_negated ? 2 : 1, end - (i.guard_negated ? 2 : 1));
      i.guard = static_cast<int16_t>(predicate(declared(name, 1)));
      text = trimmed(text.substr(end));
    }
    size_t end = text.find_first_of(" \t");
    std::string name = text.substr(0, end);
    std::vector<std::string> operands = operands_of(end == std::string::npos ? "" : text.substr(end));
    if (name == "mov.u64" && operands[1] == "%globaltimer") name += ".globaltimer", operands.pop_back();
    if (name == "mov.pred" && operands[1][0] != '%')
      name += operands[1] == "0" ? ".false" : ".true", operands.pop_back();
    if (name == "mov.b64" || name == "mov.b32") {  // to and from parts
      if (operands[0][0] == '{') name += ".unpack";
      if (operands[1][0] == '{') name += ".pack";
      const std::string& parts = operands[operands[1][0] == '{'];
      if (parts[0] == '{' && std::count(parts.begin(), parts.end(), ',') != 1) throw Trap("other than two parts");
    }
    operation_ = name;
    if (!find_operation(name, i)) throw Trap("line " + std::to_string(s.line) + ": there is no " + name);
    size_t at = kernel_.code.size();
    if (i.flow == Flow::BLOCK_BARRIER && operands != std::vector<std::string>{"0"})
      throw Trap("a barrier of a part of a block");
    if (name == "bra.uni" && i.guard >= 0) throw Trap("lanes may part where they may not");
    if (i.flow == Flow::BRANCH) {
      branches_.emplace_back(at, operands[0]);
      operands.clear();
    }
    kernel_.code.push_back(i);
    kernel_.text.push_back(s.text);
    bool stores = name.rfind("st.", 0) == 0 || name.rfind("cp.async.bulk.prefetch", 0) == 0 ||
                  i.flow == Flow::BLOCK_BARRIER || name.rfind("bar.", 0) == 0 || name[0] == 'n';
    if (name.rfind("not", 0) == 0 || name.rfind("neg", 0) == 0) stores = false;
    int to = 0, from = 0;
    // Sources first: a register may be both, and then lived before.
    for (size_t k = stores ? 0 : 1; k < operands.size(); k++) operand(at, operands[k], false, from);
    if (!stores && !operands.empty()) operand(at, operands[0], true, to);
  }

  void operand(size_t at, const std::string& text, bool to, int& index) {
    if (text[0] == '{') {
      for (const std::string& part : operands_of(text.substr(1, text.size() - 2))) operand(at, part, to, index);
    } else if (text[0] == '[') {
      std::string inner = trimmed(text.substr(1, text.size() - 2));
      size_t plus = inner.find('+');
      if (plus != std::string::npos) {
        kernel_.code[at].offset = static_cast<int64_t>(immediate(trimmed(inner.substr(plus + 1))));
        inner = trimmed(inner.substr(0, plus));
      }
      operand(at, inner, to, index);
    } else {
      if (index >= (to ? 8 : 24)) throw Trap("too many operands: " + kernel_.text[at]);
      use(at, text, to, index++);
    }
  }

  std::string name_of(const std::string& text) const {
    auto scoped = scoped_.find(text);
    return scoped == scoped_.end() ? text : scoped->second;
  }

  std::string declared(const std::string& text, int bits) const {
    auto found = registers_.find(name_of(text));
    if (found == registers_.end() || found->second.bits != bits) throw Trap("there is no such register: " + text);
    return found->first;
  }

  // Of memory, only the first source may be of any width: an address.
  bool fits(const Instruction& i, bool to, int index, bool wide, int bits) const {
    if (i.kind != Class::MEMORY || i.flow == Flow::WARP) return (bits == 64) == wide;
    if (!to && index == 0) return bits >= 32;
    return i.exempt ? bits == 32 : bits >= 8 * i.bytes;
  }

  void use(size_t at, const std::string& text, bool to, int index) {
    std::string name = name_of(text);
    for (size_t i = 0; i < std::size(special_names); i++) {
      if (text == special_names[i]) {
        registers_[name].bits = 32;
        specials_[name] = static_cast<int>(i);
      }
    }
    bool wide = to ? writes_wide(operation_) : reads_wide(operation_, index);
    if (text[0] != '%' && name == text) {
      auto symbol = symbols_.find(text);
      uint64_t value = symbol != symbols_.end() ? symbol->second : immediate(text);
      name = (wide ? "=wide " : "=") + std::to_string(value);
      registers_[name].bits = wide ? 64 : 32;
      constants_[name] = value;
    }
    auto found = registers_.find(name);
    if (found == registers_.end()) throw Trap("there is no register " + text);
    Register& r = found->second;
    if (r.bits == 1) {
      Operand& place = to ? kernel_.code[at].to[index] : kernel_.code[at].from[index];
      place.row = predicate(name);
      return;
    }
    if (!fits(kernel_.code[at], to, index, wide, r.bits)) throw Trap("the wrong width: " + text);
    r.cover(static_cast<int>(at));
    patches_.push_back({at, index, to, name});
  }

  int predicate(const std::string& name) {
    auto [found, added] = predicates_.emplace(name, kernel_.predicates);
    if (added) kernel_.predicates++;
    return found->second;
  }

  // Set once, when a block of threads begins.
  bool is_fixed(const std::string& name) const { return name[0] == '=' || specials_.count(name) != 0; }

  // Blocks of instructions that run one after the other.
  struct Block {
    size_t begin, end;  // the end is not part of it
    std::vector<size_t> next;
    std::set<Register*> read, written, live_in, live_out;
  };

  std::vector<Block> blocks() {
    const std::vector<Instruction>& code = kernel_.code;
    std::set<size_t> begins = {0};
    for (size_t i = 0; i < code.size(); i++) {
      if (code[i].flow == Flow::BRANCH) begins.insert(code[i].target);
      if (code[i].flow == Flow::BRANCH || code[i].flow == Flow::EXIT) begins.insert(i + 1);
    }
    begins.erase(code.size());
    std::vector<Block> result;
    std::map<size_t, size_t> numbers;
    for (auto b = begins.begin(); b != begins.end(); ++b) {
      numbers[*b] = result.size();
      result.push_back({*b, std::next(b) == begins.end() ? code.size() : *std::next(b), {}, {}, {}, {}, {}});
    }
    for (Block& b : result) {
      const Instruction& last = code[b.end - 1];
      if (last.flow == Flow::BRANCH) b.next.push_back(numbers.at(last.target));
      bool always = last.guard < 0 && (last.flow == Flow::BRANCH || last.flow == Flow::EXIT);
      if (!always && b.end < code.size()) b.next.push_back(numbers.at(b.end));
    }
    return result;
  }

  // Widens [first, last] of every register to wherever its value may still be read.
  void find_ranges() {
    std::vector<Block> all = blocks();
    size_t patch = 0;
    for (Block& b : all) {  // patches are in the order of instructions, of each first the sources
      for (; patch < patches_.size() && patches_[patch].instruction < b.end; patch++) {
        const Patch& p = patches_[patch];
        if (is_fixed(p.name)) continue;
        Register* r = &registers_.at(p.name);
        bool kept = p.to && kernel_.code[p.instruction].guard >= 0;  // where the guard does not hold
        if ((!p.to || kept) && b.written.count(r) == 0) b.read.insert(r);
        if (p.to && !kept) b.written.insert(r);
      }
      b.live_in = b.read;
    }
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t n = all.size(); n-- > 0;) {
        Block& b = all[n];
        for (size_t next : b.next) {
          for (Register* r : all[next].live_in) {
            if (b.live_out.insert(r).second && b.written.count(r) == 0) changed = b.live_in.insert(r).second || changed;
          }
        }
      }
    }
    for (Block& b : all) {
      for (Register* r : b.live_in) r->cover(static_cast<int>(b.begin));
      for (Register* r : b.live_out) r->cover(static_cast<int>(b.end - 1));
    }
  }

  void place() {
    find_ranges();
    std::vector<Register*> order;
    for (auto& [name, r] : registers_) {
      if (is_fixed(name) && r.first >= 0) r.first = 0, r.last = static_cast<int>(kernel_.code.size());
      if (r.first >= 0) order.push_back(&r);
    }
    std::sort(order.begin(), order.end(), [](Register* a, Register* b) { return a->first < b->first; });
    std::multimap<int, Register*> live;  // by last use
    std::vector<int32_t> unused[2];
    for (Register* r : order) {
      while (!live.empty() && live.begin()->first < r->first) {
        Register* ended = live.begin()->second;
        unused[ended->place.wide].push_back(ended->place.row);
        live.erase(live.begin());
      }
      bool wide = r->bits == 64;
      r->place.wide = wide;
      if (unused[wide].empty()) {
        r->place.row = static_cast<int32_t>(kernel_.file_bytes);
        kernel_.file_bytes += wide ? lanes * 8 : lanes * 4;
      } else {
        r->place.row = unused[wide].back();
        unused[wide].pop_back();
      }
      live.emplace(r->last, r);
    }
  }

  Kernel& kernel_;
  std::string operation_;  // that is being read
  std::map<std::string, uint64_t> symbols_;
  std::map<std::string, Register> registers_;
  std::map<std::string, std::string> scoped_;  // registers of inner braces, by their last name
  std::map<std::string, uint64_t> constants_;
  std::map<std::string, int> specials_, predicates_;
  std::map<std::string, uint32_t> labels_;
  std::vector<std::pair<size_t, std::string>> branches_;
  std::vector<Patch> patches_;
};

uint32_t number_after(const std::string& text, const char* word, uint32_t otherwise) {
  size_t at = text.find(word);
  return at == std::string::npos ? otherwise : static_cast<uint32_t>(std::atoi(text.c_str() + at + std::strlen(word)));
}

}  // namespace

std::vector<std::unique_ptr<Kernel>> parse(const std::string& text, const std::string& file) {
  std::vector<std::unique_ptr<Kernel>> kernels;
  std::unique_ptr<KernelReader> reader;
  int target = 0, depth = 0;
  for (const Statement& s : cut(text)) {
    try {
      if (s.text.rfind(".target", 0) == 0) {
        target = static_cast<int>(number_after(s.text, "sm_", 0));
      } else if (s.text.find(".entry") != std::string::npos) {
        auto kernel = std::make_unique<Kernel>();
        size_t at = s.text.find(".entry") + 6, open = s.text.find('('), close = s.text.find(')');
        kernel->name = trimmed(s.text.substr(at, open - at));
        kernel->file = file;
        kernel->target = target;
        kernel->most_threads = number_after(s.text, ".maxntid", 1024);
        reader = std::make_unique<KernelReader>(*kernel, std::map<std::string, uint64_t>());
        for (const std::string& parameter : operands_of(s.text.substr(open + 1, close - open - 1))) {
          size_t type = parameter.find(".b8"), bracket = parameter.find('[');
          if (type == std::string::npos) throw Trap("a parameter that is no struct");
          reader->parameter(trimmed(parameter.substr(type + 3, bracket - type - 3)), number_after(parameter, "[", 0),
                            number_after(parameter, ".align", 1));
        }
        kernels.push_back(std::move(kernel));
      } else if (s.text == "{") {
        depth++;
      } else if (s.text == "}") {
        if (--depth > 0) continue;
        if (reader) reader->finish();
        reader.reset();
      } else if (reader) {
        reader->statement(s);
      }
    } catch (const std::exception& e) {
      throw Trap(file + ", line " + std::to_string(s.line) + ": " + e.what() + ": " + s.text);
    }
  }
  return kernels;
}

}  // namespace ptx
