/* Wiring: a command line is read, the log is set up, the command runs. */
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"

int main(int argc, char *argv[])
{
	struct rk_command_line line;
	int code = RK_EXIT_USAGE;

	switch (rk_command_line_read(
		&line, argc, (const char *const *)argv, (const char *const *)environ)) {
	case RK_COMMAND_RUN:
		rk_log_setup(line.settings.log_level, line.settings.log_format);
		code = line.call.command->run(&line.call);
		break;
	case RK_COMMAND_SHOW:
		code = fputs(rk_buf_cstr(&line.out), stdout) >= 0 && fflush(stdout) == 0
			? RK_EXIT_DONE
			: RK_EXIT_FINDINGS;
		break;
	case RK_COMMAND_WRONG:
		fputs(rk_buf_cstr(&line.problems), stderr);
		break;
	default:
		fputs("refkey: out of memory\n", stderr);
		code = RK_EXIT_FINDINGS;
		break;
	}
	rk_command_line_finish(&line);
	return code;
}
