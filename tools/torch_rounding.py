# A net in PyTorch as an ideal device of a lower precision would compute it: every tensor is rounded
# once, when it is written, and everything in between is exact (float64).
#
#   with torch_rounding.Rounding("bf16"):
#       output = net(images)          # net and images in float64
#
# bf16 and fp16: images, weights, biases and the result of every function are rounded, and so is
# every gradient; what batch norm learns and counts stays exact. tf32: the operands of convolutions
# and linear layers are rounded, forward and backward, nothing else.
# Half precision that PyTorch computes itself is no yardstick: what it rounds depends on its version
# and on the processor.
# SPDX-License-Identifier: Apache-2.0
import torch
from torch.overrides import TorchFunctionMode

# Half the distance between neighbours at one: the largest relative error of one rounding.
UNIT = {"fp32": 2.0**-24, "tf32": 2.0**-11, "bf16": 2.0**-8, "fp16": 2.0**-11}
_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
_PRODUCTS = {"conv2d", "linear"}
_OTHERS = {"batch_norm", "relu", "relu_", "relu6", "hardtanh", "hardtanh_", "tanh", "sigmoid",
           "avg_pool2d", "adaptive_avg_pool2d", "max_pool2d", "interpolate", "log_softmax",
           "add", "__add__", "__iadd__"}


def rounded(values, precision):
    """The nearest numbers of a precision, ties to even, in the type of `values`."""
    if precision in _HALF:
        return values.to(_HALF[precision]).to(values.dtype)
    bits = values.float().contiguous().view(torch.int32)
    kept = (bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF  # 10 of the 23 bits behind the point
    return kept.view(torch.float32).to(values.dtype)


class _Round(torch.autograd.Function):
    """Rounds a value on its way forward, its gradient on its way back, or both."""

    @staticmethod
    def forward(ctx, values, to_precision, ahead, back):
        ctx.to_precision, ctx.back = to_precision, back
        return to_precision(values) if ahead else values.clone()

    @staticmethod
    def backward(ctx, gradient):
        return ctx.to_precision(gradient) if ctx.back else gradient, None, None, None


class Rounding(TorchFunctionMode):
    """Rounds in every function of a forward pass inside, and of its backward pass.

    To the nearest; with a seed to either side at random, a different device each, equally good.
    """

    def __init__(self, precision, seed=None):
        super().__init__()
        self.precision, self.inside, self.generator = precision, False, None
        if seed is not None:
            self.generator = torch.Generator().manual_seed(seed)

    def _round(self, values):
        if self.generator is not None:
            noise = torch.rand(values.shape, generator=self.generator, dtype=values.dtype)
            values = values * (1 + UNIT[self.precision] * (2 * noise - 1))
        return rounded(values, self.precision)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs, called = kwargs or {}, getattr(func, "__name__", "")
        product, half = called in _PRODUCTS, self.precision in _HALF
        # A function that calls another writes once.
        if self.inside or not (product or half and called in _OTHERS):
            return func(*args, **kwargs)
        if torch.is_tensor(args[0]) and args[0].dim() == 0:  # a loss or a counter
            return func(*args, **kwargs)
        self.inside = True
        try:
            # Input and weight; the bias too where it is kept in 16 bits.
            operands = (3 if half else 2) if product else 1
            args = [_Round.apply(value, self._round, True, half)
                    if place < operands and torch.is_tensor(value) else value
                    for place, value in enumerate(args)]
            return _Round.apply(func(*args, **kwargs), self._round, half, True)
        finally:
            self.inside = False
