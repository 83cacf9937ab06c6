// SPDX-License-Identifier: MIT
// Named tensors in a file: the safetensors format (uint64 length, JSON header, row-major little-endian data),
// with checksums as strings of its metadata, so that any reader reads it and ours finds every flipped bit.
#pragma once

#include <midtread/io/crc32c.hpp>
#include <midtread/io/file.hpp>
#include <midtread/io/safetensors_header.hpp>
#include <midtread/tensor/any_tensor.hpp>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(io)

struct TensorFile {
  OrderedDict<AnyTensor> tensors;
  OrderedDict<std::string> metadata;
};

/// CRC-32C of each tensor's bytes, eight hexadecimal digits each, in the order of the file.
inline constexpr const char* kTensorChecksums = "midtread.crc32c";
/// CRC-32C of header_text() without this entry.
inline constexpr const char* kHeaderChecksum = "midtread.header_crc32c";

inline const char* safetensors_name(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return "F32";
    case DType::kFloat64: return "F64";
    case DType::kInt64: return "I64";
    case DType::kInt32: return "I32";
    case DType::kUInt8: return "U8";
    case DType::kInt8: return "I8";
  }
  return "?";
}

inline bool little_endian() {
  const std::uint16_t one = 1;
  unsigned char first;
  std::memcpy(&first, &one, 1);
  return first == 1;
}
/// `count` values of `width` bytes between this machine's order and the file's.
inline void copy_little_endian(const char* from, char* to, std::size_t count, std::size_t width) {
  if (little_endian()) {
    if (count > 0) std::memcpy(to, from, count * width);
  } else {
    for (std::size_t i = 0; i < count; ++i, from += width, to += width)
      std::reverse_copy(from, from + width, to);
  }
}

inline std::string hex8(std::uint32_t value) {
  std::string out(8, '0');
  for (std::size_t i = 8; i-- > 0; value >>= 4) out[i] = "0123456789abcdef"[value & 15u];
  return out;
}

/// The file's bytes: tensors by element size, then name. Throws ConfigError for reserved names and names not
/// UTF-8.
inline std::string serialize_tensors(const TensorFile& file) {
  if (file.tensors.contains("__metadata__"))
    throw ConfigError("__metadata__", "a tensor cannot have this name; choose another");
  for (const char* reserved : {kTensorChecksums, kHeaderChecksum})
    if (file.metadata.contains(reserved))
      throw ConfigError(reserved, "this metadata is written by midtread; choose another name");
  if (file.tensors.size() > kMaxHeaderNames || file.metadata.size() + 2 > kMaxHeaderNames)
    throw ConfigError("safetensors",
                      concat(file.tensors.size(), " tensors and ", file.metadata.size(), " strings, allowed ",
                             kMaxHeaderNames, " and ", kMaxHeaderNames - 2));
  std::vector<const OrderedDict<AnyTensor>::Item*> items;
  for (const auto& item : file.tensors) items.push_back(&item);
  std::sort(items.begin(), items.end(), [](const auto* a, const auto* b) {
    const std::size_t width_a = size_of(a->second.dtype()), width_b = size_of(b->second.dtype());
    return std::tie(width_b, a->first) < std::tie(width_a, b->first);
  });

  SafetensorsHeader header;
  header.metadata = file.metadata;
  std::string body, checksums;
  for (const auto* item : items) {
    TensorEntry entry;
    entry.name = item->first;
    entry.dtype = safetensors_name(item->second.dtype());
    entry.shape = item->second.shape();
    const std::size_t begin = body.size();
    entry.begin = begin;
    item->second.visit([&](const auto& tensor) {
      const auto rows = tensor.contiguous();
      const std::size_t width = size_of(tensor.dtype()), count = static_cast<std::size_t>(tensor.numel());
      body.resize(body.size() + count * width);
      copy_little_endian(reinterpret_cast<const char*>(rows.data()), &body[begin], count, width);
    });
    entry.end = body.size();
    checksums += hex8(crc32c(std::string_view(body).substr(begin)));
    header.tensors.push_back(std::move(entry));
  }
  header.metadata.insert(kTensorChecksums, checksums);
  header.metadata.insert(kHeaderChecksum, hex8(crc32c(header_text(header))));

  std::string text = header_text(header);
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kMaxHeaderBytes)
    throw ConfigError("safetensors",
                      concat("the header has ", text.size(), " bytes, allowed ", kMaxHeaderBytes));
  std::string out;
  out.reserve(8 + text.size() + body.size());
  for (int i = 0; i < 8; ++i) out += static_cast<char>(std::uint64_t{text.size()} >> (8 * i) & 255u);
  return out += text, out += body;
}

/// A tensor of one scalar type from its bytes.
template <class Scalar>
AnyTensor tensor_from_bytes(const TensorEntry& entry, std::string_view bytes, const std::string& where) {
  std::int64_t count = 0;
  try {
    count = element_count(entry.shape);
  } catch (const ShapeError& error) {
    throw FormatError(where, "tensor " + printable(entry.name) + ": " + error.detail());
  }
  if (static_cast<std::uint64_t>(count) * sizeof(Scalar) != bytes.size())
    throw FormatError(where, concat("tensor ", printable(entry.name), " has ", bytes.size(),
                                    " bytes, but its shape ", entry.shape, " of ", dtype_of_v<Scalar>,
                                    " needs ", static_cast<std::uint64_t>(count) * sizeof(Scalar)));
  BasicTensor<Scalar> out(entry.shape);
  copy_little_endian(bytes.data(), reinterpret_cast<char*>(out.mutable_data()),
                     static_cast<std::size_t>(count), sizeof(Scalar));
  return out;
}

/// A tensor of the entry's dtype. Throws UnsupportedError for those of the format that midtread has not.
inline AnyTensor tensor_from_bytes(const TensorEntry& entry, std::string_view bytes,
                                   const std::string& where) {
  if (entry.dtype == "F32") return tensor_from_bytes<float>(entry, bytes, where);
  if (entry.dtype == "F64") return tensor_from_bytes<double>(entry, bytes, where);
  if (entry.dtype == "I64") return tensor_from_bytes<std::int64_t>(entry, bytes, where);
  if (entry.dtype == "I32") return tensor_from_bytes<std::int32_t>(entry, bytes, where);
  if (entry.dtype == "U8") return tensor_from_bytes<std::uint8_t>(entry, bytes, where);
  if (entry.dtype == "I8") return tensor_from_bytes<std::int8_t>(entry, bytes, where);
  const std::string text =
      concat("tensor ", printable(entry.name), " has dtype ", printable(entry.dtype),
             ", allowed F32, F64, I64, I32, U8, I8; convert it where the file was written");
  for (const char* known : {"BOOL", "F16", "BF16", "I16", "U16", "U32", "U64", "C64", "F8_E4M3", "F8_E5M2",
                            "F8_E8M0", "F6_E2M3", "F6_E3M2", "F4"})
    if (entry.dtype == known) throw UnsupportedError(where, text);
  throw FormatError(where, text);
}

/// Checks the header against its checksum and takes both checksums out of the metadata. Returns the tensors'
/// checksums, empty for a file of another writer. Throws FormatError.
inline std::string take_checksums(SafetensorsHeader& header, const std::string& where) {
  const std::string* of_header = header.metadata.find(kHeaderChecksum);
  const std::string* of_tensors = header.metadata.find(kTensorChecksums);
  if (!of_header && !of_tensors) return {};
  if (!of_header || !of_tensors)
    throw FormatError(where, concat("metadata holds one of ", kTensorChecksums, " and ", kHeaderChecksum,
                                    " only: it is damaged"));
  const std::string got = *of_header, checksums = *of_tensors;
  header.metadata.erase(kHeaderChecksum);
  if (hex8(crc32c(header_text(header))) != got || checksums.size() != 8 * header.tensors.size())
    throw FormatError(where + ":8",
                      concat("the header's checksum is wrong: the file is damaged, or was changed by another "
                             "program that kept the metadata ",
                             kHeaderChecksum));
  header.metadata.erase(kTensorChecksums);
  return checksums;
}

/// The tensors, row-major, and the metadata of a file's bytes. Every byte is accounted for; nothing is
/// allocated that the file does not hold. Throws FormatError, or UnsupportedError naming a dtype, at `where`.
inline TensorFile parse_tensors(std::string_view bytes, const std::string& where) {
  if (bytes.size() < 8)
    throw FormatError(concat(where, ":", bytes.size()), "ends here; a safetensors file has 8 bytes or more");
  std::uint64_t length = 0;
  for (std::size_t i = 8; i-- > 0;) length = length << 8 | static_cast<unsigned char>(bytes[i]);
  if (length > kMaxHeaderBytes)
    throw FormatError(where + ":0", concat("header of ", length, " bytes, allowed ", kMaxHeaderBytes,
                                           "; is it a safetensors file?"));
  if (length > bytes.size() - 8)
    throw FormatError(concat(where, ":", bytes.size()),
                      concat("ends here, within the header of ", length, " bytes"));

  const std::string_view body = bytes.substr(8 + static_cast<std::size_t>(length));
  SafetensorsHeader header =
      parse_header(bytes.substr(8, static_cast<std::size_t>(length)), body.size(), where);
  const std::string checksums = take_checksums(header, where);
  TensorFile file;
  for (std::size_t i = 0; i < header.tensors.size(); ++i) {
    const TensorEntry& entry = header.tensors[i];
    const auto begin = static_cast<std::size_t>(entry.begin),
               size = static_cast<std::size_t>(entry.end - entry.begin);
    const std::string_view data = body.substr(begin, size);
    if (!checksums.empty() && hex8(crc32c(data)) != checksums.substr(8 * i, 8))
      throw FormatError(concat(where, ":", 8 + length + entry.begin),
                        "the checksum of tensor " + printable(entry.name) + " is wrong: the file is damaged");
    file.tensors.insert(entry.name, tensor_from_bytes(entry, data, where));
  }
  file.metadata = std::move(header.metadata);
  return file;
}

/// Replaces `path`, or leaves the old file as it was. Throws IoError, ConfigError.
inline void save_tensors(const std::string& path, const TensorFile& file) {
  write_file(path, serialize_tensors(file));
}

/// Throws IoError, FormatError, UnsupportedError.
inline TensorFile load_tensors(const std::string& path) { return parse_tensors(read_file(path), path); }

MIDTREAD_NAMESPACE_END
