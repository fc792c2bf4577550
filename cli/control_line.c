/* See control_line.h. */
#include "cli/control_line.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"

enum {
	SEND_MS = 5000, /* for a peer to take anything at all */
	LAST_MS = 1000, /* and a whole line, when we are to stop: not a byte now and then */
};

int rk_control_folder_open(struct sockaddr_un *address, const char *data_dir)
{
	int folder = open(data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/" RK_CONTROL_NAME,
		folder);
	return folder < 0 ? -errno : folder;
}

bool rk_control_line_send(int fd, const json_t *json, const atomic_bool *stopping)
{
	char *text = json_dumps(json, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0, sent = 0;
	int64_t begun_ms = rk_clock_mono_ms(), taken_ms = begun_ms, now_ms = begun_ms;

	if (!text)
		return false;
	text[len++] = '\n'; /* in place of the NUL */
	while (sent < len &&
		now_ms < (atomic_load(stopping) ? begun_ms + LAST_MS : taken_ms + SEND_MS)) {
		struct pollfd ready = {.fd = fd, .events = POLLOUT};
		ssize_t n = send(fd, text + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
			break;
		if (n < 0)
			poll(&ready, 1, RK_CONTROL_POLL_MS);
		now_ms = rk_clock_mono_ms();
		if (n > 0) {
			sent += (size_t)n;
			taken_ms = now_ms;
		}
	}
	free(text);
	return sent == len;
}
