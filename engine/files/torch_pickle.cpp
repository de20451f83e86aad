// SPDX-License-Identifier: Apache-2.0
#include "engine/files/torch_pickle.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "engine/files/damage.h"
#include "engine/files/pickle.h"
#include "engine/files/safetensors_header.h"

namespace lamina {
namespace {

using Kind = PickleValue::Kind;

constexpr std::string_view kTensor = "torch._utils _rebuild_tensor_v2";
constexpr std::string_view kParameter = "torch._utils _rebuild_parameter";

// What a state_dict may name. Storages without a dtype are known, but no tensor here can have them.
struct StorageType {
  std::string_view name;
  std::optional<DType> dtype;
};
constexpr std::array<StorageType, 12> kStorages{{{"torch FloatStorage", DType::f32},
                                                 {"torch DoubleStorage", DType::f64},
                                                 {"torch HalfStorage", DType::f16},
                                                 {"torch BFloat16Storage", DType::bf16},
                                                 {"torch LongStorage", DType::i64},
                                                 {"torch IntStorage", DType::i32},
                                                 {"torch ByteStorage", DType::u8},
                                                 {"torch BoolStorage", std::nullopt},
                                                 {"torch CharStorage", std::nullopt},
                                                 {"torch ShortStorage", std::nullopt},
                                                 {"torch ComplexFloatStorage", std::nullopt},
                                                 {"torch ComplexDoubleStorage", std::nullopt}}};

std::vector<std::string_view> allowed_globals() {
  std::vector<std::string_view> names{"collections OrderedDict", kTensor, kParameter};
  for (const StorageType& type : kStorages) names.push_back(type.name);
  return names;
}

// Where a checkpoint keeps its state_dict.
constexpr std::array<std::string_view, 3> kNests{"state_dict", "model", "model_state_dict"};

class Reader {
 public:
  Reader(const std::string& file, Pickle pickle) : file_(file), pickle_(std::move(pickle)) {}

  std::vector<TorchTensor> run() const {
    const PickleValue& dict = state_dict();
    std::vector<TorchTensor> tensors;
    std::unordered_set<std::string_view> names;
    for (std::size_t i = 0; i < dict.items.size(); i += 2) {
      const PickleValue& key = pickle_.item(dict, i);
      if (key.kind != Kind::text) fail_damaged(file_, "a name in its state_dict is no text");
      if (!names.insert(key.text).second)
        fail_damaged(file_, "it names '{}' twice", printable(key.text));
      tensors.push_back(tensor(key.text, pickle_.item(dict, i + 1)));
    }
    return tensors;
  }

 private:
  bool is_call(const PickleValue& value, std::string_view function) const {
    return value.kind == Kind::call && pickle_.item(value, 0).text == function;
  }
  bool is_tensor(const PickleValue& value) const {
    return is_call(value, kTensor) || is_call(value, kParameter);
  }

  const PickleValue& state_dict() const {
    const PickleValue& root = pickle_.at(pickle_.root);
    if (root.kind != Kind::dict) {
      fail("'{}' holds no dict of tensors; save it with torch.save(model.state_dict(), path).",
           file_);
    }
    for (std::size_t i = 1; i < root.items.size(); i += 2) {
      if (is_tensor(pickle_.item(root, i))) return root;
    }
    for (std::string_view nest : kNests) {
      for (std::size_t i = 0; i < root.items.size(); i += 2) {
        const PickleValue& key = pickle_.item(root, i);
        const PickleValue& value = pickle_.item(root, i + 1);
        if (key.kind == Kind::text && key.text == nest && value.kind == Kind::dict) return value;
      }
    }
    fail(
        "'{}' holds no tensors, neither by name nor as 'state_dict' or 'model'; save it with "
        "torch.save(model.state_dict(), path).",
        file_);
  }

  TorchTensor tensor(const std::string& name, const PickleValue& value) const {
    if (is_call(value, kParameter)) {
      const PickleValue& arguments = pickle_.item(value, 1);
      if (arguments.items.size() == 3 && is_call(pickle_.item(arguments, 0), kTensor))
        return dense_tensor(name, pickle_.item(arguments, 0));
      damaged(name, "has arguments that are not those of a parameter");
    }
    if (!is_call(value, kTensor)) {
      fail("'{}' has '{}' among its tensors, which is none; save the state_dict() alone.",
           file_,
           printable(name));
    }
    return dense_tensor(name, value);
  }

  [[noreturn]] void damaged(const std::string& name, std::string_view what) const {
    fail_damaged(file_, "tensor '{}' {}", printable(name), what);
  }

  // Sound, but of no use here as it is.
  [[noreturn]] void fail_view(const std::string& name, std::string_view what) const {
    fail("'{}' has tensor '{}' as {}; save a clone() of it instead.", file_, printable(name), what);
  }

  // _rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks[, metadata])
  TorchTensor dense_tensor(const std::string& name, const PickleValue& call) const {
    const PickleValue& arguments = pickle_.item(call, 1);
    const std::size_t count = arguments.items.size();
    if (count != 6 && count != 7) damaged(name, "has arguments that are not those of a tensor");
    const PickleValue& offset = pickle_.item(arguments, 1);
    if (count == 7 && !pickle_.item(arguments, 6).items.empty())
      fail_view(name, "a conjugate or negative view");
    TorchTensor tensor;
    tensor.name = name;
    read_storage(pickle_.item(arguments, 0), tensor);
    if (offset.kind != Kind::integer || offset.number < 0) damaged(name, "has a bad offset");
    tensor.offset = offset.number;
    tensor.shape = extents(name, pickle_.item(arguments, 2));
    tensor.strides = extents(name, pickle_.item(arguments, 3));
    check_view(tensor);
    return tensor;
  }

  // ('storage', type, entry, device, elements)
  void read_storage(const PickleValue& value, TorchTensor& tensor) const {
    const auto check = [&](bool good) {
      if (!good) damaged(tensor.name, "has a storage that cannot be understood");
    };
    check(value.kind == Kind::persistent);
    const PickleValue& id = pickle_.item(value, 0);
    check(id.kind == Kind::tuple && id.items.size() == 5);
    const PickleValue& type = pickle_.item(id, 1);
    const PickleValue& entry = pickle_.item(id, 2);
    const PickleValue& elements = pickle_.item(id, 4);
    check(pickle_.item(id, 0).text == "storage" && type.kind == Kind::global);
    check(entry.kind == Kind::text && elements.kind == Kind::integer && elements.number >= 0);
    const auto known = std::find_if(kStorages.begin(), kStorages.end(), [&](const StorageType& s) {
      return s.name == type.text;
    });
    check(known != kStorages.end());
    if (!known->dtype) {
      fail(
          "'{}' has tensor '{}' as {}; convert it to float, double, half, bfloat16, int, long or "
          "uint8.",
          file_,
          printable(tensor.name),
          known->name.substr(known->name.find(' ') + 1));
    }
    tensor.dtype = *known->dtype;
    tensor.storage = entry.text;
    tensor.storage_elements = elements.number;
  }

  std::vector<std::int64_t> extents(const std::string& name, const PickleValue& tuple) const {
    if (tuple.kind != Kind::tuple || tuple.items.size() > kMostDims)
      damaged(name, "has a shape or strides that are no tuple of at most 32 numbers");
    std::vector<std::int64_t> numbers;
    for (std::uint32_t item : tuple.items) {
      const PickleValue& value = pickle_.at(item);
      if (value.kind != Kind::integer || value.number < 0)
        damaged(name, "has a shape or strides with something other than numbers from 0 up");
      numbers.push_back(value.number);
    }
    return numbers;
  }

  void check_view(TorchTensor& tensor) const {
    const std::string& name = tensor.name;
    const std::size_t dims = tensor.shape.size();
    if (tensor.strides.size() != dims) damaged(name, "has not one stride for each dimension");
    if (!count_elements(tensor.shape, tensor.elements))
      damaged(name, "has more elements than memory can hold");
    if (tensor.elements == 0) return;
    // From the smallest stride on, each must step over all that the ones before it reach.
    std::vector<std::size_t> order(dims);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return tensor.strides[a] < tensor.strides[b];
    });
    std::int64_t reach = 0;
    for (std::size_t i : order) {
      if (tensor.shape[i] == 1) continue;
      if (tensor.strides[i] <= reach) fail_view(name, "a view that reaches an element twice");
      std::int64_t length = 0;
      if (__builtin_mul_overflow(tensor.shape[i] - 1, tensor.strides[i], &length) ||
          __builtin_add_overflow(reach, length, &reach))
        damaged(name, "has strides beyond all memory");
    }
    std::int64_t last = 0;
    if (__builtin_add_overflow(tensor.offset, reach, &last) || last >= tensor.storage_elements) {
      fail_damaged(file_,
                   "tensor '{}' reaches element {} of a storage of {}",
                   printable(name),
                   last,
                   tensor.storage_elements);
    }
  }

  const std::string& file_;
  Pickle pickle_;
};

}  // namespace

std::vector<TorchTensor> parse_torch_pickle(const std::string& file,
                                            std::span<const std::byte> bytes) {
  const std::vector<std::string_view> allowed = allowed_globals();
  return Reader(file, read_pickle(file, bytes, {.allowed = allowed})).run();
}

}  // namespace lamina
