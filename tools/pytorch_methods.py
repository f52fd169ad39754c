"""
The methods that bench-pytorch.py times, in PyTorch: what is trained, and what happens to gradients on their way from
backward to the optimizer.  A method of peftlab has its namesake here, with the same options and defaults.

Whose code runs:

    full, head, bitfit, lntuning   PyTorch itself, by requires_grad.
    lora, dora, ia3                peft.
    sift, rowsft (dense)           ours, in the style of what SIFT's authors published: autograd computes the dense
                                   gradient of a tensor, a hook takes the trained entries (or rows) out of it and lets
                                   it go, the optimizer steps a compact vector, which is then added to the tensor.
                                   Where the published code is slower than need be it is not followed: the increment
                                   is added at its entries, not by a dense sum, indices are one flat tensor, and the
                                   norms that it logs are left out.
    rowsft (branch)                ours, in the style of SPruFT's published code: beside a frozen linear module runs
                                   x D^T + d, added to the outputs of its rows; no dense gradient exists.  The code
                                   adds by a product with a 0/1 matrix; here it is index_add.
    sparsegrad                     ours, after the published code: weights in the rotated basis, activations rotated
                                   in forward and gradients in backward, top-k of the weight's gradient as a COO
                                   tensor for torch.optim.SparseAdam.  The bases are random rotations: which ones they
                                   are does not change the time of a step.
    gradtopk, gmt                  ours: after backward, gradients below the k-th magnitude of their tensor become 0
                                   (of equal ones more than k may stay). No code of GMT was published.

Pooler and classifier are trained densely in every method, as in peftlab.
"""

import math

import torch
from torch import nn
from torch.nn import functional

ALL_LINEAR = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]
NORM = 1.0  # of the clipped gradient


def is_head(name):
    return "pooler." in name or "classifier." in name


def ends_in(name, suffixes):
    return any(("." + name).endswith("." + s) for s in suffixes)


class Method:
    """`trained`: the optimizer's parameters. Subclasses choose them in setup() from `self.options`. Options of
    `before_steps` decide what peftlab selects before the first step, which is not timed: any value will do."""

    defaults = {}
    before_steps = ()

    def __init__(self, model, options):
        unknown = [k for k in options if k not in self.defaults and k not in self.before_steps]
        if unknown:
            raise SystemExit(f"the PyTorch side of this method has no option {unknown[0]}"
                             f" (it has: {', '.join(self.defaults) or 'none'})")
        self.model = model
        self.options = {**self.defaults, **options}
        self.setup()
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.head = sum(p.numel() for n, p in self.model.named_parameters() if p.requires_grad and is_head(n))

    def setup(self):
        pass

    def train_only(self, wanted):
        for n, p in self.model.named_parameters():
            p.requires_grad_(is_head(n) or wanted(n))

    def linears(self, patterns=None):
        """Name and module of the encoder's linear modules; `all-linear` is the default."""
        patterns = ALL_LINEAR if patterns in (None, ["all-linear"]) else patterns
        return [(n, m) for n, m in self.model.named_modules()
                if isinstance(m, nn.Linear) and not is_head(n + ".") and ends_in(n, patterns)]

    def count(self):
        return sum(p.numel() for p in self.trained)

    def optimizers(self, adamw):
        return [adamw(self.trained)]

    def gradients(self):
        """Between backward and the optimizer."""
        torch.nn.utils.clip_grad_norm_(self.trained, NORM)

    def stepped(self):
        """After the optimizer."""


class Head(Method):
    def setup(self):
        self.train_only(lambda n: False)


class BitFit(Method):
    def setup(self):
        self.train_only(lambda n: n.endswith(".bias"))


class LayerNorms(Method):
    def setup(self):
        self.train_only(lambda n: ".LayerNorm." in n)


class Peft(Method):
    """A method of the peft library; its own head handling, to which BERT's pooler is added."""

    def wrap(self, config):
        from peft import get_peft_model
        self.model = get_peft_model(self.model, config)

    def common(self):
        return dict(task_type="SEQ_CLS", target_modules=self.options["target_modules"],
                    modules_to_save=[n for n in ("pooler", "classifier")
                                     if any(m.split(".")[-1] == n for m, _ in self.model.named_modules())])


class Lora(Peft):
    defaults = dict(r=8, lora_alpha=8, lora_dropout=0.0, use_rslora=False, target_modules=["query", "value"])
    extra = {}

    def setup(self):
        from peft import LoraConfig
        o = self.options
        self.wrap(LoraConfig(r=o["r"], lora_alpha=o["lora_alpha"], lora_dropout=o["lora_dropout"],
                             use_rslora=o["use_rslora"], **self.extra, **self.common()))


class Dora(Lora):
    extra = dict(use_dora=True)


class Ia3(Peft):
    defaults = dict(target_modules=["key", "value", "output.dense"], feedforward_modules=["output.dense"])

    def setup(self):
        from peft import IA3Config
        self.wrap(IA3Config(feedforward_modules=self.options["feedforward_modules"], **self.common()))


class Compact(Method):
    """Trained parts of frozen tensors: the optimizer's parameter is a compact increment, 0 before each of its steps."""

    def __init__(self, model, options):
        self.parts = []  # (tensor to add to, increment, index holder)
        super().__init__(model, options)
        inside = [p for p in self.trained if not any(p is q for q, _, _ in self.parts)]
        self.trained = inside + [c for _, c, _ in self.parts]

    def take(self, p, shape, choose, gather):
        """Trains the part of p that index = choose(gradient) names; gather(gradient, index) has this shape."""
        p.requires_grad_(True)
        compact, at = nn.Parameter(p.new_zeros(shape)), []

        def hook(p):
            if not at:
                at.append(choose(p.grad))
            taken = gather(p.grad, at[0])
            compact.grad = taken if compact.grad is None else compact.grad.add_(taken)
            p.grad = None

        p.register_post_accumulate_grad_hook(hook)
        self.parts.append((p, compact, at))

    def flat(self, p):
        return p

    @torch.no_grad()
    def stepped(self):
        for p, compact, at in self.parts:
            if at:
                self.flat(p).index_add_(0, at[0], compact)
                compact.zero_()


class Sift(Compact):
    """k = min(floor(density n) + 1, n) entries of each tensor: the largest of the first gradient."""

    defaults = dict(density=0.008, bias=True, target_modules=["query", "key", "value", "attention.output.dense"])

    def setup(self):
        self.train_only(lambda n: False)
        for _, m in self.linears(self.options["target_modules"]):
            for p in (m.weight, m.bias) if self.options["bias"] else (m.weight,):
                k = min(int(self.options["density"] * p.numel()) + 1, p.numel())
                self.take(p, (k,), lambda g, k=k: g.abs().flatten().topk(k, sorted=False).indices.sort().values,
                          lambda g, at: g.flatten()[at])

    def flat(self, p):
        return p.view(-1)


def kept_rows(rows, heads, ratio, round_to):
    """Rows that are trained of each head (heads = 1: of the matrix), rounded as SPruFT's code does."""
    width = rows // heads
    wanted = int(rows * ratio) // round_to * round_to
    kept = (width - (rows - wanted) // heads) // round_to * round_to
    return max(kept, min(round_to, width))


class Rows(Compact):
    """Rows of each linear module with their bias entries. They are chosen at random: the time is the same."""

    defaults = dict(ratio=0.05, round_to=2, per_head=True, bias=True, target_modules=["all-linear"])
    before_steps = ("importance", "taylor_batches", "multivariable", "aggregate", "aggregate_top", "normalizer")
    branch = False

    def rows_of(self, name, linear):
        """Sorted; query, key and value share those of their layer, equally many of each head."""
        together = self.options["per_head"] and ends_in(name, ["query", "key", "value"])
        heads = self.model.config.num_attention_heads if together else 1
        width = linear.out_features // heads
        k = kept_rows(linear.out_features, heads, self.options["ratio"], self.options["round_to"])
        torch.manual_seed(1)
        return torch.cat([h * width + torch.randperm(width)[:k].sort().values for h in range(heads)])

    def setup(self):
        self.train_only(lambda n: False)
        for name, m in self.linears(self.options["target_modules"]):
            rows = self.rows_of(name, m)
            if self.branch:
                parent, _, child = name.rpartition(".")
                setattr(self.model.get_submodule(parent), child, RowBranch(m, rows, self.options["bias"]))
                continue
            for p in (m.weight, m.bias) if self.options["bias"] else (m.weight,):
                self.take(p, (len(rows), *p.shape[1:]), lambda g, rows=rows: rows,
                          lambda g, at: g.index_select(0, at))


class RowsBranch(Rows):
    branch = True


class RowBranch(nn.Module):
    """A frozen linear module and, beside it, increments of some of its rows."""

    def __init__(self, linear, rows, bias):
        super().__init__()
        self.linear = linear
        self.register_buffer("rows", rows)
        self.delta = nn.Parameter(torch.zeros(len(rows), linear.in_features))
        self.delta_bias = nn.Parameter(torch.zeros(len(rows))) if bias else None

    def forward(self, x):
        return self.linear(x).index_add_(-1, self.rows, functional.linear(x, self.delta, self.delta_bias))


class TopK(Method):
    """Gradients below the k-th magnitude of their tensor are set to 0; optimizer and its state stay dense."""

    def masked(self):
        """Pairs of a parameter and its k."""
        raise NotImplementedError

    @torch.no_grad()
    def gradients(self):
        for p, k in self.masked():
            size = p.grad.abs()
            threshold = size.flatten().kthvalue(p.numel() - k + 1).values  # several times faster than topk
            p.grad.mul_(size >= threshold)
        super().gradients()


class Gmt(TopK):
    defaults = dict(keep_ratio=0.2, mask_embeddings=True, mask_head=False)

    def masked(self):
        o = self.options
        return [(p, max(1, math.floor(o["keep_ratio"] * p.numel()))) for n, p in self.model.named_parameters()
                if (o["mask_head"] or not is_head(n)) and (o["mask_embeddings"] or "_embeddings." not in n)]


class Mlp(Method):
    """Scope of SparseGrad: the feed-forward weights are sparse, all else is dense."""

    defaults = dict(k=None, density=0.0118679471, train_rest=True, train_layernorm=True)

    def sites(self):
        return [(n, m) for n, m in self.linears(["intermediate.dense", "output.dense"])
                if not n.endswith("attention.output.dense")]

    def kept(self, weight):
        return self.options["k"] or max(1, round(self.options["density"] * weight.numel()))

    def choose(self):
        names = [n for n, _ in self.sites()]
        rest, norms = self.options["train_rest"], self.options["train_layernorm"]
        self.train_only(lambda n: n.rpartition(".")[0] in names or (rest and (norms or ".LayerNorm." not in n)))


class GradTopK(Mlp, TopK):
    def setup(self):
        self.choose()

    def masked(self):
        return [(m.weight, self.kept(m.weight)) for _, m in self.sites()]


class RotatedProduct(torch.autograd.Function):
    """y = (x Q) V^T P^T + b with V = P^T W Q; the gradient of V keeps its k largest entries, as a COO tensor."""

    @staticmethod
    def forward(ctx, x, v, bias, p, q, k):
        xq = x @ q
        ctx.save_for_backward(xq, v, p, q)
        ctx.k = k
        return functional.linear(functional.linear(xq, v), p, bias)

    @staticmethod
    def backward(ctx, dy):
        xq, v, p, q = ctx.saved_tensors
        dv = dy @ p
        g = dv.flatten(0, -2).t() @ xq.flatten(0, -2)
        at = g.abs().flatten().topk(ctx.k, sorted=False).indices.sort().values
        entries = torch.sparse_coo_tensor(torch.stack((at // g.shape[1], at % g.shape[1])), g.flatten()[at], g.shape,
                                          is_coalesced=True, check_invariants=False)
        return dv @ v @ q.t(), entries, dy.flatten(0, -2).sum(0), None, None, None


class Rotated(nn.Module):
    def __init__(self, linear, p, q, k):
        super().__init__()
        self.weight = nn.Parameter(p.t() @ linear.weight.detach() @ q)
        self.bias = linear.bias
        self.p, self.q, self.k = p, q, k

    def forward(self, x):
        return RotatedProduct.apply(x, self.weight, self.bias, self.p, self.q, self.k)


class SparseGrad(Mlp):
    def setup(self):
        self.choose()
        self.rotated, basis = [], {}
        for name, m in self.sites():
            for n in m.weight.shape:
                if n not in basis:
                    basis[n] = torch.linalg.qr(torch.randn(n, n))[0]
            parent, _, child = name.rpartition(".")
            module = Rotated(m, basis[m.out_features], basis[m.in_features], self.kept(m.weight))
            setattr(self.model.get_submodule(parent), child, module)
            self.rotated.append(module.weight)

    def optimizers(self, adamw):
        dense = [p for p in self.trained if not any(p is r for r in self.rotated)]
        lr = adamw([nn.Parameter(torch.zeros(1))]).param_groups[0]["lr"]
        return [adamw(dense), torch.optim.SparseAdam(self.rotated, lr=lr)]

    @torch.no_grad()
    def gradients(self):
        """clip_grad_norm_ over dense and sparse gradients: it knows dense ones alone."""
        for p in self.rotated:
            p.grad = p.grad.coalesce()  # several micro-batches leave entries twice
        grads = [p.grad for p in self.trained if p.grad is not None]
        values = [g._values() if g.is_sparse else g for g in grads]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(values)))
        torch._foreach_mul_(values, (NORM / (norm + 1e-6)).clamp(max=1.0))


METHODS = {
    "full": Method, "head": Head, "bitfit": BitFit, "lntuning": LayerNorms,
    "lora": Lora, "dora": Dora, "ia3": Ia3,
    "sift": Sift, "rowsft": RowsBranch, "rowsft:dense": Rows,
    "sparsegrad": SparseGrad, "gradtopk": GradTopK, "gmt": Gmt,
}
