// SPDX-License-Identifier: MIT
// The system calls of writing and reading a file, taken over by the test: counted, listed, and made to fail
// one by one. They stand before the C library's, so this header is included by one file of a program.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <vector>

struct SystemCalls {
  bool watching = false;
  std::vector<std::string> calls;  // since watch()
  std::map<std::string, int> count;
  std::string fail;  // this call ...
  int at = 0;        // ... the n-th time, from 0 ...
  int error = 0;     // ... fails so; 0: it does only a part of what was asked
  std::function<void()> before_read;

  void watch() { *this = SystemCalls(), watching = true; }
  void inject(const std::string& call, int nth, int number) {
    watch(), fail = call, at = nth, error = number;
  }
  void stop() { watching = false; }

  enum class Fate { kRun, kFail, kPart };
  Fate fate(const std::string& call) {
    if (!watching) return Fate::kRun;
    calls.push_back(call);
    if (count[call]++ != at || call != fail) return Fate::kRun;
    errno = error;
    return error ? Fate::kFail : Fate::kPart;
  }
};

inline SystemCalls& system_calls() {
  static SystemCalls calls;
  return calls;
}

using Fate = SystemCalls::Fate;

extern "C" {
int open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if (flags & O_CREAT) {
    va_list list;
    va_start(list, flags);
    mode = static_cast<mode_t>(va_arg(list, int));
    va_end(list);
  }
  const char* name = flags & O_DIRECTORY ? "open directory" : flags & O_CREAT ? "create" : "open";
  return system_calls().fate(name) == Fate::kRun ? ::openat(AT_FDCWD, path, flags, mode) : -1;
}
ssize_t write(int file, const void* bytes, size_t size) {
  const Fate fate = file > 2 ? system_calls().fate("write") : Fate::kRun;
  return fate == Fate::kFail ? -1
                             : ::syscall(SYS_write, file, bytes, fate == Fate::kPart ? (size + 1) / 2 : size);
}
ssize_t read(int file, void* bytes, size_t size) {
  const Fate fate = system_calls().fate("read");
  if (system_calls().watching && system_calls().before_read)
    std::exchange(system_calls().before_read, nullptr)();
  return fate == Fate::kFail ? -1
                             : ::syscall(SYS_read, file, bytes, fate == Fate::kPart ? (size + 1) / 2 : size);
}
int fsync(int file) {
  struct stat status;
  const bool directory = ::fstat(file, &status) == 0 && S_ISDIR(status.st_mode);
  if (system_calls().fate(directory ? "fsync directory" : "fsync") != Fate::kRun) return -1;
  return static_cast<int>(::syscall(SYS_fsync, file));
}
int close(int file) {
  const Fate fate = file > 2 ? system_calls().fate("close") : Fate::kRun;
  const int error = errno, result = static_cast<int>(::syscall(SYS_close, file));
  if (fate == Fate::kRun) return result;
  errno = error;
  return -1;
}
int fchmod(int file, mode_t mode) noexcept {
  return system_calls().fate("fchmod") == Fate::kRun ? static_cast<int>(::syscall(SYS_fchmod, file, mode))
                                                     : -1;
}
ssize_t readlink(const char* path, char* to, size_t size) noexcept {
  return system_calls().fate("readlink") == Fate::kRun ? ::readlinkat(AT_FDCWD, path, to, size) : -1;
}
int rename(const char* from, const char* to) noexcept {
  return system_calls().fate("rename") == Fate::kRun ? ::renameat(AT_FDCWD, from, AT_FDCWD, to) : -1;
}
}
