// SPDX-License-Identifier: MIT
#include <midtread/core/shape.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <limits>

namespace shape_test {

using midtread::element_count;
using midtread::Shape;
using midtread::ShapeError;

TEST(Shape, ElementsWhoseBytesCannotBeAddressedAreRefused) {
  constexpr std::int64_t most = std::numeric_limits<std::ptrdiff_t>::max() / 16;
  EXPECT_EQ(element_count(Shape{most}), most);
  EXPECT_EQ(element_count(Shape{most / 4, 4}), most / 4 * 4);
  EXPECT_THROW(element_count(Shape{most + 1}), ShapeError);
  EXPECT_THROW(element_count(Shape{most / 2, 3}), ShapeError);
  EXPECT_THROW(element_count(Shape{65536, 65537, most}), ShapeError);
  EXPECT_THROW(element_count(Shape{-1, 2}), ShapeError);
  EXPECT_EQ(element_count(Shape{0, most}), 0);
}

}  // namespace shape_test
