/*
 * A bare WebSocket client of a firehose that only reads: what sending takes without anybody who looks at it.
 *
 *   bench_drain PORT BYTES
 *
 * Prints "ready" once the stream is open; when so many bytes have come behind the answer's head, the
 * seconds from the first to the last, and those of its own processor time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 1 << 16 };

static void fail(const char *what)
{
	fprintf(stderr, "bench_drain: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double seconds(clockid_t clock)
{
	struct timespec at;

	clock_gettime(clock, &at);
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static int open_stream(const char *port)
{
	static const char request[] = "GET /xrpc/com.atproto.sync.subscribeRepos HTTP/1.1\r\n"
				      "Host: 127.0.0.1\r\n"
				      "Upgrade: websocket\r\n"
				      "Connection: Upgrade\r\n"
				      "Sec-WebSocket-Version: 13\r\n"
				      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char last[4] = "";

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		fail("cannot connect");
	if (write(fd, request, sizeof(request) - 1) != sizeof(request) - 1)
		fail("writing");
	while (memcmp(last, "\r\n\r\n", 4) != 0) {
		memmove(last, last + 1, 3);
		if (read(fd, &last[3], 1) != 1)
			fail("no answer");
	}
	return fd;
}

int main(int argc, char **argv)
{
	static uint8_t piece[PIECE];
	double start = 0, cpu = 0;
	uint64_t left;
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: bench_drain PORT BYTES\n");
		return 2;
	}
	fd = open_stream(argv[1]);
	left = strtoull(argv[2], NULL, 10);
	printf("ready\n");
	fflush(stdout);
	while (left) {
		ssize_t n = read(fd, piece, sizeof(piece));

		if (n <= 0)
			fail("the stream ended");
		if (start == 0) {
			start = seconds(CLOCK_MONOTONIC);
			cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
		}
		left -= (uint64_t)n < left ? (uint64_t)n : left;
	}
	printf("%.6f %.6f\n", seconds(CLOCK_MONOTONIC) - start,
		seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	close(fd);
	return 0;
}
