/*
 * The public kernels: each forwards to the table of the best instruction set that the processor has. The choice is made
 * anew at each call from two bits that the C runtime caches, so that nothing mutable is kept here.
 */
#include "models/kernels_table.h"

#ifdef PEFTLAB_X86
extern const struct kernels kernels_avx512, kernels_avx2;
#endif
extern const struct kernels kernels_base;

static const struct kernels *best(void)
{
#ifdef PEFTLAB_X86
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw"))
        return &kernels_avx512;
    if (__builtin_cpu_supports("avx2"))
        return &kernels_avx2;
#endif
    return &kernels_base;
}

const char *kernels_isa(void)
{
#ifdef PEFTLAB_X86
    if (best() == &kernels_avx512)
        return "avx512";
    if (best() == &kernels_avx2)
        return "avx2";
#endif
    return "base";
}

#define X(name, parameters, arguments) \
    void name parameters { best()->name arguments; }
KERNEL_LIST(X)
#undef X
