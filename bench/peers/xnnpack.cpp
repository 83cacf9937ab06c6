// SPDX-License-Identifier: MIT
// XNNPACK: convolution with int8 activations and weights per channel; a matrix product is its 1x1
// convolution.
#include <memory>
#include <stdexcept>

#include "contest.hpp"

#ifdef MIDTREAD_PEER_XNNPACK
#include <xnnpack.h>

namespace peers {

namespace {

struct Job {
  std::vector<std::int8_t> x, y, w;  // w: weights, or the second operand
  std::vector<float> real;
  std::vector<std::uint8_t> codes;
  xnn_operator_t op = nullptr;
  ~Job() { xnn_delete_operator(op); }
};

void check(xnn_status status) {
  if (status != xnn_status_success)
    throw std::runtime_error("XNNPACK refuses: status " + std::to_string(status));
}

}  // namespace

std::vector<Contestant> xnnpack_contestants(const Problem& problem) {
  check(xnn_initialize(nullptr));
  const auto& s = problem.shape;
  auto job = std::make_shared<Job>();
  constexpr std::size_t kBeyond = 64;  // it reads past its operands
  job->x.resize(problem.x.size() + kBeyond);
  for (std::size_t i = 0; i < problem.x.size(); ++i) job->x[i] = static_cast<std::int8_t>(problem.x[i] - 128);
  job->y.resize(problem.y.size() + kBeyond);
  // [O, I, kH, kW] -> [O, kH, kW, I], and for one input channel per output channel [kH, kW, O].
  const bool depthwise = s.is_depthwise();
  const std::int64_t taps = s.taps(), inputs = s.in_group();
  job->w.resize(problem.w.size() + kBeyond);
  for (std::int64_t o = 0; o < s.out_channels; ++o)
    for (std::int64_t i = 0; i < inputs; ++i)
      for (std::int64_t t = 0; t < taps; ++t) {
        const std::int64_t to = depthwise ? t * s.out_channels + o : (o * taps + t) * inputs + i;
        job->w[static_cast<std::size_t>(to)] =
            problem.w[static_cast<std::size_t>((o * inputs + i) * taps + t)];
      }
  const auto size = [](std::int64_t value) { return static_cast<std::uint32_t>(value); };
  const auto count = [](std::int64_t value) { return static_cast<std::size_t>(value); };
  const bool linear = s.is_pointwise() && s.in_pixels() == 1;  // its rows stand for the height
  check(xnn_create_convolution2d_nhwc_qc8(
      size(s.pad_height), size(s.pad_width), size(s.pad_height), size(s.pad_width), size(s.kernel_height),
      size(s.kernel_width), size(s.stride_height), size(s.stride_width), 1, 1, size(s.groups),
      count(s.in_group()), count(s.out_group()), count(s.in_channels), count(s.out_channels), -128, 1.0f,
      problem.multiplier.data(), job->w.data(), problem.bias.data(), -128, 1.0f, -128, 127,
      depthwise ? XNN_FLAG_DEPTHWISE_CONVOLUTION : 0, &job->op));
  check(xnn_setup_convolution2d_nhwc_qc8(job->op, linear ? 1 : count(s.batch),
                                         linear ? count(s.batch) : count(s.in_height), count(s.in_width),
                                         job->x.data(), job->y.data(), nullptr));
  return {{"xnnpack", [job] { xnn_run_operator(job->op, nullptr); },
           [job] {
             job->codes.resize(job->y.size());
             for (std::size_t i = 0; i < job->y.size(); ++i)
               job->codes[i] = static_cast<std::uint8_t>(job->y[i] + 128);
             return static_cast<const std::uint8_t*>(job->codes.data());
           }}};
}

std::vector<Contestant> xnnpack_contestants(const Stream& stream) {
  check(xnn_initialize(nullptr));
  auto job = std::make_shared<Job>();
  constexpr std::size_t kBeyond = 64;  // it reads past its operands
  const auto codes = [](const std::vector<std::uint8_t>& from) {
    std::vector<std::int8_t> to(from.size() + kBeyond);
    for (std::size_t i = 0; i < from.size(); ++i) to[i] = static_cast<std::int8_t>(from[i] - 128);
    return to;
  };
  job->x = codes(stream.a);
  job->w = codes(stream.b);
  const auto count = static_cast<std::size_t>(stream.count),
             outputs = static_cast<std::size_t>(stream.outputs());
  job->real = stream.real;
  job->real.resize(count + kBeyond);
  job->y.resize(outputs + kBeyond);
  switch (stream.kind) {
    case Stream::kAdd:
      check(xnn_create_add_nd_qs8(-128, stream.a_scale, -128, stream.b_scale, -128, stream.scale, -128, 127,
                                  0, &job->op));
      check(xnn_setup_add_nd_qs8(job->op, 1, &count, 1, &count, job->x.data(), job->w.data(), job->y.data(),
                                 nullptr));
      break;
    case Stream::kAverage:
      check(xnn_create_global_average_pooling_nwc_qs8(outputs, outputs, outputs, -128, stream.a_scale, -128,
                                                      stream.a_scale, -128, 127, 0, &job->op));
      check(xnn_setup_global_average_pooling_nwc_qs8(job->op, 1, Stream::kWindow * Stream::kWindow,
                                                     job->x.data(), job->y.data(), nullptr));
      break;
    case Stream::kQuantize:
      check(xnn_create_convert_nc_f32_qs8(count, count, count, stream.scale, -128, -128, 127, 0, &job->op));
      check(xnn_setup_convert_nc_f32_qs8(job->op, 1, job->real.data(), job->y.data(), nullptr));
      break;
    case Stream::kDequantize:
      check(xnn_create_convert_nc_qs8_f32(count, count, count, stream.a_scale, -128, 0, &job->op));
      check(xnn_setup_convert_nc_qs8_f32(job->op, 1, job->x.data(), job->real.data(), nullptr));
      break;
  }
  const auto run = [job] { xnn_run_operator(job->op, nullptr); };
  if (stream.kind == Stream::kDequantize) return {{"xnnpack", run, nullptr}};
  return {{"xnnpack", run, [job] {
             job->codes.resize(job->y.size());
             for (std::size_t i = 0; i < job->y.size(); ++i)
               job->codes[i] = static_cast<std::uint8_t>(job->y[i] + 128);
             return static_cast<const std::uint8_t*>(job->codes.data());
           }}};
}

}  // namespace peers
#else
namespace peers {
std::vector<Contestant> xnnpack_contestants(const Problem&) { return {}; }
std::vector<Contestant> xnnpack_contestants(const Stream&) { return {}; }
}  // namespace peers
#endif
