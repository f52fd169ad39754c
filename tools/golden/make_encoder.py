"""
tests/golden/encoder/<case>/: small random BERTs as transformers saves them, with the logits, loss, gradients and
ten-step trajectories that PyTorch, transformers and peft get for them.

Run: python tools/golden/make_encoder.py        (rewrites the folder; tensor names and shapes are listed in README.md)

Forward and gradients are computed in float64 and rounded to float32 once; trajectories are float32, as training is.
Each trajectory is also run in float64 and must stay close, so that nothing stored depends on one machine's rounding.
"""

import math
import os
import re
import shutil

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import BertForSequenceClassification, get_linear_schedule_with_warmup

from common import GOLDEN, f32, forward, random_batch, random_bert, save

CASES = {
    "cls2": dict(seed=11, num_labels=2, num_hidden_layers=2, hidden_size=16, num_attention_heads=4,
                 intermediate_size=40, vocab_size=96, max_position_embeddings=48,
                 problem_type="single_label_classification"),
    "cls3": dict(seed=12, num_labels=3, num_hidden_layers=3, hidden_size=24, num_attention_heads=3,
                 intermediate_size=48, vocab_size=96, max_position_embeddings=48,
                 problem_type="single_label_classification"),
    "reg": dict(seed=13, num_labels=1, num_hidden_layers=2, hidden_size=16, num_attention_heads=2,
                intermediate_size=40, vocab_size=96, max_position_embeddings=48, problem_type="regression"),
}
LENGTHS = [2, 48, 17, 31, 9, 24]        # the shortest there is ([CLS][SEP]), the model's limit, and between

STEPS, BATCH, WIDTH = 10, 4, 24
HYPER = dict(learning_rate=1e-3, warmup_steps=2, num_training_steps=STEPS, lr_scheduler_type="linear",
             adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-8, weight_decay=0.1, max_grad_norm=1.0)
LORA = dict(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=["query", "value"])
DENSITY = 0.05
SIFT_TARGETS = ("query", "key", "value", "attention.output.dense")
HEAD = ("bert.pooler.dense.", "classifier.")
DRIFT = 2e-5        # allowed difference of a float32 trajectory (losses, final weights) from the float64 one; a key
                    # bias has a true gradient of zero, AdamW makes steps of size lr out of its rounding: left out


# ---------------------------------------------------------------------------------------------------------------------
# One optimizer for all trajectories: AdamW as HF Trainer sets it up

def no_decay(name):
    """HF Trainer's exclusion: biases and LayerNorm weights."""
    return "bias" in name or "LayerNorm.weight" in name


def adamw(named):
    """torch AdamW and the linear schedule over (name, parameter) pairs, in two decay groups."""
    named = list(named)
    groups = [dict(params=[p for n, p in named if not no_decay(n)], weight_decay=HYPER["weight_decay"]),
              dict(params=[p for n, p in named if no_decay(n)], weight_decay=0.0)]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=HYPER["learning_rate"],
                                  betas=(HYPER["adam_beta1"], HYPER["adam_beta2"]), eps=HYPER["adam_epsilon"],
                                  foreach=False)
    return optimizer, get_linear_schedule_with_warmup(optimizer, HYPER["warmup_steps"], HYPER["num_training_steps"])


def is_head(name):
    return any(h in name for h in HEAD)


def is_sift(name):
    return any(t in name for t in SIFT_TARGETS)


def train(model, batches, named):
    """The plain loop: everything in `named` is trained, gradients clipped by their global norm.  Losses per step."""
    named = list(named)
    optimizer, schedule = adamw(named)
    losses = []
    for batch in batches:
        optimizer.zero_grad()
        loss = forward(model, *batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for _, p in named], HYPER["max_grad_norm"])
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


# ---------------------------------------------------------------------------------------------------------------------
# Full, head, LoRA

def run_full(model, batches):
    losses = train(model, batches, model.named_parameters())
    keep = ("bert.embeddings.word_embeddings.weight", "bert.embeddings.LayerNorm.weight",
            "bert.encoder.layer.0.attention.self.query.weight", "bert.encoder.layer.0.attention.self.query.bias",
            "bert.encoder.layer.1.output.dense.weight", "bert.encoder.layer.1.output.LayerNorm.bias",
            "bert.pooler.dense.weight", "classifier.weight", "classifier.bias")
    params = dict(model.named_parameters())
    return losses, {"full.final." + n: f32(params[n]) for n in keep}


def run_head(model, batches):
    for n, p in model.named_parameters():
        p.requires_grad = is_head(n)
    losses = train(model, batches, ((n, p) for n, p in model.named_parameters() if p.requires_grad))
    return losses, {"head.final." + n: f32(p) for n, p in model.named_parameters() if p.requires_grad}


def run_lora(model, batches, init):
    """
    peft's LoRA on query and value, head dense.  `init` gives A and B (B not zero: at zero A would get no gradient).
    A and B decay towards 0 like every weight: their names hold neither `bias` nor `LayerNorm.weight`.
    """
    model = get_peft_model(model, LoraConfig(**LORA))
    out = {}
    with torch.no_grad():
        for n, p in model.named_parameters():
            m = re.fullmatch(r"base_model\.model\.(.*)\.(lora_[AB])\.default\.weight", n)
            if m:
                value = init.setdefault(n, 0.1 * torch.randn(p.shape, generator=init["generator"], dtype=torch.float32))
                p.copy_(value)
                out[f"lora.init.{m[1]}.{m[2]}"] = f32(value)
            p.requires_grad = bool(m) or is_head(n)
    losses = train(model, batches, ((n, p) for n, p in model.named_parameters() if p.requires_grad))
    for n, p in model.named_parameters():
        m = re.fullmatch(r"base_model\.model\.(.*)\.(lora_[AB])\.default\.weight", n)
        if m:
            out[f"lora.final.{m[1]}.{m[2]}"] = f32(p)
    return losses, out


# ---------------------------------------------------------------------------------------------------------------------
# SIFT

def top_k(g):
    """Offsets of the k = floor(density n) + 1 largest |g|, larger first, ties to the smaller offset; ascending."""
    a = g.detach().abs().flatten().numpy()
    k = min(math.floor(DENSITY * a.size) + 1, a.size)
    order = np.lexsort((np.arange(a.size), -a))
    margin = (a[order[k - 1]] - a[order[k]]) / a[order[k - 1]] if k < a.size else 1.0
    return np.sort(order[:k]), margin


def select(model, batch):
    """
    Selection from the gradient of the first batch's mean loss, in float64.  The margin between the last one in and the
    first one out must be far above rounding, so that any correct float32 gradient selects the same entries; key biases
    excepted: their true gradient is zero and what is selected there is rounding noise.
    """
    model.double()
    forward(model, *batch).loss.backward()
    idx = {}
    for n, p in model.named_parameters():
        if is_sift(n):
            idx[n], margin = top_k(p.grad)
            assert margin > 1e-4 or n.endswith("key.bias"), f"{n}: selection margin {margin:.1e}; take another seed"
    return idx


def run_sift(model, batches, idx):
    """
    SIFT as the paper means it: the kept entries are trained in place, the selection gradient is used for the first
    update, decay acts on the kept weights themselves (w *= 1 - lr wd; not on biases), the clipping norm is that of the
    kept entries' gradients and the head's.  The optimizer sees vectors of the kept entries only.
    """
    params = dict(model.named_parameters())
    kept = {n: torch.nn.Parameter(params[n].detach().flatten()[i].clone()) for n, i in idx.items()}
    named = list(kept.items()) + [(n, p) for n, p in params.items() if is_head(n)]
    optimizer, schedule = adamw(named)
    losses = []
    for batch in batches:
        model.zero_grad()
        loss = forward(model, *batch).loss
        loss.backward()
        for n, i in idx.items():
            kept[n].grad = params[n].grad.flatten()[i].clone()
        torch.nn.utils.clip_grad_norm_([p for _, p in named], HYPER["max_grad_norm"])
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for n, i in idx.items():
                params[n].view(-1)[i] = kept[n]
        losses.append(loss.item())
    return losses, {"sift.final." + n: f32(params[n]) for n in idx}


def run_sift_reference(model, batches, idx, starved):
    """
    SIFT as its reference code behaves under HF Trainer without gradient accumulation.  The code trains an increment s
    per tensor, created as 0, and moves it into the weight from a hook inside backward:

      * Step 0: the Trainer calls model.zero_grad() (set to None) before its loop, so every s has no gradient at the
        first backward.  That backward's gradients select the entries and are dropped.  The optimizer skips each s (no
        state, no step count); the head is trained.  The clipping norm of step 0 is that of the head and of the starved
        tensor's dense gradient.
      * Step t >= 1: during backward the gradient of the kept entries is gathered and then W[I] += s, s = 0, where s
        is what step t-1 left (so forward t ran without it: the delay).  The weight was already used by this
        backward when the hook moves it.  After clipping AdamW writes s = -lr u_t.
      * Adam's step count of s at step t is t (one behind the head's).
      * s is 0 whenever the optimizer runs, so decay of s does nothing; only the head decays.
      * The s of the last step is never moved into the weight.
      * A hook sees only gradients finished earlier.  The tensor whose gradient comes last (`starved`, layer 0's query)
        still has its dense gradient after backward: it is in the clipping norm, zero_grad drops it, it never trains.
    """
    params = dict(model.named_parameters())
    s = {n: torch.nn.Parameter(torch.zeros(len(i), dtype=params[n].dtype)) for n, i in idx.items() if n != starved}
    head = [(n, p) for n, p in params.items() if is_head(n)]
    optimizer, schedule = adamw(list(s.items()) + head)
    losses = []
    for step, batch in enumerate(batches):
        model.zero_grad(set_to_none=True)
        for p in s.values():
            p.grad = None
        loss = forward(model, *batch).loss
        loss.backward()
        with torch.no_grad():
            for n in s if step > 0 else ():
                s[n].grad = params[n].grad.flatten()[idx[n]].clone()
                params[n].view(-1)[idx[n]] += s[n]
                s[n].zero_()
        torch.nn.utils.clip_grad_norm_([p for _, p in head] + [params[starved]] + list(s.values()),
                                       HYPER["max_grad_norm"])
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses, {"sift_reference.final." + n: f32(params[n]) for n in params if is_sift(n) or is_head(n)}


def last_gradient(model, batch):
    """Name of the SIFT tensor whose gradient is finished last in backward (query weight or bias of layer 0)."""
    order = []
    handles = [p.register_hook(lambda g, n=n: order.append(n)) for n, p in model.named_parameters() if is_sift(n)]
    forward(model, *batch).loss.backward()
    for h in handles:
        h.remove()
    return order[-1]


# ---------------------------------------------------------------------------------------------------------------------
# Files

def labels_for(rng, model, n):
    c = model.config.num_labels
    if c == 1:
        return rng.normal(0.0, 1.0, n).astype(np.float32)
    return np.resize(np.arange(c), n).astype(np.int32)


def make_golden(folder, rng, vocab):
    """golden.safetensors: one batch, its logits, loss and the gradient of every parameter."""
    model = BertForSequenceClassification.from_pretrained(folder).double().eval()
    ids, types = random_batch(rng, LENGTHS, max(LENGTHS), vocab)
    labels = labels_for(rng, model, len(LENGTHS))
    out = forward(model, ids, types, LENGTHS, labels)
    out.loss.backward()
    tensors = dict(input_ids=ids, token_type_ids=types, lengths=np.array(LENGTHS, np.int32), labels=labels,
                   logits=f32(out.logits), loss=f32(out.loss.reshape(1)))
    tensors.update({"grad." + n: f32(p.grad) for n, p in model.named_parameters()})
    save(os.path.join(folder, "golden.safetensors"), tensors,
         dict(computed="float64, rounded to float32", loss="mean over the examples",
              torch=torch.__version__, max_abs_logit=f"{out.logits.abs().max().item():.4f}"))


def make_trajectories(folder, rng, vocab):
    """traj.safetensors: ten steps of each method from the same weights over the same batches."""
    load = lambda dtype: BertForSequenceClassification.from_pretrained(folder).to(dtype).train()
    lengths = rng.integers(2, WIDTH + 1, (STEPS, BATCH)).astype(np.int32)
    lengths[0, 0] = WIDTH
    batches = []
    for step in range(STEPS):
        ids, types = random_batch(rng, lengths[step], WIDTH, vocab)
        batches.append((ids, types, lengths[step], labels_for(rng, load(torch.float32), BATCH)))
    idx = select(load(torch.float64), batches[0])
    starved = last_gradient(load(torch.float32), batches[0])
    init = dict(generator=torch.Generator().manual_seed(5))
    methods = dict(full=run_full, head=run_head, lora=lambda m, b: run_lora(m, b, init),
                   sift=lambda m, b: run_sift(m, b, idx),
                   sift_reference=lambda m, b: run_sift_reference(m, b, idx, starved))

    tensors = {"traj." + k: np.stack([b[i] for b in batches])
               for i, k in enumerate(("input_ids", "token_type_ids", "lengths", "labels"))}
    tensors.update({"traj.sift.idx." + n: i for n, i in idx.items()})
    for name, run in methods.items():
        losses, extra = run(load(torch.float32), batches)
        exact, exact_extra = run(load(torch.float64), batches)
        drift = max(abs(a - b) for a, b in zip(losses, exact))
        end = max(np.abs(extra[k] - exact_extra[k]).max() for k in extra if not k.endswith("key.bias"))
        print(f"  {name:14} {losses[0]:.6f} ... {losses[-1]:.6f}   "
              f"float32 against float64: losses {drift:.1e}, weights {end:.1e}")
        assert drift < DRIFT and end < DRIFT
        tensors[f"traj.{name}.loss"] = np.array(losses, np.float32)
        tensors.update({"traj." + k: v for k, v in extra.items()})
    meta = dict(HYPER, optim="adamw_torch", no_decay="names with `bias` or `LayerNorm.weight`", batch=BATCH,
                lora_r=LORA["r"], lora_alpha=LORA["lora_alpha"], lora_target_modules="query value", lora_dropout=0.0,
                sift_density=DENSITY, sift_target_modules=" ".join(SIFT_TARGETS), sift_reference_starved=starved,
                head="bert.pooler.dense classifier", computed="float32", torch=torch.__version__)
    save(os.path.join(folder, "traj.safetensors"), tensors, meta)


def main():
    for case, config in CASES.items():
        folder = os.path.join(GOLDEN, "encoder", case)
        shutil.rmtree(folder, ignore_errors=True)
        config = dict(config)
        rng = np.random.default_rng(config["seed"])
        print(case)
        random_bert(**config).save_pretrained(folder)
        make_golden(folder, rng, config["vocab_size"])
        if case != "cls3":
            make_trajectories(folder, rng, config["vocab_size"])


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
