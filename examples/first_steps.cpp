// SPDX-License-Identifier: MIT
// The whole way in one page: a float network, quantization-aware training, int8, and the comparison of the two.
#include <midtread/data/data_loader.hpp>
#include <midtread/data/synthetic.hpp>
#include <midtread/io/int8_model.hpp>
#include <midtread/midtread.hpp>

#include <cstdio>

namespace mt = midtread;
namespace nn = midtread::nn;

namespace {

void train(nn::Module& model, mt::data::DataLoader& data, int epochs) {
  mt::optim::Adam optimizer(model.parameters(), 2e-3);
  model.train();
  for (int epoch = 0; epoch < epochs; ++epoch)
    for (const auto& batch : data) {
      optimizer.zero_grad();
      mt::cross_entropy(model.forward(batch.input), batch.target).backward();
      optimizer.step();
    }
}

/// Percent of right answers. `model` is anything that maps a tensor to scores.
template <class Model>
double accuracy(Model&& model, mt::data::DataLoader& data) {
  const mt::NoGradGuard no_grad;
  double hits = 0, images = 0;
  for (const auto& batch : data) {
    const auto answers = mt::argmax(model(batch.input), 1);
    for (std::int64_t i = 0; i < batch.size(); ++i, ++images) hits += answers.at({i}) == batch.target.at({i});
  }
  return 100.0 * hits / images;
}

}  // namespace

int main(int argc, char** argv) {
  mt::manual_seed(1);
  mt::data::DataLoader training(mt::data::synthetic_images(1000, 1), mt::data::DataLoaderOptions(50).shuffle(true));
  mt::data::DataLoader test(mt::data::synthetic_images(500, 2), mt::data::DataLoaderOptions(100));

  // 1. A float network, trained as usual.
  nn::Sequential model(nn::Conv2d(nn::Conv2dOptions(1, 8, 3).stride(2).padding(1)), nn::BatchNorm2d(8), nn::ReLU(),
                       nn::Conv2d(nn::Conv2dOptions(8, 16, 3).stride(2).padding(1)), nn::BatchNorm2d(16), nn::ReLU(),
                       nn::Flatten(), nn::Linear(16 * 7 * 7, 10));
  train(*model, training, 2);
  model->eval();
  const double in_float = accuracy(model, test);

  // 2. Say how to quantize, and prepare: convolution + batch norm + ReLU become one unit each.
  model->qconfig = mt::quant::get_default_qat_qconfig();
  mt::graph::GraphModule prepared = mt::passes::prepare_qat(model, (*test.begin()).input);
  std::printf("%s\n", mt::graph::to_text(prepared).c_str());

  // 3. Train on: the same loop, on the arithmetic that will be deployed.
  train(prepared, training, 1);
  prepared.eval();

  // 4. Convert, and compare: every code of every layer must be the same.
  const mt::quantized::Model int8 = mt::passes::convert(prepared);
  const mt::passes::VerifyReport report = mt::passes::verify_convert_on(prepared, int8, test);
  std::printf("accuracy: float %.1f %%, prepared %.1f %%, int8 %.1f %%\n", in_float, accuracy(prepared, test), accuracy(int8, test));
  std::printf("codes that differ: %lld of %lld\n", static_cast<long long>(report.mismatched_codes), static_cast<long long>(report.compared_codes));

  // 5. Keep it: first_steps FILE. A program that only runs it (infer.cpp) includes io/int8_model.hpp and nothing of the above.
  const std::string file = argc > 1 ? argv[1] : "first_steps.safetensors";
  mt::io::save(int8, file);
  const double again = accuracy(mt::io::load_int8_model(file), test);
  if (argc < 2) std::remove(file.c_str());
  return report.ok() && report.compared_codes > 0 && accuracy(int8, test) > 90.0 && again == accuracy(int8, test) ? 0 : 1;
}
