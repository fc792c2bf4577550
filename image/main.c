/*
 * refkey-thumbnail: makes thumbnails for refkey, which starts it, of images that anybody may have made.
 * It has no secrets, no network and no files but those it is handed, and may use only so much memory and
 * time; what goes wrong in it costs one image.
 */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "image/scale.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0 /* a sanitizer's shadow is larger than any limit */
#endif

enum {
	SOCKET = 0, /* standard input */
	STACK_BYTES = 2 << 20,
	DATA_BYTES = 80 << 20, /* private memory, all in all */
	FILES = 16,
};

static bool limit(int what, rlim_t most)
{
	return setrlimit(what, &(struct rlimit){most, most}) == 0;
}

static bool limits_set(void)
{
	pthread_attr_t attributes;
	bool ok = pthread_attr_init(&attributes) == 0 &&
		pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0 &&
		pthread_setattr_default_np(&attributes) == 0;

	pthread_attr_destroy(&attributes);
	/* No second heap for a thread. Of freed memory what the next usual image needs is kept: to have it
	 * anew from the kernel takes a sixth of the time. */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 6 << 20); /* 1200 x 1200 pixels */
	mallopt(M_TRIM_THRESHOLD, 8 << 20);
	return ok && limit(RLIMIT_CORE, 0) && limit(RLIMIT_FSIZE, 0) &&
		limit(RLIMIT_NOFILE, FILES) && (SANITIZED || limit(RLIMIT_DATA, DATA_BYTES)) &&
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && signal(SIGXFSZ, SIG_IGN) != SIG_ERR;
}

/* The next request and its file. False: nobody asks any more. */
static bool request_take(struct rk_image_request *request, int *fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec vec = {request, sizeof(*request)};
	struct msghdr message = {.msg_iov = &vec,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *header;

	if (recvmsg(SOCKET, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL) != (ssize_t)sizeof(*request))
		return false;
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int)))
		return false;
	memcpy(fd, CMSG_DATA(header), sizeof(*fd));
	return true;
}

static bool send_whole(const void *data, size_t len)
{
	for (const char *at = data; len > 0;) {
		ssize_t n = send(SOCKET, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static bool answer(const struct rk_scaled *scaled)
{
	bool made = scaled->kind != RK_IMAGE_OTHER;
	const struct rk_image_answer head = {.kind = scaled->kind,
		.bytes = (uint32_t)(made ? scaled->len : strlen(scaled->reason))};

	return send_whole(&head, sizeof(head)) &&
		send_whole(made ? scaled->bytes : scaled->reason, head.bytes);
}

int main(void)
{
	static const struct itimerval most = {.it_value.tv_sec = RK_IMAGE_SECONDS_MOST}, none;
	struct rk_image_request request;
	struct rk_scaled scaled;
	bool going = true;
	int fd;

	if (isatty(SOCKET)) {
		fputs(RK_IMAGE_PROGRAM " is started by refkey\n", stderr);
		return 2;
	}
	/* Whatever was left open is not ours. */
	if (close_range(STDERR_FILENO + 1, ~0U, 0) != 0 || !limits_set() ||
		!rk_scale_init(RK_IMAGE_PROGRAM))
		return 1;
	while (going && request_take(&request, &fd)) {
		(void)setitimer(ITIMER_PROF, &most, NULL);
		rk_scale(&scaled, fd, &request);
		(void)setitimer(ITIMER_PROF, &none, NULL);
		close(fd);
		going = answer(&scaled);
		rk_scaled_finish(&scaled);
	}
	return 0;
}
