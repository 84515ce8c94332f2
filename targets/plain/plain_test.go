package plain

import "testing"

func TestLine(t *testing.T) {
	if got := Line("a\x1b[31mb\r\n\tc\x00\u009b\xff界"); got != "a?[31mb   c???界" {
		t.Errorf("got %q", got)
	}
}
