package layers

import (
	"fmt"

	"github.com/wick-ml/wick/layers/inits"
	"github.com/wick-ml/wick/tensor"
)

// Embedding is a table of vectors: an Int64 tensor of row indices of any shape […]
// becomes [… dim]. Weight is [n dim]. (torch.nn.Embedding)
type Embedding struct {
	Weight     *tensor.Tensor
	PaddingIdx *int // the row that gets no gradient; nil: none
}

// EmbeddingOpts are the options of [NewEmbedding].
type EmbeddingOpts = tensor.EmbeddingOpts

// NewEmbedding returns a table of n vectors of dim elements, drawn from a normal
// distribution of mean 0 and standard deviation 1, as in PyTorch.
func NewEmbedding(n, dim int, opts ...EmbeddingOpts) *Embedding {
	const op = "NewEmbedding"
	wantSize(op, "size", 1, n, dim)
	l := &Embedding{Weight: inits.Normal(parameter(n, dim), 0, 1)}
	if at := option(opts).PaddingIdx; at != nil {
		if *at < -n || *at >= n {
			fail(op, "got the padding index %d for %d rows, want %d to %d", *at, n, -n, n-1)
		}
		l.PaddingIdx = new((*at + n) % n)
		l.Weight.Detach().Select(0, *at).Zero()
	}
	return l
}

// Forward returns the rows of Weight that index names.
func (l *Embedding) Forward(index *tensor.Tensor) *tensor.Tensor {
	wantMade("Embedding", l != nil && l.Weight != nil)
	return tensor.Embedding(l.Weight, index, tensor.EmbeddingOpts{PaddingIdx: l.PaddingIdx})
}

// brief returns "Embedding(1000, 64)", or "Embedding(1000, 64, padding index 0)".
func (l *Embedding) brief() string {
	padding := ""
	if l.PaddingIdx != nil {
		padding = fmt.Sprintf("padding index %d", *l.PaddingIdx)
	}
	n, dim := matrix(l.Weight)
	return fmt.Sprintf("Embedding(%s)", list(fmt.Sprint(n), fmt.Sprint(dim), padding))
}

// String returns what PyTorch prints: "Embedding(1000, 64)".
func (l *Embedding) String() string {
	n, dim := matrix(l.Weight)
	padding := ""
	if l.PaddingIdx != nil {
		padding = fmt.Sprintf("padding_idx=%d", *l.PaddingIdx)
	}
	return "Embedding(" + list(fmt.Sprintf("%d, %d", n, dim), padding) + ")"
}

// Parts lists the weight.
func (l *Embedding) Parts() []Part { return []Part{Param("weight", l.Weight)} }

type embeddingConfig struct {
	N   int `json:"num_embeddings"`
	Dim int `json:"embedding_dim"`

	PaddingIdx *int `json:"padding_idx,omitempty"`
}

func (l *Embedding) Config() (string, []byte) {
	n, dim := matrix(l.Weight)
	return config("Embedding", embeddingConfig{n, dim, l.PaddingIdx})
}

func init() {
	register("Embedding", func(c embeddingConfig, r *room) (*Embedding, error) {
		if err := limit(r, c.N, c.Dim); err != nil {
			return nil, err
		}
		return NewEmbedding(c.N, c.Dim, EmbeddingOpts{PaddingIdx: c.PaddingIdx}), nil
	})
}
