package kernels

// SumRow keeps four sums, so that an addition need not wait for the one before.
func SumRow[T, A Number](acc A, x []T) A {
	var a, b, c, d A
	for len(x) >= 4 {
		a += A(x[0])
		b += A(x[1])
		c += A(x[2])
		d += A(x[3])
		x = x[4:]
	}
	for _, v := range x {
		a += A(v)
	}
	return acc + ((a + b) + (c + d))
}

func SumColumns[T, A Number](acc []A, x []T) {
	x = x[:len(acc)]
	for i := range acc {
		acc[i] += A(x[i])
	}
}

func SquareRow[T, A Number](acc A, x []T) A {
	var a, b, c, d A
	for len(x) >= 4 {
		a += A(x[0]) * A(x[0])
		b += A(x[1]) * A(x[1])
		c += A(x[2]) * A(x[2])
		d += A(x[3]) * A(x[3])
		x = x[4:]
	}
	for _, v := range x {
		a += A(v) * A(v)
	}
	return acc + ((a + b) + (c + d))
}

func Greater[T Number](a, b T) T {
	if b > a || b != b {
		return b
	}
	return a
}

func MaxRow[T Number](acc T, x []T) T {
	for _, v := range x {
		if v > acc || v != v {
			acc = v
		}
	}
	return acc
}
