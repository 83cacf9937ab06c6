// SPDX-License-Identifier: MIT
// Below 8 bits on Fashion-MNIST: one float model, then quantization-aware training at every bit width asked
// for, each from the weights of the one before.

#include "support/bit_widths.hpp"
#include "support/data.hpp"
#include "support/models.hpp"
#include "support/program.hpp"
#include "support/training.hpp"

#include <midtread/io/state_dict.hpp>
#include <midtread/passes/adaround.hpp>
#include <midtread/quant/schedule.hpp>

#include <cstdio>
#include <iostream>

#include <sys/stat.h>

namespace mt = midtread;
using Json = nlohmann::ordered_json;

namespace {

struct Options {
  std::string model = "resnet8", method = "lsq", data, json, float_model;
  std::vector<std::string> bits{"W8A8", "W4A8", "W4A4", "W3A3", "W2A2"};
  std::vector<std::uint64_t> seeds{0};
  std::int64_t epochs = 4, qat_epochs = 2, batch_size = 64, train_limit = 0, test_limit = 0, verify_limit = 0;
  double lr = 0.05, qat_lr = 0.04;
  int threads = 0;
  bool all_layers = false, from_float = false;
};

void add_options(CLI::App& app, Options& o) {
  const auto number = [&](const char* name, auto& to, double low, double high, const char* what) {
    app.add_option(name, to, what)->check(CLI::Range(low, high))->capture_default_str();
  };
  app.add_option("--model", o.model, "network: cnn, resnet8, mobilenet_v1")->capture_default_str();
  app.add_option("--method", o.method,
                 "fake_quant, lsq, lsq_plus, pact, tqt, dorefa; without training: adaround")
      ->capture_default_str();
  app.add_option("--bits", o.bits, "bits of weights and activations, in the order of training")
      ->delimiter(',')
      ->capture_default_str();
  app.add_flag("--all-layers", o.all_layers, "first and last layer too, which else have 8 bits");
  app.add_flag(
      "--from-float", o.from_float,
      "every bit width starts from the float weights, not from the trained ones of the width before");
  app.add_option("--data", o.data, "directory of the four IDX files, or 'synthetic'");
  app.add_option("--seeds", o.seeds, "of weights and order, each a run of its own")
      ->delimiter(',')
      ->capture_default_str();
  number("--epochs", o.epochs, 0, 10000, "float epochs");
  number("--qat-epochs", o.qat_epochs, 0, 10000,
         "quantization-aware epochs per bit width; 0: calibrated only");
  number("--batch-size", o.batch_size, 2, 65536, "images per step");
  number("--lr", o.lr, 0, 100, "learning rate of the float epochs");
  number("--qat-lr", o.qat_lr, 0, 100, "learning rate of the QAT epochs");
  number("--threads", o.threads, 0, 1024, "threads, 0: all processors");
  number("--train-limit", o.train_limit, 0, 1 << 30, "first N training images, 0: all");
  number("--test-limit", o.test_limit, 0, 1 << 30, "first N test images, 0: all");
  number("--verify-limit", o.verify_limit, 0, 1 << 30,
         "codes are compared on the first N test images, 0: all");
  app.add_option("--float-model", o.float_model,
                 "float weights to start from; trained and written where there is no such file");
  app.add_option("--json", o.json, "write the results here");
}

class LowBit {
 public:
  explicit LowBit(const Options& o)
      : o_(o),
        method_(examples::find_method(o.method)),
        data_(examples::load_data(o.data, o.train_limit, o.test_limit)) {
    for (const std::string& text : o.bits) bits_.push_back(examples::parse_bit_widths(text));
    if (!o.float_model.empty() && o.seeds.size() != 1)
      throw mt::ConfigError("--float-model", mt::concat("holds one model, got ", o.seeds.size(), " seeds"));
    if (o.threads > 0) mt::set_num_threads(o.threads);
    std::printf("%s, %s: %lld training and %lld test images, %d threads\n", o.model.c_str(), method_.name,
                static_cast<long long>(data_.train->size()), static_cast<long long>(data_.test->size()),
                mt::num_threads());
  }

  Json run() {
    Json out{{"model", o_.model},           {"method", method_.name}, {"all_layers", o_.all_layers},
             {"from_float", o_.from_float}, {"runs", Json::array()},  {"mean", Json::array()}};
    for (const std::uint64_t seed : o_.seeds) run_seed(seed, out["runs"]);
    std::printf("\n%-6s %6s %10s %10s %18s\n", "bits", "seed", "float", "int8", "mismatched codes");
    double float_sum = 0;
    for (std::size_t b = 0; b < bits_.size(); ++b) {
      double sum = 0;
      float_sum = 0;
      for (std::size_t s = 0; s < o_.seeds.size(); ++s) {
        const Json& r = out["runs"][s * bits_.size() + b];
        sum += r["int8_accuracy"].get<double>();
        float_sum += r["float_accuracy"].get<double>();
        std::printf("%-6s %6llu %8.2f %% %8.2f %% %8lld of %s\n", bits_[b].str().c_str(),
                    r["seed"].get<unsigned long long>(), r["float_accuracy"].get<double>(),
                    r["int8_accuracy"].get<double>(), r["mismatched_codes"].get<long long>(),
                    r["compared_codes"].dump().c_str());
      }
      const auto n = static_cast<double>(o_.seeds.size());
      out["mean"].push_back(
          {{"bits", bits_[b].str()}, {"float_accuracy", float_sum / n}, {"int8_accuracy", sum / n}});
      if (o_.seeds.size() > 1)
        std::printf("%-6s %6s %8.2f %% %8.2f %%\n", bits_[b].str().c_str(), "mean", float_sum / n, sum / n);
    }
    return out;
  }

 private:
  mt::data::DataLoader training(std::uint64_t seed) const {
    return examples::training_loader(data_.train, o_.batch_size, seed);
  }
  mt::data::DataLoader test() const { return examples::test_loader(data_.test); }

  void train_float(const std::shared_ptr<mt::nn::Module>& model, std::uint64_t seed) const {
    struct stat status;
    if (!o_.float_model.empty() && ::stat(o_.float_model.c_str(), &status) == 0) {
      mt::io::load(*model, o_.float_model);
      return;
    }
    examples::train(*model, training(seed), {mt::concat("seed ", seed, ", float"), o_.epochs, o_.lr, 100});
    if (!o_.float_model.empty()) mt::io::save(*model, o_.float_model);
  }

  void run_seed(std::uint64_t seed, Json& runs) const {
    mt::manual_seed(seed);
    const std::shared_ptr<mt::nn::Module> model = examples::make_model(o_.model);
    train_float(model, seed);
    model->eval();
    const double float_accuracy =
        examples::evaluate([&](const mt::Tensor& x) { return model->forward(x); }, test()).accuracy;
    std::printf("seed %llu, float: %.2f %%\n", static_cast<unsigned long long>(seed), float_accuracy);
    const mt::Tensor example = (*test().begin()).input;
    mt::graph::GraphModule start =
        mt::passes::fuse_modules(mt::graph::trace(examples::Stubbed(model), example));
    for (const examples::BitWidths bits : bits_) {
      Json r{{"bits", bits.str()}, {"seed", seed}, {"float_accuracy", float_accuracy}};
      mt::graph::GraphModule prepared = quantized(start, bits, seed);
      r.update(results(prepared));
      if (!o_.from_float && o_.method != examples::kAdaRound) adopt_weights(prepared, start);
      std::printf("seed %llu, %s: int8 %.2f %%, prepared %.2f %%, %lld of %lld codes differ\n",
                  static_cast<unsigned long long>(seed), bits.str().c_str(), r["int8_accuracy"].get<double>(),
                  r["qat_accuracy"].get<double>(), r["mismatched_codes"].get<long long>(),
                  r["compared_codes"].get<long long>());
      std::fflush(stdout);
      runs.push_back(std::move(r));
    }
  }

  /// The network of `start` at `bits`, trained. Calibration on 1024 images gives the first scales.
  mt::graph::GraphModule quantized(const mt::graph::GraphModule& start, examples::BitWidths bits,
                                   std::uint64_t seed) const {
    const auto mapping = examples::BitWidthPlan(start, bits, o_.all_layers).mapping(method_);
    mt::graph::GraphModule prepared = mt::passes::prepare_qat(start.clone(), mapping);
    mt::passes::calibrate(prepared, training(seed), std::max<std::int64_t>(1, 1024 / o_.batch_size));
    if (o_.method != examples::kAdaRound) {
      train(prepared, bits, seed);
    } else {
      const auto images = std::min<std::int64_t>(1024, data_.train->size());
      const mt::Tensor batch = (*examples::training_loader(data_.train, images, seed).begin()).input;
      mt::passes::AdaRoundReport report;
      prepared = mt::passes::adaround(prepared, batch, {}, &report);
      for (const mt::passes::AdaRoundLayer& layer : report) std::cout << "  " << layer << '\n';
    }
    prepared.eval();
    return prepared;
  }

  /// Weights and batch norms have the same names in both; the quantizers' state stays behind.
  static void adopt_weights(const mt::graph::GraphModule& from, mt::graph::GraphModule& to) {
    const mt::nn::StateDict trained = from.state_dict();
    mt::nn::StateDict weights;
    for (const auto& item : to.state_dict()) weights.assign(item.first, trained.at(item.first));
    to.load_state_dict(weights);
  }

  /// In the last epoch ranges stand still; batch norm statistics move to the end, for below 8 bits standing
  /// still costs accuracy.
  void train(mt::graph::GraphModule& prepared, examples::BitWidths bits, std::uint64_t seed) const {
    mt::quant::for_each_fake_quantizer(prepared, [&](mt::quant::FakeQuantizeBase& f) {
      if (auto* lsq = dynamic_cast<mt::quant::LsqBase*>(&f); lsq && o_.method == "lsq")
        lsq->offset().requires_grad_(false);
    });
    mt::quant::QatSchedule schedule;
    const int last = static_cast<int>(o_.qat_epochs) - 1;
    if (last > 0) schedule.disable_observers_after(last - 1);
    // LSQ's choice: half as much for every bit below four.
    const double decay = bits.weight >= 4 ? 1e-4 : bits.weight == 3 ? 5e-5 : 2.5e-5;
    examples::TrainingOptions options{mt::concat("seed ", seed, ", ", bits.str()), o_.qat_epochs, o_.qat_lr,
                                      100, decay};
    options.on_epoch = [&](std::int64_t epoch) { schedule.step(static_cast<int>(epoch), prepared); };
    examples::train(prepared, training(seed), options);
  }

  Json results(mt::graph::GraphModule& prepared) const {
    const mt::quantized::Model int8 = mt::passes::convert(prepared);
    const auto verified = o_.verify_limit > 0 && o_.verify_limit < data_.test->size()
                              ? data_.test->first(o_.verify_limit)
                              : *data_.test;
    const auto agreement = mt::passes::verify_convert_on(
        prepared, int8, examples::test_loader(std::make_shared<const mt::data::TensorDataset>(verified)));
    return {{"qat_accuracy", examples::evaluate(prepared, test()).accuracy},
            {"int8_accuracy", examples::evaluate(int8, test()).accuracy},
            {"mismatched_codes", agreement.mismatched_codes},
            {"compared_codes", agreement.compared_codes},
            {"mismatched_argmax", agreement.mismatched_argmax}};
  }

  const Options& o_;
  const examples::Method& method_;
  examples::DataSets data_;
  std::vector<examples::BitWidths> bits_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Quantization-aware training below 8 bits: accuracy of the int8 models, and the codes in which they "
      "differ.");
  add_options(app, options);
  return examples::run_program(app, argc, argv, options.json, [&] { return LowBit(options).run(); });
}
