/*
 * The number that models compute with: float in the program, double where models and methods are built a second time
 * for the gradient checks (-DPEFTLAB_F64), from the same source.
 */
#ifndef MODELS_REAL_H
#define MODELS_REAL_H

#ifdef PEFTLAB_F64
typedef double real;
#else
typedef float real;
#endif

#endif
