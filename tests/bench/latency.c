/*
 * How long after its frame a record is answered. A bare WebSocket client notes when each frame with a
 * ref arrives from the PDS; from then on getByRef is asked for that ref, on a connection of its own
 * that is kept open, until it answers 200. Asked is only what has arrived, and a miss is followed by a
 * pause, so that asking takes little from those it measures.
 *
 *   bench_latency PDS_PORT REFKEY_PORT RECORDS
 *
 * Prints "ready" once both connections stand, then for each record the microseconds from arrival to the
 * answer, and those that the same question took when it was asked again at once: the share of asking.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	RECORDS_MOST = 100000,
	REF_LEN = 24,
	ANSWER_MOST = 1 << 16,
	FRAME_MOST = 8 << 20,
	PAUSE_US = 100,
	GIVE_UP_US = 20 * 1000 * 1000,
};

struct arrival {
	int64_t at_us;
	char ref[REF_LEN + 1];
	bool answered;
};

static struct arrival arrivals[RECORDS_MOST];
static size_t arrived;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;

static void fail(const char *what)
{
	fprintf(stderr, "bench_latency: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_us(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (int64_t)at.tv_sec * 1000000 + at.tv_nsec / 1000;
}

static int connect_to(const char *port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		fail("cannot connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void send_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n <= 0)
			fail("writing");
		text += n;
		len -= (size_t)n;
	}
}

/* A record of a commit says {…"ref": text of 24 bytes…} in CBOR. */
static void frame_note(const uint8_t *frame, size_t len, int64_t at_us)
{
	static const uint8_t mark[] = {0x63, 'r', 'e', 'f', 0x78, REF_LEN};
	const uint8_t *found = memmem(frame, len, mark, sizeof(mark));
	struct arrival *arrival = &arrivals[arrived];

	if (!found || (size_t)(frame + len - found) < sizeof(mark) + REF_LEN ||
		arrived == RECORDS_MOST)
		return;
	memcpy(arrival->ref, found + sizeof(mark), REF_LEN);
	arrival->at_us = at_us;
	pthread_mutex_lock(&lock);
	arrived++;
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
}

/* The length of a server's WebSocket frame with its head, *head of which are the head; 0: not whole. */
static size_t frame_length(const uint8_t *data, size_t len, size_t *head)
{
	uint64_t payload;

	*head = 2;
	if (len < 2)
		return 0;
	payload = data[1] & 0x7f;
	if (payload >= 126) {
		size_t bytes = payload == 126 ? 2 : 8;

		*head += bytes;
		if (len < *head)
			return 0;
		payload = 0;
		for (size_t i = 0; i < bytes; i++)
			payload = payload << 8 | data[2 + i];
	}
	return len >= *head + payload ? *head + (size_t)payload : 0;
}

static void *receive(void *context)
{
	static uint8_t data[FRAME_MOST];
	int fd = *(int *)context;
	size_t len = 0, whole, head;

	for (;;) {
		ssize_t n = read(fd, data + len, sizeof(data) - len);
		int64_t at_us = now_us();
		size_t at = 0;

		if (n <= 0)
			fail("the firehose ended");
		len += (size_t)n;
		while ((whole = frame_length(data + at, len - at, &head))) {
			frame_note(data + at + head, whole - head, at_us);
			at += whole;
		}
		memmove(data, data + at, len - at);
		len -= at;
	}
	return NULL;
}

static int subscribe(const char *port)
{
	char text[512], answer[2048];
	size_t len = 0;
	int fd = connect_to(port);
	int n = snprintf(text, sizeof(text),
		"GET /xrpc/com.atproto.sync.subscribeRepos HTTP/1.1\r\nHost: localhost:%s\r\n"
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		port);

	send_all(fd, text, (size_t)n);
	/* Byte by byte up to the end of the head: what follows is the receiver's. */
	while (len < sizeof(answer) - 1 &&
		(len < 4 || memcmp(answer + len - 4, "\r\n\r\n", 4) != 0)) {
		if (read(fd, answer + len, 1) != 1)
			fail("the upgrade");
		len++;
	}
	if (strncmp(answer, "HTTP/1.1 101", 12) != 0) {
		fprintf(stderr, "bench_latency: no upgrade: %.*s\n", (int)len, answer);
		exit(1);
	}
	return fd;
}

/* Whether refkey has it. */
static bool ask(int fd, const char *ref)
{
	static char data[ANSWER_MOST + 1];
	const char *end = NULL, *length;
	char text[256];
	size_t len = 0, whole = SIZE_MAX;
	int n = snprintf(text, sizeof(text),
		"GET /xrpc/computer.aesthetic.refkey.getByRef?ref=%s HTTP/1.1\r\nHost: localhost\r\n\r\n",
		ref);

	send_all(fd, text, (size_t)n);
	while (len < whole) {
		ssize_t got = read(fd, data + len, ANSWER_MOST - len);

		if (got <= 0)
			fail("asking refkey");
		len += (size_t)got;
		data[len] = '\0';
		if (end || !(end = strstr(data, "\r\n\r\n")))
			continue;
		length = strcasestr(data, "content-length:");
		if (!length || length > end)
			fail("an answer without its length");
		whole = (size_t)(end + 4 - data) + strtoull(length + 15, NULL, 10);
	}
	return strncmp(data, "HTTP/1.1 200", 12) == 0;
}

/* Asks for everything that has arrived and was not answered; how many were. */
static size_t ask_round(int fd, size_t from, size_t until)
{
	size_t hits = 0;

	for (size_t i = from; i < until; i++) {
		struct arrival *arrival = &arrivals[i];
		int64_t answered_us;

		if (arrival->answered)
			continue;
		if (!ask(fd, arrival->ref)) {
			if (now_us() - arrival->at_us > GIVE_UP_US) {
				fprintf(stderr, "bench_latency: %s is never answered\n",
					arrival->ref);
				exit(1);
			}
			continue;
		}
		answered_us = now_us();
		arrival->answered = true;
		hits++;
		ask(fd, arrival->ref);
		printf("%lld %lld\n", (long long)(answered_us - arrival->at_us),
			(long long)(now_us() - answered_us));
	}
	return hits;
}

int main(int argc, char **argv)
{
	const struct timespec pause = {.tv_nsec = PAUSE_US * 1000};
	size_t wanted = argc == 4 ? strtoull(argv[3], NULL, 10) : 0, from = 0, done = 0;
	pthread_t receiver;
	int stream, refkey;

	if (wanted == 0 || wanted > RECORDS_MOST) {
		fputs("usage: bench_latency PDS_PORT REFKEY_PORT RECORDS\n", stderr);
		return 2;
	}
	stream = subscribe(argv[1]);
	refkey = connect_to(argv[2]);
	if (pthread_create(&receiver, NULL, receive, &stream) != 0)
		fail("a thread");
	puts("ready");
	fflush(stdout);
	while (done < wanted) {
		size_t until, hits;

		pthread_mutex_lock(&lock);
		while (done == arrived)
			pthread_cond_wait(&more, &lock);
		until = arrived;
		pthread_mutex_unlock(&lock);
		hits = ask_round(refkey, from, until);
		done += hits;
		while (from < until && arrivals[from].answered)
			from++;
		if (!hits)
			nanosleep(&pause, NULL);
	}
	fflush(stdout);
	_exit(0); /* the receiver still reads */
}
