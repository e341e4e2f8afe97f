package tensor_test

import "testing"

func TestActivationReference(t *testing.T) {
	checkReference(t, "activation", map[string]refOp{
		"Tanhshrink": ref1((*T).Tanhshrink), "Softsign": ref1((*T).Softsign),
	})
}
