/* Letter classes of ASCII, whatever the locale: the grammars of identifiers are loops over these. */
#ifndef RK_ATPROTO_ASCII_H
#define RK_ATPROTO_ASCII_H

#include <stdbool.h>
#include <stdint.h>

static inline bool rk_ascii_is_lower(uint8_t c)
{
	return c >= 'a' && c <= 'z';
}
static inline bool rk_ascii_is_letter(uint8_t c)
{
	return rk_ascii_is_lower(c | 0x20);
}
static inline bool rk_ascii_is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}
static inline bool rk_ascii_is_alnum(uint8_t c)
{
	return rk_ascii_is_letter(c) || rk_ascii_is_digit(c);
}
static inline uint8_t rk_ascii_to_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

#endif
