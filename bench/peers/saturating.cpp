// SPDX-License-Identifier: MIT
// What exactness costs on AVX2: midtread's own register tiles on weights as they are, whose sums of two
// products saturate in 16 bits. Right only for codes of 7 bits.
#include <algorithm>
#include <memory>

#include "contest.hpp"

#if MIDTREAD_X86
namespace peers {

namespace {
namespace k = midtread::kernels;
namespace fbgemm = midtread::kernels::fbgemm;
namespace avx2 = midtread::kernels::fbgemm::avx2;

/// As avx2::pack_exact, every panel with sums of two products and without an excess.
midtread::Storage pack(const k::Conv2dShape& s, const std::int8_t* weights) {
  const fbgemm::Segments segments(s, avx2::exact_step(s));
  const fbgemm::PanelCut cut{s.out_group(), avx2::kPanelColumns};
  const std::int64_t columns = s.groups * cut.columns(), panels = s.groups * cut.count(),
                     panel_bytes = avx2::kPanelColumns * segments.depth();
  const bool each_tap = avx2::leaves_taps_out(s, avx2::exact_step(s));
  const std::int64_t sums_bytes = fbgemm::sums_bytes((each_tap ? 1 + s.taps() : 1) * columns);
  const std::int64_t index_bytes =
                         (panels * static_cast<std::int64_t>(sizeof(avx2::ExactPanel)) + 63) / 64 * 64,
                     header = sums_bytes + index_bytes;
  midtread::Storage storage(static_cast<std::size_t>(header + panels * panel_bytes));
  auto* bytes = static_cast<std::uint8_t*>(storage.data());
  std::fill_n(bytes, storage.bytes(), std::uint8_t{0});
  auto* sums = reinterpret_cast<std::int32_t*>(bytes);
  auto* index = reinterpret_cast<avx2::ExactPanel*>(bytes + sums_bytes);
  for (std::int64_t p = 0; p < panels; ++p) {
    index[p].depth = 1;
    index[p].weights = header + p * panel_bytes;
    const std::int64_t group = p / cut.count(), first = cut.first(p % cut.count());
    for (std::int64_t c = 0; c < std::min(avx2::kPanelColumns, s.out_group() - first); ++c) {
      const std::int8_t* w = weights + (group * s.out_group() + first + c) * s.depth();
      for (std::int64_t i = 0; i < s.in_group(); ++i)
        for (std::int64_t tap = 0; tap < s.taps(); ++tap, ++w) {
          const std::int64_t place = segments.at(s, i, tap);
          bytes[index[p].weights + place / 4 * 64 + c * 4 + place % 4] = static_cast<std::uint8_t>(*w);
          sums[p * avx2::kPanelColumns + c] += *w;
          if (each_tap) sums[(1 + tap) * columns + p * avx2::kPanelColumns + c] += *w;
        }
    }
  }
  return storage;
}

constexpr k::ConvKernel kSaturating = k::conv_kernel<avx2::conv_bands>("gemm_saturating__avx2", false, pack);

struct Job {
  k::PackedWeights weights;
  k::Epilogue epilogue;
  k::Scratch scratch;
  std::vector<std::uint8_t> y;
};
}  // namespace

std::vector<Contestant> saturating_contestants(const Problem& problem, const std::string& isa) {
  const Problem* p = &problem;
  if (isa != "avx2" || p->shape.is_depthwise() || avx2::has_small_groups(p->shape)) return {};
  auto job = std::make_shared<Job>();
  job->weights = k::pack_weights(kSaturating, p->shape, p->w.data());
  job->epilogue.bias = p->bias.data();
  job->epilogue.multiplier = p->multiplier.data();
  job->y.resize(p->y.size());
  return {{"saturating",
           [job, p] {
             k::run_conv(job->weights, p->shape, p->x.data(), 0, job->epilogue, job->y.data(), job->scratch);
           },
           [job] { return static_cast<const std::uint8_t*>(job->y.data()); }}};
}

}  // namespace peers
#else
namespace peers {
std::vector<Contestant> saturating_contestants(const Problem&, const std::string&) { return {}; }
}  // namespace peers
#endif
