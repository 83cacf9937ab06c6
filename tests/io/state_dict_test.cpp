// SPDX-License-Identifier: MIT
#include <midtread/io/state_dict.hpp>
#include <midtread/tensor/compare.hpp>
#include <midtread/tensor/factory.hpp>

#include <gtest/gtest.h>

#include <cstdio>

#include "data/expect_error.hpp"
#include "io/scratch_directory.hpp"

using midtread::BasicTensor;
using midtread::FormatError;
using midtread::IoError;
using midtread::Shape;
namespace io = midtread::io;
namespace nn = midtread::nn;

namespace state_dict_test {

template <class Scalar>
class MemberImpl : public nn::BasicModule<Scalar> {
 public:
  explicit MemberImpl(Scalar value, std::int64_t size = 3) {
    this->register_parameter("weight", midtread::full<Scalar>({size, 2}, value));
    this->register_buffer("num_batches_tracked",
                          midtread::scalar<std::int64_t>(static_cast<std::int64_t>(value)));
    this->register_buffer("min_val", midtread::full<float>({}, static_cast<float>(value)));
  }
};
template <class Scalar>
class PairImpl : public nn::BasicModule<Scalar> {
 public:
  explicit PairImpl(Scalar value, std::int64_t size = 3) {
    this->register_module("first", std::make_shared<MemberImpl<Scalar>>(value));
    this->register_module("last", std::make_shared<MemberImpl<Scalar>>(value + 1, size));
    this->register_parameter("scale", midtread::full<Scalar>({1, 2, 2, 2}, value).channels_last());
  }
};
using Pair = nn::ModuleHolder<PairImpl<float>>;

bool equal(const nn::StateDict& a, const nn::StateDict& b) {
  if (a.size() != b.size()) return false;
  for (const auto& item : a)
    if (!item.second.visit([&](const auto& t) {
          return midtread::identical(t,
                                     b.at(item.first).get<typename std::decay_t<decltype(t)>::scalar_type>());
        }))
      return false;
  return true;
}
nn::StateDict copy(const nn::StateDict& from) {
  nn::StateDict out;
  for (const auto& item : from) out.insert(item.first, item.second.clone());
  return out;
}

TEST(StateDict, GivesBackAModel) {
  const ScratchDirectory directory;
  const Pair saved(1.0f);
  Pair loaded(5.0f);
  io::Metadata metadata;
  metadata.insert("epoch", "12");
  io::save(saved, directory / "a", metadata);
  EXPECT_FALSE(equal(saved->state_dict(), loaded->state_dict()));
  EXPECT_EQ(io::load(loaded, directory / "a").at("epoch"), "12");
  EXPECT_TRUE(equal(saved->state_dict(), loaded->state_dict()));
  EXPECT_TRUE(equal(io::load_state_dict(directory / "a"), saved->state_dict()));

  io::save(*saved, directory / "b", metadata);
  io::save(saved->state_dict(), directory / "c", metadata);
  EXPECT_EQ(directory.get("a"), directory.get("b"));
  EXPECT_EQ(directory.get("a"), directory.get("c"));

  PairImpl<double> exact(0.1), other(0.2);
  io::save(exact, directory / "double");
  io::load(other, directory / "double");
  EXPECT_TRUE(equal(exact.state_dict(), other.state_dict()));
}

TEST(StateDict, KeepsTheModulesTensors) {
  const ScratchDirectory directory;
  io::save(Pair(1.0f), directory / "f");
  Pair net(2.0f);
  const midtread::Tensor weight = net->parameters().at(0);
  io::load(net, directory / "f");
  EXPECT_TRUE(weight.is(net->parameters().at(0))) << "an optimizer holds it";
  EXPECT_EQ(weight.to_vector(), std::vector<float>(weight.to_vector().size(), 1.0f));
}

TEST(StateDict, LoadsAllOrNothing) {
  const ScratchDirectory directory;
  Pair net(7.0f);
  const nn::StateDict before = copy(net->state_dict());
  const auto refuse = [&](const std::string& path, std::initializer_list<std::string> words,
                          bool strict = true) {
    expect_error<FormatError>([&] { io::load(net, path, strict); }, words);
    EXPECT_TRUE(equal(net->state_dict(), before));
  };
  io::save(Pair(1.0f, 4), directory / "shape");
  refuse(directory / "shape", {directory / "shape", "last.weight", "[4, 2] in the file", "[3, 2] here"});
  refuse(directory / "shape", {"last.weight"}, false);
  io::save(PairImpl<double>(1.0), directory / "type");
  refuse(directory / "type", {"first.weight", "float64 in the file", "float32 here"});
  nn::StateDict state = copy(before);
  state.erase("first.weight");
  state.insert("extra\n", midtread::AnyTensor(midtread::ones({1})));
  io::save(state, directory / "names");
  refuse(directory / "names", {"missing first.weight", "unexpected extra?"});
  EXPECT_NO_THROW(io::load(net, directory / "names", false));

  io::save(Pair(1.0f), directory / "whole");
  std::string bytes = directory.get("whole");
  bytes.back() = static_cast<char>(bytes.back() ^ 64);
  refuse(directory.put("flipped", bytes), {"flipped", "checksum"});
  refuse(directory.put("short", bytes.substr(0, bytes.size() - 1)), {"short:", "ends here"});
  expect_error<IoError>([&] { io::load(net, directory / "none"); }, {"none", "No such file"});
}

TEST(StateDict, ABufferMayComeInAnotherShape) {
  const ScratchDirectory directory;
  Pair saved(1.0f), loaded(2.0f);
  for (auto& buffer : saved->children().at("first")->own_buffers())
    if (buffer.first == "min_val") buffer.second.get<float>().set_data(midtread::arange(4));
  io::save(saved, directory / "f");
  io::load(loaded, directory / "f");
  EXPECT_TRUE(equal(saved->state_dict(), loaded->state_dict()));
}

}  // namespace state_dict_test
