package layers

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"

	"github.com/wick-ml/wick/tensor"
)

// verified holds the sums of the architectures that verify has found right.
var verified sync.Map

// verify reports how the model that Load makes of the name and the config alone would
// differ from m.
func verify(m Module, name string, config []byte) error {
	own := outline(m)
	h := sha256.New()
	fmt.Fprintf(h, "%q %q\n", name, config)
	for _, l := range own {
		fmt.Fprintf(h, "%q %q\n", l.path, l.what)
	}
	sum := string(h.Sum(nil))
	if _, ok := verified.Load(sum); ok {
		return nil
	}

	// A constructor draws initial values, which nobody else must notice.
	g := tensor.DefaultGenerator()
	seed, offset := g.State()
	defer g.SetState(seed, offset)
	r := room{elements: 1 << 20} // some more than m has, so that it is compare that tells what differs
	for _, p := range tensors(m) {
		r.elements += 4 * p.tensor.Len()
	}
	var made Module
	var err error
	if bad := tensor.Try(func() { made, err = construct(name, config, &r) }); bad != nil {
		err = bad
	}
	if err == nil && made == nil {
		err = fmt.Errorf("the constructor returns nil")
	}
	if err == nil {
		err = walkable(made)
	}
	if err != nil {
		return fmt.Errorf("layers: %s could not be loaded again: %w", where(m, ""), err)
	}
	if err := compare(own, outline(made)); err != nil {
		return fmt.Errorf("layers: %s could not be loaded again as it is: %w", where(m, ""), err)
	}
	verified.Store(sum, true)
	return nil
}

// part is a line of an outline: a module, a parameter or a buffer.
type part struct{ path, what string }

// outline lists all that Save writes of a model besides its tensors' elements.
func outline(m Module) (list []part) {
	for path, m := range Modules(m) {
		what := "a module " + strings.TrimPrefix(typeString(m), "*")
		if c, ok := m.(Configurer); ok && path != "" {
			name, config := c.Config()
			what = fmt.Sprintf("%s %s", name, config)
		}
		if path != "" {
			list = append(list, part{path, what})
		}
		for _, p := range parts(path, m) {
			if p.tensor == nil {
				continue
			}
			kind := "a parameter "
			if p.buffer {
				kind = "a buffer "
			}
			kind += p.tensor.Shape().String()
			if t := p.tensor.DType(); !t.IsFloat() { // Load takes the widths of others from the file
				kind += " of " + t.String()
			}
			list = append(list, part{join(path, p.name), kind})
		}
	}
	return list
}

// compare names the first difference between an outline and that of what Load would
// make.
func compare(own, made []part) error {
	made2 := map[string]string{}
	for _, p := range made {
		made2[p.path] = p.what
	}
	seen := map[string]bool{}
	for _, p := range own {
		seen[p.path] = true
		switch what, ok := made2[p.path]; {
		case !ok:
			return fmt.Errorf("%s (%s) is not in what its Config describes", p.path, p.what)
		case what != p.what:
			return fmt.Errorf("%s is %s, and its Config describes %s", p.path, p.what, what)
		}
	}
	for _, p := range made {
		if !seen[p.path] {
			return fmt.Errorf("%s (%s), which its Config describes, is not in it", p.path, p.what)
		}
	}
	return nil
}
