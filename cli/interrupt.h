/* Ctrl-C and SIGTERM, for commands that end cleanly what they do. */
#ifndef RK_CLI_INTERRUPT_H
#define RK_CLI_INTERRUPT_H

#include <signal.h>
#include <stdatomic.h>

/* From now on the first of them sets what is returned, a second one ends the program. A reader of standard
 * output that goes away is no signal any more. flags: SA_RESTART, what waits goes on to wait, so that no
 * line is cut; 0, it is interrupted, so that a write that waits for its reader ends. */
const atomic_bool *rk_interrupt_take(int flags);

#endif
