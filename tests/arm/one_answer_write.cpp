// SPDX-License-Identifier: MIT
// one_answer_write DIRECTORY: trains a little and converts many networks; saves each int8 model with inputs
// and outputs.
#include <midtread/io/int8_model.hpp>
#include <midtread/io/state_dict.hpp>
#include <midtread/midtread.hpp>

#include <cstdio>
#include <string>

#include "../../examples/support/models.hpp"
#include "support/networks.hpp"

namespace mt = midtread;
using namespace midtread::test;

namespace {

void write(const Network& network, const std::string& directory) {
  Trained t = trained(network, default_mapping(), 2);
  t.prepared.eval();
  const mt::quantized::Model int8 = mt::passes::convert(t.prepared);
  const mt::Tensors inputs = random_inputs(network, 5, 3), outputs = int8(inputs);
  mt::nn::StateDict tensors;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    tensors.insert("input_" + std::to_string(i), mt::AnyTensor(inputs[i]));
  for (std::size_t i = 0; i < outputs.size(); ++i)
    tensors.insert("output_" + std::to_string(i), mt::AnyTensor(outputs[i]));
  mt::io::save(int8, directory + "/" + network.name + ".int8");
  mt::io::save(tensors, directory + "/" + network.name + ".tensors");
  std::printf("%s %s\n", network.name.c_str(), int8.float_islands().empty() ? "int8" : "float");
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) return 2;
  for (const char* name : {"cnn", "resnet8", "mobilenet_v1"})
    write({std::string("examples_") + name,
           [name] { return examples::make_model(name); },
           {mt::Shape{1, 28, 28}}},
          argv[1]);
  for (const Network& network : all_networks()) write(network, argv[1]);
} catch (const mt::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 1;
}
