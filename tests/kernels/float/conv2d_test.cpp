// SPDX-License-Identifier: MIT
#include <midtread/kernels/float/conv2d_weights.hpp>

#include "kernel_sets.hpp"

namespace midtread {
namespace {

using kernels::Conv2dShape;

/// Calls visit(x index, w index, y index) for every product of a convolution.
template <class Visit>
void for_each_product(const Conv2dShape& s, const Visit& visit) {
  for (std::int64_t n = 0; n < s.batch; ++n)
    for (std::int64_t oy = 0; oy < s.out_height; ++oy)
      for (std::int64_t ox = 0; ox < s.out_width; ++ox)
        for (std::int64_t o = 0; o < s.out_channels; ++o)
          for (std::int64_t ky = 0; ky < s.kernel_height; ++ky)
            for (std::int64_t kx = 0; kx < s.kernel_width; ++kx) {
              const std::int64_t iy = oy * s.stride_height - s.pad_height + ky * s.dilation_height;
              const std::int64_t ix = ox * s.stride_width - s.pad_width + kx * s.dilation_width;
              if (iy < 0 || iy >= s.in_height || ix < 0 || ix >= s.in_width) continue;
              for (std::int64_t i = 0; i < s.in_group(); ++i)
                visit(((n * s.in_height + iy) * s.in_width + ix) * s.in_channels +
                          o / s.out_group() * s.in_group() + i,
                      ((o * s.in_group() + i) * s.kernel_height + ky) * s.kernel_width + kx,
                      ((n * s.out_height + oy) * s.out_width + ox) * s.out_channels + o);
            }
}

Conv2dShape random_shape(Generator& g) {
  for (;;) {
    Conv2dShape s;
    s.batch = 1 + g.below(3);
    s.groups = g.below(3) == 0 ? 1 + g.below(4) : 1;
    s.in_channels = s.groups * (1 + g.below(g.below(2) ? 4 : 20));
    s.out_channels = s.groups * (1 + g.below(g.below(2) ? 9 : 40));
    if (g.below(4) == 0) s.groups = s.in_channels = s.out_channels = 1 + g.below(40);
    s.in_height = 1 + g.below(9), s.in_width = 1 + g.below(g.below(2) ? 9 : 30);
    s.kernel_height = 1 + g.below(4), s.kernel_width = 1 + g.below(4);
    s.stride_height = 1 + g.below(3), s.stride_width = 1 + g.below(3);
    s.pad_height = g.below(4), s.pad_width = g.below(4);
    if (g.below(3) == 0) s.pad_height = s.pad_width = 0;
    s.dilation_height = 1 + g.below(2), s.dilation_width = 1 + g.below(2);
    s.out_height = kernels::conv_output_size(s.in_height, s.kernel_height, s.stride_height, s.pad_height,
                                             s.dilation_height);
    s.out_width =
        kernels::conv_output_size(s.in_width, s.kernel_width, s.stride_width, s.pad_width, s.dilation_width);
    if (s.out_height > 0 && s.out_width > 0) return s;
  }
}

std::string text(const Conv2dShape& s) {
  return concat(s.batch, "x", s.in_height, "x", s.in_width, "x", s.in_channels, " -> ", s.out_channels,
                " kernel ", s.kernel_height, "x", s.kernel_width, " stride ", s.stride_height, "x",
                s.stride_width, " pad ", s.pad_height, "x", s.pad_width, " dilation ", s.dilation_height, "x",
                s.dilation_width, " groups ", s.groups);
}

TEST(FloatConv2d, EverySetEqualsPlainLoopsInDouble) {
  Generator g(1);
  int cases = 0;
  for (int i = 0; i < 300; ++i) {
    const Conv2dShape s = random_shape(g);
    const std::int64_t x_size = s.batch * s.in_pixels() * s.in_channels,
                       y_size = s.batch * s.out_pixels() * s.out_channels;
    const GuardedArray x(x_size, g), w(s.weight_count(), g), dy(y_size, g), bias(s.out_channels, g),
        in_bias(s.in_channels, g);
    std::vector<double> y_true(static_cast<std::size_t>(y_size)), y_abs(y_true.size());
    std::vector<double> dx_true(static_cast<std::size_t>(x_size)), dx_abs(dx_true.size());
    std::vector<double> dw_true(static_cast<std::size_t>(s.weight_count())), dw_abs(dw_true.size());
    const auto start = [](std::vector<double>& value, std::vector<double>& size, const GuardedArray& from,
                          std::int64_t channels) {
      for (std::size_t j = 0; j < value.size(); ++j) {
        value[j] = static_cast<double>(from.data()[static_cast<std::int64_t>(j) % channels]);
        size[j] = std::abs(value[j]);
      }
    };
    start(y_true, y_abs, bias, s.out_channels);
    start(dx_true, dx_abs, in_bias, s.in_channels);
    for_each_product(s, [&](std::int64_t ix, std::int64_t iw, std::int64_t iy) {
      const auto add = [](std::vector<double>& value, std::vector<double>& size, std::int64_t at, float a,
                          float b) {
        const double product = static_cast<double>(a) * static_cast<double>(b);
        value[static_cast<std::size_t>(at)] += product;
        size[static_cast<std::size_t>(at)] += std::abs(product);
      };
      add(y_true, y_abs, iy, x.data()[ix], w.data()[iw]);
      add(dx_true, dx_abs, ix, dy.data()[iy], w.data()[iw]);
      add(dw_true, dw_abs, iw, x.data()[ix], dy.data()[iy]);
    });
    for (const auto* set : kernel_sets()) {
      const GuardedArray y(y_size), dx(x_size), dw(s.weight_count());
      kernels::floating::conv2d_forward(s, x.data(), w.data(), bias.data(), y.data(), *set);
      kernels::floating::conv2d_input_gradient(s, dy.data(), w.data(), in_bias.data(), dx.data(), *set);
      kernels::floating::conv2d_weight_gradient(s, x.data(), dy.data(), dw.data(), *set);
      EXPECT_LT(difference(y.data(), y_true.data(), y_abs.data(), y_size), 1e-5)
          << set->isa << " " << text(s);
      EXPECT_LT(difference(dx.data(), dx_true.data(), dx_abs.data(), x_size), 1e-5)
          << set->isa << " " << text(s);
      EXPECT_LT(difference(dw.data(), dw_true.data(), dw_abs.data(), s.weight_count()), 1e-5)
          << set->isa << " " << text(s);
      ++cases;
    }
  }
  std::printf("cases=%d\n", cases);
}

TEST(FloatConv2d, SameBitsForAnyNumberOfThreads) {
  Generator g(2);
  const int before = num_threads();
  int cases = 0;
  for (const auto* set : kernel_sets())
    for (int i = 0; i < 12; ++i) {
      Conv2dShape s = random_shape(g);
      s.batch = 1 + g.below(40);
      const std::int64_t x_size = s.batch * s.in_pixels() * s.in_channels,
                         y_size = s.batch * s.out_pixels() * s.out_channels;
      const GuardedArray x(x_size, g), w(s.weight_count(), g), dy(y_size, g);
      std::vector<std::vector<float>> results;
      for (const int threads : {1, 2, 5}) {
        set_num_threads(threads);
        std::vector<float> out(static_cast<std::size_t>(x_size + y_size + s.weight_count()));
        kernels::floating::conv2d_forward<float>(s, x.data(), w.data(), nullptr, out.data(), *set);
        kernels::floating::conv2d_input_gradient<float>(s, dy.data(), w.data(), nullptr, out.data() + y_size,
                                                        *set);
        kernels::floating::conv2d_weight_gradient<float>(s, x.data(), dy.data(), out.data() + y_size + x_size,
                                                         *set);
        results.push_back(out);
      }
      EXPECT_EQ(results[0], results[1]) << text(s);
      EXPECT_EQ(results[0], results[2]) << text(s);
      ++cases;
    }
  set_num_threads(before);
  std::printf("cases=%d\n", cases);
}

TEST(FloatConv2d, AnEmptyBatchHasZeroWeightGradients) {
  Conv2dShape s;
  s.batch = 0, s.in_channels = 2, s.out_channels = 3, s.kernel_height = s.kernel_width = 3;
  s.in_height = s.in_width = 5, s.out_height = s.out_width = 3;
  std::vector<float> dw(54, 1.0f);
  kernels::floating::conv2d_weight_gradient<float>(s, nullptr, nullptr, dw.data());
  EXPECT_EQ(dw, std::vector<float>(54, 0.0f));
  s.kernel_height = s.kernel_width = 1;
  s.out_height = s.out_width = 5;
  dw.assign(6, 1.0f);
  kernels::floating::conv2d_weight_gradient<float>(s, nullptr, nullptr, dw.data());
  EXPECT_EQ(dw, std::vector<float>(6, 0.0f));
}

}  // namespace
}  // namespace midtread
