/* The thumbnails of records that have one: fetched and scaled ahead, uploaded when their turn comes. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "image/scaler.h"
#include "publish/inside.h"

enum {
	SIDE = 512, /* pixels of a thumbnail, at most */
	AHEAD = 6,  /* pictures that a worker has asked for */
	TICK_MS = 100,
};

static const struct rk_field *blob_field(const struct rk_collection *collection)
{
	for (const struct rk_field *field = collection->fields;
		field < collection->fields + RK_FIELDS_MOST && field->name; field++) {
		if (field->kind == RK_FIELD_BLOB)
			return field;
	}
	return NULL;
}

int rk_publish_thumbnails_begin(struct rk_publish_run *run)
{
	const struct rk_field *field = blob_field(run->collection);
	struct rk_pictures_options options = {.dir = run->options->data_dir,
		.trusted = run->options->images,
		.side = SIDE,
		.bytes_most = field ? field->most : 0};
	int r;

	if (!field || run->request->skip_blobs || run->request->dry_run)
		return 0;
	r = rk_scaler_find(&run->program);
	if (r)
		return r;
	options.program = rk_buf_cstr(&run->program);
	run->pictures = rk_pictures_create(&options);
	return run->pictures ? 0 : -ENOMEM;
}

void rk_publish_thumbnails_end(struct rk_publish_run *run)
{
	rk_pictures_destroy(run->pictures);
	run->pictures = NULL;
	rk_buf_finish(&run->program);
}

struct rk_slice rk_publish_thumbnail_url(
	const struct rk_publish_run *run, struct rk_arena *arena, const char *image)
{
	const char *path = strchr(strstr(image, "://") + 3, '/');
	struct rk_buf url = {0};
	char *copy = NULL;

	if (run->options->images) {
		rk_buf_add_str(&url, run->options->images);
		rk_buf_add_str(&url, path);
	} else {
		rk_buf_add_str(&url, image);
	}
	if (!rk_buf_failed(&url))
		copy = rk_arena_copy(arena, rk_slice_str(rk_buf_cstr(&url)));
	rk_buf_finish(&url);
	return rk_slice_str(copy);
}

static bool is_stopping(void *run)
{
	return rk_publish_stopping(run);
}

/* The record, with its blob. */
static int record_add(struct rk_publish_item *item, struct rk_arena *arena, const char *name,
	const struct rk_session_blob *blob)
{
	struct rk_slice *record = &item->write.write.record;
	struct rk_buf json = {0};
	char *copy = NULL;

	/* Without the brace that ends it. */
	rk_buf_add(&json, record->data, record->len - 1);
	rk_buf_printf(&json,
		",\"%s\":{\"$type\":\"blob\",\"ref\":{\"$link\":\"%s\"},\"mimeType\":\"%s\","
		"\"size\":%llu}}",
		name, blob->ref, blob->mime, (unsigned long long)blob->size);
	if (!rk_buf_failed(&json))
		copy = rk_arena_copy(arena, rk_buf_slice(&json));
	*record = rk_slice_make(copy, copy ? json.len : 0);
	rk_buf_finish(&json);
	return copy ? 0 : -ENOMEM;
}

static void ask_ahead(struct rk_publish_run *run, struct rk_publish_parcel *parcel, size_t at)
{
	for (size_t count = 0; at < parcel->count && count < AHEAD; at++) {
		struct rk_publish_item *item = &parcel->items[at];

		if (item->settled || !item->picture.url)
			continue;
		count++;
		if (!item->picture.asked)
			rk_pictures_ask(run->pictures, &item->picture);
	}
}

static int fail(struct rk_publish_run *run, int result, const struct rk_picture *picture)
{
	if (result != -ECANCELED)
		rk_publish_fail(
			run, result, picture->reason[0] ? picture->reason : strerror(-result));
	return result;
}

/* Half of the users in hand at once, so that the others upload meanwhile: what a login takes of the PDS is not what an
 * upload takes, and where all did the same at once, each would wait. 0, -ECANCELED, or as rk_account_login. */
static int login(struct rk_publish_run *run, struct rk_account_client *account)
{
	int r = 0;

	if (rk_account_is_open(account))
		return 0;
	pthread_mutex_lock(&run->lock);
	while (run->logins >= run->logins_most && !rk_publish_stopping(run)) {
		const struct timespec until = rk_clock_after(TICK_MS);

		pthread_cond_timedwait(&run->logged_in, &run->lock, &until);
	}
	run->logins++;
	pthread_mutex_unlock(&run->lock);
	r = rk_publish_stopping(run) ? -ECANCELED : rk_account_login(account);
	pthread_mutex_lock(&run->lock);
	run->logins--;
	pthread_cond_signal(&run->logged_in);
	pthread_mutex_unlock(&run->lock);
	return r;
}

int rk_publish_thumbnail(struct rk_publish_run *run, struct rk_account_client *account,
	struct rk_publish_parcel *parcel, size_t at)
{
	struct rk_publish_item *item = &parcel->items[at];
	struct rk_picture *picture = &item->picture;
	struct rk_session_blob blob;
	int r;

	/* Before the login, which takes as long as some pictures. */
	ask_ahead(run, parcel, at);
	r = login(run, account);
	if (r || !picture->url)
		return r;
	r = rk_pictures_wait(run->pictures, picture, is_stopping, run);
	if (r < 0)
		return fail(run, r, picture);
	if (r == RK_PICTURE_AWAY)
		return fail(run, -EHOSTUNREACH, picture);
	if (r == RK_PICTURE_REFUSED) {
		rk_publish_settle(item, RK_PUBLISH_FAILED, picture->reason);
		return 0;
	}
	r = rk_account_upload(
		account, &blob, rk_buf_slice(&picture->bytes), rk_image_mime(picture->kind));
	rk_pictures_drop(run->pictures, picture);
	if (r == RK_PDS_WRONG)
		rk_publish_settle(item, RK_PUBLISH_FAILED, rk_account_error(account));
	else if (r == 0)
		return record_add(item, &parcel->arena, blob_field(run->collection)->name, &blob);
	return r == RK_PDS_WRONG ? 0 : r;
}

void rk_publish_thumbnails_drop(struct rk_publish_run *run, struct rk_publish_parcel *parcel)
{
	if (!run->pictures)
		return;
	if (rk_publish_stopping(run))
		rk_pictures_cancel(run->pictures);
	for (size_t i = 0; i < parcel->count; i++)
		rk_pictures_drop(run->pictures, &parcel->items[i].picture);
}
