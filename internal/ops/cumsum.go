package ops

// Cumsum adds up along Dim, from the end if Reverse.
type Cumsum struct {
	Dim     int
	Reverse bool
}

// Name returns the operation's name.
func (Cumsum) Name() string { return "Cumsum" }
