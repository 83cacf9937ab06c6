// SPDX-License-Identifier: MIT
// Quantization without training, in two programs, as Vitis AI does it:
//
//   calibrate calib STATE [INT8]     trains a small float network, observes ranges, saves weights and ranges
//   calibrate convert STATE INT8     builds the same network, loads them, writes the int8 model
//
// Whichever program converts, the file is the same byte for byte.
#include <midtread/data/data_loader.hpp>
#include <midtread/data/synthetic.hpp>
#include <midtread/io/int8_model.hpp>
#include <midtread/io/state_dict.hpp>
#include <midtread/midtread.hpp>
#include <midtread/passes/calibration_report.hpp>
#include <midtread/quant/entropy_observer.hpp>

#include <cstdio>
#include <iostream>
#include <string>

namespace mt = midtread;
namespace nn = midtread::nn;
namespace quant = midtread::quant;

namespace {

/// The network and its quantizers: all that both programs must agree on.
struct Program {
  nn::Sequential model{nn::Conv2d(nn::Conv2dOptions(1, 8, 3).stride(2).padding(1)),
                       nn::BatchNorm2d(8),
                       nn::ReLU(),
                       nn::Conv2d(nn::Conv2dOptions(8, 16, 3).stride(2).padding(1)),
                       nn::BatchNorm2d(16),
                       nn::ReLU(),
                       nn::Flatten(),
                       nn::Linear(16 * 7 * 7, 10)};

  mt::graph::GraphModule prepared() const {
    using Activation = quant::FakeQuantize<quant::EntropyObserver<quant::UInt8Affine>>;
    using Weight = quant::FakeQuantize<quant::MinMaxObserver<quant::Int8PerChannel>>;
    return mt::passes::prepare_qat(model, mt::zeros({2, 1, 28, 28}),
                                   quant::QConfigMapping{}.set_global(quant::QConfig<Activation, Weight>{}));
  }
};

void train(nn::Module& model, mt::data::DataLoader& data) {
  mt::optim::Adam optimizer(model.parameters(), 2e-3);
  model.train();
  for (const auto& batch : data) {
    optimizer.zero_grad();
    mt::cross_entropy(model.forward(batch.input), batch.target).backward();
    optimizer.step();
  }
  model.eval();
}

void calibrate_step(const std::string& state, const std::string& int8) {
  mt::manual_seed(1);
  mt::data::DataLoader data(mt::data::synthetic_images(1000, 1), mt::data::DataLoaderOptions(50));
  const Program program;
  train(*program.model, data);
  mt::graph::GraphModule prepared = program.prepared();
  mt::passes::calibrate(prepared, data, 8);
  std::cout << mt::passes::calibration_report(prepared, data, 2);
  mt::io::save(prepared, state);
  if (!int8.empty()) mt::io::save(mt::passes::convert(prepared), int8);
}

void convert_step(const std::string& state, const std::string& int8) {
  mt::graph::GraphModule prepared = Program().prepared();
  mt::io::load(prepared, state);
  mt::io::save(mt::passes::convert(prepared), int8);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string step = argc > 1 ? argv[1] : "", state = argc > 2 ? argv[2] : "",
                    int8 = argc > 3 ? argv[3] : "";
  try {
    if (step == "calib" && (argc == 3 || argc == 4)) return calibrate_step(state, int8), 0;
    if (step == "convert" && argc == 4) return convert_step(state, int8), 0;
  } catch (const mt::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return mt::exit_status(error);
  }
  std::fprintf(stderr, "error: usage: calibrate calib STATE [INT8] | calibrate convert STATE INT8\n");
  return 2;
}
