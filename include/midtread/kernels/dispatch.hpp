// SPDX-License-Identifier: MIT
// Where CPU features meet kernels: the tables of each engine, best first, and their choice.
#pragma once

#include <midtread/kernels/engine.hpp>
#if MIDTREAD_X86
#include <midtread/kernels/fbgemm/amx/table.hpp>
#include <midtread/kernels/fbgemm/avx2/table.hpp>
#include <midtread/kernels/fbgemm/avx512vnni/table.hpp>
#include <midtread/kernels/fbgemm/avxvnni/table.hpp>
#endif
#include <midtread/kernels/packed_weights.hpp>
#if MIDTREAD_NEON
#include <midtread/kernels/qnnpack/dotprod/table.hpp>
#include <midtread/kernels/qnnpack/i8mm/table.hpp>
#include <midtread/kernels/qnnpack/neon/table.hpp>
#endif
#include <midtread/kernels/reference/table.hpp>

#include <string>
#include <vector>

MIDTREAD_NAMESPACE_BEGIN(kernels)

/// A table and the instruction set it needs.
struct IsaTable {
  Isa isa;
  const KernelTable* table;
};

/// The tables of this architecture, best first. The last holds every kernel.
inline constexpr IsaTable kArchitectureTables[] = {
#if MIDTREAD_X86 && MIDTREAD_AMX
    {Isa::kAmx, &fbgemm::amx::kTable},
#endif
#if MIDTREAD_X86 && (MIDTREAD_GCC || MIDTREAD_CLANG)
    {Isa::kAvx512Vnni, &fbgemm::avx512vnni::kTable},
    {Isa::kAvxVnni, &fbgemm::avxvnni::kTable},
#endif
#if MIDTREAD_X86
    {Isa::kAvx2, &fbgemm::avx2::kTable},
#endif
#if MIDTREAD_NEON && MIDTREAD_AARCH64
    {Isa::kNeonI8mm, &qnnpack::i8mm::kTable},
    {Isa::kNeonDotprod, &qnnpack::dotprod::kTable},
#endif
#if MIDTREAD_NEON
    {Isa::kNeon, &qnnpack::neon::kTable},
#endif
    {Isa::kPortable, &reference::kTable},
};

/// The kernels of one engine and instruction set: every entry is there, lesser tables fill the gaps.
class KernelSet {
 public:
  KernelSet(Engine engine, Isa isa, const KernelTable& table) : engine_(engine), isa_(isa), table_(table) {}

  Engine engine() const { return engine_; }
  const char* engine_name() const { return to_string(engine_); }
  Isa isa() const { return isa_; }
  const char* isa_name() const { return to_string(isa_); }

  const KernelTable& table() const { return table_; }
  const KernelTable* operator->() const { return &table_; }

  /// The kernel for an ordinary convolution of this shape.
  const ConvKernel& conv(const Conv2dShape& shape) const {
    return shape.is_depthwise() ? *table_.depthwise : *table_.conv;
  }

 private:
  Engine engine_;
  Isa isa_;
  KernelTable table_;
};

/// Fills the null entries of `table` from `lesser`.
inline void fall_through(KernelTable& table, const KernelTable& lesser) {
  const auto fill = [](auto& entry, const auto& other) {
    if (entry == nullptr) entry = other;
  };
  fill(table.conv, lesser.conv);
  fill(table.depthwise, lesser.depthwise);
  fill(table.conv_transpose, lesser.conv_transpose);
  fill(table.add, lesser.add);
  fill(table.mul, lesser.mul);
  fill(table.requantize_copy, lesser.requantize_copy);
  fill(table.average_pool, lesser.average_pool);
  fill(table.max_pool, lesser.max_pool);
  fill(table.lookup, lesser.lookup);
  fill(table.quantize, lesser.quantize);
  fill(table.dequantize, lesser.dequantize);
}

/// The kernels of `engine` on this machine, best first; `features` is another machine's in tests.
inline std::vector<KernelSet> resolve_kernels(Engine engine, const CpuFeatures& features) {
  std::vector<KernelSet> sets;
  for (const IsaTable* best = std::begin(kArchitectureTables); best != std::end(kArchitectureTables);
       ++best) {
    if (!has_isa(features, best->isa)) continue;
    if (engine == Engine::kReference && best->isa != Isa::kPortable) continue;
    KernelTable table = *best->table;
    for (const IsaTable* lesser = best + 1; lesser != std::end(kArchitectureTables); ++lesser)
      if (has_isa(features, lesser->isa)) fall_through(table, *lesser->table);
    sets.emplace_back(engine, best->isa, table);
  }
  return sets;
}

/// Resolved once per engine.
inline const std::vector<KernelSet>& kernel_sets(Engine engine) {
  static const std::vector<KernelSet> sets[] = {resolve_kernels(Engine::kReference, cpu_features()),
                                                resolve_kernels(Engine::kFbgemm, cpu_features()),
                                                resolve_kernels(Engine::kQnnpack, cpu_features())};
  return sets[static_cast<int>(engine)];
}

/// Names of the instruction sets that `engine` uses on this machine, best first.
inline std::vector<std::string> available_isas(Engine engine) {
  std::vector<std::string> names;
  for (const KernelSet& set : kernel_sets(engine)) names.emplace_back(set.isa_name());
  return names;
}

/// The kernels of `engine` for `isa`; "" or "auto": the best within MIDTREAD_MAX_ISA. The result lives for
/// ever. Throws EngineError, with the list, where the machine or the engine lacks `isa`.
inline const KernelSet& select_kernels(Engine engine, const std::string& isa) {
  const std::vector<KernelSet>& sets = kernel_sets(engine);
  if (!isa.empty() && isa != "auto") {
    const Isa wanted = require_isa(isa, "engine");
    std::string there;
    for (const KernelSet& set : sets) {
      if (set.isa() == wanted) return set;
      there += (there.empty() ? "" : ", ") + std::string(set.isa_name());
    }
    throw EngineError("engine", concat("engine ", to_string(engine), " has no kernels for ", isa, ", it has ",
                                       there, ": choose one of these"));
  }
  const std::string cap = environment("MIDTREAD_MAX_ISA");
  if (cap.empty()) return sets.front();
  const Isa highest = parse_isa(cap, "MIDTREAD_MAX_ISA");
  for (const KernelSet& set : sets)
    if (set.isa() <= highest) return set;
  return sets.back();
}

/// The kernels that the flags ask for now.
inline const KernelSet& select_kernels() { return select_kernels(current_engine(), demanded_isa()); }

/// The named engine ("auto" included) with the instruction set the flags ask for.
inline const KernelSet& select_kernels(const std::string& engine) {
  return select_kernels(parse_engine(engine, "engine"), demanded_isa());
}

MIDTREAD_NAMESPACE_END
