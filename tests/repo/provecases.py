"""Small functions in two versions each: forty pairs that do the same, forty that do not.

Each is ``name: (before, after)``; what stands in ``SHARED`` is in front of both. Those of
``UNEQUAL`` differ for some arguments or states that C defines.
"""

from __future__ import annotations

from typing import Final

HARD: Final = ("folded", "joined", "wave", "printed", "stored")
"""These stand in libraries of their own: of what they call, not all is known."""
SHARED: Final = """\
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
enum colour { RED, GREEN, BLUE };
struct point { int32_t x, y; };
"""

EQUAL: Final[dict[str, tuple[str, str]]] = {
    # --- bit tricks
    "popcount8": (
        "int popcount8(uint8_t v) { int n = 0; while (v) { n += v & 1; v >>= 1; } return n; }",
        "static const uint8_t nibbles[16] = {0,1,1,2,1,2,2,3,1,2,2,3,2,3,3,4};\n"
        "int popcount8(uint8_t v) { return nibbles[v >> 4] + nibbles[v & 15]; }",
    ),
    "popcount32": (
        "int popcount32(uint32_t v) { int n = 0; for (; v; n++) v &= v - 1; return n; }",
        "int popcount32(uint32_t v) { v -= v >> 1 & 0x55555555u;\n"
        "  v = (v & 0x33333333u) + (v >> 2 & 0x33333333u);\n"
        "  return (v + (v >> 4) & 0x0f0f0f0fu) * 0x01010101u >> 24; }",
    ),
    "reverse8": (
        "uint8_t reverse8(uint8_t v) { uint8_t r = 0;\n"
        "  for (int i = 0; i < 8; i++) r |= (v >> i & 1) << (7 - i); return r; }",
        "uint8_t reverse8(uint8_t v) { v = v >> 4 | v << 4; v = (v & 0xcc) >> 2 | (v & 0x33) << 2;\n"
        "  return (v & 0xaa) >> 1 | (v & 0x55) << 1; }",
    ),
    "parity16": (
        "bool parity16(uint16_t v) { bool p = 0; while (v) { p = !p; v &= v - 1; } return p; }",
        "bool parity16(uint16_t v) { v ^= v >> 8; v ^= v >> 4; v ^= v >> 2; return (v ^ v >> 1) & 1; }",
    ),
    "lowest": (
        "uint32_t lowest(uint32_t v) { return v & -v; }",
        "uint32_t lowest(uint32_t v) { uint32_t w = ~v; w++; return v & w; }",
    ),
    "power": (
        "bool power(uint32_t v) { int n = 0; for (int i = 0; i < 32; i++) n += v >> i & 1;\n"
        "  return n == 1; }",
        "bool power(uint32_t v) { return v && !(v & (v - 1)); }",
    ),
    "average": (
        "uint32_t average(uint32_t a, uint32_t b) { return ((uint64_t)a + b) / 2; }",
        "uint32_t average(uint32_t a, uint32_t b) { return (a & b) + ((a ^ b) >> 1); }",
    ),
    "swap32": (
        "uint32_t swap32(uint32_t v) { uint32_t r = 0;\n"
        "  for (int i = 0; i < 4; i++) { r = r << 8 | (v & 255); v >>= 8; } return r; }",
        "uint32_t swap32(uint32_t v)\n"
        "{ return v << 24 | (v & 0xff00) << 8 | (v >> 8 & 0xff00) | v >> 24; }",
    ),
    "rotate": (
        "uint32_t rotate(uint32_t v, unsigned n) { n &= 31; return n ? v << n | v >> (32 - n) : v; }",
        "uint32_t rotate(uint32_t v, unsigned n) { return v << (n & 31) | v >> (-n & 31); }",
    ),
    "gray": (
        "uint8_t gray(uint8_t v) { uint8_t r = v; while (v >>= 1) r ^= v; return r; }",
        "uint8_t gray(uint8_t v) { v ^= v >> 4; v ^= v >> 2; return v ^ v >> 1; }",
    ),
    # --- arithmetic
    "eighth": (
        "int32_t eighth(int32_t v) { return v / 8; }",
        "int32_t eighth(int32_t v) { return (v + (v >> 31 & 7)) >> 3; }",
    ),
    "sign": (
        "int sign(int32_t v) { if (v > 0) return 1; if (v < 0) return -1; return 0; }",
        "int sign(int32_t v) { return (v > 0) - (v < 0); }",
    ),
    "smaller": (
        "int32_t smaller(int32_t a, int32_t b) { if (b < a) return b; return a; }",
        "int32_t smaller(int32_t a, int32_t b) { return b ^ ((a ^ b) & -(a < b)); }",
    ),
    "clamp": (
        "int clamp(int v) { if (v < -100) v = -100; if (v > 100) v = 100; return v; }",
        "int clamp(int v) { return v > 100 ? 100 : v < -100 ? -100 : v; }",
    ),
    "triangle": (
        "uint32_t triangle(uint16_t n) { uint32_t s = 0; while (n) s += n--; return s; }",
        "uint32_t triangle(uint16_t n) { return (uint32_t)n * (n + 1u) / 2; }",
    ),
    "root": (
        "uint8_t root(uint16_t v) { uint32_t r = 0; while ((r + 1) * (r + 1) <= v) r++; return r; }",
        "uint8_t root(uint16_t v) { uint32_t r = 0; for (uint32_t b = 128; b; b >>= 1)\n"
        "  if ((r | b) * (r | b) <= v) r |= b; return r; }",
    ),
    "multiply": (
        "uint16_t multiply(uint8_t a, uint8_t b) { return a * b; }",
        "uint16_t multiply(uint8_t a, uint8_t b) { uint16_t r = 0;\n"
        "  for (int i = 0; i < 8; i++) if (b >> i & 1) r += (uint16_t)(a << i); return r; }",
    ),
    "horner": (
        "uint32_t horner(uint32_t x) { return 3 * x * x + 2 * x + 1; }",
        "uint32_t horner(uint32_t x) { return (3 * x + 2) * x + 1; }",
    ),
    # --- recursion
    "divisor": (
        "uint8_t divisor(uint8_t a, uint8_t b) { return b ? divisor(b, a % b) : a; }",
        "uint8_t divisor(uint8_t a, uint8_t b) { while (b) { uint8_t t = a % b; a = b; b = t; }\n"
        "  return a; }",
    ),
    "fibonacci": (
        "static uint32_t fib(int n) { return n < 2 ? (uint32_t)n : fib(n - 1) + fib(n - 2); }\n"
        "uint32_t fibonacci(uint8_t n) { return fib(n & 15); }",
        "uint32_t fibonacci(uint8_t n) { uint32_t a = 0, b = 1;\n"
        "  for (n &= 15; n; n--) { uint32_t t = a + b; a = b; b = t; } return a; }",
    ),
    "factorial": (
        "static uint64_t fact(unsigned n) { return n ? n * fact(n - 1) : 1; }\n"
        "uint64_t factorial(unsigned n) { return fact(n & 15); }",
        "uint64_t factorial(unsigned n) { uint64_t r = 1; for (n &= 15; n; n--) r *= n; return r; }",
    ),
    "digits": (
        "static int count_digits(uint32_t v) { return v < 10 ? 1 : 1 + count_digits(v / 10); }\n"
        "int digits(uint16_t v) { return count_digits(v); }",
        "int digits(uint16_t v) { return 1 + (v > 9) + (v > 99) + (v > 999) + (v > 9999); }",
    ),
    # --- tables, texts, enums
    "month": (
        "int month(uint8_t m, bool leap) { switch (m) { case 2: return leap ? 29 : 28;\n"
        "  case 4: case 6: case 9: case 11: return 30; default: return m < 13 && m ? 31 : 0; } }",
        "int month(uint8_t m, bool leap)\n"
        "{ static const uint8_t days[] = {0,31,28,31,30,31,30,31,31,30,31,30,31};\n"
        "  return m > 12 ? 0 : days[m] + (m == 2 && leap); }",
    ),
    "name": (
        'const char *name(uint8_t v) { switch (v) { case 0: return "red"; case 1: return "green";\n'
        '  default: return "blue"; } }',
        'static const char *const names[] = {"red", "green", "blue"};\n'
        "const char *name(uint8_t v) { return names[v > 2 ? 2 : v]; }",
    ),
    "mixed": (
        "enum colour mixed(enum colour a, enum colour b) { return a == b ? a : 3 - a - b; }",
        "enum colour mixed(enum colour a, enum colour b)\n"
        "{ if (a == b) return a; if (a != RED && b != RED) return RED;\n"
        "  return a != GREEN && b != GREEN ? GREEN : BLUE; }",
    ),
    # --- floating numbers
    "fourfold": (
        "float fourfold(float v) { return v * 4; }",
        "float fourfold(float v) { float d = v + v; return d + d; }",
    ),
    "halved": (
        "double halved(double v) { return v / 2; }",
        "double halved(double v) { return v * 0.5; }",
    ),
    "limited": (
        "float limited(float v) { if (v > 1) return 1; if (v < 0) return 0; return v; }",
        "float limited(float v) { return v < 0 ? 0 : v > 1 ? 1 : v; }",
    ),
    "degrees": (
        "double degrees(int16_t v) { double d = v; return d / 10; }",
        "double degrees(int16_t v) { return (double)v / 10.0; }",
    ),
    # --- buffers
    "total": (
        "uint32_t total(const uint8_t *p, size_t n)\n"
        "{ uint32_t s = 0; for (size_t i = 0; i < n; i++) s += p[i]; return s; }",
        "uint32_t total(const uint8_t *p, size_t n)\n"
        "{ uint32_t s = 0; while (n) s += p[--n]; return s; }",
    ),
    "largest": (
        "int32_t largest(const int32_t *p, size_t n) { int32_t m = INT32_MIN;\n"
        "  for (size_t i = 0; i < n; i++) if (p[i] > m) m = p[i]; return m; }",
        "int32_t largest(const int32_t *p, size_t n) { int32_t m = INT32_MIN;\n"
        "  for (const int32_t *e = p + n; p != e; p++) m = *p > m ? *p : m; return m; }",
    ),
    "reversed": (
        "void reversed(uint8_t *p, size_t n) { for (size_t i = 0; i < n / 2; i++)\n"
        "  { uint8_t t = p[i]; p[i] = p[n - 1 - i]; p[n - 1 - i] = t; } }",
        "void reversed(uint8_t *p, size_t n) { if (!n) return; uint8_t *q = p + n - 1;\n"
        "  while (p < q) { uint8_t t = *p; *p++ = *q; *q-- = t; } }",
    ),
    "cleared": (
        "void cleared(uint8_t *p, size_t n) { for (size_t i = 0; i < n; i++) p[i] = 0; }",
        "void cleared(uint8_t *p, size_t n) { memset(p, 0, n); }",
    ),
    "length": (
        "size_t length(const char *s) { size_t n = 0; while (s[n]) n++; return n; }",
        "size_t length(const char *s) { const char *e = s; while (*e) e++; return (size_t)(e - s); }",
    ),
    # --- state
    "tick": (
        "static uint8_t hand;\nuint8_t tick(void) { hand = (hand + 1) % 60; return hand; }",
        "static uint8_t hand;\nuint8_t tick(void) { if (++hand == 60) hand = 0; return hand; }",
    ),
    "press": (
        "static bool on; static uint8_t key;\n"
        "int press(uint8_t k) { k &= 15; if (k == key) on = !on; key = k; return on ? key : -1; }",
        "static uint8_t state;\n"
        "int press(uint8_t k) { k &= 15; uint8_t lit = state & 16; if (k == (state & 15)) lit ^= 16;\n"
        "  state = k | lit; return lit ? k : -1; }",
    ),
    "random_next": (
        "static uint32_t seed = 1;\n"
        "uint32_t random_next(void) { seed ^= seed << 13; seed ^= seed >> 17; return seed ^= seed << 5; }",
        "static uint32_t seed = 1;\n"
        "uint32_t random_next(void) { uint32_t v = seed; v = v ^ (v << 13); v = v ^ (v >> 17);\n"
        "  v = (v << 5) ^ v; seed = v; return v; }",
    ),
    # --- what is hard
    "folded": (
        "int folded(int (*f)(int), int n) { int s = 0; for (int i = 0; i < (n & 7); i++) s += f(i);\n"
        "  return s; }",
        "int folded(int (*f)(int), int n) { int s = 0, i = 0; n &= 7; while (i < n) s += f(i++);\n"
        "  return s; }",
    ),
    "joined": (
        "char *joined(const char *a, const char *b) { char *r = malloc(strlen(a) + strlen(b) + 1);\n"
        "  if (r) { strcpy(r, a); strcat(r, b); } return r; }",
        "char *joined(const char *a, const char *b) { size_t n = strlen(a), m = strlen(b);\n"
        "  char *r = malloc(n + m + 1); if (r) { memcpy(r, a, n); memcpy(r + n, b, m + 1); } return r; }",
    ),
    "wave": (
        "double wave(double v) { return 2 * sin(v) * cos(v); }",
        "double wave(double v) { double s = sin(v); return s * cos(v) * 2; }",
    ),
}

UNEQUAL: Final[dict[str, tuple[str, str]]] = {
    name: (before, after)
    for name, before, after in (
        # --- one value, one bit, one end of a range
        ("one_value", "int one_value(uint16_t v) { return v == 777; }",
         "int one_value(uint16_t v) { (void)v; return 0; }"),
        ("one_wide", "int one_wide(uint32_t v) { return v == 0xdeadbeefu; }",
         "int one_wide(uint32_t v) { (void)v; return 0; }"),
        ("one_wider", "bool one_wider(uint64_t v) { return v > 1ull << 63; }",
         "bool one_wider(uint64_t v) { return v >= 1ull << 63; }"),
        ("count_bits", "int count_bits(uint32_t v) { int n = 0; for (; v; n++) v &= v - 1; return n; }",
         "int count_bits(uint32_t v) { int n = 0; for (int i = 0; i < 31; i++) n += v >> i & 1; return n; }"),
        ("parity8", "bool parity8(uint8_t v) { v ^= v >> 4; v ^= v >> 2; return (v ^ v >> 1) & 1; }",
         "bool parity8(uint8_t v) { v ^= v >> 4; v ^= v >> 2; return (v | v >> 1) & 1; }"),
        ("round_up", "uint32_t round_up(uint32_t v) { return (v + 7) & ~7u; }",
         "uint32_t round_up(uint32_t v) { return (v | 7) + 1; }"),
        ("rotate8", "uint8_t rotate8(uint8_t v, uint8_t n) { n &= 7; return v << n | v >> (8 - n); }",
         "uint8_t rotate8(uint8_t v, uint8_t n) { return v << (n & 7) | v >> (7 - (n & 7)); }"),
        ("middle", "uint32_t middle(uint32_t a, uint32_t b) { return ((uint64_t)a + b) / 2; }",
         "uint32_t middle(uint32_t a, uint32_t b) { return (a + b) / 2; }"),
        ("quarter", "int quarter(int v) { return v / 4; }", "int quarter(int v) { return v >> 2; }"),
        ("remainder_of", "int remainder_of(int8_t a) { return a % 5; }",
         "int remainder_of(int8_t a) { return (a % 5 + 5) % 5; }"),
        ("is_upper", "bool is_upper(uint8_t c) { return c >= 'A' && c <= 'Z'; }",
         "bool is_upper(uint8_t c) { return c >= 'A' && c < 'Z'; }"),
        ("narrowed", "int narrowed(int v) { return v; }", "int narrowed(int v) { return (int16_t)v; }"),
        ("unsigned_less", "bool unsigned_less(int a, int b) { return a < b; }",
         "bool unsigned_less(int a, int b) { return (unsigned)a < (unsigned)b; }"),
        ("truth", "int truth(uint16_t v) { return v ? 1 : 0; }", "int truth(uint16_t v) { return (uint8_t)v ? 1 : 0; }"),
        ("absolute", "int64_t absolute(int32_t v) { return v < 0 ? -(int64_t)v : v; }",
         "int64_t absolute(int32_t v) { return v < 0 ? (int32_t)-(uint32_t)v : v; }"),
        # --- loops and recursion
        ("sum_to", "uint32_t sum_to(uint16_t n) { uint32_t s = 0; while (n) s += n--; return s; }",
         "uint32_t sum_to(uint16_t n) { return (uint32_t)n * (uint16_t)(n + 1) / 2; }"),
        ("root_of", "uint8_t root_of(uint16_t v) { uint32_t r = 0; while ((r + 1) * (r + 1) <= v) r++; return r; }",
         "uint8_t root_of(uint16_t v) { uint32_t r = 0; while ((r + 1) * (r + 1) < v) r++; return r; }"),
        ("gcd", "uint8_t gcd(uint8_t a, uint8_t b) { return b ? gcd(b, a % b) : a; }",
         "uint8_t gcd(uint8_t a, uint8_t b) { while (b > 1) { uint8_t t = a % b; a = b; b = t; } return a; }"),
        ("steps", "int steps(uint8_t v) { int n = 0; while (v > 1) { v /= 2; n++; } return n; }",
         "int steps(uint8_t v) { int n = -1; do { v /= 2; n++; } while (v > 1); return n; }"),
        ("ackermann", "static unsigned ack(unsigned m, unsigned n)\n"
         "{ return !m ? n + 1 : ack(m - 1, n ? ack(m, n - 1) : 1); }\n"
         "unsigned ackermann(uint8_t m, uint8_t n) { return ack(m & 1, n & 7); }",
         "unsigned ackermann(uint8_t m, uint8_t n) { m &= 1; n &= 7; return n + 1 + m - (m && n == 7); }"),
        ("endless", "int endless(uint8_t v) { return v == 255 ? 3 : v; }",
         "int endless(uint8_t v) { int i = 0; while (v == 255 && i != -1) i = i & 7; return v; }"),
        # --- floating numbers
        ("negative_zero", "float negative_zero(float v) { return v; }",
         "float negative_zero(float v) { return v + 0.0f; }"),
        ("reciprocal", "float reciprocal(float v) { return v / 3; }",
         "float reciprocal(float v) { return v * (1.0f / 3); }"),
        ("not_a_number", "int not_a_number(double v) { return v < 1 ? 0 : 1; }",
         "int not_a_number(double v) { return v >= 1 ? 1 : 0; }"),
        ("associated", "double associated(double a, double b, double c) { return a + b + c; }",
         "double associated(double a, double b, double c) { return a + (b + c); }"),
        ("rounded", "float rounded(int32_t v) { return v; }",
         "float rounded(int32_t v) { return (float)(v & ~1); }"),
        # --- tables and texts
        ("days", "static const uint8_t table[] = {31,28,31,30,31,30,31,31,30,31,30,31};\n"
         "int days(uint8_t m) { return table[m % 12]; }",
         "static const uint8_t table[] = {31,28,31,30,31,30,31,31,30,31,31,31};\n"
         "int days(uint8_t m) { return table[m % 12]; }"),
        ("word", 'const char *word(bool v) { return v ? "yes" : "no"; }',
         'const char *word(bool v) { return v ? "yes" : "no "; }'),
        ("other", "enum colour other(enum colour c) { return c == RED ? BLUE : RED; }",
         "enum colour other(enum colour c) { return c == BLUE ? RED : BLUE; }"),
        # --- buffers
        ("sum", "uint32_t sum(const uint8_t *p, size_t n)\n"
         "{ uint32_t s = 0; for (size_t i = 0; i < n; i++) s += p[i]; return s; }",
         "uint32_t sum(const uint8_t *p, size_t n)\n"
         "{ uint8_t s = 0; for (size_t i = 0; i < n; i++) s += p[i]; return s; }"),
        ("first", "int first(const uint8_t *p, size_t n)\n"
         "{ for (size_t i = 0; i < n; i++) if (p[i] == 7) return (int)i; return -1; }",
         "int first(const uint8_t *p, size_t n)\n"
         "{ int r = -1; for (size_t i = 0; i < n; i++) if (p[i] == 7) r = (int)i; return r; }"),
        ("filled", "void filled(uint8_t *p, size_t n) { memset(p, 255, n); }",
         "void filled(uint8_t *p, size_t n) { for (size_t i = 1; i < n; i++) p[i] = 255; if (n > 2) p[0] = 255; }"),
        ("upper", "void upper(char *s) { for (; *s; s++) if (*s >= 'a' && *s <= 'z') *s -= 32; }",
         "void upper(char *s) { for (; *s; s++) if (*s >= 'a' && *s <= 'z') *s &= 95; else *s &= 127; }"),
        ("sorted", "bool sorted(const int32_t *p, size_t n)\n"
         "{ for (size_t i = 1; i < n; i++) if (p[i - 1] > p[i]) return false; return true; }",
         "bool sorted(const int32_t *p, size_t n)\n"
         "{ for (size_t i = 1; i < n; i++) if (p[i - 1] >= p[i]) return false; return true; }"),
        # --- state
        ("clock_tick", "static uint8_t hour;\nuint8_t clock_tick(void) { hour = (hour + 1) % 24; return hour; }",
         "static uint8_t hour;\nuint8_t clock_tick(void) { if (hour++ == 24) hour = 0; return hour; }"),
        ("late", "static uint16_t calls;\nbool late(void) { return ++calls == 50000; }",
         "static uint16_t calls;\nbool late(void) { ++calls; return false; }"),
        ("start", "static uint8_t from = 5;\nuint8_t start(void) { return from++; }",
         "static uint8_t from = 6;\nuint8_t start(void) { return from++; }"),
        ("kept", "static uint32_t last;\nuint32_t kept(uint32_t v) { uint32_t r = last; last = v; return r; }",
         "static uint32_t last;\nuint32_t kept(uint32_t v) { uint32_t r = last; last = v & ~1u; return r; }"),
        ("printed", 'int printed(int v) { return printf("%d\\n", v) > 0; }',
         'int printed(int v) { return printf("%d \\n", v) > 0; }'),
        ("stored", "static int *cell;\nint stored(int v) { if (!cell) cell = malloc(4); *cell = v; return *cell; }",
         "static int *cell;\nint stored(int v) { if (!cell) cell = malloc(4); *cell = v ^ 1; return *cell; }"),
    )
}  # fmt: skip


def source(cases: dict[str, tuple[str, str]], side: int) -> str:
    """A library of one version of each: 0 is the one before."""
    return SHARED + "\n".join(pair[side] for pair in cases.values()) + "\n"
