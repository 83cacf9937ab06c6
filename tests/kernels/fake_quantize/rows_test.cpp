// SPDX-License-Identifier: MIT
// The loops of fake quantize on every instruction set of this machine: element by element against
// kernels/affine.hpp, and sums bit for bit against a plain statement of their order.
#include <midtread/core/random.hpp>
#include <midtread/kernels/fake_quantize/dispatch.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

namespace mt = midtread;
namespace kernels = midtread::kernels;

namespace rows_test {

std::vector<const kernels::RowKernels*> sets() {
  std::vector<const kernels::RowKernels*> out{&kernels::portable::kRows};
#if MIDTREAD_X86 && (MIDTREAD_GCC || MIDTREAD_CLANG)
  if (kernels::cpu_features().avx2) out.push_back(&kernels::avx2::kRows);
  if (kernels::cpu_features().avx512) out.push_back(&kernels::avx512::kRows);
#endif
  return out;
}

constexpr mt::Rounding kRoundings[] = {mt::Rounding::kHalfEven, mt::Rounding::kHalfUp,
                                       mt::Rounding::kHalfDown, mt::Rounding::kStdRound};
constexpr std::int64_t kLengths[] = {0,   1,   2,   9,   15,   16,   17,   31,  33,
                                     511, 512, 513, 528, 1023, 1024, 1025, 5000};

struct Setting {
  float scale;
  std::int32_t zero_point;
  mt::CodeRange range;
  mt::DType dtype;
};
const Setting kSettings[] = {
    {0.037f, 131, {0, 255}, mt::DType::kUInt8},   {1.0f, 3, {0, 255}, mt::DType::kUInt8},
    {0.25f, -128, {-128, 127}, mt::DType::kInt8}, {0.011f, 0, {-127, 127}, mt::DType::kInt8},
    {3e30f, 17, {-64, 63}, mt::DType::kInt8},     {1.2e-38f, 255, {0, 255}, mt::DType::kUInt8},
    {3e38f, 1, {0, 1}, mt::DType::kUInt8},        {1.0f / 256, -2, {-2, 1}, mt::DType::kInt8}};

/// Ties, their neighbours, the ends of float, and noise.
std::vector<float> values(const Setting& s, std::int64_t n, mt::Generator& g) {
  std::vector<float> x;
  const float odd[] = {0.0f, -0.0f, 1e-45f, -1e-45f, 3.4e38f, -3.4e38f, HUGE_VALF, -HUGE_VALF};
  const double codes = s.range.quant_max - s.range.quant_min + 6;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto tie =
        static_cast<float>(std::floor(g.uniform(0, codes)) + s.range.quant_min - s.zero_point - 3) + 0.5f;
    const float at = tie * s.scale;
    switch (static_cast<int>(g.uniform(0, 6))) {
      case 0: x.push_back(at); break;
      case 1: x.push_back(std::nextafter(at, HUGE_VALF)); break;
      case 2: x.push_back(std::nextafter(at, -HUGE_VALF)); break;
      case 3: x.push_back(odd[static_cast<std::size_t>(g.uniform(0, 8))]); break;
      default: x.push_back(static_cast<float>(g.uniform(-1, 1) * codes) * s.scale);
    }
  }
  return x;
}

kernels::FakeQuantizeRow row_of(const Setting& s, mt::Rounding rounding) {
  return {s.scale, s.zero_point, s.range, s.zero_point + (s.dtype == mt::DType::kInt8 ? 128 : 0), rounding};
}

/// An array with room around it, to see writes outside.
template <class T>
struct Fenced {
  explicit Fenced(std::int64_t n) : all(static_cast<std::size_t>(n) + 64, T(77)) {}
  T* data() { return all.data() + 32; }
  bool intact() const {
    for (std::size_t i = 0; i < 32; ++i)
      if (all[i] != T(77) || all[all.size() - 1 - i] != T(77)) return false;
    return true;
  }
  std::vector<T> all;
};

TEST(FakeQuantizeRows, ForwardEqualsThePrimitives) {
  mt::Generator g(1);
  long cases = 0;
  for (const Setting& s : kSettings)
    for (mt::Rounding rounding : kRoundings)
      for (std::int64_t n : kLengths) {
        const std::vector<float> x = values(s, n, g);
        const kernels::FakeQuantizeRow row = row_of(s, rounding);
        for (const kernels::RowKernels* set : sets())
          for (bool coded : {true, false}) {
            Fenced<float> y(n);
            Fenced<std::uint8_t> codes(n);
            ASSERT_FALSE(set->fake_quantize(x.data(), y.data(), coded ? codes.data() : nullptr, n, row));
            ASSERT_TRUE(y.intact() && codes.intact()) << set->isa;
            for (std::int64_t i = 0; i < n; ++i, ++cases) {
              const float v = x[static_cast<std::size_t>(i)];
              const std::int32_t code =
                  kernels::quantize_code(v, row.inverse, s.zero_point, s.range, rounding);
              const float real = kernels::dequantize(code, s.zero_point, s.scale);
              ASSERT_EQ(std::memcmp(y.data() + i, &real, sizeof real), 0)
                  << set->isa << " x " << v << " scale " << s.scale << " rounding "
                  << static_cast<int>(rounding);
              ASSERT_EQ(codes.data()[i], coded ? code + row.zero_point - s.zero_point : 77)
                  << set->isa << " x " << v;
            }
          }
      }
  std::printf("cases=%ld\n", cases);
}

TEST(FakeQuantizeRows, NanIsSeenInEveryPlace) {
  const kernels::FakeQuantizeRow row = row_of(kSettings[0], mt::Rounding::kHalfEven);
  int cases = 0;
  for (const kernels::RowKernels* set : sets())
    for (std::int64_t n : {1, 15, 16, 17, 40, 70})
      for (std::int64_t at = 0; at < n; ++at, ++cases) {
        std::vector<float> x(static_cast<std::size_t>(n), 1.0f), y = x;
        std::vector<std::uint8_t> codes(x.size());
        x[static_cast<std::size_t>(at)] = -std::nanf("");
        EXPECT_TRUE(set->fake_quantize(x.data(), y.data(), codes.data(), n, row)) << set->isa << " " << at;
        EXPECT_TRUE(set->fake_quantize(x.data(), y.data(), nullptr, n, row)) << set->isa << " " << at;
        EXPECT_FALSE(set->range(x.data(), n).finite) << set->isa << " " << at;
      }
  std::printf("cases=%d\n", cases);
}

/// Whether the rounded code of x lies in the range, from the primitives alone.
bool passes(float x, const kernels::FakeQuantizeRow& row, mt::Rounding rounding) {
  const float v = kernels::clamp_float(x * row.inverse, row.lo - 2.0f, row.hi + 2.0f);
  const auto code = static_cast<float>(kernels::round(v, rounding));
  return code >= row.lo && code <= row.hi;
}

TEST(FakeQuantizeRows, GradientPassesWhereTheRoundedCodeIsInRange) {
  mt::Generator g(2);
  long cases = 0, stopped = 0;
  for (const Setting& s : kSettings)
    for (mt::Rounding rounding : kRoundings)
      for (std::int64_t n : kLengths) {
        const std::vector<float> x = values(s, n, g);
        std::vector<float> dy(x.size());
        for (float& each : dy) each = static_cast<float>(g.normal());
        const kernels::FakeQuantizeRow row = row_of(s, rounding);
        for (const kernels::RowKernels* set : sets()) {
          Fenced<float> dx(n);
          set->straight_through(x.data(), dy.data(), dx.data(), n, row);
          ASSERT_TRUE(dx.intact()) << set->isa;
          for (std::int64_t i = 0; i < n; ++i, ++cases) {
            const auto at = static_cast<std::size_t>(i);
            const bool pass = passes(x[at], row, rounding);
            stopped += pass ? 0 : 1;
            ASSERT_EQ(dx.data()[i], pass ? dy[at] : 0.0f)
                << set->isa << " x " << x[at] << " scale " << s.scale;
          }
        }
      }
  std::printf("cases=%ld stopped=%ld\n", cases, stopped);
  EXPECT_GT(stopped, cases / 50);
}

/// The order of learned_step's sums: lane i % 16 adds up to 32 floats, then goes to double; an incomplete
/// group does so by itself; lanes 0..15 meet in order.
kernels::StepSums plain_sums(const std::vector<float>& x, const std::vector<float>& dy,
                             const kernels::FakeQuantizeRow& row, const kernels::StepBand& band,
                             mt::Rounding rounding, std::vector<float>& dx) {
  double total[3][16] = {};
  float lane[3][16] = {};
  for (std::size_t i = 0; i < x.size(); ++i) {
    const volatile float u = x[i] * band.factor, v = x[i] * row.inverse;
    const float g = dy[i];
    const bool inside = u >= band.low && u <= band.high;
    const volatile float product = inside ? g * (static_cast<float>(kernels::round(v, rounding)) - v) : 0.0f;
    dx.push_back(inside ? g : 0.0f);
    lane[0][i % 16] += product;
    lane[1][i % 16] += u < band.low ? g : 0.0f;
    lane[2][i % 16] += u > band.high ? g : 0.0f;
    if (i % 512 == 511 || i + 1 == x.size() || i + 1 == x.size() / 16 * 16)
      for (int s = 0; s < 3; ++s)
        for (int j = 0; j < 16; ++j) {
          total[s][j] += static_cast<double>(lane[s][j]);
          lane[s][j] = 0;
        }
  }
  kernels::StepSums out;
  for (int j = 0; j < 16; ++j) {
    out.inside += total[0][j];
    out.below += total[1][j];
    out.above += total[2][j];
  }
  return out;
}

TEST(FakeQuantizeRows, LearnedStepAddsInTheOrderStated) {
  mt::Generator g(3);
  long cases = 0;
  for (const Setting& s : kSettings)
    for (mt::Rounding rounding : kRoundings)
      for (std::int64_t n : kLengths) {
        const std::vector<float> x = values(s, n, g);
        std::vector<float> dy(x.size());
        for (float& each : dy) each = static_cast<float>(g.normal());
        const kernels::FakeQuantizeRow row = row_of(s, rounding);
        for (const kernels::StepBand& band :
             {kernels::StepBand{row.inverse, row.pass_low, row.pass_high},
              kernels::StepBand{row.inverse, row.lo, row.hi}, kernels::StepBand{1, 0.0f, row.hi * s.scale}}) {
          std::vector<float> expected_dx;
          const kernels::StepSums expected = plain_sums(x, dy, row, band, rounding, expected_dx);
          for (const kernels::RowKernels* set : sets()) {
            Fenced<float> dx(n);
            const kernels::StepSums sums = set->learned_step(x.data(), dy.data(), dx.data(), n, row, band);
            ASSERT_TRUE(dx.intact()) << set->isa;
            ASSERT_EQ(std::memcmp(&sums, &expected, sizeof sums), 0)
                << set->isa << " n " << n << " scale " << s.scale << ": " << sums.inside << " "
                << expected.inside;
            for (std::int64_t i = 0; i < n; ++i)
              ASSERT_EQ(dx.data()[i], expected_dx[static_cast<std::size_t>(i)]) << set->isa << " " << i;
            ++cases;
          }
        }
      }
  std::printf("cases=%ld\n", cases);
}

TEST(FakeQuantizeRows, RangeFindsBothEndsInEveryPlace) {
  mt::Generator g(4);
  int cases = 0;
  for (const kernels::RowKernels* set : sets())
    for (std::int64_t n : {1, 2, 15, 16, 17, 31, 32, 47, 100})
      for (std::int64_t at = 0; at < n; ++at, ++cases) {
        std::vector<float> x(static_cast<std::size_t>(n));
        for (float& each : x) each = static_cast<float>(g.uniform(-1, 1));
        x[static_cast<std::size_t>(at)] = 3e38f;
        x[static_cast<std::size_t>(n - 1 - at)] = n - 1 - at == at ? 3e38f : -3e38f;
        const kernels::Range range = set->range(x.data(), n);
        ASSERT_TRUE(range.finite) << set->isa;
        ASSERT_EQ(range.max, 3e38f) << set->isa << " " << n << " " << at;
        ASSERT_EQ(range.min, n - 1 - at == at && n == 1 ? 3e38f : *std::min_element(x.begin(), x.end()))
            << set->isa;
        x[static_cast<std::size_t>(at)] = HUGE_VALF;
        EXPECT_FALSE(set->range(x.data(), n).finite) << set->isa;
      }
  std::printf("cases=%d\n", cases);
}

TEST(FakeQuantizeRows, SquaredErrorIsThatOfTheCodes) {
  mt::Generator g(5);
  int cases = 0;
  for (const Setting& s : kSettings)
    for (mt::Rounding rounding : kRoundings)
      for (std::int64_t n : kLengths) {
        std::vector<float> x = values(s, n, g);
        for (float& each : x)
          if (!std::isfinite(each)) each = 0;
        const kernels::FakeQuantizeRow row = row_of(s, rounding);
        double lanes[16] = {}, expected = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
          const std::int32_t code =
              kernels::quantize_code(x[i], row.inverse, s.zero_point, s.range, rounding);
          const volatile float error = x[i] - kernels::dequantize(code, s.zero_point, s.scale);
          lanes[i % 16] += static_cast<double>(error) * static_cast<double>(error);
        }
        for (double lane : lanes) expected += lane;
        for (const kernels::RowKernels* set : sets()) {
          ASSERT_EQ(set->squared_error(x.data(), n, row), expected)
              << set->isa << " n " << n << " scale " << s.scale;
          ++cases;
        }
      }
  std::printf("cases=%d\n", cases);
}

TEST(FakeQuantizeRows, TanhIsNearAndTheSameEverywhere) {
  long cases = 0;
  double worst = 0;
  std::vector<float> x = {0.0f,  -0.0f,  HUGE_VALF, -HUGE_VALF, 1e-45f, -1e-38f,
                          3e38f, 0.625f, 9.0f,      10.0f,      88.0f};
  for (std::uint32_t bits = 0x30000000u; bits < 0x42000000u; bits += 4099u) {  // 4.6e-10 to 32
    float v;
    std::memcpy(&v, &bits, sizeof v);
    x.push_back(v);
    x.push_back(-v);
  }
  const auto n = static_cast<std::int64_t>(x.size());
  std::vector<std::vector<float>> results;
  for (const kernels::RowKernels* set : sets()) {
    std::vector<float> y(x.size());
    set->tanh_over(x.data(), y.data(), n, 1.0f);
    for (std::size_t i = 0; i < x.size(); ++i, ++cases) {
      const double t = std::tanh(static_cast<double>(x[i]));
      const auto nearest = static_cast<float>(t);
      const double unit =
          static_cast<double>(std::nextafter(std::fabs(nearest), HUGE_VALF) - std::fabs(nearest));
      worst = std::max(worst, std::fabs(static_cast<double>(y[i]) - t) / unit);
    }
    results.push_back(y);
    ASSERT_EQ(std::memcmp(results[0].data(), y.data(), y.size() * sizeof(float)), 0) << set->isa;
    float odd[3] = {std::nanf(""), 2.0f, -2.0f}, out[3];
    set->tanh_over(odd, out, 3, 0.5f);
    EXPECT_TRUE(std::isnan(out[0])) << set->isa;
    EXPECT_EQ(out[1], 1.0f);
    EXPECT_EQ(out[2], -1.0f);
  }
  std::printf("cases=%ld worst=%.2f units in the last place\n", cases, worst);
  EXPECT_LT(worst, 2);
}

TEST(FakeQuantizeRows, OddCodesAreOdd) {
  mt::Generator g(6);
  long cases = 0;
  for (int width = 2; width <= 7; ++width)
    for (std::int64_t n : kLengths) {
      const int top = (1 << width) - 1;
      const kernels::FakeQuantizeRow row(0.7f / static_cast<float>(top), 0, {-top, top}, 128,
                                         mt::Rounding::kHalfEven);
      std::vector<float> x(static_cast<std::size_t>(n));
      for (float& each : x) each = static_cast<float>(g.uniform(-1, 1));
      for (const kernels::RowKernels* set : sets()) {
        Fenced<float> y(n);
        set->odd_codes(x.data(), y.data(), n, row);
        ASSERT_TRUE(y.intact()) << set->isa;
        for (std::size_t i = 0; i < x.size(); ++i, ++cases) {
          const volatile float v = x[i] * row.inverse, half = (v + row.hi) * 0.5f;
          const float up = std::min(std::max(std::nearbyint(half), 0.0f), row.hi), code = 2 * up - row.hi;
          ASSERT_EQ(y.data()[i], code * row.scale) << set->isa << " " << x[i];
          ASSERT_EQ(static_cast<int>(code) & 1, 1);
        }
      }
    }
  std::printf("cases=%ld\n", cases);
}

TEST(FakeQuantizeRows, BinsAreThoseOfPlainDivision) {
  mt::Generator g(7);
  long cases = 0, outside = 0;
  for (bool absolute : {false, true})
    for (int count : {2, 16, 2048})
      for (std::int64_t n : kLengths) {
        const double low = absolute ? 0 : -1.25, high = 2.5;
        const kernels::BinGrid grid{absolute, low, high, low, static_cast<double>(count), high - low, count};
        std::vector<float> x = {-1.25f,     2.5f,         std::nextafter(2.5f, 3.0f), -1.3f, HUGE_VALF,
                                -HUGE_VALF, std::nanf("")};
        x.resize(static_cast<std::size_t>(n), 0.0f);
        for (std::size_t i = 7; i < x.size(); ++i) x[i] = static_cast<float>(g.uniform(-3, 3));
        for (const kernels::RowKernels* set : sets()) {
          Fenced<std::int32_t> bins(n);
          set->bins(x.data(), bins.data(), n, grid);
          ASSERT_TRUE(bins.intact()) << set->isa;
          for (std::int64_t i = 0; i < n; ++i, ++cases) {
            double v = static_cast<double>(x[static_cast<std::size_t>(i)]);
            if (absolute) v = std::fabs(v);
            const bool in = v >= low && v <= high;
            outside += in ? 0 : 1;
            const int expected =
                in ? std::min(static_cast<int>((v - low) * count / (high - low)), count - 1) : count;
            ASSERT_EQ(bins.data()[i], expected) << set->isa << " " << v;
          }
        }
      }
  std::printf("cases=%ld outside=%ld\n", cases, outside);
  EXPECT_GT(outside, 0);
}

}  // namespace rows_test
