package hold_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"advise/targets/hold"
)

// A link in the place of the log is not followed: what it leads to is not the server's.
func TestLogIsNoLink(t *testing.T) {
	s, _ := server(t, hold.Limits{Method: hold.None})
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(users, s.Log); err != nil {
		t.Fatal(err)
	}
	tree, err := hold.Start(t.Context(), s)
	if err == nil {
		t.Error("the server was started")
		_ = tree.Stop(t.Context(), unix.SIGTERM, 0)
	}
	if text, err := os.ReadFile(users); err != nil || string(text) != "mine" {
		t.Errorf("the file is %q, %v", text, err)
	}
}
