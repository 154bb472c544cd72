// Package sip is the edge towards carriers and phones: everything that is SIP is in here, and sipgo with it.
//
// A Server listens, admits requests, registers phones, and stands between two parties as a back-to-back user agent
// (RFC 7092 §3): each call.Leg is a dialog of its own, and what is sent in one is built from nothing and never copied
// from the other, so that nothing of a caller can cross to an agent by accident.
//
// A request goes this way: socket, gate (readfilter.go), sipgo's parser and transactions, admission, and then the
// handler of its method (handle.go). An INVITE from a trunk becomes a call.Arrival (invite.go), and the handler's
// goroutine runs the call to its end. Requests within a dialog find their leg (dialogs.go) and become events in the
// call's inbox. A call rings an agent by Ring (outbound.go), which is the other kind of leg.
//
// sipgo's dialogs are not used: their 2xx retransmission and their limits are not those of RFC 3261. Its transactions
// are. Where we differ from an RFC on purpose, docs/sip-differences.md says so.
package sip
