// SPDX-License-Identifier: MIT
// Everything for writing, training, quantizing and running a model. Data sets (data/) and files (io/) are
// included by those who need them.
#pragma once

#include <midtread/autograd/function.hpp>
#include <midtread/fwd.hpp>
#include <midtread/graph/print.hpp>
#include <midtread/graph/tracer.hpp>
#include <midtread/nn/activation.hpp>
#include <midtread/nn/batch_norm.hpp>
#include <midtread/nn/conv1d.hpp>
#include <midtread/nn/conv2d.hpp>
#include <midtread/nn/conv_transpose2d.hpp>
#include <midtread/nn/dropout.hpp>
#include <midtread/nn/flatten.hpp>
#include <midtread/nn/functional.hpp>
#include <midtread/nn/identity.hpp>
#include <midtread/nn/init.hpp>
#include <midtread/nn/linear.hpp>
#include <midtread/nn/module_list.hpp>
#include <midtread/nn/pad.hpp>
#include <midtread/nn/pool2d.hpp>
#include <midtread/nn/print.hpp>
#include <midtread/nn/quant_stub.hpp>
#include <midtread/nn/sequential.hpp>
#include <midtread/nn/summary.hpp>
#include <midtread/nn/upsample.hpp>
#include <midtread/optim/adam.hpp>
#include <midtread/optim/clip_grad.hpp>
#include <midtread/optim/lr_scheduler.hpp>
#include <midtread/optim/sgd.hpp>
#include <midtread/passes/calibrate.hpp>
#include <midtread/passes/convert.hpp>
#include <midtread/passes/verify_convert.hpp>
#include <midtread/runtime.hpp>
#include <midtread/tensor/compare.hpp>
#include <midtread/tensor/factory.hpp>
#include <midtread/tensor/print.hpp>
#include <midtread/version.hpp>
