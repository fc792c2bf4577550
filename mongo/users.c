/* Users in two sorted arrays; see users.h. */
#include "mongo/users.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/list.h"

enum { SHARE = 20, GOOD_MOST_MS = 60 * 1000 };

void rk_users_finish(struct rk_users *users)
{
	if (!users)
		return;
	rk_arena_finish(&users->arena);
	free(users->list);
	free(users->by_did);
	*users = (struct rk_users){0};
}

static int copy(struct rk_users *users, struct rk_slice *slice)
{
	char *bytes = rk_arena_copy(&users->arena, *slice);

	if (!bytes)
		return -ENOMEM;
	slice->data = (const uint8_t *)bytes;
	return 0;
}

int rk_users_add(struct rk_users *users, const struct rk_user *user)
{
	struct rk_user one = *user;
	int r;

	if (rk_list_grow(&users->list, &users->room, users->count, sizeof(*users->list)) != 0)
		return -ENOMEM;
	r = copy(users, &one.id);
	if (r == 0)
		r = copy(users, &one.did);
	if (r == 0)
		r = copy(users, &one.handle);
	if (r == 0)
		users->list[users->count++] = one;
	return r;
}

static int by_id(const void *a, const void *b)
{
	return rk_slice_compare(((const struct rk_user *)a)->id, ((const struct rk_user *)b)->id);
}

static int by_did(const void *a, const void *b, void *context)
{
	const struct rk_user *list = context;
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
	int order = rk_slice_compare(list[left].did, list[right].did);

	return order ? order : (left > right) - (left < right);
}

int rk_users_seal(struct rk_users *users)
{
	free(users->by_did);
	users->with_did = 0;
	users->by_did = calloc(users->count + 1, sizeof(*users->by_did));
	if (!users->by_did)
		return -ENOMEM;
	if (users->count == 0)
		return 0;
	qsort(users->list, users->count, sizeof(*users->list), by_id);
	for (size_t i = 0; i < users->count; i++) {
		if (users->list[i].did.len > 0)
			users->by_did[users->with_did++] = (uint32_t)i;
	}
	qsort_r(users->by_did, users->with_did, sizeof(*users->by_did), by_did, users->list);
	return 0;
}

struct rk_user *rk_users_by_id(const struct rk_users *users, struct rk_slice id)
{
	struct rk_user key = {.id = id};

	if (users->count == 0 || !id.data)
		return NULL;
	return bsearch(&key, users->list, users->count, sizeof(key), by_id);
}

const struct rk_user *rk_users_by_did(const struct rk_users *users, struct rk_slice did)
{
	size_t from = 0, to = users->with_did;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (rk_slice_compare(users->list[users->by_did[middle]].did, did) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	if (from == users->with_did || !rk_slice_equal(users->list[users->by_did[from]].did, did))
		return NULL;
	return &users->list[users->by_did[from]];
}

/* name: "@handle", in any case, or a DID. */
static bool is_named(const struct rk_user *user, struct rk_slice name)
{
	if (name.data[0] != '@')
		return rk_slice_equal(user->did, name);
	return user->handle.len == name.len - 1 &&
		strncasecmp((const char *)user->handle.data, (const char *)name.data + 1,
			user->handle.len) == 0;
}

const struct rk_user *rk_users_by_name(
	const struct rk_users *users, struct rk_slice name, char error[RK_USERS_ERROR])
{
	bool handle = name.len > 1 && name.data[0] == '@';
	bool shared = handle || rk_slice_starts(name, rk_slice_str("did:"));
	const struct rk_user *found = shared ? NULL : rk_users_by_id(users, name);

	for (size_t i = 0; shared && i < users->count; i++) {
		const struct rk_user *one = &users->list[i];

		if (!is_named(one, name))
			continue;
		if (found) {
			snprintf(error, RK_USERS_ERROR,
				handle ? "%.*s is the handle of %.60s and of %.60s: name one by _id"
				       : "%.*s is the account of %.60s and of %.60s: name one by _id",
				(int)(name.len < 60 ? name.len : 60), (const char *)name.data,
				(const char *)found->id.data, (const char *)one->id.data);
			return NULL;
		}
		found = one;
	}
	if (!found)
		snprintf(error, RK_USERS_ERROR, "no such user: %.*s",
			(int)(name.len < 200 ? name.len : 200), (const char *)name.data);
	return found;
}

int rk_users_by_names(const struct rk_users *users, const struct rk_user ***out,
	const char *const *names, char error[RK_USERS_ERROR])
{
	size_t count = 0;

	*out = NULL;
	while (names && names[count])
		count++;
	if (count == 0)
		return 0;
	*out = calloc(count + 1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		(*out)[i] = rk_users_by_name(users, rk_slice_str(names[i]), error);
		if (!(*out)[i])
			return -ENOENT;
	}
	return 0;
}

int64_t rk_users_good_ms(int64_t took_ms)
{
	return took_ms < GOOD_MOST_MS / SHARE ? took_ms * SHARE : GOOD_MOST_MS;
}
