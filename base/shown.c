/* See shown.h. The ranges are Unicode's general categories Cc, Cf, Zl and Zp, as far as they concern any text. */
#include "base/shown.h"

static const struct {
	uint32_t from, to;
} hidden[] = {
	{0x00, 0x1f},       /* controls, of which the escape character is one */
	{0x7f, 0x9f},       /* delete, and controls of eight bits */
	{0xad, 0xad},       /* soft hyphen */
	{0x61c, 0x61c},     /* Arabic letter mark */
	{0x180e, 0x180e},   /* vowel separator */
	{0x200b, 0x200f},   /* zero width, direction marks */
	{0x2028, 0x202e},   /* separators of lines, embeddings and overrides */
	{0x2060, 0x206f},   /* word joiner, invisible operators, isolates */
	{0xfeff, 0xfeff},   /* byte order mark */
	{0xfff9, 0xfffb},   /* interlinear annotations */
	{0xe0000, 0xe007f}, /* tags */
};

enum { JOINER = 0x200d };

/* What a joiner may stand behind: it makes one picture of several. */
static bool is_picture(uint32_t c)
{
	return (c >= 0x2190 && c <= 0x2bff) || c == 0xfe0f || (c >= 0x1f000 && c <= 0x1faff);
}

static bool is_hidden(uint32_t c, uint32_t before)
{
	if (c == JOINER && is_picture(before))
		return false;
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		if (c >= hidden[i].from && c <= hidden[i].to)
			return true;
	}
	return false;
}

/* The character at *at, which moves behind it. A byte that begins none is one by itself. */
static uint32_t next(struct rk_slice text, size_t *at)
{
	uint8_t first = text.data[(*at)++];
	unsigned more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
	uint32_t c = more ? first & (0x3fu >> more) : first;

	for (; more && *at < text.len && (text.data[*at] & 0xc0) == 0x80; more--)
		c = c << 6 | (text.data[(*at)++] & 0x3f);
	return c;
}

bool rk_shown_is_plain(struct rk_slice text)
{
	uint32_t before = 0;

	for (size_t at = 0; at < text.len;) {
		uint32_t c = next(text, &at);

		if (is_hidden(c, before))
			return false;
		before = c;
	}
	return true;
}

void rk_shown_add(struct rk_buf *out, struct rk_slice text)
{
	uint32_t before = 0;

	for (size_t at = 0, from; at < text.len;) {
		uint32_t c;

		from = at;
		c = next(text, &at);
		if (is_hidden(c, before))
			rk_buf_printf(out, "\\u{%x}", (unsigned)c);
		else
			rk_buf_add(out, text.data + from, at - from);
		before = c;
	}
}
