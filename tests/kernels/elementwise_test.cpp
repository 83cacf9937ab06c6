// SPDX-License-Identifier: MIT
// add, mul, cat's copy, table lookup, quantize and dequantize against an oracle in double that rounds where
// the contract rounds; every instruction set, every short length, operands against guard pages.
#include "kernel_tester.hpp"

#include <limits>

namespace elementwise_test {

using namespace kernel_tester;
using midtread::Rounding;
using midtread::kernels::AffineParams;
using midtread::kernels::BinaryShape;
using midtread::kernels::elementwise;
using midtread::kernels::QuantizeParams;

float to_float(double exact) { return static_cast<float>(exact); }

float oracle_real(std::uint8_t q, AffineParams p) {
  return to_float(static_cast<double>(q - p.zero_point) * static_cast<double>(p.scale));
}

std::uint8_t oracle_code(float real, const QuantizeParams& p) {
  const float inverse = to_float(1.0 / static_cast<double>(p.scale));
  const float scaled = to_float(static_cast<double>(real) * static_cast<double>(inverse));
  double code = oracle_round(static_cast<double>(scaled), static_cast<int>(p.rounding)) + p.zero_point;
  if (std::isnan(scaled) || code < p.range.quant_min) code = p.range.quant_min;
  if (code > p.range.quant_max) code = p.range.quant_max;
  return static_cast<std::uint8_t>(code);
}

std::uint8_t oracle_binary(bool mul, std::uint8_t a, AffineParams qa, std::uint8_t b, AffineParams qb,
                           const QuantizeParams& out) {
  const double ra = static_cast<double>(oracle_real(a, qa)), rb = static_cast<double>(oracle_real(b, qb));
  return oracle_code(to_float(mul ? ra * rb : ra + rb), out);  // exact in double, rounded once
}

QuantizeParams random_output(Operands& make, float scale) {
  QuantizeParams p;
  p.scale = scale;
  p.zero_point = static_cast<int>(make.below(256));
  p.range = {make.below(2) ? 0 : p.zero_point, make.below(2) ? 255 : std::max(p.zero_point, 180)};
  p.rounding = make.below(4) ? Rounding::kHalfEven : static_cast<Rounding>(make.below(4));
  return p;
}

AffineParams random_input(Operands& make) {
  return {make.real(0.001f, 0.1f), static_cast<std::int32_t>(make.below(256))};
}

std::int64_t index(const std::int64_t (&strides)[4], std::int64_t i, std::int64_t j, std::int64_t k,
                   std::int64_t l) {
  return i * strides[0] + j * strides[1] + k * strides[2] + l * strides[3];
}

class BinaryTester {
 public:
  std::int64_t cases = 0;

  void check(const BinaryShape& s, std::int64_t a_size, std::int64_t b_size, unsigned seed) {
    Operands make(seed);
    const auto a = make.activations(static_cast<std::size_t>(a_size), 0);
    const auto b = make.activations(static_cast<std::size_t>(b_size), 0);
    const bool at_start = seed % 2 == 0, mul = seed % 3 == 0;
    const AffineParams qa = random_input(make), qb = random_input(make);
    const QuantizeParams out = random_output(make, mul ? make.real(0.001f, 0.5f) : make.real(0.01f, 0.2f));
    std::vector<std::uint8_t> expected;
    for (std::int64_t i = 0; i < s.dims[0]; ++i)
      for (std::int64_t j = 0; j < s.dims[1]; ++j)
        for (std::int64_t k = 0; k < s.dims[2]; ++k)
          for (std::int64_t l = 0; l < s.dims[3]; ++l)
            expected.push_back(oracle_binary(mul, a[static_cast<std::size_t>(index(s.a_strides, i, j, k, l))],
                                             qa, b[static_cast<std::size_t>(index(s.b_strides, i, j, k, l))],
                                             qb, out));
    for (const KernelSet* set : sets_) {
      auto* y = y_.place<std::uint8_t>(expected.size(), at_start, 0xEE);
      const auto* kernel = mul ? (*set)->mul : (*set)->add;
      kernel->run(s, a_.place(a, at_start), qa, b_.place(b, at_start), qb, out, y);
      ASSERT_EQ(std::memcmp(y, expected.data(), expected.size()), 0)
          << kernel->label << " [" << s.dims[0] << ", " << s.dims[1] << ", " << s.dims[2] << ", " << s.dims[3]
          << "]";
      ASSERT_TRUE(y_.canary_intact()) << kernel->label;
      ++cases;
    }
  }

 private:
  GuardedArena a_{1 << 20}, b_{1 << 20}, y_{1 << 20};
  std::vector<const KernelSet*> sets_ = sets_under_test();
};

TEST(Binary, EveryLengthAndALongOne) {
  BinaryTester tester;
  for (std::int64_t n = 1; n <= 100; ++n)
    for (unsigned repeat = 0; repeat < 6; ++repeat)
      tester.check(elementwise(n), n, n, static_cast<unsigned>(n) * 6 + repeat);
  for (unsigned seed = 1; seed <= 6; ++seed) tester.check(elementwise(100003), 100003, 100003, seed);
  std::printf("cases=%lld\n", static_cast<long long>(tester.cases));
}

TEST(Binary, BroadcastsThroughStrides) {
  BinaryTester tester;
  Operands pick(3);
  for (unsigned seed = 0; seed < 600; ++seed) {
    BinaryShape s;
    std::int64_t a = 1, b = 1;
    for (int d = 3; d >= 0; --d) {
      s.dims[d] = d == 3 ? 1 + pick.below(40) : 1 + pick.below(4);
      const std::int64_t kind = pick.below(5);  // 0: a is broadcast here, 1: b is
      s.a_strides[d] = kind == 0 ? 0 : a;
      s.b_strides[d] = kind == 1 ? 0 : b;
      if (kind != 0) a *= s.dims[d];
      if (kind != 1) b *= s.dims[d];
    }
    tester.check(s, a, b, seed);
  }
  // [N, C, 1, 1] over [N, C, H, W], channels last.
  BinaryShape gate;
  const std::int64_t dims[4] = {3, 1, 35, 24}, bs[4] = {24, 0, 0, 1}, as[4] = {35 * 24, 0, 24, 1};
  std::copy(dims, dims + 4, gate.dims);
  std::copy(as, as + 4, gate.a_strides);
  std::copy(bs, bs + 4, gate.b_strides);
  for (unsigned seed = 0; seed < 12; ++seed) tester.check(gate, 3 * 35 * 24, 72, seed);
  std::printf("cases=%lld\n", static_cast<long long>(tester.cases));
}

TEST(Binary, EveryPairOfCodes) {
  std::vector<std::uint8_t> a(65536), b(65536), y(65536);
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<std::uint8_t>(i >> 8);
    b[i] = static_cast<std::uint8_t>(i);
  }
  const AffineParams qa{0.0371f, 11}, qb{0.05f, 200};
  const QuantizeParams out{0.043f, 97, {0, 255}, Rounding::kHalfEven};
  for (const KernelSet* set : sets_under_test())
    for (bool mul : {false, true}) {
      (mul ? (*set)->mul : (*set)->add)->run(elementwise(65536), a.data(), qa, b.data(), qb, out, y.data());
      for (std::size_t i = 0; i < a.size(); ++i)
        ASSERT_EQ(y[i], oracle_binary(mul, a[i], qa, b[i], qb, out)) << set->isa_name() << " " << i;
    }
}

TEST(Elementwise, InPlaceWhereTheCountIsAMultipleOf64) {
  std::int64_t cases = 0;
  std::vector<std::uint8_t> table;
  for (int i = 0; i < 256; ++i) table.push_back(static_cast<std::uint8_t>(i * 167 + 13));
  for (const KernelSet* set : sets_under_test())
    for (const std::int64_t n : {64, 128, 192, 448, 4096, 70016})
      for (unsigned seed = 0; seed < 8; ++seed, ++cases) {
        Operands make(seed);
        const auto size = static_cast<std::size_t>(n);
        const auto a = make.activations(size, 0), b = make.activations(size, 0);
        const AffineParams qa = random_input(make), qb = random_input(make);
        const QuantizeParams out = random_output(make, make.real(0.01f, 0.2f));
        std::vector<std::uint8_t> expected(size), y;
        for (const auto* kernel : {(*set)->add, (*set)->mul}) {
          kernel->run(elementwise(n), a.data(), qa, b.data(), qb, out, expected.data());
          y = a;
          kernel->run(elementwise(n), y.data(), qa, b.data(), qb, out, y.data());
          ASSERT_EQ(y, expected) << kernel->label << ", " << n;
          y = b;
          kernel->run(elementwise(n), a.data(), qa, y.data(), qb, out, y.data());
          ASSERT_EQ(y, expected) << kernel->label << ", " << n;
        }
        (*set)->lookup->run(table.data(), a.data(), expected.data(), n);
        y = a;
        (*set)->lookup->run(table.data(), y.data(), y.data(), n);
        ASSERT_EQ(y, expected) << (*set)->lookup->label << ", " << n;
      }
  std::printf("cases=%lld\n", static_cast<long long>(cases));
}

TEST(RequantizeCopy, RowsAndStrides) {
  GuardedArena x_arena(1 << 18), y_arena(1 << 18);
  Operands make(5);
  std::int64_t cases = 0;
  for (std::int64_t length = 1; length <= 70; ++length)
    for (const KernelSet* set : sets_under_test()) {
      const std::int64_t rows = 1 + make.below(6), x_stride = length + make.below(5),
                         y_stride = length + make.below(9);
      const auto x = make.activations(static_cast<std::size_t>((rows - 1) * x_stride + length), 0);
      const AffineParams in = random_input(make);
      const QuantizeParams out = random_output(make, in.scale * make.real(0.5f, 2.0f));
      const bool at_start = length % 2 == 0;
      const auto size = static_cast<std::size_t>((rows - 1) * y_stride + length);
      auto* y = y_arena.place<std::uint8_t>(size, at_start, 0xEE);
      (*set)->requantize_copy->run(x_arena.place(x, at_start), in, rows, length, x_stride, out, y, y_stride);
      std::vector<std::uint8_t> expected(size, 0xEE);  // the gaps stay
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t i = 0; i < length; ++i)
          expected[static_cast<std::size_t>(r * y_stride + i)] =
              oracle_code(oracle_real(x[static_cast<std::size_t>(r * x_stride + i)], in), out);
      ASSERT_EQ(std::memcmp(y, expected.data(), size), 0) << (*set)->requantize_copy->label << " " << length;
      ASSERT_TRUE(y_arena.canary_intact());
      ++cases;
    }
  std::printf("cases=%lld\n", static_cast<long long>(cases));
}

// Products and sums below 2^-126, which some vector units flush to zero, and beyond the largest float.
TEST(Elementwise, ScalesAtBothEndsOfFloat) {
  const float scales[] = {0x1p-126f, 0x1.8p-120f, 0x1p-100f, 0x1.1p-61f, 0x1.3p-59f, 0.7f,
                          0x1.3p59f, 0x1.1p61f,   0x1p100f,  0x1p120f,   0x1.8p126f};
  Operands make(12);
  std::int64_t cases = 0;
  for (float first : scales)
    for (float second : scales)
      for (const KernelSet* set : sets_under_test()) {
        constexpr std::int64_t n = 64;
        const bool zero = make.below(2) == 0;  // of codes, after ReLU
        const AffineParams qa{first, zero ? 0 : 128}, qb{second, zero ? 0 : 127};
        QuantizeParams out = random_output(make, second);
        out.rounding = Rounding::kHalfEven;
        if (make.below(2) == 0) out.zero_point = 0, out.range = {0, 255};
        auto a = make.activations(n, 0), b = make.activations(n, 0);
        for (std::size_t i = 0; i < n; i += 2) a[i] = static_cast<std::uint8_t>((zero ? 0 : 126) + make.below(5));
        for (std::size_t i = 0; i < n; i += 4) b[i] = static_cast<std::uint8_t>((zero ? 0 : 125) + make.below(5));
        std::vector<float> x(n), real(n);
        for (std::size_t i = 0; i < n; ++i) x[i] = first * make.real(-2.0f, 2.0f);
        std::uint8_t sum[n], product[n], copy[n], q[n];
        (*set)->add->run(elementwise(n), a.data(), qa, b.data(), qb, out, sum);
        (*set)->mul->run(elementwise(n), a.data(), qa, b.data(), qb, out, product);
        (*set)->requantize_copy->run(a.data(), qa, 1, n, n, out, copy, n);
        (*set)->quantize->run(x.data(), q, n, out);
        (*set)->dequantize->run(a.data(), real.data(), n, qa);
        for (std::size_t i = 0; i < n; ++i) {
          ASSERT_EQ(sum[i], oracle_binary(false, a[i], qa, b[i], qb, out))
              << set->isa_name() << " " << first << " " << second;
          ASSERT_EQ(product[i], oracle_binary(true, a[i], qa, b[i], qb, out))
              << set->isa_name() << " " << first << " " << second;
          ASSERT_EQ(copy[i], oracle_code(oracle_real(a[i], qa), out))
              << set->isa_name() << " " << first << " " << second;
          ASSERT_EQ(q[i], oracle_code(x[i], out)) << set->isa_name() << " " << first << " " << second;
          ASSERT_EQ(real[i], oracle_real(a[i], qa)) << set->isa_name() << " " << first;
        }
        ++cases;
      }
  std::printf("cases=%lld\n", static_cast<long long>(cases));
}

TEST(Lookup, EveryLengthAndEveryCode) {
  GuardedArena x_arena(1 << 18), y_arena(1 << 18), table_arena(4096);
  Operands make(6);
  std::int64_t cases = 0;
  for (std::int64_t n = 1; n <= 300; ++n)
    for (const KernelSet* set : sets_under_test()) {
      const auto table = make.activations(256, 0);
      auto x = make.activations(static_cast<std::size_t>(n), 0);
      for (std::size_t i = 0; i < x.size() && n >= 256; ++i) x[i] = static_cast<std::uint8_t>(i);
      auto* y = y_arena.place<std::uint8_t>(x.size(), n % 2 == 0, 0xEE);
      (*set)->lookup->run(table_arena.place(table), x_arena.place(x, n % 2 == 0), y, n);
      for (std::size_t i = 0; i < x.size(); ++i)
        ASSERT_EQ(y[i], table[x[i]]) << (*set)->lookup->label << " " << n;
      ASSERT_TRUE(y_arena.canary_intact());
      ++cases;
    }
  std::printf("cases=%lld\n", static_cast<long long>(cases));
}

TEST(Quantize, EveryLengthTiesAndFarValues) {
  GuardedArena x_arena(1 << 18), y_arena(1 << 18);
  Operands make(8);
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  std::int64_t cases = 0;
  for (std::int64_t n = 1; n <= 200; ++n)
    for (const KernelSet* set : sets_under_test()) {
      const QuantizeParams out = random_output(make, n % 2 ? 0.5f : make.real(0.001f, 0.1f));
      std::vector<float> x(static_cast<std::size_t>(n));
      for (std::size_t i = 0; i < x.size(); ++i) {
        const float odd[8] = {inf, -inf, nan, 3e38f, -3e38f, 1e-40f, -0.0f, 1e10f};
        x[i] = i % 5 == 0   ? odd[make.below(8)]
               : i % 5 == 1 ? 0.25f * static_cast<float>(make.below(1025) - 512)  // ties of scale 0.5
                            : make.real(-20.0f, 20.0f);
      }
      auto* y = y_arena.place<std::uint8_t>(x.size(), n % 2 == 0, 0xEE);
      (*set)->quantize->run(x_arena.place(x, n % 2 == 0), y, n, out);
      for (std::size_t i = 0; i < x.size(); ++i)
        ASSERT_EQ(y[i], oracle_code(x[i], out)) << (*set)->quantize->label << " " << n << " x " << x[i];
      ASSERT_TRUE(y_arena.canary_intact());
      ++cases;
    }
  std::printf("cases=%lld\n", static_cast<long long>(cases));
}

TEST(Dequantize, EveryLengthAndEveryCode) {
  GuardedArena x_arena(1 << 18), y_arena(1 << 18);
  Operands make(9);
  std::int64_t cases = 0;
  for (std::int64_t n = 1; n <= 300; ++n)
    for (const KernelSet* set : sets_under_test()) {
      auto x = make.activations(static_cast<std::size_t>(n), 0);
      for (std::size_t i = 0; i < x.size() && n >= 256; ++i) x[i] = static_cast<std::uint8_t>(i);
      const AffineParams in = random_input(make);
      auto* y = y_arena.place<float>(x.size(), n % 2 == 0, 0xEE);
      (*set)->dequantize->run(x_arena.place(x, n % 2 == 0), y, n, in);
      for (std::size_t i = 0; i < x.size(); ++i)
        ASSERT_EQ(y[i], oracle_real(x[i], in)) << (*set)->dequantize->label << " " << n;
      ASSERT_TRUE(y_arena.canary_intact());
      ++cases;
    }
  std::printf("cases=%lld\n", static_cast<long long>(cases));
}

}  // namespace elementwise_test
