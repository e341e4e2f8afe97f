package layers
import ("testing";"fmt";"github.com/wick-ml/wick/tensor")
func TestZZ(t *testing.T) {
	x := tensor.Ones(2,4,8,8)
	for _, l := range []Layer{&Conv2d{}, &ConvTranspose2d{}, &Linear{}, &Embedding{}, &BatchNorm2d{}, &LayerNorm{}, &GroupNorm{}, &MaxPool2d{}, &AvgPool2d{}, &AdaptiveAvgPool2d{}, &Dropout{}, &Sequential{}, Func(nil), Softmax{Dim: 9},
	(*Conv2d)(nil), (*ConvTranspose2d)(nil), (*Linear)(nil), (*Embedding)(nil), (*BatchNorm2d)(nil), (*LayerNorm)(nil), (*GroupNorm)(nil), (*MaxPool2d)(nil), (*AvgPool2d)(nil), (*AdaptiveAvgPool2d)(nil), (*Dropout)(nil), (*Sequential)(nil), (*ReLU)(nil)} {
		for name, f := range map[string]func(){
			"Forward": func(){ l.Forward(x) },
			"Sequential": func(){ s := NewSequential(Identity{}); s.layers[0]=l; s.Forward(x) },
			"Sequential2": func(){ s := NewSequential(NewConv2d(4,4,1), Identity{}); s.layers[1]=l; s.Forward(x) },
			"String": func(){ _ = l.(fmt.Stringer).String() },
			"Describe": func(){ _,_,err := Describe(l); if err != nil { fmt.Println("    describe:", err) } },
			"Summary": func(){ Summary(l) },
			"Summaryx": func(){ Summary(l, x) },
			"Parameters": func(){ Parameters(l) },
			"Train": func(){ Train(l) },
		} {
			func(){
				defer func(){ if e := recover(); e != nil { if te, ok := e.(*tensor.Error); ok { fmt.Printf("%T %s: %v\n", l, name, te) } else { fmt.Printf("%T %s: !!!!! %v\n", l, name, e) } } }()
				f()
			}()
		}
	}
}
