package disk

import "testing"

func TestLockHolder(t *testing.T) {
	const list = `1: POSIX  ADVISORY  WRITE 11 08:01:7 0 EOF
2: FLOCK  ADVISORY  WRITE 22 08:01:7 0 EOF
2: -> FLOCK  ADVISORY  WRITE 33 08:01:7 0 EOF
3: FLOCK  ADVISORY  WRITE 44 08:02:7 0 EOF
4: FLOCK  ADVISORY  WRITE -1 08:01:9 0 EOF
5: FLOCK
`
	for file, want := range map[string]int{"08:01:7": 22, "08:02:7": 44, "08:01:9": 0, "08:01:8": 0} {
		if got := lockHolder(list, file); got != want {
			t.Errorf("%s is held by %d, want %d", file, got, want)
		}
	}
}
