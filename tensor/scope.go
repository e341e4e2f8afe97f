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
	few      [4]*storage // where the first of them stand
	self     [1]*Scope
	alone    []*Scope // self, the list of a storage that is in no other scope
}

// NewScope returns an open scope.
func NewScope() *Scope {
	s := &Scope{}
	s.storages, s.self[0] = s.few[:0], s
	s.alone = s.self[:]
	return s
}

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
	var last *Device
	storages := s.close()
	for _, st := range storages {
		if st.device != last {
			last = st.device
			last.backend.EndStep()
		}
	}
	clear(storages)
}

// close releases all tensors and returns their storages, for the caller to clear.
func (s *Scope) close() []*storage {
	s.mu.Lock()
	storages := s.storages
	s.storages, s.closed = nil, true
	s.mu.Unlock()
	for _, st := range storages {
		if st.belongs(s) {
			st.release()
		}
	}
	return storages
}
