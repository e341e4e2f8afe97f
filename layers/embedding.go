package layers

import (
	"fmt"

	"github.com/wick-ml/wick/layers/inits"
	"github.com/wick-ml/wick/tensor"
)

// Embedding is a table of vectors: an Int64 tensor of row numbers of any shape […]
// becomes […  dim]. Weight is [n dim]. (torch.nn.Embedding)
type Embedding struct {
	Weight *tensor.Tensor
}

// NewEmbedding returns a table of n vectors of dim numbers, drawn from a normal
// distribution of mean 0 and standard deviation 1, as in PyTorch.
func NewEmbedding(n, dim int) *Embedding {
	wantSize("NewEmbedding", "size", 1, n, dim)
	return &Embedding{inits.Normal(parameter(n, dim), 0, 1)}
}

// Forward returns the rows of Weight that index names.
func (l *Embedding) Forward(index *tensor.Tensor) *tensor.Tensor {
	return tensor.Embedding(l.Weight, index)
}

// String returns "Embedding(1000, 64)".
func (l *Embedding) String() string {
	return fmt.Sprintf("Embedding(%d, %d)", l.Weight.Size(0), l.Weight.Size(1))
}

// Parts lists the weight.
func (l *Embedding) Parts() []Part { return []Part{Param("weight", l.Weight)} }

type embeddingConfig struct {
	N   int `json:"num_embeddings"`
	Dim int `json:"embedding_dim"`
}

// Config describes the layer for Save.
func (l *Embedding) Config() (string, []byte) {
	return config("Embedding", embeddingConfig{l.Weight.Size(0), l.Weight.Size(1)})
}

func init() {
	register("Embedding", func(c embeddingConfig, r *room) (Module, error) {
		if err := limit(r, c.N, c.Dim); err != nil {
			return nil, err
		}
		return NewEmbedding(c.N, c.Dim), nil
	})
}
