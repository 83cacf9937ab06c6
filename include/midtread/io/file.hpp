// SPDX-License-Identifier: MIT
// Files that are replaced whole or not at all: written beside, made durable, renamed over the old one.
#pragma once

#include <midtread/data/read_file.hpp>

#include <atomic>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <string>
#include <string_view>

#include <dirent.h>

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

inline std::string parent_directory(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
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
  void replace(const std::string& directory) {
    if (::fsync(file_.get()) != 0) throw io_error(path_, "cannot make its data durable", errno);
    if (const int error = file_.close()) throw io_error(path_, "cannot close", error);
    if (std::rename(name_.c_str(), path_.c_str()) != 0)
      throw io_error(path_, "cannot rename the new file over it", errno);
    name_.clear();
    const FileDescriptor parent(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
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

/// Removes <directory>/<prefix>* that nobody has written to for an hour: their writer was killed. Without
/// std::filesystem, whose directory_iterator ends the program where memory is short.
inline void remove_stale_temporaries(const std::string& directory, std::string_view prefix) noexcept {
  DIR* const entries = ::opendir(directory.c_str());
  if (!entries) return;
  while (const dirent* entry = ::readdir(entries)) {
    const std::string_view name = entry->d_name;
    struct stat status;
    if (name.substr(0, prefix.size()) == prefix &&
        name.find_first_not_of("0123456789.", prefix.size()) == std::string_view::npos &&
        ::fstatat(::dirfd(entries), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        std::time(nullptr) - status.st_mtime > 3600)
      ::unlinkat(::dirfd(entries), entry->d_name, 0);
  }
  ::closedir(entries);
}

/// Replaces the file `path`, or leaves the old one as it was. Whoever reads it sees one or the other; of two
/// writers the last wins. Throws IoError.
inline void write_file(const std::string& path, std::string_view bytes) {
  if (path.empty() || path.find('\0') != std::string::npos)
    throw io_error(path.c_str(), "cannot write", EINVAL);
  const std::string target = resolve_links(path);
  struct stat status;
  const bool exists = ::stat(target.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) throw io_error(path, "cannot write", EISDIR);
  if (exists && !S_ISREG(status.st_mode))
    throw IoError(path, "is a device, a pipe or a socket; give a regular file");
  const std::string directory = parent_directory(target);
  const std::string temporaries = std::filesystem::path(target).filename().string() + ".tmp.";
  {
    TemporaryFile file(target);
    if (exists) file.copy_mode(status.st_mode);
    file.write(bytes);
    file.replace(directory);
  }
  remove_stale_temporaries(directory, temporaries);
}

MIDTREAD_NAMESPACE_END
