package kernels

// Strip is some columns of a plane, one or two registers of them, and the plane
// that 3×3 taps read for them. Assembly knows the order of the fields.
type Strip struct {
	Rows           int // of dst
	dstRow, srcRow int // from one row to the next
	height         int // src's rows
	Top, left      int // the row and the column, perhaps outside of src, that the first tap reads for dst's first element
	add            int // 1 to add to dst
	// masks of lanes: what each register (of two) loads for each column of taps, less what no column of dst needs;
	// and, last, the columns in dst's last register.
	masks [7]int

	wide bool // two registers
	Col  int  // the first column of dst
	Row  int  // the first row of dst, which is 0 but for gradients of weights
}

// stripRegister is the elements of a register that strips know.
const stripRegister = 16

// Strips cuts the p×q pixels that are convolved from h×w with a border of pad. add is that of all strips.
func Strips(h, w, p, q, padH, padW, add int) []Strip {
	var all []Strip
	for col := 0; col < q; {
		s := Strip{Rows: p, dstRow: q, srcRow: w, height: h, Top: -padH, left: col - padW, add: add, wide: q-col > stripRegister, Col: col}
		registers := 1
		if s.wide {
			registers = 2
		}
		for i := range registers {
			for lane := range stripRegister {
				at := i*stripRegister + lane
				if col+at >= q {
					break
				}
				for tap := range 3 {
					if from := s.left + at + tap; from >= 0 && from < w {
						s.masks[3*i+tap] |= 1 << lane
					}
				}
				if i == registers-1 {
					s.masks[6] |= 1 << lane
				}
			}
		}
		all = append(all, s)
		col += registers * stripRegister
	}
	return all
}
