/*
 * Text from outside on a terminal or in a log: what a terminal would obey (control characters), what turns the order of
 * others around (bidi) and what cannot be seen is written as `\u{202e}`, everything else as it is.
 */
#ifndef RK_BASE_SHOWN_H
#define RK_BASE_SHOWN_H

#include "base/buf.h"

/* Whether the text can be shown as it is. UTF-8. */
bool rk_shown_is_plain(struct rk_slice text);
/* Appends it as it can be shown, on one line. UTF-8. */
void rk_shown_add(struct rk_buf *out, struct rk_slice text);

#endif
