// Files made to break the reader of .pth: each must end in one sentence that names the file.
// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "engine/files/torch_file.h"
#include "tests/files/hostile_tensor_files.h"
#include "tests/files/temp_folder.h"
#include "tests/files/torch_archive.h"

namespace lamina {
namespace {

using namespace pickled;  // NOLINT(google-build-using-namespace): the words of every case below

constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();

std::string floats(std::int64_t elements) { return storage("FloatStorage", "0", elements); }
std::string good_tensor() { return tensor(floats(4), 0, {2, 2}, {2, 1}); }
std::string one(const std::string& value) { return whole(dict({{"w", value}})); }
std::string repeated(const std::string& part, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += part;
  return all;
}

// Pickles, in an archive with a storage of 16 bytes.
std::vector<HostileFile> hostile_pickles() {
  const std::string early = "ends too early", empty = "takes a value from an empty stack";
  const std::string view = "has a shape or strides with something other than numbers from 0 up";
  return {
      {"empty", "", early},
      {"protocol_4", "\x80\x04}.", "its pickle is not of protocol 2"},
      {"no_end", "\x80\x02}", early},
      {"text_cut_off", "\x80\x02X\xff\xff\xff\x7f-", early},
      {"number_cut_off", "\x80\x02J\x01", early},
      {"number_of_80_bits", whole("\x8a\x0a" + std::string(10, 'x')), "of more than 64 bits"},
      {"global_cut_off",
       "\x80\x02"
       "ctorch",
       early},
      {"nothing_at_the_end", "\x80\x02.", "ends with another stack than one value"},
      {"two_at_the_end", whole("}}"), "ends with another stack than one value"},
      {"bytes_behind", whole("}") + "}", "has bytes behind its end"},
      {"unknown_opcode", whole("I5\n"), "has the opcode 0x49, which torch.save does not write"},
      {"new_object", whole(global("collections", "OrderedDict") + ")\x81"), "the opcode 0x81"},
      {"system", one(call(global("os", "system"), {text("true")})), "asks for os.system"},
      {"eval", one(call(global("builtins", "eval"), {text("1")})), "asks for builtins.eval"},
      {"allowed_name_of_another_module",
       whole(global("collections.evil", "OrderedDict")),
       "asks for collections.evil.OrderedDict"},
      {"name_with_control_characters", whole(global("a\x1b[2J", "b")), "asks for a?[2J.b"},
      {"setitem_on_nothing", whole("s"), empty},
      {"setitem_reaches_below_a_mark", whole("}K\x01(K\x01s"), empty},
      {"setitems_on_a_number", whole("K\x01(K\x01K\x01u"), "fills what is no dict"},
      {"odd_setitems", whole("}(K\x01u"), "sets a key without a value"},
      {"append_to_a_dict",
       whole("}K\x01"
             "a"),
       "appends to what is no list"},
      {"no_mark", whole("t"), "closes a group that was not opened"},
      {"tuple_of_nothing", whole("\x87"), empty},
      {"memo_unknown", whole("h\x05"), "refers to a value that it has not kept"},
      {"memo_of_nothing", whole("q\x05"), empty},
      {"call_of_a_dict", whole("})R"), "calls something that is no function"},
      {"call_with_a_list", whole(global("collections", "OrderedDict") + "]R"), "no function"},
      {"build_of_a_list", whole("]}b"), "sets attributes of something other than a dict"},
      {"persistent_of_nothing", whole("Q"), empty},
      {"deep", "\x80\x02" + repeated("(", 1'000'000) + ".", "another stack than one value"},
      {"nested_tuples", whole(")" + repeated("\x85", 1'000'000)), "holds no dict of tensors"},
      {"too_many_values", whole(repeated(")", 1'100'000)), "holds more than 1048576 values"},
      {"dict_in_itself",
       whole("}q" + std::string(1, '\0') + text("model") + "h" + std::string(1, '\0') + "s"),
       "has 'model' among its tensors, which is none"},
      {"name_is_a_number", whole("}K\x01" + good_tensor() + "s"), "a name in its state_dict"},
      {"name_twice",
       whole(dict({{"w", good_tensor()}, {"w", good_tensor()}})),
       "it names 'w' twice"},
      {"number_among_tensors",
       whole(dict({{"w", good_tensor()}, {"epoch", integer(3)}})),
       "has 'epoch' among its tensors, which is none"},
      {"tensor_of_nothing",
       one(call(global("torch._utils", "_rebuild_tensor_v2"), {})),
       "has arguments that are not those of a tensor"},
      {"parameter_of_a_number",
       one(call(global("torch._utils", "_rebuild_parameter"), {integer(1), "\x88", "}"})),
       "has arguments that are not those of a parameter"},
      {"conjugate",
       one(call(global("torch._utils", "_rebuild_tensor_v2"),
                {floats(4),
                 integer(0),
                 integers({4}),
                 integers({1}),
                 "\x89",
                 "}",
                 dict({{"neg", "\x88"}})})),
       "as a conjugate or negative view"},
      {"storage_is_a_number", one(tensor(integer(3), 0, {1}, {1})), "that cannot be understood"},
      {"storage_id_is_a_text", one(tensor(text("0") + "Q", 0, {1}, {1})), "cannot be understood"},
      {"storage_type_is_a_function",
       one(tensor(tuple({text("storage"),
                         global("collections", "OrderedDict"),
                         text("0"),
                         text("cpu"),
                         integer(4)}) +
                      "Q",
                  0,
                  {1},
                  {1})),
       "has a storage that cannot be understood"},
      {"storage_of_minus_one", one(tensor(floats(-1), 0, {1}, {1})), "cannot be understood"},
      {"storage_too_short", one(tensor(floats(5), 0, {5}, {1})), "has 16 bytes, not 5 elements"},
      {"storage_too_long", one(tensor(floats(3), 0, {3}, {1})), "has 16 bytes, not 3 elements"},
      {"storage_size_overflows", one(tensor(floats(kHuge), 0, {1}, {1})), "has 16 bytes, not 922"},
      {"storage_missing",
       one(tensor(storage("FloatStorage", "1", 4), 0, {4}, {1})),
       "the data of tensor 'w' is missing (entry 'archive/data/1')"},
      {"storage_outside",
       one(tensor(storage("FloatStorage", "../version", 4), 0, {4}, {1})),
       "the data of tensor 'w' is missing"},
      {"tensor_too_long",
       one(tensor(floats(4), 0, {5}, {1})),
       "tensor 'w' reaches element 4 of a storage of 4"},
      {"offset_too_large",
       one(tensor(floats(4), 1, {2, 2}, {2, 1})),
       "tensor 'w' reaches element 4 of a storage of 4"},
      {"offset_overflows", one(tensor(floats(4), kHuge, {4}, {1})), "of a storage of 4"},
      {"offset_negative", one(tensor(floats(4), -1, {1}, {1})), "has a bad offset"},
      {"shape_huge",
       one(tensor(floats(4), 0, {kHuge, kHuge}, {1, 1})),
       "has more elements than memory can hold"},
      {"shape_negative", one(tensor(floats(4), 0, {-4}, {1})), view},
      {"stride_negative", one(tensor(floats(4), 3, {4}, {-1})), view},
      {"stride_huge", one(tensor(floats(4), 0, {4}, {kHuge})), "strides beyond all memory"},
      {"stride_zero", one(tensor(floats(4), 0, {4}, {0})), "reaches an element twice"},
      {"strides_overlap", one(tensor(floats(4), 0, {2, 3}, {1, 1})), "reaches an element twice"},
      {"strides_missing", one(tensor(floats(4), 0, {2, 2}, {1})), "not one stride for each"},
      {"shape_of_33",
       one(tensor(floats(4), 0, std::vector<std::int64_t>(33, 1), {1})),
       "no tuple of at most 32 numbers"},
  };
}

class HostilePickle : public testing::TestWithParam<HostileFile> {};

TEST_P(HostilePickle, ends_in_one_sentence) {
  const TempFolder folder;
  write_zip(folder / "bad.pth", torch_entries(GetParam().bytes, 16));
  const std::string message = failure_of([&] { read_weights(folder / "bad.pth"); });
  expect_contains(message, "'" + (folder / "bad.pth").string() + "'");
  expect_contains(message, GetParam().message);
  EXPECT_LT(message.size(), 400u) << message;
}

INSTANTIATE_TEST_SUITE_P(torch,
                         HostilePickle,
                         testing::ValuesIn(hostile_pickles()),
                         [](const auto& test) { return test.param.name; });

class HostileArchive : public testing::Test {
 protected:
  std::string message_of(const std::vector<ZipEntry>& entries) {
    write_zip(folder_ / "a", entries);
    return failure_of([&] { read_weights(folder_ / "a"); });
  }
  // Every place of the file where `from` stands, replaced by `to`, of the same length.
  std::string message_after(const std::vector<ZipEntry>& entries,
                            const std::string& from,
                            const std::string& to) {
    write_zip(folder_ / "a", entries);
    std::string bytes = bytes_in(folder_ / "a");
    for (std::size_t at = bytes.find(from); at != std::string::npos; at = bytes.find(from, at + 1))
      bytes.replace(at, to.size(), to);
    put(folder_ / "a", bytes);
    return failure_of([&] { read_weights(folder_ / "a"); });
  }

  const TempFolder folder_;
  const std::filesystem::path saved_ =
      std::filesystem::path(LAMINA_FIXTURES) / "torch" / "parameters.pth";
  const std::vector<ZipEntry> good_ = torch_entries(one(good_tensor()), 16);
};

TEST_F(HostileArchive, the_good_one_is_read) {
  write_zip(folder_ / "a", good_);
  EXPECT_EQ(read_weights(folder_ / "a").tensors.size(), 1u);
}

TEST_F(HostileArchive, other_archives_are_named) {
  expect_contains(message_of({{"readme.txt", "hello"}}), "but not one of torch.save");
  std::vector<ZipEntry> entries = good_;
  entries.push_back({"other/data.pkl", "x"});
  expect_contains(message_of(entries), "more than one data.pkl");
  entries.back() = {"archive/constants.pkl", "x"};
  expect_contains(message_of(entries), "is a TorchScript program");
}

TEST_F(HostileArchive, entries_twice_are_refused) {
  std::vector<ZipEntry> entries = good_;
  entries.push_back({"archive/data/1", "x"});
  expect_contains(message_after(entries, "archive/data/1", "archive/data/0"),
                  "it has the entry 'archive/data/0' twice");
}

TEST_F(HostileArchive, compressed_entries_are_refused) {
  std::vector<ZipEntry> entries = good_;
  entries[1] = {"archive/data/0", std::string(1 << 20, '\0'), true};
  expect_contains(message_of(entries), "has a compressed entry 'archive/data/0'");
}

TEST_F(HostileArchive, claimed_sizes_are_held_against_the_file) {
  // 16 bytes, compressed and not, become 2 GB in every header.
  const std::string small("\x10\0\0\0\x10\0\0\0", 8), large("\0\0\0\x7f\0\0\0\x7f", 8);
  expect_contains(message_after(good_, small, large), "claim more bytes than the");
}

TEST_F(HostileArchive, a_wrong_checksum_is_found) {
  std::vector<ZipEntry> entries = good_;
  entries[1].bytes = "0123456789abcdef";
  expect_contains(message_after(entries, "0123456789abcdef", "0123456789abcdeX"),
                  "its entry 'archive/data/0' cannot be read (CRC error)");
}

TEST_F(HostileArchive, a_part_of_an_element_is_refused) {
  expect_contains(message_of(torch_entries(one(good_tensor()), 18)),
                  "has 18 bytes, not 4 elements of 4");
}

TEST_F(HostileArchive, one_storage_under_too_many_names_is_refused) {
  std::vector<Item> items;
  for (int i = 0; i < 2000; ++i)
    items.push_back(
        {std::to_string(i),
         i == 0 ? tensor(floats(1 << 18), 0, {1 << 18}, {1}) + "q\x01" : std::string("h\x01")});
  expect_contains(message_of(torch_entries(whole(dict(items)), std::size_t{4} << 18)),
                  "more than 16 times over; save each tensor once");
}

// Whatever happens to a bit, the reader returns or throws an Error; the sanitizers watch the rest.
TEST_F(HostileArchive, every_flip_and_truncation_ends_cleanly) {
  const std::string whole_file = bytes_in(saved_);
  int refused = 0, tries = 0;
  const auto attempt = [&](const std::filesystem::path& path) {
    ++tries;
    try {
      read_torch_file(path);
    } catch (const Error&) {
      ++refused;
    }
  };
  for (std::size_t size = 0; size < whole_file.size(); ++size) {
    put(folder_ / "b", whole_file.substr(0, size));
    attempt(folder_ / "b");
  }
  EXPECT_EQ(refused, tries);
  for (std::size_t at = 0; at < whole_file.size(); ++at) {
    for (int bit = 0; bit < 9; ++bit) {  // the ninth flips all
      std::string damaged = whole_file;
      damaged[at] = static_cast<char>(damaged[at] ^ (bit == 8 ? 0xFF : 1 << bit));
      put(folder_ / "b", damaged);
      attempt(folder_ / "b");
    }
  }
  EXPECT_GT(refused, tries / 2);
}

// The checksum hides the pickle from the flips above; here it is right again.
TEST_F(HostileArchive, every_flip_of_the_pickle_ends_cleanly) {
  const std::vector<ZipEntry> sound = zip_entries(saved_);
  ASSERT_EQ(sound[0].name, "parameters/data.pkl");
  int refused = 0, tries = 0;
  for (std::size_t at = 0; at < sound[0].bytes.size(); ++at) {
    for (int bit = 0; bit < 9; ++bit) {
      std::vector<ZipEntry> entries = sound;
      char& byte = entries[0].bytes[at];
      byte = static_cast<char>(byte ^ (bit == 8 ? 0xFF : 1 << bit));
      write_zip(folder_ / "b", entries);
      ++tries;
      try {
        read_torch_file(folder_ / "b");
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, tries / 2);
}

}  // namespace
}  // namespace lamina
