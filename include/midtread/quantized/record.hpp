// SPDX-License-Identifier: MIT
// An operator as plain data, what a file holds, and the checked way to read one back.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/core/ordered_dict.hpp>
#include <midtread/tensor/any_tensor.hpp>

#include <cmath>
#include <string>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(quantized)

struct Record {
  std::string kind;
  OrderedDict<std::vector<double>> numbers;
  OrderedDict<AnyTensor> tensors;
};

MIDTREAD_ON_USE std::vector<double> to_numbers(const QParams& q) {
  return {static_cast<double>(q.scale),           static_cast<double>(q.zero_point),
          static_cast<double>(q.range.quant_min), static_cast<double>(q.range.quant_max),
          q.dtype == DType::kInt8 ? 1.0 : 0.0,    static_cast<double>(q.rounding)};
}
template <class Integers>
std::vector<double> to_numbers(const Integers& values) {
  std::vector<double> out;
  for (const auto value : values) out.push_back(static_cast<double>(value));
  return out;
}

/// Reads a Record that may come from a damaged or hostile file: every value is checked, FormatError names it.
MIDTREAD_CLASS_ON_USE(RecordReader)
class BasicRecordReader {
 public:
  BasicRecordReader(const Record& record, const std::string& where) : record_(record), where_(where) {}

  const std::string& where() const { return where_; }
  bool has_tensor(const std::string& name) const { return record_.tensors.contains(name); }

  /// All numbers of `name`; `count` < 0: any amount.
  std::vector<double> numbers(const std::string& name, int count = -1) const {
    const auto* found = record_.numbers.find(name);
    if (!found) throw FormatError(where_, "misses '" + name + "'");
    if (count >= 0 && found->size() != static_cast<std::size_t>(count))
      throw FormatError(where_, concat("'", name, "' has ", found->size(), " numbers, needs ", count));
    for (double value : *found)
      if (!std::isfinite(value))
        throw FormatError(where_, "'" + name + "' holds a number that is not finite");
    return *found;
  }
  std::vector<std::int64_t> integers(const std::string& name, int count, std::int64_t low,
                                     std::int64_t high) const {
    std::vector<std::int64_t> out;
    for (double value : numbers(name, count)) out.push_back(integer(name, value, low, high));
    return out;
  }
  std::int64_t integer(const std::string& name, std::int64_t low, std::int64_t high) const {
    return integers(name, 1, low, high)[0];
  }
  QParams qparams(const std::string& name) const {
    const std::vector<double> v = numbers(name, 6);
    QParams q;
    q.scale = static_cast<float>(v[0]);
    q.zero_point = static_cast<std::int32_t>(integer(name, v[1], -128, 255));
    q.range.quant_min = static_cast<std::int32_t>(integer(name, v[2], -128, 255));
    q.range.quant_max = static_cast<std::int32_t>(integer(name, v[3], -128, 255));
    q.dtype = integer(name, v[4], 0, 1) ? DType::kInt8 : DType::kUInt8;
    q.rounding = static_cast<Rounding>(integer(name, v[5], 0, 3));
    try {
      check(q, where_);
    } catch (const Error& error) {
      throw FormatError(where_, "'" + name + "': " + error.detail());
    }
    return q;
  }
  /// A row-major tensor of this type and shape.
  template <class Scalar>
  BasicTensor<Scalar> tensor(const std::string& name, const Shape& shape) const {
    const AnyTensor* found = record_.tensors.find(name);
    if (!found) throw FormatError(where_, "misses the tensor '" + name + "'");
    if (!found->holds<Scalar>())
      throw FormatError(where_,
                        concat("'", name, "' holds ", found->dtype(), ", needs ", dtype_of_v<Scalar>));
    if (found->shape() != shape)
      throw FormatError(where_, concat("'", name, "' has shape ", found->shape(), ", needs ", shape));
    return found->get<Scalar>().contiguous();
  }

 private:
  std::int64_t integer(const std::string& name, double value, std::int64_t low, std::int64_t high) const {
    if (value != std::floor(value) || value < static_cast<double>(low) || value > static_cast<double>(high))
      throw FormatError(where_,
                        concat("'", name, "' is ", value, ", allowed ", low, "..", high, " (integer)"));
    return static_cast<std::int64_t>(value);
  }

  const Record& record_;
  std::string where_;
};

MIDTREAD_NAMESPACE_END
