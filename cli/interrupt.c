/* See interrupt.h. */
#include "cli/interrupt.h"

#include <stdbool.h>

static atomic_bool stop;

static void interrupt(int signal_number)
{
	atomic_store(&stop, true);
	signal(signal_number, SIG_DFL);
}

const atomic_bool *rk_interrupt_take(int flags)
{
	const struct sigaction action = {.sa_handler = interrupt, .sa_flags = flags};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	return &stop;
}
