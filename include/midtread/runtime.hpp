// SPDX-License-Identifier: MIT
// Process-wide switches: engine, instruction set, threads, seed.
#pragma once

#include <midtread/core/parallel.hpp>
#include <midtread/core/random.hpp>
#include <midtread/kernels/dispatch.hpp>

MIDTREAD_ROOT_NAMESPACE_BEGIN

using kernels::available_isas;
using kernels::Engine;
using kernels::set_engine;
using kernels::set_isa;

/// Name of the engine that models converted or loaded now are bound to.
inline std::string engine() { return kernels::select_kernels().engine_name(); }
/// Name of the instruction set it uses.
inline std::string isa() { return kernels::select_kernels().isa_name(); }

MIDTREAD_ROOT_NAMESPACE_END
