// SPDX-License-Identifier: MIT
// What a parameter is, so that an optimizer can treat kinds of parameters differently.
#pragma once

#include <midtread/core/platform.hpp>

MIDTREAD_NAMESPACE_BEGIN(nn)

enum class ParameterTag {
  kWeight,
  kBias,
  kBatchNorm,  ///< gamma and beta
  kScale,      ///< a learned step, or the threshold it comes from
  kOffset,     ///< a learned zero point or offset
  kAlpha       ///< PACT's clipping value
};

inline const char* to_string(ParameterTag tag) {
  switch (tag) {
    case ParameterTag::kWeight: return "weight";
    case ParameterTag::kBias: return "bias";
    case ParameterTag::kBatchNorm: return "bn";
    case ParameterTag::kScale: return "scale";
    case ParameterTag::kOffset: return "offset";
    case ParameterTag::kAlpha: return "alpha";
  }
  return "?";
}

MIDTREAD_NAMESPACE_END
