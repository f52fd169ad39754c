/* Selection by magnitude, in the precision of the program. */
#include "tests/methods/topk_cases.h"

TEST(random_values_of_many_magnitudes) { check_random_values(); }
TEST(ties_go_to_the_smaller_offset) { check_ties(); }
TEST(neighbouring_and_extreme_floats) { check_edges(); }
TEST(nan_counts_as_the_largest) { check_nan(); }
TEST(long_arrays_with_and_without_ties) { check_long_arrays(); }
