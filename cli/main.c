/* Wiring: a command line is read, the log is set up, the command runs. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"

/* The index is read by a map of its file: what the disk does not give is this signal. */
static void unreadable(int signal_number)
{
	static const char text[] =
		"refkey: the index cannot be read: its file is damaged or was cut short, or the disk fails; "
		"restore a backup, or delete the data folder: it is built again from the PDS\n";
	ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)written;
	_exit(RK_EXIT_FINDINGS);
}

/*
 * The numbers 0, 1 and 2 are nobody else's: whoever started us may have closed them, and then the
 * next file opened, the index among them, would get what is printed. What is opened in their place
 * the wrong way round fails as a closed one does. False: it cannot be had.
 */
static bool standard_files_keep(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 &&
			open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			return false;
	}
	return true;
}

/* What could not all be printed was not done, however well all else went. */
static int printed(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	fputs("refkey: standard output cannot be written: what was printed is not all of it\n",
		stderr);
	return code == RK_EXIT_DONE ? RK_EXIT_FINDINGS : code;
}

int main(int argc, char *argv[])
{
	struct rk_command_line line;
	int code = RK_EXIT_USAGE;

	if (!standard_files_keep())
		return RK_EXIT_FINDINGS;
	signal(SIGBUS, unreadable);
	switch (rk_command_line_read(
		&line, argc, (const char *const *)argv, (const char *const *)environ)) {
	case RK_COMMAND_RUN:
		rk_log_setup(line.settings.log_level, line.settings.log_format);
		code = line.call.command->run(&line.call);
		break;
	case RK_COMMAND_SHOW:
		fputs(rk_buf_cstr(&line.out), stdout);
		code = RK_EXIT_DONE;
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
	return printed(code);
}
