"""
tests/golden/methods/sift_shira.safetensors and sift_refresh.safetensors: ten-step trajectories of two ways to train
single entries, on the model and batches of tests/golden/encoder/cls2, in the protocol of make_encoder.py (AdamW,
clipping to 1, linear schedule with two warm-up steps, dropout 0, dense head, weights of the attention without biases).
The first is peft's SHiRA (0.16 or later; 0.17.1 was used), the second a plain program.

Run: python tools/golden/make_sift.py        (after make_encoder.py)

Each trajectory is also run in float64 and must stay close, and every selection must be far from a tie, so that nothing
stored depends on one machine's rounding.
"""

import math
import os

import numpy as np
import peft as peft_package
import torch
from peft import ShiraConfig, get_peft_model
from torch.nn.utils import clip_grad_norm_
from transformers import BertForSequenceClassification

from common import GOLDEN, f32, forward, save
from make_encoder import DENSITY, DRIFT, HYPER, STEPS, adamw, is_head, is_sift
from make_lora_family import batches_of

CASE = "cls2"
REFRESH_EVERY = 3
SHIRA_DENSITY = 0.122  # floor(0.122 * 16 * 16) + 1 = 32 = 1 (16 + 16), what peft takes for r = 1


def load(dtype):
    return BertForSequenceClassification.from_pretrained(os.path.join(GOLDEN, "encoder", CASE)).to(dtype).train()


def is_target(name):
    return is_sift(name) and name.endswith(".weight")


def largest(g, k):
    """Offsets of the k largest |g|, ascending, and how far the last one in is from the first one out."""
    a = g.detach().abs().flatten().numpy()
    order = np.lexsort((np.arange(a.size), -a))
    return np.sort(order[:k]), (a[order[k - 1]] - a[order[k]]) / a[order[k - 1]]


def selection(model, batch, density=DENSITY):
    """The floor(density n) + 1 entries of each target with the largest gradient of this batch's mean loss."""
    model.zero_grad()
    forward(model, *batch).loss.backward()
    idx = {}
    for n, p in model.named_parameters():
        if is_target(n):
            idx[n], margin = largest(p.grad, math.floor(density * p.numel()) + 1)
            assert margin > 1e-4, f"{n}: selection margin {margin:.1e}; take another seed"
    model.zero_grad()
    return idx


def shira_model(dtype, idx):
    """peft's SHiRA with r = 1 on the attention's modules, its mask ours: r (in + out) entries of each weight."""
    model = load(dtype)
    modules = {id(model.get_submodule(n.removesuffix(".weight"))): n for n in idx}

    def mask(module, r, **_):
        flat = torch.zeros(module.weight.numel(), dtype=module.weight.dtype)
        flat[torch.as_tensor(idx[modules[id(module)]], dtype=torch.long)] = 1
        return flat.view_as(module.weight)

    config = ShiraConfig(r=1, target_modules=["query", "key", "value", "attention.output.dense"])
    config.mask_fn = mask
    return get_peft_model(model, config).to(dtype).train()


def run_shira(dtype, batches, idx):
    """
    AdamW knows the values of the sparse matrix, so that decay pulls the increment to 0, not the weight. The head does
    not decay here.
    """
    peft = shira_model(dtype, idx)
    model = peft.base_model.model
    for n, p in model.named_parameters():
        p.requires_grad = is_head(n) or "shira_weight" in n
    trained = [p for p in model.parameters() if p.requires_grad]
    values = [p for n, p in model.named_parameters() if "shira_weight" in n]
    assert len(values) == len(idx)
    head = [p for n, p in model.named_parameters() if is_head(n)]
    optimizer = torch.optim.AdamW([dict(params=values, weight_decay=HYPER["weight_decay"]),
                                   dict(params=head, weight_decay=0.0)], lr=HYPER["learning_rate"],
                                  betas=(HYPER["adam_beta1"], HYPER["adam_beta2"]), eps=HYPER["adam_epsilon"])
    losses = []
    for step, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = HYPER["learning_rate"] * factor(step)
        optimizer.zero_grad()
        loss = forward(model, *batch).loss
        loss.backward()
        clip_grad_norm_(trained, HYPER["max_grad_norm"])
        optimizer.step()
        losses.append(loss.item())
    merged = peft.merge_and_unload()
    final = {n: f32(p) for n, p in merged.named_parameters() if n in idx or is_head(n)}
    assert len(final) == len(idx) + 4
    return losses, final, idx


def factor(step):
    """The linear schedule with two warm-up steps."""
    return step / 2 if step < 2 else (STEPS - step) / (STEPS - 2)


def adamw_entries(p, g, i, m, v, t, lr):
    """One AdamW step of the entries i of p, whose gradient is g; m and v are as large as p."""
    b1, b2 = HYPER["adam_beta1"], HYPER["adam_beta2"]
    w = p.view(-1)
    m[i] = b1 * m[i] + (1 - b1) * g
    v[i] = b2 * v[i] + (1 - b2) * g * g
    w[i] *= 1 - lr * HYPER["weight_decay"]
    w[i] -= lr / (1 - b1**t) * m[i] / (v[i].sqrt() / (1 - b2**t) ** 0.5 + HYPER["adam_epsilon"])


def run_refresh(dtype, batches, idx):
    """
    Every third step selects again from its own batch: entries in both masks keep their moments, new ones start at 0,
    those that left keep their value; the step count of a tensor goes on.
    """
    model = load(dtype)
    params = dict(model.named_parameters())
    head = [(n, p) for n, p in params.items() if is_head(n)]
    optimizer, schedule = adamw(head)
    m, v = ({n: torch.zeros(params[n].numel(), dtype=dtype) for n in idx} for _ in range(2))
    losses = []
    for step, batch in enumerate(batches):
        if step > 0 and step % REFRESH_EVERY == 0:
            idx = selection(model, batch)
            for n, i in idx.items():
                for state in m[n], v[n]:
                    kept = state[i].clone()
                    state.zero_()
                    state[i] = kept
        model.zero_grad()
        loss = forward(model, *batch).loss
        loss.backward()
        entries = {n: torch.nn.Parameter(torch.zeros(len(i), dtype=dtype)) for n, i in idx.items()}
        for n, i in idx.items():
            entries[n].grad = params[n].grad.flatten()[i].clone()
        clip_grad_norm_(list(entries.values()) + [p for _, p in head], HYPER["max_grad_norm"])
        with torch.no_grad():
            for n, i in idx.items():
                adamw_entries(params[n], entries[n].grad, i, m[n], v[n], step + 1,
                              HYPER["learning_rate"] * factor(step))
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses, {n: f32(params[n]) for n in params if is_target(n) or is_head(n)}, idx


def make(name, run, first):
    batches = batches_of(CASE)
    losses, final, idx = run(torch.float32, batches, first)
    exact, exact_final, exact_idx = run(torch.float64, batches, first)
    drift = max(abs(a - b) for a, b in zip(losses, exact))
    end = max(np.abs(final[n] - exact_final[n]).max() for n in final)
    overlap = np.mean([len(np.intersect1d(first[n], idx[n])) / len(idx[n]) for n in idx])
    print(f"  {name:8} {losses[0]:.6f} ... {losses[-1]:.6f}   first and last mask share {overlap:.2f}, "
          f"float32 against float64: losses {drift:.1e}, weights {end:.1e}")
    assert drift < DRIFT and end < DRIFT and all((idx[n] == exact_idx[n]).all() for n in idx)
    tensors = {"loss": np.array(losses, np.float32)}
    tensors.update({"idx." + n: i for n, i in idx.items()})
    tensors.update({"final." + n: x for n, x in final.items()})
    meta = dict(HYPER, optim="adamw_torch", bias="false", computed="float32", torch=torch.__version__)
    meta.update(dict(density=DENSITY, refresh_every=REFRESH_EVERY) if run is run_refresh else
                dict(density=SHIRA_DENSITY, decay_to="init", head_decay=0.0, peft=peft_package.__version__))
    save(os.path.join(GOLDEN, "methods", f"sift_{name}.safetensors"), tensors, meta)


def main():
    first = batches_of(CASE)[0]
    make("shira", run_shira, selection(load(torch.float64), first, SHIRA_DENSITY))
    make("refresh", run_refresh, selection(load(torch.float64), first))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
