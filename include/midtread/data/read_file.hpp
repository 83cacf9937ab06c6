// SPDX-License-Identifier: MIT
// The bytes of a regular file, all of them or an IoError that says why not.
#pragma once

#include <midtread/core/error.hpp>

#include <cerrno>
#include <cstddef>
#include <new>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

MIDTREAD_NAMESPACE_BEGIN(data)

/// An IoError with the system's words for `number`.
inline IoError io_error(const std::string& path, const std::string& what, int number) {
  return IoError(path, what + ": " + std::generic_category().message(number));
}

/// An open file descriptor; closed at the end of the scope.
class FileDescriptor {
 public:
  explicit FileDescriptor(int value) noexcept : value_(value) {}
  ~FileDescriptor() {
    if (value_ >= 0) ::close(value_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const noexcept { return value_; }
  /// Closes now; returns errno, 0 for none. An interrupted close has closed.
  int close() noexcept {
    const int result = ::close(value_);
    value_ = -1;
    return result == 0 || errno == EINTR ? 0 : errno;
  }

 private:
  int value_;
};

/// Never maps the file: it may be truncated under our feet. Throws IoError, also where its size changes
/// meanwhile.
inline std::string read_file(const std::string& path) {
  if (path.find('\0') != std::string::npos) throw io_error(path.c_str(), "cannot open", EINVAL);
  const FileDescriptor file(
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a pipe must not block
  if (file.get() < 0) throw io_error(path, "cannot open", errno);
  struct stat status;
  if (::fstat(file.get(), &status) != 0) throw io_error(path, "cannot inspect", errno);
  if (S_ISDIR(status.st_mode)) throw io_error(path, "cannot read", EISDIR);
  if (!S_ISREG(status.st_mode)) throw IoError(path, "is a device, a pipe or a socket; give a regular file");

  const auto size = static_cast<std::size_t>(status.st_size);
  std::string bytes;
  try {
    bytes.resize(size + 1);  // one more, to see a file that grows
  } catch (const std::exception&) {
    throw IoError(path, concat("its ", size, " bytes do not fit in memory"));
  }
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = ::read(file.get(), &bytes[have], bytes.size() - have);
    if (got == 0) break;
    if (got > 0)
      have += static_cast<std::size_t>(got);
    else if (errno != EINTR)
      throw io_error(path, "cannot read", errno);
  }
  if (have != size) throw IoError(path, concat("changed while it was read: had ", size, " bytes; try again"));
  bytes.resize(size);
  return bytes;
}

MIDTREAD_NAMESPACE_END
