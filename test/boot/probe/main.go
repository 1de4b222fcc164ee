// SPDX-License-Identifier: Apache-2.0

// Command probe tries what a compromised daemon might try, and prints one line for
// each attempt: its name and the result, the name of an errno or "ok". Arguments are
// files and directories that it tries to read. The boot test runs it in the sandbox
// of imds-ready.service, and once outside to see that the sandbox makes the difference.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// calls are system calls with arguments that the kernel rejects for a reason other
// than a privilege, or that have no effect.
var calls = []struct {
	name   string
	number uintptr
	args   [5]uintptr
}{
	{"io_uring_setup", unix.SYS_IO_URING_SETUP, [5]uintptr{1}},
	{"io_uring_enter", unix.SYS_IO_URING_ENTER, [5]uintptr{bad}},
	{"io_uring_register", unix.SYS_IO_URING_REGISTER, [5]uintptr{bad}},
	{"io_setup", unix.SYS_IO_SETUP, [5]uintptr{1}},
	{"userfaultfd", unix.SYS_USERFAULTFD, [5]uintptr{bad}},
	{"memfd_create", unix.SYS_MEMFD_CREATE, [5]uintptr{}},
	{"memfd_secret", 447, [5]uintptr{bad}}, // the number everywhere; package unix lacks it for arm
	{"process_vm_readv", unix.SYS_PROCESS_VM_READV, [5]uintptr{1}},
	{"process_vm_writev", unix.SYS_PROCESS_VM_WRITEV, [5]uintptr{1}},
	{"ptrace", unix.SYS_PTRACE, [5]uintptr{unix.PTRACE_CONT, 1 << 30}},
	{"kcmp", unix.SYS_KCMP, [5]uintptr{1 << 30, 1 << 30}},
	{"add_key", unix.SYS_ADD_KEY, [5]uintptr{}},
	{"keyctl", unix.SYS_KEYCTL, [5]uintptr{bad}},
	{"request_key", unix.SYS_REQUEST_KEY, [5]uintptr{}},
	{"shmget", unix.SYS_SHMGET, [5]uintptr{1, 0, 0}},
	{"msgget", unix.SYS_MSGGET, [5]uintptr{1}},
	{"semget", unix.SYS_SEMGET, [5]uintptr{1}},
	{"mq_open", unix.SYS_MQ_OPEN, [5]uintptr{}},
	{"pkey_alloc", unix.SYS_PKEY_ALLOC, [5]uintptr{bad}},
	{"landlock_create_ruleset", unix.SYS_LANDLOCK_CREATE_RULESET, [5]uintptr{0, 0, bad}},
	{"seccomp", unix.SYS_SECCOMP, [5]uintptr{bad}},
	{"mount", unix.SYS_MOUNT, [5]uintptr{}},
	{"open_tree", unix.SYS_OPEN_TREE, [5]uintptr{bad, 0, bad}},
	{"fsopen", unix.SYS_FSOPEN, [5]uintptr{}},
	{"chroot", unix.SYS_CHROOT, [5]uintptr{}},
	{"execveat", unix.SYS_EXECVEAT, [5]uintptr{bad}},
	{"name_to_handle_at", unix.SYS_NAME_TO_HANDLE_AT, [5]uintptr{bad}},
	{"vmsplice", unix.SYS_VMSPLICE, [5]uintptr{bad}},
	{"unshare-user", unix.SYS_UNSHARE, [5]uintptr{unix.CLONE_NEWUSER | unix.CLONE_NEWPID | 1}},
	{"mlock", unix.SYS_MLOCK, [5]uintptr{}},
}

const bad = ^uintptr(0)

func main() {
	for _, c := range calls {
		_, _, errno := syscall.RawSyscall6(c.number, c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], 0)
		report(c.name, errno)
	}
	for name, family := range map[string]int{
		"AF_VSOCK": unix.AF_VSOCK, "AF_PACKET": unix.AF_PACKET, "AF_UNIX": unix.AF_UNIX, "AF_INET": unix.AF_INET,
	} {
		_, err := unix.Socket(family, unix.SOCK_DGRAM, 0)
		report(name, err)
	}
	_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
	report("mmap-write-execute", err)
	report("mmap-execute", mapExecutable("/bin/true"))
	for name, limit := range map[string]int{"RLIMIT_CORE": unix.RLIMIT_CORE, "RLIMIT_NOFILE": unix.RLIMIT_NOFILE} {
		var l unix.Rlimit
		report(name, unix.Getrlimit(limit, &l))
		fmt.Println(name, "is", l.Cur, l.Max)
	}
	for _, path := range os.Args[1:] {
		report(path, read(path))
	}
	for _, dir := range []string{"/", "/etc", "/usr", "/var/lib", "/run", "/dev/shm", "/run/imds"} {
		report("write:"+dir, write(dir))
	}
	report("mmap-execute-written", mapWritten("/run/imds/probe"))
	report("execve", syscall.Exec("/bin/true", []string{"true"}, nil)) // last: it does not return if it succeeds
}

// read opens a file or a directory and reads a little of it.
func read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err = f.Read(make([]byte, 1)); errors.Is(err, unix.EISDIR) {
		_, err = f.Readdirnames(1)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// write makes a file in a directory and removes it.
func write(dir string) error {
	f, err := os.CreateTemp(dir, "probe")
	if err != nil {
		return err
	}
	defer f.Close()
	return os.Remove(f.Name())
}

// mapWritten writes a program and maps it as mapExecutable does.
func mapWritten(path string) error {
	if err := os.WriteFile(path, make([]byte, 4096), 0o700); err != nil {
		return err
	}
	defer os.Remove(path)
	return mapExecutable(path)
}

// mapExecutable maps a file so that it can be executed, as a loader does.
func mapExecutable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE)
	return err
}

func report(name string, err error) {
	result := "ok"
	if errno, isErrno := errors.AsType[syscall.Errno](err); errno != 0 {
		result = unix.ErrnoName(errno)
	} else if err != nil && !isErrno {
		result = err.Error()
	}
	fmt.Println(name, result)
}
