/*
 * The low-rank branch that LoRA and DoRA put beside a linear site: with u = drop(x) Aᵀ [T, r], A [r, in], B [out, r],
 *
 *     y += s u Bᵀ,   du = s dy B [T, r],   gB = dyᵀ s u,   gA = duᵀ drop(x),   dx += drop'(du A).
 *
 * Source: Hu et al. 2022, arXiv:2106.09685, section 4.1, equation 3; s = lora_alpha / sqrt(r): Kalajdzievski 2023,
 * arXiv:2312.03732. Option and parameter names, defaults and first values are those of Hugging Face's PEFT.
 */
#ifndef METHODS_LORA_SITE_H
#define METHODS_LORA_SITE_H

#include <math.h>

#include "methods/method.h"

/* First member of a method's state, bound by LORA_OPTIONS. */
struct lora_options {
    long long r;
    double lora_alpha, lora_dropout;
    bool use_rslora;
    struct opt_strings target_modules;
};

#define LORA_OPTIONS                                                                                                   \
    {.name = "r", .type = OPT_INT, .offset = offsetof(struct lora_options, r), .dflt = 8, .min = 1, .max = 65536,      \
     .help = "rank of the branch"},                                                                                    \
    {.name = "lora_alpha", .type = OPT_REAL, .offset = offsetof(struct lora_options, lora_alpha), .dflt = 8, .min = 0, \
     .max = INFINITY, .open_min = true, .help = "the branch is scaled by lora_alpha / r"},                             \
    {.name = "lora_dropout", .type = OPT_REAL, .offset = offsetof(struct lora_options, lora_dropout), .dflt = 0,       \
     .min = 0, .max = 1, .open_max = true, .help = "dropout on the branch's input"},                                   \
    {.name = "use_rslora", .type = OPT_BOOL, .offset = offsetof(struct lora_options, use_rslora),                      \
     .help = "scale by lora_alpha / sqrt(r)"},                                                                         \
    {.name = "target_modules", .type = OPT_STRINGS, .offset = offsetof(struct lora_options, target_modules),           \
     .words = "query,value", .help = "linear modules: names, globs or all-linear"}

/* One adapted module: linear->state points to it, or to a struct that starts with it. */
struct lora_site {
    struct linear *l;
    struct param *a, *b;
    int r;
    real scale;
    double dropout;
};

/* Declares A and B beside l and fills *s; an r that l does not have is an error at the option's place. */
bool lora_site_plan(struct lora_site *s, const struct lora_options *o, struct linear *l, const struct method_env *env,
                    struct err *e);

/* A dense request for a new parameter <module>.<which>, [rows, cols], 1-D with rows = 1 if ndim is 1. */
struct param *lora_site_param(const struct linear *l, const char *which, int ndim, int rows, int cols,
                              const struct method_env *env, struct err *e);

/* A uniform in ±1/sqrt(in) (Kaiming with a = sqrt 5) from the stream "method/<module>"; B is 0 as it was made. */
void lora_site_start(const struct lora_site *s, uint64_t seed);

/* Where things lie in the scratch of a pass over T tokens; dropout alone needs x and dx. */
struct lora_room {
    real *u, *du;   /* [T, r]                          */
    real *x;        /* [T, in] drop(x)                 */
    real *dx;       /* [T, in] what drop' is applied to */
};

/* Lays the room out from `base` on (NULL: only counts); number of reals. */
size_t lora_site_room(const struct lora_site *s, size_t tokens, real *base, struct lora_room *room);

/* Is the branch's input dropped in this pass? */
bool lora_site_drops(const struct lora_site *s, const struct pass *p);

/* drop(x): x itself where nothing is dropped, else room->x. */
const real *lora_site_input(const struct lora_site *s, const struct pass *p, const real *x,
                            const struct lora_room *room);

/* y [T, out] = s input Aᵀ Bᵀ + beta y; leaves u in the room. */
void lora_site_branch(const struct lora_site *s, int tokens, const real *input, real beta, real *y,
                      const struct lora_room *room);

/* From dy, the gradient of what the branch was added to: du in the room, and gA and gB where they are wanted. */
bool lora_site_backward(const struct lora_site *s, const struct pass *p, int tokens, const real *input, const real *dy,
                        real *panels, const struct lora_room *room, struct err *e);

/* dx += drop'(du A); with `more`, room->dx holds what is to be dropped with it: dx += drop'(room->dx + du A). */
void lora_site_dx(const struct lora_site *s, const struct pass *p, bool more, real *dx, const struct lora_room *room);

/* W += s B A. */
void lora_site_merge(const struct lora_site *s);

/* Matrix products of the branch, as linear_ops counts them. */
double lora_site_flops(const struct lora_site *s, int tokens, bool backward);

/* The members of PEFT's LoraConfig but the modules: "\"r\": 8, ...". */
const char *lora_site_peft(const struct lora_options *o, struct arena *a, struct err *e);

#endif
