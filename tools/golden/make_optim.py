"""
tests/golden/optim/optim.safetensors: five steps of AdamW (PyTorch's, transformers' own) and SGD on a vector of eight with
given gradients, global-norm clipping of two vectors, and the learning-rate schedules of transformers and PyTorch over 20
steps.

Run: python tools/golden/make_optim.py        (tensor names and shapes are listed in README.md)
"""

import os

import numpy as np
import torch
from transformers import (get_constant_schedule, get_constant_schedule_with_warmup, get_cosine_schedule_with_warmup,
                          get_linear_schedule_with_warmup, get_polynomial_decay_schedule_with_warmup)
from transformers.optimization import AdamW as HFAdamW

from common import GOLDEN, save

N, STEPS = 8, 5
LR, WARMUP, TOTAL = 1e-3, 4, 20
OPTIMIZERS = {
    "adamw": (torch.optim.AdamW, dict(lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)),
    "adamw_decay": (torch.optim.AdamW, dict(lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)),
    "adamw_betas": (torch.optim.AdamW, dict(lr=1e-2, betas=(0.8, 0.98), eps=1e-3, weight_decay=0.01)),
    "hf": (HFAdamW, dict(lr=1e-2, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0)),
    "hf_decay": (HFAdamW, dict(lr=1e-2, betas=(0.9, 0.98), eps=1e-3, weight_decay=0.1)),
    "bert": (HFAdamW, dict(lr=1e-2, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0, correct_bias=False)),
    "sgd": (torch.optim.SGD, dict(lr=1e-1)),
    "sgd_decay": (torch.optim.SGD, dict(lr=1e-1, weight_decay=0.1)),
    "sgd_momentum": (torch.optim.SGD, dict(lr=1e-1, momentum=0.9)),
}


def steps(make, options, w0, grads):
    """The vector after each step, computed in float64 from the float32 inputs."""
    w = torch.nn.Parameter(torch.tensor(w0, dtype=torch.float64))
    optimizer = make([w], **options)
    out = []
    for g in grads:
        w.grad = torch.tensor(g, dtype=torch.float64)
        optimizer.step()
        out.append(w.detach().numpy().copy())
    return np.array(out, np.float32)


def adamw_by_hand(o, w0, grads):
    """The same from the formula, so that the file does not rest on one library's version."""
    w, m, v, out = w0.astype(np.float64), 0.0, 0.0, []
    b1, b2 = o["betas"]
    for t, g in enumerate(grads.astype(np.float64), 1):
        w = w * (1 - o["lr"] * o["weight_decay"])
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        w = w - o["lr"] / (1 - b1**t) * m / (np.sqrt(v) / np.sqrt(1 - b2**t) + o["eps"])
        out.append(w)
    return np.array(out)


def hf_by_hand(o, w0, grads):
    """The same for transformers' AdamW, and without its bias correction BERT's Adam."""
    w, m, v, out = w0.astype(np.float64), 0.0, 0.0, []
    b1, b2 = o["betas"]
    for t, g in enumerate(grads.astype(np.float64), 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        corrected = np.sqrt(1 - b2**t) / (1 - b1**t) if o.get("correct_bias", True) else 1.0
        w = w - o["lr"] * corrected * m / (np.sqrt(v) + o["eps"])
        w = w - o["lr"] * o["weight_decay"] * w
        out.append(w)
    return np.array(out)


def schedule(make, **options):
    """The learning rate used by optimizer step 0, 1, ..., 19."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    scheduler = make(optimizer, **options)
    out = []
    for _ in range(TOTAL):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return np.array(out, np.float32)


def clip(rng):
    """Global-norm clipping of two vectors together: torch scales by max_norm / (norm + 1e-6) and never enlarges."""
    out = {}
    for case, scale in (("over", 3.0), ("under", 0.1)):
        a, b = (scale * rng.normal(size=n).astype(np.float32) for n in (5, 3))
        params = [torch.nn.Parameter(torch.zeros(len(x), dtype=torch.float64)) for x in (a, b)]
        for p, x in zip(params, (a, b)):
            p.grad = torch.tensor(x, dtype=torch.float64)
        norm = torch.nn.utils.clip_grad_norm_(params, 1.0)
        out.update({f"clip.{case}.a": a, f"clip.{case}.b": b, f"clip.{case}.norm": norm.reshape(1).numpy(),
                    f"clip.{case}.a_clipped": params[0].grad.numpy(), f"clip.{case}.b_clipped": params[1].grad.numpy()})
    return {k: np.asarray(v, np.float32) for k, v in out.items()}


def main():
    rng = np.random.default_rng(7)
    w0 = rng.normal(size=N).astype(np.float32)
    grads = rng.normal(size=(STEPS, N)).astype(np.float32)
    grads[:, 3] = 0.0                      # an entry that never gets a gradient: only decay may move it
    grads[:, 4] *= 1e-6                    # and one so small that eps matters
    tensors, meta = dict(w0=w0, grads=grads), dict(computed="float64, rounded to float32")
    for name, (make, options) in OPTIMIZERS.items():
        tensors[name] = steps(make, options, w0, grads)
        if "adamw" in name:
            np.testing.assert_allclose(tensors[name], adamw_by_hand(options, w0, grads), rtol=2e-7, atol=1e-9)
        if make is HFAdamW:
            np.testing.assert_allclose(tensors[name], hf_by_hand(options, w0, grads), rtol=2e-7, atol=1e-9)
        for key, value in options.items():
            for k, x in zip(("adam_beta1", "adam_beta2"), value) if key == "betas" else ((key, value),):
                meta[f"{name}.{k}"] = x
    tensors.update(clip(rng))
    tensors.update({
        "schedule.linear": schedule(get_linear_schedule_with_warmup, num_warmup_steps=WARMUP, num_training_steps=TOTAL),
        "schedule.cosine": schedule(get_cosine_schedule_with_warmup, num_warmup_steps=WARMUP, num_training_steps=TOTAL),
        "schedule.constant_with_warmup": schedule(get_constant_schedule_with_warmup, num_warmup_steps=WARMUP),
        "schedule.constant": schedule(get_constant_schedule),
        "schedule.linear_no_warmup": schedule(get_linear_schedule_with_warmup, num_warmup_steps=0,
                                              num_training_steps=TOTAL),
    })
    tensors.update({
        "schedule.polynomial": schedule(get_polynomial_decay_schedule_with_warmup, num_warmup_steps=WARMUP,
                                        num_training_steps=TOTAL),
        "schedule.polynomial_square": schedule(get_polynomial_decay_schedule_with_warmup, num_warmup_steps=WARMUP,
                                               num_training_steps=TOTAL - 5, lr_end=1e-4, power=2.0),
        "schedule.step": schedule(torch.optim.lr_scheduler.StepLR, step_size=6, gamma=0.85),
    })
    meta.update({"schedule.learning_rate": LR, "schedule.warmup_steps": WARMUP, "schedule.num_training_steps": TOTAL,
                 "clip.max_grad_norm": 1.0})
    save(os.path.join(GOLDEN, "optim", "optim.safetensors"), tensors, meta)


if __name__ == "__main__":
    main()
