// Vm runs the tests of package hold on a kernel with cgroup v2 alone, in a virtual machine. The
// machine needs no disk, no network and no virtualisation hardware: Debian's kernel boots with the
// test binary as the only file, and that is its init (see vm_linux_test.go).
//
//	go run ./targets/hold/testdata/vm
//
// It needs qemu-system-x86_64 (apt-get install qemu-system-x86) and, once, apt-get download and
// dpkg-deb for the kernel, which is kept in ${XDG_CACHE_HOME:-~/.cache}/advise-test.
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	accel := flag.String("accel", "tcg", "tcg, or kvm where it is reliable: nested ones are often not")
	verbose := flag.Bool("v", false, "print all of the tests' output")
	within := flag.Duration("within", 10*time.Minute, "how long the machine may run")
	flag.Parse()
	if err := run(*accel, *verbose, *within); err != nil {
		fmt.Fprintln(os.Stderr, "vm: error:", err)
		os.Exit(1)
	}
}

func run(accel string, verbose bool, within time.Duration) error {
	began := time.Now()
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	kernel, err := fetchKernel(filepath.Join(cache, "advise-test"))
	if err != nil {
		return fmt.Errorf("get Debian's kernel: %w", err)
	}
	work, err := os.MkdirTemp("", "advise-vm")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()

	initramfs := filepath.Join(work, "initramfs")
	if err := buildInitramfs(work, initramfs); err != nil {
		return fmt.Errorf("build the machine's file system: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	err = bootAndWatch(ctx, kernel, initramfs, accel, verbose)
	fmt.Printf("vm: %.0f s with %s\n", time.Since(began).Seconds(), filepath.Base(kernel))
	return err
}

const kernelPackage = "linux-image-cloud-amd64"

// fetchKernel finds the kernel in the folder, or downloads the package that Debian's meta package
// depends on at the moment.
func fetchKernel(dir string) (string, error) {
	if found, _ := filepath.Glob(filepath.Join(dir, "vmlinuz-*")); len(found) > 0 {
		return found[len(found)-1], nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unpacked, err := os.MkdirTemp(dir, "unpacked")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(unpacked) }()
	name, err := download(unpacked)
	if err != nil {
		// The archive keeps the newest kernel alone: lists of some days ago may name another one.
		if _, fault := output(unpacked, "apt-get", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3", "update"); fault != nil {
			return "", errors.Join(err, fault)
		}
		if name, err = download(unpacked); err != nil {
			return "", err
		}
	}
	packages, _ := filepath.Glob(filepath.Join(unpacked, "*.deb"))
	if len(packages) != 1 {
		return "", fmt.Errorf("%s was not downloaded", name)
	}
	if _, err := output(unpacked, "dpkg-deb", "-x", packages[0], unpacked); err != nil {
		return "", err
	}
	kernels, _ := filepath.Glob(filepath.Join(unpacked, "boot", "vmlinuz-*"))
	if len(kernels) != 1 {
		return "", fmt.Errorf("no kernel in %s", filepath.Base(packages[0]))
	}
	kept := filepath.Join(dir, filepath.Base(kernels[0]))
	return kept, os.Rename(kernels[0], kept)
}

// download gets the package of the kernel and says its name.
func download(dir string) (string, error) {
	depends, err := output(dir, "apt-cache", "depends", kernelPackage)
	if err != nil {
		return "", err
	}
	_, name, found := strings.Cut(depends, "Depends: ")
	if !found {
		return "", fmt.Errorf("%s depends on no kernel: %s", kernelPackage, depends)
	}
	name, _, _ = strings.Cut(name, "\n")
	name = strings.TrimSpace(name)
	_, err = output(dir, "apt-get", "-o", "Acquire::Retries=3", "download", name)
	return name, err
}

func output(dir, name string, args ...string) (string, error) {
	c := exec.Command(name, args...)
	c.Dir = dir
	text, err := c.Output()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		err = fmt.Errorf("run %s: %w: %s", strings.Join(c.Args, " "), err, bytes.TrimSpace(failed.Stderr))
	}
	return string(text), err
}

// buildInitramfs packs the test binary, static, as /init.
func buildInitramfs(work, to string) error {
	binary := filepath.Join(work, "init")
	build := exec.Command("go", "test", "-c", "-o", binary, "advise/targets/hold")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the tests: %w", err)
	}
	init, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(f)
	archive := cpio{w: buffered}
	for _, dir := range []string{"dev", "proc", "sys", "tmp"} {
		archive.add(dir, 0o040755, 0, 0, nil)
	}
	archive.add("dev/console", 0o020600, 5, 1, nil)
	archive.add("init", 0o100755, 0, 0, init)
	archive.add("TRAILER!!!", 0, 0, 0, nil)
	return errors.Join(archive.err, buffered.Flush(), f.Close())
}

// cpio writes the "newc" format that the kernel unpacks, see
// Documentation/driver-api/early-userspace/buffer-format.rst.
type cpio struct {
	w     io.Writer
	inode int
	err   error
}

func (c *cpio) add(name string, mode, major, minor int, content []byte) {
	c.inode++
	header := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		c.inode, mode, 0, 0, 1, 0, len(content), 0, 0, major, minor, len(name)+1, 0)
	c.write([]byte(header + name + "\x00"))
	c.pad(len(header) + len(name) + 1)
	c.write(content)
	c.pad(len(content))
}

func (c *cpio) pad(written int) { c.write(make([]byte, (4-written%4)%4)) }

func (c *cpio) write(p []byte) {
	if c.err == nil {
		_, c.err = c.w.Write(p)
	}
}

// bootAndWatch runs the machine and reads its verdict from the serial console.
func bootAndWatch(ctx context.Context, kernel, initramfs, accel string, verbose bool) error {
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-nic", "none", "-no-reboot",
		"-smp", "2", "-m", "1024", "-cpu", "max", "-accel", accel,
		"-kernel", kernel, "-initrd", initramfs,
		"-append", "console=ttyS0 quiet panic=-1 cgroup_no_v1=all psi=1",
	}
	machine := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	machine.WaitDelay = 5 * time.Second
	console, err := machine.StdoutPipe()
	if err != nil {
		return err
	}
	machine.Stderr = os.Stderr
	if err := machine.Start(); err != nil {
		return fmt.Errorf("start the machine: %w (apt-get install qemu-system-x86)", err)
	}
	var all strings.Builder
	verdict := ""
	lines := bufio.NewScanner(console)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		all.WriteString(line + "\n")
		if text, ok := strings.CutPrefix(line, "advise-vm: "); ok {
			verdict = text
		}
		if verbose || strings.HasPrefix(line, "=== place") || strings.HasPrefix(line, "=== passed") || strings.HasPrefix(line, "=== failed") {
			fmt.Println(line)
		}
	}
	waited := machine.Wait()
	if strings.HasPrefix(verdict, "0 of ") && waited == nil {
		return nil
	}
	if !verbose {
		fmt.Print(all.String())
	}
	switch {
	case ctx.Err() != nil:
		return errors.New("the machine did not finish in time")
	case verdict == "":
		return fmt.Errorf("the machine stopped without a verdict (%v)", waited)
	}
	return errors.New(verdict)
}
