package generator

import (
	"errors"
	"io"
	"io/fs"
	"net"
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

// classify names the kind of a transport's error.
func (e *exchange) classify(err error) string {
	stage := answering
	if f := (*failed)(nil); errors.As(err, &f) {
		stage = f.stage
	}
	switch {
	case errors.Is(err, errBodyTooLarge):
		return bodyTooLarge
	case e.ctx.Err() != nil:
		return cutOff
	case timeout(err):
		if stage == connecting {
			return timedOutConnecting
		}
		return timedOut
	case broken(err):
		return reset
	case stage == inBody:
		if ended(err) {
			return bodyCutShort
		}
		return malformed // a chunk's length, a trailer
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return refused
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return noLocalPort
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return noFiles
	case errors.Is(err, errMalformed):
		return malformed
	case ended(err):
		return closedEarly
	}
	return otherFailure
}

func timeout(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

func broken(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func ended(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
