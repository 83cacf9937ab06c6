// SPDX-License-Identifier: MIT
// The engine and ISA flags: precedence, names, what a demand says when it cannot be met.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include <midtread/kernels/dispatch.hpp>

namespace engine_test {

using namespace midtread;
using namespace midtread::kernels;

class EngineFlags : public ::testing::Test {
 protected:
  void SetUp() override { clear(); }
  void TearDown() override { clear(); }
  static void clear() {
    midtread_state::engine.store(-1);
    midtread_state::isa.store(-1);
    for (const char* name : {"MIDTREAD_ENGINE", "MIDTREAD_ISA", "MIDTREAD_MAX_ISA"}) unsetenv(name);
  }
  template <class Call>
  static std::string message(const Call& call) {
    try {
      call();
    } catch (const EngineError& error) {
      return error.what();
    }
    return "no error";
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  static bool machine_has(Isa isa) { return has_isa(cpu_features(), isa); }
};

TEST_F(EngineFlags, AutoIsTheArchitecturesEngine) {
  EXPECT_EQ(select_kernels().engine(), MIDTREAD_X86 ? Engine::kFbgemm : Engine::kQnnpack);
  set_engine("reference");
  EXPECT_STREQ(select_kernels().engine_name(), "reference");
  set_engine("auto");
  EXPECT_EQ(select_kernels().engine(), kAutoEngine);
}

TEST_F(EngineFlags, TheProgramWinsOverTheEnvironment) {
  setenv("MIDTREAD_ENGINE", "reference", 1);
  EXPECT_EQ(select_kernels().engine(), Engine::kReference);
  set_engine("qnnpack");
  EXPECT_EQ(select_kernels().engine(), Engine::kQnnpack);
}

TEST_F(EngineFlags, EveryEngineRunsHere) {
  for (Engine engine : {Engine::kReference, Engine::kFbgemm, Engine::kQnnpack}) {
    const KernelSet& set = select_kernels(engine, "");
    EXPECT_EQ(set.engine(), engine);
    const KernelTable& t = set.table();
    EXPECT_TRUE(t.conv && t.depthwise && t.conv_transpose && t.add && t.mul && t.requantize_copy &&
                t.average_pool && t.max_pool && t.lookup && t.quantize && t.dequantize);
    EXPECT_EQ(available_isas(engine).back(), "portable");
    EXPECT_EQ(&select_kernels(engine, "portable").table(), &kernel_sets(engine).back().table());
  }
  EXPECT_EQ(available_isas(Engine::kReference).size(), 1u);
}

TEST_F(EngineFlags, UnknownNamesListTheKnownOnes) {
  EXPECT_EQ(message([] { set_engine("gpu"); }),
            "EngineError: set_engine: unknown engine 'gpu', allowed auto, reference, fbgemm, qnnpack");
  EXPECT_TRUE(has(message([] { set_isa("sse9"); }),
                  "unknown instruction set 'sse9', this architecture knows portable"));
  setenv("MIDTREAD_ENGINE", "FBGEMM\n", 1);
  EXPECT_TRUE(has(message([] { select_kernels(); }), "MIDTREAD_ENGINE: unknown engine 'FBGEMM?'"));
  unsetenv("MIDTREAD_ENGINE");
  setenv("MIDTREAD_ISA", "avx3", 1);
  EXPECT_TRUE(has(message([] { select_kernels(); }), "MIDTREAD_ISA: unknown instruction set 'avx3'"));
  unsetenv("MIDTREAD_ISA");
  setenv("MIDTREAD_MAX_ISA", "avx3", 1);
  EXPECT_TRUE(has(message([] { select_kernels(); }), "MIDTREAD_MAX_ISA: unknown instruction set 'avx3'"));
}

TEST_F(EngineFlags, AMissingInstructionSetIsAnErrorThatListsWhatIsThere) {
  int missing = 0;
  for (Isa isa : kArchitectureIsas) {
    if (machine_has(isa)) continue;
    ++missing;
    const std::string text = message([&] { set_isa(to_string(isa)); });
    EXPECT_TRUE(has(text, "EngineError: set_isa: this CPU or operating system has no ")) << text;
    EXPECT_TRUE(has(text, "it has portable")) << text;
    EXPECT_TRUE(has(message([&] { select_kernels(kAutoEngine, to_string(isa)); }), "has no ")) << text;
  }
  std::printf("cases=%d\n", missing);
  EXPECT_TRUE(midtread_state::isa.load() == -1);  // a refused demand changes nothing
}

TEST_F(EngineFlags, AnEngineWithoutTheInstructionSetSaysSo) {
  for (Isa isa : kArchitectureIsas) {
    if (isa == Isa::kPortable || !machine_has(isa)) continue;
    const std::string text = message([&] { select_kernels(Engine::kReference, to_string(isa)); });
    EXPECT_TRUE(has(text, "engine reference has no kernels for")) << text;
    EXPECT_TRUE(has(text, "it has portable")) << text;
  }
}

TEST_F(EngineFlags, ADemandIsMetAndACapIsSilent) {
  set_isa("portable");
  EXPECT_EQ(select_kernels().isa(), Isa::kPortable);
  set_isa("auto");
  EXPECT_EQ(select_kernels().isa(), kernel_sets(kAutoEngine).front().isa());
  setenv("MIDTREAD_ISA", "portable", 1);
  EXPECT_EQ(select_kernels().isa(), Isa::kPortable);
  unsetenv("MIDTREAD_ISA");
  setenv("MIDTREAD_MAX_ISA", "portable", 1);
  EXPECT_EQ(select_kernels().isa(), Isa::kPortable);
  setenv("MIDTREAD_MAX_ISA", to_string(*std::rbegin(kArchitectureIsas)), 1);
  EXPECT_EQ(select_kernels().isa(), kernel_sets(kAutoEngine).front().isa());
}

}  // namespace engine_test
