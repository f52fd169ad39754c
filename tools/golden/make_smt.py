"""
tests/golden/methods/smt.safetensors: ten-step trajectories of SMT on the models and batches of tests/golden/encoder/{cls2,
reg}, with blocks of 8 x 8 and the first batch as the whole warm-up.  16 of 64 blocks, 6 of them in query, key and value.

  reg    weights stay while the gradient is taken; score: mean of |g|
  cls2   as the published code: one step of full fine-tuning at the peak rate (AdamW, no clipping, decay 0.1), which all
         weights keep, gives the gradient; score: |mean of g|; a new optimizer for the blocks and the head

Run: python tools/golden/make_smt.py        (after make_encoder.py; the protocol of its SIFT holds for the ten steps)

Each trajectory is also run in float64 and must stay close, so that nothing stored depends on one machine's rounding.
"""

import os

import numpy as np
import torch
from transformers import BertForSequenceClassification

from common import GOLDEN, f32, forward, save
from make_encoder import DRIFT, HYPER, adamw, is_head, no_decay
from make_lora_family import batches_of

SIDE = 8
POOLS = {("query", "key", "value"): 6, ("intermediate.dense", "output.dense"): 10}
CASES = {"cls2": dict(reference=True, score="mean_abs"), "reg": dict(reference=False, score="abs_mean")}
MOVED = ("bert.embeddings.position_embeddings.weight", "bert.encoder.layer.0.attention.output.dense.weight",
         "bert.encoder.layer.1.output.LayerNorm.bias")         # some that are not trained afterwards


def load(case, dtype):
    return BertForSequenceClassification.from_pretrained(os.path.join(GOLDEN, "encoder", case)).to(dtype).train()


def pool_of(name):
    if "attention.output" in name or not name.endswith(".weight"):
        return None
    return next((p for p in POOLS for m in p if name.endswith(m + ".weight") and "encoder" in name), None)


def as_blocks(w):
    """[number of blocks, SIDE, SIDE], band by band."""
    rows, cols = w.shape
    return w.reshape(rows // SIDE, SIDE, cols // SIDE, SIDE).permute(0, 2, 1, 3).reshape(-1, SIDE, SIDE)


def select(grads, score):
    """The best blocks of each pool over all its matrices, in the model's order.  Margins far above rounding."""
    chosen = {n: [] for n in grads}
    for pool, k in POOLS.items():
        found = []
        for n, g in grads.items():
            if pool_of(n) == pool:
                b = as_blocks(g)
                s = b.abs().mean((1, 2)) if score == "abs_mean" else b.mean((1, 2)).abs()
                found += [(v.item(), n, i) for i, v in enumerate(s)]
        found.sort(key=lambda f: -f[0])
        margin = (found[k - 1][0] - found[k][0]) / found[k - 1][0]
        assert margin > 1e-4, f"selection margin {margin:.1e}"
        for _, n, i in found[:k]:
            chosen[n].append(i)
    return {n: np.sort(i) for n, i in chosen.items() if i}


def first_gradient(model, batch, reference):
    """Gradients of the targets; under `reference` all weights then take their step."""
    forward(model, *batch).loss.backward()
    grads = {n: p.grad.clone() for n, p in model.named_parameters() if pool_of(n)}
    if reference:
        named = list(model.named_parameters())
        groups = [dict(params=[p for n, p in named if no_decay(n) == off], weight_decay=0.0 if off else 0.1)
                  for off in (False, True)]
        torch.optim.AdamW(groups, lr=HYPER["learning_rate"], eps=HYPER["adam_epsilon"], foreach=False).step()
    model.zero_grad()
    return grads


def run(case, o, dtype):
    model, batches = load(case, dtype), batches_of(case)
    blocks = select(first_gradient(model, batches[0], o["reference"]), o["score"])
    params = dict(model.named_parameters())
    kept = {n: torch.nn.Parameter(as_blocks(params[n].detach())[i].clone()) for n, i in blocks.items()}
    named = list(kept.items()) + [(n, p) for n, p in params.items() if is_head(n)]
    optimizer, schedule = adamw(named)
    losses = []
    for batch in batches:
        model.zero_grad()
        loss = forward(model, *batch).loss
        loss.backward()
        for n, i in blocks.items():
            kept[n].grad = as_blocks(params[n].grad)[i].clone()
        torch.nn.utils.clip_grad_norm_([p for _, p in named], HYPER["max_grad_norm"])
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for n, i in blocks.items():
                across = params[n].shape[1] // SIDE
                for b, v in zip(i, kept[n]):
                    r, c = b // across * SIDE, b % across * SIDE
                    params[n][r:r + SIDE, c:c + SIDE] = v
        losses.append(loss.item())
    final = [n for n in params if n in blocks or is_head(n) or (o["reference"] and n in MOVED)]
    return losses, blocks, {n: f32(params[n]) for n in final}


def make(case, o, tensors):
    losses, blocks, final = run(case, o, torch.float32)
    exact, exact_blocks, exact_final = run(case, o, torch.float64)
    assert all((blocks[n] == exact_blocks[n]).all() for n in exact_blocks) and blocks.keys() == exact_blocks.keys()
    drift = max(abs(a - b) for a, b in zip(losses, exact))
    end = max(np.abs(final[n] - exact_final[n]).max() for n in final)
    print(f"  {case:5} {losses[0]:.6f} ... {losses[-1]:.6f}   float32 against float64: losses {drift:.1e}, "
          f"weights {end:.1e}; blocks of {len(blocks)} matrices")
    assert drift < DRIFT and end < DRIFT
    tensors[f"{case}.loss"] = np.array(losses, np.float32)
    tensors.update({f"{case}.idx.{n}": i for n, i in blocks.items()})
    tensors.update({f"{case}.final.{n}": v for n, v in final.items()})


if __name__ == "__main__":
    torch.set_num_threads(1)
    tensors = {}
    for case, o in CASES.items():
        make(case, o, tensors)
    meta = dict(HYPER, optim="adamw_torch", block=SIDE, computed="float32", torch=torch.__version__)
    meta.update({f"{case}.{k}": v for case, o in CASES.items() for k, v in o.items()})
    save(os.path.join(GOLDEN, "methods", "smt.safetensors"), tensors, meta)
