// SPDX-License-Identifier: Apache-2.0
#include "engine/files/pickle.h"

#include <algorithm>
#include <unordered_map>

#include "engine/files/damage.h"

namespace lamina {
namespace {

using Kind = PickleValue::Kind;

// A state_dict takes about ten values a tensor; this bounds what a hostile one can take.
constexpr std::size_t kMostValues = std::size_t{1} << 20;
constexpr std::uint8_t kProtocol = 2;
constexpr std::string_view kOrderedDict = "collections OrderedDict";

// The opcodes, by their letters in Python's pickletools.
enum Opcode : std::uint8_t {
  kProto = 0x80,
  kStop = '.',
  kMark = '(',
  kNone = 'N',
  kTrue = 0x88,
  kFalse = 0x89,
  kInt4 = 'J',
  kInt1 = 'K',
  kInt2 = 'M',
  kLong1 = 0x8a,
  kFloat = 'G',
  kUnicode = 'X',
  kBytes = 'T',  // Python 2's str
  kShortBytes = 'U',
  kEmptyTuple = ')',
  kTuple = 't',
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kEmptyList = ']',
  kAppend = 'a',
  kAppends = 'e',
  kEmptyDict = '}',
  kSetItem = 's',
  kSetItems = 'u',
  kGlobal = 'c',
  kReduce = 'R',
  kBuild = 'b',
  kPersistent = 'Q',
  kPut = 'q',
  kLongPut = 'r',
  kGet = 'h',
  kLongGet = 'j',
};

class Machine {
 public:
  Machine(const std::string& file, std::span<const std::byte> bytes, const PickleRules& rules)
      : file_(file), bytes_(bytes), rules_(rules) {}

  Pickle run() {
    if (byte() != kProto || byte() != kProtocol) {
      fail("'{}' is no file of {}: its pickle is not of protocol {}; {}.",
           file_,
           rules_.writer,
           kProtocol,
           rules_.python2 ? rules_.mend : "save it without a pickle_protocol of its own");
    }
    for (std::uint8_t opcode = byte(); opcode != kStop; opcode = byte()) step(opcode);
    if (stack_.size() != 1 || !marks_.empty()) damaged("ends with another stack than one value");
    if (at_ != bytes_.size()) damaged("has bytes behind its end");
    pickle_.root = stack_.back();
    return std::move(pickle_);
  }

 private:
  [[noreturn]] void damaged(std::string_view what) const {
    fail_damaged(file_, "its pickle {}, at byte {}", what, at_);
  }

  // --- bytes ---
  std::string_view take(std::size_t count) {
    if (count > bytes_.size() - at_) damaged("ends too early");
    const auto* begin = reinterpret_cast<const char*>(bytes_.data()) + at_;
    at_ += count;
    return {begin, count};
  }
  std::uint8_t byte() { return static_cast<std::uint8_t>(take(1)[0]); }
  std::uint32_t little_endian(std::size_t count) {
    std::uint32_t value = 0;
    std::size_t shift = 0;
    for (char c : take(count)) {
      value |= static_cast<std::uint32_t>(static_cast<std::uint8_t>(c)) << shift;
      shift += 8;
    }
    return value;
  }
  std::string_view line() {
    const auto* begin = reinterpret_cast<const char*>(bytes_.data()) + at_;
    const std::string_view rest(begin, bytes_.size() - at_);
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) damaged("ends too early");
    at_ += end + 1;
    return rest.substr(0, end);
  }

  // --- stack ---
  PickleValue& push(Kind kind) {
    if (pickle_.values.size() == kMostValues) {
      fail("'{}' holds more than {} values beside its data; {}.", file_, kMostValues, rules_.mend);
    }
    stack_.push_back(static_cast<std::uint32_t>(pickle_.values.size()));
    PickleValue& value = pickle_.values.emplace_back();
    value.kind = kind;
    return value;
  }
  // Values below the newest mark are out of reach.
  std::size_t reachable() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }
  std::uint32_t pop() {
    if (reachable() == 0) damaged("takes a value from an empty stack");
    const std::uint32_t index = stack_.back();
    stack_.pop_back();
    return index;
  }
  std::vector<std::uint32_t> pop_many(std::size_t count) {
    if (reachable() < count) damaged("takes a value from an empty stack");
    const auto begin = stack_.end() - static_cast<std::ptrdiff_t>(count);
    std::vector<std::uint32_t> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    return items;
  }
  std::vector<std::uint32_t> pop_to_mark() {
    if (marks_.empty()) damaged("closes a group that was not opened");
    std::vector<std::uint32_t> items = pop_many(reachable());
    marks_.pop_back();
    return items;
  }
  PickleValue& top(Kind kind, std::string_view what) {
    if (reachable() == 0) damaged("takes a value from an empty stack");
    PickleValue& value = pickle_.values[stack_.back()];
    if (value.kind != kind) damaged(what);
    return value;
  }

  // --- opcodes ---
  void step(std::uint8_t opcode) {
    switch (opcode) {
      case kMark:
        marks_.push_back(stack_.size());
        break;
      case kNone:
        push(Kind::none);
        break;
      case kTrue:
      case kFalse:
        push(Kind::boolean).number = opcode == kTrue ? 1 : 0;
        break;
      case kInt1:
        push_integer(little_endian(1));
        break;
      case kInt2:
        push_integer(little_endian(2));
        break;
      case kInt4:
        push_integer(static_cast<std::int32_t>(little_endian(4)));
        break;
      case kLong1:
        push_integer(long_integer(byte()));
        break;
      case kFloat:
        take(8);
        push(Kind::real);
        break;
      case kUnicode: {
        const std::string_view text = take(little_endian(4));
        push(Kind::text).text = text;
        break;
      }
      case kBytes:
      case kShortBytes:
        if (!rules_.python2) unknown(opcode);
        push_bytes(take(little_endian(opcode == kBytes ? 4 : 1)));
        break;
      case kGlobal:
        push_global();
        break;
      case kReduce:
        call();
        break;
      case kBuild:
        set_state(pop());
        break;
      case kPersistent: {
        const std::uint32_t what = pop();
        push(Kind::persistent).items = {what};
        break;
      }
      case kPut:
        put(little_endian(1));
        break;
      case kLongPut:
        put(little_endian(4));
        break;
      case kGet:
        get(little_endian(1));
        break;
      case kLongGet:
        get(little_endian(4));
        break;
      default:
        build(opcode);
    }
  }

  // The opcodes that make and fill containers.
  void build(std::uint8_t opcode) {
    switch (opcode) {
      case kEmptyTuple:
        push(Kind::tuple);
        break;
      case kTuple:
        push_tuple(pop_to_mark());
        break;
      case kTuple1:
      case kTuple2:
      case kTuple3:
        push_tuple(pop_many(std::size_t{1} + opcode - kTuple1));
        break;
      case kEmptyList:
        push(Kind::list);
        break;
      case kAppend:
        extend(Kind::list, pop_many(1));
        break;
      case kAppends:
        extend(Kind::list, pop_to_mark());
        break;
      case kEmptyDict:
        push(Kind::dict);
        break;
      case kSetItem:
        extend(Kind::dict, pop_many(2));
        break;
      case kSetItems:
        extend(Kind::dict, pop_to_mark());
        break;
      default:
        unknown(opcode);
    }
  }

  [[noreturn]] void unknown(std::uint8_t opcode) const {
    damaged(fmt::format("has the opcode 0x{:02x}, which {} does not write", opcode, rules_.writer));
  }

  // Attributes of a dict, such as the versions that a state_dict carries: nothing needs them. An
  // array of numpy's has all of its content in its state.
  void set_state(std::uint32_t state) {
    if (!rules_.python2 || reachable() == 0 || pickle_.at(stack_.back()).kind != Kind::call) {
      top(Kind::dict, "sets attributes of something other than a dict");
      return;
    }
    PickleValue& value = pickle_.values[stack_.back()];
    if (value.items.size() != 2) damaged("sets the state of a value twice");
    value.items.push_back(state);
  }

  void push_bytes(std::string_view bytes) { push(Kind::bytes).bytes = bytes; }

  void push_integer(std::int64_t number) { push(Kind::integer).number = number; }

  void push_tuple(std::vector<std::uint32_t> items) { push(Kind::tuple).items = std::move(items); }

  std::int64_t long_integer(std::size_t count) {
    if (count > sizeof(std::int64_t)) damaged("holds a number of more than 64 bits");
    const std::string_view text = take(count);
    // Two's complement: the sign of the last byte goes on to the left.
    std::uint64_t number = count > 0 && (text[count - 1] & 0x80) != 0 ? ~std::uint64_t{0} : 0;
    for (std::size_t i = count; i-- > 0;) number = number << 8 | static_cast<std::uint8_t>(text[i]);
    return static_cast<std::int64_t>(number);
  }

  void push_global() {
    const std::string_view module = line();
    const std::string_view name = line();
    const std::string global = fmt::format("{} {}", module, name);
    if (std::find(rules_.allowed.begin(), rules_.allowed.end(), global) == rules_.allowed.end()) {
      fail(
          "'{}' asks for {}.{}, which is no part of {}, and Lamina runs no code out of a file; {}.",
          file_,
          printable(module),
          printable(name),
          rules_.python2 ? rules_.writer : "a state_dict",
          rules_.mend);
    }
    push(Kind::global).text = global;
  }

  void call() {
    const std::uint32_t arguments = pop();
    const std::uint32_t function = pop();
    if (pickle_.at(arguments).kind != Kind::tuple || pickle_.at(function).kind != Kind::global)
      damaged("calls something that is no function");
    if (pickle_.at(function).text != kOrderedDict) {
      push(Kind::call).items = {function, arguments};
      return;
    }
    if (!pickle_.at(arguments).items.empty()) damaged("makes an OrderedDict from arguments");
    push(Kind::dict);
  }

  void extend(Kind kind, const std::vector<std::uint32_t>& items) {
    PickleValue& value =
        top(kind, kind == Kind::dict ? "fills what is no dict" : "appends to what is no list");
    if (kind == Kind::dict && items.size() % 2 != 0) damaged("sets a key without a value");
    value.items.insert(value.items.end(), items.begin(), items.end());
  }

  void put(std::uint32_t key) {
    if (reachable() == 0) damaged("takes a value from an empty stack");
    memo_[key] = stack_.back();
  }

  void get(std::uint32_t key) {
    const auto it = memo_.find(key);
    if (it == memo_.end()) damaged("refers to a value that it has not kept");
    stack_.push_back(it->second);
  }

  const std::string& file_;
  std::span<const std::byte> bytes_;
  const PickleRules& rules_;
  std::size_t at_ = 0;
  Pickle pickle_;
  std::vector<std::uint32_t> stack_;
  std::vector<std::size_t> marks_;  // heights of the stack
  std::unordered_map<std::uint32_t, std::uint32_t> memo_;
};

}  // namespace

Pickle read_pickle(const std::string& file,
                   std::span<const std::byte> bytes,
                   const PickleRules& rules) {
  return Machine(file, bytes, rules).run();
}

}  // namespace lamina
