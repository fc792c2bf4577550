/* See rate.h. A set-associative table: a client may lie in the few slots that its key names. */
#include "xrpc/rate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { SETS = 4096, WAYS = 4 };

struct slot {
	uint64_t key; /* 0: free */
	int64_t ends_ms;
	unsigned count;
};

struct rk_rate {
	unsigned limit, window_s;
	uint64_t seed; /* so that nobody can choose whom to meet in a set */
	pthread_mutex_t lock;
	struct slot slots[SETS][WAYS];
};

static bool v4_near(uint32_t a)
{
	return a >> 24 == 127 || a >> 24 == 10 || a >> 20 == (172 << 4 | 1) ||
		a >> 16 == (192 << 8 | 168) || a >> 16 == (169 << 8 | 254) ||
		a >> 22 == (100 << 2 | 1);
}

static uint64_t v4_key(uint32_t a)
{
	/* ffff:ffff::/32 is nobody's network. */
	return v4_near(a) ? 0 : (uint64_t)UINT32_MAX << 32 | a;
}

static uint64_t v6_key(const struct in6_addr *address)
{
	const uint8_t *bytes = address->s6_addr;
	uint64_t key = 0;

	if (IN6_IS_ADDR_V4MAPPED(address))
		return v4_key((uint32_t)bytes[12] << 24 | (uint32_t)bytes[13] << 16 |
			(uint32_t)bytes[14] << 8 | bytes[15]);
	if (IN6_IS_ADDR_LOOPBACK(address) || IN6_IS_ADDR_LINKLOCAL(address) ||
		(bytes[0] & 0xfe) == 0xfc)
		return 0;
	for (int i = 0; i < 8; i++)
		key = key << 8 | bytes[i];
	return key;
}

uint64_t rk_rate_key(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return v4_key(ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr));
	if (address->sa_family == AF_INET6)
		return v6_key(&((const struct sockaddr_in6 *)address)->sin6_addr);
	return 0;
}

/* "192.0.2.1", "2001:db8::1", "[2001:db8::1]", either with a port. False: none of these. */
static bool text_key(uint64_t *out, struct rk_slice text)
{
	char room[INET6_ADDRSTRLEN + 8], *host = room, *end;
	struct in6_addr v6;
	struct in_addr v4;

	if (text.len == 0 || text.len >= sizeof(room))
		return false;
	memcpy(room, text.data, text.len);
	room[text.len] = '\0';
	if (room[0] == '[') {
		end = strchr(room, ']');
		host++;
		if (!end)
			return false;
	} else {
		end = strchr(room, ':');
		if (end && strchr(end + 1, ':'))
			end = NULL;
	}
	if (end)
		*end = '\0';
	if (inet_pton(AF_INET, host, &v4) == 1)
		*out = v4_key(ntohl(v4.s_addr));
	else if (inet_pton(AF_INET6, host, &v6) == 1)
		*out = v6_key(&v6);
	else
		return false;
	return true;
}

uint64_t rk_rate_key_forwarded(struct rk_slice list)
{
	uint64_t key = 0;

	while (key == 0 && list.len) {
		size_t to = list.len, from;

		while (to > 0 && (list.data[to - 1] == ' ' || list.data[to - 1] == '\t'))
			to--;
		for (from = to; from > 0 && list.data[from - 1] != ',';)
			from--;
		list.len = from ? from - 1 : 0;
		while (from < to && (list.data[from] == ' ' || list.data[from] == '\t'))
			from++;
		/* What is in front of something unknown is not to be trusted. */
		if (!text_key(&key, rk_slice_sub(list, from, to - from)))
			return 0;
	}
	return key;
}

int rk_rate_create(struct rk_rate **out, unsigned limit, unsigned window_s)
{
	struct rk_rate *rate = calloc(1, sizeof(*rate));

	if (!rate)
		return -ENOMEM;
	if (getrandom(&rate->seed, sizeof(rate->seed), 0) != sizeof(rate->seed)) {
		free(rate);
		return -EIO;
	}
	rate->limit = limit;
	rate->window_s = window_s;
	pthread_mutex_init(&rate->lock, NULL);
	*out = rate;
	return 0;
}

void rk_rate_destroy(struct rk_rate *rate)
{
	if (!rate)
		return;
	pthread_mutex_destroy(&rate->lock);
	free(rate);
}

static size_t set_of(const struct rk_rate *rate, uint64_t key)
{
	uint64_t x = key ^ rate->seed;

	x = (x ^ x >> 31) * 0x9e3779b97f4a7c15;
	x = (x ^ x >> 29) * (rate->seed | 1);
	return (x >> 32) % SETS;
}

/* The client's slot, or the one that is to be its: free, over, or of the one that asked least. */
static struct slot *slot_find(
	struct slot set[WAYS], uint64_t key, int64_t now_ms, int64_t window_ms)
{
	struct slot *least = &set[0];

	for (int i = 0; i < WAYS; i++) {
		struct slot *slot = &set[i];

		/* The latter where the clock was set back. */
		if (slot->ends_ms <= now_ms || slot->ends_ms > now_ms + window_ms)
			slot->count = 0;
		if (slot->key == key)
			return slot;
		if (slot->count < least->count)
			least = slot;
	}
	*least = (struct slot){.key = key};
	return least;
}

void rk_rate_take(struct rk_rate *rate, struct rk_rate_state *out, uint64_t key, int64_t now_ms)
{
	int64_t window_ms = (int64_t)rate->window_s * 1000;
	struct slot *slot;

	pthread_mutex_lock(&rate->lock);
	slot = slot_find(rate->slots[set_of(rate, key)], key, now_ms, window_ms);
	if (slot->count == 0)
		slot->ends_ms = now_ms + window_ms;
	out->refused = slot->count == rate->limit;
	if (!out->refused)
		slot->count++;
	out->remaining = rate->limit - slot->count;
	out->reset_s = (slot->ends_ms + 999) / 1000;
	pthread_mutex_unlock(&rate->lock);
	out->limit = rate->limit;
	out->window_s = rate->window_s;
}

void rk_rate_none(const struct rk_rate *rate, struct rk_rate_state *out, int64_t now_ms)
{
	*out = (struct rk_rate_state){.limit = rate->limit,
		.window_s = rate->window_s,
		.reset_s = now_ms / 1000 + 1,
		.refused = true};
}
