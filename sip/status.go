package sip

import (
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"

	"callhall/call"
)

// status is the one place where the reason for refusing a caller becomes an answer (RFC 3261 §21).
func status(c call.Cause) (code int, reason string) {
	switch c {
	case call.CauseBusy:
		return sip.StatusBusyHere, "Busy Here"
	case call.CauseCancelled:
		return sip.StatusRequestTerminated, "Request Terminated"
	case call.CauseNoAnswer, call.CauseRejected, call.CauseElsewhere, call.CauseNormal:
		return sip.StatusTemporarilyUnavailable, "Temporarily Unavailable"
	case call.CauseNoMedia:
		return sip.StatusNotAcceptableHere, "Not Acceptable Here"
	case call.CauseUnknownEntry:
		return sip.StatusNotFound, "Not Found"
	case call.CauseUnavailable:
		return sip.StatusServiceUnavailable, "Service Unavailable"
	default:
		return sip.StatusInternalServerError, "Server Internal Error" // the detail goes to the log, never onto the wire
	}
}

// retryAfter is when a caller's network may try again after 503 or 500, in seconds.
const retryAfter = "5"

// refusalFor is the answer to req that status says.
func refusalFor(req *sip.Request, c call.Cause) *sip.Response {
	code, reason := status(c)
	res := respond(req, code, reason)
	if code == sip.StatusServiceUnavailable {
		res.AppendHeader(sip.NewHeader("Retry-After", retryAfter))
	}
	if c != call.CauseUnknownEntry && c != call.CauseCancelled {
		res.AppendHeader(reasonHeader(c))
	}
	return res
}

// respond is an answer without body.
func respond(req *sip.Request, code int, reason string) *sip.Response {
	res := sip.NewResponseFromRequest(req, code, reason, nil)
	res.SipVersion = "SIP/2.0"
	return res
}

// reasonHeader says why in the words of RFC 3326.
func reasonHeader(c call.Cause) sip.Header {
	if c == call.CauseElsewhere {
		return sip.NewHeader("Reason", `SIP;cause=200;text="Call completed elsewhere"`)
	}
	return sip.NewHeader("Reason", fmt.Sprintf("Q.850;cause=%d", c.Q850()))
}

// allowHeader names the methods that have a handler (RFC 3261 §20.5).
func allowHeader() sip.Header {
	names := make([]string, 0, 8)
	for _, m := range admitted() {
		names = append(names, string(m))
	}
	return sip.NewHeader("Allow", strings.Join(names, ", "))
}

// trunkStatus is what a refusal from outside comes to (RFC 3261 §21, RFC 3398 §8.2.6).
func trunkStatus(code int) error {
	switch code {
	case sip.StatusBusyHere, sip.StatusGlobalBusyEverywhere, sip.StatusGlobalDecline, 607, 608: // RFC 8197, RFC 8688
		return call.ErrRejected
	case sip.StatusTemporarilyUnavailable, sip.StatusRequestTimeout:
		return call.ErrNoAnswer
	case sip.StatusNotAcceptableHere, sip.StatusGlobalNotAcceptable, sip.StatusUnsupportedMediaType:
		return call.ErrNoMedia
	case sip.StatusInternalServerError, sip.StatusServiceUnavailable, sip.StatusGatewayTimeout:
		return call.ErrUnavailable
	default: // 3xx is not followed and 401 not answered, as with phones
		return call.ErrUnreachable
	}
}

// ringStatus is what a phone's refusal comes to.
func ringStatus(code int) error {
	switch code {
	case sip.StatusBusyHere, sip.StatusTemporarilyUnavailable, sip.StatusGlobalBusyEverywhere, sip.StatusGlobalDecline:
		return call.ErrRejected
	case sip.StatusNotAcceptableHere, sip.StatusGlobalNotAcceptable, sip.StatusUnsupportedMediaType:
		return call.ErrNoMedia
	default: // 3xx is not followed and 401 not answered: neither a phone nor a thief may send us elsewhere
		return call.ErrUnreachable
	}
}
