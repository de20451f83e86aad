// Pickles of protocol 2, as torch.save and Python 2 write them, read as data: nothing in them is
// executed.
//
// A pickle is a program for a small stack machine. Here its opcodes only build values; a call of a
// function stays a value that names the function and its arguments. Which names may occur is the
// caller's list, and any other is a failure that names it. Values are held in one vector and refer
// to each other by index, so that neither depth nor cycles can exhaust the stack.
// https://docs.python.org/3/library/pickletools.html
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lamina {

struct PickleValue {
  enum class Kind {
    none,
    boolean,     // number: 0 or 1
    integer,     // number
    real,        // the number itself is dropped: no tensor needs it
    text,        // text
    bytes,       // bytes, inside of the pickle's own: a str of Python 2
    tuple,       // items
    list,        // items
    dict,        // items: key, value, key, value, in the order of the file
    global,      // text: "module name"
    call,        // items: the function, the tuple of its arguments, and its state where one is set
    persistent,  // items: what stands for data outside of the pickle
  };
  Kind kind = Kind::none;
  std::int64_t number = 0;
  std::string text;
  std::string_view bytes;
  std::vector<std::uint32_t> items;  // indices into Pickle::values
};

struct Pickle {
  std::vector<PickleValue> values;
  std::uint32_t root = 0;

  const PickleValue& at(std::uint32_t index) const { return values[index]; }
  const PickleValue& item(const PickleValue& value, std::size_t i) const {
    return values[value.items[i]];
  }
};

struct PickleRules {
  std::span<const std::string_view> allowed;  // the globals that may occur, as "module name"
  // For messages: whose pickles these are, and half a sentence about a file that is none.
  std::string_view writer = "torch.save";
  std::string_view mend = "save the tensors alone: torch.save(model.state_dict(), path)";
  bool python2 = false;  // takes bytes, and a state for what a function made
};

// `file` is the name for messages. Throws a failure unless the whole of `bytes`, which the result
// refers to, is one pickle of known opcodes.
Pickle read_pickle(const std::string& file,
                   std::span<const std::byte> bytes,
                   const PickleRules& rules);

}  // namespace lamina
