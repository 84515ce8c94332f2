package hold

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"
)

// scopePatience is how long systemd may take to make a scope.
const scopePatience = 5 * time.Second

// manager connects to the system's systemd as root and to the user's own otherwise. The context
// bounds all that is asked over the connection.
func manager(ctx context.Context) (*dbus.Conn, error) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return nil, errors.New("no systemd runs here")
	}
	if os.Geteuid() == 0 {
		conn, err := dbus.NewWithContext(ctx)
		if err != nil {
			return nil, fmt.Errorf("ask systemd: %w", err)
		}
		return conn, nil
	}
	// Without an address the library would start a bus of its own.
	if os.Getenv("DBUS_SESSION_BUS_ADDRESS") == "" {
		if _, err := os.Stat(fmt.Sprintf("/run/user/%d/bus", os.Getuid())); err != nil {
			return nil, errors.New("not root, and no systemd of this user runs here")
		}
	}
	conn, err := dbus.NewUserConnectionContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the systemd of this user: %w", err)
	}
	return conn, nil
}

// scopeParent is a folder with the controllers that a scope of this systemd would have.
func scopeParent(mount string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), scopePatience)
	defer cancel()
	conn, err := manager(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	quoted, err := conn.GetManagerProperty("ControlGroup")
	if err != nil {
		return "", fmt.Errorf("ask systemd: %w", err)
	}
	group, err := strconv.Unquote(quoted)
	if err != nil {
		return "", fmt.Errorf("ask systemd for its cgroup: %s is no answer", quoted)
	}
	return filepath.Join(mount, group), nil
}

// enterScope has systemd start a transient scope with this process in it, and returns its folder.
// It is delegated: systemd leaves alone what is made in it.
func enterScope(name string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), scopePatience)
	defer cancel()
	conn, err := manager(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	unit := prefix + name + ".scope"
	result := make(chan string, 1)
	_, err = conn.StartTransientUnitContext(ctx, unit, "fail", []dbus.Property{
		dbus.PropDescription("server under measurement by advise"),
		dbus.PropPids(uint32(os.Getpid())),
		{Name: "Delegate", Value: godbus.MakeVariant(true)},
		{Name: "CollectMode", Value: godbus.MakeVariant("inactive-or-failed")},
	}, result)
	if err != nil {
		return "", fmt.Errorf("have systemd start %s: %w", unit, err)
	}
	select {
	case r := <-result:
		if r != "done" {
			return "", fmt.Errorf("have systemd start %s: it says %q", unit, r)
		}
	case <-ctx.Done():
		return "", fmt.Errorf("have systemd start %s: %w", unit, ctx.Err())
	}
	_, here, err := hierarchies()
	if err != nil {
		return "", err
	}
	if filepath.Base(here.own) != unit {
		return "", fmt.Errorf("have systemd start %s: it did not move the guard there but left it in %s", unit, here.own)
	}
	return here.own, nil
}
