/*
 * Houlsby's adapters: in each block, after the attention's and after the feed-forward network's output layer (and its
 * dropout), before the residual is added and normalised,
 *
 *     h <- h + W2 act(W1 h + b1) + b2,   W1 [m, H], W2 [H, m].
 *
 * Source: Houlsby, Giurgiu, Jastrzebski, Morrone, de Laroussilhe, Gesmundo, Attariyan, Gelly 2019, "Parameter-Efficient
 * Transfer Learning for NLP", arXiv:1902.00751, section 2.1 and figure 2. Two codes are in use, see `about`.
 */
#include <string.h>

#include "methods/adapter.h"

static const struct opt options[] = {
    ADAPTER_OPTIONS(8, "swish and LayerNorm frozen, as in LoRA's code; or GELU and LayerNorm trained, as in the paper"),
    {0},
};

/* kept: h, the adapter's input. */
static size_t kept(const struct insert *i, int tokens)
{
    return (size_t)tokens * (size_t)((const struct adapter *)i->state)->hidden;
}

static size_t scratch(const struct insert *i, int tokens) { return adapter_scratch(i->state, tokens); }

static void forward(const struct insert *i, struct pass *p, int tokens, real *h, real *room)
{
    memcpy(room, h, kept(i, tokens) * sizeof(real));
    adapter_forward(i->state, tokens, room, p->scratch, h);
}

static bool backward(const struct insert *i, struct pass *p, int tokens, const real *room, real *d, real *panels,
                     struct err *e)
{
    return adapter_backward(i->state, p, tokens, room, d, d, 1, p->scratch, panels, e);
}

static const struct insert_ops ops = {
    .forward = forward, .backward = backward, .kept = kept, .scratch = scratch, .flops = adapter_flops};

static bool plan(void *self, struct method_env *env, struct err *e)
{
    struct adapters *s = self;
    return adapters_plan(s, env, true, s->variant == ADAPTER_ORIGINAL ? ADAPTER_GELU : ADAPTER_SWISH, &ops, e);
}

const struct method method_houlsby = {
    .name = "houlsby",
    .title = "Adapter (Houlsby)",
    .paper = "arXiv:1902.00751",
    .help = "trains a bottleneck module after the attention and after the feed-forward network of each block",
    .about =
        "In each block, after the output layer of the attention and of the feed-forward network with its dropout, and "
        "before the residual and LayerNorm: h <- h + W2 act(W1 h + b1) + b2, with W1 [m, H] and W2 [H, m] (section "
        "2.1, figure 2). Per layer 2 (2 H m + H + m) scalars are trained.\n\n"
        "`variant: mslora` (default) is the code published with LoRA (arXiv:2106.09685), whose rows AdptH, m = 8 with "
        "0.8 M scalars on RoBERTa-large, other papers compare with: act is swish and only the modules and the head "
        "are trained. `variant: original` is the paper with its own code: act is GELU in its tanh form, and every "
        "LayerNorm, that of the embeddings too, is trained with the modules; m was 64 by default, 8 to 256 in the "
        "tables.\n\n"
        "`init: identity` (decision of ours) starts with W2 = 0, so that step 0 has the base model's logits to the "
        "last bit; W1 is drawn as the variant draws it. `init: reference` draws W2 likewise: mslora from a normal of "
        "the model's initializer_range (the modules are made with PyTorch's defaults, but Hugging Face's init_weights "
        "goes over them before the checkpoint is loaded), original from a normal of standard deviation 1e-3 cut off "
        "at 2e-3. Biases start at 0.\n\n"
        "Backward keeps h alone and computes the rest again. Adapters cannot be merged into plain weights. Recipes: "
        "original 3e-4 with Adam in BERT's form (adam_bert), decay 0.01, warm-up 0.1, batch 32; mslora 3e-4, AdamW, "
        "warm-up 0.1.\n\n",
    .knob = "bottleneck",
    .options = options,
    .state_size = sizeof(struct adapters),
    .plan = plan,
    .attach = adapters_attach,
    .unmergeable = adapters_unmergeable,
};
