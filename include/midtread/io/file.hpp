// SPDX-License-Identifier: MIT
// Files that are replaced whole or not at all: written beside, made durable, renamed over the old one.
#pragma once

#include <midtread/data/read_file.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

namespace midtread_state {
inline std::atomic<unsigned> temporary_files{0};
}

MIDTREAD_NAMESPACE_BEGIN(io)

using data::FileDescriptor;
using data::io_error;
using data::read_file;

/// Where symbolic links at the end of `path` lead, so that the link stays and its target is replaced.
inline std::string resolve_links(std::string path) {
  namespace fs = std::filesystem;
  std::error_code error;
  for (int links = 0; fs::is_symlink(fs::symlink_status(path, error)); ++links) {
    if (links == 40) throw io_error(path, "cannot follow", ELOOP);
    const fs::path target = fs::read_symlink(path, error);
    if (error) throw IoError(path, "cannot follow: " + error.message());
    path = (target.is_absolute() ? target : fs::path(path).parent_path() / target).string();
  }
  return path;
}

/// A file beside its destination, removed unless it was renamed over it.
class TemporaryFile {
 public:
  /// Creates <path>.tmp.<process>.<number>. Throws IoError.
  explicit TemporaryFile(const std::string& path) : path_(path), file_(create()) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!name_.empty()) ::unlink(name_.c_str());
  }

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t put = ::write(file_.get(), bytes.data(), bytes.size());
      if (put > 0)
        bytes.remove_prefix(static_cast<std::size_t>(put));
      else if (put == 0 || errno != EINTR)
        throw io_error(path_, "cannot write", put == 0 ? EIO : errno);
    }
  }
  /// Takes over the access rights of the file to be replaced.
  void copy_mode(mode_t mode) {
    if (::fchmod(file_.get(), mode & 07777) != 0)
      throw io_error(path_, "cannot set its access rights", errno);
  }
  /// Data to the disk first, then the name, then the name to the disk. A failed fsync is not tried again: the
  /// kernel may have dropped the pages.
  void replace() {
    if (::fsync(file_.get()) != 0) throw io_error(path_, "cannot make its data durable", errno);
    if (const int error = file_.close()) throw io_error(path_, "cannot close", error);
    if (std::rename(name_.c_str(), path_.c_str()) != 0)
      throw io_error(path_, "cannot rename the new file over it", errno);
    name_.clear();
    const std::string directory = std::filesystem::path(path_).parent_path().string();
    const FileDescriptor parent(
        ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (parent.get() < 0 ||
        (::fsync(parent.get()) != 0 && errno != EINVAL))  // EINVAL: a file system without it
      throw io_error(path_, "is written, but its name may not survive a power cut", errno);
  }

 private:
  int create() {
    for (int attempt = 0; attempt < 1000; ++attempt) {
      name_ = concat(path_, ".tmp.", ::getpid(), ".", midtread_state::temporary_files.fetch_add(1));
      const int file = ::open(name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
      if (file >= 0) return file;
      if (errno == EEXIST || errno == EINTR) continue;  // EEXIST: left by a process of the same number
      const int error = errno;
      name_.clear();
      throw io_error(path_, "cannot create a file beside it", error);
    }
    name_.clear();
    throw io_error(path_, "cannot create a file beside it", EEXIST);
  }

  std::string path_;
  std::string name_;
  FileDescriptor file_;
};

/// Removes <path>.tmp.* that nobody has written to for an hour: their writer was killed.
inline void remove_stale_temporaries(const std::string& path) {
  namespace fs = std::filesystem;
  const fs::path target(path);
  const std::string prefix = target.filename().string() + ".tmp.";
  const fs::path directory = target.has_parent_path() ? target.parent_path() : fs::path(".");
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.compare(0, prefix.size(), prefix) != 0 ||
        name.find_first_not_of("0123456789.", prefix.size()) != std::string::npos)
      continue;
    std::error_code ignored;
    const auto written = fs::last_write_time(entry->path(), ignored);
    if (!ignored && fs::file_time_type::clock::now() - written > std::chrono::hours(1))
      fs::remove(entry->path(), ignored);
  }
}

/// Replaces the file `path`, or leaves the old one as it was. Whoever reads it sees one or the other; of two
/// writers the last wins. Throws IoError.
inline void write_file(const std::string& path, std::string_view bytes) {
  if (path.empty() || path.find('\0') != std::string::npos) throw io_error(path.c_str(), "cannot write", EINVAL);
  const std::string target = resolve_links(path);
  struct stat status;
  const bool exists = ::stat(target.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) throw io_error(path, "cannot write", EISDIR);
  if (exists && !S_ISREG(status.st_mode))
    throw IoError(path, "is a device, a pipe or a socket; give a regular file");
  {
    TemporaryFile file(target);
    if (exists) file.copy_mode(status.st_mode);
    file.write(bytes);
    file.replace();
  }
  remove_stale_temporaries(target);
}

MIDTREAD_NAMESPACE_END
