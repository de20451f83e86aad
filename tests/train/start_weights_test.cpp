// Weights of a net with other classes: which tensors stay as they were drawn, and which must fit.
// SPDX-License-Identifier: Apache-2.0
#include "engine/train/start_weights.h"

#include <gtest/gtest.h>

#include "kernels/context.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/softmax.h"

namespace lamina {
namespace {

constexpr std::int64_t kClasses = 3;

// A hidden layer as wide as there are classes, a head behind it, and an auxiliary one beside.
Graph two_heads() {
  Graph g("TwoHeads", {1, 1, 1, 4});
  const ValueId flat = nn::flatten(g, "flatten", g.input());
  const ValueId hidden = nn::linear(g, "hidden", flat, {.k = kClasses});
  {
    const auto scope = g.scope("aux", "Sequential");
    nn::linear(g, "fc", hidden, {.k = kClasses});
  }
  const ValueId logits = nn::linear(g, "fc", hidden, {.k = kClasses});
  g.set_output(nn::log_softmax(g, "log_softmax", logits));
  return g;
}

class StartWeights : public testing::Test {
 protected:
  StartWeights() {
    model_.initialise(1);
    drawn_ = model_.state_dict();
    model_.initialise(2);
    file_ = model_.state_dict();
    model_.initialise(1);
  }

  // Gives a tensor of the file this many rows of zeros.
  void set_rows(const std::string& name, std::int64_t rows) {
    for (HostTensor& tensor : file_.tensors) {
      if (tensor.name != name) continue;
      std::vector<std::int64_t> shape = tensor.shape;
      shape[0] = rows;
      tensor = make_host_tensor(name, DType::f32, shape);
    }
  }

  std::string error() {
    try {
      load_start_weights(model_, file_, "x.pth");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::failure);
      return error.what();
    }
    return "no error";
  }

  void expect_from(const TensorFile& source, const std::string& layer) {
    const TensorFile now = model_.state_dict();
    for (const char* field : {".weight", ".bias"})
      EXPECT_EQ(now.find(layer + field)->data, source.find(layer + field)->data) << layer << field;
  }

  Context ctx_ = make_context({.backend = BackendKind::ref});
  Model model_{ctx_, two_heads()};
  TensorFile drawn_, file_;
};

TEST_F(StartWeights, AllComeFromAFileThatFits) {
  EXPECT_EQ(load_start_weights(model_, file_, "x.pth"), "");
  for (const char* layer : {"hidden", "fc", "aux.fc"}) expect_from(file_, layer);
}

TEST_F(StartWeights, EveryHeadStaysDrawnWhenTheClassesDiffer) {
  const TensorFile original = file_;
  for (const char* name : {"fc.weight", "fc.bias", "aux.fc.weight", "aux.fc.bias"})
    set_rows(name, 5);
  EXPECT_EQ(load_start_weights(model_, file_, "x.pth"),
            "aux.fc.weight, aux.fc.bias, fc.weight and fc.bias are new: the file has 5 classes, "
            "the run 3");
  expect_from(original, "hidden");
  expect_from(drawn_, "fc");
  expect_from(drawn_, "aux.fc");
}

TEST_F(StartWeights, HalfALayerIsAnError) {
  set_rows("fc.weight", 5);
  EXPECT_NE(error().find("x.pth: tensor 'fc.weight' has shape [5, 3]"), std::string::npos);
}

TEST_F(StartWeights, OtherDifferencesAreErrors) {
  for (const char* name : {"hidden.weight", "hidden.bias"}) set_rows(name, 5);
  EXPECT_NE(error().find("x.pth: tensor 'hidden.weight' has shape [5, 4]"), std::string::npos);
  expect_from(drawn_, "hidden");
}

TEST_F(StartWeights, HeadsOfDifferentClassesAreErrors) {
  for (const char* name : {"fc.weight", "fc.bias"}) set_rows(name, 5);
  for (const char* name : {"aux.fc.weight", "aux.fc.bias"}) set_rows(name, 7);
  EXPECT_NE(error().find("has shape [5"), std::string::npos);
}

}  // namespace
}  // namespace lamina
