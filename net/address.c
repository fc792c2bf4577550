/*
 * Which addresses a hostile host name may lead us to: only those of the public internet.
 * Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and later).
 * IPv6 is judged the other way round: nothing is public but 2000::/3 without its special parts,
 * and forms that carry an IPv4 address to where that address leads.
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "net/http.h"

struct prefix {
	uint8_t bytes[16];
	uint8_t bits;
};

static const struct prefix v4_special[] = {
	{{0}, 8},             /* this network */
	{{10}, 8},            /* private */
	{{100, 64}, 10},      /* carrier-grade NAT */
	{{127}, 8},           /* loopback */
	{{169, 254}, 16},     /* link-local, and the metadata services of clouds */
	{{172, 16}, 12},      /* private */
	{{192, 0, 0}, 24},    /* protocol assignments */
	{{192, 0, 2}, 24},    /* documentation */
	{{192, 88, 99}, 24},  /* 6to4 relays */
	{{192, 168}, 16},     /* private */
	{{198, 18}, 15},      /* benchmarks */
	{{198, 51, 100}, 24}, /* documentation */
	{{203, 0, 113}, 24},  /* documentation */
	{{224}, 4},           /* multicast */
	{{240}, 4},           /* reserved, broadcast */
};

static const struct prefix v6_global = {{0x20}, 3};

static const struct prefix v6_special[] = {
	{{0x20, 0x01}, 23},             /* protocol assignments: Teredo, ORCHID, benchmarks */
	{{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
	{{0x20, 0x02}, 16},             /* 6to4: leads to an IPv4 address, and is long gone */
	{{0x3f, 0xff}, 20},             /* documentation */
};

/* An IPv4 address in the last four bytes, reached as itself or through the network's NAT64. */
static const struct prefix v6_carries_v4[] = {
	{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96},
	{{0, 0x64, 0xff, 0x9b}, 96},
};

static bool prefix_holds(const struct prefix *prefix, const uint8_t *address)
{
	unsigned whole = prefix->bits / 8, rest = prefix->bits % 8;
	uint8_t mask = (uint8_t)(0xff << (8 - rest));

	return memcmp(prefix->bytes, address, whole) == 0 &&
		(rest == 0 || ((prefix->bytes[whole] ^ address[whole]) & mask) == 0);
}

static bool any_holds(const struct prefix *prefixes, size_t count, const uint8_t *address)
{
	for (size_t i = 0; i < count; i++) {
		if (prefix_holds(&prefixes[i], address))
			return true;
	}
	return false;
}

#define ANY_HOLDS(table, address) any_holds(table, sizeof(table) / sizeof((table)[0]), address)

static bool v6_public(const uint8_t *address)
{
	if (ANY_HOLDS(v6_carries_v4, address))
		return !ANY_HOLDS(v4_special, address + 12);
	return prefix_holds(&v6_global, address) && !ANY_HOLDS(v6_special, address);
}

bool rk_http_address_public(const struct sockaddr *address)
{
	const uint8_t *bytes = (const uint8_t *)address;

	if (address->sa_family == AF_INET)
		return !ANY_HOLDS(v4_special, bytes + offsetof(struct sockaddr_in, sin_addr));
	if (address->sa_family == AF_INET6)
		return v6_public(bytes + offsetof(struct sockaddr_in6, sin6_addr));
	return false;
}
