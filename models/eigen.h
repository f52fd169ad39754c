/* Eigenvectors of symmetric matrices, by LAPACK. In double whatever `real` is: they are computed once and used long. */
#ifndef MODELS_EIGEN_H
#define MODELS_EIGEN_H

#include <stdbool.h>

#include "base/arena.h"

/* a [n, n], symmetric -> row i: the unit eigenvector of the i-th largest eigenvalue, its largest component (the first
 * of equal ones) positive, which makes what LAPACK leaves open a function of a. value [n], descending. The work space
 * of 2n² numbers is in the arena's scratch and released. False where memory is out or LAPACK finds no solution (a is
 * not finite). */
bool eigen_symmetric(int n, double *a, double *value, struct arena *arena, struct err *e);

/* Bytes that it takes from the arena for a while. */
size_t eigen_bytes(size_t n);

#endif
