// SPDX-License-Identifier: MIT
// The engine and ISA flags. A program's set_engine and set_isa win over the environment:
//
//   MIDTREAD_ENGINE   auto, reference, fbgemm or qnnpack
//   MIDTREAD_ISA      demands one instruction set
//   MIDTREAD_MAX_ISA  caps silently
#pragma once

#include <midtread/core/error.hpp>
#include <midtread/kernels/cpu_features.hpp>

#include <atomic>
#include <cstdlib>
#include <string>

namespace midtread_state {
inline std::atomic<int> engine{-1};  // a kernels::Engine; -1: not set
inline std::atomic<int> isa{-1};     // a kernels::Isa; -1: not set
}  // namespace midtread_state

MIDTREAD_NAMESPACE_BEGIN(kernels)

/// The family of kernels a user picks. Every engine runs on every CPU and gives the same bits.
enum class Engine { kReference, kFbgemm, kQnnpack };

/// Instruction sets, in each family from least to best.
enum class Isa { kPortable, kAvx2, kAvxVnni, kAvx512Vnni, kAmx, kNeon, kNeonDotprod, kNeonI8mm };

inline const char* to_string(Engine engine) {
  switch (engine) {
    case Engine::kReference: return "reference";
    case Engine::kFbgemm: return "fbgemm";
    case Engine::kQnnpack: return "qnnpack";
  }
  return "?";
}

inline const char* to_string(Isa isa) {
  switch (isa) {
    case Isa::kPortable: return "portable";
    case Isa::kAvx2: return "avx2";
    case Isa::kAvxVnni: return "avxvnni";
    case Isa::kAvx512Vnni: return "avx512vnni";
    case Isa::kAmx: return "amx";
    case Isa::kNeon: return "neon";
    case Isa::kNeonDotprod: return "neon_dotprod";
    case Isa::kNeonI8mm: return "neon_i8mm";
  }
  return "?";
}

inline constexpr Engine kAutoEngine = MIDTREAD_X86 ? Engine::kFbgemm : Engine::kQnnpack;

/// Whether the CPU and the operating system offer `isa`.
inline bool has_isa(const CpuFeatures& f, Isa isa) {
  switch (isa) {
    case Isa::kPortable: return true;
    case Isa::kAvx2: return f.avx2;
    case Isa::kAvxVnni: return f.avxvnni;
    case Isa::kAvx512Vnni: return f.avx512vnni;
    case Isa::kAmx: return f.amx_int8 && f.avx512vnni;
    case Isa::kNeon: return f.neon;
    case Isa::kNeonDotprod: return f.neon_dotprod;
    case Isa::kNeonI8mm: return f.neon_i8mm;
  }
  return false;
}

/// The instruction sets of this architecture, from least to best, whether this CPU has them or not.
inline constexpr Isa kArchitectureIsas[] = {
    Isa::kPortable,
#if MIDTREAD_X86
    Isa::kAvx2,     Isa::kAvxVnni, Isa::kAvx512Vnni, Isa::kAmx,
#elif MIDTREAD_AARCH64
    Isa::kNeon,
    Isa::kNeonDotprod,
    Isa::kNeonI8mm,
#elif MIDTREAD_ARM32
    Isa::kNeon,
#endif
};

/// "a, b, c": the instruction sets of this architecture, or those of this machine.
inline std::string isa_list(bool of_machine) {
  std::string text;
  for (Isa isa : kArchitectureIsas)
    if (!of_machine || has_isa(cpu_features(), isa))
      text += (text.empty() ? "" : ", ") + std::string(to_string(isa));
  return text;
}

/// Throws EngineError, naming `where` and the known engines.
inline Engine parse_engine(const std::string& name, const std::string& where) {
  if (name == "auto") return kAutoEngine;
  for (Engine engine : {Engine::kReference, Engine::kFbgemm, Engine::kQnnpack})
    if (name == to_string(engine)) return engine;
  throw EngineError(
      where, concat("unknown engine '", printable(name), "', allowed auto, reference, fbgemm, qnnpack"));
}

/// Throws EngineError, naming `where` and the instruction sets of this architecture.
inline Isa parse_isa(const std::string& name, const std::string& where) {
  for (Isa isa : kArchitectureIsas)
    if (name == to_string(isa)) return isa;
  throw EngineError(where, concat("unknown instruction set '", printable(name), "', this architecture knows ",
                                  isa_list(false)));
}

/// `name` or, where the machine lacks it, an EngineError that lists what is there.
inline Isa require_isa(const std::string& name, const std::string& where) {
  const Isa isa = parse_isa(name, where);
  if (!has_isa(cpu_features(), isa))
    throw EngineError(where, concat("this CPU or operating system has no ", name, ", it has ", isa_list(true),
                                    ": choose one of these"));
  return isa;
}

/// Chooses the engine of models converted or loaded from now on: "auto", "reference", "fbgemm" or "qnnpack".
inline void set_engine(const std::string& name) {
  midtread_state::engine.store(static_cast<int>(parse_engine(name, "set_engine")), std::memory_order_relaxed);
}

/// Demands one instruction set, "auto" for the best. Throws EngineError where it is unknown or missing.
inline void set_isa(const std::string& name) {
  const int isa = name == "auto" ? -1 : static_cast<int>(require_isa(name, "set_isa"));
  midtread_state::isa.store(isa, std::memory_order_relaxed);
}

/// What an environment variable says; empty where it is not set.
inline std::string environment(const char* variable) {
  const char* text = std::getenv(variable);
  return text ? text : "";
}

/// The engine in force: set_engine, else MIDTREAD_ENGINE, else fbgemm on x86 and qnnpack on ARM.
inline Engine current_engine() {
  const int engine = midtread_state::engine.load(std::memory_order_relaxed);
  if (engine >= 0) return static_cast<Engine>(engine);
  const std::string name = environment("MIDTREAD_ENGINE");
  return name.empty() ? kAutoEngine : parse_engine(name, "MIDTREAD_ENGINE");
}

/// The instruction set demanded by set_isa or MIDTREAD_ISA; empty for the best there is.
inline std::string demanded_isa() {
  const int isa = midtread_state::isa.load(std::memory_order_relaxed);
  if (isa >= 0) return to_string(static_cast<Isa>(isa));
  const std::string name = environment("MIDTREAD_ISA");
  if (name.empty() || name == "auto") return {};
  return to_string(require_isa(name, "MIDTREAD_ISA"));
}

MIDTREAD_NAMESPACE_END
