/* See scaler.h. */
#include "image/scaler.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

enum {
	TICK_MS = 100,
	/* It ends itself before, unless it gets next to nothing of the processor. */
	ANSWER_MS = 9 * RK_IMAGE_SECONDS_MOST * 1000,
};

int rk_scaler_find(struct rk_buf *path)
{
	char self[4096];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self));

	if (len < 0)
		return -errno;
	while (len > 0 && self[len - 1] != '/')
		len--;
	rk_buf_add(path, self, (size_t)len);
	rk_buf_add_str(path, RK_IMAGE_PROGRAM);
	return rk_buf_failed(path);
}

void rk_scaler_init(struct rk_scaler *scaler, const char *program)
{
	*scaler = (struct rk_scaler){.program = program, .fd = -1};
}

/* Ends the program; its wait status, which one that had ended before has of its own. */
static int stop(struct rk_scaler *scaler)
{
	int status = 0;

	if (scaler->pid == 0)
		return 0;
	close(scaler->fd);
	scaler->fd = -1;
	kill(scaler->pid, SIGKILL);
	while (waitpid(scaler->pid, &status, 0) < 0 && errno == EINTR)
		;
	scaler->pid = 0;
	return status;
}

void rk_scaler_finish(struct rk_scaler *scaler)
{
	stop(scaler);
}

static int spawn(pid_t *pid, const char *program, int socket)
{
	static const int handled[] = {SIGINT, SIGTERM, SIGPIPE, SIGHUP, SIGALRM};
	/* Nothing else: refkey's own environment has passwords. And no modules of libvips, which are for other kinds
	 * of images and take longer to load than all else. */
	static const char *const environment[] = {
		"VIPS_CONCURRENCY=1", "VIPS_DISC_THRESHOLD=100g", "VIPSHOME=/dev/null", NULL};
	static const char *const arguments[] = {RK_IMAGE_PROGRAM, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, ours;
	int r;

	sigemptyset(&none);
	sigemptyset(&ours);
	for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++)
		sigaddset(&ours, handled[i]);
	r = posix_spawn_file_actions_init(&actions);
	if (r)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r) {
		posix_spawn_file_actions_destroy(&actions);
		return -r;
	}
	r = posix_spawn_file_actions_adddup2(&actions, socket, STDIN_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(
			&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &ours);
	/* A Ctrl-C at the terminal is refkey's to take. */
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setflags(&attributes,
		POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	if (r == 0)
		r = posix_spawn(pid, program, &actions, &attributes, (char *const *)arguments,
			(char *const *)environment);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -r;
}

static int start(struct rk_scaler *scaler)
{
	int pair[2], r;

	if (scaler->pid)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -errno;
	r = spawn(&scaler->pid, scaler->program, pair[1]);
	close(pair[1]);
	if (r) {
		scaler->pid = 0;
		close(pair[0]);
		return r;
	}
	scaler->fd = pair[0];
	return 0;
}

static bool ask(const struct rk_scaler *scaler, int fd, const struct rk_image_request *request)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec vec = {(void *)request, sizeof(*request)};
	struct msghdr message = {.msg_iov = &vec,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(scaler->fd, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(*request);
}

/* 0; -EPIPE: it ended, or said what is none; -ETIMEDOUT; -ECANCELED. */
static int hear(const struct rk_scaler *scaler, void *out, size_t len, int64_t deadline,
	const atomic_bool *cancel)
{
	for (char *at = out; len > 0;) {
		struct pollfd poll_fd = {.fd = scaler->fd, .events = POLLIN};
		ssize_t n;

		if (cancel && atomic_load(cancel))
			return -ECANCELED;
		if (rk_clock_mono_ms() > deadline)
			return -ETIMEDOUT;
		if (poll(&poll_fd, 1, TICK_MS) <= 0)
			continue;
		n = recv(scaler->fd, at, len, MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return -EPIPE;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* What the program says is taken no more on trust than the image. */
static int answer_take(const struct rk_scaler *scaler, struct rk_buf *out, enum rk_image_kind *kind,
	char reason[RK_IMAGE_REASON_MOST], uint32_t bytes_most, const atomic_bool *cancel)
{
	int64_t deadline = rk_clock_mono_ms() + ANSWER_MS;
	size_t before = out->len;
	struct rk_image_answer head;
	uint8_t *bytes;
	int r = hear(scaler, &head, sizeof(head), deadline, cancel);

	if (r)
		return r;
	*kind = (enum rk_image_kind)head.kind;
	if (*kind == RK_IMAGE_OTHER) {
		if (head.bytes >= RK_IMAGE_REASON_MOST)
			return -EPIPE;
		r = hear(scaler, reason, head.bytes, deadline, cancel);
		reason[r ? 0 : head.bytes] = '\0';
		return r ? r : RK_SCALER_REFUSED;
	}
	if (!rk_image_mime(*kind) || head.bytes > bytes_most)
		return -EPIPE;
	bytes = rk_buf_reserve(out, head.bytes);
	if (!bytes)
		return -ENOMEM;
	r = hear(scaler, bytes, head.bytes, deadline, cancel);
	if (r == 0 && rk_image_kind(rk_slice_make(bytes, head.bytes)) != *kind)
		r = -EPIPE;
	if (r)
		out->len = before;
	return r;
}

/* After an answer that is none. */
static int explain(char reason[RK_IMAGE_REASON_MOST], int r, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		return -ENOEXEC; /* it says so on standard error */
	if (r == -ETIMEDOUT || (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF))
		snprintf(reason, RK_IMAGE_REASON_MOST,
			"the image takes more than %d s of the processor", RK_IMAGE_SECONDS_MOST);
	else
		snprintf(reason, RK_IMAGE_REASON_MOST,
			"decoding the image failed, or took too much memory (%s)",
			strsignal(WTERMSIG(status)));
	return RK_SCALER_REFUSED;
}

int rk_scaler_thumbnail(struct rk_scaler *scaler, struct rk_buf *out, enum rk_image_kind *kind,
	char reason[RK_IMAGE_REASON_MOST], int fd, const struct rk_image_request *request,
	const atomic_bool *cancel)
{
	bool asked = false;
	int r = 0, status;

	reason[0] = '\0';
	*kind = RK_IMAGE_OTHER;
	/* It may have ended since the last image, for reasons of its own. */
	for (int i = 0; i < 2 && !asked; i++) {
		r = start(scaler);
		if (r)
			return r;
		asked = ask(scaler, fd, request);
		if (!asked)
			status = stop(scaler);
	}
	r = asked ? answer_take(scaler, out, kind, reason, request->bytes_most, cancel) : -EPIPE;
	if (r >= 0)
		return r;
	*kind = RK_IMAGE_OTHER;
	if (asked)
		status = stop(scaler);
	return r == -EPIPE || r == -ETIMEDOUT ? explain(reason, r, status) : r;
}
