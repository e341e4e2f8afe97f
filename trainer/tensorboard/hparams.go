package tensorboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	pw "github.com/wick-ml/wick/internal/protowire"
)

// AddHParams adds the hyperparameters of a run and the metrics it came to, for
// TensorBoard's table that compares runs (HPARAMS). hparams is a JSON object, such
// as json.Marshal makes of a struct or a map: numbers, strings and booleans; the
// members of an object in it are named "outer.inner", a list stays one text, null
// is left out. The metrics are added as scalars at the step too.
//
// PyTorch makes a run of its own for them; here they belong to this one. Call it
// once, at the end of a run: TensorBoard takes it as finished.
func (w *Writer) AddHParams(hparams []byte, metrics map[string]float64, step int) error {
	if err := checkStep("AddHParams", step); err != nil {
		return err
	}
	values, err := flatten(hparams)
	if err != nil {
		return fmt.Errorf("tensorboard: AddHParams: %w", err)
	}

	// Field numbers: tensorboard/plugins/hparams/{plugin_data,api}.proto.
	var experiment, start []byte
	for _, v := range values {
		start = pw.Bytes(start, 1, pw.Bytes(pw.String(nil, 1, v.name), 2, v.value))
		experiment = pw.Bytes(experiment, 4, pw.Uint(pw.String(nil, 1, v.name), 4, v.kind))
	}
	names := slices.Sorted(maps.Keys(metrics))
	for _, name := range names {
		experiment = pw.Bytes(experiment, 5, pw.Bytes(nil, 1, pw.String(nil, 2, name)))
	}
	start = pw.Double(start, 5, seconds(w.started))
	const success = 1
	end := pw.Double(pw.Uint(nil, 1, success), 2, seconds(w.now()))

	plugin := func(tag string, field int, message []byte) []byte {
		null := pw.Bytes(pw.Uint(nil, 1, dtFloat), 2, pw.Bytes(nil, 2, nil)) // of shape [0]
		return summary("_hparams_/"+tag, pluginValue(null, "hparams", pw.Bytes(nil, field, message)))
	}
	contents := [][]byte{
		plugin("experiment", 2, experiment),
		plugin("session_start_info", 3, start),
		plugin("session_end_info", 4, end),
	}
	if err := w.add(0, contents...); err != nil {
		return err
	}
	for _, name := range names {
		if err := w.AddScalar(name, metrics[name], step); err != nil {
			return err
		}
	}
	return nil
}

// hparam is a name with a google.protobuf.Value and its hparams.DataType.
type hparam struct {
	name  string
	value []byte
	kind  uint64
}

const (
	kindString  = 1
	kindBool    = 2
	kindFloat64 = 3
)

// flatten lists the values of a JSON object and of the objects in it, by name.
func flatten(object []byte) ([]hparam, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		return nil, fmt.Errorf("want the hyperparameters as a JSON object, got %.60q: %w", object, err)
	}
	if members == nil {
		return nil, fmt.Errorf("want the hyperparameters as a JSON object, got %.60q", object)
	}
	var out []hparam
	for _, name := range slices.Sorted(maps.Keys(members)) {
		switch v := members[name]; v[0] {
		case 'n': // null
		case 't', 'f':
			var on uint64
			if v[0] == 't' {
				on = 1
			}
			out = append(out, hparam{name, pw.Uint(nil, 4, on), kindBool})
		case '"':
			var s string
			if err := json.Unmarshal(v, &s); err != nil {
				return nil, err
			}
			out = append(out, hparam{name, pw.String(nil, 3, s), kindString})
		case '[':
			var b bytes.Buffer
			if err := json.Compact(&b, v); err != nil {
				return nil, err
			}
			out = append(out, hparam{name, pw.String(nil, 3, b.String()), kindString})
		case '{':
			inner, err := flatten(v)
			if err != nil {
				return nil, err
			}
			for _, h := range inner {
				h.name = name + "." + h.name
				out = append(out, h)
			}
		default:
			f, err := strconv.ParseFloat(string(v), 64)
			if err != nil { // beyond float64
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			out = append(out, hparam{name, pw.Double(nil, 2, f), kindFloat64})
		}
	}
	return out, nil
}
