package layers

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"strings"

	"github.com/wick-ml/wick/internal/tensorfile"
	"github.com/wick-ml/wick/tensor"
)

// Describe returns what [Save] writes of a model's architecture: the name under
// which it is registered and its config, from which [Load] makes it again. It fails,
// with the layer's path, if a layer has no config, and if the parts of the model are
// not those that its config describes, for example after its classifier was replaced;
// the error names the first difference. (To find it, the first call for an architecture
// runs its constructor once.)
func Describe(m Module) (name string, config []byte, err error) {
	bad := tensor.Try(func() {
		for range Modules(m) { // panics if that has no end
		}
		if name, config, err = describe(m, ""); err == nil {
			err = verify(m, name, config)
		}
	})
	if err = cmp.Or(err, bad); err != nil {
		return "", nil, err
	}
	return name, config, nil
}

// Save writes a whole model, its architecture and its weights, to one file, which
// [Load] reads. (In PyTorch, torch.save(model, path) without the risks of pickle.)
//
// The file does not hold what is not part of the architecture: the mode, which
// parameters are frozen, which are tied (they are loaded as two equal ones, unless
// the model's constructor ties them), and a Dropout's generator.
//
// The file is a safetensors file: PyTorch reads its tensors, which are the model's
// state dict, with safetensors.torch.load_file. The architecture is in the
// metadata: the registered name of the model and its config (see [Register]). Save
// fails, with the layer's path, if a layer has no config; [SaveStateDict] saves the
// weights alone.
//
// The file is written beside path and then renamed, so that after a failure or a
// crash the old file is still there. Other goroutines may
// evaluate the model meanwhile, but not train it.
func Save(path string, m Module) error {
	metadata, err := architecture(m)
	if err != nil {
		return err
	}
	return tensorfile.Write(path, metadata, StateDict(m))
}

// SaveTo is [Save] to a writer, which after an error has got a part of the file.
func SaveTo(w io.Writer, m Module) error {
	if w == nil {
		return errors.New("layers: SaveTo: the writer is nil")
	}
	metadata, err := architecture(m)
	if err != nil {
		return err
	}
	return tensorfile.WriteTo(w, metadata, StateDict(m))
}

// architecture is the metadata of a whole model.
func architecture(m Module) (map[string]string, error) {
	name, config, err := Describe(m)
	if err != nil {
		return nil, fmt.Errorf("%w; SaveStateDict saves its weights without it", err)
	}
	return map[string]string{tensorfile.ModelKey: name, tensorfile.ConfigKey: string(config)}, nil
}

// SaveStateDict writes a model's parameters and buffers to a safetensors file,
// without the architecture; [ReadStateDict] and [LoadStateDict] load them
// into a model that the program makes itself. It writes the file as [Save] does.
// (torch.save(model.state_dict(), path))
func SaveStateDict(path string, m Module) error {
	if err := walkable(m); err != nil {
		return err
	}
	return tensorfile.Write(path, nil, StateDict(m))
}

// SaveStateDictTo is [SaveStateDict] to a writer, which after an error has got a
// part of the file.
func SaveStateDictTo(w io.Writer, m Module) error {
	if w == nil {
		return errors.New("layers: SaveStateDictTo: the writer is nil")
	}
	if err := walkable(m); err != nil {
		return err
	}
	return tensorfile.WriteTo(w, nil, StateDict(m))
}

// walkable returns as an error what Modules panics with.
func walkable(m Module) error {
	return tensor.Try(func() {
		for range Modules(m) {
		}
	})
}

// Load reads a model that [Save] wrote and makes it again: the architecture by its
// registered constructor, on the CPU and in training mode as all new layers, and
// its weights. M is the type of the model (*models.VGG), or an interface that it
// has ([Layer]).
//
// The file is not trusted: nothing in it is executed, and an error is returned if it
// does not fit (a name that the program has not registered, a model of another type,
// a truncated file, a flipped bit). A checkpoint of package trainer is such a file
// too; Load skips what else is in it.
func Load[M Module](path string) (M, error) {
	f, err := tensorfile.Open(path)
	if err != nil {
		var none M
		return none, err
	}
	defer f.Close()
	return load[M](f, path)
}

// LoadFrom is [Load] from a reader, which it reads to its end, such as a file that is
// embedded in the program:
//
//	//go:embed model.safetensors
//	var file []byte
//
//	model, err := layers.LoadFrom[*models.VGG](bytes.NewReader(file))
func LoadFrom[M Module](r io.Reader) (M, error) {
	f, err := tensorfile.Read(r, "")
	if err != nil {
		var none M
		return none, err
	}
	return load[M](f, "the file")
}

func load[M Module](f *tensorfile.File, path string) (M, error) {
	var none M
	name, ok := f.Metadata[tensorfile.ModelKey]
	if !ok {
		return none, fmt.Errorf("layers: Load: %s holds tensors without a model; ReadStateDict and LoadStateDict read them into one", path)
	}
	state, err := entries(f)
	if err != nil {
		return none, err
	}
	var r room
	for _, t := range state {
		r.elements += t.Len()
	}
	var m Module
	if bad := tensor.Try(func() { m, err = construct(name, []byte(f.Metadata[tensorfile.ConfigKey]), &r) }); bad != nil {
		err = bad
	}
	if err != nil {
		return none, fmt.Errorf("loading %s: %w", path, err)
	}
	model, ok := m.(M)
	if !ok {
		want := strings.TrimPrefix(fmt.Sprintf("%T", &none), "*")
		return none, fmt.Errorf("layers: Load: %s holds the model %.60q, a %T, not a %s", path, name, m, want)
	}
	// Parameters get the type that they were saved with.
	own := maps.Collect(tensors(model))
	for key, t := range state {
		if p, ok := own[key]; ok && t.DType() != p.tensor.DType() && t.DType().IsFloat() && p.tensor.DType().IsFloat() {
			replace(p.tensor, p.tensor.Detach().ToDType(t.DType()))
		}
	}
	if _, err := LoadStateDict(model, state); err != nil {
		return none, fmt.Errorf("loading %s: %w", path, err)
	}
	return model, nil
}

// ReadStateDict reads the tensors of a safetensors file, whoever wrote it, to the
// CPU, for [LoadStateDict]:
//
//	state, err := layers.ReadStateDict("vgg.safetensors")
//	…
//	diff, err := layers.LoadStateDict(model, state)
//
// Types that tensors do not have are widened: small integers to Int64. Files of Save
// and SaveStateDict are checked against their checksums; others have none.
func ReadStateDict(path string) (iter.Seq2[string, *tensor.Tensor], error) {
	f, err := tensorfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return entries(f)
}

// ReadStateDictFrom is [ReadStateDict] from a reader, which it reads to its end.
func ReadStateDictFrom(r io.Reader) (iter.Seq2[string, *tensor.Tensor], error) {
	f, err := tensorfile.Read(r, "")
	if err != nil {
		return nil, err
	}
	return entries(f)
}

// entries reads all tensors of a model in a file.
func entries(f *tensorfile.File) (iter.Seq2[string, *tensor.Tensor], error) {
	list, err := f.Tensors()
	if err != nil {
		return nil, err
	}
	return func(yield func(string, *tensor.Tensor) bool) {
		for _, e := range list {
			if !strings.HasPrefix(e.Name, tensorfile.Beside) && !yield(e.Name, e.Tensor) {
				return
			}
		}
	}, nil
}
