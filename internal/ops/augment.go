package ops

// CropMirrorNormalize takes windows of Height×Width of images.
type CropMirrorNormalize struct{ Height, Width int }

// Name returns the operation's name.
func (CropMirrorNormalize) Name() string { return "CropMirrorNormalize" }
