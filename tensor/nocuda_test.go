//go:build !cuda || !linux

package tensor_test

import (
	"testing"

	"github.com/wick-ml/wick/tensor"
)

// testDevices are the devices that are held to the reference tables.
func testDevices(*testing.T) []*tensor.Device { return []*tensor.Device{tensor.CPU} }
