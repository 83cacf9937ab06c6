// SPDX-License-Identifier: MIT
// What is known of a value before it is computed: its shape, and whether it is codes or real numbers.
#pragma once

#include <midtread/core/on_use.hpp>
#include <midtread/tensor/quantized_tensor.hpp>

#include <optional>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(quantized)

struct Form {
  Shape shape;
  std::optional<QParams> qparams;  ///< of codes; none: real numbers
};
using Forms = std::vector<Form>;

MIDTREAD_ON_USE Form form_of(const Value& value) {
  if (const auto* codes = std::get_if<Tensor>(&value)) return {codes->shape(), codes->qparams()};
  return {std::get<midtread::Tensor>(value).shape(), std::nullopt};
}
/// An uninitialised value of this form, channels-last.
MIDTREAD_ON_USE Value make_value(const Form& form) {
  if (form.qparams) return Tensor(form.shape, *form.qparams);
  return midtread::Tensor(form.shape, channels_last_strides(form.shape));
}

/// Form i of an operator's inputs; StateError where it is missing or of the other sort.
MIDTREAD_ON_USE const Form& codes_form(const Forms& inputs, std::size_t i, const std::string& where) {
  if (i >= inputs.size() || !inputs[i].qparams)
    throw StateError(where, concat("input ", i, " must be an int8 tensor"));
  return inputs[i];
}
MIDTREAD_ON_USE const Form& real_form(const Forms& inputs, std::size_t i, const std::string& where) {
  if (i >= inputs.size() || inputs[i].qparams)
    throw StateError(where, concat("input ", i, " must be a real tensor"));
  return inputs[i];
}
MIDTREAD_ON_USE void require_count(const Forms& inputs, std::size_t count, const std::string& where) {
  if (inputs.size() != count)
    throw StateError(where, concat("has ", inputs.size(), " inputs, needs ", count));
}

/// Elements, dimensions of size 0 counted as 1: what loops over the shape may cost.
MIDTREAD_ON_USE double extent(const Shape& shape) {
  double product = 1;
  for (std::int64_t dim : shape) product *= static_cast<double>(dim > 0 ? dim : 1);
  return product;
}

MIDTREAD_NAMESPACE_END
