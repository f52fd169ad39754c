# The libraries from the Debian packages of packages.txt, as imported targets. Two are easy to get wrong and are pinned
# by path: the OpenMP build of OpenBLAS (pkg-config and the alternatives prefer the pthread build, which
# loses up to half its speed beside an OpenMP program) and the serial HDF5 (pkg-config may give the MPI build).

function(peftlab_import name library include)
  find_library(${name}_LIBRARY ${library} ${ARGN})
  find_path(${name}_INCLUDE ${include} ${ARGN})
  if(NOT ${name}_LIBRARY OR NOT ${name}_INCLUDE)
    message(FATAL_ERROR "${library} or ${include} not found: install the packages listed in packages.txt")
  endif()
  add_library(${name}::${name} INTERFACE IMPORTED GLOBAL)
  set_target_properties(${name}::${name} PROPERTIES INTERFACE_LINK_LIBRARIES ${${name}_LIBRARY}
                        INTERFACE_INCLUDE_DIRECTORIES ${${name}_INCLUDE})
endfunction()

find_package(OpenMP REQUIRED)
peftlab_import(openblas openblas cblas.h
               PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp
                     /usr/include/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp
               NO_DEFAULT_PATH)
peftlab_import(yaml yaml yaml.h)
peftlab_import(jansson jansson jansson.h)
peftlab_import(crypto crypto openssl/evp.h)
peftlab_import(utf8proc utf8proc utf8proc.h)
find_path(RANDOM123_INCLUDE Random123/philox.h REQUIRED)

set(HDF5_SERIAL PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/hdf5/serial /usr/include/hdf5/serial NO_DEFAULT_PATH)
peftlab_import(hdf5 hdf5 hdf5.h ${HDF5_SERIAL})
peftlab_import(hdf5_hl hdf5_hl hdf5_hl.h ${HDF5_SERIAL})

# The chosen OpenBLAS must be the OpenMP build (2); the program checks again at start.
file(WRITE ${CMAKE_BINARY_DIR}/check/parallel.c
     "#include <cblas.h>\nint main(void) { return openblas_get_parallel() == 2 ? 0 : 1; }\n")
if(NOT DEFINED OPENBLAS_IS_OPENMP)
  try_run(OPENBLAS_RUN OPENBLAS_COMPILED ${CMAKE_BINARY_DIR}/check ${CMAKE_BINARY_DIR}/check/parallel.c
          CMAKE_FLAGS -DINCLUDE_DIRECTORIES=${openblas_INCLUDE}
          LINK_LIBRARIES ${openblas_LIBRARY} OpenMP::OpenMP_C
          LINK_OPTIONS -Wl,-rpath,/usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp)
  if(NOT OPENBLAS_COMPILED OR NOT OPENBLAS_RUN EQUAL 0)
    message(FATAL_ERROR "${openblas_LIBRARY} is not the OpenMP build of OpenBLAS: install libopenblas-openmp-dev")
  endif()
  set(OPENBLAS_IS_OPENMP TRUE CACHE INTERNAL "checked once")
endif()

# The matrix unit of some Intel processors (models/split_gemm.c): built in where the compiler knows it, used where the
# processor has it.
include(CheckCSourceCompiles)
set(PEFTLAB_AMX_FLAGS -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512bf16 -mamx-tile -mamx-bf16)
string(REPLACE ";" " " CMAKE_REQUIRED_FLAGS "${PEFTLAB_AMX_FLAGS}")
check_c_source_compiles(
  "#include <immintrin.h>
   #ifndef __linux__
   #error the tile registers are asked for in Linux's way
   #endif
   int main(void) { _tile_zero(0); return (int)_mm512_cvtss_f32(_mm512_setzero_ps()); }" COMPILER_KNOWS_AMX)
unset(CMAKE_REQUIRED_FLAGS)
