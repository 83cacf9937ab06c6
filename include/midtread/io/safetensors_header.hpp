// SPDX-License-Identifier: MIT
// The header of a safetensors file: JSON {"name": {"dtype", "shape", "data_offsets": [begin, end]}, ...} and
// a string map "__metadata__". Read event by event into exactly this shape: nothing else is accepted.
#pragma once

#include <midtread/core/error.hpp>
#include <midtread/core/ordered_dict.hpp>
#include <midtread/core/shape.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(io)

inline constexpr std::size_t kMaxHeaderBytes = std::size_t{16} << 20;
inline constexpr std::size_t kMaxHeaderNames = 16384;  // of tensors, and of metadata: look-ups are linear

struct TensorEntry {
  std::string name;
  std::string dtype;
  Shape shape;
  std::uint64_t begin = 0, end = 0;  // bytes from the end of the header
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;
  OrderedDict<std::string> metadata;
};

/// The JSON text, without padding; metadata by name. Throws ConfigError for a name that is not UTF-8.
inline std::string header_text(const SafetensorsHeader& header) {
  const auto quoted = [](const std::string& text) {
    try {
      return nlohmann::json(text).dump();
    } catch (const nlohmann::json::exception&) {
      throw ConfigError(printable(text), "this name or metadata is not UTF-8");
    }
  };
  std::string out = "{";
  if (!header.metadata.empty()) {
    std::vector<OrderedDict<std::string>::Item> items(header.metadata.begin(), header.metadata.end());
    std::sort(items.begin(), items.end());
    out += "\"__metadata__\":{";
    for (const auto& item : items) out += quoted(item.first) + ':' + quoted(item.second) + ',';
    out.back() = '}';
    out += ',';
  }
  for (const TensorEntry& tensor : header.tensors) {
    out += quoted(tensor.name) + ":{\"dtype\":" + quoted(tensor.dtype) + ",\"shape\":[";
    for (int i = 0; i < tensor.shape.rank(); ++i) out += (i ? "," : "") + std::to_string(tensor.shape[i]);
    out += "],\"data_offsets\":[" + std::to_string(tensor.begin) + ',' + std::to_string(tensor.end) + "]},";
  }
  if (out.size() > 1) out.pop_back();
  return out + '}';
}

/// Takes the parser's events; every one that the format does not allow here is a FormatError.
class SafetensorsHeaderReader {
 public:
  explicit SafetensorsHeaderReader(const std::string& where) : where_(where) {}

  SafetensorsHeader header;

  bool null() { return unexpected("null"); }
  bool boolean(bool) { return unexpected("a boolean"); }
  bool number_integer(std::int64_t value) { return unexpected(std::to_string(value)); }
  bool number_float(double, const std::string& text) { return unexpected(printable(text)); }
  bool number_unsigned(std::uint64_t value) {
    if (list_ == List::kShape) {
      if (value > static_cast<std::uint64_t>(INT64_MAX)) return unexpected(std::to_string(value));
      if (tensor().shape.rank() == Shape::kMaxRank)
        throw fail(concat("has more than ", Shape::kMaxRank, " dimensions"));
      tensor().shape.push_back(static_cast<std::int64_t>(value));
    } else if (list_ == List::kOffsets && offsets_ < 2) {
      (offsets_++ == 0 ? tensor().begin : tensor().end) = value;
    } else {
      return unexpected(std::to_string(value));
    }
    return true;
  }
  bool string(std::string& text) {
    if (depth_ == 2 && in_metadata_) {
      header.metadata.insert(key_, text);
    } else if (depth_ == 2 && key_ == "dtype") {
      tensor().dtype = text;
    } else {
      return unexpected('"' + printable(text) + '"');
    }
    return true;
  }
  bool binary(nlohmann::json::binary_t&) { return unexpected("binary data"); }

  bool start_object(std::size_t) {
    if (depth_ > 1 || list_ != List::kNone) return unexpected("an object");
    ++depth_;
    inner_.clear();
    return true;
  }
  bool key(std::string& text) {
    if (depth_ == 1) {
      if (!names_.insert(text).second) throw fail("the name " + printable(text) + " appears twice");
      in_metadata_ = text == "__metadata__";
      if (!in_metadata_) {
        if (header.tensors.size() == kMaxHeaderNames)
          throw fail(concat("more than ", kMaxHeaderNames, " tensors"));
        header.tensors.emplace_back();
        tensor().name = text;
      }
    } else {
      if (!inner_.insert(text).second) throw fail("the key " + printable(text) + " appears twice");
      if (inner_.size() > kMaxHeaderNames)
        throw fail(concat("more than ", kMaxHeaderNames, " strings of metadata"));
      if (!in_metadata_ && text != "dtype" && text != "shape" && text != "data_offsets")
        throw fail("unknown key " + printable(text) + ", allowed: dtype, shape, data_offsets");
      key_ = text;
    }
    return true;
  }
  bool end_object() {
    if (depth_ == 2 && !in_metadata_) {
      for (const char* needed : {"dtype", "shape", "data_offsets"})
        if (!inner_.count(needed)) throw fail(concat("without ", needed));
      if (offsets_ != 2) throw fail(concat("data_offsets holds ", offsets_, " numbers, wanted 2"));
      offsets_ = 0;
    }
    --depth_;
    return true;
  }
  bool start_array(std::size_t) {
    if (depth_ != 2 || in_metadata_ || list_ != List::kNone || key_ == "dtype") return unexpected("a list");
    list_ = key_ == "shape" ? List::kShape : List::kOffsets;
    return true;
  }
  bool end_array() {
    list_ = List::kNone;
    return true;
  }
  bool parse_error(std::size_t position, const std::string& token, const nlohmann::json::exception&) {
    throw FormatError(concat(where_, ":", 8 + position),
                      "the header is not JSON from here on: got '" + printable(token) + "'");
  }

 private:
  enum class List { kNone, kShape, kOffsets };

  TensorEntry& tensor() { return header.tensors.back(); }
  FormatError fail(const std::string& text) const {
    const bool named = depth_ == 2 || list_ != List::kNone;
    if (!named) return FormatError(where_, "header: " + text);
    const std::string name = in_metadata_ ? "__metadata__" : header.tensors.back().name;
    return FormatError(where_, "header, " + printable(name) + ": " + text);
  }
  bool unexpected(const std::string& what) const {
    const char* wanted = list_ != List::kNone ? "numbers from 0 up"
                         : depth_ == 0        ? "an object"
                         : depth_ == 1        ? "an object for every name"
                         : in_metadata_       ? "strings"
                         : key_ == "dtype"    ? "a string as dtype"
                                              : "a list as shape and as data_offsets (two numbers)";
    throw fail("got " + what + ", wanted " + wanted);
  }

  std::string where_;
  int depth_ = 0;
  bool in_metadata_ = false;
  std::string key_;
  List list_ = List::kNone;
  int offsets_ = 0;
  std::unordered_set<std::string> names_, inner_;
};

/// Parses the header's text and checks that the tensors fill `body` bytes in turn, without hole or overlap.
/// The tensors come in the order of their bytes. Throws FormatError.
inline SafetensorsHeader parse_header(std::string_view text, std::uint64_t body, const std::string& where) {
  if (text.empty() || text[0] != '{') throw FormatError(where + ":8", "the header does not begin with {");
  const std::size_t nul = text.find('\0');  // to the parser an end of input
  if (nul != std::string_view::npos)
    throw FormatError(concat(where, ":", 8 + nul), "a zero byte in the header");
  SafetensorsHeaderReader reader(where);
  nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
  SafetensorsHeader& header = reader.header;
  std::stable_sort(header.tensors.begin(), header.tensors.end(),
                   [](const TensorEntry& a, const TensorEntry& b) {
                     return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
                   });
  std::uint64_t at = 0;
  for (const TensorEntry& tensor : header.tensors) {
    if (tensor.begin != at || tensor.end < tensor.begin)
      throw FormatError(where, concat("tensor ", printable(tensor.name), " has bytes ", tensor.begin, "..",
                                      tensor.end, ", but it must begin at ", at, ": no holes, no overlap"));
    at = tensor.end;
  }
  if (at != body)
    throw FormatError(concat(where, ":", 8 + text.size() + body),
                      concat("ends here, with ", body, " bytes of data; the header promises ", at));
  return std::move(header);
}

MIDTREAD_NAMESPACE_END
