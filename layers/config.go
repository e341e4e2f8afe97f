package layers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/wick-ml/wick/tensor"
)

// partConfig is how a container writes down one of its children: what [Load] needs to
// make it again.
type partConfig struct {
	Name   string          `json:"name"`
	Config json.RawMessage `json:"config,omitempty"`
}

// describe returns the registered name and the config of a module: what its
// Config says, and for a Sequential or a ModuleList the list of what its children
// say. path is m's path in the model ("" is the model itself). A module that
// Load could not make again is an error that names its path.
func describe(m Module, path string) (name string, config []byte, err error) {
	switch v := m.(type) {
	case *Sequential:
		children := make([]Module, len(v.layers))
		for i, l := range v.layers {
			children[i] = l
		}
		config, err = describeList(children, path)
		return "Sequential", config, err
	case ModuleList:
		config, err = describeList(v, path)
		return "ModuleList", config, err
	case Configurer:
		if bad := tensor.Try(func() { name, config = v.Config() }); bad != nil {
			return "", nil, fmt.Errorf("layers: %s cannot be described: %w", where(m, path), bad)
		}
		switch {
		case !registered(name):
			return "", nil, fmt.Errorf("layers: %s has the name %q, which is not registered: call layers.Register(%q, …)", where(m, path), name, name)
		case isLibraryName(name) && !isLibrary(m):
			// Config came with an embedded layer: Load would make that one.
			return "", nil, fmt.Errorf("layers: %s describes itself as this package's %s: give it a Config of its own", where(m, path), name)
		case len(config) > 0 && !json.Valid(config):
			return "", nil, fmt.Errorf("layers: %s has a Config that is not JSON: %.60q", where(m, path), config)
		}
		return name, config, nil
	}
	return "", nil, fmt.Errorf("layers: %s cannot be described: it needs a method Config and a name registered with layers.Register", where(m, path))
}

// where names a module in an error: "features.3 (layers.Func)".
func where(m Module, path string) string {
	if path == "" {
		return "the model (" + typeString(m) + ")"
	}
	return path + " (" + typeString(m) + ")"
}

func describeList(children []Module, path string) ([]byte, error) {
	list := make([]partConfig, len(children))
	for i, m := range children {
		name, config, err := describe(m, join(path, strconv.Itoa(i)))
		if err != nil {
			return nil, err
		}
		list[i] = partConfig{name, config}
	}
	return json.Marshal(list)
}

// constructList makes the modules of a list that describeList wrote.
func constructList(list []partConfig, r *room) ([]Module, error) {
	r.depth++
	defer func() { r.depth-- }()
	if r.depth > maxDepth {
		return nil, fmt.Errorf("containers are nested more than %d deep", maxDepth)
	}
	children := make([]Module, len(list))
	for i, c := range list {
		m, err := construct(c.Name, c.Config, r)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", i, err)
		}
		children[i] = m
	}
	return children, nil
}

func init() {
	register("Sequential", func(list []partConfig, r *room) (*Sequential, error) {
		children, err := constructList(list, r)
		if err != nil {
			return nil, err
		}
		s := &Sequential{}
		for i, m := range children {
			l, ok := m.(Layer)
			if !ok {
				return nil, fmt.Errorf("%d: a %s (%T) has no Forward of one tensor", i, list[i].Name, m)
			}
			s.layers = append(s.layers, l)
		}
		return s, nil
	})
	register("ModuleList", func(list []partConfig, r *room) (ModuleList, error) {
		children, err := constructList(list, r)
		return ModuleList(children), err
	})
}

// library holds a question for each of this package's own layers, by their names:
// whether a module is exactly of that type. (A type of another package that embeds
// one has its methods too, but its Forward may do something else.) init functions
// fill it and nothing changes it afterwards.
var library = map[string]func(m Module) bool{}

func isLibraryName(name string) bool { return library[name] != nil }

// isLibrary reports whether m is exactly a type of this package.
func isLibrary(m Module) bool {
	for _, is := range library {
		if is(m) {
			return true
		}
	}
	return false
}

// register makes a layer of this package known to [Load]. The config is decoded
// strictly: a setting that this version does not know is an error, because
// without it the module would compute something else. What build panics with
// because it does not fit is an error too. build calls limit for each
// parameter before it makes it.
func register[C any, M Module](name string, build func(c C, r *room) (M, error)) {
	library[name] = func(m Module) bool {
		_, ok := m.(M)
		return ok
	}
	registerWithin(name, func(config []byte, r *room) (m Module, err error) {
		var c C
		if len(config) > 0 {
			d := json.NewDecoder(bytes.NewReader(config))
			d.DisallowUnknownFields()
			if err := d.Decode(&c); err != nil {
				return nil, fmt.Errorf("layers: %s: config %.60q: %w", name, config, err)
			}
			if _, err := d.Token(); err != io.EOF {
				return nil, fmt.Errorf("layers: %s: config %.60q goes on after its value", name, config)
			}
		}
		if bad := tensor.Try(func() { m, err = build(c, r) }); bad != nil {
			err = bad
		}
		if err != nil {
			return nil, fmt.Errorf("layers: %s: %w", name, err)
		}
		return m, nil
	})
}

// config writes a layer's settings as JSON. They are numbers, booleans and lists of
// them, so the only failure is a NaN or an infinity, which JSON does not
// have.
func config[C any](name string, c C) (string, []byte) {
	b, err := json.Marshal(c)
	if err != nil {
		fail(name, "its settings cannot be written: %w", err)
	}
	return name, b
}

// registerPlain is register for a layer without parameters, whose settings are its
// fields.
func registerPlain[L Layer](name string) {
	register(name, func(l L, _ *room) (L, error) { return l, nil })
	library[name] = func(m Module) bool {
		switch any(m).(type) { // a pointer to a type parameter is no Module to the compiler
		case L, *L:
			return true
		}
		return false
	}
}

// option returns the optional last argument of a constructor.
func option[T any](opts []T) (o T) {
	if len(opts) > 0 {
		o = opts[0]
	}
	return o
}

// limit checks the sizes of a parameter that a config asks for and takes its
// elements off what the file has: it cannot ask for more than it holds, and so not
// for all memory.
func limit(r *room, sizes ...int) error {
	n := 1
	for _, s := range sizes {
		if s < 1 || s > r.elements/n {
			return fmt.Errorf("a parameter %v, want sizes of 1 or more and at most the %d elements that the file has left", sizes, r.elements)
		}
		n *= s
	}
	r.elements -= n
	return nil
}

// wantSize panics, as tensor operations do, unless the numbers that name describes
// are at least least. The most is what keeps sums of products of them within an
// int.
func wantSize(op, name string, least int, v ...int) {
	for _, n := range v {
		if n < least || n > math.MaxInt32 {
			fail(op, "got %s %d, want %d to %d", name, n, least, math.MaxInt32)
		}
	}
}

// wantMade panics unless a layer was made by its constructor.
func wantMade(name string, made bool) {
	if !made {
		fail(name, "the layer is nil or has nothing in it; New%s makes one", name)
	}
}

// fail panics with a *tensor.Error, as tensor operations do.
func fail(op, format string, args ...any) { failAt("", op, format, args...) }

// failAt is fail for the module at a path.
func failAt(path, op, format string, args ...any) {
	panic(&tensor.Error{Op: op, Layer: path, Err: fmt.Errorf(format, args...)})
}

// parameter makes a leaf that requires a gradient.
func parameter(dims ...int) *tensor.Tensor { return tensor.Zeros(dims...).SetRequiresGrad(true) }
