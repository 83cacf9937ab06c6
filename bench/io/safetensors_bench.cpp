// SPDX-License-Identifier: MIT
// 64 MB of float tensors to a safetensors file and back, beside a plain copy of the same bytes: in memory,
// and through a file under TMPDIR (/tmp), whose time is the disk's as well.
#include <midtread/io/safetensors.hpp>
#include <midtread/tensor/factory.hpp>

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>

namespace {

using namespace midtread;

constexpr std::int64_t kTensors = 16, kBytes = std::int64_t{64} << 20;

const io::TensorFile& tensors() {
  static const io::TensorFile file = [] {
    io::TensorFile out;
    for (std::int64_t i = 0; i < kTensors; ++i)
      out.tensors.insert(concat("layer", i, ".weight"), randn({1024, kBytes / kTensors / 1024 / 4}));
    return out;
  }();
  return file;
}
const std::string& bytes() {
  static const std::string text = io::serialize_tensors(tensors());
  return text;
}

/// A directory of its own that goes with the program.
class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "midtread_bench_XXXXXX").string();
    if (!mkdtemp(name.data())) throw IoError(name, "cannot make a directory");
    path_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string file() const { return (path_ / "tensors.safetensors").string(); }

 private:
  std::filesystem::path path_;
};
std::string file() {
  static const Scratch scratch;
  return scratch.file();
}

template <class Body>
void run(benchmark::State& state, const char* label, const Body& body) {
  for (auto _ : state) {
    body();
    benchmark::ClobberMemory();
  }
  state.SetLabel(label);
  state.SetBytesProcessed(state.iterations() * kBytes);
}

void copy_64MB(benchmark::State& state) {
  std::string to(bytes().size(), '\0');
  run(state, "memcpy", [&] { std::memcpy(to.data(), bytes().data(), to.size()); });
}
void checksum_64MB(benchmark::State& state) {
  run(state, "crc32c", [] { benchmark::DoNotOptimize(io::crc32c(bytes())); });
}
void serialize_64MB(benchmark::State& state) {
  tensors();
  run(state, "serialize_tensors", [] { benchmark::DoNotOptimize(io::serialize_tensors(tensors())); });
}
void parse_64MB(benchmark::State& state) {
  bytes();
  run(state, "parse_tensors", [] { benchmark::DoNotOptimize(io::parse_tensors(bytes(), "memory")); });
}
void write_64MB(benchmark::State& state) {
  tensors();
  run(state, "save_tensors", [] { io::save_tensors(file(), tensors()); });
}
void read_64MB(benchmark::State& state) {
  io::save_tensors(file(), tensors());
  run(state, "load_tensors", [] { benchmark::DoNotOptimize(io::load_tensors(file())); });
}

BENCHMARK(copy_64MB);
BENCHMARK(checksum_64MB);
BENCHMARK(serialize_64MB);
BENCHMARK(parse_64MB);
BENCHMARK(write_64MB);
BENCHMARK(read_64MB);

}  // namespace
