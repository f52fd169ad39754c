/* The loop of clip.c for each instruction set: made by clip.simd.c, internal. */
#ifndef METHODS_CLIP_TABLE_H
#define METHODS_CLIP_TABLE_H

#include <stddef.h>

#include "models/isa.h"
#include "models/real.h"

struct clip_kernels {
    double (*squares)(const real *v, size_t n); /* their sum */
};

#endif
