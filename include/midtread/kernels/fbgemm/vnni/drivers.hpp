// SPDX-License-Identifier: MIT
// What a table of vpdpbusd kernels needs before it includes vector.inc, the parts and kernels.inc.
#pragma once

#include <midtread/kernels/elementwise_rows.hpp>
#include <midtread/kernels/fbgemm/avx2/depthwise.hpp>
#include <midtread/kernels/fbgemm/vnni/conv.hpp>
#include <midtread/kernels/fbgemm/vnni/conv_transpose.hpp>
#include <midtread/kernels/fbgemm/vnni/depthwise.hpp>
#include <midtread/kernels/target.hpp>
