// SPDX-License-Identifier: MIT
// The contents of a .gz file (RFC 1952), by zlib where MIDTREAD_HAVE_ZLIB is defined.
#pragma once

#include <midtread/core/error.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#ifndef MIDTREAD_HAVE_ZLIB
#define MIDTREAD_HAVE_ZLIB 0
#endif
#if MIDTREAD_HAVE_ZLIB
#include <zlib.h>
#endif

MIDTREAD_NAMESPACE_BEGIN(data)

#if MIDTREAD_HAVE_ZLIB
/// All members of a gzip stream. Throws FormatError naming `where`, also above `limit` bytes: a small file
/// can unpack to a thousand times its size.
inline std::string gunzip(std::string_view bytes, const std::string& where,
                          std::size_t limit = std::size_t{1} << 31) {
  struct Inflater {
    z_stream stream{};
    Inflater() {
      if (inflateInit2(&stream, 15 + 16) != Z_OK) throw IoError("zlib", "cannot start: out of memory");
    }
    ~Inflater() { inflateEnd(&stream); }
  } inflater;
  z_stream& stream = inflater.stream;
  std::string out;
  std::string piece(std::size_t{1} << 16, '\0');
  std::size_t at = 0;
  int status = Z_OK;
  do {
    if (status == Z_STREAM_END) inflateReset(&stream);  // another member follows
    const std::size_t feed = std::min<std::size_t>(bytes.size() - at, std::size_t{1} << 20);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data() + at));
    stream.avail_in = static_cast<uInt>(feed);
    do {
      stream.next_out = reinterpret_cast<Bytef*>(&piece[0]);
      stream.avail_out = static_cast<uInt>(piece.size());
      status = inflate(&stream, Z_NO_FLUSH);
      const std::size_t offset = at + feed - stream.avail_in;
      if (status == Z_MEM_ERROR) throw IoError(where, "cannot unpack: out of memory");
      if (status == Z_DATA_ERROR || status == Z_NEED_DICT || status == Z_STREAM_ERROR)
        throw FormatError(concat(where, ":", offset),
                          concat("not a sound gzip file: ", stream.msg ? stream.msg : "bad data"));
      const std::size_t made = piece.size() - stream.avail_out;
      if (made > limit - out.size())
        throw FormatError(concat(where, ":", offset), concat("unpacks to more than ", limit, " bytes"));
      out.append(piece, 0, made);
    } while (status == Z_OK && stream.avail_out == 0);
    at += feed - stream.avail_in;
    if (status == Z_BUF_ERROR) status = Z_OK;  // needs more input
  } while (at < bytes.size());
  if (status != Z_STREAM_END) throw FormatError(concat(where, ":", at), "the gzip file is cut off here");
  return out;
}
#else
inline std::string gunzip(std::string_view, const std::string& where) {
  throw IoError(
      where,
      "this program was built without zlib; unpack the file (gunzip -k), or build with zlib (Debian: "
      "zlib1g-dev) and MIDTREAD_HAVE_ZLIB=1");
}
#endif

MIDTREAD_NAMESPACE_END
