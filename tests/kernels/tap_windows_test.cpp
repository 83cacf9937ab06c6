// SPDX-License-Identifier: MIT
// Windows of taps: each output once, and no tap left out that meets the image.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include <midtread/kernels/fbgemm/vnni/tap_windows.hpp>

namespace tap_windows_test {

namespace k = midtread::kernels;

/// The windows of one band; how many taps in the padding they hold.
std::int64_t check_band(const k::PaddedBand& plan, std::int64_t first, std::int64_t rows, std::int64_t tallest) {
  const k::Conv2dShape& s = plan.shape;
  std::vector<k::BandPixel> pixels(static_cast<std::size_t>(rows * s.out_width + 1), k::BandPixel{-1, -1});
  std::vector<k::fbgemm::TapWindow> windows(static_cast<std::size_t>(rows + s.out_width + 1));
  const std::int64_t count =
      k::fbgemm::list_windows(plan, first, rows, pixels.data(), windows.data(), tallest);
  EXPECT_LE(count, rows + s.out_width + 1);
  EXPECT_EQ(pixels.back().output, -1) << "more pixels than outputs";
  std::vector<int> seen(static_cast<std::size_t>(rows * s.out_width));
  std::int64_t listed = 0, padding = 0;
  for (std::int64_t w = 0; w < count; ++w) {
    const k::fbgemm::TapWindow& window = windows[static_cast<std::size_t>(w)];
    EXPECT_EQ(window.first, listed);
    listed += window.count;
    for (std::int64_t i = window.first; i < listed; ++i) {
      const k::BandPixel& p = pixels[static_cast<std::size_t>(i)];
      const std::int64_t y = p.output / s.out_width, x = p.output % s.out_width;
      ++seen.at(static_cast<std::size_t>(p.output));
      EXPECT_EQ(p.input, (y * plan.stride_y * plan.width + x * plan.stride_x) * plan.pitch);
      for (std::int64_t ky = 0; ky < s.kernel_height; ++ky)
        for (std::int64_t kx = 0; kx < s.kernel_width; ++kx) {
          const std::int64_t iy = (first + y) * s.stride_height - s.pad_height + ky * s.dilation_height;
          const std::int64_t ix = x * s.stride_width - s.pad_width + kx;
          const bool meets = iy >= 0 && iy < s.in_height && ix >= 0 && ix < s.in_width;
          const bool taken = ky >= window.rows.first && ky < window.rows.last &&
                             kx >= window.columns.first && kx < window.columns.last;
          EXPECT_TRUE(taken || !meets) << "tap " << ky << ", " << kx << " of output " << y << ", " << x;
          padding += taken && !meets;
        }
    }
  }
  EXPECT_EQ(listed, rows * s.out_width);
  for (const int times : seen) EXPECT_EQ(times, 1);
  return padding;
}

TEST(TapWindows, ListEachOutputOnceWithEveryTapThatMeetsTheImage) {
  int cases = 0;
  for (std::int64_t height : {1, 2, 3, 7, 8, 13})
    for (std::int64_t width : {1, 2, 3, 7, 13, 14})
      for (std::int64_t kernel : {2, 3, 5})
        for (std::int64_t stride : {1, 2})
          for (std::int64_t pad : {0, 1, 2}) {
            k::Conv2dShape s;
            s.in_channels = 4;
            s.in_height = height;
            s.in_width = width;
            s.kernel_height = s.kernel_width = kernel;
            s.stride_height = s.stride_width = stride;
            s.pad_height = s.pad_width = pad;
            s.dilation_height = 1 + cases / 2 % 2;
            s.out_height = k::conv_output_size(height, kernel, stride, pad, s.dilation_height);
            s.out_width = k::conv_output_size(width, kernel, stride, pad, 1);
            if (s.out_height < 1 || s.out_width < 1) continue;
            for (std::int64_t bytes : {1, 100000}) {
              const k::PaddedBand plan(s, s.in_channels, bytes, bytes == 1 ? 2 * s.out_width : 1);
              for (std::int64_t first = 0; first < s.out_height; first += plan.out_rows)
                for (std::int64_t tallest : {0, 6})
                  check_band(plan, first, std::min(plan.out_rows, s.out_height - first), tallest);
              ++cases;
            }
            ASSERT_FALSE(HasFailure()) << height << " x " << width << " kernel " << kernel << " stride " << stride
                                       << " pad " << pad;
          }
  std::printf("cases=%d\n", cases);
}

/// 7 x 7: four windows of six outputs with six taps; only the taps of corners are left over.
TEST(TapWindows, SevenBySevenLeavesOneTapInThePaddingOfCorners) {
  k::Conv2dShape s;
  s.in_channels = 4;
  s.in_height = s.in_width = s.out_height = s.out_width = 7;
  s.kernel_height = s.kernel_width = 3;
  s.pad_height = s.pad_width = 1;
  const k::PaddedBand plan(s, s.in_channels, 100000, 1);
  EXPECT_EQ(check_band(plan, 0, 7, 6), 4 * 2);
}

}  // namespace tap_windows_test
