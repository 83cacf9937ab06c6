// SPDX-License-Identifier: MIT
// A module's parameters and buffers in a safetensors file, under PyTorch's keys.
#pragma once

#include <midtread/io/safetensors.hpp>
#include <midtread/nn/module.hpp>
#include <midtread/nn/module_holder.hpp>

#include <string>
#include <utility>

MIDTREAD_NAMESPACE_BEGIN(io)

using Metadata = OrderedDict<std::string>;

/// Replaces `path`, or leaves the old file as it was. Throws IoError.
inline void save(const nn::StateDict& state, const std::string& path, const Metadata& metadata = {}) {
  TensorFile file;
  file.tensors = state;
  file.metadata = metadata;
  save_tensors(path, file);
}
template <class Scalar>
void save(const nn::BasicModule<Scalar>& module, const std::string& path, const Metadata& metadata = {}) {
  save(module.state_dict(), path, metadata);
}
template <class Impl>
void save(const nn::ModuleHolder<Impl>& module, const std::string& path, const Metadata& metadata = {}) {
  save(module->state_dict(), path, metadata);
}

inline nn::StateDict load_state_dict(const std::string& path) { return load_tensors(path).tensors; }

/// Copies values in by name; all or nothing. Not strict: names of one side only are passed over. Returns the
/// file's metadata. Throws IoError, FormatError (a damaged file; or up to ten differences to the module),
/// UnsupportedError.
template <class Scalar>
Metadata load(nn::BasicModule<Scalar>& module, const std::string& path, bool strict = true) {
  TensorFile file = load_tensors(path);
  try {
    module.load_state_dict(file.tensors, strict);
  } catch (const FormatError& error) {
    throw FormatError(path, error.detail());
  }
  return std::move(file.metadata);
}
template <class Impl>
Metadata load(const nn::ModuleHolder<Impl>& module, const std::string& path, bool strict = true) {
  return load(*module, path, strict);
}

MIDTREAD_NAMESPACE_END
