package ops

// Cat joins the operands along Dim. Method is "Cat", or "Stack", whose operands have
// that dimension with size 1.
type Cat struct {
	Method string
	Dim    int
}

// Name returns the operation's name.
func (o Cat) Name() string { return o.Method }
