/* What every unit test includes: cmocka with its prerequisites. */
#ifndef RK_TESTS_UNIT_TEST_H
#define RK_TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
