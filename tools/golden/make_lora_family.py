"""
tests/golden/methods/dora.safetensors and ia3.safetensors: ten-step trajectories of peft's DoRA and IA3 on the models and
batches of tests/golden/encoder/{cls2,reg}, in the protocol of make_encoder.py's LoRA (AdamW, clipping to 1, decay 0.1 on
everything but biases and LayerNorm weights, linear schedule with two warm-up steps, dropout 0, dense head).

Run: python tools/golden/make_lora_family.py        (after make_encoder.py)

First values are not peft's own, under which half of the gradients vanish: B is random, m is off the norms of W, l off 1.
Each trajectory is also run in float64 and must stay close, so that nothing stored depends on one machine's rounding.
"""

import os

import numpy as np
import peft
import torch
from peft import IA3Config, LoraConfig, get_peft_model
from safetensors.numpy import load_file
from transformers import BertForSequenceClassification

from common import GOLDEN, f32, save
from make_encoder import DRIFT, HYPER, LORA, STEPS, is_head, train

CASES = ("cls2", "reg")
METHODS = {
    "dora": lambda: LoraConfig(use_dora=True, **LORA),
    "ia3": lambda: IA3Config(),         # peft's own modules for this type of model
}


def batches_of(case):
    t = load_file(os.path.join(GOLDEN, "encoder", case, "traj.safetensors"))
    return [tuple(t["traj." + k][i] for k in ("input_ids", "token_type_ids", "lengths", "labels"))
            for i in range(STEPS)]


def our_name(name):
    """Name of an added parameter without peft's prefix and adapter name; None for the model's own parameters."""
    if "lora_" not in name and "ia3_" not in name:
        return None
    return name.removeprefix("base_model.model.").replace(".default", "")


def first_value(name, p, generator):
    noise = torch.randn(p.shape, generator=generator, dtype=torch.float32)
    if name.endswith("lora_magnitude_vector"):
        return p.detach().to(torch.float32) * (1 + 0.2 * noise)
    return 1 + 0.2 * noise if name.endswith("ia3_l") else 0.1 * noise


def run(case, config, dtype, init):
    """Losses and final values; `init` is filled by the first run and used by the second."""
    model = get_peft_model(BertForSequenceClassification.from_pretrained(os.path.join(GOLDEN, "encoder", case)), config)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for n, p in model.named_parameters():
            if our_name(n):
                p.copy_(init.setdefault(our_name(n), first_value(our_name(n), p, generator)))
            p.requires_grad = bool(our_name(n)) or is_head(n)
    model = model.to(dtype).train()
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    losses = train(model, batches_of(case), trained)
    final = {our_name(n) or n.removeprefix("base_model.model."): f32(p) for n, p in trained}
    return losses, {n.replace(".modules_to_save.default", ""): v for n, v in final.items()}


def make(method, config):
    tensors = {}
    for case in CASES:
        init = {}
        losses, final = run(case, config(), torch.float32, init)
        exact, exact_final = run(case, config(), torch.float64, init)
        drift = max(abs(a - b) for a, b in zip(losses, exact))
        end = max(np.abs(final[n] - exact_final[n]).max() for n in final)
        print(f"  {method:5} {case:5} {losses[0]:.6f} ... {losses[-1]:.6f}   {len(init)} tensors added, "
              f"float32 against float64: losses {drift:.1e}, weights {end:.1e}")
        assert drift < DRIFT and end < DRIFT
        tensors[f"{case}.loss"] = np.array(losses, np.float32)
        tensors.update({f"{case}.init.{n}": f32(v) for n, v in init.items()})
        tensors.update({f"{case}.final.{n}": v for n, v in final.items()})
    meta = dict(HYPER, optim="adamw_torch", no_decay="names with `bias` or `LayerNorm.weight`", computed="float32",
                torch=torch.__version__, peft=peft.__version__)
    if method == "dora":
        meta.update({k: " ".join(v) if isinstance(v, list) else v for k, v in LORA.items()})
    save(os.path.join(GOLDEN, "methods", method + ".safetensors"), tensors, meta)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, config in METHODS.items():
        make(name, config)
