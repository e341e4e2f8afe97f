// Pictures held as bytes become a batch of numbers.
#include "common.cuh"

// Where a picture's window lies, and whether it is mirrored.
struct Move { i64 top, left, vertical, horizontal; };

// A line of the result: the picture's line, or none of it (W is 0), which position of it comes first, and what bytes become.
struct Line {
	const u8 *from;
	const float *value;
	unsigned long long x, step, W;
};

__device__ inline Line line_of(const u8 *pictures, const Move *moves, const float *values, i64 C, i64 H, i64 W, i64 P, i64 Q, i64 row) {
	i64 plane = quotient(row, P), picture = quotient(plane, C);
	Move m = moves[picture];
	// Unsigned, so that what is negative is too large, and sums may run over.
	unsigned long long y = row - plane * P;
	if (m.vertical) y = P - 1 - y;
	y += (unsigned long long)m.top;
	Line l;
	l.W = y < (unsigned long long)H ? W : 0;
	l.from = pictures + (l.W ? (plane * H + (i64)y) * W : 0);
	l.value = values + 256 * (plane - picture * C);
	l.x = (unsigned long long)m.left + (m.horizontal ? Q - 1 : 0);
	l.step = m.horizontal ? ~0ull : 1;
	return l;
}

struct alignas(16) Four { float v[4]; };

// A thread makes four numbers, one behind the other, of all that there are; n is the number of fours.
extern "C" __global__ void crop_mirror_normalize(float *__restrict__ dst, const u8 *__restrict__ pictures, const Move *__restrict__ moves, const float *__restrict__ values,
		i64 C, i64 H, i64 W, i64 P, i64 Q, i64 aligned, i64 all, i64 n) {
	EACH(i, n) {
		i64 row = quotient(4 * i, Q), at = 4 * i - row * Q, end = all - 4 * i;
		Line l = line_of(pictures, moves, values, C, H, W, P, Q, row);
		l.x += l.step * (unsigned long long)at;
		// First all bytes, so that their loads are on the way at once, then what they become.
		u8 byte[4] = {};
		const float *value[4];
		for (int k = 0; k < 4; k++) {
			if (k < end && at == Q) {
				l = line_of(pictures, moves, values, C, H, W, P, Q, ++row);
				at = 0;
			}
			if (k < end && l.x < l.W) byte[k] = l.from[l.x];
			value[k] = l.value;
			l.x += l.step;
			at++;
		}
		Four r;
		for (int k = 0; k < 4; k++) r.v[k] = value[k][byte[k]];
		if (aligned && end >= 4) *(Four *)(dst + 4 * i) = r;
		else for (int k = 0; k < 4 && k < end; k++) dst[4 * i + k] = r.v[k];
	}
}
