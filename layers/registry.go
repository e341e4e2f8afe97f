package layers

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Configurer is a module that Save can describe: its Config returns the name
// under which its constructor is registered, and what that needs to make the
// same architecture again, as JSON.
type Configurer interface {
	Config() (name string, config []byte)
}

var registry = struct {
	sync.RWMutex
	constructors map[string]constructor
}{constructors: map[string]constructor{}}

// room is what a file may ask for: no more parameters than it holds, and
// containers in containers to a depth that no model has.
type room struct {
	elements int // that parameters may still have
	depth    int // of the containers so far
}

const maxDepth = 100

// constructor makes a module from its config. Those of this package keep within r.
type constructor func(config []byte, r *room) (Module, error)

// Register makes a type of module known to [Load], by the name that its Config
// returns. construct makes a new module from what Config returned; it must treat
// config as data from a stranger. elements is how many elements the file has for the
// module's tensors: a constructor that makes no more cannot be made to take all memory
// by a file of a few bytes. Registering a name twice panics. A program does this once,
// in an init function or at the start of main.
func Register(name string, construct func(config []byte, elements int) (Module, error)) {
	if construct == nil {
		registerWithin(name, nil)
	}
	registerWithin(name, func(config []byte, r *room) (Module, error) {
		m, err := construct(config, r.elements)
		if err == nil && m != nil {
			r.elements = max(r.elements-NumParameters(m), 0)
		}
		return m, err
	})
}

func registerWithin(name string, construct constructor) {
	if construct == nil {
		fail("Register", "the constructor of %q is nil", name)
	}
	registry.Lock()
	defer registry.Unlock()
	if _, ok := registry.constructors[name]; ok {
		fail("Register", "%q is registered already", name)
	}
	registry.constructors[name] = construct
}

// construct makes a module by its registered name, within what its file
// may ask for.
func construct(name string, config []byte, r *room) (Module, error) {
	registry.RLock()
	f := registry.constructors[name]
	names := slices.Sorted(maps.Keys(registry.constructors))
	registry.RUnlock()
	if f == nil {
		return nil, fmt.Errorf("layers: no module is registered under %q (layers.Register makes one known); known are %q", name, names)
	}
	return f(config, r)
}

// registered reports whether a constructor is known under a name.
func registered(name string) bool {
	registry.RLock()
	defer registry.RUnlock()
	return registry.constructors[name] != nil
}
