// SPDX-License-Identifier: MIT
// What a table of vpdpbusd kernels needs before it includes vector.inc, tile.inc, depthwise.inc and kernels.inc.
#pragma once

#include <midtread/kernels/fbgemm/vnni/conv.hpp>
#include <midtread/kernels/fbgemm/vnni/conv_transpose.hpp>
#include <midtread/kernels/fbgemm/vnni/depthwise.hpp>
#include <midtread/kernels/target.hpp>
