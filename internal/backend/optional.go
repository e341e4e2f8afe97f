package backend

// What only some backends do faster at once than by the methods that all have is an
// interface of its own, which a Backend may have besides. Package tensor asks for it,
// as io.Copy asks for io.WriterTo, and composes those methods where it is absent;
// backendtest compares the two.

// AffineRowNorm is for backends that normalize a row and go on with it while it is in a
// cache.
type AffineRowNorm interface {
	// AffineRowNorm is RowNorm, which writes y, mean and invstd, followed by dst = y·w + b, with an element of w and of b for
	// each of a row. The bits are those of RowNorm and two calls of Binary. y may be absent where nobody needs it, and w or b.
	// Where x has half precision, dst has x's type, into which it is rounded once, and everything else is Float32.
	AffineRowNorm(dst, y, mean, invstd, x, w, b Array, rows, n int, eps float64)
}
