//go:build !linux

package generator

// pinThread does nothing: there is no affinity here.
func pinThread([]int) error { return nil }
