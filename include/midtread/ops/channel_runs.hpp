// SPDX-License-Identifier: MIT
// A row-major tensor cut into runs of elements that share an output channel.
//
//   axis a: element (.., j, ..) at position j of the axis belongs to channel group * size(a) + j
//
// Grouped transposed convolutions keep their weight as [I, O/g, kH, kW]: the channels lie along axis 1 and
// start again in each of the g slices of axis 0.
#pragma once

#include <midtread/core/shape.hpp>

#include <string>

MIDTREAD_NAMESPACE_BEGIN(ops)

struct ChannelRuns {
  std::int64_t outer = 1;   ///< product of the dimensions before the axis
  std::int64_t size = 1;    ///< the axis
  std::int64_t length = 1;  ///< elements of a run: product of the dimensions behind the axis
  std::int64_t groups = 1;

  /// `axis` may count from the end. Throws ShapeError where the shape has no such axis or `groups` do not
  /// divide it.
  ChannelRuns(const Shape& shape, int axis, std::int64_t group_count, const std::string& where)
      : groups(group_count) {
    const int at = axis < 0 ? axis + shape.rank() : axis;
    if (at < 0 || at >= shape.rank())
      throw ShapeError(where,
                       concat("channel axis ", axis, " of shape ", shape, ", allowed 0..", shape.rank() - 1));
    if (groups < 1 || (groups > 1 && (at == 0 || shape[0] % groups != 0)))
      throw ShapeError(where, concat(groups, " groups do not divide dimension 0 of ", shape,
                                     " (channel axis ", axis, ")"));
    for (int i = 0; i < at; ++i) outer *= shape[i];
    size = shape[at];
    for (int i = at + 1; i < shape.rank(); ++i) length *= shape[i];
  }

  std::int64_t channels() const { return groups * size; }
  std::int64_t count() const { return outer * size; }
  /// The channel of run `run`, which starts at element run * length.
  std::int64_t channel(std::int64_t run) const {
    return outer == 1 ? run : (run / size) * groups / outer * size + run % size;
  }
};

MIDTREAD_NAMESPACE_END
