/* refkey reference markdown: what a lint test compares README.md with. Hidden. */
#include <stdio.h>

#include "cli/help.h"
#include "xrpc/xrpc.h"

static void methods_add(struct rk_buf *out)
{
	rk_help_block_begin(out, "methods");
	rk_buf_add_str(out, "| method | | |\n| --- | --- | --- |\n");
	for (size_t i = 0; i < rk_xrpc_method_count(); i++) {
		const struct rk_xrpc_method_row *row = rk_xrpc_method_row(i);

		rk_buf_printf(out, "| `%s` | %s%s | ", row->nsid, row->post ? "POST" : "GET",
			row->admin ? ", admin" : "");
		rk_help_cell(out, row->summary);
		rk_buf_add_str(out, " |\n");
	}
	rk_help_block_end(out);
}

int rk_command_reference(const struct rk_command_call *call)
{
	struct rk_buf out = {0};
	int code = RK_EXIT_USAGE;

	if (strcmp(call->arguments[0], "markdown") != 0) {
		fputs("refkey: accepted: refkey reference markdown\n", stderr);
		return code;
	}
	rk_help_reference(&out);
	methods_add(&out);
	if (!rk_buf_failed(&out) && fwrite(out.data, 1, out.len, stdout) == out.len)
		code = RK_EXIT_DONE;
	else
		code = RK_EXIT_FINDINGS;
	rk_buf_finish(&out);
	return code;
}
