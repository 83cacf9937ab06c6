// SPDX-License-Identifier: MIT
// Int8 model files changed where a fuzzer that knows the format would, with right checksums: whatever is read
// must also run. Only midtread::Error may come out; the sanitizer builds look for the rest.
#include "fuzz/mutation.hpp"
#include "io/int8_models.hpp"

#include <midtread/runtime.hpp>

#include <gtest/gtest.h>

#include <climits>
#include <cstdio>

using midtread::Generator;
using midtread::Shape;
using midtread::Tensor;
namespace io = midtread::io;
namespace quantized = midtread::quantized;
using nlohmann::json;

namespace int8_fuzz_test {

std::size_t below(Generator& random, std::size_t bound) {
  return static_cast<std::size_t>(random.below(static_cast<std::int64_t>(bound)));
}

json interesting(Generator& random) {
  static const std::vector<json> kValues = {0,
                                            1,
                                            -1,
                                            2,
                                            3,
                                            4,
                                            5,
                                            7,
                                            8,
                                            9,
                                            16,
                                            127,
                                            128,
                                            255,
                                            256,
                                            -128,
                                            1000,
                                            4095,
                                            4096,
                                            4097,
                                            65535,
                                            65536,
                                            1e-3,
                                            1e30,
                                            1e-39,
                                            -0.5,
                                            0.5,
                                            1.5,
                                            1e300,
                                            INT_MAX,
                                            INT_MIN,
                                            json::array(),
                                            std::int64_t{1} << 40,
                                            INT64_MAX,
                                            nullptr,
                                            true,
                                            "add",
                                            json::object()};
  return kValues[below(random, kValues.size())];
}
/// A place in the tree, leaves more often than lists.
json* pick(json& root, Generator& random) {
  json* at = &root;
  while (at->is_structured() && !at->empty() && below(random, 12) != 0) {
    auto item = at->begin();
    std::advance(item, below(random, at->size()));
    at = &*item;
  }
  return at;
}
void change_program(json& program, const json& other, Generator& random) {
  json& at = *pick(program, random);
  switch (below(random, 8)) {
    case 0:
    case 1:
    case 2: at = interesting(random); break;
    case 3: {
      json copy = other;
      at = *pick(copy, random);
      break;
    }
    case 4: {
      json copy = *pick(program, random);
      at = std::move(copy);
      break;
    }
    case 5:
      if (at.is_number()) at = at.get<double>() + (below(random, 2) ? 1 : -1);
      break;
    case 6:
      if (at.is_array() && !at.empty()) at.erase(below(random, at.size()));
      break;
    default: {  // another kind of step in the same place
      json& steps = program["steps"];
      if (!steps.is_array() || steps.empty()) break;
      const json& from = other["steps"][below(random, other["steps"].size())];
      json& to = steps[below(random, steps.size())];
      if (!to.is_object()) break;
      for (const char* key : {"kind", "numbers"})
        if (below(random, 4) != 0) to[key] = from[key];
    }
  }
}
void change_tensor(io::TensorFile& file, Generator& random) {
  if (file.tensors.empty()) return;
  auto item = file.tensors.begin() + static_cast<std::ptrdiff_t>(below(random, file.tensors.size()));
  item->second.visit([&](const auto& tensor) {
    using T = std::decay_t<decltype(tensor)>;
    T copy = tensor.clone();
    if (below(random, 4) == 0) {
      Shape shape = copy.shape();
      if (shape.rank() > 0)
        shape[static_cast<int>(below(random, static_cast<std::size_t>(shape.rank())))] = random.below(6);
      copy = T(shape);
      copy.fill_(1);
    } else if (copy.numel() > 0) {
      auto* bytes = reinterpret_cast<unsigned char*>(copy.mutable_data());
      const std::size_t count = static_cast<std::size_t>(copy.numel()) * sizeof(*copy.data());
      for (std::size_t i = 0, flips = 1 + below(random, 4); i < flips; ++i)
        bytes[below(random, count)] = static_cast<unsigned char>(below(random, 256));
    }
    item->second = copy;
  });
}

/// Whether it was read; runs what was, also on no example at all.
int read_and_run(const std::string& bytes) {
  constexpr quantized::RunLimits limits{1 << 16, 16, 1 << 20, 256};
  try {
    const quantized::Model model = io::parse_int8_model(bytes, "fuzz", limits);
    for (std::int64_t batch : {1, 0}) {
      midtread::Tensors inputs;
      Generator random(1);
      for (Shape shape : model.input_shapes()) {
        if (midtread::element_count(shape) > 4096) return 1;
        if (shape.rank() > 0) shape[0] = batch == 0 ? 0 : shape[0];
        inputs.push_back(midtread::randn(shape, random));
      }
      try {
        model(inputs);
      } catch (const midtread::Error&) {
      }
    }
    return 1;
  } catch (const midtread::Error&) {
    return 0;
  }
}

TEST(Int8Fuzz, OnlyErrorsComeOut) {
  struct Seed {
    io::TensorFile file;
    json program;
  };
  std::vector<Seed> seeds;
  const auto add = [&](const quantized::Model& model) {
    Seed seed{io::parse_tensors(io::serialize_int8_model(model), "seed"), {}};
    seed.program = json::parse(seed.file.metadata.at(io::kInt8ProgramKey));
    seeds.push_back(seed);
  };
  add(midtread::test::small_model());
  for (const quantized::Model& whole :
       {midtread::test::every_operator(), midtread::test::every_float_operation()})
    for (std::size_t i = 0; i < whole.outputs().size(); ++i) add(midtread::test::part_of(whole, i));
  const Generator base(20240607);
  constexpr int kRounds = 30000;
  int read = 0;
  for (int round = 0; round < kRounds; ++round) {
    Generator random = base.fork(static_cast<std::uint64_t>(round));
    midtread::set_isa(round % 2 ? "auto" : "portable");
    const Seed& seed =
        seeds[below(random, 2) ? below(random, 4) : below(random, seeds.size())];  // the first four: int8
    const json& other = seeds[below(random, seeds.size())].program;
    io::TensorFile file = seed.file;
    json program = seed.program;
    for (std::size_t i = 0, changes = 1 + below(random, 3); i < changes; ++i) {
      if (below(random, 5) == 0)
        change_tensor(file, random);
      else if (program.is_object() && program.contains("steps"))
        change_program(program, other, random);
    }
    std::string text = program.dump();
    if (round % 16 == 0) text = mutated(text.substr(0, 4096), text, random);
    file.metadata.assign(io::kInt8ProgramKey, text);
    std::string bytes;
    try {
      bytes = io::serialize_tensors(file);
    } catch (const midtread::ConfigError&) {  // the change broke the text's UTF-8
      continue;
    }
    try {
      read += read_and_run(bytes);
    } catch (const std::exception& error) {
      FAIL() << "round " << round << ": " << error.what();
    }
  }
  midtread::set_isa("auto");
  std::printf("cases=%d (%d were read)\n", kRounds, read);
  EXPECT_GT(read, kRounds / 20) << "the damage is too great to say anything";
}

}  // namespace int8_fuzz_test
