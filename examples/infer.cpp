// SPDX-License-Identifier: MIT
// Runs a saved int8 model on test images: infer FILE [--data DIR|synthetic] [--engine E] [--isa I]
// What a deployed program includes: no module, no optimizer, no pass.
#include <midtread/data/data_loader.hpp>
#include <midtread/data/mnist.hpp>
#include <midtread/data/synthetic.hpp>
#include <midtread/io/int8_model.hpp>
#include <midtread/runtime.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>

namespace mt = midtread;

namespace {

constexpr const char* kUsage = "infer FILE [--data DIR|synthetic] [--engine auto|fbgemm|qnnpack|reference] [--isa NAME]";
constexpr const char* kDebianData = "/usr/share/datasets/fashion-mnist";

mt::data::TensorDataset test_images(std::string directory, const mt::Shape& input) {
  if (directory.empty() && std::filesystem::exists(kDebianData)) directory = kDebianData;
  if (!directory.empty() && directory != "synthetic") return mt::data::load_mnist(directory, false);
  std::printf("Using synthetic images.\n");
  mt::data::SyntheticOptions options;
  options.channels = input[1], options.height = input[2], options.width = input[3];
  return mt::data::synthetic_images(4000, 2, options);
}

void run(const std::string& file, std::map<std::string, std::string>& options) {
  mt::set_engine(options["--engine"].empty() ? "auto" : options["--engine"]);
  mt::set_isa(options["--isa"].empty() ? "auto" : options["--isa"]);
  const mt::quantized::Model model = mt::io::load_int8_model(file);
  const mt::Shape& input = model.input_shapes()[0];
  if (model.input_count() != 1 || input.rank() != 4)
    throw mt::UnsupportedError(file, mt::concat("takes ", model.input_count(), " inputs, the first ", input, "; infer feeds one image [N, C, H, W]"));

  // Normalised as the example fashion_mnist trains.
  mt::data::DataLoader loader(test_images(options["--data"], input),
                              mt::data::DataLoaderOptions(250).transform(mt::data::normalize({0.2860f}, {0.3530f})));
  mt::quantized::Workspace workspace;  // after the first batch nothing is allocated
  std::int64_t images = 0, hits = 0;
  double seconds = 0;
  for (const mt::data::Batch& batch : loader) {
    const auto start = std::chrono::steady_clock::now();
    const mt::Tensor& scores = model.run(batch.input, workspace);
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const std::int64_t classes = scores.numel() / batch.size();
    for (std::int64_t i = 0; i < batch.size(); ++i, ++images) {
      const float* row = scores.data() + i * classes;
      hits += std::max_element(row, row + classes) - row == batch.target.data()[i];
    }
  }
  std::printf("accuracy %.2f %% of %lld images, %.4f ms per image, engine %s, ISA %s\n",
              100.0 * static_cast<double>(hits) / static_cast<double>(images), static_cast<long long>(images),
              1000.0 * seconds / static_cast<double>(images), model.engine().c_str(), model.isa().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> options{{"--data", ""}, {"--engine", ""}, {"--isa", ""}};
  try {
    if (argc == 2 && std::string(argv[1]) == "--help") return std::puts(kUsage), 0;
    if (argc < 2 || argc % 2 != 0) throw mt::ConfigError("infer", std::string("usage: ") + kUsage);
    for (int i = 2; i < argc; i += 2) {
      if (!options.count(argv[i])) throw mt::ConfigError(mt::printable(argv[i]), std::string("unknown option; usage: ") + kUsage);
      options[argv[i]] = argv[i + 1];
    }
    run(argv[1], options);
    return 0;
  } catch (const mt::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return mt::exit_status(error);
  }
}
