package ops

// Formula is an element-wise function of its operands, of one shape, that is given as a
// formula: of Method, with its two parameters. If there is a Path, it is a gradient: of
// what Path without its last element stands for, by the operand that this counts ('0' is
// the first one), multiplied by one more operand, the gradient of that's result.
type Formula struct {
	Method string
	P, Q   float64
	Path   string
}

// Name returns the operation's name.
func (o Formula) Name() string {
	if o.Path != "" {
		return o.Method + "Grad"
	}
	return o.Method
}

// Gradient returns the gradient by operand i.
func (o Formula) Gradient(i int) Formula {
	o.Path += string(rune('0' + i))
	return o
}
