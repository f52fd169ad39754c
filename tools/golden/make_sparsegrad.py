"""
tests/golden/methods/sparsegrad.safetensors, gradtopk.safetensors and gmt.safetensors: ten-step trajectories of methods
that mask gradients, on the model and batches of tests/golden/encoder/cls2, in the protocol of make_encoder.py (AdamW,
clipping to 1, linear schedule with two warm-up steps, dropout 0, decay 0.1).

Run: python tools/golden/make_sparsegrad.py        (after make_encoder.py)

SparseGrad is written here as the paper has it: the weight itself lives in the new basis, activations and output
gradients are rotated, and torch.optim.SparseAdam gets the kept entries as a sparse tensor. Each trajectory is also run
in float64: it must keep the same entries in every step and stay close, so that nothing stored depends on one machine's
rounding.
"""

import os

import numpy as np
import torch
from torch.nn.utils import clip_grad_norm_
from transformers import BertForSequenceClassification

from common import GOLDEN, f32, forward, save
from make_encoder import DRIFT, HYPER, adamw, is_head
from make_lora_family import batches_of

CASE = "cls2"
K = 40                      # of 640 entries of a feed-forward matrix
PHASE0 = 3                  # batches
KEEP_RATIO = 0.2
GMT_TARGETS = ("query", "output.dense")
FINAL = ("bert.encoder.layer.0.intermediate.dense.weight", "bert.encoder.layer.0.intermediate.dense.bias",
         "bert.encoder.layer.1.output.dense.weight", "bert.encoder.layer.1.attention.self.query.weight",
         "bert.encoder.layer.0.attention.output.LayerNorm.weight", "classifier.weight")


def load(dtype):
    return BertForSequenceClassification.from_pretrained(os.path.join(GOLDEN, "encoder", CASE)).to(dtype).train()


def mlp_modules(model):
    """(role, name, module) of the feed-forward linears."""
    for n, m in model.named_modules():
        if n.endswith("intermediate.dense"):
            yield "intermediate", n, m
        elif n.endswith("output.dense") and "attention" not in n:
            yield "output", n, m


def keep_largest(g, k, kept):
    """Offsets of the k largest |g|; writes them down for the comparison between precisions."""
    order = torch.argsort(g.abs().flatten(), descending=True, stable=True)
    idx = order[:k].sort().values
    kept.append(idx.numpy())
    return idx


def masked(g, idx):
    out = torch.zeros_like(g).flatten()
    out[idx] = g.flatten()[idx]
    return out.view_as(g)


# ---------------------------------------------------------------------------------------------------------------------
# GMT and gradtopk: dense AdamW after a mask

def run_masked(dtype, batches, trained, counts):
    """`trained`: is a parameter trained; `counts`: entries that a parameter keeps, None for all of them."""
    model, kept, losses = load(dtype), [], []
    named = [(n, p) for n, p in model.named_parameters() if trained(n)]
    optimizer, schedule = adamw(named)
    for batch in batches:
        model.zero_grad()
        loss = forward(model, *batch).loss
        loss.backward()
        for n, p in named:
            k = counts(n, p)
            if k is not None:
                p.grad = masked(p.grad, keep_largest(p.grad, k, kept))
        clip_grad_norm_([p for _, p in named], HYPER["max_grad_norm"])
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses, dict(model.named_parameters()), kept, {}


def is_gmt_target(name):
    return any(f".{t}." in name for t in GMT_TARGETS)


def run_gmt(dtype, batches):
    """keep_ratio of every target tensor; the head is trained densely."""
    return run_masked(dtype, batches, lambda n: is_gmt_target(n) or is_head(n),
                      lambda n, p: None if is_head(n) else max(1, int(KEEP_RATIO * p.numel())))


def run_gradtopk(dtype, batches):
    mlp = {n + ".weight" for _, n, _ in mlp_modules(load(dtype))}
    return run_masked(dtype, batches, lambda n: True, lambda n, p: K if n in mlp else None)


# ---------------------------------------------------------------------------------------------------------------------
# SparseGrad

class Rotated(torch.autograd.Function):
    """y = (x Q) W~^T P^T + b with W~ = P^T W Q. Gradients of W~ (whole: the mask is taken later), b and x."""

    @staticmethod
    def forward(ctx, x, w, b, p, q, official_bias):
        ctx.save_for_backward(x, w, p, q)
        ctx.official_bias = official_bias
        return (x @ q) @ w.T @ p.T + b

    @staticmethod
    def backward(ctx, dy):
        x, w, p, q = ctx.saved_tensors
        dyr = (dy @ p).flatten(0, -2)
        gw = dyr.T @ (x @ q).flatten(0, -2)
        gb = (dyr if ctx.official_bias else dy.flatten(0, -2)).sum(0)
        return (dyr @ w @ q.T).view_as(x), gw, gb, None, None, None


def eigenvectors(gram):
    """Columns, strongest first, the largest component of each positive."""
    vectors = torch.linalg.eigh(gram).eigenvectors.flip(1)
    at = vectors.abs().argmax(0)
    return vectors * vectors[at, torch.arange(len(at))].sign()


def factors(grams):
    return {role: (eigenvectors(out), eigenvectors(inn)) for role, (out, inn) in grams.items()}


def phase0(model, batches, update, trained):
    """Gram matrices of the first gradients, at fixed weights or between AdamW steps at the peak rate, unclipped."""
    grams, named = {}, [(n, p) for n, p in model.named_parameters() if trained(n)]
    optimizer, _ = adamw(named)
    for group in optimizer.param_groups:
        group["lr"] = HYPER["learning_rate"]
    for batch in batches[:PHASE0]:
        model.zero_grad()
        forward(model, *batch).loss.backward()
        for role, _, m in mlp_modules(model):
            g = m.weight.grad.double()
            out, inn = grams.get(role, (0, 0))
            grams[role] = out + g @ g.T, inn + g.T @ g
        if update:
            optimizer.step()
    model.zero_grad()
    return grams


def rotate_modules(model, bases, official_bias):
    """Puts the rotated linears in place; their weights, W~, by module name."""
    weights = {}
    for role, name, m in mlp_modules(model):
        p, q = bases[role]
        w = torch.nn.Parameter(p.T @ m.weight.detach() @ q)
        b = m.bias
        m.forward = lambda x, w=w, b=b, p=p, q=q: Rotated.apply(x, w, b, p, q, official_bias)
        weights[name] = (w, p, q)
    return weights


def run_sparsegrad(dtype, batches, reference, exact_bases):
    """
    The paper's method, or the published code's: transposed input basis, rotated bias gradient, the steps of phase 0
    kept, LayerNorm frozen. The bases used are float64's in either precision: eigenvectors of close eigenvalues would
    make the comparison of precisions one of LAPACKs.
    """
    model, kept, losses = load(dtype), [], []
    trained = (lambda n: "LayerNorm" not in n) if reference else (lambda n: True)
    bases = factors(phase0(model, batches, reference, trained))
    bases = {r: (p, q.T if reference else q) for r, (p, q) in bases.items()}
    bases = {r: tuple(x.to(dtype) for x in pq) for r, pq in (exact_bases or bases).items()}
    mlp = {n + ".weight" for _, n, _ in mlp_modules(model)}
    weights = rotate_modules(model, bases, reference)
    rest = [(n, p) for n, p in model.named_parameters() if n not in mlp and trained(n)]
    optimizer, schedule = adamw(rest)
    sparse = torch.optim.SparseAdam([w for w, _, _ in weights.values()], lr=HYPER["learning_rate"],
                                    betas=(HYPER["adam_beta1"], HYPER["adam_beta2"]), eps=HYPER["adam_epsilon"])
    for step, batch in enumerate(batches):
        model.zero_grad()
        for w, _, _ in weights.values():
            w.grad = None
        loss = forward(model, *batch).loss
        loss.backward()
        support = {n: keep_largest(w.grad, K, kept) for n, (w, _, _) in weights.items()}
        for n, (w, _, _) in weights.items():
            w.grad = masked(w.grad, support[n])
        clip_grad_norm_([p for _, p in rest] + [w for w, _, _ in weights.values()], HYPER["max_grad_norm"])
        for n, (w, _, _) in weights.items():
            at = torch.stack([support[n] // w.shape[1], support[n] % w.shape[1]])
            w.grad = torch.sparse_coo_tensor(at, w.grad.flatten()[support[n]], w.shape,
                                             check_invariants=True)
        for group in sparse.param_groups:
            group["lr"] = optimizer.param_groups[0]["lr"]
        optimizer.step()
        sparse.step()
        schedule.step()
        losses.append(loss.item())
    params = dict(model.named_parameters())
    params.update({n + ".weight": p @ w.detach() @ q.T for n, (w, p, q) in weights.items()})
    return losses, params, kept, bases


# ---------------------------------------------------------------------------------------------------------------------

def compare(name, run, batches):
    """The float32 trajectory, if float64 keeps the same entries and ends where it does."""
    exact, exact_params, exact_kept, bases = run(torch.float64, batches, None)
    losses, params, kept, _ = run(torch.float32, batches, bases or None)
    different = sum(not np.array_equal(a, b) for a, b in zip(kept, exact_kept))
    drift = max(abs(a - b) for a, b in zip(losses, exact))
    end = max(np.abs(f32(params[n]) - f32(exact_params[n])).max() for n in FINAL)
    print(f"{name:22} {losses[0]:.6f} ... {losses[-1]:.6f}   {different} of {len(kept)} masks differ, "
          f"losses {drift:.1e}, weights {end:.1e}")
    assert different == 0 and drift < DRIFT and end < DRIFT, "take other settings: a mask is close to a tie"
    tensors = {f"{name}.final.{n}": f32(params[n]) for n in FINAL}
    tensors[f"{name}.loss"] = np.array(losses, np.float32)
    for role, (p, q) in bases.items():
        tensors[f"{name}.basis/{role}/out"] = f32(p.T)      # a vector a row, as peftlab stores them
        tensors[f"{name}.basis/{role}/in"] = f32(q.T)
    return tensors


def main():
    batches = batches_of(CASE)
    folder = os.path.join(GOLDEN, "methods")
    meta = dict(HYPER, computed="float32", torch=torch.__version__)
    save(os.path.join(folder, "gmt.safetensors"), compare("gmt", lambda d, b, _: run_gmt(d, b), batches),
         dict(meta, keep_ratio=KEEP_RATIO, target_modules=" ".join(GMT_TARGETS)))
    save(os.path.join(folder, "gradtopk.safetensors"),
         compare("gradtopk", lambda d, b, _: run_gradtopk(d, b), batches), dict(meta, k=K))
    tensors = {}
    for name, reference in (("paper", False), ("reference", True)):
        tensors.update(compare(name, lambda d, b, x: run_sparsegrad(d, b, reference, x), batches))
    save(os.path.join(folder, "sparsegrad.safetensors"), tensors, dict(meta, k=K, phase0_batches=PHASE0))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
