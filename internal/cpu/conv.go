package cpu

import (
	"math"
	"slices"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// Convolutions are matrix products over pixels, unfolded ("im2col") a panel at a
// time while the panels are packed; the columns run over all images of the batch,
// so that small maps make long rows too:
//
//	result       w[k, (c,r,s)]     · x[(c,r,s), (n,p,q)]
//	input grad   wᵀ[c, (k,r,s)]    · dy[(k,r,s), (n,h,w)], for each residue of (h, w) modulo the strides
//	weight grad  dy[k, (n,p,q)]    · x[(n,p,q), (c,r,s)]
//
// Those of 3×3 taps, stride 1 and enough channels take Winograd's algorithm
// instead, in winograd.go; depthwise ones need no products, see depthwise.go, nor
// do those of 3×3 taps and few channels, see planes.go. Convolutions over three
// dimensions are made of those over two, in depth.go. Which of them serves a
// convolution is told in one place, choose.go.

// convGeom is the geometry of a convolution over two dimensions: input N×C×H×W,
// weight K×(C/Groups)×R×S, output N×K×P×Q.
type convGeom struct {
	N, C, H, W           int
	K, R, S              int
	P, Q                 int
	StrideH, StrideW     int
	PadH, PadW           int
	DilationH, DilationW int
	Groups               int
	ReLU                 bool
}

// planeOf is what lies in one plane of a convolution.
func planeOf(g backend.ConvGeom) convGeom {
	return convGeom{
		N: g.N, C: g.C, H: g.In[1], W: g.In[2], K: g.K, R: g.Kernel[1], S: g.Kernel[2], P: g.Out[1], Q: g.Out[2],
		StrideH: g.Stride[1], StrideW: g.Stride[2], PadH: g.Pad[1], PadW: g.Pad[2], DilationH: g.Dilation[1], DilationW: g.Dilation[2],
		Groups: g.Groups, ReLU: g.ReLU,
	}
}

// Conv convolves.
func (be *Backend) Conv(dst, x, w, scale, bias backend.Array, g backend.ConvGeom) {
	if flat, ok := g.Flat(); ok {
		be.conv(dst, x, w, scale, bias, planeOf(flat))
	} else {
		be.convDeep(dst, x, w, scale, bias, g)
	}
}

// ConvInputGrad computes the gradient of the input.
func (be *Backend) ConvInputGrad(dx, dy, w backend.Array, g backend.ConvGeom) {
	if flat, ok := g.Flat(); ok {
		be.convInputGrad(dx, dy, w, planeOf(flat))
	} else {
		be.convInputGradDeep(dx, dy, w, g)
	}
}

// ConvWeightGrad computes the gradient of the weight.
func (be *Backend) ConvWeightGrad(dw, dy, x backend.Array, g backend.ConvGeom) {
	if flat, ok := g.Flat(); ok {
		be.convWeightGrad(dw, dy, x, planeOf(flat))
	} else {
		be.convWeightGradDeep(dw, dy, x, g)
	}
}

// conv convolves over two dimensions.
func (be *Backend) conv(dst, x, w, scale, bias backend.Array, g convGeom) {
	if x.Len == 0 || w.Len == 0 || dst.Len == 0 {
		be.sumsOfNothing(dst, bias, g.N, g.K, g.ReLU)
		return
	}
	be.choose(g, forward, typesOf(dst, x, w, scale, bias)).forward(dst, x, w, scale, bias)
}

// convInputGrad is ConvInputGrad over two dimensions.
func (be *Backend) convInputGrad(dx, dy, w backend.Array, g convGeom) {
	if dx.Len == 0 || dy.Len == 0 || w.Len == 0 {
		be.Fill(dx, 0)
		return
	}
	be.choose(g, inputGrad, typesOf(dx, dy, w)).inputGrad(dx, dy, w)
}

// convWeightGrad is ConvWeightGrad over two dimensions.
func (be *Backend) convWeightGrad(dw, dy, x backend.Array, g convGeom) {
	if dw.Len == 0 || dy.Len == 0 || x.Len == 0 {
		be.Fill(dw, 0)
		return
	}
	be.choose(g, weightGrad, typesOf(dw, dy, x)).weightGrad(dw, dy, x)
}

// sumsOfNothing writes what a convolution of n images into k channels gives without products: each channel's bias.
func (be *Backend) sumsOfNothing(dst, bias backend.Array, n, k int, relu bool) {
	if dst.Len == 0 {
		return
	}
	be.Fill(dst, 0)
	if !bias.None() {
		b := backend.Array{Buffer: be.NewBuffer(dst.DType(), k), Len: k}
		defer be.Free(b.Buffer)
		be.Copy(b, bias)
		be.Strided(dst, b, backend.StridedGeom{Shape: []int{n, k, dst.Len / (n * k)}, Strides: []int{0, 1, 0}})
	}
	if relu {
		be.Unary(dst, dst, backend.ReLU, backend.UnaryParams{})
	}
}

// productConv is the matrix product over unfolded images, which serves every shape.
type productConv[T kernels.Float] struct {
	be *Backend
	g  convGeom
}

func (c *productConv[T]) name() string {
	if any(T(0)) == any(float32(0)) && kernelOf[float32](c.be.precision).SplitGemm != nil {
		return "product bf16"
	}
	return "product"
}

func (c *productConv[T]) forward(dst, x, w, scale, bias backend.Array) {
	conv2d[T](c.be, dst, x, w, scale, bias, c.g)
}

func (c *productConv[T]) inputGrad(dx, dy, w backend.Array) {
	conv2dInputGrad[T](c.be, dx, dy, w, c.g)
}

func (c *productConv[T]) weightGrad(dw, dy, x backend.Array) {
	conv2dWeightGrad[T](c.be, dw, dy, x, c.g)
}

func conv2d[T kernels.Float](be *Backend, dst, x, w, scale, bias backend.Array, g convGeom) {
	y, in, weight, s, b := data[T](dst), data[T](x), data[T](w), data[T](scale), data[T](bias)
	c, k := g.C/g.Groups, g.K/g.Groups
	im := image[T]{lanes: true, images: g.N, channels: c, stride: g.C * g.H * g.W, h: g.H, w: g.W,
		p: g.P, q: g.Q, strideH: g.StrideH, strideW: g.StrideW, taps: forwardTaps(g)}
	im.init()
	depth := c * g.R * g.S
	product(be, g.Groups, k, g.N*g.P*g.Q, depth, func(i int) (operand[T], operand[T], sink[T]) {
		s, b := s, b
		if s != nil {
			s = s[i*k : (i+1)*k]
		}
		if b != nil {
			b = b[i*k : (i+1)*k]
		}
		return &matrix[T]{data: weight[min(i*k*depth, len(weight)):], ld: depth, deep: true},
			im.from(in, i*c*g.H*g.W),
			&imageSink[T]{data: y[i*k*g.P*g.Q:], scale: s, bias: b, relu: g.ReLU, stride: g.K * g.P * g.Q, plane: g.P * g.Q,
				p: 1, q: g.P * g.Q, strideP: 0, strideQ: 1}
	})
}

// forwardTaps is where an output pixel reads the input, tap by tap.
func forwardTaps(g convGeom) []tap {
	taps := make([]tap, 0, g.R*g.S)
	for r := range g.R {
		for s := range g.S {
			taps = append(taps, tap{h: r*g.DilationH - g.PadH, w: s*g.DilationW - g.PadW})
		}
	}
	return taps
}

// conv2dInputGrad computes the pixels (h, w) of one residue modulo the strides
// at a time. Pixel h = a + i·stride gets what output pixel p = (h + pad -
// r·dilation)/stride sends through tap r, for those r where that is a whole number.
func conv2dInputGrad[T kernels.Float](be *Backend, dx, dy, w backend.Array, g convGeom) {
	in, out, weight := data[T](dx), data[T](dy), data[T](w)
	c, k := g.C/g.Groups, g.K/g.Groups
	alongH, alongW, all := residues(g)
	if !all {
		parallel(len(in), 4*grain, func(lo, hi int) { clear(in[lo:hi]) })
	}
	scratch(be, len(weight)+8, func(turned []T) { // whole eights are read at the end
		for _, ra := range alongH {
			for _, rb := range alongW {
				a, b := ra.at, rb.at
				var taps []tap
				var places []int // of the taps in the weight
				for _, r := range ra.taps {
					for _, s := range rb.taps {
						taps = append(taps, tap{h: (a + g.PadH - r*g.DilationH) / g.StrideH, w: (b + g.PadW - s*g.DilationW) / g.StrideW})
						places = append(places, r*g.S+s)
					}
				}
				depth := k * len(taps)
				matrices := weight // depth rows of input channels for each group
				if g.R*g.S > 1 {
					matrices = turned[:g.Groups*depth*c+8]
					turnWeight(kernelOf[T](be.precision), turned, weight, g.K, c, g.R*g.S, places)
				}
				p, q := (g.H-a+g.StrideH-1)/g.StrideH, (g.W-b+g.StrideW-1)/g.StrideW
				im := image[T]{lanes: true, images: g.N, channels: k, stride: g.K * g.P * g.Q, h: g.P, w: g.Q,
					p: p, q: q, strideH: 1, strideW: 1, taps: taps}
				im.init()
				at := imageSink[T]{stride: g.C * g.H * g.W, plane: g.H * g.W, p: p, q: q, strideP: g.StrideH * g.W, strideQ: g.StrideW}
				if g.StrideH == 1 && g.StrideW == 1 {
					at.p, at.q, at.strideP = 1, p*q, 0 // the grid is the whole plane
				}
				product(be, g.Groups, c, g.N*p*q, depth, func(i int) (operand[T], operand[T], sink[T]) {
					to := at
					to.data = in[i*c*g.H*g.W+a*g.W+b:]
					return &matrix[T]{data: matrices[min(i*depth*c, len(matrices)):], ld: c}, im.from(out, i*k*g.P*g.Q), &to
				})
			}
		}
	})
}

// residue is the rows, or columns, of an input from one on that lie a stride apart, and the taps through which they are read.
type residue struct {
	at   int
	taps []int
}

// residues returns the rows and columns that are read through a tap, and whether those are all.
func residues(g convGeom) (h, w []residue, all bool) {
	h, w = residuesOf(g.R, g.DilationH, g.PadH, g.StrideH, g.H), residuesOf(g.S, g.DilationW, g.PadW, g.StrideW, g.W)
	return h, w, len(h) == min(g.StrideH, g.H) && len(w) == min(g.StrideW, g.W)
}

// residuesOf is residues along a dimension of some size.
func residuesOf(taps, dilation, pad, stride, size int) (some []residue) {
	places := map[int]int{} // of a residue in some
	for t := range taps {
		at := ((t*dilation-pad)%stride + stride) % stride
		if at >= size {
			continue
		}
		i, ok := places[at]
		if !ok {
			i = len(some)
			places[at] = i
			some = append(some, residue{at: at})
		}
		some[i].taps = append(some[i].taps, t)
	}
	slices.SortFunc(some, func(a, b residue) int { return a.at - b.at })
	return some
}

// turnWeight writes, for each of k output channels, a row of c input channels for
// each of the taps that take part, by their places among all.
func turnWeight[T kernels.Float](kn *kernels.Gemm[T], dst, weight []T, k, c, taps int, places []int) {
	const block = 8
	parallel(k, grain/max(1, c*taps), func(lo, hi int) {
		var lanes [block]int
		first := []int{0}
		for i := lo; i < hi; i++ {
			from, to := plane(weight, i, c*taps), plane(dst, i, c*len(places))
			for t := 0; t < len(places); {
				count, whole := 1, 0
				if t+block <= len(places) && places[t+block-1] == places[t]+block-1 { // eight neighbours, of eight channels at a time
					count, whole = block, c/block*block
					for j := 0; j < whole; j += block {
						for l := range lanes {
							lanes[l] = (j+l)*taps + places[t]
						}
						kn.Transpose(to[t*c+j:], c, from, &lanes, first)
					}
				}
				for end := t + count; t < end; t++ {
					for j := whole; j < c; j++ {
						to[t*c+j] = from[j*taps+places[t]]
					}
				}
			}
		}
	})
}

func conv2dWeightGrad[T kernels.Float](be *Backend, dw, dy, x backend.Array, g convGeom) {
	weight, out, in := data[T](dw), data[T](dy), data[T](x)
	c, k := g.C/g.Groups, g.K/g.Groups
	im := image[T]{images: g.N, channels: c, stride: g.C * g.H * g.W, h: g.H, w: g.W,
		p: g.P, q: g.Q, strideH: g.StrideH, strideW: g.StrideW, taps: forwardTaps(g)}
	im.init()
	grad := image[T]{images: g.N, channels: k, stride: g.K * g.P * g.Q, h: g.P, w: g.Q,
		p: g.P, q: g.Q, strideH: 1, strideW: 1, taps: []tap{{}}}
	grad.init()
	n := c * g.R * g.S
	product(be, g.Groups, k, n, g.N*g.P*g.Q, func(i int) (operand[T], operand[T], sink[T]) {
		return grad.from(out, i*k*g.P*g.Q),
			im.from(in, i*c*g.H*g.W),
			&matrixSink[T]{data: weight[i*k*n:], ld: n}
	})
}

// tap is where a pixel (p, q) of a grid reads an image: row p·strideH + h,
// column q·strideW + w.
type tap struct{ h, w int }

// image is the unfolded image as an operand: one index of the matrix runs over
// the pixels (n, p, q) of a grid, the other over (channel, tap). The part of the
// image that a block of the matrix needs is first copied ("staged") with zeros
// around it, and with its columns sorted by their residue modulo strideW, so that
// the pixels of a row are contiguous for each tap.
type image[T kernels.Float] struct {
	data             []T
	lanes            bool // lanes run over pixels and depth over (channel, tap), else the other way round
	images, channels int
	stride           int // from one image to the next
	h, w             int // of the image
	p, q             int // of the grid
	strideH, strideW int
	taps             []tap

	bare       bool  // nothing needs staging: the grid is the image
	minH, maxH int   // over the taps
	minQ       int   // the first column of a residue that is staged, divided by strideW
	row        int   // the length of a staged row of one residue
	offsets    []int // of each tap in what is staged
}

// staged says what of an image lies in a workspace: pixels of a grid of images
// from image n and row p on.
type staged struct {
	n, p      int
	rows      int // of each image
	image     int // elements from one image to the next
	channel   int // elements from one channel to the next
	rowPixels int // elements from one row of the grid to the next
	c, toC    int // channels
}

// init readies what does not depend on the block.
func (im *image[T]) init() {
	if len(im.taps) == 1 && im.taps[0] == (tap{}) && im.strideH == 1 && im.strideW == 1 && im.p == im.h && im.q == im.w {
		// A 1×1 convolution does not care for rows.
		im.p, im.q, im.h, im.w = 1, im.p*im.q, 1, im.h*im.w
		im.bare = true
	}
	if len(im.taps) == 0 {
		return
	}
	floor := func(a, b int) int {
		if a < 0 {
			return -((b - 1 - a) / b)
		}
		return a / b
	}
	im.minH, im.maxH = im.taps[0].h, im.taps[0].h
	minQ, maxQ := floor(im.taps[0].w, im.strideW), floor(im.taps[0].w, im.strideW)
	for _, t := range im.taps {
		im.minH, im.maxH = min(im.minH, t.h), max(im.maxH, t.h)
		q := floor(t.w, im.strideW)
		minQ, maxQ = min(minQ, q), max(maxQ, q)
	}
	im.minQ, im.row = minQ, im.q+maxQ-minQ
	if im.strideW == 2 {
		im.row = (im.row + 7) / 8 * 8 // so that rows of both residues may be written in whole eights at once
	}
	for _, t := range im.taps {
		q := floor(t.w, im.strideW)
		im.offsets = append(im.offsets, ((t.h-im.minH)*im.strideW+t.w-q*im.strideW)*im.row+q-minQ)
	}
}

// from returns the image whose data begins at offset.
func (im *image[T]) from(data []T, offset int) *image[T] {
	c := *im
	c.data = data[min(offset, len(data)):]
	return &c
}

// view lays out the staging of the pixels [px, px+n).
func (im *image[T]) view(px, n int) staged {
	plane := im.p * im.q
	var s staged
	s.n = px / plane
	images, rows := (px+n-1)/plane-s.n+1, im.p
	if images == 1 {
		s.p = px % plane / im.q
		rows = (px+n-1)%plane/im.q - s.p + 1
	}
	s.rows = area(rows-1, im.strideH) + im.maxH - im.minH + 1
	s.rowPixels = im.strideH * im.strideW * im.row
	s.image = area(s.rows, im.strideW, im.row)
	s.channel = area(images, s.image)
	return s
}

// area returns the product of sizes, or a number larger than that of any array.
func area(sizes ...int) int {
	const most = math.MaxInt / 2
	n := 1
	for _, s := range sizes {
		if s > 0 && n > most/s {
			return most
		}
		n *= s
	}
	return n
}

// direct returns what the pixels [px, px+n) read, of channels below toC, where it lies in memory: s tells where. It
// returns nil if it must be staged, because there are several taps or because whole pieces of eight would reach
// behind the end.
func (im *image[T]) direct(s *staged, px, n, toC int) []T {
	last := px + n - 1
	if !im.bare || last/im.q*im.stride+(toC-1)*im.q+last%im.q+8 > len(im.data) {
		return nil
	}
	*s = staged{n: px / im.q, image: im.stride, channel: im.q, toC: im.channels}
	return im.data[s.n*im.stride:]
}

// stage copies the channels [c, toC) into the workspace, or as many of them as
// fit. It returns false if not even least channels fit.
func (im *image[T]) stage(kn *kernels.Gemm[T], ws *workspace[T], s *staged, c, toC, least int) bool {
	fit := (imageSize - spill) / s.channel
	if fit < least {
		return false
	}
	s.c, s.toC = c, min(toC, c+fit)
	// Everything is zero first; then come the rows that the image has. What they write too much are zeros.
	clear(ws.image[:(s.toC-c)*s.channel])
	top := s.p*im.strideH + im.minH // the image's row that is staged first
	first, last := max(top, 0), min(top+s.rows, im.h)
	if first >= last {
		return true
	}
	images := s.channel / s.image
	dst, src := ws.image[(first-top)*im.strideW*im.row:], im.data[s.n*im.stride+first*im.w:]
	if im.strideW <= 2 {
		shift, row := im.strideW*im.minQ, im.strideW*im.row
		ws.stage = kernels.StageGeom{Images: images, Rows: last - first, DstImage: s.image, SrcImage: im.stride, DstRow: row, SrcRow: im.w,
			Blocks: (im.row + 7) / 8, Shift: shift, From: max(-shift, 0), To: min(im.w-shift, row)}
		if im.strideW == 2 {
			ws.stage.Odd = im.row
		}
		for ; c < s.toC; c++ {
			kn.Stage(dst[(c-s.c)*s.channel:], src[c*im.h*im.w:], &ws.stage)
		}
		return true
	}
	for ; c < s.toC; c++ {
		for n := range images {
			for h := range last - first {
				im.stageRow(dst[(c-s.c)*s.channel+n*s.image+h*im.strideW*im.row:], src[n*im.stride+(c*im.h+h)*im.w:][:im.w])
			}
		}
	}
	return true
}

// stageRow copies one row of the image, one residue of the columns modulo
// strideW after the other.
func (im *image[T]) stageRow(dst, src []T) {
	for residue := range im.strideW {
		row := dst[residue*im.row : (residue+1)*im.row]
		at := im.minQ*im.strideW + residue
		if at < 0 {
			skip := min((im.strideW-1-at)/im.strideW, len(row))
			row, at = row[skip:], at+skip*im.strideW
		}
		for i := range min(len(row), max(0, (len(src)-at+im.strideW-1)/im.strideW)) {
			row[i] = src[at]
			at += im.strideW
		}
	}
}

// pieces cuts the pixels [px, px+n) into pieces of eight or less that are
// contiguous in what is staged.
func (im *image[T]) pieces(dst []kernels.Piece, s *staged, px, n int) []kernels.Piece {
	plane := im.p * im.q
	img, p, q := px/plane-s.n, px%plane/im.q-s.p, px%im.q
	for i := 0; i < n; {
		run := min(im.q-q, n-i)
		at := img*s.image + p*s.rowPixels + q
		for j := 0; j < run; j += 8 {
			dst = append(dst, kernels.Piece{Dst: i + j, Src: at + j})
		}
		i += run
		q = 0
		if p++; p == im.p-s.p {
			p = 0
			img++
		}
	}
	return dst
}

// even makes the number of pieces even: to copy the last one twice does no harm.
func even(pieces []kernels.Piece) []kernels.Piece {
	if len(pieces)%2 != 0 {
		pieces = append(pieces, pieces[len(pieces)-1])
	}
	return pieces
}

func (im *image[T]) pack(kn *kernels.Gemm[T], ws *workspace[T], dst []T, widths []int, lane, lanes, k0, k int) {
	if im.lanes {
		im.packPixels(kn, ws, dst, widths, lane, lanes, k0, k)
	} else {
		im.packTaps(kn, ws, dst, widths, lane, lanes, k0, k)
	}
}

// packPixels packs panels whose lanes are pixels.
func (im *image[T]) packPixels(kn *kernels.Gemm[T], ws *workspace[T], dst []T, widths []int, px, pixels, k0, k int) {
	taps := len(im.taps)
	s := im.view(px, pixels)
	src := im.direct(&s, px, pixels, k0+k)
	for k1 := k0; k1 < k0+k; {
		if src == nil && !im.stage(kn, ws, &s, k1/taps, (k0+k-1)/taps+1, 1) {
			im.packSlowly(dst, widths, px, pixels, k0, k)
			return
		}
		n := min(k0+k, s.toC*taps) - k1
		offsets := ws.offsets[:n]
		c, t := k1/taps-s.c, k1%taps
		for i := range offsets {
			offsets[i] = c*s.channel + im.offsets[t]
			if t++; t == taps {
				t = 0
				c++
			}
		}
		from := src
		if from == nil {
			from = ws.image[:]
		}
		done, panel := 0, dst
		for _, w := range widths {
			there := min(w, pixels-done)
			pieces := im.pieces(ws.pieces[:0], &s, px+done, there)
			for i := there; i < w; i += 8 {
				pieces = append(pieces, kernels.Piece{Dst: i, Src: pieces[0].Src})
			}
			pieces = even(pieces)
			kn.Copy(panel[(k1-k0)*w:], w, from, offsets, pieces)
			panel = panel[panelSize(w, k):]
			done += there
		}
		k1 += n
	}
}

// packTaps packs panels whose lanes are (channel, tap).
func (im *image[T]) packTaps(kn *kernels.Gemm[T], ws *workspace[T], dst []T, widths []int, lane, lanes, px, pixels int) {
	taps := len(im.taps)
	s := im.view(px, pixels)
	src := im.direct(&s, px, pixels, lane+lanes)
	if src == nil {
		src = ws.image[:]
	}
	// Rows of whole blocks of eight are transposed where they are staged, others put together first.
	blocks := ws.steps[:(pixels+7)/8]
	pieces := im.pieces(ws.pieces[:0], &s, px, pixels)
	direct := im.q%8 == 0 && px%8 == 0
	if direct {
		blocks = ws.blocks[:len(pieces)]
		for i, p := range pieces {
			blocks[i] = p.Src
		}
	}
	done := 0
	for i, w := range widths {
		there := min(w, lanes-done)
		first, last := (lane+done)/taps, (lane+done+there-1)/taps
		if last >= s.toC && !im.stage(kn, ws, &s, first, (lane+lanes-1)/taps+1, last-first+1) {
			// This panel's channels do not fit, which those before it did.
			im.packSlowly(dst, widths[i:], lane+done, lanes-done, px, pixels)
			return
		}
		offsets := ws.offsets[:there]
		c, t := first-s.c, (lane+done)%taps
		for i := range offsets {
			offsets[i] = c*s.channel + im.offsets[t]
			if t++; t == taps {
				t = 0
				c++
			}
		}
		if direct {
			ws.transpose(kn, dst, w, there, src, func(l int) int { return offsets[l] }, blocks)
		} else {
			kn.Copy(ws.rows[:], kernels.GemmRowDepth, src, offsets, even(pieces))
			ws.transpose(kn, dst, w, there, ws.rows[:], func(l int) int { return l * kernels.GemmRowDepth }, blocks)
		}
		dst = dst[panelSize(w, pixels):]
		done += there
	}
}

// packSlowly packs panels of an image whose rows are too long to stage.
func (im *image[T]) packSlowly(dst []T, widths []int, lane, lanes, k0, k int) {
	done := 0
	for _, w := range widths {
		for i := range k {
			row := dst[i*w : (i+1)*w]
			for l := range row {
				px, tap := k0+i, lane+min(done+l, lanes-1)
				if im.lanes {
					px, tap = tap, px
				}
				row[l] = im.at(px, tap/len(im.taps), im.taps[tap%len(im.taps)])
			}
		}
		dst = dst[panelSize(w, k):]
		done += w
	}
}

// at returns what a pixel reads from a channel through a tap.
func (im *image[T]) at(px, c int, t tap) T {
	n, p, q := px/(im.p*im.q), px%(im.p*im.q)/im.q, px%im.q
	h, w := p*im.strideH+t.h, q*im.strideW+t.w
	if h < 0 || h >= im.h || w < 0 || w >= im.w {
		return 0
	}
	return im.data[n*im.stride+(c*im.h+h)*im.w+w]
}

// imageSink writes rows as channels and columns as the pixels (n, p, q) of a
// grid, scaled and with a bias where there are such, and with ReLU if wanted.
type imageSink[T kernels.Float] struct {
	data             []T
	scale, bias      []T
	relu             bool
	stride           int // from one image to the next
	plane            int // from one channel to the next
	p, q             int // of the grid
	strideP, strideQ int // of the grid's rows and columns
}

// plain reports whether elements are only copied.
func (s *imageSink[T]) plain() bool { return s.scale == nil && s.bias == nil && !s.relu }

func (s *imageSink[T]) panel(t *tile[T], col int) ([]T, int) {
	at := t.col + col
	n, p, q := at/(s.p*s.q), at%(s.p*s.q)/s.q, at%s.q
	if !s.plain() || s.strideQ != 1 || col+t.width > t.cols || q+t.width > s.q {
		return nil, 0
	}
	return s.data[t.row*s.plane+n*s.stride+p*s.strideP+q:], s.plane
}

func (s *imageSink[T]) store(ws *workspace[T], t tile[T]) {
	// The runs of columns that are contiguous in a panel and lie in one row of the grid, and those that are contiguous in the result.
	runs, whole := ws.runs[:0], ws.whole[:0]
	n, p, q := t.col/(s.p*s.q), t.col%(s.p*s.q)/s.q, t.col%s.q
	plain := s.plain()
	pieces := ws.pieces[:0]
	for col := 0; col < t.cols; {
		width := min(s.q-q, t.cols-col, t.width-col%t.width)
		r := kernels.Run{Src: t.place(col), Dst: n*s.stride + p*s.strideP + q*s.strideQ, N: width}
		switch last := len(whole) - 1; {
		case t.isStored(col): // its panel was written where it belongs
			r.N = 0
		case last >= 0 && whole[last].Dst+whole[last].N == r.Dst && s.strideQ == 1:
			whole[last].N += r.N
		default:
			whole = append(whole, r)
		}
		for s.strideQ == 1 && r.N >= 8 {
			pieces = append(pieces, kernels.Piece{Src: r.Src, Dst: r.Dst})
			r = kernels.Run{Src: r.Src + 8, Dst: r.Dst + 8, N: r.N - 8}
		}
		if r.N > 0 {
			runs = append(runs, r)
		}
		col += width
		if q += width; q == s.q {
			q = 0
			if p++; p == s.p {
				p = 0
				n++
			}
		}
	}
	t.copy(ws, s.data[t.row*s.plane:], s.plane, pieces)
	if len(runs) == 0 && plain {
		return
	}
	if s.strideQ == 2 {
		kernelOf[T](backend.Highest).Spread(s.data[t.row*s.plane:], t.c, t.rows, s.plane, t.width, runs)
		return
	}
	kn := kernels.VectorOf[T]()
	for r := range t.rows {
		dst := s.data[(t.row+r)*s.plane:]
		src := t.c[r*t.width:]
		if s.strideQ != 1 { // the input's gradient, which is plain
			for _, run := range runs {
				at := run.Dst
				for _, v := range src[run.Src : run.Src+run.N] {
					dst[at] = v
					at += s.strideQ
				}
			}
			continue
		}
		for _, run := range runs {
			copy(dst[run.Dst:run.Dst+run.N], src[run.Src:run.Src+run.N])
		}
		if plain {
			continue
		}
		scale, bias := T(1), T(0)
		if s.scale != nil {
			scale = s.scale[t.row+r]
		}
		if s.bias != nil {
			bias = s.bias[t.row+r]
		}
		for _, run := range whole {
			kn.Normalize(dst[run.Dst:], dst[run.Dst:], one(run.N), 0, scale, bias, s.relu)
		}
	}
}
