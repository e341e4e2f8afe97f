//go:build !cuda || !linux

package models_test

import (
	"testing"

	"github.com/wick-ml/wick/tensor"
)

// testDevices are the devices that are held to PyTorch's numbers.
func testDevices(*testing.T) []*tensor.Device { return []*tensor.Device{tensor.CPU} }

// largeModel skips a test that takes too long on a device.
func largeModel(*testing.T, *tensor.Device) {}
