/*
 * The scope of SparseGrad and of its baseline: of the weights of every layer's two feed-forward linears (intermediate
 * and output) k gradient entries are kept in each step, their biases and the rest of the model are trained densely.
 */
#ifndef METHODS_MLP_H
#define METHODS_MLP_H

#include "methods/method.h"

enum mlp_role { MLP_INTERMEDIATE, MLP_OUTPUT, MLP_ROLES };

struct mlp_options {
    long long k;      /* entries per matrix; 0: density decides */
    double density;
    bool train_rest, train_layernorm;
};

/* Rows of an option table whose struct has a member `mlp` of this type. The density is the papers' share: 28,000 of
 * 768 x 3072. */
#define MLP_OPTIONS(T)                                                                                                \
    {.name = "k", .type = OPT_INT, .offset = offsetof(T, mlp.k), .dflt = 0, .min = 1, .max = 4294967295.0,            \
     .nullable = true, .help = "entries kept of each feed-forward matrix; none: density decides"},                    \
    {.name = "density", .type = OPT_REAL, .offset = offsetof(T, mlp.density), .dflt = 0.0118679471, .min = 0,         \
     .max = 1, .open_min = true, .help = "share of each feed-forward matrix that is kept"},                           \
    {.name = "train_rest", .type = OPT_BOOL, .offset = offsetof(T, mlp.train_rest), .dflt = true,                     \
     .help = "train all other parameters densely; else they are frozen, the matrices' biases excepted"},              \
    {.name = "train_layernorm", .type = OPT_BOOL, .offset = offsetof(T, mlp.train_layernorm), .dflt = true,           \
     .help = "LayerNorms belong to the rest"}

struct mlp_site {
    const struct linear *l;
    enum mlp_role role;
    size_t k;         /* entries kept                                            */
};

struct mlp {
    struct mlp_site *site; /* [n] intermediate and output of each layer in turn */
    size_t *size;          /* [n] weights of each                                */
    size_t n;
    size_t largest, most_kept; /* numel and k, at most                           */
};

/* Finds the sites and makes all requests. A k larger than a matrix is an error at its place. */
bool mlp_plan(struct mlp *m, const struct mlp_options *o, const struct method_env *env, struct err *e);

#endif
