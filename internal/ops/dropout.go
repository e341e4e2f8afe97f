package ops

// Dropout sets elements to 0 with probability P and scales the others.
type Dropout struct{ P float64 }

// Name returns the operation's name.
func (Dropout) Name() string { return "Dropout" }
