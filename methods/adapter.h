/*
 * The bottleneck adapter that Houlsby's and Pfeiffer's methods put into every block,
 *
 *     f(x) = W2 act(W1 x + b1) + b2,   W1 [m, H], W2 [H, m],
 *
 * its parameters, their first values and its two passes. Where it reads and what it is added to is the methods'.
 *
 * With a = W1 x + b1, z = act(a), and dy the gradient of f's output:
 *     gW2 = dyᵀ z,  gb2 = sum dy,  da = (dy W2) act'(a),  gW1 = daᵀ x,  gb1 = sum da,  dx = da W1;
 * a and z are computed again in backward (m is much smaller than H), x is the caller's to keep.
 *
 * Sources: Houlsby et al. 2019, arXiv:1902.00751, section 2 and the code published with it; Pfeiffer et al. 2021,
 * arXiv:2005.00247, section 2; and the code published with LoRA (arXiv:2106.09685), whose rows `AdptH` and `AdptP`
 * later papers compare with: `variant: mslora`.
 */
#ifndef METHODS_ADAPTER_H
#define METHODS_ADAPTER_H

#include "methods/method.h"

/* swish x sigmoid(x); GELU in its tanh form, as Houlsby's code has it. */
enum adapter_activation { ADAPTER_SWISH, ADAPTER_GELU, ADAPTER_RELU };

#define ADAPTER_VARIANT_WORDS "mslora|original"
enum adapter_variant { ADAPTER_MSLORA, ADAPTER_ORIGINAL };

#define ADAPTER_INIT_WORDS "identity|reference"
enum adapter_init { ADAPTER_IDENTITY, ADAPTER_REFERENCE };

/* One module: insert->state. */
struct adapter {
    int hidden, bottleneck;
    enum adapter_activation activation;
    struct param *down_w, *down_b, *up_w, *up_b; /* W1, b1, W2, b2                        */
    const struct norm *norm;                     /* of its half of the block, and ...     */
    real eps;                                    /* ... what this adds to its variances   */
};

/* State of both methods. */
struct adapters {
    long long bottleneck;
    int variant, init;
    struct adapter *module; /* [n] in the model's order */
    size_t n;
};

/* Rows of both option tables; what the variants are is each method's to say. */
#define ADAPTER_OPTIONS(width, variants)                                                                               \
    {.name = "bottleneck", .type = OPT_INT, .offset = offsetof(struct adapters, bottleneck), .dflt = (width),          \
     .min = 1, .max = 65536, .help = "width m of the adapters"},                                                       \
    {.name = "variant", .type = OPT_ENUM, .offset = offsetof(struct adapters, variant),                                \
     .words = ADAPTER_VARIANT_WORDS, .help = (variants)},                                                              \
    {.name = "init", .type = OPT_ENUM, .offset = offsetof(struct adapters, init), .words = ADAPTER_INIT_WORDS,         \
     .help = "start as the base model (W2 = 0), or with the variant's own random W2"}

/* Why there is no fold. */
extern const char adapters_unmergeable[];

/* Puts a module after each block's feed-forward network, and with `attention` one after its attention, and asks for the
 * gradients: of the modules, and under `variant: original` of every LayerNorm of the encoder. */
bool adapters_plan(struct adapters *s, struct method_env *env, bool attention, enum adapter_activation activation,
                   const struct insert_ops *ops, struct err *e);

/* First values: attach of both methods. */
bool adapters_attach(void *self, struct method_env *env, struct err *e);

/* Reals of scratch that the passes need. */
size_t adapter_scratch(const struct adapter *a, int tokens);

/* y [tokens, H] += f(x). */
void adapter_forward(const struct adapter *a, int tokens, const real *x, real *scratch, real *y);

/* Adds the gradients of the parameters; dx = gradient of x + beta * dx, where dx may be dy, or x when beta is 0. */
bool adapter_backward(const struct adapter *a, const struct pass *p, int tokens, const real *x, const real *dy,
                      real *dx, real beta, real *scratch, real *panels, struct err *e);

/* flops of insert_ops: 2 products forward; backward one of them again and 4 more. */
double adapter_flops(const struct insert *i, int tokens, bool backward);

#endif
