"""
tests/golden/methods/rowsft.safetensors: ten-step trajectories of SPruFT as its code means it, on the models and batches of
tests/golden/encoder/{cls2,reg}: frozen weights, and beside each linear layer a branch for the chosen rows,

    y = x W^T + b + S(x D^T + d),   D = 0, d = 0 at the start,

AdamW without decay on D and d, merged after the last step.  Rows are chosen by the Taylor score of the first batch.  The
protocol is make_encoder.py's but for the decay, which is 0: on D it would pull to the pretrained rows.

  cls2   .25 of the rows; query, key and value train the same rows, equally many of each head; LayerNorms too
  reg    .4 of the rows, each module by itself, score |sum of w g|

Run: python tools/golden/make_rowsft.py        (after make_encoder.py)

Each trajectory is also run in float64 and must stay close, so that nothing stored depends on one machine's rounding.
"""

import os

import numpy as np
import torch
from transformers import BertForSequenceClassification

from common import GOLDEN, f32, forward, save
from make_encoder import DRIFT, HYPER, is_head, train
from make_lora_family import batches_of

ROUND_TO = 2
CASES = {"cls2": dict(ratio=0.25, per_head=True, layernorm=True, multivariable=False),
         "reg": dict(ratio=0.4, per_head=False, layernorm=False, multivariable=True)}


class Branch(torch.nn.Module):
    """A linear layer, or a LayerNorm, whose rows `idx` have an increment of their own."""

    def __init__(self, layer, idx):
        super().__init__()
        self.layer, self.idx = layer, torch.as_tensor(idx, dtype=torch.long)
        self.delta = torch.nn.Parameter(torch.zeros_like(layer.weight[self.idx]))
        self.delta_bias = torch.nn.Parameter(torch.zeros_like(layer.bias[self.idx]))

    def forward(self, x):
        y = self.layer(x)
        if isinstance(self.layer, torch.nn.Linear):
            return y.index_add(-1, self.idx, x @ self.delta.T + self.delta_bias)
        normed = torch.nn.functional.layer_norm(x, x.shape[-1:], eps=self.layer.eps)
        return y.index_add(-1, self.idx, normed[..., self.idx] * self.delta + self.delta_bias)

    def merged(self):
        with torch.no_grad():
            self.layer.weight[self.idx] += self.delta
            self.layer.bias[self.idx] += self.delta_bias
        return {"weight": self.layer.weight, "bias": self.layer.bias}


def rows_per_head(n, heads, ratio):
    trained = int(n * ratio)
    trained -= trained % ROUND_TO
    kept = n // heads - (n - trained) // heads
    return max(kept - kept % ROUND_TO, ROUND_TO)


def best(score, heads, ratio, name):
    """The rows of the highest scores of each head, ascending; the margin must be far above rounding."""
    keep, out = rows_per_head(len(score), heads, ratio), []
    for part in np.split(np.arange(len(score)), heads):
        order = part[np.argsort(-score[part], kind="stable")]
        if keep < len(order):
            margin = (score[order[keep - 1]] - score[order[keep]]) / score[order[keep - 1]]
            assert margin > 1e-4, f"{name}: selection margin {margin:.1e}"
        out.extend(order[:keep])
    return np.sort(np.array(out))


def groups_of(model, o):
    """Names of the layers that share their rows, and the number of heads the rows are cut into."""
    heads = model.config.num_attention_heads
    for l in range(model.config.num_hidden_layers):
        at = f"bert.encoder.layer.{l}."
        qkv = [at + "attention.self." + m for m in ("query", "key", "value")]
        yield from [(qkv, heads)] if o["per_head"] else [([m], 1) for m in qkv]
        for m in ("attention.output.dense", "intermediate.dense", "output.dense"):
            yield [at + m], 1
        for m in ("attention.output.LayerNorm", "output.LayerNorm") if o["layernorm"] else ():
            yield [at + m], 1
    if o["layernorm"]:
        yield ["bert.embeddings.LayerNorm"], 1


def select(case, o):
    """Rows of each layer, from the float64 gradient of the first batch's mean loss."""
    model = BertForSequenceClassification.from_pretrained(os.path.join(GOLDEN, "encoder", case)).double().eval()
    forward(model, *batches_of(case)[0]).loss.backward()
    rows = {}
    for names, heads in groups_of(model, o):
        score = 0
        for n in names:
            w = model.get_submodule(n).weight
            wg = (w * w.grad).detach().numpy().reshape(w.shape[0], -1)
            s = np.abs(wg.sum(1)) if o["multivariable"] else np.abs(wg).sum(1)
            score = score + s / s.mean() / len(names)
        rows.update({n: best(score, heads, o["ratio"], names[0]) for n in names})
    return rows


def run(case, rows, dtype):
    model = BertForSequenceClassification.from_pretrained(os.path.join(GOLDEN, "encoder", case)).to(dtype).train()
    for n, p in model.named_parameters():
        p.requires_grad = is_head(n)
    branch = {}
    for n, idx in rows.items():
        parent, leaf = n.rsplit(".", 1)
        branch[n] = Branch(model.get_submodule(n), idx)
        setattr(model.get_submodule(parent), leaf, branch[n])
    losses = train(model, batches_of(case), [(n, p) for n, p in model.named_parameters() if p.requires_grad])
    final = {f"{n}.{k}": f32(v) for n, b in branch.items() for k, v in b.merged().items()}
    final.update({n: f32(p) for n, p in model.named_parameters() if is_head(n)})
    return losses, final


def make(case, o, tensors):
    rows = select(case, o)
    losses, final = run(case, rows, torch.float32)
    exact, exact_final = run(case, rows, torch.float64)
    drift = max(abs(a - b) for a, b in zip(losses, exact))
    end = max(np.abs(final[n] - exact_final[n]).max() for n in final if not n.endswith("key.bias"))
    print(f"  {case:5} {losses[0]:.6f} ... {losses[-1]:.6f}   float32 against float64: losses {drift:.1e}, "
          f"weights {end:.1e}")
    assert drift < DRIFT and end < DRIFT
    tensors[f"{case}.loss"] = np.array(losses, np.float32)
    for n, idx in rows.items():
        tensors[f"{case}.idx.{n}.weight"] = tensors[f"{case}.idx.{n}.bias"] = idx
    tensors.update({f"{case}.final.{n}": v for n, v in final.items()})


if __name__ == "__main__":
    torch.set_num_threads(1)
    HYPER["weight_decay"] = 0.0
    tensors = {}
    for case, o in CASES.items():
        make(case, o, tensors)
    meta = dict(HYPER, optim="adamw_torch", round_to=ROUND_TO, computed="float32", torch=torch.__version__)
    meta.update({f"{case}.{k}": v for case, o in CASES.items() for k, v in o.items()})
    save(os.path.join(GOLDEN, "methods", "rowsft.safetensors"), tensors, meta)
