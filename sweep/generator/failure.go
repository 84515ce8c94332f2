package generator

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"
)

// The kinds of failures, as they are in Summary.Errors. There are few of them, whatever the
// errors' texts say.
const (
	timedOut           = "timeout"             // sent, but not wholly answered in time
	timedOutConnecting = "timeout_connecting"  // no connection, or no free one, in time
	refused            = "refused"             // nobody listens
	reset              = "reset"               // the server reset the connection
	closedEarly        = "closed_early"        // the server closed the connection before it answered
	malformed          = "malformed_answer"    // not HTTP/1.1
	unexpectedStatus   = "unexpected_status_"  // followed by the status
	bodyCutShort       = "body_cut_short"      // the connection was closed inside the body
	bodyTooLarge       = "body_too_large"      // more than Attack.MaxBody
	noLocalPort        = "no_local_port"       // the generator has run out of ports
	noFiles            = "too_many_open_files" // or of file descriptors
	unanswered         = "unanswered"          // due in the window, cut off when the phase was given up
	otherFailure       = "other"

	// cutOff is what was under way when the attack ended. It is nobody's failure and in no summary.
	cutOff = "cut_off"
)

// neverSent tells the failures in which no request went out.
func neverSent(failure string) bool {
	switch failure {
	case refused, timedOutConnecting, noLocalPort, noFiles:
		return true
	}
	return false
}

// classify names the kind of a failure before the answer's header was there.
func (e *exchange) classify(ctx context.Context, err error, connected bool) string {
	switch {
	case e.ctx.Err() != nil:
		return cutOff
	case timeout(ctx, err):
		if !connected {
			return timedOutConnecting
		}
		return timedOut
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return refused
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return noLocalPort
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return noFiles
	case broken(err):
		return reset
	case strings.Contains(err.Error(), "malformed"):
		return malformed
	// What net/http makes of a connection closed under a request has no exported value.
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(err.Error(), "server closed idle connection"):
		return closedEarly
	case strings.Contains(err.Error(), "transport connection broken"): // by what it can't read
		return malformed
	}
	return otherFailure
}

func (e *exchange) classifyBody(ctx context.Context, err error) string {
	switch {
	case e.ctx.Err() != nil:
		return cutOff
	case timeout(ctx, err):
		return timedOut
	case broken(err):
		return reset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return bodyCutShort
	}
	return malformed // a chunk's length, a trailer
}

func timeout(ctx context.Context, err error) bool {
	var network net.Error
	return ctx.Err() != nil || errors.As(err, &network) && network.Timeout()
}

func broken(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
