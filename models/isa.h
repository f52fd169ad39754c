/*
 * The build compiles each *.simd.c file once per instruction set, with the macro KERNELS naming the copy. Such a file
 * defines one table of functions under a name of its own; its plain neighbour chooses among the copies at each call,
 * from bits that the C runtime caches, so that nothing mutable is kept.
 */
#ifndef MODELS_ISA_H
#define MODELS_ISA_H

#define ISA_PASTE(a, b) a##b
#define ISA_JOIN(a, b) ISA_PASTE(a, b)

/* In a *.simd.c file: the name of this copy's table. */
#define ISA_TABLE(prefix) ISA_JOIN(prefix, KERNELS)

#ifdef PEFTLAB_X86

enum isa { ISA_BASE, ISA_AVX2, ISA_AVX512 };

static inline enum isa isa_best(void)
{
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw"))
        return ISA_AVX512;
    return __builtin_cpu_supports("avx2") ? ISA_AVX2 : ISA_BASE;
}

#define ISA_DECLARE(type, prefix) extern const type prefix##kernels_avx512, prefix##kernels_avx2, prefix##kernels_base
#define ISA_CHOOSE(prefix)                                                                                             \
    (isa_best() == ISA_AVX512 ? &prefix##kernels_avx512                                                                \
     : isa_best() == ISA_AVX2 ? &prefix##kernels_avx2                                                                  \
                              : &prefix##kernels_base)

#else

#define ISA_DECLARE(type, prefix) extern const type prefix##kernels_base
#define ISA_CHOOSE(prefix) (&prefix##kernels_base)

#endif
#endif
