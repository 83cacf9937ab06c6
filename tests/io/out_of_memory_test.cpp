// SPDX-License-Identifier: MIT
// Every single allocation fails once, and every one from the n-th on: an exception comes out and nothing is
// changed.
#include <midtread/data/data_loader.hpp>
#include <midtread/data/synthetic.hpp>
#include <midtread/io/state_dict.hpp>
#include <midtread/tensor/compare.hpp>
#include <midtread/tensor/factory.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <functional>

#include "data/expect_error.hpp"
#include "io/allocations.hpp"
#include "io/scratch_directory.hpp"

namespace io = midtread::io;
namespace nn = midtread::nn;

namespace out_of_memory_test {

/// Runs `body` with its 1st, 2nd, ... allocation failing, until it needs no more; `check` after each failure.
void sweep(
    const char* name, const std::function<void()>& body, const std::function<void()>& check,
    const std::function<void()>& prepare = [] {}) {
  prepare();
  body();  // what is allocated once and for all
  int cases = 0;
  for (const bool forever : {false, true})
    for (long nth = 0;; ++nth, ++cases) {
      prepare();
      bool thrown = false;
      allocations.fail_at(nth, forever);
      try {
        body();
      } catch (const std::bad_alloc&) {
        thrown = true;
      } catch (const midtread::Error&) {
        thrown = true;
      }
      const bool failed = allocations.stop();
      if (failed && thrown) check();
      if (!failed) {
        ASSERT_FALSE(thrown) << name;
        break;
      }
    }
  EXPECT_GT(cases, 0) << name;
  std::printf("%s: cases=%d\n", name, cases);
}

class NetImpl : public nn::Module {
 public:
  explicit NetImpl(float value, std::int64_t statistics = 2) {
    register_parameter("weight", midtread::full({300}, value));
    register_buffer("first", midtread::full({statistics}, value));
    register_buffer("second", midtread::full({statistics}, value));
  }
};

io::TensorFile some_tensors() {
  io::TensorFile out;
  out.tensors.insert("a long name, for the allocator", midtread::arange(100));
  out.tensors.insert("b", midtread::scalar<std::int64_t>(1));
  out.metadata.insert("k", "a long value, for the allocator as well");
  return out;
}

TEST(OutOfMemory, Tensors) {
  const io::TensorFile file = some_tensors();
  const std::string bytes = io::serialize_tensors(file);
  sweep(
      "serialize", [&] { io::serialize_tensors(file); }, [] {});
  sweep(
      "parse", [&] { io::parse_tensors(bytes, "f"); }, [] {});
  std::string damaged = bytes;
  damaged[100] = '\n';
  sweep(
      "damaged",
      [&] {
        try {
          io::parse_tensors(damaged, "f");
        } catch (const midtread::FormatError&) {
        }
      },
      [] {});
}

TEST(OutOfMemory, SaveLeavesTheOldFile) {
  const ScratchDirectory directory;
  const std::string path = directory / "f";
  const io::TensorFile file = some_tensors();
  const std::string wanted = io::serialize_tensors(file);
  sweep(
      "save", [&] { io::save_tensors(path, file); },
      [&] {
        EXPECT_EQ(directory.names(), std::vector<std::string>{"f"});
        EXPECT_EQ(directory.get("f"), wanted);
      });
}

TEST(OutOfMemory, LoadLeavesTheModule) {
  const ScratchDirectory directory;
  for (const std::int64_t statistics : {2, 3}) {  // 3: buffers change their shape
    io::save(NetImpl(1.0f, statistics), directory / "f");
    nn::ModuleHolder<NetImpl> net(2.0f);
    const nn::StateDict before = NetImpl(2.0f).state_dict();
    const auto values = [](const nn::StateDict& state) {
      std::vector<std::vector<float>> out;
      for (const auto& item : state) out.push_back(item.second.get<float>().to_vector());
      return out;
    };
    sweep(
        "load", [&] { io::load(net, directory / "f"); },
        [&] { EXPECT_EQ(values(net->state_dict()), values(before)); },
        [&] { net = nn::ModuleHolder<NetImpl>(2.0f); });
  }
}

TEST(OutOfMemory, Loader) {
  namespace data = midtread::data;
  const data::TensorDataset set = data::synthetic_images(20, 1);
  for (const std::int64_t prefetch : {0, 2})
    sweep(
        "loader",
        [&] {
          data::DataLoader loader(set, data::DataLoaderOptions(6)
                                           .shuffle(true)
                                           .prefetch(prefetch)
                                           .transform(data::random_crop(2))
                                           .transform(data::normalize({0.5f}, {0.5f})));
          std::int64_t seen = 0;
          for (const data::Batch& batch : loader) seen += batch.size();
          if (seen != 20) throw std::logic_error("an epoch that stops without a word");
        },
        [] {});
}

TEST(OutOfMemory, AFileTooLargeForMemory) {
  const ScratchDirectory directory;
  const std::string path = directory.put("f", std::string(100000, 'x'));
  allocations.largest = 50000;
  expect_error<midtread::IoError>([&] { io::read_file(path); }, {path, "100000 bytes do not fit in memory"});
  allocations.largest = SIZE_MAX;
}

}  // namespace out_of_memory_test
