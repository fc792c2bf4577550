/*
 * What a fuzz target is: LLVMFuzzerTestOneInput over bytes as they would come from outside. It must
 * end for any of them without harm; what it claims besides is a fuzz_must. Targets are linked with
 * libFuzzer where the option `fuzz` is set, and always with replay.c, which feeds the corpus.
 */
#ifndef RK_TESTS_FUZZ_FUZZ_H
#define RK_TESTS_FUZZ_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of targets whose input has a CAR in it: where. mutate.c then keeps the CIDs of most inputs true,
 * for which no change of bytes would. Empty: nowhere. */
struct rk_slice fuzz_car(struct rk_slice input);

#define fuzz_must(claim)                                                                           \
	do {                                                                                       \
		if (!(claim)) {                                                                    \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #claim);        \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif
