package sip

import (
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/emiago/sipgo/sip"
)

// A dialog is what two user agents have agreed on (RFC 3261 §12). Everything we send within it is built here, from
// what the dialog holds and nothing else.
type dialog struct {
	callID   string
	localTag string
	local    address // From of what we send
	remote   address // To of what we send
	listener *listener
	flow     string // "address:port" that requests go to whatever the far side's URIs say; empty: RFC 3261 §8.1.2

	wire sync.Mutex // held from a request's CSeq until it is sent

	mu        sync.Mutex
	remoteTag string
	target    sip.Uri // the far side's Contact
	routes    []sip.Uri
	localSeq  uint32 // CSeq of the last request we sent
	remoteSeq uint32 // and of the last one we took
}

func (d *dialog) key() dialogKey { return dialogKey{d.callID, d.localTag} }

// newTag returns a tag of our own: 130 random bits.
func newTag() string { return strings.ToLower(rand.Text()) }

// newBranch names a transaction (RFC 3261 §8.1.1.7).
func newBranch() string { return sip.RFC3261BranchMagicCookie + strings.ToLower(rand.Text()) }

// dialogFrom is the dialog that a request from outside begins, where we are its UAS (RFC 3261 §12.1.1).
func dialogFrom(req *sip.Request, l *listener) *dialog {
	d := &dialog{
		callID: string(*req.CallID()), localTag: newTag(), local: address{uri: plainURI(req.To().Address)}, listener: l,
		remote: address{uri: plainURI(req.From().Address)}, remoteTag: tagOf(req.From().Params), remoteSeq: req.CSeq().SeqNo,
	}
	if c := req.Contact(); c != nil {
		d.target = *c.Address.Clone()
	}
	for _, h := range req.GetHeaders("Record-Route") {
		if rr, ok := h.(*sip.RecordRouteHeader); ok {
			d.routes = append(d.routes, *rr.Address.Clone())
		}
	}
	return d
}

// plainURI is u for From and To of what we send: without password and header fields, which may not stand there (RFC
// 3261 §19.1.1, table 1). Port and parameters stay, since the far side may compare its own address whole.
func plainURI(u sip.Uri) sip.Uri {
	plain := *u.Clone()
	if plain.Scheme == "sip" || plain.Scheme == "sips" {
		plain.Headers, plain.Password = nil, ""
	}
	return plain
}

// establish takes from a 2xx what makes the dialog: the far side's tag, Contact and route (RFC 3261 §12.1.2).
func (d *dialog) establish(res *sip.Response) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.remoteTag = tagOf(res.To().Params)
	if c := res.Contact(); c != nil {
		d.target = *c.Address.Clone()
	}
	d.routes = nil
	for _, h := range res.GetHeaders("Record-Route") {
		if rr, ok := h.(*sip.RecordRouteHeader); ok {
			d.routes = append(d.routes, *rr.Address.Clone())
		}
	}
	slices.Reverse(d.routes)
}

// retarget takes a new Contact from a request or answer that refreshes the target (RFC 3261 §12.2).
func (d *dialog) retarget(c *sip.ContactHeader) {
	if c == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.target = *c.Address.Clone()
}

// order says how a request stands to the ones before it.
type order uint8

const (
	inOrder    order = iota
	outOfOrder       // older than one we took: 500 (RFC 3261 §12.2.2)
	foreign          // of another dialog: 481
)

// take checks that a request is of this dialog and newer than the last, and remembers it.
func (d *dialog) take(req *sip.Request) order {
	d.mu.Lock()
	defer d.mu.Unlock()
	if tagOf(req.From().Params) != d.remoteTag {
		return foreign
	}
	if seq := req.CSeq().SeqNo; d.remoteSeq != 0 && seq <= d.remoteSeq {
		return outOfOrder
	}
	d.remoteSeq = req.CSeq().SeqNo
	return inOrder
}

// request builds the next request of that method within the dialog (RFC 3261 §12.2.1.1).
func (d *dialog) request(method sip.RequestMethod) *sip.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.localSeq++
	return d.build(method, d.localSeq)
}

// ack builds the ACK for a 2xx to the INVITE with that CSeq (RFC 3261 §13.2.2.4).
func (d *dialog) ack(seq uint32) *sip.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.build(sip.ACK, seq)
}

// build is called with mu held.
func (d *dialog) build(method sip.RequestMethod, seq uint32) *sip.Request {
	uri, routes := d.target, d.routes
	if len(routes) > 0 && !routes[0].UriParams.Has("lr") { // a strict router wants to be the Request-URI itself
		uri, routes = routes[0], append(slices.Clone(routes[1:]), d.target)
	}
	req := sip.NewRequest(method, *uri.Clone())
	req.AppendHeader(d.listener.via(newBranch()))
	for _, r := range routes {
		req.AppendHeader(&sip.RouteHeader{Address: *r.Clone()})
	}
	req.AppendHeader(&sip.FromHeader{DisplayName: d.local.name, Address: d.local.header(), Params: sip.HeaderParams{{K: "tag", V: d.localTag}}})
	to := &sip.ToHeader{Address: d.remote.header()}
	if d.remoteTag != "" {
		to.Params = sip.HeaderParams{{K: "tag", V: d.remoteTag}}
	}
	req.AppendHeader(to)
	callID := sip.CallIDHeader(d.callID)
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: seq, MethodName: method})
	hops := sip.MaxForwardsHeader(70)
	req.AppendHeader(&hops)
	req.SetTransport(sip.NetworkToUpper(d.listener.network))
	req.SetDestination(d.hop(uri, routes))
	return req
}

// hop is where a request goes: the flow if there is one, else the first route or the target (RFC 3261 §8.1.2).
func (d *dialog) hop(uri sip.Uri, routes []sip.Uri) string {
	if d.flow != "" {
		return d.flow
	}
	next := uri
	if len(routes) > 0 && d.routes[0].UriParams.Has("lr") {
		next = routes[0]
	}
	port := next.Port
	if port == 0 {
		port = 5060
	}
	return joinHostPort(next.Host, port)
}

// joinHostPort writes a host as sipgo wants it, IPv6 with one pair of brackets.
func joinHostPort(host string, port int) string {
	host = strings.Trim(host, "[]")
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(port)
}

// ofDialog tells whether a request comes from the far side of the dialog.
func (d *dialog) ofDialog(req *sip.Request) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return tagOf(req.From().Params) == d.remoteTag
}
