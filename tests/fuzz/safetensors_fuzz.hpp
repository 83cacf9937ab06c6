// SPDX-License-Identifier: MIT
// Fuzz target: any bytes as a safetensors file, and as header and body behind a right length. Only
// FormatError and UnsupportedError may come out; what is read must be written and read again the same.
#pragma once

#include <midtread/io/safetensors.hpp>
#include <midtread/tensor/compare.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

inline void require_same_tensors(const midtread::io::TensorFile& a, const midtread::io::TensorFile& b) {
  if (a.tensors.size() != b.tensors.size() || a.metadata.size() != b.metadata.size()) std::abort();
  for (const auto& item : a.tensors)
    item.second.visit([&](const auto& tensor) {
      using Scalar = typename std::decay_t<decltype(tensor)>::scalar_type;
      if (!midtread::identical(tensor, b.tensors.at(item.first).get<Scalar>())) std::abort();
    });
  for (const auto& item : a.metadata)
    if (b.metadata.at(item.first) != item.second) std::abort();
}

/// True if the bytes were read.
inline bool fuzz_tensor_file(std::string_view bytes) {
  midtread::io::TensorFile file;
  try {
    file = midtread::io::parse_tensors(bytes, "fuzz");
  } catch (const midtread::FormatError&) {
    return false;
  } catch (const midtread::UnsupportedError&) {
    return false;
  }
  std::string again;
  try {
    again = midtread::io::serialize_tensors(file);
  } catch (const midtread::ConfigError&) {
    return true;  // one string too many, with the two of ours
  }
  require_same_tensors(file, midtread::io::parse_tensors(again, "again"));
  return true;
}

/// Returns how many readings succeeded.
inline int fuzz_safetensors(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  int good = fuzz_tensor_file(bytes);
  const std::string_view text = size >= 8 ? bytes.substr(8) : bytes;
  const std::size_t end = text.rfind('}') + 1;  // 0 if there is none
  std::string repaired;
  for (int i = 0; i < 8; ++i) repaired += static_cast<char>(std::uint64_t{end} >> (8 * i) & 255u);
  good += fuzz_tensor_file(repaired.append(text));
  return good;
}

inline std::vector<std::string> safetensors_seeds() {
  const auto file = [](const std::string& header, const std::string& body) {
    std::string out(8, '\0');
    out[0] = static_cast<char>(header.size() & 255u), out[1] = static_cast<char>(header.size() >> 8);
    return out + header + body;
  };
  const std::string a = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})",
                    b = R"("b":{"dtype":"U8","shape":[1,2],"data_offsets":[8,10]})";
  midtread::io::TensorFile small;
  small.tensors.insert("weight", midtread::BasicTensor<std::int8_t>(midtread::Shape{3}).fill_(-7));
  small.tensors.insert("scale", midtread::Tensor(midtread::Shape{}).fill_(0.5f));
  small.metadata.insert("k", "v");
  return {file("{}", ""),
          file("{" + a + "}", "01234567"),
          file("{" + a + "," + b + "}   ", "0123456789"),
          file(R"({"__metadata__":{"x":"y","\u20ac":"\ud83d\ude00"},)" + a + "}", "01234567"),
          file(R"({"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})", "01234567"),
          file(R"({"e":{"dtype":"F64","shape":[3,0],"data_offsets":[0,0]}})", ""),
          file(R"({"h":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}})", "01"),
          midtread::io::serialize_tensors(small),
          midtread::io::serialize_tensors({})};
}
