package asmtest

// An emulator of Intel AMX. A processor without AMX raises an illegal instruction exception where a tile instruction
// stands. This program starts itself again as a child that it traces (ptrace(2)), catches the signal, does on the child's registers
// and memory what the instruction would have done (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2), and
// lets the child go on behind it.

import (
	endian "encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// AMXEmulated is the environment variable that tells a child that its tile instructions are emulated.
const AMXEmulated = "WICK_TEST_EMULATED"

// RunAMX runs the test of the given name, and no other, in a child whose tile instructions are emulated.
func RunAMX(t *testing.T, name string, limit time.Duration) {
	runtime.LockOSThread() // a tracer is a thread
	defer runtime.UnlockOSThread()
	out, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	c := exec.Command(os.Args[0], "-test.run=^"+name+"$", "-test.v", "-test.timeout="+limit.String())
	c.Env = append(os.Environ(), AMXEmulated+"=1", "GOMAXPROCS=2", "GODEBUG=asyncpreemptoff=1")
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	err = c.Start()
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		t.Skipf("this machine does not let a program trace another: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	tr := &tracer{pid: c.Process.Pid, threads: map[int]*tileState{}}
	var late atomic.Bool
	timer := time.AfterFunc(limit, func() {
		late.Store(true)
		_ = c.Process.Kill() // it may just have ended
	})
	err = tr.run()
	timer.Stop()
	if err != nil {
		_ = c.Process.Kill()
		var ws unix.WaitStatus
		for err := error(nil); err == nil || err == unix.EINTR; { // until no thread is left
			_, err = unix.Wait4(-1, &ws, unix.WALL|unix.WNOTHREAD, nil)
		}
	}
	_ = c.Process.Release() // run has waited for it
	text, readErr := os.ReadFile(out.Name())
	if readErr != nil {
		t.Fatal(readErr)
	}
	switch {
	case errors.Is(err, unix.EPERM):
		t.Skipf("this machine does not let a program trace another: %v", err)
	case late.Load():
		t.Fatalf("not done within %v, after %d tile instructions:\n%s", limit, tr.count, text)
	case err != nil:
		t.Fatalf("after %d tile instructions: %v\n%s", tr.count, err, text)
	case tr.count == 0:
		t.Fatalf("no tile instruction ran:\n%s", text)
	}
	t.Logf("%d tile instructions were AMXEmulated\n%s", tr.count, text)
}

// tracer follows the threads of a child.
type tracer struct {
	pid     int
	threads map[int]*tileState
	count   int // instructions AMXEmulated
}

// run follows the child to its end, and returns nil if that is success.
func (tr *tracer) run() error {
	var ws unix.WaitStatus
	if _, err := unix.Wait4(tr.pid, &ws, unix.WALL, nil); err != nil {
		return fmt.Errorf("waiting for the child's start: %w", err)
	}
	if !ws.Stopped() {
		return fmt.Errorf("the child did not stop at its start: status %#x", ws)
	}
	tr.threads[tr.pid] = &tileState{}
	if err := unix.PtraceSetOptions(tr.pid, unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL); err != nil {
		return fmt.Errorf("tracing the child's threads: %w", err)
	}
	tid, signal := tr.pid, 0
	for {
		// A thread that is gone, because the process ended or was killed, tells so by its status.
		if err := unix.PtraceCont(tid, signal); err != nil && err != unix.ESRCH {
			return fmt.Errorf("continuing thread %d: %w", tid, err)
		}
		for {
			var err error
			tid, err = unix.Wait4(-1, &ws, unix.WALL|unix.WNOTHREAD, nil)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return fmt.Errorf("waiting for the child: %w", err)
			}
			if ws.Stopped() {
				break
			}
			delete(tr.threads, tid)
			switch {
			case tid == tr.pid && ws.Signaled():
				return fmt.Errorf("the child ended by signal %v", ws.Signal())
			case tid == tr.pid && ws.ExitStatus() != 0:
				return fmt.Errorf("the child ended with status %d", ws.ExitStatus())
			case tid == tr.pid:
				return nil
			}
		}
		state := tr.threads[tid]
		signal = int(ws.StopSignal())
		switch {
		case state == nil && ws.StopSignal() == unix.SIGSTOP: // a new thread's first stop
			tr.threads[tid] = &tileState{}
			signal = 0
		case ws.StopSignal() == unix.SIGTRAP && ws.TrapCause() > 0: // that of the thread that made it
			signal = 0
		case ws.StopSignal() == unix.SIGILL && state != nil:
			n, err := tr.emulate(tid, state)
			if errors.Is(err, unix.ESRCH) { // killed meanwhile
				break
			}
			if err != nil {
				return err
			}
			if n > 0 {
				tr.count += n
				signal = 0
			}
		}
	}
}

// emulate emulates the tile instructions that come next in a thread, and tells how many there were.
func (tr *tracer) emulate(tid int, state *tileState) (n int, err error) {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil {
		return 0, err
	}
	for {
		var code [16]byte
		if _, err := tr.memory(regs.Rip, code[:], len(code), 0, 1, false); err != nil {
			return n, fmt.Errorf("reading the instruction at %#x: %w", regs.Rip, err)
		}
		in, ok := decodeTile(code[:], &regs)
		if !ok {
			break
		}
		if err := tr.step(state, &in); err != nil {
			return n, fmt.Errorf("%s at %#x, address %#x: %w", in.name, regs.Rip, in.address, err)
		}
		regs.Rip += uint64(in.length)
		n++
	}
	if n == 0 {
		return 0, nil
	}
	return n, unix.PtraceSetRegs(tid, &regs)
}

// memory reads, or writes, rows of the given length that are stride bytes apart in the child, 64 in data.
func (tr *tracer) memory(address uint64, data []byte, length int, stride uint64, rows int, write bool) (int, error) {
	var local [16]unix.Iovec
	var remote [16]unix.RemoteIovec
	for i := range rows {
		local[i].Base = &data[64*i]
		local[i].SetLen(length)
		remote[i] = unix.RemoteIovec{Base: uintptr(address + uint64(i)*stride), Len: length}
	}
	move := unix.ProcessVMReadv
	if write {
		move = unix.ProcessVMWritev
	}
	n, err := move(tr.pid, local[:rows], remote[:rows], 0)
	if err == nil && n != rows*length {
		err = unix.EFAULT
	}
	return n, err
}

// tileInstruction is a decoded instruction on tiles.
type tileInstruction struct {
	name            string
	length          int
	tile, src1      int // of the bits reg and r/m
	src2            int // of vvvv
	address, stride uint64
}

// decodeTile decodes VEX.128.pp.0F38.W0 49, 4B and 5C.
func decodeTile(code []byte, regs *unix.PtraceRegs) (in tileInstruction, ok bool) {
	if code[0] != 0xc4 || code[1]&0x1f != 2 || code[2]&0x84 != 0 {
		return in, false
	}
	general := [16]uint64{regs.Rax, regs.Rcx, regs.Rdx, regs.Rbx, regs.Rsp, regs.Rbp, regs.Rsi, regs.Rdi,
		regs.R8, regs.R9, regs.R10, regs.R11, regs.R12, regs.R13, regs.R14, regs.R15}
	x, b := ^code[1]>>6&1, ^code[1]>>5&1
	mod, reg, rm := code[4]>>6, code[4]>>3&7, code[4]&7
	in.tile, in.src1, in.src2, in.length = int(reg), int(rm), int(^code[2]>>3&15), 5
	kind := [3]byte{code[3], code[2] & 3, min(mod, 3) / 3} // opcode, prefix, and whether r/m is a register
	switch {
	case kind == [3]byte{0x49, 0, 1} && code[4] == 0xc0:
		in.name = "TILERELEASE"
	case kind == [3]byte{0x49, 0, 0} && reg == 0:
		in.name = "LDTILECFG"
	case kind == [3]byte{0x49, 3, 1} && rm == 0:
		in.name = "TILEZERO"
	case kind == [3]byte{0x4b, 3, 0} && rm == 4:
		in.name = "TILELOADD"
	case kind == [3]byte{0x4b, 2, 0} && rm == 4:
		in.name = "TILESTORED"
	case kind == [3]byte{0x5c, 2, 1} && in.src2 < 8 && reg != rm && in.src2 != int(reg) && in.src2 != int(rm):
		in.name = "TDPBF16PS"
	default:
		return in, false
	}
	if mod == 3 {
		return in, true
	}
	base := rm
	if rm == 4 { // a SIB byte follows
		sib := code[5]
		base = sib & 7
		if i := sib>>3&7 | x<<3; i != 4 {
			in.stride = general[i] << (sib >> 6)
		}
		in.length++
	}
	if mod == 0 && base == 5 { // relative to RIP, or without a base
		return in, false
	}
	in.address = general[base|b<<3]
	switch mod {
	case 1:
		in.address += uint64(int8(code[in.length]))
		in.length++
	case 2:
		in.address += uint64(int32(endian.LittleEndian.Uint32(code[in.length:])))
		in.length += 4
	}
	return in, true
}

// tileState is a thread's tiles: rows of 64 bytes, of which a configuration uses some.
type tileState struct {
	palette byte
	rows    [8]int
	bytes   [8]int // of a row
	tiles   [8]AMXTile
}

type AMXTile [16 * 64]byte

// step does what an instruction does.
func (tr *tracer) step(s *tileState, in *tileInstruction) error {
	if in.name == "LDTILECFG" {
		var config [64]byte
		if _, err := tr.memory(in.address, config[:], 64, 0, 1, false); err != nil {
			return err
		}
		*s = tileState{palette: config[0]}
		for i := range s.rows {
			s.rows[i], s.bytes[i] = int(config[48+i]), int(endian.LittleEndian.Uint16(config[16+2*i:]))
			if s.rows[i] > 16 || s.bytes[i] > 64 || (s.rows[i] == 0) != (s.bytes[i] == 0) {
				return fmt.Errorf("tile %d of %d rows of %d bytes", i, s.rows[i], s.bytes[i])
			}
		}
		if s.palette != 1 || config[1] != 0 {
			return fmt.Errorf("palette %d, start row %d, want 1 and 0", s.palette, config[1])
		}
		return nil
	}
	if in.name == "TILERELEASE" {
		*s = tileState{}
		return nil
	}
	if s.palette == 0 || s.rows[in.tile] == 0 {
		return fmt.Errorf("tile %d is not configured", in.tile)
	}
	t := &s.tiles[in.tile]
	switch in.name {
	case "TILEZERO":
		*t = AMXTile{}
	case "TILELOADD":
		*t = AMXTile{}
		_, err := tr.memory(in.address, t[:], s.bytes[in.tile], in.stride, s.rows[in.tile], false)
		return err
	case "TILESTORED":
		_, err := tr.memory(in.address, t[:], s.bytes[in.tile], in.stride, s.rows[in.tile], true)
		return err
	case "TDPBF16PS":
		m, n, k := s.rows[in.tile], s.bytes[in.tile]/4, s.bytes[in.src1]/4
		if s.rows[in.src1] != m || s.bytes[in.src2] != 4*n || s.rows[in.src2] != k {
			return errors.New("tiles that do not fit each other")
		}
		AMXDot(t, &s.tiles[in.src1], &s.tiles[in.src2], m, n, k)
	}
	return nil
}

// AMXDot is TDPBF16PS: m×n sums and k pairs. The products of even and of odd elements are summed apart from 0 on, then
// together, then added.
func AMXDot(c, a, b *AMXTile, m, n, k int) {
	var x, y [16][32]float32
	for i := range x {
		for j := range x[i] {
			x[i][j] = flush(FromBFloat16(endian.LittleEndian.Uint16(a[64*i+2*j:])))
			y[i][j] = flush(FromBFloat16(endian.LittleEndian.Uint16(b[64*i+2*j:])))
		}
	}
	for i := range m {
		var sums [32]float32
		for l := range k {
			even, odd := x[i][2*l], x[i][2*l+1]
			for j := range n {
				sums[2*j] = flushedFMA(even, y[l][2*j], sums[2*j])
				sums[2*j+1] = flushedFMA(odd, y[l][2*j+1], sums[2*j+1])
			}
		}
		for j := range n {
			at := c[64*i+4*j:]
			sum := flush(math.Float32frombits(endian.LittleEndian.Uint32(at))) + flush(sums[2*j]+sums[2*j+1])
			endian.LittleEndian.PutUint32(at, math.Float32bits(flush(sum)))
		}
	}
}

// flush makes a zero of a number that is too small for its first bit to be 1.
func flush(v float32) float32 {
	const normal = 0x1p-126
	if v > -normal && v < normal {
		return float32(math.Copysign(0, float64(v)))
	}
	return v
}

// flushedFMA is x·y + sum of bfloat16 numbers x and y, rounded once.
func flushedFMA(x, y, sum float32) float32 {
	if p := x * y; p >= 0x1p-126 && p <= math.MaxFloat32 || p <= -0x1p-126 && p >= -math.MaxFloat32 {
		return flush(p + sum) // the product is exact
	}
	// In float64 the product is exact, and the sum is made odd if it is not, so that it is not rounded to a tie first.
	p, c := float64(x)*float64(y), float64(sum)
	s := p + c
	q := s - p
	if rest := (p - (s - q)) + (c - q); rest != 0 && rest == rest && math.Float64bits(s)&1 == 0 {
		s = math.Nextafter(s, math.Inf(int(math.Copysign(1, rest))))
	}
	return flush(float32(s))
}
