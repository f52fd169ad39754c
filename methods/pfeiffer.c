/*
 * Pfeiffer's adapters: one in each block, after the feed-forward network. With s = h + x1, the sum of the network's
 * output (after dropout) and its input, the block's last LayerNorm is used twice:
 *
 *     y = LN(s + W2 act(W1 LN(s) + b1) + b2),   W1 [m, H], W2 [H, m], act = ReLU.
 *
 * Backward of the inner use: with du the gradient of u = LN(s), ds = d + LN'(du); where the LayerNorm is trained, both
 * uses add to its gradient. The tap of a probe is shown the outer use alone.
 *
 * Source: Pfeiffer, Kamath, Rücklé, Cho, Gurevych 2021, "AdapterFusion", arXiv:2005.00247, section 2.2, in the
 * form of the code published with LoRA (arXiv:2106.09685). What `variant` changes: see `about`.
 */
#include "methods/adapter.h"
#include "models/kernels.h"
#include "models/weight_grad.h"

static const struct opt options[] = {
    ADAPTER_OPTIONS(16, "LayerNorm frozen, as in LoRA's code; or trained, with Houlsby's first values"),
    {0},
};

static size_t wide(const struct insert *i, int tokens)
{
    return (size_t)tokens * (size_t)((const struct adapter *)i->state)->hidden;
}

/* kept: s normalised [T, H], and its 1 / standard deviation [T]. */
static size_t kept(const struct insert *i, int tokens) { return wide(i, tokens) + (size_t)tokens; }

/* LN(s), later its gradient [T, H], and what the module needs. */
static size_t scratch(const struct insert *i, int tokens)
{
    return wide(i, tokens) + adapter_scratch(i->state, tokens);
}

static void forward(const struct insert *i, struct pass *p, int tokens, real *s, real *room)
{
    const struct adapter *a = i->state;
    real *xhat = room, *rstd = xhat + wide(i, tokens), *u = p->scratch;
    layernorm_forward(tokens, a->hidden, a->eps, s, a->norm->w->w, a->norm->b->w, xhat, rstd, u);
    adapter_forward(a, tokens, u, u + wide(i, tokens), s);
}

static bool backward(const struct insert *i, struct pass *p, int tokens, const real *room, real *d, real *panels,
                     struct err *e)
{
    const struct adapter *a = i->state;
    const real *xhat = room, *rstd = xhat + wide(i, tokens);
    real *u = p->scratch, *du = u;
    struct pass untapped = *p;
    untapped.tap = NULL;
    layernorm_output(tokens, a->hidden, xhat, a->norm->w->w, a->norm->b->w, u);
    TRY(adapter_backward(a, p, tokens, u, d, du, 0, u + wide(i, tokens), panels, e));
    TRY(weight_grad_norm(a->norm, &untapped, tokens, xhat, du, e));
    layernorm_backward(tokens, a->hidden, xhat, rstd, a->norm->w->w, du, du);
    add_to(wide(i, tokens), du, d);
    return true;
}

static const struct insert_ops ops = {.after_residual = true, .forward = forward, .backward = backward, .kept = kept,
                                      .scratch = scratch, .flops = adapter_flops};

static bool plan(void *self, struct method_env *env, struct err *e)
{
    return adapters_plan(self, env, false, ADAPTER_RELU, &ops, e);
}

const struct method method_pfeiffer = {
    .name = "pfeiffer",
    .title = "Adapter (Pfeiffer)",
    .paper = "arXiv:2005.00247",
    .help = "trains a bottleneck module after the feed-forward network of each block",
    .about =
        "One module in each block, after the feed-forward network. With s = h + x1 (the network's output after "
        "dropout, and its input) the block's last LayerNorm is used twice: y = LN(s + W2 relu(W1 LN(s) + b1) + b2), "
        "W1 [m, H], W2 [H, m] (AdapterFusion, section 2.2). Per layer "
        "2 H m + H + m scalars are trained.\n\n"
        "`variant: mslora` (default) is the code published with LoRA (arXiv:2106.09685), whose rows AdptP, m = 16 with "
        "0.8 M scalars on RoBERTa-large, other papers compare with: only the modules and the head are trained, the "
        "LayerNorms stay frozen. The authors' own library (AdapterHub) freezes them too. `variant: original` "
        "(decision of ours) is this place under Houlsby's training: every LayerNorm of the encoder, that of the "
        "embeddings too, is trained with the modules, and weights start from a normal of standard deviation 1e-3 cut "
        "off at 2e-3; the block's last LayerNorm gets its gradient from both uses. It is for comparing the two places "
        "on equal terms; the activation stays ReLU.\n\n"
        "`init: identity` (decision of ours) starts with W2 = 0, so that step 0 has the base model's logits to the "
        "last bit; W1 is drawn as the variant draws it. `init: reference` draws W2 likewise: under mslora from a "
        "normal of the model's initializer_range (the modules are made with PyTorch's defaults, but Hugging Face's "
        "init_weights goes over them before the checkpoint is loaded). Biases start at 0.\n\n"
        "Backward keeps the normalised s alone and computes the rest again. Adapters cannot be merged into plain "
        "weights. A measurement of gradients shows the LayerNorm's from its outer use alone. Recipe of the rows: "
        "learning rate 3e-4, AdamW, warm-up 0.1, batch 32.\n\n",
    .knob = "bottleneck",
    .options = options,
    .state_size = sizeof(struct adapters),
    .plan = plan,
    .attach = adapters_attach,
    .unmergeable = adapters_unmergeable,
};
