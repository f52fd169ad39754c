/* What the writer and the reader share of HDF5: quiet start, error texts, the string and boolean types. */
#ifndef RESULTS_HDF5_H
#define RESULTS_HDF5_H

#include <hdf5.h>
#include <hdf5_hl.h>

#include "base/err.h"

/*
 * HDF5 1.10 crashes on files with damaged bytes, so every file ends in a line behind what HDF5 calls its end:
 *     "\npeftlab-sha256:" 64 hexadecimal digits "\n"
 * with the digest of all bytes before it. HDF5 ignores the line, and cuts it off when somebody edits the file; a file
 * without it is believed.
 */
#define HDF5_SEAL "\npeftlab-sha256:"
enum { HDF5_SEAL_HEAD = sizeof HDF5_SEAL - 1, HDF5_SEAL_SIZE = HDF5_SEAL_HEAD + 64 + 1 };

/* Before the first HDF5 call of every entry point: no printing of error stacks, and no atexit handler (after a failed
 * close it crashes the process, and with it the exit code). */
void hdf5_begin(void);

/* Fills *e with `what` and the innermost message of HDF5's error stack, which is cleared. Returns false. */
bool hdf5_fail(struct err *e, enum err_code code, const char *file, const char *what, const char *path);

/* Variable-length UTF-8 string; h5py's boolean. Negative on failure; the caller closes them. */
hid_t hdf5_string_type(void);
hid_t hdf5_bool_type(void);

#endif
