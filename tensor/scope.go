package tensor

import "sync"

// Scope owns tensors that go together: all that are put in ([Tensor.In]) and all
// that are computed from them. Close releases them at once. A scope may be used
// by several goroutines.
//
//	s := tensor.NewScope()
//	defer s.Close()
//	y := model.Forward(tensor.From(pixels, 1, 3, 32, 32).In(s))
type Scope struct {
	mu       sync.Mutex
	closed   bool
	storages []*storage
}

// NewScope returns an open scope.
func NewScope() *Scope { return &Scope{} }

// add notes a storage; its own lock is held.
func (s *Scope) add(st *storage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		fail("In", "the scope is closed")
	}
	s.storages = append(s.storages, st)
}

// Close releases all tensors of the scope, but for those that Keep took out.
// Using one of them afterwards panics. Closing twice does nothing.
func (s *Scope) Close() {
	for _, d := range s.close() {
		d.backend.EndStep()
	}
}

// close releases all tensors and returns the devices that they were on.
func (s *Scope) close() (devices []*Device) {
	s.mu.Lock()
	storages := s.storages
	s.storages, s.closed = nil, true
	s.mu.Unlock()
	for _, st := range storages {
		if st.belongs(s) {
			st.release()
		}
		if len(devices) == 0 || devices[len(devices)-1] != st.device {
			devices = append(devices, st.device)
		}
	}
	return devices
}
