package sip

import (
	"net/netip"
	"slices"

	"callhall/call"
	"callhall/media"
)

// agreement is what an offer and its answer come to: how the stream is to be set.
type agreement struct {
	params media.Params
	held   bool // the far side does not listen: we are on hold (RFC 3264 §8.4)
}

// offer is our SDP for a party we call, or who asked us to offer (RFC 3264 §5). The codecs stand in our order.
func (d *description) offer(local netip.AddrPort, codecs []media.Codec, dir direction) []byte {
	return d.body(local.Addr(), audioLine(local.Port(), "RTP/AVP", codecs, ourDTMF, dir))
}

// answer answers far's offer for sound at local: one codec, the far side's first that we know, and telephone-event
// under the payload type it was offered with. Errors: call.ErrNoMedia.
func (d *description) answer(far *session, local netip.AddrPort, learn netip.Addr) ([]byte, agreement, error) {
	agreed, err := agree(far, local.Addr(), learn)
	if err != nil {
		return nil, agreement{}, err
	}
	lines := ""
	for i := range far.lines {
		m := &far.lines[i]
		if i != far.audio {
			lines += refusedLine(m)
			continue
		}
		p := agreed.params
		lines += audioLine(local.Port(), m.proto, []media.Codec{p.Codec}, p.DTMF, towards(p.Send, p.Receive))
	}
	return d.body(local.Addr(), lines), agreed, nil
}

// agree reads from far, an offer or the answer to ours, how the stream is to be set. Sound that was switched off is
// an agreement to be silent. Errors: call.ErrNoMedia where there is nothing in common.
func agree(far *session, local, learn netip.Addr) (agreement, error) {
	if far.disabled() {
		return agreement{held: true}, nil
	}
	if far.audio < 0 {
		return agreement{}, call.ErrNoMedia
	}
	m := far.lines[far.audio]
	nowhere := m.addr.Addr().IsUnspecified() // hold as before RFC 3264 (RFC 2543 §B.5)
	if !nowhere && m.addr.Addr().Is4() != local.Is4() {
		return agreement{}, call.ErrNoMedia
	}
	p := media.Params{
		Remote: m.addr, RemoteRTCP: m.rtcp, Codec: m.codecs[0], DTMF: m.dtmf, Learn: learn,
		Send:    !nowhere && (m.direction == sendrecv || m.direction == recvonly),
		Receive: m.direction == sendrecv || m.direction == sendonly,
	}
	if nowhere {
		p.Remote, p.RemoteRTCP = netip.AddrPort{}, netip.AddrPort{}
	}
	return agreement{params: p, held: !p.Send}, nil
}

// codecOrder is both codecs, the one the other party speaks first, so that nothing needs to be transcoded.
func codecOrder(first media.Codec) []media.Codec {
	both := []media.Codec{media.PCMU, media.PCMA}
	if first == media.PCMA {
		slices.Reverse(both)
	}
	return both
}
