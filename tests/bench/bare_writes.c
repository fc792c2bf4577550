/*
 * libcurl by itself: com.atproto.repo.applyWrites with bodies that are ready, over so many connections
 * at once, each kept open.
 *
 *   bench_bare_writes ORIGIN CONNECTIONS < LINES
 *
 * A line is "TOKEN LOGIN BODY", parted by tabs: with "-" as its token the account is logged in first,
 * by createSession of LOGIN. Prints the seconds of all of it. Anything but a 200 ends it.
 */
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONNECTIONS_MOST = 256, ANSWER_MOST = 1 << 20 };

struct line {
	char *token, *login, *body;
};

static struct {
	const char *origin;
	struct line *lines;
	size_t count, room, next;
	pthread_mutex_t lock;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct answer {
	char text[ANSWER_MOST];
	size_t len;
};

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "bench_bare_writes: %s: %.300s\n", what, why);
	exit(1);
}

static size_t take(char *data, size_t size, size_t count, void *context)
{
	struct answer *answer = context;
	size_t len = size * count;

	if (len >= sizeof(answer->text) - answer->len)
		return 0;
	memcpy(answer->text + answer->len, data, len);
	answer->len += len;
	answer->text[answer->len] = '\0';
	return len;
}

static void post(
	CURL *curl, struct answer *answer, const char *method, const char *token, const char *body)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	char url[512], authorization[4096];
	long status = 0;
	CURLcode code;

	snprintf(url, sizeof(url), "%s/xrpc/%s", all.origin, method);
	if (token) {
		snprintf(authorization, sizeof(authorization), "Authorization: Bearer %s", token);
		headers = curl_slist_append(headers, authorization);
	}
	headers = curl_slist_append(headers, "Expect:");
	answer->len = 0;
	answer->text[0] = '\0';
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	code = curl_easy_perform(curl);
	curl_slist_free_all(headers);
	if (code != CURLE_OK)
		fail(method, curl_easy_strerror(code));
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		fail(method, answer->text);
}

static const char *token_of(struct answer *answer)
{
	static const char name[] = "\"accessJwt\":\"";
	char *from = strstr(answer->text, name), *to;

	if (!from)
		fail("createSession", "no token");
	from += sizeof(name) - 1;
	to = strchr(from, '"');
	if (to)
		*to = '\0';
	return from;
}

static void *work(void *unused)
{
	struct answer *login = malloc(sizeof(*login)), *answer = malloc(sizeof(*answer));
	CURL *curl = curl_easy_init();

	(void)unused;
	if (!login || !answer || !curl)
		fail("starting", "no memory");
	for (;;) {
		const struct line *line;
		const char *token;

		pthread_mutex_lock(&all.lock);
		line = all.next < all.count ? &all.lines[all.next++] : NULL;
		pthread_mutex_unlock(&all.lock);
		if (!line)
			break;
		token = line->token;
		if (strcmp(token, "-") == 0) {
			post(curl, login, "com.atproto.server.createSession", NULL, line->login);
			token = token_of(login);
		}
		post(curl, answer, "com.atproto.repo.applyWrites", token, line->body);
	}
	curl_easy_cleanup(curl);
	free(login);
	free(answer);
	return NULL;
}

static void lines_read(void)
{
	char *text = NULL;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&text, &size, stdin)) > 0) {
		struct line line = {.token = text};

		if (text[len - 1] == '\n')
			text[len - 1] = '\0';
		line.login = strchr(text, '\t');
		line.body = line.login ? strchr(line.login + 1, '\t') : NULL;
		if (!line.body)
			fail("a line", text);
		*line.login++ = '\0';
		*line.body++ = '\0';
		if (all.count == all.room) {
			all.room = all.room ? all.room * 2 : 1024;
			all.lines = realloc(all.lines, all.room * sizeof(*all.lines));
			if (!all.lines)
				fail("reading", "no memory");
		}
		all.lines[all.count++] = line;
		text = NULL;
		size = 0;
	}
	free(text);
}

static double now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	size_t connections = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
	pthread_t threads[CONNECTIONS_MOST];
	double began;

	if (connections == 0 || connections > CONNECTIONS_MOST) {
		fputs("usage: bench_bare_writes ORIGIN CONNECTIONS < LINES\n", stderr);
		return 2;
	}
	all.origin = argv[1];
	curl_global_init(CURL_GLOBAL_DEFAULT);
	lines_read();
	began = now();
	for (size_t i = 0; i < connections; i++) {
		if (pthread_create(&threads[i], NULL, work, NULL))
			fail("starting", "no thread");
	}
	for (size_t i = 0; i < connections; i++)
		pthread_join(threads[i], NULL);
	printf("%.6f\n", now() - began);
	for (size_t i = 0; i < all.count; i++)
		free(all.lines[i].token);
	free(all.lines);
	curl_global_cleanup();
	return 0;
}
