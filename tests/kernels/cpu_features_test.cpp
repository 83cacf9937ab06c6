// SPDX-License-Identifier: MIT
// Decoding of CPU features from machines that do not exist.
#include <gtest/gtest.h>

#include <midtread/kernels/dispatch.hpp>

namespace cpu_features_test {

using namespace midtread::kernels;

struct FakeCpu {
  CpuidRegisters leaf0{7, 0, 0, 0};
  CpuidRegisters leaf1{0, 0, (1u << 27) | (1u << 28) | (1u << 12), 0};
  CpuidRegisters leaf7{1, (1u << 5) | (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31),
                       (1u << 1) | (1u << 11), (1u << 22) | (1u << 24) | (1u << 25)};
  CpuidRegisters leaf7_1{1u << 4, 0, 0, 0};
  std::uint64_t saved = 0x600E7;
  CpuidRegisters cpuid(std::uint32_t leaf, std::uint32_t subleaf) const {
    return leaf == 0 ? leaf0 : leaf == 1 ? leaf1 : subleaf == 0 ? leaf7 : leaf7_1;
  }
  std::uint64_t xgetbv() const { return saved; }
};

TEST(CpuFeatures, AFullMachine) {
  const CpuFeatures f = decode_x86(FakeCpu{});
  EXPECT_TRUE(f.avx2 && f.fma && f.avx512 && f.avx512vnni && f.avx512vbmi && f.avxvnni && f.amx_int8 &&
              f.amx_bf16);
}

TEST(CpuFeatures, TheOperatingSystemMustSaveTheRegisters) {
  FakeCpu cpu;
  cpu.saved = 0xE7;  // no tiles
  CpuFeatures f = decode_x86(cpu);
  EXPECT_TRUE(f.avx512vnni);
  EXPECT_FALSE(f.amx_int8 || f.amx_bf16);
  cpu.saved = 0x07;  // no zmm
  f = decode_x86(cpu);
  EXPECT_TRUE(f.avx2 && f.avxvnni);
  EXPECT_FALSE(f.avx512 || f.avx512vnni || f.avx512vbmi);
  cpu.saved = 0x67;  // opmask and zmm0-15, but not zmm16-31
  EXPECT_FALSE(decode_x86(cpu).avx512);
  cpu.saved = 0x03;  // no ymm
  EXPECT_FALSE(decode_x86(cpu).avx2);
}

TEST(CpuFeatures, EachBitCounts) {
  FakeCpu cpu;
  cpu.leaf1[2] &= ~(1u << 27);  // OSXSAVE: xgetbv would fault
  EXPECT_FALSE(decode_x86(cpu).avx2);
  cpu = {};
  cpu.leaf0[0] = 6;
  EXPECT_FALSE(decode_x86(cpu).avx2);
  cpu = {};
  cpu.leaf7[1] &= ~(1u << 5);
  EXPECT_FALSE(decode_x86(cpu).avx2 || decode_x86(cpu).avxvnni || decode_x86(cpu).avx512);
  for (int bit : {16, 17, 30, 31}) {
    cpu = {};
    cpu.leaf7[1] &= ~(1u << bit);
    EXPECT_FALSE(decode_x86(cpu).avx512) << bit;
  }
  cpu = {};
  cpu.leaf7[2] = 0;
  EXPECT_FALSE(decode_x86(cpu).avx512vnni || decode_x86(cpu).avx512vbmi);
  for (const bool vnni : {true, false}) {
    cpu.leaf7[2] = vnni ? 1u << 11 : 1u << 1;
    EXPECT_EQ(decode_x86(cpu).avx512vnni, vnni);
    EXPECT_EQ(decode_x86(cpu).avx512vbmi, !vnni);
  }
  cpu = {};
  cpu.leaf7[0] = 0;  // subleaf 1 does not exist
  EXPECT_FALSE(decode_x86(cpu).avxvnni);
  cpu = {};
  cpu.leaf7[3] &= ~(1u << 25);
  EXPECT_FALSE(decode_x86(cpu).amx_int8);
  EXPECT_TRUE(decode_x86(cpu).amx_bf16);
  cpu.leaf7[3] = 1u << 25;  // AMX-INT8 without AMX-TILE
  EXPECT_FALSE(decode_x86(cpu).amx_int8);
}

TEST(CpuFeatures, ArmWords) {
  CpuFeatures f = decode_arm(1u << 1, 0);
  EXPECT_TRUE(f.neon);
  EXPECT_FALSE(f.neon_dotprod || f.neon_i8mm);
  f = decode_arm((1u << 1) | (1u << 20), 1u << 13);
  EXPECT_TRUE(f.neon_dotprod && f.neon_i8mm);
  f = decode_arm(1u << 20, 1u << 13);
  EXPECT_FALSE(f.neon_dotprod || f.neon_i8mm);
}

TEST(CpuFeatures, Arm32Word) {
  EXPECT_TRUE(decode_arm32(1u << 12).neon);
  EXPECT_FALSE(decode_arm32(~(1u << 12)).neon);
  EXPECT_FALSE(decode_arm32(1u << 12).neon_dotprod || decode_arm32(~0u).neon_i8mm);
}

TEST(CpuFeatures, AgreesWithTheCompilersOwnProbe) {
#if MIDTREAD_X86 && (MIDTREAD_GCC || MIDTREAD_CLANG)
  EXPECT_EQ(cpu_features().avx2, __builtin_cpu_supports("avx2") != 0);
  EXPECT_EQ(cpu_features().fma, __builtin_cpu_supports("fma") != 0);
  EXPECT_EQ(cpu_features().avx512vnni, __builtin_cpu_supports("avx512vnni") != 0);
  EXPECT_EQ(cpu_features().avx512vbmi, __builtin_cpu_supports("avx512vbmi") != 0);
#endif
}

TEST(CpuFeatures, ABareMachineRunsThePortableKernels) {
  for (Engine engine : {Engine::kReference, Engine::kFbgemm, Engine::kQnnpack}) {
    const auto sets = resolve_kernels(engine, CpuFeatures{});
    ASSERT_EQ(sets.size(), 1u);
    EXPECT_EQ(sets[0].isa(), Isa::kPortable);
    EXPECT_STREQ(sets[0]->conv->label, "conv_u8s8s32__portable");
  }
}

}  // namespace cpu_features_test
