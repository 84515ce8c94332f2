package hold_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"advise/targets/hold"
)

// As process 1 of a virtual machine, see testdata/vm, the test binary is its own init: it runs the
// tests in every place that cgroup v2 users find themselves in, and switches the machine off.

const nobody = 65534

type place struct {
	name    string
	methods string
	tests   string // a pattern for go test
	uid     int
	cgroup  string // that the tests run in, below the root
	prepare func() error
}

const root2 = "/sys/fs/cgroup"

// placed are the tests whose outcome depends on the place.
const placed = "Exit|Pinned|Memory|Quota|Auto|GuardIs|Daemon|Listening"

func placesOfVM() []place {
	return []place{
		{"root in the root cgroup", "cgroup2", ".", 0, "", nil},
		{"root alone in a container's cgroup", "cgroup2", placed, 0, "container", func() error {
			return inside("container", map[string]string{"memory.max": "400M"})
		}},
		{"root beside others in a session", "cgroup2", placed, 0, "slice/session", func() error {
			if err := inside("slice/session", nil); err != nil {
				return err
			}
			return bystander("slice/session")
		}},
		{"a user alone in a delegated cgroup", "cgroup2", placed, nobody, "user/app", func() error {
			if err := inside("user/app", nil); err != nil {
				return err
			}
			return delegate("user")
		}},
		{"a user beside others below a delegated cgroup", "cgroup2", placed, nobody, "user2/session", func() error {
			if err := inside("user2/session", nil); err != nil {
				return err
			}
			return errors.Join(delegate("user2"), bystander("user2/session"))
		}},
		{"a user without the cpuset controller", "cgroup2", placed, nobody, "user3/app", func() error {
			err := inside("user3", nil)
			if err == nil {
				err = write(filepath.Join(root2, "user3"), "cgroup.subtree_control", "+cpu +memory")
			}
			return errors.Join(err, os.MkdirAll(filepath.Join(root2, "user3/app"), 0o755), delegate("user3/app"))
		}},
		{"a user with nothing delegated", "affinity,none", placed, nobody, "", nil},
	}
}

// beInit prints "passed" or "failed" for each place and, as the last line, how many failed.
func beInit() int {
	failed := 0
	if err := boot(); err != nil {
		fmt.Println("boot:", err)
		failed++
	}
	for _, p := range placesOfVM() {
		fmt.Println("=== place:", p.name)
		if err := p.test(); err != nil {
			failed++
			fmt.Println("=== failed:", p.name, err)
			continue
		}
		fmt.Println("=== passed:", p.name)
	}
	fmt.Printf("advise-vm: %d of %d places failed\n", failed, len(placesOfVM()))
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

func boot() error {
	var faults []error
	for _, m := range []struct{ dir, kind string }{
		{"/proc", "proc"}, {"/sys", "sysfs"}, {"/dev", "devtmpfs"}, {"/tmp", "tmpfs"}, {root2, "cgroup2"},
	} {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			faults = append(faults, err)
		}
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, ""); err != nil {
			faults = append(faults, fmt.Errorf("mount %s: %w", m.dir, err))
		}
	}
	faults = append(faults, os.Chmod("/tmp", 0o1777), os.Chmod("/dev/null", 0o666), loopback())
	return errors.Join(faults...)
}

// loopback sets lo up.
func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// inside makes a cgroup with controllers in it.
func inside(path string, settings map[string]string) error {
	dir := root2
	for part := range strings.SplitSeq(path, "/") {
		if err := write(dir, "cgroup.subtree_control", "+cpu +cpuset +memory"); err != nil {
			return err
		}
		dir = filepath.Join(dir, part)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for file, value := range settings {
		if err := write(dir, file, value); err != nil {
			return err
		}
	}
	return nil
}

func write(dir, file, value string) error {
	return os.WriteFile(filepath.Join(dir, file), []byte(value), 0)
}

// delegate gives a cgroup and those in it to the user, as systemd does.
func delegate(path string) error {
	return filepath.WalkDir(filepath.Join(root2, path), func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		faults := []error{os.Chown(path, nobody, nobody)}
		for _, file := range []string{"cgroup.procs", "cgroup.threads", "cgroup.subtree_control"} {
			faults = append(faults, os.Chown(filepath.Join(path, file), nobody, nobody))
		}
		return errors.Join(faults...)
	})
}

// bystander is a process that is not advise's, in the cgroup for as long as the machine runs.
func bystander(path string) error {
	c := exec.Command("/init", "server", "idle")
	if err := c.Start(); err != nil {
		return err
	}
	return write(filepath.Join(root2, path), "cgroup.procs", strconv.Itoa(c.Process.Pid))
}

func (p place) test() error {
	if p.prepare != nil {
		if err := p.prepare(); err != nil {
			return err
		}
	}
	c := exec.Command("/init", "-test.v", "-test.failfast", "-test.run="+p.tests, "-test.timeout=10m")
	c.Stdout, c.Stderr = console{}, console{}
	c.Env = []string{
		"PATH=/", "TMPDIR=/tmp", "CI=true", "ADVISE_TEST_METHODS=" + p.methods,
	}
	dir, err := os.Open(filepath.Join(root2, p.cgroup))
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	c.SysProcAttr = &syscall.SysProcAttr{
		UseCgroupFD: true,
		CgroupFD:    int(dir.Fd()),
		Credential:  &syscall.Credential{Uid: uint32(p.uid), Gid: uint32(p.uid)},
	}
	if err := c.Start(); err != nil {
		return err
	}
	// Init waits for everybody's orphans.
	var ended syscall.WaitStatus
	for pid := 0; pid != c.Process.Pid; {
		if pid, err = syscall.Wait4(-1, &ended, 0, nil); err != nil && !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
	if ended != 0 {
		return fmt.Errorf("exit code %d, signal %d", ended.ExitStatus(), ended.Signal())
	}
	return clean()
}

// console hides from os/exec that standard output is a file, which a user may not open again.
type console struct{}

func (console) Write(p []byte) (int, error) { return io.MultiWriter(os.Stdout).Write(p) }

// clean is whether no cgroup of advise is left, be its maker alive or dead.
func clean() error {
	return filepath.WalkDir(root2, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), hold.Prefix) {
			return fmt.Errorf("left behind: %s", path)
		}
		return err
	})
}
