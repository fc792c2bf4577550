/* Ctrl-C and SIGTERM, for commands that do their work in their own process and end it cleanly. */
#ifndef RK_CLI_INTERRUPT_H
#define RK_CLI_INTERRUPT_H

#include <stdatomic.h>

/* From now on the first of them sets what is returned, a second one ends the program. System calls that
 * wait are interrupted. A reader of standard output that goes away is no signal any more. */
const atomic_bool *rk_interrupt_take(void);

#endif
