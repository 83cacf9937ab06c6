// SPDX-License-Identifier: MIT
// Every operator an int8 model may hold, and how each is made from its Record. A new one is one line of
// kLoaders.
#pragma once

#include <midtread/quantized/constant.hpp>
#include <midtread/quantized/conv.hpp>
#include <midtread/quantized/elementwise.hpp>
#include <midtread/quantized/float_file.hpp>
#include <midtread/quantized/lookup.hpp>
#include <midtread/quantized/move.hpp>
#include <midtread/quantized/pool.hpp>
#include <midtread/quantized/quantize.hpp>

MIDTREAD_NAMESPACE_BEGIN(quantized)

struct Loader {
  const char* kind;
  std::shared_ptr<const Operator> (*load)(const Record& record, const std::string& where);
};

inline constexpr Loader kLoaders[] = {
    {"quantize", Quantize::load}, {"dequantize", Dequantize::load},
    {"constant", Constant::load}, {"conv2d", Conv::load},
    {"conv1d", Conv::load},       {"conv_transpose2d", Conv::load},
    {"linear", Conv::load},       {"add", Binary::load},
    {"mul", Binary::load},        {"cat", Cat::load},
    {"lookup", Lookup::load},     {"max_pool2d", Pool::load},
    {"avg_pool2d", Pool::load},   {"adaptive_avg_pool2d", Pool::load},
};

/// `op` as plain data. Throws UnsupportedError for what cannot be in a file.
inline Record save_operator(const Operator& op) {
  if (const auto* step = dynamic_cast<const FloatOperation*>(&op)) return save_float_operation(*step);
  return op.save();
}

/// The operator that `record` describes. Throws FormatError naming `where`.
inline std::shared_ptr<const Operator> load_operator(const Record& record, const std::string& where) {
  for (const Loader& loader : kLoaders)
    if (record.kind == loader.kind) return loader.load(record, where);
  for (MoveKind move : kMoveKinds)
    if (record.kind == to_string(move)) return Move::load(record, where);
  if (record.kind.compare(0, sizeof(FloatOperation::kPrefix) - 1, FloatOperation::kPrefix) == 0)
    return load_float_operation(record, where);
  throw FormatError(
      where, "unknown operator '" + printable(record.kind) + "'; was the file written by a newer midtread?");
}

MIDTREAD_NAMESPACE_END
