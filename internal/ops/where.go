package ops

// Where chooses from the second operand where the first is true, and from the third
// elsewhere.
type Where struct{}

// Name returns the operation's name.
func (Where) Name() string { return "Where" }

// MaskedFill puts Value where the first operand is true, and the second elsewhere.
type MaskedFill struct{ Value float64 }

// Name returns the operation's name.
func (MaskedFill) Name() string { return "MaskedFill" }
