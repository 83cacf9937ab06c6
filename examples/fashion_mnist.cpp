// SPDX-License-Identifier: MIT
// The whole way on Fashion-MNIST: train in float, calibrate, train quantization-aware, convert to int8, run,
// compare.

#include "support/data.hpp"
#include "support/models.hpp"
#include "support/program.hpp"
#include "support/training.hpp"

#include <midtread/io/int8_model.hpp>

#include <sys/resource.h>
#include <algorithm>
#include <cstdio>
#include <iostream>

namespace mt = midtread;
using examples::evaluate;
using examples::train;
using mt::Tensor;

namespace {

struct Options {
  std::string model = "cnn", data, engine = "auto", isa = "auto", save, json;
  std::int64_t epochs = 4, qat_epochs = 2, batch_size = 64, train_limit = 0, test_limit = 0;
  double lr = 0.05, qat_lr = 0.01;
  std::uint64_t seed = 0;
  int threads = 0;
  bool float_control = false;
};

void add_options(CLI::App& app, Options& o) {
  app.add_option("--model", o.model, "network")
      ->check(CLI::IsMember({"cnn", "resnet8", "mobilenet_v1"}))
      ->capture_default_str();
  app.add_option("--data", o.data, "directory of the four IDX files, or 'synthetic'");
  app.add_option("--engine", o.engine, "int8 engine: auto, fbgemm, qnnpack, reference")
      ->capture_default_str();
  app.add_option("--isa", o.isa, "instruction set the engine must use")->capture_default_str();
  app.add_option("--epochs", o.epochs, "float epochs")->check(CLI::Range(0, 10000))->capture_default_str();
  app.add_option("--qat-epochs", o.qat_epochs, "quantization-aware epochs")
      ->check(CLI::Range(0, 10000))
      ->capture_default_str();
  app.add_option("--batch-size", o.batch_size, "images per step")
      ->check(CLI::Range(2, 65536))
      ->capture_default_str();
  app.add_option("--lr", o.lr, "learning rate of the float epochs")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  app.add_option("--qat-lr", o.qat_lr, "learning rate of the QAT epochs")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  app.add_option("--seed", o.seed, "of weights and order")->capture_default_str();
  app.add_option("--threads", o.threads, "threads, 0: all processors")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--train-limit", o.train_limit, "first N training images, 0: all")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  app.add_option("--test-limit", o.test_limit, "first N test images, 0: all")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  app.add_flag("--float-control", o.float_control, "also train float for the QAT epochs");
  app.add_option("--save", o.save, "write the int8 model here");
  app.add_option("--json", o.json, "write the results here");
}

double peak_rss_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

std::int64_t parameter_bytes(const mt::nn::Module& model) {
  std::int64_t bytes = 0;
  for (const auto& item : model.state_dict())
    if (item.second.holds<float>()) bytes += item.second.bytes();
  return bytes;
}

nlohmann::ordered_json run(const Options& o) {
  if (o.threads > 0) mt::set_num_threads(o.threads);
  mt::set_engine(o.engine);
  mt::set_isa(o.isa);
  mt::manual_seed(o.seed);
  mt::kernels::select_kernels();  // an engine without this instruction set ends here, not after the training

  const examples::DataSets data = examples::load_data(o.data, o.train_limit, o.test_limit);
  const auto training = [&] { return examples::training_loader(data.train, o.batch_size, o.seed); };
  const auto test = [&] { return examples::test_loader(data.test); };
  std::printf("%s: %lld training and %lld test images, %d threads\n", o.model.c_str(),
              static_cast<long long>(data.train->size()), static_cast<long long>(data.test->size()),
              mt::num_threads());
  const std::shared_ptr<mt::nn::Module> model = examples::make_model(o.model);
  nlohmann::ordered_json r;

  const double float_step = train(*model, training(), {"float", o.epochs, o.lr, 100});
  model->eval();
  const examples::Evaluation float_result =
      evaluate([&](const Tensor& x) { return model->forward(x); }, test());
  r["float_accuracy"] = float_result.accuracy;
  r["float_control_accuracy"] = nullptr;

  const Tensor example = (*test().begin()).input;
  const auto mapping = mt::quant::QConfigMapping{}.set_global(mt::quant::get_default_qat_qconfig(o.engine));
  const mt::graph::GraphModule fused = mt::passes::fuse_modules(mt::graph::trace(model, example));

  // Calibrated only: what int8 gives without training.
  mt::graph::GraphModule calibrated = mt::passes::prepare_qat(fused, mapping);
  auto calibration = training();
  mt::passes::calibrate(calibrated, calibration, std::max<std::int64_t>(1, 1024 / o.batch_size));
  const mt::quantized::Model calibrated_int8 = mt::passes::convert(calibrated);
  r["ptq_int8_accuracy"] = evaluate(calibrated_int8, test()).accuracy;

  if (o.float_control) {
    mt::graph::GraphModule control = fused.clone();
    train(control, training(), {"float control", o.qat_epochs, o.qat_lr});
    control.eval();
    r["float_control_accuracy"] = evaluate(control, test()).accuracy;
  }

  // Quantization-aware; in the last epoch ranges and batch norm statistics stand still.
  mt::graph::GraphModule prepared = mt::passes::prepare_qat(fused, mapping);
  if (o.qat_epochs == 0)
    mt::passes::calibrate(prepared, calibration, std::max<std::int64_t>(1, 1024 / o.batch_size));
  examples::TrainingOptions qat{"QAT", o.qat_epochs, o.qat_lr};
  qat.on_epoch = [&](std::int64_t epoch) {
    if (epoch + 1 < o.qat_epochs || o.qat_epochs < 2) return;
    mt::quant::disable_observer(prepared);
    mt::qat::freeze_bn_stats(prepared);
  };
  const double qat_step = train(prepared, training(), qat);
  prepared.eval();
  r["qat_accuracy"] = evaluate(prepared, test()).accuracy;

  const mt::quantized::Model int8 = mt::passes::convert(prepared);
  const examples::Evaluation int8_result = evaluate(int8, test());
  r["int8_accuracy"] = int8_result.accuracy;
  const mt::passes::VerifyReport agreement = mt::passes::verify_convert_on(prepared, int8, test());
  r["mismatched_codes"] = agreement.mismatched_codes;
  r["compared_codes"] = agreement.compared_codes;
  r["mismatched_argmax"] = agreement.mismatched_argmax;

  // The training forward itself, with everything that moves standing still.
  mt::quant::disable_observer(prepared);
  mt::qat::freeze_bn_stats(prepared);
  prepared.train();
  mt::passes::ConvertVerifier training_forward(prepared, int8);
  for (const auto& batch : test()) training_forward.add({batch.input});
  r["train_forward_mismatched_codes"] = training_forward.report().mismatched_codes;

  r["float_bytes"] = parameter_bytes(*model);
  r["int8_bytes"] = int8.parameter_bytes();
  r["float_step_ms"] = float_step;
  r["qat_step_ms"] = qat_step;
  r["float_infer_ms"] = float_result.image_ms;
  r["int8_infer_ms"] = int8_result.image_ms;
  r["peak_rss_mb"] = peak_rss_mb();
  r["engine"] = int8.engine();
  r["isa"] = int8.isa();
  r["model"] = o.model;
  r["seed"] = o.seed;
  r["threads"] = mt::num_threads();

  if (!o.save.empty()) mt::io::save(int8, o.save);
  std::cout << '\n' << int8.summary(mt::Shape{1, 1, 28, 28}) << '\n';
  return r;
}

void print_table(const nlohmann::ordered_json& r) {
  const auto number = [&](const char* key) { return r[key].is_null() ? 0.0 : r[key].get<double>(); };
  const auto row = [](const char* what, const char* format, double value) {
    std::printf("%-34s ", what);
    std::printf(format, value);
    std::printf("\n");
  };
  row("float accuracy", "%8.2f %%", number("float_accuracy"));
  if (!r["float_control_accuracy"].is_null())
    row("float accuracy, trained on", "%8.2f %%", number("float_control_accuracy"));
  row("int8 accuracy, calibrated only", "%8.2f %%", number("ptq_int8_accuracy"));
  row("QAT accuracy", "%8.2f %%", number("qat_accuracy"));
  row("int8 accuracy", "%8.2f %%", number("int8_accuracy"));
  row("float parameters", "%8.1f KB", number("float_bytes") / 1024);
  row("int8 parameters", "%8.1f KB", number("int8_bytes") / 1024);
  row("float training step", "%8.2f ms", number("float_step_ms"));
  row("QAT training step", "%8.2f ms", number("qat_step_ms"));
  row("float inference, per image", "%8.4f ms", number("float_infer_ms"));
  row("int8 inference, per image", "%8.4f ms", number("int8_infer_ms"));
  row("peak memory", "%8.1f MB", number("peak_rss_mb"));
  std::printf("%-34s %s, %s\n", "engine, ISA", r["engine"].get<std::string>().c_str(),
              r["isa"].get<std::string>().c_str());
  std::printf("codes that differ between the prepared model in eval mode and the int8 model: %lld of %lld\n",
              r["mismatched_codes"].get<long long>(), r["compared_codes"].get<long long>());
  std::printf("predictions that differ: %lld; codes of the training forward that differ: %lld\n",
              r["mismatched_argmax"].get<long long>(), r["train_forward_mismatched_codes"].get<long long>());
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Trains a network on Fashion-MNIST, in float and quantization-aware, and runs it in int8.");
  add_options(app, options);
  return examples::run_program(app, argc, argv, options.json, [&] {
    const nlohmann::ordered_json results = run(options);
    print_table(results);
    return results;
  });
}
