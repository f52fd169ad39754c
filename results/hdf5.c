/* Shared by the writer and the reader: see hdf5.h. */
#include "results/hdf5.h"

#include <stdint.h>
#include <stdio.h>

void hdf5_begin(void)
{
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

/* Called from the innermost frame outwards (H5E_WALK_UPWARD): the first message is the cause. */
static herr_t first_message(unsigned n, const H5E_error2_t *frame, void *data)
{
    if (n == 0)
        snprintf(data, 256, "%s", frame->desc);
    return 0;
}

bool hdf5_fail(struct err *e, enum err_code code, const char *file, const char *what, const char *path)
{
    char why[256] = "no reason given";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, first_message, why);
    H5Eclear2(H5E_DEFAULT);
    return err_at(e, code, file, 0, 0, "HDF5: %s `%s`: %s", what, path, why);
}

hid_t hdf5_string_type(void)
{
    hid_t t = H5Tcopy(H5T_C_S1);
    if (t >= 0 && (H5Tset_size(t, H5T_VARIABLE) < 0 || H5Tset_cset(t, H5T_CSET_UTF8) < 0)) {
        H5Tclose(t);
        return -1;
    }
    return t;
}

hid_t hdf5_bool_type(void)
{
    hid_t t = H5Tenum_create(H5T_STD_I8LE);
    int8_t no = 0, yes = 1;
    if (t >= 0 && (H5Tenum_insert(t, "FALSE", &no) < 0 || H5Tenum_insert(t, "TRUE", &yes) < 0)) {
        H5Tclose(t);
        return -1;
    }
    return t;
}
