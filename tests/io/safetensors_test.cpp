// SPDX-License-Identifier: MIT
#include <midtread/io/safetensors.hpp>
#include <midtread/tensor/compare.hpp>
#include <midtread/tensor/factory.hpp>

#include <gtest/gtest.h>

#include <cstdio>

#include "data/expect_error.hpp"
#include "io/scratch_directory.hpp"

using midtread::AnyTensor;
using midtread::BasicTensor;
using midtread::ConfigError;
using midtread::FormatError;
using midtread::IoError;
using midtread::Shape;
using midtread::Tensor;
using midtread::UnsupportedError;
using midtread::io::parse_tensors;
using midtread::io::serialize_tensors;
using midtread::io::TensorFile;

namespace safetensors_test {

/// A file of this header, its length before it, and this body.
std::string file(const std::string& header, const std::string& body = "") {
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>(header.size() >> (8 * i) & 255u);
  return out + header + body;
}
bool same(const AnyTensor& a, const AnyTensor& b) {
  return a.dtype() == b.dtype() && a.visit([&](const auto& x) {
    return midtread::identical(x, b.get<typename std::decay_t<decltype(x)>::scalar_type>());
  });
}
bool same(const TensorFile& a, const TensorFile& b) {
  if (a.tensors.size() != b.tensors.size() || a.metadata.size() != b.metadata.size()) return false;
  for (const auto& item : a.tensors)
    if (!b.tensors.contains(item.first) || !same(item.second, b.tensors.at(item.first))) return false;
  for (const auto& item : a.metadata)
    if (!b.metadata.contains(item.first) || item.second != b.metadata.at(item.first)) return false;
  return true;
}
template <class Scalar>
BasicTensor<Scalar> pattern(const Shape& shape) {
  BasicTensor<Scalar> out(shape);
  auto* bytes = reinterpret_cast<unsigned char*>(out.mutable_data());
  for (std::size_t i = 0; i < static_cast<std::size_t>(out.numel()) * sizeof(Scalar); ++i)
    bytes[i] = static_cast<unsigned char>(i * 101 + 7);
  return out;
}
/// All six types, ranks 0 to 8, empty tensors, and metadata.
TensorFile everything() {
  TensorFile out;
  out.tensors.insert("conv.weight", pattern<float>({4, 3, 3, 3}));
  out.tensors.insert("double", pattern<double>({2, 2}));
  out.tensors.insert("bn.num_batches_tracked", midtread::scalar<std::int64_t>(-5));
  out.tensors.insert("codes", pattern<std::uint8_t>({7}));
  out.tensors.insert("weights", pattern<std::int8_t>({3, 1, 5}));
  out.tensors.insert("zero_point", pattern<std::int32_t>({5}));
  out.tensors.insert("empty", BasicTensor<float>(Shape{3, 0, 2}));
  out.tensors.insert("empty.bytes", BasicTensor<std::int8_t>(Shape{0}));
  out.tensors.insert("eight", pattern<float>({1, 2, 1, 2, 1, 2, 1, 2}));
  out.tensors.insert("", pattern<float>({1}));
  out.tensors.insert("a \"name\"\\ with\n\t\x01 \xe2\x82\xac/", pattern<std::uint8_t>({1}));
  out.metadata.insert("epoch", "3");
  out.metadata.insert("", "");
  out.metadata.insert("json", "{\"lr\": 0.1, \"text\": \"\\u20ac\"}");
  return out;
}

TEST(Safetensors, GivesBackWhatWasSaved) {
  EXPECT_TRUE(same(parse_tensors(serialize_tensors(everything()), "f"), everything()));
  EXPECT_TRUE(same(parse_tensors(serialize_tensors({}), "f"), {}));
  const ScratchDirectory directory;
  midtread::io::save_tensors(directory / "f", everything());
  EXPECT_TRUE(same(midtread::io::load_tensors(directory / "f"), everything()));
}

TEST(Safetensors, WritesLogicalOrderWhateverTheMemory) {
  const Tensor rows = pattern<float>({2, 3, 4, 5});
  TensorFile plain, turned;
  plain.tensors.insert("x", rows);
  turned.tensors.insert("x", rows.channels_last());
  EXPECT_EQ(serialize_tensors(plain), serialize_tensors(turned));
}

TEST(Safetensors, WritesTheseBytes) {
  TensorFile out;
  out.tensors.insert("w", midtread::from_vector<float>({1, -2}, {2}));
  out.tensors.insert("n", midtread::scalar<std::int64_t>(258));
  out.metadata.insert("epoch", "3");
  const std::string header =
      "{\"__metadata__\":{\"epoch\":\"3\",\"midtread.crc32c\":\"7653640caa36f2c9\",\"midtread.header_"
      "crc32c\":\"af929da4\"},"
      "\"n\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
      "\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}";
  const std::string body("\x02\x01\0\0\0\0\0\0\0\0\x80\x3f\0\0\0\xc0", 16);
  EXPECT_EQ(serialize_tensors(out), file(header + std::string((8 - header.size() % 8) % 8, ' '), body));
}

TEST(Safetensors, AlignsEveryTensorToItsElements) {
  const std::string bytes = serialize_tensors(everything());
  std::uint64_t length = 0;
  for (std::size_t i = 8; i-- > 0;) length = length << 8 | static_cast<unsigned char>(bytes[i]);
  EXPECT_EQ(length % 8, 0u);
  const auto header = midtread::io::parse_header(bytes.substr(8, length), bytes.size() - 8 - length, "f");
  EXPECT_EQ(header.tensors.size(), everything().tensors.size());
  for (const auto& tensor : header.tensors)
    EXPECT_EQ(tensor.begin % midtread::size_of(everything().tensors.at(tensor.name).dtype()), 0u);
}

// Written by the reference implementation (safetensors 0.8.0 for Python).
TEST(Safetensors, ReadsTheReferenceWriter) {
  const std::string header =
      "{\"__metadata__\":{\"epoch\":\"3\"},\"n\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
      "\"a\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[8,24]},"
      "\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[24,48]},"
      "\"empty\":{\"dtype\":\"F32\",\"shape\":[0,4],\"data_offsets\":[48,48]},"
      "\"i\":{\"dtype\":\"I32\",\"shape\":[3],\"data_offsets\":[48,60]},"
      "\"q\\\"\xc3\xa9\\n\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[60,61]},"
      "\"s\":{\"dtype\":\"I8\",\"shape\":[2,1],\"data_offsets\":[61,63]},"
      "\"u\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[63,66]}} ";
  const char body[] =
      "\x07\0\0\0\0\0\0\0"
      "\0\0\0\0\0\0\xf0?"
      "\0\0\0\0\0\0\0\xc0"
      "\0\0\x80?\0\0\0@\0\0@@\0\0\x80@\0\0\xa0@\0\0\xc0@"
      "\xff\xff\xff\xff\x02\0\0\0\x03\0\0\0"
      "\x01"
      "\x80\x7f"
      "\0\xff\x80";
  const TensorFile got = parse_tensors(file(header, std::string(body, sizeof(body) - 1)), "f");
  TensorFile wanted;
  wanted.tensors.insert("n", midtread::scalar<std::int64_t>(7));
  wanted.tensors.insert("a", midtread::from_vector<double>({1, -2}, {2}));
  wanted.tensors.insert("b", midtread::from_vector<float>({1, 2, 3, 4, 5, 6}, {2, 3}));
  wanted.tensors.insert("empty", BasicTensor<float>(Shape{0, 4}));
  wanted.tensors.insert("i", midtread::from_vector<std::int32_t>({-1, 2, 3}, {3}));
  wanted.tensors.insert("q\"\xc3\xa9\n", midtread::from_vector<std::int8_t>({1}, {1}));
  wanted.tensors.insert("s", midtread::from_vector<std::int8_t>({-128, 127}, {2, 1}));
  wanted.tensors.insert("u", midtread::from_vector<std::uint8_t>({0, 255, 128}, {3}));
  wanted.metadata.insert("epoch", "3");
  EXPECT_TRUE(same(got, wanted));
}

TEST(Safetensors, AcceptsWhatTheFormatAllows) {
  int cases = 0;
  const auto accept = [&](const std::string& header, const std::string& body, std::size_t tensors) {
    EXPECT_EQ(parse_tensors(file(header, body), "f").tensors.size(), tensors) << header;
    ++cases;
  };
  accept("{}", "", 0);
  accept("{}      ", "", 0);
  accept(R"({"__metadata__":{}})", "", 0);
  accept(R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})", "x", 1);
  accept(
      R"({ "b" : {"data_offsets":[2,4], "shape":[2], "dtype":"U8"}, "a":{"shape":[1,2],"dtype":"I8","data_offsets":[0,2]} })",
      "wxyz", 2);
  accept(
      R"({"e":{"dtype":"F64","shape":[0,9],"data_offsets":[1,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"f":{"dtype":"F32","shape":[3,0],"data_offsets":[1,1]}})",
      "x", 3);
  std::printf("cases=%d\n", cases);
}

TEST(Safetensors, RefusesEveryBrokenRule) {
  int cases = 0;
  const auto refuse = [&](const std::string& bytes, std::initializer_list<std::string> words) {
    expect_error<FormatError>([&] { parse_tensors(bytes, "file"); }, words);
    ++cases;
  };
  const auto entry = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"t":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  const auto length = [](std::uint64_t value) {
    std::string out;
    for (int i = 0; i < 8; ++i) out += static_cast<char>(value >> (8 * i) & 255u);
    return out;
  };
  // Length.
  refuse("", {"file:0", "ends here"});
  refuse(std::string(7, '\0'), {"file:7"});
  refuse(length(0), {"file:8", "begin with {"});
  refuse(length(3) + "{}", {"file:10", "header of 3 bytes"});
  refuse(length(1 << 24) + "{}", {"file:10", "16777216"});
  refuse(length((1 << 24) + 1) + "{}", {"file:0", "16777217", "allowed 16777216"});
  refuse(length(std::uint64_t{1} << 63) + "{}", {"9223372036854775808"});
  refuse(length(UINT64_MAX) + "{}", {"18446744073709551615"});
  refuse(length(UINT64_MAX - 7) + "{}", {"allowed 16777216"});
  // JSON.
  refuse(file(" {}"), {"file:8", "begin with {"});
  refuse(file("\xef\xbb\xbf{}"), {"begin with {"});
  refuse(file("[]"), {"begin with {"});
  refuse(file("{"), {"not JSON"});
  refuse(file("{}{}"), {"file:1", "not JSON"});
  refuse(file("{}x"), {"not JSON"});
  refuse(file(std::string("{}\0\0", 4)), {"file:10", "zero byte"});
  refuse(file("{\"a\xff\":{}}"), {"not JSON"});
  refuse(file("{\"a\xc0\x80\":{}}"), {"not JSON"});
  refuse(file("{,}"), {"not JSON"});
  refuse(file(R"({"a":{},})"), {"header, a: without dtype"});
  refuse(file(R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},})", "x"), {"not JSON"});
  // Kinds.
  for (const char* value : {"1", "\"x\"", "null", "true", "[]", "1.5", "-1"})
    refuse(file(std::string(R"({"t":)") + value + "}"), {"an object for every name"});
  for (const char* value : {"1", "null", "false", "[]", "{}", "-1", "0.5"})
    refuse(file(std::string(R"({"__metadata__":{"k":)") + value + "}}"), {"__metadata__", "strings"});
  for (const char* value : {"1", "null", "[]", "{}"})
    refuse(file(entry(value, "[1]", "[0,1]"), "x"), {"t: got", "dtype"});
  for (const char* value : {"1", "null", "\"1\"", "{}"})
    refuse(file(entry("\"U8\"", value, "[0,1]"), "x"), {"t: got", "list"});
  for (const char* value : {"[-1]", "[1.0]", "[1e2]", "[\"1\"]", "[null]", "[[1]]", "[{}]",
                            "[18446744073709551616]", "[9223372036854775808]"})
    refuse(file(entry("\"U8\"", value, "[0,1]"), "x"), {"t: got", "numbers from 0 up"});
  for (const char* value : {"[0,-1]", "[0,1.5]", "[0,null]", "[0,1,2]", "[0,1e9]", "[0,[1]]"})
    refuse(file(entry("\"U8\"", "[1]", value), "x"), {"t: got", "numbers from 0 up"});
  for (const char* value : {"[]", "[0]"})
    refuse(file(entry("\"U8\"", "[1]", value), "x"), {"t: data_offsets holds", "wanted 2"});
  // Keys.
  refuse(file(R"({"t":{"shape":[],"data_offsets":[0,1]}})", "x"), {"t: without dtype"});
  refuse(file(R"({"t":{"dtype":"U8","data_offsets":[0,1]}})", "x"), {"t: without shape"});
  refuse(file(R"({"t":{"dtype":"U8","shape":[]}})", "x"), {"t: without data_offsets"});
  refuse(file(R"({"t":{"dtype":"U8","shape":[],"data_offsets":[0,1],"extra":1}})", "x"),
         {"unknown key extra"});
  refuse(file(R"({"t":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}})", "x"),
         {"t: the key dtype appears twice"});
  refuse(file(R"({"t":{"dtype":"U8","shape":[],"shape":[1],"data_offsets":[0,1]}})", "x"),
         {"shape appears twice"});
  refuse(file(R"({"t":{"dtype":"U8","shape":[],"data_offsets":[0,1],"data_offsets":[0,1]}})", "x"),
         {"data_offsets appears twice"});
  refuse(
      file(
          R"({"t":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"t":{"dtype":"U8","shape":[],"data_offsets":[1,2]}})",
          "xy"),
      {"the name t appears twice"});
  refuse(
      file(
          R"({"t":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"\u0074":{"dtype":"U8","shape":[],"data_offsets":[1,2]}})",
          "xy"),
      {"the name t appears twice"});
  refuse(file(R"({"__metadata__":{},"__metadata__":{}})"), {"__metadata__ appears twice"});
  refuse(file(R"({"__metadata__":{"k":"1","k":"2"}})"), {"the key k appears twice"});
  // Types and shapes.
  for (const char* dtype : {"F33", "f32", "", "U8 ", "float32"})
    refuse(file(entry('"' + std::string(dtype) + '"', "[1]", "[0,1]"), "x"), {"dtype", "allowed F32"});
  refuse(file(entry("\"F32\"", "[1]", "[0,1]"), "x"), {"t has 1 bytes", "but its shape [1]", "needs 4"});
  refuse(file(entry("\"U8\"", "[2]", "[0,1]"), "x"), {"needs 2"});
  refuse(file(entry("\"U8\"", "[0]", "[0,1]"), "x"), {"needs 0"});
  refuse(file(entry("\"U8\"", "[1,1,1,1,1,1,1,1,1]", "[0,1]"), "x"), {"more than 8 dimensions"});
  refuse(file(entry("\"U8\"", "[4294967296,4294967296]", "[0,1]"), "x"), {"too many elements"});
  refuse(file(entry("\"F32\"", "[4611686018427387905]", "[0,4]"), "abcd"), {"too many elements"});
  refuse(file(entry("\"F64\"", "[2305843009213693952]", "[0,0]"), ""), {"too many elements"});
  refuse(file(entry("\"U8\"", "[9223372036854775807,9223372036854775807,0]", "[0,0]"), ""),
         {"too many elements"});
  // Offsets.
  refuse(file(entry("\"U8\"", "[1]", "[1,2]"), "xy"), {"bytes 1..2", "begin at 0"});
  refuse(file(entry("\"U8\"", "[1]", "[1,0]"), "x"), {"bytes 1..0"});
  refuse(file(entry("\"U8\"", "[1]", "[0,1]"), "xy"), {"2 bytes of data", "promises 1"});
  refuse(file(entry("\"U8\"", "[1]", "[0,1]"), ""), {"0 bytes of data", "promises 1"});
  refuse(file("{}", "x"), {"1 bytes of data", "promises 0"});
  refuse(file(entry("\"U8\"", "[1]", "[0,18446744073709551615]"), "x"), {"promises 18446744073709551615"});
  refuse(
      file(
          R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
          "xyz"),
      {"tensor b", "1..3", "begin at 2"});
  refuse(
      file(
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
          "xyz"),
      {"tensor b", "no holes"});
  refuse(
      file(
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
          "x"),
      {"tensor b", "no overlap"});
  std::printf("cases=%d\n", cases);
}

TEST(Safetensors, NamesTypesItHasNot) {
  int cases = 0;
  for (const char* dtype : {"BOOL", "F16", "BF16", "I16", "U16", "U32", "U64", "F8_E4M3"}) {
    expect_error<UnsupportedError>(
        [&] {
          parse_tensors(
              file(std::string(R"({"t":{"dtype":")") + dtype + R"(","shape":[0],"data_offsets":[0,0]}})"),
              "file");
        },
        {"file", "tensor t has dtype", dtype, "F32"});
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

TEST(Safetensors, StandsBombs) {
  int cases = 0;
  const auto refuse = [&](const std::string& bytes) {
    EXPECT_THROW(parse_tensors(bytes, "file"), FormatError);
    ++cases;
  };
  for (const int depth : {3, 10, 100000, 8000000}) {
    refuse(file(R"({"t":)" + std::string(static_cast<std::size_t>(depth), '[')));
    std::string objects;
    for (int i = 0; i < depth / 5; ++i) objects += "{\"a\":";
    refuse(file(objects));
  }
  std::string many = "{", metadata = "{\"__metadata__\":{";
  for (int i = 0; i < 200000; ++i) {
    many += "\"" + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)";
    metadata += "\"" + std::to_string(i) + "\":\"\",";
  }
  many.back() = '}', metadata.back() = '}';
  refuse(file(many));
  refuse(file(metadata + "}"));
  refuse(file("{\"" + std::string(10000000, 'x') + "\":1}"));
  refuse(file(R"({"t":{"dtype":"U8","shape":[)" + std::string(1000000, '9') + R"(],"data_offsets":[0,0]}})"));
  std::printf("cases=%d\n", cases);
}

TEST(Safetensors, RefusesWhatCannotBeWritten) {
  const auto refuse = [](const char* tensor, const char* key, std::initializer_list<std::string> words) {
    TensorFile out;
    out.tensors.insert(tensor, midtread::ones({1}));
    out.metadata.insert(key, "x");
    expect_error<ConfigError>([&] { serialize_tensors(out); }, words);
  };
  refuse("__metadata__", "k", {"__metadata__", "cannot have this name"});
  refuse("t", "midtread.crc32c", {"midtread.crc32c", "is written by midtread"});
  refuse("t", "midtread.header_crc32c", {"midtread.header_crc32c"});
  refuse("bad\xff", "k", {"metadata is not UTF-8"});
  refuse("t", "bad\xc0", {"UTF-8"});
  const ScratchDirectory directory;
  TensorFile out;
  out.tensors.insert("bad\xff", midtread::ones({1}));
  EXPECT_THROW(midtread::io::save_tensors(directory / "f", out), ConfigError);
  EXPECT_TRUE(directory.names().empty());
  out = {};
  out.tensors.insert("undefined", Tensor());
  EXPECT_THROW(serialize_tensors(out), midtread::StateError);
  out = {};
  out.metadata.insert("huge", std::string(std::size_t{17} << 20, 'x'));
  expect_error<ConfigError>([&] { serialize_tensors(out); }, {"the header has", "allowed 16777216"});
  out = {};
  for (int i = 0; i < 16383; ++i) out.metadata.insert(std::to_string(i), "");
  expect_error<ConfigError>([&] { serialize_tensors(out); },
                            {"0 tensors and 16383 strings", "allowed 16384 and 16382"});
}

/// 4 KiB with every type in it.
std::string four_kibibytes() {
  TensorFile out = everything();
  out.tensors.insert("filler", pattern<float>({640}));
  std::string bytes = serialize_tensors(out);
  EXPECT_GE(bytes.size(), 4096u);
  return bytes;
}

TEST(Safetensors, FindsEveryTruncation) {
  const std::string bytes = four_kibibytes();
  int cases = 0;
  for (std::size_t size = 0; size < bytes.size(); ++size, ++cases)
    ASSERT_THROW(parse_tensors(std::string_view(bytes).substr(0, size), "f"), FormatError) << size;
  for (std::size_t more = 1; more < 70; ++more, ++cases)
    ASSERT_THROW(parse_tensors(bytes + std::string(more, '\0'), "f"), FormatError) << more;
  std::printf("cases=%d\n", cases);
}

TEST(Safetensors, FindsEveryFlippedBit) {
  std::string bytes = four_kibibytes();
  int cases = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at)
    for (int bit = 0; bit < 8; ++bit, ++cases) {
      const char was = bytes[at];
      bytes[at] = static_cast<char>(was ^ (1 << bit));
      ASSERT_THROW(parse_tensors(bytes, "f"), FormatError) << "byte " << at << " bit " << bit;
      bytes[at] = was;
    }
  EXPECT_NO_THROW(parse_tensors(bytes, "f"));
  std::printf("cases=%d\n", cases);
}

TEST(Safetensors, NamesTheDamagedTensor) {
  TensorFile out;
  out.tensors.insert("first", midtread::ones({4}));
  out.tensors.insert("second", midtread::ones({4}));
  std::string bytes = serialize_tensors(out);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  expect_error<FormatError>([&] { parse_tensors(bytes, "file"); },
                            {"file:" + std::to_string(bytes.size() - 16), "checksum of tensor second"});
}

TEST(Safetensors, ChecksumsOutliveAnotherWritersOrder) {
  TensorFile out;
  out.tensors.insert("t", midtread::ones({1}));
  out.metadata.insert("k", "v");
  const std::string bytes = serialize_tensors(out);
  const auto digits = [&](const std::string& key) {
    return bytes.substr(bytes.find(key) + key.size() + 3, 8);
  };
  const std::string of_tensor = digits("midtread.crc32c"), of_header = digits("midtread.header_crc32c");
  const auto other = [&](const std::string& key, const std::string& tensors, const std::string& header) {
    return file(
        R"({"t": {"shape":[1], "data_offsets":[0,4], "dtype":"F32"}, "__metadata__": {"midtread.header_crc32c":")" +
            header + R"(", "k":")" + key + R"(", "midtread.crc32c":")" + tensors + "\"}}  ",
        bytes.substr(bytes.size() - 4));
  };
  EXPECT_TRUE(same(parse_tensors(other("v", of_tensor, of_header), "f"), out));
  expect_error<FormatError>([&] { parse_tensors(other("w", of_tensor, of_header), "f"); },
                            {"header's checksum", "another program"});
  expect_error<FormatError>([&] { parse_tensors(other("v", "00000000", of_header), "f"); },
                            {"header's checksum"});
  expect_error<FormatError>([&] { parse_tensors(other("v", of_tensor, ""), "f"); }, {"header's checksum"});
  expect_error<FormatError>([&] { parse_tensors(file(R"({"__metadata__":{"midtread.crc32c":""}})"), "f"); },
                            {"metadata holds one of", "it is damaged"});
}

TEST(Safetensors, SaysWhyAFileCannotBeReadOrWritten) {
  const ScratchDirectory directory;
  expect_error<IoError>([&] { midtread::io::load_tensors(directory / "none"); }, {"none", "No such file"});
  expect_error<IoError>([&] { midtread::io::load_tensors(directory.path()); }, {"directory"});
  expect_error<IoError>([&] { midtread::io::save_tensors(directory / "none/f", {}); },
                        {"none/f", "No such file"});
  expect_error<FormatError>([&] { midtread::io::load_tensors(directory.put("f", "GGUF....")); },
                            {directory / "f:0", "is it a safetensors file"});
}

}  // namespace safetensors_test
