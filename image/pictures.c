/* See pictures.h. */
#include "image/pictures.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "image/scaler.h"
#include "net/http.h"
#include "net/spool.h"

enum {
	FETCHERS = 6,
	SCALERS = 2, /* times what one may take of memory is what all take */
	TIMEOUT_MS = 60 * 1000,
	IDLE_MS = 15 * 1000,
	RATE_LEAST = 16 << 10, /* bytes a second */
	TRIES = 3,
	RETRY_MS = 500,
	RETRY_MOST_MS = 5000, /* of what a server asks for */
	TICK_MS = 100,
	AWAY_MOST = 12, /* connections that failed in a row */
};

struct rk_pictures {
	struct rk_pictures_options options;
	atomic_bool cancel;
	pthread_mutex_t lock;
	pthread_cond_t asked, done, freed;
	struct rk_picture *first, **last;
	struct rk_scaler scalers[SCALERS];
	bool busy[SCALERS];
	unsigned away; /* in a row */
	pthread_t threads[FETCHERS];
	size_t started;
};

static bool is_cancelled(void *context)
{
	struct rk_pictures *p = context;

	return atomic_load(&p->cancel);
}

/* Fetching */

__attribute__((format(printf, 2, 3))) static int refuse(
	struct rk_picture *picture, const char *format, ...)
{
	size_t used = (size_t)snprintf(picture->reason, sizeof(picture->reason), "image: ");
	va_list args;

	va_start(args, format);
	vsnprintf(picture->reason + used, sizeof(picture->reason) - used, format, args);
	va_end(args);
	return RK_PICTURE_REFUSED;
}

/* Whether another try may do better. */
static bool is_passing(int rc, const struct rk_http_response *response)
{
	return rc == -ECONNREFUSED || rc == -EIO ||
		(rc == 0 && (response->status == 429 || response->status >= 500));
}

static int away(struct rk_pictures *p, struct rk_picture *picture)
{
	unsigned count;

	pthread_mutex_lock(&p->lock);
	count = ++p->away;
	pthread_mutex_unlock(&p->lock);
	return count >= AWAY_MOST ? RK_PICTURE_AWAY : RK_PICTURE_REFUSED;
}

static void reached(struct rk_pictures *p)
{
	pthread_mutex_lock(&p->lock);
	p->away = 0;
	pthread_mutex_unlock(&p->lock);
}

/* What an answer means that is no image. */
static int judge(struct rk_pictures *p, struct rk_picture *picture, int rc,
	const struct rk_http_response *response)
{
	if (rc == -ENOMEM || rc == -ENOSPC || rc == -ECANCELED)
		return rc;
	if (rc != -EFBIG && response->status == 0) {
		refuse(picture, "%s", response->error);
		return away(p, picture);
	}
	reached(p);
	if (rc == -EFBIG)
		return refuse(picture, "larger than %d MB", RK_PICTURE_BYTES_MOST >> 20);
	if (rc)
		return refuse(picture, "%s", response->error);
	if (response->status / 100 == 2)
		return RK_PICTURE_READY;
	return refuse(picture, "its server answers %ld%s", response->status,
		response->status / 100 == 3 ? ", and redirects are not followed" : "");
}

/* Into the file, from its beginning. */
static int fetch(struct rk_pictures *p, struct rk_http *http, struct rk_picture *picture,
	struct rk_http_response *response, int fd)
{
	struct rk_http_request request = RK_HTTP_REQUEST_INIT;
	int rc = 0;

	request.url = picture->url;
	request.body_fd = fd;
	request.body_most = RK_PICTURE_BYTES_MOST;
	request.timeout_ms = p->options.timeout_ms;
	request.idle_ms = p->options.idle_ms;
	request.rate_least = RATE_LEAST;
	for (int i = 0; i < TRIES; i++) {
		int64_t wait = RETRY_MS;

		rk_http_response_finish(response);
		if (ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0)
			return -errno;
		rc = rk_http_perform(http, response, &request);
		if (!is_passing(rc, response))
			break;
		if (response->retry_after_ms > wait)
			wait = response->retry_after_ms;
		if (wait > RETRY_MOST_MS || i + 1 == TRIES)
			break;
		if (!rk_clock_pause_unless(wait, is_cancelled, p))
			return -ECANCELED;
	}
	return judge(p, picture, rc, response);
}

/* Scaling */

static size_t scaler_take(struct rk_pictures *p)
{
	size_t i;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		for (i = 0; i < SCALERS && p->busy[i]; i++)
			;
		if (i < SCALERS)
			break;
		pthread_cond_wait(&p->freed, &p->lock);
	}
	p->busy[i] = true;
	pthread_mutex_unlock(&p->lock);
	return i;
}

static void scaler_give_back(struct rk_pictures *p, size_t i)
{
	pthread_mutex_lock(&p->lock);
	p->busy[i] = false;
	pthread_cond_signal(&p->freed);
	pthread_mutex_unlock(&p->lock);
}

static int scale(struct rk_pictures *p, struct rk_picture *picture, int fd)
{
	const struct rk_image_request request = {
		.side = p->options.side, .bytes_most = p->options.bytes_most};
	char reason[RK_IMAGE_REASON_MOST];
	size_t i = scaler_take(p);
	int r = rk_scaler_thumbnail(
		&p->scalers[i], &picture->bytes, &picture->kind, reason, fd, &request, &p->cancel);

	scaler_give_back(p, i);
	if (r == RK_SCALER_REFUSED)
		return refuse(picture, "%s", reason);
	if (r < 0 && r != -ECANCELED && r != -ENOMEM)
		snprintf(picture->reason, sizeof(picture->reason), "%.120s: %s", p->options.program,
			strerror(-r));
	return r;
}

/* "neither PNG nor JPEG, but text/html": as content, and as it is called where that is a word. */
static int refuse_other(struct rk_picture *picture, const struct rk_http_response *response)
{
	const char *type = response->content_type;
	bool word = strspn(type, "abcdefghijklmnopqrstuvwxyz0123456789/.+-") == strlen(type);

	return refuse(picture, "neither PNG nor JPEG%s%s", word && *type ? ", sent as " : "",
		word ? type : "");
}

static int make(struct rk_pictures *p, struct rk_http *http, struct rk_picture *picture)
{
	struct rk_http_response response = {0};
	uint8_t start[RK_IMAGE_START];
	int fd = rk_spool_open(p->options.dir), r;
	ssize_t got;

	if (fd < 0)
		return fd;
	r = fetch(p, http, picture, &response, fd);
	if (r == RK_PICTURE_READY) {
		got = pread(fd, start, sizeof(start), 0);
		if (rk_image_kind(rk_slice_make(start, got > 0 ? (size_t)got : 0)) ==
			RK_IMAGE_OTHER)
			r = refuse_other(picture, &response);
	}
	if (r == RK_PICTURE_READY)
		r = scale(p, picture, fd);
	rk_http_response_finish(&response);
	close(fd);
	return r;
}

/* Threads */

static struct rk_picture *next(struct rk_pictures *p)
{
	struct rk_picture *picture;

	pthread_mutex_lock(&p->lock);
	while (!p->first && !atomic_load(&p->cancel))
		pthread_cond_wait(&p->asked, &p->lock);
	picture = p->first;
	if (picture) {
		p->first = picture->next;
		if (!p->first)
			p->last = &p->first;
	}
	pthread_mutex_unlock(&p->lock);
	return picture;
}

static void *work(void *context)
{
	struct rk_pictures *p = context;
	const struct rk_http_options options = {
		.trusted = {p->options.trusted}, .cancel = &p->cancel};
	struct rk_http *http = rk_http_create(&options);
	struct rk_picture *picture;

	while ((picture = next(p))) {
		int r = !http ? -ENOMEM : is_cancelled(p) ? -ECANCELED : make(p, http, picture);

		pthread_mutex_lock(&p->lock);
		picture->result = r;
		picture->done = true;
		pthread_cond_broadcast(&p->done);
		pthread_mutex_unlock(&p->lock);
	}
	rk_http_destroy(http);
	return NULL;
}

struct rk_pictures *rk_pictures_create(const struct rk_pictures_options *options)
{
	struct rk_pictures *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->options = *options;
	if (p->options.timeout_ms <= 0)
		p->options.timeout_ms = TIMEOUT_MS;
	if (p->options.idle_ms <= 0)
		p->options.idle_ms = IDLE_MS;
	p->last = &p->first;
	for (size_t i = 0; i < SCALERS; i++)
		rk_scaler_init(&p->scalers[i], p->options.program);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->asked, NULL);
	rk_clock_cond_init(&p->done);
	pthread_cond_init(&p->freed, NULL);
	while (p->started < FETCHERS && pthread_create(&p->threads[p->started], NULL, work, p) == 0)
		p->started++;
	if (p->started < FETCHERS) {
		rk_pictures_destroy(p);
		return NULL;
	}
	return p;
}

void rk_pictures_cancel(struct rk_pictures *p)
{
	pthread_mutex_lock(&p->lock);
	atomic_store(&p->cancel, true);
	pthread_cond_broadcast(&p->asked);
	pthread_mutex_unlock(&p->lock);
}

void rk_pictures_destroy(struct rk_pictures *p)
{
	if (!p)
		return;
	rk_pictures_cancel(p);
	for (size_t i = 0; i < p->started; i++)
		pthread_join(p->threads[i], NULL);
	for (size_t i = 0; i < SCALERS; i++)
		rk_scaler_finish(&p->scalers[i]);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->asked);
	pthread_cond_destroy(&p->done);
	pthread_cond_destroy(&p->freed);
	free(p);
}

void rk_pictures_ask(struct rk_pictures *p, struct rk_picture *picture)
{
	pthread_mutex_lock(&p->lock);
	picture->asked = true;
	if (is_cancelled(p)) { /* the threads may have ended */
		picture->result = -ECANCELED;
		picture->done = true;
	} else {
		picture->next = NULL;
		*p->last = picture;
		p->last = &picture->next;
		pthread_cond_signal(&p->asked);
	}
	pthread_mutex_unlock(&p->lock);
}

int rk_pictures_wait(struct rk_pictures *p, struct rk_picture *picture,
	bool (*stopped)(void *context), void *context)
{
	int r;

	pthread_mutex_lock(&p->lock);
	while (!picture->done && !stopped(context)) {
		const struct timespec until = rk_clock_after(TICK_MS);

		pthread_cond_timedwait(&p->done, &p->lock, &until);
	}
	r = picture->done ? picture->result : -ECANCELED;
	pthread_mutex_unlock(&p->lock);
	return r;
}

void rk_pictures_drop(struct rk_pictures *p, struct rk_picture *picture)
{
	pthread_mutex_lock(&p->lock);
	if (picture->asked && !picture->done) {
		struct rk_picture **at = &p->first;

		while (*at && *at != picture)
			at = &(*at)->next;
		if (*at) { /* nobody has begun */
			*at = picture->next;
			if (!*at)
				p->last = at;
			picture->done = true;
		}
	}
	while (picture->asked && !picture->done)
		pthread_cond_wait(&p->done, &p->lock);
	pthread_mutex_unlock(&p->lock);
	rk_buf_finish(&picture->bytes);
}
