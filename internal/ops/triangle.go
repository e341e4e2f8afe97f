package ops

// Triangle keeps the elements of matrices on and above Diagonal, if Upper, or on and
// below it.
type Triangle struct {
	Diagonal int
	Upper    bool
}

// Name returns the operation's name.
func (o Triangle) Name() string {
	if o.Upper {
		return "Triu"
	}
	return "Tril"
}
