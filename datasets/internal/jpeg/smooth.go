package jpeg

// lowest is how many coefficients libjpeg guesses, with the DC coefficient.
const lowest = 10

// smooths says whether libjpeg guesses: the file of a progressive image ends
// before all bits of the lowest coefficients of each component are told.
func (d *Decoder) smooths() bool {
	some := false
	for i := range d.comps {
		c := &d.comps[i]
		if !d.progressive || !c.latched || c.bits[0] < 0 {
			return false
		}
		for k, bits := range c.bits {
			if c.quant[zigzag[k]] == 0 {
				return false
			}
			some = some || k > 0 && bits != 0
		}
	}
	return some
}

// smooth guesses what the block's lowest coefficients are that are not known from
// the DC coefficients of the 5×5 blocks round it, as libjpeg's
// decompress_smooth_data does.
func (d *Decoder) smooth(c *component, x, y int, b *[64]int16) {
	last := up(d.Height, 8*d.vmax) - 1
	step, row := y/c.v, y%c.v
	bits := &c.bits
	if step > d.good {
		bits = &c.before // the last scan was damaged here
	}
	// Rows count as if all steps had as many as this one.
	rows := c.v
	if step == last {
		rows = up(c.height, 8) - last*c.v
	}
	at, end := step*rows+row, rows*(last+1)-1
	ys := [5]int{y, y, y, y, y}
	if at > 0 {
		ys[0], ys[1] = y-1, y-1
	}
	if at > 1 {
		ys[0] = y - 2
	}
	if at < end {
		ys[3], ys[4] = y+1, y+1
	}
	if at < end-1 {
		ys[4] = y + 2
	}
	var dc [25]int64
	right := up(c.width, 8) - 1
	for j, y := range ys {
		for i := range 5 {
			dc[5*j+i] = int64(c.kept(min(max(x+i-2, 0), right), y)[0])
		}
	}
	guesses := &withAC
	if *bits == ([lowest]int8{bits[0], -1, -1, -1, -1, -1, -1, -1, -1, -1}) {
		guesses = &withoutAC
	}
	for k := range guesses {
		z := zigzag[k]
		if k > 0 && (bits[k] == 0 || b[z] != 0) || guesses[k] == ([25]int16{}) {
			continue
		}
		sum := int64(0)
		for i, f := range guesses[k] {
			sum += int64(f) * dc[i]
		}
		sum *= int64(c.quant[0])
		q := int64(c.quant[z])
		v := int32((q<<7 + max(sum, -sum)) / (q << 8))
		if k > 0 && bits[k] > 0 {
			v = min(v, 1<<bits[k]-1) // the lower bits alone
		}
		if sum < 0 {
			v = -v
		}
		b[z] = int16(v)
	}
}

// withoutAC are the factors, of 256, where nothing but the DC coefficients is
// known, for each of the lowest coefficients in zigzag order: something like a
// Gaussian.
var withoutAC = [lowest][25]int16{
	{-2, -6, -8, -6, -2, -6, 6, 42, 6, -6, -8, 42, 152, 42, -8, -6, 6, 42, 6, -6, -2, -6, -8, -6, -2},
	{-1, -1, 0, 1, 1, -3, 13, 0, -13, 3, -3, 38, 0, -38, 3, -3, 13, 0, -13, 3, -1, -1, 0, 1, 1},
	{-1, -3, -3, -3, -1, -1, 13, 38, 13, -1, 0, 0, 0, 0, 0, 1, -13, -38, -13, 1, 1, 3, 3, 3, 1},
	{0, 0, 1, 0, 0, 0, 2, 7, 2, 0, 0, -5, -14, -5, 0, 0, 2, 7, 2, 0, 0, 0, 1, 0, 0},
	{-1, 0, 0, 0, 1, 0, 9, 0, -9, 0, 0, 0, 0, 0, 0, 0, -9, 0, 9, 0, 1, 0, 0, 0, -1},
	{0, 0, 0, 0, 0, 0, 2, -5, 2, 0, 1, 7, -14, 7, 1, 0, 2, -5, 2, 0, 0, 0, 0, 0, 0},
	{0, 0, 0, 0, 0, 0, 1, 0, -1, 0, 0, 2, 0, -2, 0, 0, 1, 0, -1, 0, 0, 0, 0, 0, 0},
	{0, 0, 0, 0, 0, 0, 1, -3, 1, 0, 0, 0, 0, 0, 0, 0, -1, 3, -1, 0, 0, 0, 0, 0, 0},
	{0, 0, 0, 0, 0, 0, 1, 0, -1, 0, 0, -3, 0, 3, 0, 0, 1, 0, -1, 0, 0, 0, 0, 0, 0},
	{0, 0, 0, 0, 0, 0, 1, 2, 1, 0, 0, 0, 0, 0, 0, 0, -1, -2, -1, 0, 0, 0, 0, 0, 0},
}

// withAC are the factors where more is known: those of the standard's section
// K.8, for 5×5 blocks. The DC coefficient and the highest stay as they are.
var withAC = [lowest][25]int16{
	1: {10: -7, 11: 50, 13: -50, 14: 7},
	2: {2: -7, 7: 50, 17: -50, 22: 7},
	3: {2: -1, 7: 13, 12: -24, 17: 13, 22: -1},
	4: {0, -1, 0, 1, 0, -1, 10, 0, -10, 1, 0, 0, 0, 0, 0, 1, -10, 0, 10, -1, 0, 1, 0, -1, 0},
	5: {10: -1, 11: 13, 12: -24, 13: 13, 14: -1},
}
