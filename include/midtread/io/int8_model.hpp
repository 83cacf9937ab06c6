// SPDX-License-Identifier: MIT
// An int8 model in a safetensors file: tensors "<step>.<name>", the program and the format's version as
// metadata. Weight codes, multipliers, tables and qparams are stored, so that every machine computes the same
// codes.
#pragma once

#include <midtread/io/int8_program.hpp>
#include <midtread/io/safetensors.hpp>
#include <midtread/quantized/model.hpp>
#include <midtread/quantized/operators.hpp>

#include <string>
#include <string_view>
#include <unordered_map>

MIDTREAD_NAMESPACE_BEGIN(io)

/// Metadata "midtread.int8_model": what wrote the file writes this, and reads files up to it.
inline constexpr int kInt8ModelVersion = 1;
inline constexpr const char* kInt8ModelKey = "midtread.int8_model";
inline constexpr const char* kInt8ProgramKey = "midtread.program";

/// The bytes of the file. Throws UnsupportedError naming a step that cannot be saved (an opaque module).
inline std::string serialize_int8_model(const quantized::Model& model) {
  TensorFile file;
  Int8Program program;
  program.inputs = model.input_shapes();
  program.outputs = model.outputs();
  for (const quantized::Model::Step& step : model.steps()) {
    quantized::Record record;
    try {
      record = quantized::save_operator(*step.op);
    } catch (const UnsupportedError& error) {
      throw UnsupportedError(step.name, error.where() + ": " + error.detail());
    }
    std::vector<std::string> names;
    for (const auto& item : record.tensors) {
      names.push_back(item.first);
      file.tensors.insert(step.name + "." + item.first, item.second);
    }
    program.steps.push_back({step.name, record.kind, step.inputs, record.numbers, std::move(names)});
  }
  file.metadata.insert(kInt8ModelKey, std::to_string(kInt8ModelVersion));
  file.metadata.insert(kInt8ProgramKey, program_text(program));
  return serialize_tensors(file);
}

/// The model of a file's bytes, bound to the engine and instruction set that the flags ask for. Throws
/// FormatError naming `where` and the step for whatever is damaged, does not fit together, or would cost more
/// than `limits` on the file's own example input; later runs are held to `limits` too (ShapeError).
inline quantized::Model parse_int8_model(std::string_view bytes, const std::string& where,
                                         const quantized::RunLimits& limits = {}) {
  const TensorFile file = parse_tensors(bytes, where);
  const std::string* version = file.metadata.find(kInt8ModelKey);
  const std::string* text = file.metadata.find(kInt8ProgramKey);
  if (!version) throw FormatError(where, concat("is not an int8 model: its metadata has no ", kInt8ModelKey));
  if (*version != std::to_string(kInt8ModelVersion))
    throw FormatError(where,
                      concat("has version ", printable(*version), " of the format, this midtread reads ",
                             kInt8ModelVersion, "; use the midtread that wrote it, or a newer one"));
  if (!text) throw FormatError(where, concat("its metadata has no ", kInt8ProgramKey));
  const Int8Program program = Int8ProgramReader(where).read(*text);

  for (const Shape& shape : program.inputs)
    if (quantized::extent(shape) > limits.elements)
      throw FormatError(where, concat("the example input has shape ", shape));

  std::unordered_map<std::string, const AnyTensor*> unread;
  for (const auto& item : file.tensors) unread.emplace(item.first, &item.second);
  std::vector<quantized::Model::Step> steps;
  const auto fail = [&](const Error& error) {
    return FormatError(where, "step " + printable(error.where()) + ": " + error.detail());
  };
  for (const Int8Program::Step& step : program.steps) {
    quantized::Record record{step.kind, step.numbers, {}};
    for (const std::string& name : step.tensors) {
      const auto found = unread.find(step.name + "." + name);
      if (found == unread.end())
        throw FormatError(where, "step " + printable(step.name) + ": there is no tensor '" + printable(name) +
                                     "' of its own");
      record.tensors.insert(name, *found->second);
      unread.erase(found);
    }
    try {
      steps.push_back({step.name, quantized::load_operator(record, step.name), step.inputs});
    } catch (const Error& error) {
      throw fail(error);
    }
  }
  if (!unread.empty())
    throw FormatError(where, "the tensor '" + printable(unread.begin()->first) + "' belongs to no step");
  try {
    return quantized::Model(program.inputs, std::move(steps), program.outputs, kernels::select_kernels(),
                            limits);
  } catch (const ShapeError& error) {
    throw fail(error);
  } catch (const StateError& error) {
    throw fail(error);
  }
}

/// Replaces `path`, or leaves the old file as it was. Throws IoError, UnsupportedError.
inline void save(const quantized::Model& model, const std::string& path) {
  write_file(path, serialize_int8_model(model));
}

/// Throws IoError, FormatError, and EngineError where the flags ask for what this machine lacks.
inline quantized::Model load_int8_model(const std::string& path, const quantized::RunLimits& limits = {}) {
  return parse_int8_model(read_file(path), path, limits);
}

MIDTREAD_NAMESPACE_END
