// SPDX-License-Identifier: MIT
#include <midtread/io/file.hpp>

#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <cstring>

#include <sys/resource.h>
#include <sys/wait.h>

#include "data/expect_error.hpp"
#include "io/scratch_directory.hpp"
#include "io/system_calls.hpp"

using midtread::IoError;
using midtread::io::read_file;
using midtread::io::write_file;
namespace fs = std::filesystem;

namespace file_test {

using Names = std::vector<std::string>;

/// Runs `body` in a child process; its exit status, or 1000 + the signal that killed it.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(WriteFile, WritesAndReplaces) {
  const ScratchDirectory directory;
  int cases = 0;
  for (const char* name : {"plain", "with space", "\xc3\xa9t\xc3\xa9", "-n", ".hidden"})
    for (const std::string& bytes :
         {std::string("new"), std::string(), std::string(1 << 20, 'x'), std::string("a\0b", 3)}) {
      write_file(directory / name, bytes);
      EXPECT_EQ(read_file(directory / name), bytes);
      EXPECT_EQ(directory.get(name), bytes);
      ++cases;
    }
  EXPECT_EQ(directory.names().size(), 5u) << "nothing else is left";
  std::printf("cases=%d\n", cases);
}

TEST(WriteFile, DataIsDurableBeforeTheNameAndTheNameBeforeTheReturn) {
  const ScratchDirectory directory;
  directory.put("f", "old");
  system_calls().watch();
  write_file(directory / "f", "new");
  system_calls().stop();
  const Names wanted = {"create", "fchmod",         "write",           "fsync", "close",
                        "rename", "open directory", "fsync directory", "close"};
  Names got = system_calls().calls;
  ASSERT_GE(got.size(), wanted.size());
  got.resize(wanted.size());  // then the directory is searched for old temporaries
  EXPECT_EQ(got, wanted);
}

TEST(WriteFile, SurvivesEveryFailureOfEveryCall) {
  const ScratchDirectory directory;
  const std::string old_bytes(3000, 'o'), new_bytes(5000, 'n');
  int cases = 0;
  for (const char* call :
       {"create", "fchmod", "write", "fsync", "close", "rename", "open directory", "fsync directory"})
    for (const int error : {ENOSPC, EIO, EINTR, EDQUOT, EROFS, EACCES, EXDEV, ENOMEM, EPERM, 0})
      for (int nth = 0; nth < 3; ++nth) {
        directory.put("f", old_bytes);
        system_calls().inject(call, nth, error);
        std::string message;
        try {
          write_file(directory / "f", new_bytes);
        } catch (const IoError& failure) {
          message = failure.what();
        }
        system_calls().stop();
        const std::string name = call, label = name + " " + std::to_string(nth) + ": " + std::strerror(error);
        const bool happened = system_calls().count[name] > nth && name == system_calls().fail;
        const bool harmless = !happened || (name == "write" && (error == 0 || error == EINTR)) ||
                              (name == "close" && (error == 0 || error == EINTR || nth > 0)) ||
                              (name == "create" && error == EINTR);
        if (error == 0 && name != "write") continue;  // a part of a write only
        EXPECT_EQ(message.empty(), harmless) << label << ": " << message;
        if (!harmless) {
          EXPECT_NE(message.find(std::strerror(error)), std::string::npos) << message;
          EXPECT_NE(message.find(directory / "f"), std::string::npos) << message;
        }
        const bool renamed = harmless || name == "open directory" || name == "fsync directory";
        EXPECT_EQ(directory.get("f"), renamed ? new_bytes : old_bytes) << label;
        EXPECT_EQ(directory.names(), Names{"f"}) << label;
        ++cases;
      }
  std::printf("cases=%d\n", cases);
}

TEST(WriteFile, AFileThatIsTooLargeLeavesTheOldOne) {
  const ScratchDirectory directory;
  directory.put("f", "old");
  const auto write_under_a_limit = [&](bool ignore_signal) {
    return in_child([&] {
      const rlimit limit{4096, 4096};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      std::signal(SIGXFSZ, ignore_signal ? SIG_IGN : SIG_DFL);
      try {
        write_file(directory / "f", std::string(100000, 'n'));
      } catch (const IoError& error) {
        return std::strstr(error.what(), "File too large") ? 7 : 8;
      }
      return 0;
    });
  };
  EXPECT_EQ(write_under_a_limit(true), 7);
  EXPECT_EQ(directory.names(), Names{"f"});
  EXPECT_EQ(write_under_a_limit(false), 1000 + SIGXFSZ);
  EXPECT_EQ(directory.get("f"), "old");
}

TEST(WriteFile, RefusesWhatIsNoPlaceForAFile) {
  const ScratchDirectory directory;
  directory.put("f", "old");
  fs::create_directory(directory / "sub");
  ASSERT_EQ(::mkfifo((directory / "pipe").c_str(), 0600), 0);
  const auto refuse = [&](const std::string& path, std::initializer_list<std::string> words) {
    expect_error<IoError>([&] { write_file(path, "new"); }, words);
  };
  refuse(directory / "none/f", {"none/f", "No such file"});
  refuse(directory / "f/g", {"f/g", "Not a directory"});
  refuse(directory / "sub", {"sub", "Is a directory"});
  refuse(directory / "sub/", {"sub/", "Is a directory"});
  refuse(directory / "pipe", {"is a device, a pipe or a socket"});
  refuse(directory / std::string(300, 'x'), {"name too long"});
  refuse(directory / std::string(5000, 'x'), {"name too long"});
  refuse("", {"Invalid argument"});
  refuse(std::string("a\0b", 3), {"Invalid argument"});
  refuse("/dev/full", {"/dev/full", "device"});
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
  EXPECT_EQ(directory.get("f"), "old");
  EXPECT_EQ(directory.names().size(), 3u);
}

TEST(WriteFile, NamesTheReasonWhereTheDirectoryIsNotOurs) {
  const ScratchDirectory directory;
  fs::permissions(directory.path(), fs::perms(0755));
  fs::create_directory(directory / "closed");
  directory.put("closed/f", "old");
  fs::permissions(directory / "closed", fs::perms(0555));
  const int status = in_child([&] {
    if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0))
      return 9;  // root may write everywhere
    try {
      write_file(directory / "closed/f", "new");
    } catch (const IoError& error) {
      return std::strstr(error.what(), "Permission denied") ? 7 : 8;
    }
    return 0;
  });
  EXPECT_EQ(status, 7);
  EXPECT_EQ(directory.get("closed/f"), "old");
  fs::permissions(directory / "closed", fs::perms(0755));
}

TEST(WriteFile, KeepsLinksAndAccessRights) {
  const ScratchDirectory directory;
  fs::create_directory(directory / "sub");
  fs::create_symlink("sub/target", directory / "link");
  fs::create_symlink(directory / "link", directory / "chain");
  write_file(directory / "chain", "one");  // the target does not exist yet
  EXPECT_TRUE(fs::is_symlink(directory / "chain"));
  EXPECT_TRUE(fs::is_symlink(directory / "link"));
  EXPECT_EQ(directory.get("sub/target"), "one");
  fs::permissions(directory / "sub/target", fs::perms(0640));
  write_file(directory / "link", "two");
  EXPECT_EQ(directory.get("sub/target"), "two");
  EXPECT_EQ(fs::status(directory / "sub/target").permissions(), fs::perms(0640));

  fs::create_symlink(directory / "b", directory / "a");
  fs::create_symlink(directory / "a", directory / "b");
  expect_error<IoError>([&] { write_file(directory / "a", "x"); }, {"Too many levels"});

  system_calls().inject("readlink", 1, EIO);  // the second link of the chain
  expect_error<IoError>([&] { write_file(directory / "chain", "x"); },
                        {directory / "link", "cannot follow", "Input/output error"});
  system_calls().stop();
  EXPECT_EQ(directory.get("sub/target"), "two");
}

TEST(WriteFile, WorksInTheCurrentDirectory) {
  const ScratchDirectory directory;
  EXPECT_EQ(in_child([&] {
              if (::chdir(directory.path().c_str()) != 0) return 1;
              write_file("relative", "bytes");
              return read_file("relative") == "bytes" ? 0 : 2;
            }),
            0);
  EXPECT_EQ(directory.names(), Names{"relative"});
}

TEST(WriteFile, SweepsUpAfterKilledWriters) {
  const ScratchDirectory directory;
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(2);
  for (const char* name : {"f.tmp.123.0", "f.tmp.123.x", "f.tmp", "g.tmp.1.1", "f.tmp.124.0"})
    directory.put(name, "");
  for (const char* name : {"f.tmp.123.0", "f.tmp.123.x", "f.tmp", "g.tmp.1.1"})
    fs::last_write_time(directory / name, long_ago);
  write_file(directory / "f", "new");
  Names left = directory.names();
  std::sort(left.begin(), left.end());
  EXPECT_EQ(left, (Names{"f", "f.tmp", "f.tmp.123.x", "f.tmp.124.0", "g.tmp.1.1"}))
      << "only old ones of the same file go";
}

TEST(WriteFile, PassesByTheLeftoversOfAProcessOfItsNumber) {
  const ScratchDirectory directory;
  const unsigned next = midtread_state::temporary_files;
  const std::string prefix = "f.tmp." + std::to_string(::getpid()) + ".";
  directory.put(prefix + std::to_string(next), "theirs");
  directory.put(prefix + std::to_string(next + 1), "theirs");
  write_file(directory / "f", "new");
  EXPECT_EQ(directory.get("f"), "new");
  EXPECT_EQ(directory.get(prefix + std::to_string(next)), "theirs");
}

TEST(ReadFile, ReadsOnThroughInterruptions) {
  const ScratchDirectory directory;
  const std::string bytes(10000, 'b'), path = directory.put("f", bytes);
  int cases = 0;
  for (int nth = 0; nth < 4; ++nth)
    for (const int error : {EINTR, 0}) {
      system_calls().inject("read", nth, error);
      EXPECT_EQ(read_file(path), bytes);
      ++cases;
    }
  system_calls().inject("read", 0, EIO);
  expect_error<IoError>([&] { read_file(path); }, {path, "Input/output error"});
  expect_error<IoError>([&] { read_file(path + '\0' + "x"); }, {"Invalid argument"});
  system_calls().inject("open", 0, EMFILE);
  expect_error<IoError>([&] { read_file(path); }, {path, "Too many open files"});
  system_calls().stop();
  std::printf("cases=%d\n", cases);
}

TEST(ReadFile, NoticesAFileThatChangesMeanwhile) {
  const ScratchDirectory directory;
  const std::string path = directory.put("f", std::string(1000, 'b'));
  int cases = 0;
  for (const std::uintmax_t size : std::initializer_list<std::uintmax_t>{0, 1, 999, 1001, 5000}) {
    fs::resize_file(path, 1000);
    system_calls().watch();
    system_calls().before_read = [&] { fs::resize_file(path, size); };
    expect_error<IoError>([&] { read_file(path); }, {path, "changed while it was read"});
    system_calls().stop();
    ++cases;
  }
  std::printf("cases=%d\n", cases);
}

}  // namespace file_test
