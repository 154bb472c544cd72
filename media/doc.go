// Package media carries the sound of calls: RTP in and out, prompts and music, keys, reports and taps. It knows packets
// and no SIP.
//
// An Engine leases pairs of UDP ports (RTP on the even one, RTCP on the odd one above it). Each lease is a Stream, one
// party's sound. What a stream hears goes to its tap and, when it is joined, to the stream on the other side; what it
// sends is either the other side's packets, a Clip, or keys, always as one RTP stream of our own with one SSRC, so that
// the far side hears a single speaker whatever stands behind it.
//
// A stream takes RTP from the address that was negotiated and from nobody else. Everything else is counted and
// dropped, never answered. A port that was closed stays bound and deaf for a while, so that nothing of one call is
// heard in the next.
//
// Where more than two hear each other (Confer), a mixer takes the place of the relay: each party's sound goes through a
// jitter buffer, and every 20 ms each is sent the sum of all others, in the same RTP stream as before. Streams that are
// joined two by two pay nothing for it.
//
// The streams of an engine are spread over a few loops. A loop brings in datagrams and beats the 20 ms clock; how it
// does so is behind the carrier interface: on Linux one epoll loop over many sockets, elsewhere a goroutine for each
// socket. Two streams that are joined are best leased on the same loop (see Engine.Lease).
//
// Callbacks (Handler, call.Tap) run on a loop and must not block.
package media
