// SPDX-License-Identifier: MIT
// Files of int8 models made by hand: the same outputs after a round trip, and every sort of damage is named.
#include <midtread/runtime.hpp>
#include <midtread/tensor/compare.hpp>

#include <gtest/gtest.h>

#include <cstdio>

#include "data/expect_error.hpp"
#include "io/int8_models.hpp"
#include "io/scratch_directory.hpp"

using namespace midtread::test;
using midtread::EngineError;
using midtread::FormatError;
using midtread::Generator;
using midtread::Shape;
using midtread::ShapeError;
using midtread::StateError;
using midtread::Tensor;
using midtread::Tensors;
namespace io = midtread::io;
namespace quantized = midtread::quantized;
using nlohmann::json;

namespace int8_file_test {

Tensors random_inputs(const quantized::Model& model, std::int64_t batch, std::uint64_t seed) {
  Generator g(seed);
  Tensors out;
  for (Shape shape : model.input_shapes()) {
    shape[0] = batch;
    out.push_back(midtread::randn(shape, g));
  }
  return out;
}

/// Returns how many outputs were compared.
int expect_same(const quantized::Model& a, const quantized::Model& b,
                const std::vector<std::int64_t>& batches) {
  int cases = 0;
  for (std::int64_t batch : batches) {
    const Tensors inputs = random_inputs(a, batch, 7 + static_cast<std::uint64_t>(batch));
    const Tensors expected = a(inputs), got = b(inputs);
    EXPECT_EQ(expected.size(), got.size());
    for (std::size_t i = 0; i < expected.size(); ++i, ++cases)
      EXPECT_TRUE(midtread::identical(expected[i], got[i])) << "output " << i;
  }
  return cases;
}

void expect_round_trip(const quantized::Model& model, const std::vector<std::int64_t>& batches) {
  const ScratchDirectory directory;
  io::save(model, directory / "model.safetensors");
  int cases = 0;
  for (const char* engine : {"reference", "fbgemm", "qnnpack"}) {
    midtread::set_engine(engine);
    const quantized::Model loaded = io::load_int8_model(directory / "model.safetensors");
    midtread::set_engine("auto");
    EXPECT_EQ(loaded.engine(), engine);
    EXPECT_EQ(loaded.parameter_bytes(), model.parameter_bytes());
    EXPECT_EQ(loaded.input_shapes(), model.input_shapes());
    EXPECT_EQ(io::serialize_int8_model(loaded), directory.get("model.safetensors"));
    cases += expect_same(model, loaded, batches);
  }
  std::printf("cases=%d\n", cases);
}

TEST(Int8File, KeepsEveryOperator) { expect_round_trip(every_operator(), {1, 2, 5}); }
TEST(Int8File, KeepsEveryFloatOperation) {
  const quantized::Model model = every_float_operation();
  expect_round_trip(model, {2});
  const Tensors outputs = model(random_inputs(model, 2, 1));
  const quantized::Forms forms = model.forms_for(model.input_shapes());
  for (std::size_t i = 0; i < outputs.size(); ++i)
    EXPECT_EQ(outputs[i].shape(), forms[static_cast<std::size_t>(model.outputs()[i])].shape)
        << model.steps()[static_cast<std::size_t>(model.outputs()[i]) - 1].name;
  std::printf("cases=%zu\n", outputs.size());
}
TEST(Int8File, KeepsASmallModel) { expect_round_trip(small_model(), {1, 3}); }

TEST(Int8File, BindsToTheFlags) {
  const std::string bytes = io::serialize_int8_model(small_model());
  const std::string best = midtread::available_isas(midtread::Engine::kFbgemm).front();
  EXPECT_EQ(io::parse_int8_model(bytes, "f").isa(), best);
  midtread::set_engine("reference");
  midtread::set_isa(best);
  if (best != "portable") {
    EXPECT_THROW(io::parse_int8_model(bytes, "f"), EngineError);
  }
  midtread::set_isa("portable");
  EXPECT_EQ(io::parse_int8_model(bytes, "f").isa(), "portable");
  midtread::set_isa("auto");
  midtread::set_engine("auto");
}

TEST(Int8File, EveryTruncationAndFlippedBitIsFound) {
  const std::string bytes = io::serialize_int8_model(small_model());
  int cases = 0;
  const auto refuse = [&](const std::string& damaged, std::size_t at) {
    ++cases;
    try {
      io::parse_int8_model(damaged, "f");
      ADD_FAILURE() << "byte " << at;
    } catch (const FormatError&) {
    }
  };
  for (std::size_t length = 0; length < bytes.size(); ++length) refuse(bytes.substr(0, length), length);
  for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
    std::string damaged = bytes;
    damaged[i / 8] = static_cast<char>(damaged[i / 8] ^ (1 << i % 8));
    refuse(damaged, i / 8);
  }
  std::printf("cases=%d\n", cases);
}

/// A file's program and tensors taken apart, changed, and put together with right checksums.
class Changed {
 public:
  explicit Changed(const quantized::Model& model = small_model())
      : file(io::parse_tensors(io::serialize_int8_model(model), "f")) {
    program = json::parse(file.metadata.at(io::kInt8ProgramKey));
  }
  json& step(const std::string& name) {
    for (json& step : program["steps"])
      if (step["name"] == name) return step;
    throw std::logic_error(name);
  }
  json& number(const std::string& name, const std::string& key, std::size_t i) {
    return step(name)["numbers"][key][i];
  }
  std::string bytes(const std::string& text = "") const {
    io::TensorFile out = file;
    out.metadata.assign(io::kInt8ProgramKey, text.empty() ? program.dump() : text);
    return io::serialize_tensors(out);
  }
  /// Must be refused with the file's name and these words.
  void refused(std::initializer_list<std::string> words, const std::string& text = "") const {
    expect_error<FormatError>([&] { io::parse_int8_model(bytes(text), "some.file"); }, words);
    expect_error<FormatError>([&] { io::parse_int8_model(bytes(text), "some.file"); }, {"some.file"});
  }

  io::TensorFile file;
  json program;
};

TEST(Int8File, OtherFilesAreNamed) {
  const ScratchDirectory directory;
  io::save_tensors(directory / "weights", {});
  expect_error<FormatError>([&] { io::load_int8_model(directory / "weights"); },
                            {"weights", "not an int8 model"});
  expect_error<midtread::IoError>([&] { io::load_int8_model(directory / "none"); }, {"none"});
  Changed newer;
  newer.file.metadata.assign(io::kInt8ModelKey, "2");
  newer.refused({"has version 2 of the format", "reads 1", "newer"});
  Changed without;
  without.file.metadata.erase(io::kInt8ProgramKey);
  expect_error<FormatError>([&] { io::parse_int8_model(io::serialize_tensors(without.file), "f"); },
                            {"its metadata has no midtread.program"});
}

TEST(Int8File, AProgramThatIsNotOneIsRefused) {
  const Changed c;
  const std::string text = c.program.dump();
  c.refused({"not JSON"}, text + "x");
  c.refused({"not JSON"}, R"({"inputs":[[1e999]],"outputs":[],"steps":[]})");
  c.refused({"not an object"}, "[]");
  c.refused({"misses 'steps'"}, R"({"inputs":[],"outputs":[]})");
  c.refused({"unknown key 'more'"}, R"({"inputs":[],"outputs":[],"steps":[],"more":1})");
  c.refused({"'steps' appears twice"}, R"({"inputs":[],"outputs":[],"steps":[],"steps":[]})");
  c.refused({"nested too deeply"}, std::string(100000, '[') + std::string(100000, ']'));
  c.refused({"'inputs' holds -1"}, R"({"inputs":[[-1]],"outputs":[],"steps":[]})");
  c.refused({"'inputs' holds 1.5"}, R"({"inputs":[[1.5]],"outputs":[],"steps":[]})");
  c.refused({"'inputs' holds 1152921504606846976"},
            R"({"inputs":[[1152921504606846976]],"outputs":[],"steps":[]})");
  c.refused({"'inputs' is not a list of at most 8"},
            R"({"inputs":[[1,1,1,1,1,1,1,1,1]],"outputs":[],"steps":[]})");
  Changed empty;
  empty.file.tensors = {};
  empty.refused({"needs an input"}, R"({"inputs":[],"outputs":[],"steps":[]})");
}

TEST(Int8File, StepsThatDoNotFitAreNamed) {
  const auto change = [](const auto& edit, std::initializer_list<std::string> words) {
    Changed c;
    edit(c);
    c.refused(words);
  };
  change([](Changed& c) { c.step("pool")["kind"] = "min_pool2d"; },
         {"step pool", "unknown operator 'min_pool2d'"});
  change([](Changed& c) { c.step("softmax")["kind"] = "float.softmix"; },
         {"step softmax", "unknown operation"});
  change([](Changed& c) { c.step("pool")["inputs"] = {99}; }, {"step pool", "reads value 99, allowed 0..3"});
  change([](Changed& c) { c.step("pool")["inputs"] = {4}; }, {"step pool", "reads value 4, allowed 0..3"});
  change([](Changed& c) { c.step("pool")["inputs"] = {0}; }, {"step pool", "input 0 must be an int8 tensor"});
  change([](Changed& c) { c.step("softmax")["inputs"] = {6}; },
         {"step softmax", "input 0 must be a real tensor"});
  change([](Changed& c) { c.step("pool")["inputs"] = {2, 2}; }, {"step pool", "has 2 inputs, needs 1"});
  change([](Changed& c) { c.step("add")["inputs"] = {2}; }, {"step add", "has 1 inputs, needs 2"});
  change([](Changed& c) { c.step("pool")["name"] = "conv"; }, {"step conv", "two steps have this name"});
  change([](Changed& c) { c.program["outputs"] = {7, 3}; }, {"output 3 is not dequantized"});
  change([](Changed& c) { c.program["outputs"] = {55}; }, {"output 55"});
  change([](Changed& c) { c.program["inputs"] = {{1, 3, 4, 4}}; }, {"step conv", "2 channels"});
  change([](Changed& c) { c.program["inputs"] = {{1, 2, 4}}; }, {"step conv", "rank 4"});
  change([](Changed& c) { c.program["inputs"] = {{1 << 20, 2, 1 << 20, 4}}; }, {"example input"});
  change(
      [](Changed& c) {
        c.step("conv")["tensors"] = {"weight", "bias", "multiplier"};
      },
      {"step conv", "misses the tensor 'weight_scale'"});
  change([](Changed& c) { c.step("pool")["tensors"] = {"weight"}; }, {"step pool", "no tensor 'weight'"});
  change([](Changed& c) { c.file.tensors.insert("extra", Tensor(Shape{1}).fill_(0)); },
         {"the tensor 'extra' belongs to no step"});
  change([](Changed& c) { c.file.tensors.assign("conv.bias", Tensor(Shape{2}).fill_(0)); },
         {"step conv", "'bias' holds float32, needs int32"});
  change([](Changed& c) { c.file.tensors.assign("conv.multiplier", Tensor(Shape{2}).fill_(NAN)); },
         {"step conv", "multiplier nan", "must be normal floats"});
  change([](Changed& c) { c.file.tensors.assign("conv.weight_scale", Tensor(Shape{2}).fill_(0)); },
         {"step conv", "scale 0"});
  change([](Changed& c) { c.step("conv")["numbers"].erase("stride"); }, {"step conv", "misses 'stride'"});
  change([](Changed& c) { c.number("conv", "stride", 0) = 0; },
         {"step conv", "'stride' is 0, allowed 1..4096"});
  change([](Changed& c) { c.number("conv", "stride", 0) = 1.5; }, {"step conv", "'stride' is 1.5"});
  change([](Changed& c) { c.number("conv", "stride", 0) = "1"; }, {"not a number"});
  change([](Changed& c) { c.step("conv")["numbers"]["stride"] = {1}; },
         {"step conv", "has 1 numbers, needs 2"});
  change([](Changed& c) { c.number("conv", "geometry", 2) = 3; }, {"step conv", "do not divide by groups 3"});
  change([](Changed& c) { c.number("conv", "output_padding", 0) = 1; },
         {"step conv", "only a transposed convolution"});
  change([](Changed& c) { c.number("head", "padding", 0) = 1; }, {"step head", "no window along axis 0"});
  change([](Changed& c) { c.number("conv", "input", 0) = 0.03; }, {"step conv", "quantized in another way"});
  change([](Changed& c) { c.number("conv", "input", 1) = 300; }, {"step conv", "'input' is 300"});
  change([](Changed& c) { c.number("conv", "input", 0) = 0; }, {"step conv", "scale 0"});
  change([](Changed& c) { c.number("conv", "clamp", 0) = 256; },
         {"step conv", "'clamp' is 256, allowed 0..255"});
  change(
      [](Changed& c) {
        c.step("conv")["numbers"]["clamp"] = {7, 6};
      },
      {"step conv", "'clamp' is decreasing"});
  change([](Changed& c) { c.number("pool", "kernel", 0) = 5; }, {"step pool"});
  change([](Changed& c) { c.number("pool", "padding", 0) = 1, c.number("pool", "dilation", 0) = 5; },
         {"step pool", "a window holds only padding"});
  change([](Changed& c) { c.number("pool", "dilation", 0) = 7; }, {"step pool"});
  change([](Changed& c) { c.step("softmax")["numbers"]["absent"] = {1}; }, {"step softmax", "'absent'"});
  change([](Changed& c) { c.step("softmax")["numbers"]["absent"] = {0, 0}; }, {"step softmax", "'absent'"});
  change([](Changed& c) { c.number("softmax", "dim", 0) = 2; },
         {"step softmax", "dimension 2 of a tensor of rank 2"});
}

TEST(Int8File, OperatorsOfEveryKindAreChecked) {
  const auto change = [](const auto& edit, std::initializer_list<std::string> words) {
    Changed c(every_operator());
    edit(c);
    c.refused(words);
  };
  const auto numbers = [&](const char* step, std::vector<int> values,
                           std::initializer_list<std::string> words) {
    change([&](Changed& c) { c.step(step)["numbers"]["numbers"] = values; }, words);
  };
  numbers("reshape", {0, -1, -1}, {"step reshape", "not a shape with at most one -1"});
  numbers("reshape", {1, 1, 1, 1, 1, 1, 1, 1, 1}, {"step reshape", "not a shape"});
  numbers("permute", {0, 1, 1, 3}, {"step permute", "not an order of dimensions"});
  numbers("permute", {1, 0}, {"step permute", "2 dimensions for shape"});
  numbers("slice", {1, 1, 2, 0}, {"step slice", "'numbers' is not a slice"});
  numbers("squeeze", {5}, {"step squeeze", "dimension 5 of a tensor of rank"});
  numbers("reshape", {7, 7, 7}, {"step reshape", "does not fit [7, 7, 7]"});
  numbers("flatten", {2, 1}, {"step flatten", "dimensions 2..1 of"});
  numbers("upsample", {1, 1}, {"step cat", "input 1 has shape", "the first"});
  change([](Changed& c) { c.number("transposed", "output_padding", 0) = 2; },
         {"step transposed", "must be smaller than the stride or the dilation"});
  change([](Changed& c) { c.number("constant", "output", 2) = 94; },
         {"step constant", "'codes' holds a code outside the range"});
  change([](Changed& c) { c.number("relu", "output", 3) = 254; },
         {"step relu", "table entry 255 is 255, outside the code range"});
  change(
      [](Changed& c) {
        c.file.tensors.assign("conv2d.bias", midtread::BasicTensor<std::int32_t>(Shape{3}).fill_(0));
      },
      {"step conv2d", "'bias' has shape [3], needs [8]"});
  change([](Changed& c) { c.number("average", "dilation", 0) = 2; }, {"step average", "has no such window"});
  change([](Changed& c) { c.number("gate", "stride", 0) = 2; }, {"step gate", "has no such window"});
}

TEST(Int8File, FloatOperationsAreChecked) {
  Generator g(8);
  // One operation on the input and a constant; then a file that gives the input another shape.
  const auto refused = [&](const auto& op, const Shape& shape, const Shape& constant, const Shape& other,
                           std::initializer_list<std::string> words) {
    ProgramBuilder p({shape});
    std::vector<int> inputs{0};
    std::vector<bool> absent{false};
    if (constant.rank() > 0) {
      inputs.push_back(
          p.add("constant",
                std::make_shared<quantized::Constant>(quantized::Value(midtread::randn(constant, g))), {}));
      const std::string name = op.kName;
      absent = {false, false};
      if (name != "matmul" && name != "cat") absent.push_back(true);  // no bias
    }
    Changed c(p.build({p.real("op", op, inputs, absent)}));
    c.program["inputs"] = {std::vector<std::int64_t>(other.begin(), other.end())};
    c.refused(words);
  };
  namespace ops = midtread::ops;
  refused(ops::Matmul{}, {2, 4, 6}, {6, 3}, {2, 4, 5},
          {"step op", "shapes [2, 4, 5] and [6, 3]", "[.., K, N]"});
  refused(ops::Linear{}, {2, 4, 6}, {5, 6}, {2, 4, 5}, {"step op", "input [2, 4, 5] and weight [5, 6]"});
  refused(ops::Cat{1}, {2, 4}, {2, 3}, {3, 4}, {"step op", "input 1 has shape [2, 3], the first [3, 4]"});
  refused(ops::Conv1d{}, {2, 4, 6}, {3, 4, 2}, {2, 4, 6, 6},
          {"step op", "got shape [2, 4, 6, 6], needs rank 3"});

  ProgramBuilder p({Shape{2, 3}});
  Changed c(p.build({p.real("sum", ops::Sum{{1}, false}, {0})}));
  c.step("sum")["numbers"]["dims"] = std::vector<int>(9, 0);
  c.refused({"step sum", "'dims' has 9 numbers, allowed 8"});
}

TEST(Int8File, AFloatOperationIsSavedBySaveOperator) {
  const quantized::FloatOperation op(midtread::ops::make_operation(midtread::ops::Relu{}), {false});
  expect_error<midtread::UnsupportedError>([&] { op.save(); },
                                           {"float.relu", "call quantized::save_operator"});
  EXPECT_EQ(quantized::save_operator(op).kind, "float.relu");
}

/// A user's operation.
struct Odd {
  static constexpr const char* kName = "odd";
  Tensor operator()(const Tensor& x) const { return x; }
};

TEST(Int8File, AUsersOperationHasNoName) {
  const quantized::FloatOperation op(midtread::ops::make_operation(Odd{}), {false});
  expect_error<midtread::UnsupportedError>([&] { quantized::save_operator(op); },
                                           {"odd", "has no name in files"});
}

TEST(Int8File, RecordsOfOtherProgramsAreChecked) {
  quantized::Record record;
  record.kind = "roll";
  record.numbers.insert("scale", {1.0, HUGE_VAL});
  expect_error<FormatError>([&] { quantized::Move::load(record, "step"); },
                            {"step", "unknown operator 'roll'"});
  expect_error<FormatError>([&] { quantized::RecordReader(record, "step").numbers("scale"); },
                            {"'scale' holds a number that is not finite"});
}

TEST(Int8File, WeightsHaveNoZeroPoint) {
  midtread::ChannelQParams qw;
  qw.scales = {0.1f};
  qw.zero_points = {0};
  qw.dtype = midtread::DType::kUInt8;
  const auto make = [&] {
    quantized::quantize_conv_weights(midtread::ones({1, 4}), {}, qw, uint8_qparams(1, 0), uint8_qparams(1, 0),
                                     "fc");
  };
  expect_error<midtread::QuantizationError>(make, {"fc", "the kernels take int8"});
  qw.dtype = midtread::DType::kInt8;
  qw.range = {-127, 127};
  EXPECT_NO_THROW(make());
  qw.zero_points = {3};
  expect_error<midtread::QuantizationError>(
      make, {"fc", "weight zero point 3 in channel 0", "use a symmetric spec"});
}

TEST(Int8File, NamesAreUtf8) {
  ProgramBuilder p({Shape{1, 4}});
  const int v = p.add("q\xff", std::make_shared<quantized::Quantize>("q", uint8_qparams(1, 0)), {0});
  const quantized::Model model = p.build({p.add("d", std::make_shared<quantized::Dequantize>(), {v})});
  expect_error<midtread::ConfigError>([&] { io::serialize_int8_model(model); },
                                      {"int8 model", "name is not UTF-8"});
}

TEST(Int8File, AnAccumulatorThatCouldOverflowIsRefused) {
  Changed c;
  c.file.tensors.assign("conv.bias", midtread::BasicTensor<std::int32_t>(Shape{2}).fill_(INT32_MAX));
  c.refused({"step conv", "could overflow"});
}

/// A file of a hundred bytes that asks for terabytes or years.
TEST(Int8File, WhatARunMayCostIsLimited) {
  using quantized::MoveKind;
  ProgramBuilder large({Shape{1, 1, 2, 2}});
  int v = large.add("q", std::make_shared<quantized::Quantize>("q", uint8_qparams(1, 0)), {0});
  v = large.move("up", MoveKind::kUpsample, {2, 2}, v);
  const quantized::Model model =
      large.build({large.add("d", std::make_shared<quantized::Dequantize>(), {v})});
  Changed c(model);
  c.number("up", "numbers", 0) = 65536, c.number("up", "numbers", 1) = 65536;
  c.refused({"step up", "1.71799e+10 values"});
  // On the example it is small; on the input that is given it is not.
  const quantized::Model held =
      io::parse_int8_model(io::serialize_int8_model(model), "f", {100, 1, HUGE_VAL, 0});
  expect_error<ShapeError>(
      [&] {
        held(midtread::zeros({1, 1, 16, 16}));
      },
      {"up", "give larger RunLimits if you trust the model"});

  ProgramBuilder slow({Shape{1, 1, 8, 8}});
  quantized::PoolGeometry window;
  window.kernel = {4096, 4096};
  window.padding = {2048, 2048};
  v = slow.add("q", std::make_shared<quantized::Quantize>("q", uint8_qparams(1, 0)), {0});
  v = slow.move("up", MoveKind::kUpsample, {512, 512}, v);
  v = slow.add("pool", std::make_shared<quantized::Pool>(window), {v});
  const std::string bytes =
      io::serialize_int8_model(slow.build({slow.add("d", std::make_shared<quantized::Dequantize>(), {v})}));
  expect_error<FormatError>([&] { io::parse_int8_model(bytes, "f"); }, {"step pool", "operations"});
}

TEST(Int8File, AModelThatDoesNotFitIsNotMade) {
  ProgramBuilder p({Shape{1, 4}});
  const int v = p.add("q", std::make_shared<quantized::Quantize>("q", uint8_qparams(1, 0)), {0});
  expect_error<StateError>([&] { p.build({v}); }, {"not dequantized"});
  p.add("q", std::make_shared<quantized::Dequantize>(), {v});
  expect_error<StateError>([&] { p.build({2}); }, {"q", "two steps"});
  expect_error<StateError>([&] { quantized::Model({}, {}, {0}); }, {"needs an input"});
  ProgramBuilder deep({Shape{1, 1, 1, 1, 2}});
  int w = deep.add("q", std::make_shared<quantized::Quantize>("q", uint8_qparams(1, 0)), {0});
  w = deep.add("sum",
               std::make_shared<quantized::Binary>(quantized::BinaryOp::kAdd, uint8_qparams(1, 0),
                                                   midtread::CodeRange{0, 255}),
               {w, w});
  w = deep.add("d", std::make_shared<quantized::Dequantize>(), {w});
  expect_error<ShapeError>([&] { deep.build({w}); }, {"sum", "at most four dimensions, got [1, 1, 1, 1, 2]"});
}

}  // namespace int8_file_test
