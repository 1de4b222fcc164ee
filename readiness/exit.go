// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"fmt"
	"syscall"
)

// Exit is the daemon's exit code. The names are those of sysexits(3).
type Exit int

// The exit codes of run; a signal's is 128 plus its number.
const (
	ExitOK          Exit = 0  // READY=1 was sent
	ExitFailure     Exit = 1  // anything that has no code of its own
	ExitUnavailable Exit = 69 // EX_UNAVAILABLE: IMDS is disabled, or this is not EC2
	ExitTempFail    Exit = 75 // EX_TEMPFAIL: the budget is spent, or another daemon holds the directory
	ExitProtocol    Exit = 76 // EX_PROTOCOL: what answers is not IMDS
	ExitNoPerm      Exit = 77 // EX_NOPERM: requests are blocked on this host, or files cannot be written
	ExitConfig      Exit = 78 // EX_CONFIG: the configuration is invalid
)

// errno is what ERRNO= tells systemd (sd_notify(3)); 0: nothing.
func (e Exit) errno() syscall.Errno {
	switch e {
	case ExitTempFail:
		return syscall.ETIMEDOUT
	case ExitUnavailable:
		return syscall.ENODEV
	case ExitProtocol:
		return syscall.EPROTO
	case ExitNoPerm:
		return syscall.EACCES
	case ExitConfig:
		return syscall.EINVAL
	default:
		return 0
	}
}

// Interrupted is the cause to cancel [Daemon.Run]'s context with when a signal
// ends it.
type Interrupted struct{ Signal syscall.Signal }

// Error names the signal's effect, such as "terminated".
func (e *Interrupted) Error() string { return fmt.Sprintf("signal: %v", e.Signal) }

// Exit is 128 plus the signal's number, as a shell reports it.
func (e *Interrupted) Exit() Exit { return Exit(128 + int(e.Signal)) }
