// SPDX-License-Identifier: MIT
#include <midtread/core/qparams.hpp>

#include <gtest/gtest.h>

#include <data/expect_error.hpp>

#include <cmath>

namespace qparams_test {

using midtread::check;
using midtread::CodeRange;
using midtread::DType;
using midtread::QParams;
using midtread::QuantizationError;

TEST(QParams, AreChecked) {
  const auto refused = [](const QParams& q, std::initializer_list<std::string> words) {
    expect_error<QuantizationError>([&] { check(q, "conv"); }, words);
    expect_error<QuantizationError>([&] { check(q, "conv"); }, {"conv"});
  };
  QParams good;
  good.scale = 0.5f;
  EXPECT_NO_THROW(check(good, "conv"));
  for (const float scale : {0.0f, -1.0f, 1e-39f, HUGE_VALF, std::nanf("")}) {
    QParams q = good;
    q.scale = scale;
    refused(q, {"must be a normal, positive, finite float32"});
  }
  for (const DType dtype : {DType::kFloat32, DType::kFloat64, DType::kInt32, DType::kInt64}) {
    QParams q = good;
    q.dtype = dtype;
    refused(q, {"dtype", "allowed uint8 and int8"});
  }
  for (const CodeRange range : {CodeRange{-1, 255}, CodeRange{0, 256}, CodeRange{7, 7}, CodeRange{9, 8}}) {
    QParams q = good;
    q.range = range;
    refused(q, {"code range"});
  }
  for (const std::int32_t zero_point : {-1, 256}) {
    QParams q = good;
    q.zero_point = zero_point;
    refused(q, {"zero point"});
  }
}

}  // namespace qparams_test
