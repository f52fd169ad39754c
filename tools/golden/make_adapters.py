"""
tests/golden/methods/{houlsby,pfeiffer,bitfit,meprop,meprop_unified}.safetensors: ten-step trajectories of plain PyTorch
programs for these methods on the models and batches of tests/golden/encoder/{cls2,reg}, in the protocol of make_encoder.py
(AdamW, clipping to 1, decay 0.1 on everything but biases and LayerNorm weights, linear schedule with two warm-up steps,
dropout 0, dense head).

Run: python tools/golden/make_adapters.py        (after make_encoder.py)

Adapters are modules put into transformers' own layers; none of their first values is 0. meProp is an autograd function
in place of every linear layer of the encoder. Each trajectory is also run in float64 and must stay close, so that nothing
stored depends on one machine's rounding.
"""

import os
import types

import numpy as np
import torch
from safetensors.numpy import load_file
from torch import nn
from transformers import BertForSequenceClassification

from common import GOLDEN, f32, save
from make_encoder import DRIFT, HYPER, STEPS, is_head, train

CASES = ("cls2", "reg")
BOTTLENECK, K = 3, 5


# ---------------------------------------------------------------------------------------------------------------------
# Adapters

class Adapter(nn.Module):
    def __init__(self, hidden, activation):
        super().__init__()
        self.down, self.up, self.activation = nn.Linear(hidden, BOTTLENECK), nn.Linear(BOTTLENECK, hidden), activation

    def forward(self, x):
        return self.up(self.activation(self.down(x)))


def houlsby_output(self, hidden_states, input_tensor):
    h = self.dropout(self.dense(hidden_states))
    return self.LayerNorm(h + self.adapter(h) + input_tensor)


def pfeiffer_output(self, hidden_states, input_tensor):
    s = self.dropout(self.dense(hidden_states)) + input_tensor
    return self.LayerNorm(s + self.adapter(self.LayerNorm(s)))


def put_adapter(layer, forward, activation):
    layer.adapter = Adapter(layer.dense.out_features, activation)
    layer.forward = types.MethodType(forward, layer)


def with_adapters(model, method, variant):
    tanh_gelu = nn.GELU(approximate="tanh")
    for block in model.bert.encoder.layer:
        if method == "houlsby":
            activation = nn.SiLU() if variant == "mslora" else tanh_gelu
            put_adapter(block.attention.output, houlsby_output, activation)
            put_adapter(block.output, houlsby_output, activation)
        else:
            put_adapter(block.output, pfeiffer_output, nn.ReLU())
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for n, p in model.named_parameters():
            if "adapter" in n:
                p.copy_(0.3 * torch.randn(p.shape, generator=generator))
            p.requires_grad = "adapter" in n or is_head(n) or (variant == "original" and "LayerNorm" in n)


# ---------------------------------------------------------------------------------------------------------------------
# meProp

class SparseBackward(torch.autograd.Function):
    """y = x W' + b; the gradient of y keeps K entries per token, or K columns in all, but for the bias."""

    @staticmethod
    def forward(ctx, x, w, b, unified):
        ctx.save_for_backward(x, w)
        ctx.unified = unified
        return nn.functional.linear(x, w, b)

    @staticmethod
    def backward(ctx, dy):
        x, w = ctx.saved_tensors
        dy, rows = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
        score = dy.abs().sum(0, keepdim=True).expand_as(dy) if ctx.unified else dy.abs()
        kept = torch.zeros_like(dy).scatter_(1, score.topk(K, dim=1).indices, 1) * dy
        return (kept @ w).reshape(x.shape), kept.T @ rows, dy.sum(0), None


def with_meprop(model, unified):
    for layer in model.bert.encoder.modules():
        if isinstance(layer, nn.Linear):
            layer.forward = types.MethodType(
                lambda self, x: SparseBackward.apply(x, self.weight, self.bias, unified), layer)


def with_biases(model):
    for n, p in model.named_parameters():
        p.requires_grad = n.endswith("bias") or is_head(n)


# ---------------------------------------------------------------------------------------------------------------------

FILES = {
    "houlsby": {"mslora.": lambda m: with_adapters(m, "houlsby", "mslora"),
                "original.": lambda m: with_adapters(m, "houlsby", "original")},
    "pfeiffer": {"mslora.": lambda m: with_adapters(m, "pfeiffer", "mslora"),
                 "original.": lambda m: with_adapters(m, "pfeiffer", "original")},
    "bitfit": {"": with_biases},
    "meprop": {"": lambda m: with_meprop(m, False)},
    "meprop_unified": {"": lambda m: with_meprop(m, True)},
}


def batches_of(case):
    t = load_file(os.path.join(GOLDEN, "encoder", case, "traj.safetensors"))
    return [tuple(t["traj." + k][i] for k in ("input_ids", "token_type_ids", "lengths", "labels"))
            for i in range(STEPS)]


def run(case, change, dtype):
    """Losses, first values of what was added, final values of what was trained."""
    model = BertForSequenceClassification.from_pretrained(os.path.join(GOLDEN, "encoder", case))
    change(model)
    model = model.to(dtype).train()
    init = {n: f32(p).copy() for n, p in model.named_parameters() if "adapter" in n}
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    losses = train(model, batches_of(case), trained)
    return losses, init, {n: f32(p) for n, p in trained}


def worth_keeping(method, name):
    """Of what meProp trains, everything, the second block and the head are enough."""
    return not method.startswith("meprop") or "layer.1" in name or is_head(name)


def make(method, variants):
    tensors = {}
    for case in CASES:
        for variant, change in variants.items():
            prefix = f"{case}.{variant}"
            losses, init, final = run(case, change, torch.float32)
            exact, _, exact_final = run(case, change, torch.float64)
            drift = max(abs(a - b) for a, b in zip(losses, exact))
            end = max(np.abs(final[n] - exact_final[n]).max() for n in final if not n.endswith("key.bias"))
            print(f"  {method:14} {prefix:14} {losses[0]:.6f} ... {losses[-1]:.6f}   {len(init)} tensors added, "
                  f"{len(final)} trained, float32 against float64: losses {drift:.1e}, weights {end:.1e}")
            assert drift < DRIFT and end < DRIFT
            tensors[prefix + "loss"] = np.array(losses, np.float32)
            tensors.update({f"{prefix}init.{n}": v for n, v in init.items()})
            tensors.update({f"{prefix}final.{n}": v for n, v in final.items() if worth_keeping(method, n)})
    meta = dict(HYPER, optim="adamw_torch", no_decay="names with `bias` or `LayerNorm.weight`", computed="float32",
                torch=torch.__version__)
    if method.startswith("meprop"):
        meta.update(k=K)
    elif method != "bitfit":
        meta.update(bottleneck=BOTTLENECK)
    save(os.path.join(GOLDEN, "methods", method + ".safetensors"), tensors, meta)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, variants in FILES.items():
        make(name, variants)
