/* refkey reference markdown: what a lint test compares README.md with. Hidden. */
#include <stdio.h>

#include "cli/help.h"

int rk_command_reference(const struct rk_command_call *call)
{
	struct rk_buf out = {0};
	int code = RK_EXIT_USAGE;

	if (strcmp(call->arguments[0], "markdown") != 0) {
		fputs("refkey: accepted: refkey reference markdown\n", stderr);
		return code;
	}
	rk_help_reference(&out);
	if (!rk_buf_failed(&out) && fwrite(out.data, 1, out.len, stdout) == out.len &&
		fflush(stdout) == 0)
		code = RK_EXIT_DONE;
	else
		code = RK_EXIT_FINDINGS;
	rk_buf_finish(&out);
	return code;
}
