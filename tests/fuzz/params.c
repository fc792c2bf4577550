/* Query strings, read by the rows of every method there is: a value that is taken is what its row
 * says, a refusal says why, in UTF-8 and in one line. */
#include "tests/fuzz/fuzz.h"

#include "atproto/cid.h"
#include "base/encode.h"
#include "records/record.h"
#include "xrpc/methods.h"
#include "xrpc/xrpc.h"

static void judge(const struct rk_param *value, const struct rk_param_row *row)
{
	struct rk_rkey rkey;

	fuzz_must(rk_utf8_valid(value->text) && value->text.len <= RK_QUERY_MOST);
	fuzz_must(value->text.len == 0 || !memchr(value->text.data, '\0', value->text.len));
	switch (row->kind) {
	case RK_PARAM_TEXT:
		fuzz_must(value->text.len >= (size_t)row->least);
		fuzz_must(value->text.len <= (size_t)row->most);
		break;
	case RK_PARAM_INTEGER:
		fuzz_must(value->number >= row->least && value->number <= row->most);
		break;
	case RK_PARAM_BOOLEAN:
		fuzz_must(value->number == 0 || value->number == 1);
		break;
	case RK_PARAM_DATETIME:
		fuzz_must(value->text.len <= RK_DATETIME_MOST);
		break;
	case RK_PARAM_REF:
		fuzz_must(value->ref.len == value->text.len && value->ref.len <= RK_REF_MOST);
		break;
	case RK_PARAM_REPO:
		fuzz_must(rk_slice_equal(value->account.text, value->text));
		break;
	case RK_PARAM_COLLECTION:
		fuzz_must(value->collection >= 0 && value->collection < RK_COLLECTION_COUNT);
		break;
	case RK_PARAM_RKEY:
		fuzz_must(rk_rkey_parse(&rkey, value->text));
		break;
	case RK_PARAM_URI:
		fuzz_must(value->collection >= 0 && value->collection < RK_COLLECTION_COUNT);
		fuzz_must(rk_rkey_parse(&rkey, value->uri.rkey));
		break;
	}
}

static void by_rows(const struct rk_param_row *rows, struct rk_slice query)
{
	static struct rk_params params;

	if (!rk_params_parse(&params, rows, query)) {
		struct rk_slice error = rk_slice_str(params.error);

		fuzz_must(error.len > 0 && error.len < sizeof(params.error));
		fuzz_must(rk_utf8_valid(error) && !memchr(error.data, '\n', error.len));
		return;
	}
	fuzz_must(params.error[0] == '\0' && params.item_count <= RK_PARAM_ITEMS_MOST);
	for (size_t i = 0; rows && rows[i].name; i++) {
		fuzz_must(params.values[i].given || !rows[i].required);
		if (params.values[i].given && !rows[i].array)
			judge(&params.values[i], &rows[i]);
	}
	for (size_t i = 0; i < params.item_count; i++)
		judge(&params.items[i], params.items[i].row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < rk_xrpc_method_count(); i++)
		by_rows(rk_methods[i].params, rk_slice_make(data, size));
	return 0;
}
