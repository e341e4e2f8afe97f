package cpu

import (
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// tileGather is how tiles are read: blocks of eight pixels are staged, each pixel
// with all its lanes, from row 8 on; row 0 of what is staged is zeros. Then tiles are
// transformed whose records say where their pixels lie.
type tileGather struct {
	blocks []int
	tiles  []int
	end    int // of what blocks read
	width  int // of a row that is staged
}

func (g *tileGather) reset(width int) {
	g.blocks, g.tiles, g.end, g.width = g.blocks[:0], g.tiles[:0], 0, width
}

// grid is how tiles lie in maps of h×w pixels: each of tileH×tileW, stepH and
// stepW apart from (-padH, -padW) on.
type grid struct {
	h, w         int
	tileH, tileW int
	stepH, stepW int
	padH, padW   int
}

// inputGrid is how the tiles of the input lie.
func (wi *winograd) inputGrid() grid {
	s := wi.scheme
	return grid{wi.h, wi.w, s.InH, s.InW, s.OutH, s.OutW, wi.padH - s.Skip, wi.padW - s.Skip}
}

// outputGrid is how the tiles of the output lie.
func (wi *winograd) outputGrid() grid {
	s := wi.scheme
	return grid{wi.p, wi.q, s.OutH, s.OutW, s.OutH, s.OutW, 0, 0}
}

// add adds a unit's tiles of the map that begins at src. The results of tile i
// begin at place(i).
func (g *tileGather) add(src int, m grid, u *columns, place func(i int) int) {
	fromH, toH := max(u.ty*m.stepH-m.padH, 0), min((u.toY-1)*m.stepH-m.padH+m.tileH, m.h)
	fromW, toW := max(u.tx*m.stepW-m.padW, 0), min((u.toX-1)*m.stepW-m.padW+m.tileW, m.w)
	first, pitch := 8+8*len(g.blocks), 0 // the row of pixel (fromH, fromW), and from there to the next row of pixels
	switch {
	case fromH >= toH || fromW >= toW:
	case fromW == 0 && toW == m.w:
		pitch = m.w
		for i := fromH * m.w; i < toH*m.w; i += 8 {
			g.blocks = append(g.blocks, src+i)
		}
	default:
		pitch = kernels.Ceil(toW-fromW, 8) * 8
		for r := fromH; r < toH; r++ {
			for i := fromW; i < toW; i += 8 {
				g.blocks = append(g.blocks, src+r*m.w+i)
			}
		}
	}
	if len(g.blocks) > 0 {
		g.end = max(g.end, g.blocks[len(g.blocks)-1]+8)
	}
	i := 0
	for y := u.ty; y < u.toY; y++ {
		for x := u.tx; x < u.toX; x++ {
			g.tiles = append(g.tiles, place(i))
			i++
			for r := y*m.stepH - m.padH; r < y*m.stepH-m.padH+m.tileH; r++ {
				for s := x*m.stepW - m.padW; s < x*m.stepW-m.padW+m.tileW; s++ {
					at := 0
					if r >= fromH && r < toH && s >= fromW && s < toW {
						at = (first + (r-fromH)*pitch + s - fromW) * g.width
					}
					g.tiles = append(g.tiles, at)
				}
			}
		}
	}
}

// stage fills dst with g.width lanes, of which there exist, each from one element of
// src to the next stride away. What it will be asked for next lies ahead elements farther, if ahead is not 0.
func (g *tileGather) stage(kn *kernels.Gemm[float32], dst []float32, src kernels.Floats, there, stride, ahead int) {
	clear(dst[:g.width])
	dst = dst[8*g.width:]
	if (there-1)*stride+g.end > src.Len() { // the last block reaches over the end
		for b, block := range g.blocks {
			for i := range 8 {
				row := dst[(8*b+i)*g.width:][:g.width]
				for l := range row {
					if at := min(l, there-1)*stride + block + i; at < src.Len() {
						row[l] = src.At(at)
					}
				}
			}
		}
		return
	}
	var lanes [8]int
	for first := (g.width - 1) / 8 * 8; first >= 0; first -= 8 { // a group that the width cuts off writes over the next row, so it comes first
		for l := range lanes {
			lanes[l] = min(first+l, there-1) * stride
		}
		kn.Winograd.Transpose(dst[first:], g.width, src, &lanes, g.blocks)
		if ahead > 0 && kn.Winograd.Touch != nil {
			kn.Winograd.Touch(src.From(ahead), &lanes, g.blocks)
		}
	}
}
