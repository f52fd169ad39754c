/*
 * Registers of the instruction set that a *.simd.c file is compiled for, as GCC's and Clang's vector extension: VECTOR
 * declares one, of VECTOR_WIDTH reals. Only what loops alone do not become is written with them.
 */
#ifndef MODELS_VECTOR_H
#define MODELS_VECTOR_H

#include "models/real.h"

#ifdef PEFTLAB_F64
#define VECTOR_REAL 8
#else
#define VECTOR_REAL 4
#endif

#if defined __AVX512F__
#define VECTOR_BYTES 64
#elif defined __AVX__
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

#define VECTOR_WIDTH (VECTOR_BYTES / VECTOR_REAL)
#define VECTOR real __attribute__((vector_size(VECTOR_BYTES)))

/* a0 b0 a1 b1 ... of the first halves, and of the second ones. */
#if VECTOR_WIDTH == 16
#define VECTOR_ZIP_LOW(a, b)                                                                                           \
    __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define VECTOR_ZIP_HIGH(a, b)                                                                                          \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif VECTOR_WIDTH == 8
#define VECTOR_ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define VECTOR_ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#elif VECTOR_WIDTH == 4
#define VECTOR_ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define VECTOR_ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#else
#define VECTOR_ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 2)
#define VECTOR_ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 1, 3)
#endif

#endif
