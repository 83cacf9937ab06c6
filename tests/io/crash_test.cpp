// SPDX-License-Identifier: MIT
// Writers that are killed, and writers that meet: whoever reads finds one whole file.
#include <midtread/io/safetensors.hpp>
#include <midtread/tensor/factory.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include <sys/wait.h>
#include <unistd.h>

#include "io/scratch_directory.hpp"

using midtread::BasicTensor;
using midtread::Generator;
using midtread::io::load_tensors;
using midtread::io::save_tensors;
using midtread::io::TensorFile;

namespace crash_test {

/// A checkpoint whose every byte tells its step.
TensorFile checkpoint(std::int64_t step, std::int64_t size) {
  TensorFile out;
  out.tensors.insert("step", midtread::scalar(step));
  out.tensors.insert("weights", midtread::full({size}, static_cast<float>(step)));
  return out;
}
/// Its step, or -1 if it is not whole.
std::int64_t step_of(const TensorFile& file) {
  const std::int64_t step = file.tensors.at("step").get<std::int64_t>().item();
  for (const float value : file.tensors.at("weights").get<float>().to_vector())
    if (value != static_cast<float>(step)) return -1;
  return step;
}

TEST(Crash, AKilledWriterLeavesTheLastCheckpointItReported) {
  constexpr int kKills = 120;
  const ScratchDirectory directory;
  const std::string path = directory / "checkpoint";
  save_tensors(path, checkpoint(0, 1000));
  Generator random(1);
  std::int64_t last = 0;
  int progressed = 0, mid_write = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    int report[2];
    ASSERT_EQ(::pipe(report), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      for (std::int64_t step = last + 1;; ++step) {
        save_tensors(path, checkpoint(step, 50000));
        if (::write(report[1], &step, sizeof step) != ssize_t{sizeof step}) ::_exit(1);
      }
    }
    ::close(report[1]);
    std::int64_t acknowledged = last, next = 0;
    if (kill % 2) {
      ASSERT_EQ(::read(report[0], &acknowledged, sizeof acknowledged), ssize_t{sizeof acknowledged});
    }
    ::usleep(static_cast<useconds_t>(random.below(8000)));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    while (::read(report[0], &next, sizeof next) == ssize_t{sizeof next}) acknowledged = next;
    ::close(report[0]);

    const std::int64_t found = step_of(load_tensors(path));
    ASSERT_GE(found, acknowledged);
    ASSERT_LE(found, acknowledged + 1);
    progressed += found > last;
    last = found;
    for (const std::string& name : directory.names()) mid_write += name != "checkpoint";
    for (const std::string& name : directory.names())
      if (name != "checkpoint") std::filesystem::remove(directory / name);
  }
  EXPECT_GE(progressed, kKills / 2);
  EXPECT_GT(mid_write, 0) << "no kill met a writer at work";
  std::printf("cases=%d (%d with a new checkpoint, %d in the middle of a write)\n", kKills, progressed,
              mid_write);
}

TEST(Crash, WritersThatMeetLeaveOneWholeFile) {
  constexpr int kWriters = 4, kSaves = 40;
  const ScratchDirectory directory;
  const std::string path = directory / "checkpoint";
  save_tensors(path, checkpoint(0, 10));
  std::vector<pid_t> writers;
  for (int w = 1; w <= kWriters; ++w) {
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        for (int i = 0; i < kSaves; ++i) save_tensors(path, checkpoint(w, 100 + 9000 * w));
      } catch (...) {
        ::_exit(1);
      }
      ::_exit(0);
    }
    writers.push_back(child);
  }
  int reads = 0;
  for (int running = kWriters; running > 0; ++reads) {
    const std::int64_t step = step_of(load_tensors(path));
    ASSERT_GE(step, 0);
    ASSERT_LE(step, kWriters);
    int status = 0;
    if (::waitpid(-1, &status, WNOHANG) > 0) {
      --running;
      EXPECT_EQ(status, 0) << "a writer failed";
    }
  }
  EXPECT_GT(step_of(load_tensors(path)), 0);
  EXPECT_EQ(directory.names().size(), 1u);
  std::printf("cases=%d writes, %d reads\n", kWriters * kSaves, reads);
}

}  // namespace crash_test
