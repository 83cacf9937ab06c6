// SPDX-License-Identifier: MIT
// AMX without a CPU that has it: the emulation of the tile instructions against Intel's manual, what the
// kernel asks of the tiles, and a system that refuses them.
#include "kernel_tester.hpp"

#if MIDTREAD_AMX

namespace amx_tiles_test {

using namespace kernel_tester;
using namespace midtread::kernels;
using midtread::test::EmulatedTiles;
using Config = EmulatedTiles::Config;

/// Tiles 0, 4 and 6 as sums, codes and weights of these sizes.
Config sizes(int rows, int depth, int columns) {
  Config c(0, 16);
  const int of_rows[3] = {rows, rows, depth / 4}, of_bytes[3] = {4 * columns, depth, 4 * columns},
            at[3] = {0, 4, 6};
  for (int i = 0; i < 3; ++i) {
    c.rows[at[i]] = static_cast<std::uint8_t>(of_rows[i]);
    c.row_bytes[at[i]] = static_cast<std::uint16_t>(of_bytes[i]);
  }
  return c;
}

/// Every use starts configured and ends released.
struct Configured {
  explicit Configured(const Config& c) { EmulatedTiles::configure(c); }
  ~Configured() { EmulatedTiles::release(); }
};

TEST(AmxEmulation, MultipliesUnsignedCodesBySignedWeights) {
  Operands make(3);
  int cases = 0;
  for (int rows : {1, 3, 16})
    for (int depth : {4, 12, 64})
      for (int columns : {1, 5, 16})
        for (int pattern : {0, 1, 2}) {
          const auto codes = make.activations(static_cast<std::size_t>(rows * depth), pattern == 0 ? 0 : 1);
          const auto weights = make.weights(static_cast<std::size_t>(depth * columns), pattern);
          std::vector<std::int32_t> sums(static_cast<std::size_t>(rows * columns));
          for (auto& s : sums) s = static_cast<std::int32_t>(make.below(1 << 30)) - (1 << 29);
          if (pattern == 2) std::fill(sums.begin(), sums.end(), 2147483647);  // wraps
          auto expected = sums;
          for (int m = 0; m < rows; ++m)
            for (int n = 0; n < columns; ++n)
              for (int k = 0; k < depth; ++k) {
                auto& sum = expected[static_cast<std::size_t>(m * columns + n)];
                const int product = codes[static_cast<std::size_t>(m * depth + k)] *
                                    weights[static_cast<std::size_t>(k / 4 * 4 * columns + 4 * n + k % 4)];
                sum = static_cast<std::int32_t>(static_cast<std::uint32_t>(sum) +
                                                static_cast<std::uint32_t>(product));
              }
          const Configured configured(sizes(rows, depth, columns));
          EmulatedTiles::load<0>(sums.data(), 4 * columns);
          EmulatedTiles::load<4>(codes.data(), depth);
          EmulatedTiles::load<6>(weights.data(), 4 * columns);
          EmulatedTiles::multiply<0, 4, 6>();
          EmulatedTiles::store<0>(sums.data(), 4 * columns);
          ASSERT_EQ(sums, expected) << rows << ' ' << depth << ' ' << columns << ' ' << pattern;
          ++cases;
        }
  std::printf("cases=%d\n", cases);
}

TEST(AmxEmulation, TouchesRowsByRowBytes) {
  GuardedArena arena(4096);
  int cases = 0;
  for (int rows : {1, 7, 16})
    for (int bytes : {4, 36, 64})
      for (std::int64_t stride : {64, 100, 0})
        for (bool at_start : {false, true}) {
          const Configured configured(sizes(rows, bytes, 16));
          const auto span = static_cast<std::size_t>((rows - 1) * stride + bytes);
          EmulatedTiles::load<4>(arena.place<std::uint8_t>(span, at_start, 7), stride);
          auto* to = arena.place<std::uint8_t>(span, at_start, 9);
          EmulatedTiles::store<4>(to, stride);
          ASSERT_TRUE(arena.canary_intact());
          for (std::int64_t i = 0; i < static_cast<std::int64_t>(span); ++i)
            ASSERT_EQ(to[i], stride == 0 || i % stride < bytes ? 7 : 9) << i;
          ++cases;
        }
  std::printf("cases=%d\n", cases);
}

TEST(AmxEmulation, FaultsWhereTheInstructionsDo) {
  const auto multiply = [] { EmulatedTiles::multiply<0, 4, 6>(); };
  EXPECT_THROW(multiply(), std::logic_error);  // not configured
  Config c = sizes(16, 64, 16);
  {
    const Configured configured(c);
    EXPECT_NO_THROW(multiply());
    EXPECT_THROW((EmulatedTiles::multiply<0, 4, 6>(), EmulatedTiles::release(), multiply()),
                 std::logic_error);
  }
  c.rows[0] = 15;
  {
    const Configured configured(c);
    EXPECT_THROW(multiply(), std::logic_error);
  }
  c = sizes(16, 64, 16);
  c.row_bytes[4] = 60;
  {
    const Configured configured(c);
    EXPECT_THROW(multiply(), std::logic_error);
  }
  c.row_bytes[4] = 68;
  EXPECT_THROW(EmulatedTiles::configure(c), std::logic_error);
  c = sizes(16, 64, 16);
  c.palette = 2;
  EXPECT_THROW(EmulatedTiles::configure(c), std::logic_error);
  c = sizes(16, 64, 16);
  c.rows[9] = 1;
  EXPECT_THROW(EmulatedTiles::configure(c), std::logic_error);
  EXPECT_FALSE(EmulatedTiles::in_use());
}

// As HardwareTiles::configure hands it to ldtilecfg: a compiler may not leave out a store that the
// instruction reads.
__attribute__((target("avx512f"), noinline)) void read_as_operand(std::int64_t height, unsigned char* bytes) {
  const Config config(6, height);
  asm volatile("vmovdqu64 %1, %%zmm16\n\tvmovdqu64 %%zmm16, %0"
               : "=m"(*reinterpret_cast<unsigned char(*)[64]>(bytes))
               : "m"(config)
               : "xmm16");
}

TEST(AmxKernel, TheConfigurationIsWrittenWhereTheInstructionReadsIt) {
  if (!cpu_features().avx512) return;
  unsigned char bytes[64];
  for (int height : {1, 9, 16}) {
    read_as_operand(height, bytes);
    for (int i = 0; i < 64; ++i) {
      int expected = i == 0 ? 1 : 0;                               // palette
      if (i >= 16 && i < 32) expected = i % 2 == 0 ? 64 : 0;       // bytes of a row, 16 bits
      if (i >= 48 && i < 56) expected = i < 48 + 6 ? height : 16;  // rows
      EXPECT_EQ(bytes[i], expected) << i;
    }
  }
}

/// Tile instructions of one product on one thread.
EmulatedTiles::Counts counts_of(std::int64_t rows, std::int64_t columns, std::int64_t depth) {
  const int threads = midtread::num_threads();
  midtread::set_num_threads(1);
  const Conv2dShape s = linear_shape(rows, depth, columns);
  const std::vector<std::int8_t> w(static_cast<std::size_t>(columns * depth), 1);
  const std::vector<std::uint8_t> x(static_cast<std::size_t>(rows * depth), 1);
  std::vector<std::int32_t> acc(static_cast<std::size_t>(rows * columns));
  Scratch scratch;
  const PackedWeights packed = pack_weights(kEmulatedAmx, s, w.data());
  EmulatedTiles::counts() = {};
  accumulate_conv(packed, s, x.data(), 0, acc.data(), scratch);
  for (std::int32_t sum : acc) EXPECT_EQ(sum, depth);
  EXPECT_FALSE(EmulatedTiles::in_use());
  midtread::set_num_threads(threads);
  return EmulatedTiles::counts();
}

TEST(AmxKernel, UsesAsManyTileInstructionsAsTheProductNeeds) {
  if (amx_twin() == nullptr) return;
  struct Case {
    std::int64_t rows, columns, depth;
    long multiply, load, store, configure = 1;
  };
  // Per block of two by two tiles and 64 codes four products and four loads; per tile of sums one load of the
  // bias and one store.
  for (const Case& c :
       {Case{32, 32, 64, 4, 8, 4}, Case{16, 64, 64, 4, 9, 4}, Case{8, 64, 128, 8, 14, 4},
        Case{49, 512, 4608, 9216, 9344, 128}, Case{512, 512, 512, 8192, 9216, 1024},
        Case{64, 16, 64, 4, 10, 4}, Case{33, 32, 64, 8, 16, 8}, Case{16, 80, 64, 6, 14, 6, 2}}) {
    const auto n = counts_of(c.rows, c.columns, c.depth);
    EXPECT_EQ(n.multiply, c.multiply) << c.rows << 'x' << c.columns << 'x' << c.depth;
    EXPECT_EQ(n.load, c.load) << c.rows << 'x' << c.columns << 'x' << c.depth;
    EXPECT_EQ(n.store, c.store) << c.rows << 'x' << c.columns << 'x' << c.depth;
    EXPECT_EQ(n.configure, c.configure);
    EXPECT_EQ(n.release, 1);
  }
}

TEST(AmxKernel, LeavesFewRowsAndShallowProductsToAvx512Vnni) {
  if (amx_twin() == nullptr) return;
  for (const auto& n : {counts_of(7, 256, 256), counts_of(64, 64, 15)}) {
    EXPECT_EQ(n.configure, 0);
    EXPECT_EQ(n.multiply, 0);
  }
  EXPECT_GT(counts_of(8, 256, 256).multiply, 0);
  EXPECT_GT(counts_of(64, 64, 16).multiply, 0);
}

CpuFeatures machine_with_tiles() {
  CpuFeatures f;
  f.avx2 = f.fma = f.avx512 = f.avx512vnni = f.amx_int8 = f.amx_bf16 = true;
  return f;
}

TEST(AmxPermission, GrantedItIsTheBestTableOfFbgemm) {
  const CpuFeatures f = with_granted_tiles(machine_with_tiles(), [] { return true; });
  EXPECT_TRUE(has_isa(f, Isa::kAmx));
  const auto sets = resolve_kernels(Engine::kFbgemm, f);
  ASSERT_GE(sets.size(), 2u);
  EXPECT_STREQ(sets[0].isa_name(), "amx");
  EXPECT_STREQ(sets[1].isa_name(), "avx512vnni");
  EXPECT_STREQ(sets[0]->conv->label, "gemm_u8s8s32_32x32c64__amx");
  EXPECT_EQ(sets[0]->depthwise, sets[1]->depthwise);
  EXPECT_EQ(sets[0]->conv_transpose, sets[1]->conv_transpose);
  EXPECT_EQ(sets[0]->add, sets[1]->add);
  EXPECT_EQ(sets[0]->average_pool, sets[1]->average_pool);
}

TEST(AmxPermission, RefusedTheInstructionSetIsNotThere) {
  const CpuFeatures f = with_granted_tiles(machine_with_tiles(), [] { return false; });
  EXPECT_FALSE(f.amx_int8 || f.amx_bf16);
  EXPECT_FALSE(has_isa(f, Isa::kAmx));
  EXPECT_STREQ(resolve_kernels(Engine::kFbgemm, f).front().isa_name(), "avx512vnni");
}

TEST(AmxPermission, OnlyACpuWithTilesIsAsked) {
  static int asked = 0;
  const auto request = [] { return ++asked > 0; };
  CpuFeatures f = machine_with_tiles();
  f.amx_int8 = f.amx_bf16 = false;
  with_granted_tiles(f, request);
  EXPECT_EQ(asked, 0);
  f.amx_bf16 = true;
  EXPECT_TRUE(with_granted_tiles(f, request).amx_bf16);
  EXPECT_EQ(asked, 1);
}

TEST(AmxPermission, TheSystemAnswersAndTheAnswerIsKept) {
  const CpuFeatures cpu = decode_x86(ThisX86Cpu{});
  const bool granted = request_tiles();
  std::printf("tiles: cpu %d, system %d\n", cpu.amx_int8, granted);
  EXPECT_EQ(cpu_features().amx_int8, cpu.amx_int8 && granted);
}

}  // namespace amx_tiles_test

#endif
