// SPDX-License-Identifier: MIT
#include <midtread/data/transform.hpp>
#include <midtread/tensor/compare.hpp>
#include <midtread/tensor/factory.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <set>

#include "data/expect_error.hpp"

using midtread::Generator;
using midtread::Shape;
using midtread::Tensor;
using midtread::data::compose;
using midtread::data::random_crop;
using midtread::data::random_horizontal_flip;
using midtread::data::Transform;

namespace transform_test {

/// `image` moved by (dy, dx), zeros from outside.
Tensor moved(const Tensor& image, std::int64_t dy, std::int64_t dx) {
  Tensor out = midtread::zeros(image.shape());
  for (std::int64_t c = 0; c < image.size(0); ++c)
    for (std::int64_t y = 0; y < image.size(1); ++y)
      for (std::int64_t x = 0; x < image.size(2); ++x)
        if (y + dy >= 0 && y + dy < image.size(1) && x + dx >= 0 && x + dx < image.size(2))
          out.set({c, y, x}, image.at({c, y + dy, x + dx}));
  return out;
}

TEST(RandomCrop, IsEveryWindowOfThePaddedImage) {
  int cases = 0;
  for (const Shape& shape : {Shape{1, 5, 7}, Shape{3, 4, 4}, Shape{2, 1, 3}})
    for (const std::int64_t padding : {0, 1, 2, 6}) {
      const Tensor image = midtread::arange(midtread::element_count(shape) + 1);
      const Tensor from(image.storage(), 1, shape, midtread::contiguous_strides(shape));  // no zeros
      const Transform crop = random_crop(padding);
      const Generator base(3);
      std::set<std::pair<std::int64_t, std::int64_t>> seen;
      for (std::uint64_t draw = 0; draw < 2000; ++draw) {
        Generator generator = base.fork(draw), copy = generator;
        const std::int64_t dy = copy.below(2 * padding + 1) - padding,
                           dx = copy.below(2 * padding + 1) - padding;
        const Tensor out = crop(from, generator);
        if (!seen.insert({dy, dx}).second) continue;
        EXPECT_TRUE(midtread::identical(out, moved(from, dy, dx))) << shape << " by " << dy << ", " << dx;
        ++cases;
      }
      EXPECT_EQ(static_cast<std::int64_t>(seen.size()), (2 * padding + 1) * (2 * padding + 1));
      EXPECT_EQ(from.at({0, 0, 0}), 1.0f) << "the source was written to";
    }
  std::printf("cases=%d\n", cases);
}

TEST(RandomHorizontalFlip, MirrorsHalfOfThem) {
  const Tensor image = midtread::from_vector<float>({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, {2, 2, 3});
  const std::vector<float> mirrored = {3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10};
  const Transform flip = random_horizontal_flip();
  Generator generator(1);
  int flips = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto out = flip(image, generator).to_vector();
    if (out == mirrored)
      ++flips;
    else
      EXPECT_EQ(out, image.to_vector());
  }
  EXPECT_GT(flips, 440);
  EXPECT_LT(flips, 560);
  EXPECT_EQ(random_horizontal_flip(1)(image, generator).to_vector(), mirrored);
  EXPECT_EQ(random_horizontal_flip(0)(image, generator).to_vector(), image.to_vector());
}

TEST(Compose, AppliesInOrder) {
  const Transform both =
      compose({[](const Tensor& t, Generator&) { return midtread::full<float>(t.shape(), t.item() + 1); },
               [](const Tensor& t, Generator&) { return midtread::full<float>(t.shape(), t.item() * 10); }});
  Generator generator;
  EXPECT_EQ(both(midtread::ones({1, 1, 1}), generator).item(), 20.0f);
}

TEST(Transforms, RefuseBadOptionsAndShapes) {
  Generator generator;
  expect_error<midtread::ConfigError>([] { random_crop(-1); }, {"padding -1 pixels, allowed 0..65536"});
  EXPECT_THROW(random_crop(INT64_MAX), midtread::ConfigError);
  expect_error<midtread::ConfigError>([] { random_horizontal_flip(1.5); }, {"probability 1.5", "0..1"});
  EXPECT_THROW(random_horizontal_flip(NAN), midtread::ConfigError);
  expect_error<midtread::ShapeError>(
      [&] {
        random_crop(1)(midtread::zeros({4, 4}), generator);
      },
      {"random_crop", "[4, 4]"});
  expect_error<midtread::ShapeError>([&] { random_horizontal_flip()(midtread::zeros({4}), generator); },
                                     {"[4]"});
}

}  // namespace transform_test
