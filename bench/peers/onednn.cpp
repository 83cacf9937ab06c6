// SPDX-License-Identifier: MIT
// oneDNN: inner product and convolution, weights in the layout it asks for.
#include <memory>
#include <unordered_map>

#include "contest.hpp"

#ifdef MIDTREAD_PEER_ONEDNN
#include <dnnl.hpp>

namespace peers {

namespace {

using dnnl::memory;
using Tag = memory::format_tag;
using Type = memory::data_type;

struct Job {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  dnnl::primitive primitive;
  std::unordered_map<int, memory> arguments;

  memory filled(const memory::desc& desc, const void* from) {
    memory m(desc, engine);
    std::memcpy(m.get_data_handle(), from, desc.get_size());
    return m;
  }
  memory reordered(memory from, const memory::desc& desc) {
    memory to(desc, engine);
    dnnl::reorder(from, to).execute(stream, from, to);
    stream.wait();
    return to;
  }
};

}  // namespace

std::vector<Contestant> onednn_contestants(const Problem& problem) {
  const auto& s = problem.shape;
  auto job = std::make_shared<Job>();
  dnnl::primitive_attr scales;
  scales.set_output_scales(2, problem.multiplier);
  const memory::desc bias({s.out_channels}, Type::s32, Tag::a);
  if (s.is_pointwise() && s.in_pixels() == 1) {
    const memory::desc x({s.batch, s.in_channels}, Type::u8, Tag::ab),
        y({s.batch, s.out_channels}, Type::u8, Tag::ab);
    const memory::desc w({s.out_channels, s.in_channels}, Type::s8, Tag::any);
    const dnnl::inner_product_forward::primitive_desc plan(
        {dnnl::prop_kind::forward_inference, x, w, bias, y}, scales, job->engine);
    job->primitive = dnnl::inner_product_forward(plan);
    const memory plain = job->filled({{s.out_channels, s.in_channels}, Type::s8, Tag::ab}, problem.w.data());
    job->arguments = {{DNNL_ARG_SRC, job->filled(x, problem.x.data())},
                      {DNNL_ARG_WEIGHTS, job->reordered(plain, plan.weights_desc())},
                      {DNNL_ARG_BIAS, job->filled(bias, problem.bias.data())},
                      {DNNL_ARG_DST, memory(y, job->engine)}};
  } else {
    const memory::desc x({s.batch, s.in_channels, s.in_height, s.in_width}, Type::u8, Tag::nhwc);
    const memory::desc y({s.batch, s.out_channels, s.out_height, s.out_width}, Type::u8, Tag::nhwc);
    const memory::dims sizes =
        s.groups > 1 ? memory::dims{s.groups, s.out_group(), s.in_group(), s.kernel_height, s.kernel_width}
                     : memory::dims{s.out_channels, s.in_channels, s.kernel_height, s.kernel_width};
    const dnnl::convolution_forward::primitive_desc plan({dnnl::prop_kind::forward_inference,
                                                          dnnl::algorithm::convolution_direct,
                                                          x,
                                                          {sizes, Type::s8, Tag::any},
                                                          bias,
                                                          y,
                                                          {s.stride_height, s.stride_width},
                                                          {s.pad_height, s.pad_width},
                                                          {s.pad_height, s.pad_width}},
                                                         scales, job->engine);
    job->primitive = dnnl::convolution_forward(plan);
    const memory plain =
        job->filled({sizes, Type::s8, s.groups > 1 ? Tag::goihw : Tag::oihw}, problem.w.data());
    job->arguments = {{DNNL_ARG_SRC, job->filled(x, problem.x.data())},
                      {DNNL_ARG_WEIGHTS, job->reordered(plain, plan.weights_desc())},
                      {DNNL_ARG_BIAS, job->filled(bias, problem.bias.data())},
                      {DNNL_ARG_DST, memory(y, job->engine)}};
  }
  return {{"onednn",
           [job] {
             job->primitive.execute(job->stream, job->arguments);
             job->stream.wait();
           },
           [job] {
             return static_cast<const std::uint8_t*>(job->arguments.at(DNNL_ARG_DST).get_data_handle());
           }}};
}

std::vector<Contestant> onednn_contestants(const Stream& stream) {
  auto job = std::make_shared<Job>();
  const memory::dims flat{stream.count}, image{1, stream.outputs(), Stream::kWindow, Stream::kWindow},
      pixel{1, stream.outputs(), 1, 1};
  switch (stream.kind) {
    case Stream::kAdd: {
      const memory::desc desc(flat, Type::u8, Tag::a);
      dnnl::primitive_attr scales;
      scales.set_scales(DNNL_ARG_SRC_0, 0, {stream.a_scale / stream.scale});
      scales.set_scales(DNNL_ARG_SRC_1, 0, {stream.b_scale / stream.scale});
      job->primitive = dnnl::binary({{dnnl::algorithm::binary_add, desc, desc, desc}, scales, job->engine});
      job->arguments = {{DNNL_ARG_SRC_0, job->filled(desc, stream.a.data())},
                        {DNNL_ARG_SRC_1, job->filled(desc, stream.b.data())},
                        {DNNL_ARG_DST, memory(desc, job->engine)}};
      break;
    }
    case Stream::kAverage: {
      const memory::desc x(image, Type::u8, Tag::nhwc), y(pixel, Type::u8, Tag::nhwc);
      job->primitive = dnnl::pooling_forward({{dnnl::prop_kind::forward_inference,
                                               dnnl::algorithm::pooling_avg_exclude_padding,
                                               x,
                                               y,
                                               {1, 1},
                                               {Stream::kWindow, Stream::kWindow},
                                               {0, 0},
                                               {0, 0}},
                                              job->engine});
      job->arguments = {{DNNL_ARG_SRC, job->filled(x, stream.a.data())},
                        {DNNL_ARG_DST, memory(y, job->engine)}};
      break;
    }
    case Stream::kQuantize:
    case Stream::kDequantize: {
      const bool quantizes = stream.kind == Stream::kQuantize;
      const memory::desc codes(flat, Type::u8, Tag::a), real(flat, Type::f32, Tag::a);
      dnnl::primitive_attr scales;
      scales.set_output_scales(0, {quantizes ? 1.0f / stream.scale : stream.a_scale});
      job->primitive = dnnl::reorder(
          {job->engine, quantizes ? real : codes, job->engine, quantizes ? codes : real, scales});
      job->arguments = {{DNNL_ARG_FROM, quantizes ? job->filled(real, stream.real.data())
                                                  : job->filled(codes, stream.a.data())},
                        {DNNL_ARG_TO, memory(quantizes ? codes : real, job->engine)}};
      break;
    }
  }
  const auto run = [job] {
    job->primitive.execute(job->stream, job->arguments);
    job->stream.wait();
  };
  if (stream.kind == Stream::kDequantize) return {{"onednn", run, nullptr}};
  return {{"onednn", run, [job] {
             return static_cast<const std::uint8_t*>(job->arguments.at(DNNL_ARG_DST).get_data_handle());
           }}};
}

void cap_onednn(const std::string& isa) {
  dnnl::set_max_cpu_isa(isa == "portable"     ? dnnl::cpu_isa::sse41
                        : isa == "avx2"       ? dnnl::cpu_isa::avx2
                        : isa == "avxvnni"    ? dnnl::cpu_isa::avx2_vnni
                        : isa == "avx512vnni" ? dnnl::cpu_isa::avx512_core_vnni
                                              : dnnl::cpu_isa::all);
}

}  // namespace peers
#else
namespace peers {
std::vector<Contestant> onednn_contestants(const Problem&) { return {}; }
std::vector<Contestant> onednn_contestants(const Stream&) { return {}; }
void cap_onednn(const std::string&) {}
}  // namespace peers
#endif
