/* The public kernels: each forwards to the table of the best instruction set that the processor has (models/isa.h). */
#include "models/isa.h"
#include "models/kernels_table.h"

ISA_DECLARE(struct kernels, );

const char *kernels_isa(void)
{
#ifdef PEFTLAB_X86
    static const char *const names[] = {[ISA_BASE] = "base", [ISA_AVX2] = "avx2", [ISA_AVX512] = "avx512"};
    return names[isa_best()];
#else
    return "base";
#endif
}

#define X(name, parameters, arguments) \
    void name parameters { ISA_CHOOSE()->name arguments; }
KERNEL_LIST(X)
#undef X
